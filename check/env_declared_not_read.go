package check

import (
	"fmt"

	"github.com/premortem/premortem"
)

// EnvDeclaredNotRead finds variables that are set under a name that is almost the
// one that is read.
var EnvDeclaredNotRead = add(Rule{
	ID:       "env-declared-not-read",
	Severity: premortem.Note,
	Doc: premortem.Doc{
		Title: "production sets a variable that nobody reads, one letter from one that is read",
		Why: `Somebody meant to configure the service and configured nothing. The value that was
meant to change stays as it was.`,
		When: `Production gives a service a variable that its code does not read, and the code
reads one whose name differs by one or two letters and that production does not give.`,
		Silent: `No similar name is read; the similar name is provided too; the code of the service
is not known or computes names.`,
		Fix: `Rename the variable to the name that is read.`,
	},
	Run: envDeclaredNotRead,
})

func envDeclaredNotRead(sys *premortem.System, report func(premortem.Finding)) {
	for _, svc := range production(sys) {
		read := map[string]bool{}
		computed := false
		vars := sys.EnvOf(svc.Node)
		for _, v := range vars {
			read[v.Name] = true
			computed = computed || v.Class == premortem.EnvDyn
		}
		for _, v := range vars {
			p, _ := sys.Provision(sys.Production, svc.Node, v.Name)
			if computed || v.Unsure != "" || p == premortem.Provided || p == premortem.ProvidedEmpty || given(kindOf(sys, sys.Production), v.Name) {
				continue
			}
			set := similar(svc, v.Name)
			if set == nil || read[set.Name] || len(v.Reads) == 0 {
				continue
			}
			report(notRead(sys, v, set))
		}
	}
}

func notRead(sys *premortem.System, v *premortem.EnvVar, set *premortem.EnvSet) premortem.Finding {
	f := premortem.Finding{
		Node:    v.Service,
		Subject: sys.Production + " " + set.Name,
		Says:    fmt.Sprintf("%s is set for %s and never read; the code reads %s", set.Name, v.Service, v.Name),
		Evidence: []premortem.Evidence{
			{Says: "set by " + set.Source, Pos: set.Pos},
			{Says: "this name is read", Pos: v.Reads[0].Pos, Quote: v.Reads[0].Quote},
		},
		Fix: premortem.Fix{
			Says:  fmt.Sprintf("rename %s to %s", set.Name, v.Name),
			Edits: []premortem.Edit{{Pos: set.Pos, Old: set.Name, New: v.Name}},
		},
	}
	missing := premortem.Finding{Rule: EnvMissing.ID, Node: v.Service, Subject: sys.Production + " " + v.Name}
	f.Because = missing.Key()
	return f
}
