package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// EnvRefMissingKey finds references to keys that an object of the same tree lacks.
var EnvRefMissingKey = add(Rule{
	ID:       "env-ref-missing-key",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "a workload refers to a key or an object that is not there",
		Why: `Kubernetes does not start a container whose ConfigMap, Secret or key is missing: the
pod stays in CreateContainerConfigError, and the rollout never ends.`,
		When: `A secretKeyRef, a configMapKeyRef or an envFrom of production names an object that
the tree creates in that environment, and the object has no such key; or the tree
creates every object of that kind, and this one is not among them.`,
		Silent: `The reference is optional; the object is not created in the tree, so nobody can list
its keys; a SealedSecret, a SOPS file or an ExternalSecret provides the key; the
workload belongs to another environment.`,
		Fix: `Add the key to the object, or correct the name in the reference.`,
	},
	Run: envRefMissingKey,
})

func envRefMissingKey(sys *premortem.System, report func(premortem.Finding)) {
	for _, svc := range production(sys) {
		for _, ref := range svc.References {
			if ref.Found == premortem.Missing && !ref.Optional {
				report(brokenReference(sys, svc, ref))
			}
		}
	}
}

func brokenReference(sys *premortem.System, svc *premortem.Service, ref premortem.Reference) premortem.Finding {
	f := premortem.Finding{Node: svc.Node, Subject: strings.TrimSpace(sys.Production + " " + ref.Object + " " + ref.Key)}
	what := ref.Object
	if ref.Key != "" {
		what = fmt.Sprintf("key %s of %s", ref.Key, ref.Object)
	}
	says := "needs " + what
	if ref.Env != "" {
		says = "takes " + ref.Env + " from " + what
	}
	f.Evidence = []premortem.Evidence{{Says: says + " and does not start without it", Pos: ref.Pos}}
	near, almost := nearKey(ref.Key, ref.Keys)
	switch {
	case !ref.In.Known():
		f.Says = fmt.Sprintf("%s %s, and nothing in the repository creates %s", svc.Node, says, ref.Object)
		f.Fix = premortem.Fix{Says: fmt.Sprintf("create %s, or correct its name in %s", ref.Object, ref.Pos.File)}
	case almost:
		f.Says = fmt.Sprintf("%s %s, which has %s instead", svc.Node, says, near)
		f.Fix = premortem.Fix{
			Says:  fmt.Sprintf("refer to %s, or rename it in %s", near, ref.In.File),
			Edits: renamed(ref.Pos, ref.Key, near),
		}
	default:
		f.Says = fmt.Sprintf("%s %s, which has %s, not this one", svc.Node, says, many(len(ref.Keys), "key"))
		f.Fix = premortem.Fix{Says: fmt.Sprintf("add %s to %s in %s before the deploy", ref.Key, ref.Object, ref.In.File)}
	}
	f.Certain = ref.In.Known() // both ends are written
	if ref.In.Known() {
		has := "it has no key"
		if len(ref.Keys) > 0 {
			has = "it has " + list(slices.Sorted(slices.Values(ref.Keys)))
		}
		f.Evidence = append(f.Evidence, premortem.Evidence{Says: ref.Object + " is created here: " + has, Pos: ref.In})
	}
	return f
}

// renamed is the edit that writes one word for another, none where the line is not
// known to hold it alone.
func renamed(at premortem.Pos, old, word string) []premortem.Edit {
	if !at.Known() || at.Line == 0 || old == "" {
		return nil
	}
	return []premortem.Edit{{Pos: at, Old: old, New: word}}
}

// nearKey returns the key that was probably meant: one or two letters away, or the
// same but for case and punctuation.
func nearKey(want string, keys []string) (string, bool) {
	plain := strings.NewReplacer("_", "", "-", "", ".", "")
	best, at := "", 3
	for _, k := range keys {
		d := distance(want, k)
		if strings.EqualFold(plain.Replace(want), plain.Replace(k)) {
			d = 0
		}
		if d < at && (d == 0 || len(want) >= 5) {
			best, at = k, d
		}
	}
	return best, best != ""
}
