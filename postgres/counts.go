package postgres

import (
	"slices"
	"strings"
)

// journals are the tables in which migration runners keep what they did.
var journals = []string{
	"sequelizemeta", "sequelizedata", "schema_migrations", "schema_migration", "knex_migrations", "knex_migrations_lock",
	"migrations", "flyway_schema_history", "goose_db_version", "_prisma_migrations", "databasechangelog",
	"databasechangeloglock", "alembic_version", "ar_internal_metadata", "django_migrations", "pgmigrations",
	"typeorm_metadata", "gorp_migrations", "__drizzle_migrations",
}

// counts decides how many rows each table gets.
func (r *Rows) counts() {
	declared := map[string]int64{}
	for name, n := range r.options.Rows {
		declared[strings.TrimPrefix(name, "public.")] = n
	}
	r.profiled(declared)
	largest := int64(0)
	for _, t := range r.schema.Tables {
		if t.Leaf || slices.Contains(journals, strings.ToLower(t.Local)) {
			continue
		}
		rows := &tableRows{def: t, total: -1, grids: map[string]grid{}}
		if n, ok := declared[t.Name]; ok {
			rows.total, rows.big = n, true
			largest = max(largest, n)
			if t.Rows > 0 {
				r.note("%s: the %s rows that migrations put there are replaced by generated ones", t.Name, atMost(t.Rows))
			}
		} else if t.Rows > 0 {
			rows.total, rows.kept = t.Rows, true
			r.note("%s: keeps the %s rows that migrations put there", t.Name, atMost(t.Rows))
		}
		r.tables = append(r.tables, rows)
	}
	r.countChildren(largest)
	r.countParents()
	for _, t := range r.tables {
		if t.total < 0 {
			t.total = 100
			r.note("%s: 100 rows, a guess: nothing declared is related to it", t.def.Name)
		}
	}
}

func atMost(n int64) string {
	if n > keptMax {
		return "more than " + commas(keptMax)
	}
	return commas(n)
}

// countChildren gives tables that point at big ones a number by a guessed fan-out,
// at most as many as the largest declared table, again and again until no table
// gets one any more.
func (r *Rows) countChildren(largest int64) {
	for again := true; again; {
		again = false
		for _, t := range r.tables {
			if t.total >= 0 {
				continue
			}
			parent := r.biggestParent(t)
			if parent == nil {
				continue
			}
			fan, why := fanOut(t.def, parent.def)
			t.total, t.big, again = min(int64(float64(parent.total)*fan), max(largest, 1)), true, true
			capped := ""
			if int64(float64(parent.total)*fan) > t.total {
				capped = ", no more than the largest declared table"
			}
			r.note("%s: %s rows, a guess: %s%s; declare its rows to be sure", t.def.Name, commas(t.total), why, capped)
		}
	}
}

// biggestParent is the largest big table that t points at, nil when there is none.
func (r *Rows) biggestParent(t *tableRows) *tableRows {
	var best *tableRows
	for _, f := range t.def.Foreign {
		p := r.table(f.RefTable)
		if p != nil && p != t && p.big && p.total >= 0 && (best == nil || p.total > best.total) {
			best = p
		}
	}
	return best
}

// fanOut guesses how many rows of a child exist for each row of its parent.
func fanOut(child, parent *Table) (float64, string) {
	for _, k := range child.Keys {
		for _, f := range child.Foreign {
			if f.RefTable == parent.Name && sameSet(k.Columns, f.Columns) {
				return 1, "one for each row of " + parent.Name
			}
		}
	}
	name := strings.ToLower(child.Local)
	for _, c := range []struct {
		sign string
		fan  float64
		why  string
	}{
		{"item", 3, "three for each row of "}, {"line", 3, "three for each row of "},
		{"event", 5, "five for each row of "}, {"log", 5, "five for each row of "}, {"message", 5, "five for each row of "},
		{"session", 1, "one for each row of "}, {"token", 1, "one for each row of "}, {"profile", 1, "one for each row of "},
		{"setting", 1, "one for each row of "}, {"payment", 1, "one for each row of "}, {"address", 1, "one for each row of "},
	} {
		if strings.Contains(name, c.sign) {
			return c.fan, c.why + parent.Name
		}
	}
	return 2, "two for each row of " + parent.Name
}

func sameSet(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for _, v := range a {
		if !slices.Contains(b, v) {
			return false
		}
	}
	return true
}

// countParents gives tables that counted ones point at a small number.
func (r *Rows) countParents() {
	for again := true; again; {
		again = false
		for _, t := range r.tables {
			for _, f := range t.def.Foreign {
				p := r.table(f.RefTable)
				if t.total < 0 || p == nil || p.total >= 0 {
					continue
				}
				p.total, again = parentRows(p.def, t), true
				r.note("%s: %s rows, a guess: %s points at it; declare its rows to be sure", p.def.Name, commas(p.total), t.def.Name)
			}
		}
	}
}

func parentRows(p *Table, child *tableRows) int64 {
	name := strings.ToLower(p.Local)
	has := func(signs ...string) bool {
		return slices.ContainsFunc(signs, func(s string) bool { return strings.Contains(name, s) })
	}
	n := max(child.total, 1)
	for _, k := range child.def.Keys { // one to one
		for _, f := range child.def.Foreign {
			if f.RefTable == p.Name && sameSet(k.Columns, f.Columns) {
				return n
			}
		}
	}
	switch {
	case has("countr", "currenc", "role", "status", "categor", "plan", "type", "tier", "region", "permission"):
		return 20
	case has("user", "customer", "account", "member", "person", "people"):
		return min(max(n/5, 10), 100_000)
	case has("product", "item", "article", "book"):
		return min(max(n/1000, 100), 10_000)
	}
	return min(max(n/100, 10), 1000)
}
