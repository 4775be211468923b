package check

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/premortem/premortem"
)

// EnvCachedConfig finds Laravel's env() outside of its configuration.
var EnvCachedConfig = add(Rule{
	ID:       "env-cached-config",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "env() is called outside config/, and production caches the configuration",
		Why: `Once Laravel's configuration is cached, .env is not loaded any more: env() outside
config/ returns null. It works on every laptop, where nobody caches.`,
		When: `Code outside config/ calls env('X'), and the image or the start command runs
config:cache or optimize.`,
		Silent: `Nothing caches the configuration; the container itself is given the variable; the
call stands in config/, in a test or in bootstrap/.`,
		Fix: `Read the variable in a file of config/ and use config('file.key') in the code.`,
	},
	Run: envCachedConfig,
})

func envCachedConfig(sys *premortem.System, report func(premortem.Finding)) {
	for _, v := range sys.Env {
		svc := inProduction(sys, v.Service)
		if svc == nil || !svc.ConfigCache.Set() || v.Class == premortem.EnvDyn {
			continue
		}
		if p, set := sys.Provision(sys.Production, v.Service, v.Name); p != premortem.Missing && (set != nil || !onlyDotenv(svc)) {
			continue // a variable of the container itself stays readable
		}
		f := premortem.Finding{
			Node:    v.Service,
			Subject: v.Name,
			Says:    fmt.Sprintf("env('%s') is null in production: the configuration is cached, and this call stands outside config/", v.Name),
			Fix:     premortem.Fix{Says: fmt.Sprintf("read %s in a file of config/ and use config() here", v.Name)},
		}
		for _, r := range v.Reads {
			if callsEnv(r, v.Name) {
				f.Evidence = append(f.Evidence, premortem.Evidence{Says: "asks for the variable, not for the configuration", Pos: r.Pos, Quote: r.Quote})
			}
		}
		if len(f.Evidence) == 0 {
			continue
		}
		f.Evidence = append(f.Evidence, premortem.Evidence{Says: "caches the configuration", Pos: svc.ConfigCache.Pos, Quote: svc.ConfigCache.Value})
		report(f)
	}
}

// onlyDotenv reports whether the .env file is the one source that cannot be listed:
// the one that a cached configuration does not load.
func onlyDotenv(svc *premortem.Service) bool {
	for _, o := range svc.Opaque {
		if !strings.Contains(o.Why, ".env") {
			return false
		}
	}
	return true
}

var envCall = regexp.MustCompile(`(?:^|[^>:\w$])env\(\s*['"](\w+)['"]`)

// callsEnv reports whether a read is a call of env() in the program itself.
func callsEnv(r premortem.EnvRead, name string) bool {
	file := "/" + r.Pos.File
	if !strings.HasSuffix(file, ".php") || strings.Contains(file, "/config/") || strings.Contains(file, "/bootstrap/") ||
		strings.Contains(file, "/tests/") || strings.Contains(file, "/database/") {
		return false
	}
	for _, m := range envCall.FindAllStringSubmatch(r.Quote, -1) {
		if m[1] == name {
			return true
		}
	}
	return false
}
