package rehearse

import (
	"slices"
	"testing"
	"time"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/drive"
	"github.com/premortem/premortem/judge"
)

func where(table, op string, line int, exprs ...string) *premortem.Query {
	q := &premortem.Query{Table: table, Op: op, Pos: premortem.Pos{File: "a.js", Line: line}}
	for _, e := range exprs {
		q.Predicates = append(q.Predicates, premortem.Predicate{Expr: e, Op: "="})
	}
	return q
}

func TestSitesNamesTheLineWhosePredicatesStandInTheStatement(t *testing.T) {
	r := &run{sys: &premortem.System{Queries: []*premortem.Query{
		where("users", "select", 1, "lower(email)"),
		where("users", "select", 2, "id"),
		where("users", "select", 3, "id", "tenant"),
		where("users", "select", 4),
		where("orders", "select", 5, "user_id"),
		where("users", "update", 6, "id"),
		where("user", "select", 7, "id"),
	}}}
	for _, c := range []struct {
		name, op string
		want     []int
	}{
		{"an expression", `SELECT "id" FROM "users" AS "User" WHERE lower("email") = ? LIMIT ?`, []int{1}},
		{"a column with its table's name", `SELECT * FROM "users" AS "User" WHERE "User"."id" = ?`, []int{2}},
		{"the most predicates win", `SELECT * FROM users WHERE id = ? AND tenant = ?`, []int{3}},
		{"no condition", `SELECT * FROM "users" AS "User"`, []int{4}},
		{"another table", `SELECT * FROM "orders" AS "Order" WHERE "Order"."user_id" = ? ORDER BY id`, []int{5}},
		{"another verb", `UPDATE "users" SET "points"=? WHERE "id" = ?`, []int{6}},
		{"a longer column is not the same", `SELECT * FROM orders WHERE other_user_id = ?`, nil},
		{"an unknown table", `SELECT * FROM nowhere WHERE id = ?`, nil},
	} {
		var got []int
		for _, e := range r.sites(c.op) {
			got = append(got, e.Pos.Line)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: lines %v, want %v", c.name, got, c.want)
		}
	}
}

// A rule that ends a step early is asked every second, so it must be sure.
func TestAStepEndsEarlyOnlyWhenItsAnswerIsClear(t *testing.T) {
	r := &run{sys: &premortem.System{Objectives: []premortem.Objective{
		{Route: "GET /a", P95: premortem.At(0.1, "premortem.yaml", 1)},
	}}}
	snapshot := func(good, bad int) drive.Snapshot {
		rs := premortem.RouteStats{Route: "GET /a", Count: uint64(good + bad)}
		for range good {
			rs.Response.Record(10 * time.Millisecond)
		}
		for range bad {
			rs.Response.Record(time.Second)
		}
		return drive.Snapshot{Routes: []premortem.RouteStats{rs, {Route: "GET /unjudged", Count: 1000, Errors: 1000}}}
	}
	for _, c := range []struct {
		good, bad int
		want      bool
	}{{0, 51, false}, {0, 52, true}, {48, 4, false}, {40, 20, true}, {950, 50, false}, {1000, 0, false}} {
		if got := r.hopeless(snapshot(c.good, c.bad)); got != c.want {
			t.Errorf("%d good, %d beyond the limit: ended early %v, want %v", c.good, c.bad, got, c.want)
		}
	}
}

func TestAStepLastsUntilTheRarestRouteCanBeJudged(t *testing.T) {
	req := func(route string) premortem.Step {
		return premortem.Step{Request: &premortem.Request{Method: "GET", Path: route[4:], Route: route}}
	}
	r := &run{sys: &premortem.System{
		Base: premortem.Base{Calls: premortem.At(20.0, "premortem.yaml", 1)},
		Journeys: []*premortem.Journey{
			{Name: "often", Weight: 3, Steps: []premortem.Step{req("GET /a"), req("GET /a")}},
			{Name: "never", Weight: 0, Steps: []premortem.Step{req("GET /c")}},
			{Name: "rare", Weight: 1, Steps: []premortem.Step{req("GET /b"), req("GET /a")}},
		},
	}}
	r.load = drive.Workload{Journeys: r.sys.Journeys, URLs: map[premortem.Node]string{"": "http://127.0.0.1:1"}}
	if got := r.routeShares(); len(got) != 2 || got["GET /a"] != 1.75 || got["GET /b"] != 0.25 {
		t.Errorf("shares per session are %v, want GET /a 1.75 and GET /b 0.25", got)
	}
	// 10 sessions/s, a quarter of them calls GET /b: 64 of them take 25.6 s, more than is allowed.
	if got := r.hold(r.offered("calls", 1)); got != maxHold {
		t.Errorf("at 1× it lasts %v, want %v", got, maxHold)
	}
	if got := r.hold(r.offered("calls", 4)); got != 6400*time.Millisecond {
		t.Errorf("at 4× it lasts %v, want 6.4s", got)
	}
	if got := r.hold(r.offered("calls", 100)); got != minHold {
		t.Errorf("at 100× it lasts %v, want %v", got, minHold)
	}
}

// Plays the search against a system whose boundary is known.
func TestTheSearchBracketsTheBoundaryAndNeverRepeatsWhatIsTooClose(t *testing.T) {
	plan := judge.Search{X: "calls", Start: leap, Cap: 16, Tolerance: 0.25, MaxSteps: 9}
	for _, c := range []struct{ boundary, close float64 }{{1.5, 0}, {3, 0}, {3, 0.4}, {7, 0}, {12, 0.2}} {
		s := &search{points: []premortem.Point{{Multiple: 1, Answer: premortem.Holds}}}
		asked := map[float64]int{}
		for range 20 {
			m, more := s.next(plan)
			if !more {
				break
			}
			if asked[m]++; asked[m] > 1 {
				t.Errorf("boundary %v: %v× is asked again", c.boundary, m)
			}
			a := premortem.Holds
			switch {
			case m > c.boundary-c.close && m < c.boundary+c.close:
				a = premortem.Unknown
			case m >= c.boundary:
				a = premortem.Fails
			}
			s.points = append(s.points, premortem.Point{Multiple: m, Answer: a})
		}
		low, high := 0.0, 100.0
		for _, p := range s.points {
			switch p.Answer {
			case premortem.Holds:
				low = max(low, p.Multiple)
			case premortem.Fails:
				high = min(high, p.Multiple)
			}
		}
		if low > c.boundary || high < c.boundary || high/low > 2.9 {
			t.Errorf("boundary %v: bracket %v–%v", c.boundary, low, high)
		}
	}
}

func TestTheLineThatNamesTheVariableIsQuoted(t *testing.T) {
	lines := []string{
		"file:///app/src/billing.js:10", "  throw new Error('STRIPE_WEBHOOK_SECRET is not set');", "        ^", "",
		"Error: STRIPE_WEBHOOK_SECRET is not set", "    at file:///app/src/billing.js:10:9", "", "Node.js v20.20.2",
	}
	if got := errorLine(lines, "STRIPE_WEBHOOK_SECRET"); got != "Error: STRIPE_WEBHOOK_SECRET is not set" {
		t.Errorf("quoted %q", got)
	}
	if got := errorLine([]string{"boom", "    at x", ""}, "X"); got != "boom" {
		t.Errorf("quoted %q, want the last line that is not part of a stack", got)
	}
}
