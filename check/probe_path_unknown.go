package check

import (
	"fmt"
	"strings"

	"github.com/premortem/premortem"
)

// ProbePathUnknown compares the paths of health checks with the routes of the code.
var ProbePathUnknown = add(Rule{
	ID:       "probe-path-unknown",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "a health check asks for a path that the service does not answer",
		Why: `A readiness probe that gets 404 keeps the new pods out of service and the rollout stops;
a liveness probe kills healthy ones; a target group marks every target unhealthy.`,
		When: `An HTTP check of production asks for a path that no route of the service matches, and
the routes hold one that was clearly meant: the same but for one or two letters, for a
prefix or for a trailing part; or the path has a route that does not answer GET.`,
		Silent: `A route matches, also by a parameter or a catch-all; no route resembles the path (then the
framework may answer it); the routes of the service are not known.`,
		Fix: `Use the path of the route in the check.`,
	},
	Run: probePathUnknown,
})

func probePathUnknown(sys *premortem.System, report func(premortem.Finding)) {
	for _, svc := range production(sys) {
		for _, p := range probesOf(sys, svc) {
			if f, ok := probeFinding(sys, svc, p); ok {
				report(f)
			}
		}
	}
}

// probesOf returns the HTTP checks of a service: its own and its balancers'.
func probesOf(sys *premortem.System, svc *premortem.Service) []premortem.Probe {
	var out []premortem.Probe
	for _, p := range svc.Probes {
		if p.Path.Set() {
			out = append(out, p)
		}
	}
	for _, b := range balancersOf(sys, svc.Node) {
		for _, p := range b.Probes {
			if p.Path.Set() {
				out = append(out, p)
			}
		}
	}
	return out
}

func probeFinding(sys *premortem.System, svc *premortem.Service, p premortem.Probe) (premortem.Finding, bool) {
	path, _, _ := strings.Cut(p.Path.Value, "?")
	var near, other *premortem.Route
	for _, r := range sys.Routes {
		if r.Service != svc.Node {
			continue
		}
		if matchesPath(r.Path, path) {
			switch strings.ToUpper(r.Method) {
			case "POST", "PUT", "PATCH", "DELETE":
				other = r
				continue
			}
			return premortem.Finding{}, false
		}
		if get := strings.ToUpper(r.Method); resembles(r.Path, path) && (get == "GET" || get == "ALL" || get == "") && near == nil {
			near = r
		}
	}
	f := premortem.Finding{
		Node: svc.Node, Subject: svc.Deployment + " " + p.Path.Value,
		Evidence: []premortem.Evidence{{Says: fmt.Sprintf("the %s check asks for GET %s", p.Kind, path), Pos: p.Path.Pos}},
	}
	switch {
	case other != nil:
		f.Says = fmt.Sprintf("the %s check of %s asks for GET %s, which only answers %s", p.Kind, svc.Node, path, other.Method)
		f.Evidence = append(f.Evidence, premortem.Evidence{Says: "the route: " + other.Name(), Pos: other.Pos})
		f.Fix.Says = "answer GET on that path"
	case near != nil:
		f.Says = fmt.Sprintf("the %s check of %s asks for %s, which no route answers; there is %s", p.Kind, svc.Node, path, near.Path)
		f.Evidence = append(f.Evidence, premortem.Evidence{Says: "the nearest route: " + near.Name(), Pos: near.Pos})
		f.Fix = premortem.Fix{
			Says:  "ask for " + near.Path,
			Edits: []premortem.Edit{{Pos: p.Path.Pos, Old: p.Path.Value, New: near.Path}},
		}
	default:
		return f, false
	}
	return f, true
}

// matchesPath reports whether a route's pattern matches a path: parameters match one
// segment, a star the rest.
func matchesPath(pattern, path string) bool {
	want, have := segments(pattern), segments(path)
	for i, w := range want {
		if strings.Contains(w, "*") || strings.HasPrefix(w, "(") || strings.HasSuffix(w, "...}") {
			return true
		}
		if i >= len(have) {
			return strings.HasSuffix(w, "?")
		}
		if strings.ContainsAny(w, ":{<[$") {
			continue
		}
		if !strings.EqualFold(w, have[i]) {
			return false
		}
	}
	return len(want) == len(have)
}

func segments(p string) []string {
	return strings.FieldsFunc(p, func(r rune) bool { return r == '/' })
}

// resembles reports whether somebody who wrote path meant the route: a letter or two
// differ, or one is the other below a prefix. Both name health, or the names are long
// enough not to meet by chance.
func resembles(route, path string) bool {
	a, b := segments(route), segments(path)
	if len(a) == 0 || len(b) == 0 || strings.ContainsAny(route, ":{<*$[") {
		return false
	}
	x, y := strings.Join(a, "/"), strings.Join(b, "/")
	if strings.HasSuffix(x, "/"+y) || strings.HasSuffix(y, "/"+x) {
		return healthy(a[len(a)-1])
	}
	return len(a) == len(b) && len(y) >= 5 && distance(x, y) <= 2
}

// healthy reports whether a path's last part is a usual name of a health check.
func healthy(name string) bool {
	name = strings.ToLower(strings.Trim(name, "_"))
	for _, word := range []string{"health", "ready", "live", "ping", "status", "alive"} {
		if strings.HasPrefix(name, word) {
			return true
		}
	}
	return false
}
