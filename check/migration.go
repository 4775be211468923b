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

// indexFix creates the index: on production at once and without a lock, then in a
// migration that does nothing where it exists. That order is right whether or not
// the runner wraps a migration in a transaction, in which CONCURRENTLY is refused.
// nth numbers the new migrations of one run.
func indexFix(sys *premortem.System, w *wish, nth int) premortem.Fix {
	name := indexName(w.table, w.columns)
	on := fmt.Sprintf("%s ON %s (%s)", name, w.table.Name, strings.Join(parenthesised(w.columns), ", "))
	before := ""
	if w.trigram {
		on = fmt.Sprintf("%s ON %s USING gin (%s gin_trgm_ops)", name, w.table.Name, parenthesised(w.columns)[0])
		before = "CREATE EXTENSION IF NOT EXISTS pg_trgm;\n"
	}
	fix := premortem.Fix{
		Says: fmt.Sprintf("run CREATE INDEX CONCURRENTLY %s on production, then commit it as a migration", on),
	}
	if before == "" { // an extension may be missing in the clone; that would prove nothing
		fix.Try = &premortem.Try{SQL: "CREATE INDEX " + on, Node: storeOf(sys, w.queries[0].Service)}
	}
	if file := nextMigration(sys.Migrations, name, nth); file != "" {
		text := fmt.Sprintf("-- On production first, outside a transaction:\n-- CREATE INDEX CONCURRENTLY IF NOT EXISTS %s;\n%sCREATE INDEX IF NOT EXISTS %s;", on, before, on)
		fix.Edits = []premortem.Edit{{Pos: premortem.Pos{File: file, Line: 1}, New: text}}
	}
	return fix
}

// parenthesised puts what is neither a column nor a call in parentheses, as the
// grammar of CREATE INDEX asks.
func parenthesised(exprs []string) []string {
	out := slices.Clone(exprs)
	for i, e := range out {
		if !bare.MatchString(e) && !call.MatchString(e) {
			out[i] = "(" + e + ")"
		}
	}
	return out
}

var call = regexp.MustCompile(`^[a-z_][a-z0-9_]*\([^()]*\)$`)

// maxIdentifier is PostgreSQL's NAMEDATALEN less one.
const maxIdentifier = 63

// indexName is "users_lower_email", with a suffix where that name is taken.
func indexName(t *premortem.Table, columns []string) string {
	parts := []string{strings.NewReplacer(".", "_", `"`, "").Replace(t.Name)}
	for _, c := range columns {
		parts = append(parts, words.FindAllString(c, -1)...)
	}
	name := strings.Join(parts, "_")
	name = name[:min(len(name), maxIdentifier-4)]
	if slices.ContainsFunc(t.Indexes, func(ix premortem.Index) bool { return ix.Name == name }) {
		name += "_idx"
	}
	return name
}

var numbered = regexp.MustCompile(`^([^0-9]*)([0-9]+)([._-]+)`)

// nextMigration names a file that sorts after the last migration, "" when the last
// one is not plain SQL or carries no number.
func nextMigration(migrations []*premortem.Migration, name string, nth int) string {
	if len(migrations) == 0 {
		return ""
	}
	last := migrations[len(migrations)-1].Pos.File
	if path.Ext(last) != ".sql" || strings.HasSuffix(last, ".down.sql") {
		return ""
	}
	dir, base := path.Split(last)
	if base == "migration.sql" { // one folder for each migration
		parent, folder := path.Split(strings.TrimSuffix(dir, "/"))
		if next := after(folder, name, nth); next != "" {
			return parent + next + "/migration.sql"
		}
		return ""
	}
	next := after(base, name, nth)
	if next == "" {
		return ""
	}
	if strings.HasSuffix(base, ".up.sql") {
		return dir + next + ".up.sql"
	}
	return dir + next + ".sql"
}

// after counts the number in front of a name up: after("005_notes.sql", "x", 1) is
// "006_x".
func after(base, name string, nth int) string {
	m := numbered.FindStringSubmatch(base)
	if m == nil {
		return ""
	}
	n, err := strconv.ParseInt(m[2], 10, 64)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%s%0*d%s%s", m[1], len(m[2]), n+int64(nth), m[3], name)
}
