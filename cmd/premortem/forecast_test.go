package main

import (
	"testing"
	"time"

	"github.com/premortem/premortem"
)

func TestParametersOfEveryDriverAreNumbered(t *testing.T) {
	for in, want := range map[string]string{
		"SELECT * FROM t WHERE a = ? AND b = ?":                                   "SELECT * FROM t WHERE a = $1 AND b = $2",
		"SELECT * FROM t WHERE a = :a AND b = :b OR c = :a":                       "SELECT * FROM t WHERE a = $1 AND b = $2 OR c = $1",
		"SELECT * FROM t WHERE a = %(id)s AND b LIKE '%s' AND c = %s":             "SELECT * FROM t WHERE a = $1 AND b LIKE '%s' AND c = $2",
		"SELECT a::text, ':x' FROM t WHERE j @> @doc AND a=:a::uuid LIMIT :limit": "SELECT a::text, ':x' FROM t WHERE j @> $1 AND a=$2::uuid LIMIT 20",
		"SELECT j ?| $3, j ?& $3, a[1:2] FROM t -- what?\nWHERE v @@ q OFFSET $2": "SELECT j ?| $1, j ?& $1, a[1:2] FROM t -- what?\nWHERE v @@ q OFFSET 0",
		"SELECT ARRAY[:ids]::uuid[], now() - (:n || ' days')::interval":           "SELECT ARRAY[$1]::uuid[], now() - ($2 || ' days')::interval",
	} {
		if got := numbered(in); got != want {
			t.Errorf("%s\nbecame %s\nwant   %s", in, got, want)
		}
	}
}

func TestCallsOfAnORMAreWrittenAsFarAsTheyAreKnown(t *testing.T) {
	f := &prophet{sys: &premortem.System{Tables: []*premortem.Table{{Name: "user", Columns: []premortem.Column{{Name: "teamId"}, {Name: "email"}}}}}}
	for _, c := range []struct {
		q    premortem.Query
		want string
	}{
		{premortem.Query{Op: "select", Table: "user", Predicates: []premortem.Predicate{{Expr: "teamId", Op: "in"}, {Expr: "email", Op: "is"}}, Order: []string{"teamId desc"}, Limit: true},
			`SELECT * FROM "user" WHERE "teamId" = ANY ($1) AND "email" IS NULL ORDER BY "teamId" desc LIMIT 20`},
		{premortem.Query{Op: "update", Table: "user", Predicates: []premortem.Predicate{{Expr: "lower(email)", Op: "="}, {Expr: "teamId", Op: "between"}}},
			`SELECT 1 FROM "user" WHERE lower(email) = $1 AND "teamId" BETWEEN $2 AND $3`},
		{premortem.Query{Op: "select", Table: "user"}, ""},
		{premortem.Query{Op: "select", Table: "user", All: true}, `SELECT * FROM "user"`},
		{premortem.Query{Op: "insert", Table: "user", All: true}, ""},
		{premortem.Query{Op: "delete", Table: "user", Predicates: []premortem.Predicate{{Expr: "email", Op: "sounds"}}}, ""},
	} {
		if got := f.written(&c.q); got != c.want {
			t.Errorf("%+v was written %q, want %q", c.q, got, c.want)
		}
	}
}

func TestGrowthGivesDates(t *testing.T) {
	now := time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		growth  string
		largest float64
		times   float64
		want    string
	}{
		{"8%/month", 0, 2, "2026-10-16"},
		{"2x/year", 0, 4, "2028-01-15"},
		{"100%/year", 0, 4, "2028-01-15"},
		{"20000 rows/day", 1_000_000, 2, "2026-03-06"},
		{"1e6 rows/week", 1_000_000, 3, "2026-01-29"},
		{"", 0, 2, ""},
		{"20000 rows/day", 0, 2, ""},
		{"1%/year", 0, 1000, ""},
	} {
		o := forecastFlags{until: "10x", growth: c.growth}
		h, err := o.horizon()
		if err != nil {
			t.Errorf("%s: %v", c.growth, err)
			continue
		}
		at, ok := h.date(c.times, c.largest, now)
		got := ""
		if ok {
			got = at.Format("2006-01-02")
		}
		if got != c.want {
			t.Errorf("%s reaches %g× on %q, want %q", c.growth, c.times, got, c.want)
		}
	}
	for _, bad := range []string{"fast", "0%/month", "1x/year", "-3%/month", "0 rows/day", "3 rows"} {
		o := forecastFlags{until: "10x", growth: bad}
		if _, err := o.horizon(); err == nil {
			t.Errorf("--growth %q was taken", bad)
		}
	}
}
