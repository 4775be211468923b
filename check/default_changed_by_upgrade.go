package check

import (
	"fmt"
	"slices"

	"github.com/premortem/premortem"
)

// DefaultChangedByUpgrade finds settings that nobody makes and that another version
// makes otherwise. One revision alone has none.
var DefaultChangedByUpgrade = add(Rule{
	ID:       "default-changed-by-upgrade",
	Severity: premortem.Note,
	Certain:  true,
	Doc: premortem.Doc{
		Title: "an upgrade changes a default that nobody has set",
		Why: `A new tag or a new lockfile looks like a change of one line, and changes how long
connections live or whether they are used again. A race can appear or disappear with it.`,
		When: `Between two revisions the version of a server or of a proxy crosses the line at which a
documented default changes, and the setting is not written.`,
		Silent: `The setting is written; both versions have the same default; one of the defaults is not
known or not confirmed; the version did not change.`,
		Fix: `Write the setting down, so that the next upgrade leaves it alone.`,
	},
	Run:  func(*premortem.System, func(premortem.Finding)) {},
	Diff: defaultChangedByUpgrade,
})

func defaultChangedByUpgrade(old, new *premortem.System, report func(premortem.Finding)) {
	for _, s := range new.Servers {
		if s.KeepAlive.Set() || slices.Contains(s.Opaque, "keep_alive") || !inUse(new, s.Service) {
			continue
		}
		for _, was := range old.Servers {
			if was.Service != s.Service || was.Software != s.Software || was.KeepAlive.Set() {
				continue
			}
			changed(s.Service, s.Software, versionOf(old, was), versionOf(new, s), "keep-alive", s.Version.Pos, s.Pos, report)
			break
		}
	}
	for _, b := range new.Balancers {
		if b.Reuse.Set() || !new.IsProduction(b.Deployment) {
			continue
		}
		for _, was := range old.Balancers {
			if was.To != b.To || was.Deployment != b.Deployment || software(was) != software(b) || was.Reuse.Set() {
				continue
			}
			changed(b.To, software(b), was.Version.Value, b.Version.Value, "reuse", b.Version.Pos, b.Pos, report)
			break
		}
	}
}

// changed reports one setting whose default differs between two versions.
func changed(node premortem.Node, software, before, after, setting string, at, user premortem.Pos, report func(premortem.Finding)) {
	if plainSemver(before) == nil || plainSemver(after) == nil || before == after {
		return
	}
	a, known := Default(software, before, setting)
	b, alsoKnown := Default(software, after, setting)
	if !known || !alsoKnown || a.Text == b.Text || !a.Confirmed || !b.Confirmed {
		return
	}
	if !at.Known() {
		at = user
	}
	report(premortem.Finding{
		Node: node, Subject: software + " " + setting,
		Says: fmt.Sprintf("%s %s → %s changes %s from %s to %s, and nobody sets it", software, before, after, setting, a.Text, b.Text),
		Evidence: []premortem.Evidence{
			{Says: fmt.Sprintf("now %s: %s (%s)", after, b.Text, b.cite()), Pos: at},
			{Says: fmt.Sprintf("before %s: %s (%s)", before, a.Text, a.cite()), Pos: user},
		},
		Fix: premortem.Fix{Says: fmt.Sprintf("write %s of %s down", setting, software)},
	})
}
