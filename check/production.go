package check

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

// fewRows is the size below which reading a whole table is not worth a finding: a
// few milliseconds on any machine.
const fewRows = 10_000

// production returns the services that production runs.
func production(sys *premortem.System) []*premortem.Service {
	if sys.Production == "" {
		return nil
	}
	return sys.ServicesOf(sys.Production)
}

// inProduction returns production's form of a service, nil when it does not run it.
func inProduction(sys *premortem.System, n premortem.Node) *premortem.Service {
	if sys.Production == "" {
		return nil
	}
	return sys.In(sys.Production, n)
}

// kindOf is "kubernetes", "compose", … or "" for a deployment that is not known.
func kindOf(sys *premortem.System, deployment string) string {
	for _, d := range sys.Deployments {
		if d.Name == deployment {
			return d.Kind
		}
	}
	return ""
}

// rowsOf returns the declared number of rows of a table.
func rowsOf(sys *premortem.System, table string) premortem.Setting[int] {
	for _, w := range sys.Database.Rows {
		if strings.TrimPrefix(w.Table, "public.") == strings.TrimPrefix(table, "public.") {
			return w.Rows
		}
	}
	return premortem.Setting[int]{}
}

// size is what is known about how large a table gets.
type size struct {
	rows   premortem.Setting[int]
	insert *premortem.Query // a statement of a service that adds rows
}

// sizeOf returns what the repository says about the size of a table.
func sizeOf(sys *premortem.System, table string) size {
	s := size{rows: rowsOf(sys, table)}
	for _, q := range sys.Queries {
		if q.Op == "insert" && q.Table == table && served(q) {
			s.insert = q
			break
		}
	}
	return s
}

// large reports whether the table has many rows or grows with use.
func (s size) large() bool {
	if s.rows.Set() {
		return s.rows.Value >= fewRows
	}
	return s.insert != nil
}

// small reports whether the table is declared to have few rows.
func (s size) small() bool { return s.rows.Set() && s.rows.Value < fewRows }

// all is "all 500,000 rows" or "every row".
func (s size) all() string {
	if s.rows.Set() {
		return "all " + count(s.rows.Value) + " rows"
	}
	return "every row"
}

func (s size) evidence(table string) premortem.Evidence {
	if s.rows.Set() {
		return premortem.Evidence{
			Says: fmt.Sprintf("%s has %s rows in production", table, count(s.rows.Value)), Pos: s.rows.Pos}
	}
	return premortem.Evidence{
		Says: table + " grows: rows are added here", Pos: s.insert.Pos, Quote: s.insert.Quote}
}

// served reports whether a query may run for a user: it is not part of a test, a
// migration, a seed or a script.
func served(q *premortem.Query) bool {
	above := ""
	for _, part := range strings.Split(path.Dir(q.Pos.File), "/") {
		part = strings.Trim(strings.ToLower(part), "_")
		switch part {
		case "test", "tests", "spec", "specs", "e2e", "fixtures", "migrations", "migrate", "migration", "data_migrations",
			"data_migrate", "seed", "seeds", "seeders", "scripts", "bin", "tools", "examples", "node_modules", "vendor":
			return false
		case "commands": // of Django and Laravel: a person runs them
			if above == "management" || above == "console" {
				return false
			}
		case "data": // Rails: changes of rows that run once
			if above == "db" {
				return false
			}
		}
		if strings.HasPrefix(part, "test-") || strings.HasPrefix(part, "tests-") {
			return false
		}
		above = part
	}
	name := path.Base(q.Pos.File)
	return !strings.Contains(name, ".test.") && !strings.Contains(name, ".spec.") && !strings.HasSuffix(name, "_test.go") &&
		!madeUp.MatchString(strings.ToLower(name))
}

// madeUp finds files that fill a database with rows nobody entered.
var madeUp = regexp.MustCompile(`(?:^|[_.-])(?:random|fake|dummy|mock|sample|seed|test|demo)_?-?data(?:[_.-]|$)|^seed(?:s|er)?\.|populate_?db|[_-]seed(?:s|er)?\.`)

// routeAt returns the route whose handler holds the position, nil if none is known.
func routeAt(sys *premortem.System, p premortem.Pos) *premortem.Route {
	var best *premortem.Route
	for _, r := range sys.Routes {
		if r.Pos.File == p.File && r.Pos.Line <= p.Line && p.Line <= r.End && (best == nil || r.Pos.Line > best.Pos.Line) {
			best = r
		}
	}
	return best
}

// caller names who runs a query: its route, else its file and line.
func caller(sys *premortem.System, q *premortem.Query) string {
	if r := routeAt(sys, q.Pos); r != nil {
		return r.Name()
	}
	return q.Pos.String()
}

// storeOf returns the database that a service queries, "" when none or several.
func storeOf(sys *premortem.System, service premortem.Node) premortem.Node {
	var nodes []premortem.Node
	for _, d := range sys.From(service) {
		for _, st := range sys.StoresOf(d.To) {
			if st.Kind == "postgres" && !slices.Contains(nodes, st.Node) {
				nodes = append(nodes, st.Node)
			}
		}
	}
	if len(nodes) != 1 {
		return ""
	}
	return nodes[0]
}

// count writes a number with its thousands apart: 500,000.
func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// many writes a number with its noun: "1 key", "2 keys".
func many(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(n) + " " + noun + "s"
}

// list joins words as a person does: "a, b and c".
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
