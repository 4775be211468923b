package check

import (
	"fmt"
	"regexp"

	"github.com/premortem/premortem"
)

// OffsetPagination finds pages that are counted from the start.
var OffsetPagination = add(Rule{
	ID:       "offset-pagination",
	Severity: premortem.Slow,
	Doc: premortem.Doc{
		Title: "a list is paged with OFFSET",
		Why: `The database reads and throws away every row before the page: page 1,000 costs a
thousand pages. Rows are skipped or shown twice while others are added.`,
		When: `A select of a service has an OFFSET and its table has 10,000 rows or more, or grows.
On a table that is declared to be smaller it is a note.`,
		Silent: `The query belongs to a test, a migration or a script; the OFFSET is a number in the
text; nothing tells that the table grows.`,
		Fix: `Page by the last key that was shown: WHERE id > $1 ORDER BY id LIMIT n, with an
index on the key.`,
	},
	Run: offsetPagination,
})

// fixedOffset is one that no request can raise.
var fixedOffset = regexp.MustCompile(`(?i)\boffset\s+\d+\b`)

func offsetPagination(sys *premortem.System, report func(premortem.Finding)) {
	for _, q := range causes(sys) {
		if !q.Offset || fixedOffset.MatchString(q.SQL) || q.Op != "select" || q.Table == "" || !served(q) {
			continue
		}
		sz := sizeOf(sys, q.Table)
		f := premortem.Finding{
			Node:     q.Service,
			Subject:  subjectOf(sys, q, q.Table),
			Says:     fmt.Sprintf("%s pages through %s with OFFSET: its last page reads %s", caller(sys, q), q.Table, sz.all()),
			Evidence: []premortem.Evidence{{Says: "pages with OFFSET", Pos: q.Pos, Quote: q.Quote}},
			Fix:      premortem.Fix{Says: "page by the last key shown instead: WHERE id > $1 ORDER BY id LIMIT n"},
		}
		switch {
		case sz.small():
			f.Severity = asNote
		case !sz.large():
			continue
		}
		f.Evidence = append(f.Evidence, sz.evidence(q.Table))
		report(f)
	}
}
