package report

import (
	"path"
	"slices"

	"github.com/premortem/premortem"
)

// rooted is r with its places told from the root of the repository, for formats
// whose readers open files: code hosts know nothing of the folder that was checked.
// r is not changed.
func rooted(r *premortem.Report, below string) *premortem.Report {
	if below == "" || below == "." {
		return r
	}
	move := func(p *premortem.Pos) {
		if p.Known() {
			p.File = path.Join(below, p.File)
		}
	}
	out := *r
	out.Unread = slices.Clone(r.Unread)
	for i := range out.Unread {
		move(&out.Unread[i].Pos)
	}
	out.Findings = slices.Clone(r.Findings)
	for i := range out.Findings {
		f := &out.Findings[i]
		f.Evidence = slices.Clone(f.Evidence)
		for j := range f.Evidence {
			move(&f.Evidence[j].Pos)
		}
		f.Fix.Edits = slices.Clone(f.Fix.Edits)
		for j := range f.Fix.Edits {
			move(&f.Fix.Edits[j].Pos)
		}
	}
	return &out
}
