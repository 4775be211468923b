package check

import (
	"fmt"
	"strings"

	"github.com/premortem/premortem"
)

// LivenessKillsUnderLoad finds liveness probes that fail when something else is slow.
var LivenessKillsUnderLoad = add(Rule{
	ID:       "liveness-kills-under-load",
	Severity: premortem.Down,
	Certain:  true,
	Doc: premortem.Doc{
		Title: "a slow dependency makes Kubernetes kill every pod",
		Why: `The liveness probe asks a route that needs the database or another service. When that is
slow, the probe fails in all pods at once and all of them are restarted, which loads the
slow part even more.`,
		When: `The handler of the liveness probe's route queries a database or calls something else. A
liveness probe that equals the readiness probe, with three failures or less, is a note:
one of them should be able to fail without the other.`,
		Silent: `The handler answers by itself; it cannot be found; another path is used for liveness.`,
		Fix: `Let liveness ask a route that answers a constant; keep the checks of dependencies in
readiness.`,
	},
	Run: livenessKillsUnderLoad,
})

func livenessKillsUnderLoad(sys *premortem.System, report func(premortem.Finding)) {
	for _, svc := range production(sys) {
		for i := range svc.Probes {
			p := &svc.Probes[i]
			if p.Kind != "liveness" || !p.Path.Set() {
				continue
			}
			if f, ok := livenessAsks(sys, svc, p); ok {
				report(f)
			} else if f, ok := livenessIsReadiness(svc, p); ok {
				report(f)
			}
		}
	}
}

// livenessAsks looks for a query or a call in the handler of a probe's route.
func livenessAsks(sys *premortem.System, svc *premortem.Service, p *premortem.Probe) (premortem.Finding, bool) {
	timeout := waits(p.Timeout, "kubernetes", "", "probe timeout", p.Pos)
	for _, r := range sys.Routes {
		if r.Service != svc.Node || strings.ToUpper(r.Method) != "GET" || !matchesPath(r.Path, p.Path.Value) || strings.ContainsAny(r.Path, ":{*") {
			continue
		}
		what, at := asked(sys, r)
		if what == "" {
			continue
		}
		return premortem.Finding{
			Node: svc.Node, Subject: svc.Deployment + " " + p.Path.Value,
			Says: fmt.Sprintf("liveness of %s asks %s, which needs %s: when that is slow, all pods are killed at once", svc.Node, r.Name(), what),
			Evidence: []premortem.Evidence{
				{Says: "the liveness probe asks for " + p.Path.Value, Pos: p.Path.Pos},
				at,
				timeout.evidence("the probe gives up after"),
			},
			Fix: premortem.Fix{Says: "let liveness ask a route that answers a constant, and readiness this one"},
		}, true
	}
	return premortem.Finding{}, false
}

// asked says what the handler of a route waits for, "" when it answers by itself.
func asked(sys *premortem.System, r *premortem.Route) (string, premortem.Evidence) {
	within := func(p premortem.Pos) bool {
		return p.File == r.Pos.File && r.Pos.Line <= p.Line && p.Line <= r.End
	}
	for _, q := range sys.Queries {
		if within(q.Pos) {
			return "the database", siteText("its handler asks the database", q.Pos, q.Quote)
		}
	}
	for _, c := range sys.Calls {
		if within(c.Pos) {
			return callee(c), siteText("its handler calls "+callee(c), c.Pos, c.Quote)
		}
	}
	return "", premortem.Evidence{}
}

func livenessIsReadiness(svc *premortem.Service, p *premortem.Probe) (premortem.Finding, bool) {
	if p.Failures.Or(3) > 3 {
		return premortem.Finding{}, false
	}
	for _, other := range svc.Probes {
		if other.Kind != "readiness" || other.Path.Value != p.Path.Value || !other.Path.Set() || other.Port.Value != p.Port.Value {
			continue
		}
		if other.Failures.Or(3) < p.Failures.Or(3) || other.Period.Or(10) < p.Period.Or(10) || other.Timeout.Or(1) < p.Timeout.Or(1) {
			continue // readiness gives up first: the pod leaves before it is killed
		}
		return premortem.Finding{
			Node: svc.Node, Subject: svc.Deployment + " " + p.Path.Value, Severity: asNote,
			Says: fmt.Sprintf("liveness of %s is the same check as readiness: a pod that should only leave for a while is killed", svc.Node),
			Evidence: []premortem.Evidence{
				{Says: fmt.Sprintf("liveness: %s, killed after %d failures", p.Path.Value, p.Failures.Or(3)), Pos: p.Path.Pos},
				{Says: "readiness: the same path, no stricter", Pos: other.Path.Pos},
			},
			Fix: premortem.Fix{Says: "give liveness a route that answers a constant, or more failures than readiness"},
		}, true
	}
	return premortem.Finding{}, false
}
