package check

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/premortem/premortem"
)

// UnboundedSelect finds queries whose answer grows with the table.
var UnboundedSelect = add(Rule{
	ID:       "unbounded-select",
	Severity: premortem.Slow,
	Doc: premortem.Doc{
		Title: "a query loads every row of a table that grows",
		Why: `The answer is as large as the table: it takes milliseconds in the first month, seconds in
the second year, and then the process runs out of memory, with all requests in it.`,
		When: `A select of a service has no LIMIT, holds all rows in memory at once, and compares
nothing that picks few of them, on a table that is declared to have 10,000 rows or more,
or whose size is not declared and to which a service adds rows. From a million declared
rows on it is down.`,
		Silent: `The query has a limit, an aggregate, or compares a column for equality (its answer is
bounded by what the column names); it is streamed row by row; the table is declared to be
small; the query belongs to a test, a migration, a script, an export or a job; its text
holds a part that is not known.`,
		Fix: `Add ORDER BY and LIMIT and page by the last key shown, or read with a cursor.`,
	},
	Run: unboundedSelect,
})

// fatalRows is the size from which an answer of whole rows does not fit the memory of
// a usual container: at 1 kB for a row, a gigabyte.
const fatalRows = 1_000_000

var (
	aggregate = regexp.MustCompile(`(?i)^\s*select\s+(distinct\s+)?(coalesce\s*\(\s*)?(count|sum|max|min|avg|exists|bool_or|bool_and|json_agg|jsonb_agg|string_agg|array_agg)\s*\(`)
	grouped   = regexp.MustCompile(`(?i)\bgroup\s+by\b|\bfetch\s+(first|next)\b|\blimit\b|\bdistinct\b`)
	offline   = regexp.MustCompile(`(?i)export|backup|dump|backfill|import|cron|jobs?\b|worker|queue|task|command|cli\b|console|report|admin|sync|batch`)
)

func unboundedSelect(sys *premortem.System, report func(premortem.Finding)) {
	for _, q := range causes(sys) {
		if !q.All || q.Limit || q.Op != "select" || q.Table == "" || !served(q) || offline.MatchString(path.Base(q.Pos.File)) {
			continue
		}
		sz := sizeOf(sys, q.Table)
		if !sz.large() || aggregate.MatchString(q.SQL) || grouped.MatchString(q.SQL) || bounded(sys, q) {
			continue
		}
		f := premortem.Finding{
			Node:     q.Service,
			Subject:  subjectOf(sys, q, q.Table),
			Certain:  sz.rows.Set(),
			Says:     fmt.Sprintf("%s holds %s of %s in memory at once: nothing limits the answer", caller(sys, q), sz.all(), q.Table),
			Evidence: []premortem.Evidence{{Says: "no LIMIT and no comparison that picks few rows", Pos: q.Pos, Quote: q.Quote}, sz.evidence(q.Table)},
			Fix:      premortem.Fix{Says: "add ORDER BY id LIMIT n and continue with WHERE id > the last key shown, or read with a cursor"},
		}
		if sz.rows.Value >= fatalRows {
			f.Severity = premortem.Down
		}
		if !sz.rows.Set() {
			f.Severity = asNote
		}
		report(f)
	}
}

// bounded reports a query that compares something which may pick few rows, or whose
// comparisons are not known.
func bounded(sys *premortem.System, q *premortem.Query) bool {
	t := sys.Table(q.Table)
	for _, p := range q.Predicates {
		e := expression(p.Expr)
		if t == nil || !shared(t, e) && selective(p.Op) {
			return true
		}
	}
	// A condition that was not understood as a comparison.
	where := strings.Contains(strings.ToLower(q.SQL), " where ")
	return len(q.Predicates) == 0 && (where || q.SQL == "")
}
