package check

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/premortem/premortem"
)

// MissingAwait finds promises of the database that are used as if they were rows.
var MissingAwait = add(Rule{
	ID:       "missing-await",
	Severity: premortem.Loss,
	Certain:  true,
	Doc: premortem.Doc{
		Title: "a database call is not awaited, and its promise is used as its result",
		Why: `A promise is always true and has none of the row's fields: a check passes for
everyone, an answer is {} or lacks its values. A write may not be finished when the
user is told that it is, and its error is lost.`,
		When: `The call of an ORM or a driver returns a promise, and the code reads a field of it,
compares it, puts it into a condition or sends it.`,
		Silent: `The call is awaited, returned, chained with then, or collected for Promise.all; the
variable is awaited later; the promise is marked void or has a catch.`,
		Fix: `Put await before the call, and async before the function.`,
	},
	Run: missingAwait,
})

func missingAwait(sys *premortem.System, report func(premortem.Finding)) {
	for _, q := range sys.Queries {
		if q.Awaited || !served(q) {
			continue
		}
		what := "a promise is used as if it were the rows"
		severity := premortem.Down
		if q.Op != "select" {
			what = "the work goes on before it is done, and its error is lost"
			severity = premortem.Loss
		}
		called := q.Call
		if called == "" {
			called = strings.TrimSpace(q.Op + " " + q.Table)
		}
		f := premortem.Finding{
			Node:     q.Service,
			Subject:  subjectOf(sys, q, called),
			Severity: severity,
			Says:     fmt.Sprintf("%s does not await %s: %s", caller(sys, q), called, what),
			Evidence: []premortem.Evidence{{Says: "a promise, not its value", Pos: q.Pos, Quote: q.Quote}},
			Fix:      awaited(q),
		}
		if r := routeAt(sys, q.Pos); r != nil {
			f.Evidence = append(f.Evidence, premortem.Evidence{Says: "in the handler of " + r.Name(), Pos: r.Pos})
		}
		report(f)
	}
}

// subjectOf names a query without its line, so that an edit above keeps the key.
func subjectOf(sys *premortem.System, q *premortem.Query, what string) string {
	if r := routeAt(sys, q.Pos); r != nil {
		return r.Name() + " " + what
	}
	return q.Pos.File + " " + what
}

// calls finds a method called on something: User.findByPk(, this.db.users.findMany(.
var calls = regexp.MustCompile(`[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)+\(`)

// callIn returns the name of the first call in a source line that looks like the
// query's: "User.findByPk".
func callIn(quote string) string {
	return strings.TrimSuffix(calls.FindString(quote), "(")
}

// awaited puts await before the call. A call whose result is used at once is wrapped,
// as await binds weaker than a dot. It is safe where the function is async already and
// the line holds the whole call.
func awaited(q *premortem.Query) premortem.Fix {
	fix := premortem.Fix{Says: "put await before the call, and async before the function around it"}
	if q.Async {
		fix.Says = "put await before the call"
	}
	old := q.Call + "("
	at := strings.Index(q.Quote, old)
	if q.Call == "" || at < 0 || strings.Count(q.Quote, old) != 1 || strings.Contains(q.Quote, "…") {
		return fix
	}
	edit := premortem.Edit{Pos: q.Pos, Old: old, New: "await " + old}
	rest := q.Quote[at+len(old):]
	end := closing(rest)
	fix.Safe = q.Async && end >= 0
	if end >= 0 && end+1 < len(rest) && strings.ContainsRune(".[?!", rune(rest[end+1])) {
		whole := old + rest[:end+1]
		edit.Old, edit.New = whole, "(await "+whole+")"
		fix.Safe = fix.Safe && at > 0 && !strings.Contains(q.Quote, "***")
	}
	fix.Edits = []premortem.Edit{edit}
	return fix
}

// closing returns the index of the parenthesis that closes a call whose arguments
// s begins with, -1 when it is on another line.
func closing(s string) int {
	depth := 1
	for i, c := range s {
		switch c {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}
