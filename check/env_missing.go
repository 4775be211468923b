package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// EnvMissing compares what the code reads with what production gives it.
var EnvMissing = add(Rule{
	ID:       "env-missing",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "the code needs a variable that production does not provide",
		Why: `The process exits when it starts, or a route fails when the value is first used.
It works on a laptop, because .env has it, and in tests, which set it.`,
		When: `The code of a service reads a variable that it cannot do without, every source
of variables of that service in production can be listed, and none names it. Code that
is not known to run at the start, for a variable that no other deployment provides
either, is worth a note.`,
		Silent: `A source cannot be listed (then it is a question, not a finding); the read has a
default or a guard; it is a test, a script or a build; the platform gives the name;
the image sets it.`,
		Fix: `Add the variable to the ConfigMap or the Secret that production uses, in the same
change as the code that reads it.`,
	},
	Run: envMissing,
	Ask: askEnv,
})

const placeholder = "replace-me"

func envMissing(sys *premortem.System, report func(premortem.Finding)) {
	for _, same := range sharing(absent(sys, required(sys))) {
		f := missingVariable(sys, same[0], inProduction(sys, same[0].Service))
		f.Evidence = append(f.Evidence, alsoMissing(sys, same[1:])...)
		report(f)
	}
}

// absent keeps the variables that production is known not to provide: the code that
// needs them runs, and no broken reference explains why they are not there.
func absent(sys *premortem.System, vars []*premortem.EnvVar) []*premortem.EnvVar {
	var out []*premortem.EnvVar
	for _, v := range vars {
		p, _ := sys.Provision(sys.Production, v.Service, v.Name)
		if p == premortem.Missing && v.Unsure == "" && !referred(sys, v) {
			out = append(out, v)
		}
	}
	return out
}

// referred reports whether the variable is taken from a key that is not there, which
// is a finding of its own.
func referred(sys *premortem.System, v *premortem.EnvVar) bool {
	svc := inProduction(sys, v.Service)
	return svc != nil && slices.ContainsFunc(svc.References, func(r premortem.Reference) bool {
		return r.Env == v.Name && r.Found == premortem.Missing && !r.Optional
	})
}

// sharing groups variables that the same lines of several services read: code that
// they share has one cause and gives one finding.
func sharing(vars []*premortem.EnvVar) [][]*premortem.EnvVar {
	var out [][]*premortem.EnvVar
	for _, v := range vars {
		i := slices.IndexFunc(out, func(same []*premortem.EnvVar) bool {
			return same[0].Name == v.Name && same[0].Class == v.Class && same[0].Reads[0].Pos == v.Reads[0].Pos
		})
		if i < 0 {
			out = append(out, []*premortem.EnvVar{v})
			continue
		}
		out[i] = append(out[i], v)
	}
	return out
}

// alsoMissing shows the other services that run the same lines.
func alsoMissing(sys *premortem.System, vars []*premortem.EnvVar) []premortem.Evidence {
	var out []premortem.Evidence
	for _, v := range vars {
		out = append(out, premortem.Evidence{Says: string(v.Service) + " runs the same code and does not get it either",
			Pos: inProduction(sys, v.Service).Pos})
	}
	return out
}

// expected reports whether production's deployment is the one that has to give the
// variable: it runs the service, and neither the platform nor custom does.
func expected(sys *premortem.System, v *premortem.EnvVar) bool {
	svc := inProduction(sys, v.Service)
	if svc == nil || svc.Static || len(v.Reads) == 0 {
		return false
	}
	kind := kindOf(sys, sys.Production)
	return kind != "package" && !given(kind, v.Name) && (v.Class == premortem.EnvBoot || !customary(v.Name))
}

// given reports whether every container has the variable without anybody's doing.
func given(kind, name string) bool {
	switch name {
	case "PATH", "HOME", "HOSTNAME", "PWD", "USER", "SHELL", "TERM", "TMPDIR", "LANG", "SHLVL":
		return true
	case "PORT":
		return kind != "kubernetes" && kind != "compose"
	}
	if strings.HasPrefix(name, "LC_") || strings.HasPrefix(name, "npm_") {
		return true
	}
	return kind == "kubernetes" && (strings.HasPrefix(name, "KUBERNETES_") ||
		strings.HasSuffix(name, "_SERVICE_HOST") || strings.HasSuffix(name, "_SERVICE_PORT"))
}

// customary reports whether leaving the variable out is a choice with a meaning
// that everybody knows.
func customary(name string) bool {
	switch strings.ToUpper(name) {
	case "NODE_ENV", "NODE_OPTIONS", "NODE_DEBUG", "NODE_EXTRA_CA_CERTS", "DEBUG", "CI", "TZ", "NO_COLOR", "FORCE_COLOR",
		"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
		"VITEST", "VITEST_WORKER_ID", "JEST_WORKER_ID", "CYPRESS", "STORYBOOK":
		return true
	}
	return false
}

func missingVariable(sys *premortem.System, v *premortem.EnvVar, svc *premortem.Service) premortem.Finding {
	f := premortem.Finding{
		Node:     v.Service,
		Subject:  sys.Production + " " + v.Name,
		Evidence: append(reads(v), lookedAt(svc, v.Name)...),
	}
	verb := "used without a default"
	if v.Class == premortem.EnvBoot {
		verb = "read at boot"
	}
	switch n := len(svc.Provides); n {
	case 0:
		f.Says = fmt.Sprintf("%s is %s, and production gives %s no variable at all", v.Name, verb, v.Service)
	default:
		f.Says = fmt.Sprintf("%s is %s, and production does not provide it: %s gets %s, not this one", v.Name, verb, v.Service, many(n, "key"))
	}
	elsewhere, hidden := providedElsewhere(sys, v)
	f.Evidence = append(f.Evidence, elsewhere...)
	if f.Certain = corroborated(sys, v); !f.Certain {
		f.Severity = asNote // code that may never run
	}
	hidden = hidden || secretive(v.Name)
	f.Fix = provideFix(sys, svc, v.Name, placeholder, hidden)
	f.Fix = everywhereElse(f.Fix, beside(sys, v, hidden))
	if near := similar(svc, v.Name); near != nil && !readBy(sys, v.Service, near.Name) {
		f.Fix = premortem.Fix{
			Says:  fmt.Sprintf("rename %s to %s in %s: nothing reads it under its present name", near.Name, v.Name, near.Pos.File),
			Edits: []premortem.Edit{{Pos: near.Pos, Old: near.Name, New: v.Name}},
		}
	}
	return f
}

func readBy(sys *premortem.System, service premortem.Node, name string) bool {
	return slices.ContainsFunc(sys.EnvOf(service), func(v *premortem.EnvVar) bool { return v.Name == name })
}

// provideFix adds the variable where it belongs; without a place to put it, it says
// so in words.
func provideFix(sys *premortem.System, svc *premortem.Service, name, value string, secret bool) premortem.Fix {
	to := home(sys, svc, secret)
	if to == nil {
		kind := "environment"
		if secret {
			kind = "secrets"
		}
		return premortem.Fix{Says: fmt.Sprintf("add %s to the %s of %s in %s before the deploy", name, kind, svc.Node.Name(), svc.Deployment)}
	}
	fix := premortem.Fix{Says: fmt.Sprintf("add %s to %s in %s before the deploy", name, to.name, to.file)}
	if secret && to.name == "environment" {
		value = "${" + name + ":?}" // Compose takes it from where it runs, or refuses to start
	}
	if edit, ok := to.insertion(name, value); ok {
		fix.Edits = []premortem.Edit{edit}
	}
	return fix
}

// everywhereElse adds edits of other files to a fix, each once, and names the files.
// A fix without a place in production stays words: the others would hide that.
func everywhereElse(fix premortem.Fix, edits []premortem.Edit) premortem.Fix {
	if len(fix.Edits) == 0 {
		return fix
	}
	var files []string
	for _, e := range edits {
		if slices.ContainsFunc(fix.Edits, func(have premortem.Edit) bool { return have.Pos == e.Pos }) {
			continue
		}
		fix.Edits = append(fix.Edits, e)
		if !slices.Contains(files, e.Pos.File) {
			files = append(files, e.Pos.File)
		}
	}
	if len(files) > 0 {
		fix.Says = strings.TrimSuffix(fix.Says, " before the deploy") + ", and to " + list(files) + ", before the deploy"
	}
	return fix
}

// reads shows where the code needs the variable, the strongest need first.
func reads(v *premortem.EnvVar) []premortem.Evidence {
	sorted := slices.Clone(v.Reads)
	slices.SortFunc(sorted, func(a, b premortem.EnvRead) int {
		return cmp.Or(cmp.Compare(need(a.Class), need(b.Class)), a.Pos.Compare(b.Pos), cmp.Compare(a.Quote, b.Quote))
	})
	var out []premortem.Evidence
	for _, r := range sorted {
		switch r.Class {
		case premortem.EnvBoot:
			out = append(out, premortem.Evidence{Says: "read at boot, no default", Pos: r.Pos, Quote: r.Quote})
		case premortem.EnvUse:
			out = append(out, premortem.Evidence{Says: "used here, no default", Pos: r.Pos, Quote: r.Quote})
		case premortem.EnvDev:
			out = append(out, premortem.Evidence{Says: "falls back to a value for development", Pos: r.Pos, Quote: r.Quote})
		}
	}
	return out
}

func need(c premortem.EnvClass) int {
	return slices.Index([]premortem.EnvClass{premortem.EnvBoot, premortem.EnvUse, premortem.EnvDev, premortem.EnvOpt,
		premortem.EnvBuild, premortem.EnvDyn}, c)
}

// lookedAt shows each source that production has, and a name that is almost it.
func lookedAt(svc *premortem.Service, name string) []premortem.Evidence {
	var out []premortem.Evidence
	for _, s := range sourcesOf(svc) {
		out = append(out, premortem.Evidence{
			Says: fmt.Sprintf("%s has %s, not this one", s.name, many(len(s.sets), "key")), Pos: s.pos()})
	}
	if len(svc.Provides) == 0 {
		out = append(out, premortem.Evidence{Says: "this workload sets no variable", Pos: svc.Pos})
	}
	if near := similar(svc, name); near != nil {
		out = append(out, premortem.Evidence{Says: near.Name + " is set here: is that the one?", Pos: near.Pos})
	}
	return out
}

// providedElsewhere shows the other deployments that give the variable to the
// service. hidden is true when one of them keeps it out of sight.
func providedElsewhere(sys *premortem.System, v *premortem.EnvVar) (out []premortem.Evidence, hidden bool) {
	for _, svc := range sys.Services {
		if svc.Node != v.Service || svc.Deployment == sys.Production {
			continue
		}
		for _, set := range svc.Provides {
			if set.Name != v.Name || !set.Pos.Known() {
				continue
			}
			hidden = hidden || strings.HasPrefix(set.Source, "secret ") || (!set.Plain && set.Value != "")
			out = append(out, premortem.Evidence{Says: fmt.Sprintf("%s has it, from %s", svc.Deployment, set.Source), Pos: set.Pos})
			break
		}
	}
	return out, hidden
}

// askEnv asks for the keys of sources that cannot be listed.
func askEnv(sys *premortem.System, ask func(string)) {
	type blind struct {
		svc   *premortem.Service
		names []string
	}
	var order []*blind
	var doubts doubted
	for _, v := range required(sys) {
		svc := inProduction(sys, v.Service)
		if p, _ := sys.Provision(sys.Production, v.Service, v.Name); p != premortem.ProvisionUnknown || len(svc.Opaque) == 0 {
			if p == premortem.Missing && v.Unsure != "" {
				doubts.add(v)
			}
			continue
		}
		i := slices.IndexFunc(order, func(b *blind) bool { return b.svc == svc })
		if i < 0 {
			i, order = len(order), append(order, &blind{svc: svc})
		}
		order[i].names = append(order[i].names, v.Name)
	}
	for _, b := range order {
		slices.Sort(b.names)
		why := b.svc.Opaque[0]
		ask(fmt.Sprintf("does production give %s to %s? %s cannot be listed (%s)", list(b.names), b.svc.Node, why.Pos, why.Why))
	}
	doubts.ask(ask)
}
