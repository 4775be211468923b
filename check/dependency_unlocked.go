package check

import (
	"fmt"

	"github.com/premortem/premortem"
)

// DependencyUnlocked finds images whose packages nobody wrote down.
var DependencyUnlocked = add(Rule{
	ID:       "dependency-unlocked",
	Severity: premortem.Note,
	Certain:  true,
	Doc: premortem.Doc{
		Title: "a build installs packages, and there is no lockfile",
		Why: `A rebuild of the same commit gives another program. What was tested cannot be built
again, and the day it breaks has nothing to do with what was changed.`,
		When: `The image of a service installs the packages of a manifest that has no lockfile beside
it or in a folder above.`,
		Silent: `There is a lockfile, of whatever tool; every requirement has its exact version; the
command installs a tool by name and version.`,
		Fix: `Create the lockfile and commit it.`,
	},
	Run: dependencyUnlocked,
})

func dependencyUnlocked(sys *premortem.System, report func(premortem.Finding)) {
	seen := map[premortem.Pos]bool{}
	for _, in := range sys.Installs {
		if in.Lockfile.Set() || in.CI || in.Frozen || seen[in.Pos] {
			continue
		}
		seen[in.Pos] = true // several services may run this image
		report(premortem.Finding{
			Node:     in.Service,
			Subject:  in.Pos.File + " " + in.Tool,
			Says:     fmt.Sprintf("%s installs with %s, and no lockfile says which versions", orImage(in.Service, in.Pos.File), in.Tool),
			Evidence: []premortem.Evidence{{Says: "installs what is newest on the day of the build", Pos: in.Pos, Quote: in.Quote}},
			Fix:      premortem.Fix{Says: "create a lockfile with " + in.Tool + ", commit it, and copy it before the install"},
		})
	}
}
