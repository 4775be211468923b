package check

import (
	"testing"

	"github.com/premortem/premortem"
)

func TestVersionsDisagreeOnlyWhenNothingSatisfiesBoth(t *testing.T) {
	for _, c := range []struct {
		name, lang, a, b string
		want             bool
	}{
		{"a patch release is no disagreement", "node", "20.19.5", "v20.11.1", false},
		{"a major is", "node", "20-alpine", "22", true},
		{"latest against a pin", "node", "latest", "20.19.5", true},
		{"no tag against an open range", "node", "", ">=18", false},
		{"latest against a closed range", "node", "latest", ">=18 <21", true},
		{"latest against a caret", "node", "latest", "^20.9.0", true},
		{"a caret with an open alternative", "node", "latest", "^18.18.0 || >=20", false},
		{"alternatives that hold the pin", "node", "20", "^18 || ^20.9.0", false},
		{"alternatives that do not", "node", "20", "^18 || ^22", true},
		{"a pin outside the range of one major", "node", "18.12.0", ">=18.17.0", true},
		{"a line that reaches into the range", "node", "18", ">=18.17.0", false},
		{"long-term support by name", "node", "20", "lts/iron", false},
		{"another long-term line", "node", "20", "lts/hydrogen", true},
		{"any long-term version against an old pin", "node", "lts", "18", true},
		{"any long-term version against the newest", "node", "lts/*", "24", false},
		{"two that float", "node", "latest", "lts/*", false},
		{"a star allows all", "node", "20", "*", false},
		{"x ranges", "node", "20.x", "20", false},
		{"hyphen ranges", "node", "21", "18 - 20", true},
		{"what is not understood", "node", "20", "nightly build", false},
		{"Python breaks between minors", "python", "3.12-slim", "3.11.4", true},
		{"a floor of Python", "python", "3.12", ">=3.10", false},
		{"a tilde", "python", "3.12", "~3.11", true},
	} {
		a, b := versionsOf(c.lang, c.a), versionsOf(c.lang, c.b)
		if got := disagree(c.lang, a, b); got != c.want {
			t.Errorf("%s: %q and %q disagree: %t", c.name, c.a, c.b, got)
		}
		if disagree(c.lang, a, b) != disagree(c.lang, b, a) {
			t.Errorf("%s: %q and %q depend on their order", c.name, c.a, c.b)
		}
	}
}

func TestExpressionsAreComparedWithoutTheirSpelling(t *testing.T) {
	for in, want := range map[string]string{
		"email":                     "email",
		`"Email"`:                   "email",
		"u.email":                   "email",
		"LOWER( email )":            "lower(email)",
		"lower((email)::text)":      "lower(email)",
		"(lower(users.email))":      "lower(email)",
		"email text_pattern_ops":    "email",
		"created_at DESC":           "created_at",
		"created_at asc nulls last": "created_at",
		"(data ->> 'id')":           "data ->> 'id'",
	} {
		if got := expression(in); got != want {
			t.Errorf("expression(%q) is %q, want %q", in, got, want)
		}
	}
}

func TestIndexServesWhatItStartsWith(t *testing.T) {
	q := func(expr, op string) *premortem.Query {
		return &premortem.Query{Op: "select", Predicates: []premortem.Predicate{{Expr: expr, Op: op}}}
	}
	for _, c := range []struct {
		name  string
		index premortem.Index
		query *premortem.Query
		want  bool
	}{
		{"its first column", premortem.Index{Columns: []string{"user_id", "at"}}, q("user_id", "="), true},
		{"not its second", premortem.Index{Columns: []string{"user_id", "at"}}, q("at", "="), false},
		{"not a function of it", premortem.Index{Columns: []string{"email"}}, q("lower(email)", "="), false},
		{"the expression", premortem.Index{Columns: []string{"lower(email)"}}, q("lower(u.email)", "="), true},
		{"not a pattern that ignores case", premortem.Index{Columns: []string{"name"}}, q("name", "ilike"), false},
		{"a pattern with trigrams", premortem.Index{Columns: []string{"name gin_trgm_ops"}, Method: "gin"}, q("name", "ilike"), true},
		{"not a range by hash", premortem.Index{Columns: []string{"at"}, Method: "hash"}, q("at", "<"), false},
		{"not rows outside a partial index", premortem.Index{Columns: []string{"email"}, Where: "deleted_at IS NULL"}, q("email", "="), false},
		{"rows inside a partial index", premortem.Index{Columns: []string{"email"}, Where: "deleted_at IS NULL"},
			&premortem.Query{Predicates: []premortem.Predicate{{Expr: "email", Op: "="}, {Expr: "deleted_at", Op: "is null"}}}, true},
		{"an order with a limit", premortem.Index{Columns: []string{"at"}}, &premortem.Query{Order: []string{"at DESC"}, Limit: true}, true},
	} {
		if got := serves(c.index, c.query); got != c.want {
			t.Errorf("%s: serves is %t", c.name, got)
		}
	}
}

func TestNextMigrationSortsAfterTheLast(t *testing.T) {
	for last, want := range map[string]string{
		"migrations/005_notes.sql":                       "migrations/006_x.sql",
		"db/V12__notes.sql":                              "db/V13__x.sql",
		"m/000009_notes.up.sql":                          "m/000010_x.up.sql",
		"m/20240131120000-notes.sql":                     "m/20240131120001-x.sql",
		"prisma/migrations/20240131_notes/migration.sql": "prisma/migrations/20240132_x/migration.sql",
		"migrations/20240131-notes.js":                   "",
		"schema.sql":                                     "",
	} {
		got := nextMigration([]*premortem.Migration{{Pos: premortem.Pos{File: last}}}, "x", 1)
		if got != want {
			t.Errorf("after %s comes %q, want %q", last, got, want)
		}
	}
}

func TestInstanceClassesHaveTheirMemory(t *testing.T) {
	for class, want := range map[string]int{"db.t4g.micro": 1, "db.m6g.large": 8, "db.r6g.large": 16, "db.m5.4xlarge": 64, "db.x1.large": 0, "large": 0, "db..large": 0} {
		if got, _ := classMemory(class); got != want {
			t.Errorf("%s has %d GiB, want %d", class, got, want)
		}
	}
}

func TestImageTagsAreToldApart(t *testing.T) {
	for tag, want := range map[string]string{
		"": "no tag", "latest": "latest", "alpine": "the channel alpine", "lts-slim": "the channel lts-slim", "3-management": "the channel 3-management",
		"20": "a bare major version", "20-alpine": "a bare major version", "20.19": "", "20.19.5-alpine": "", "v1.2.3": "", "2024-01-31": "", "3fa9c1d": "",
	} {
		if got := tagClass(&premortem.Image{Tag: tag}); got != want {
			t.Errorf("tag %q is %q, want %q", tag, got, want)
		}
	}
}
