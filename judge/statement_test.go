package judge

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestFiltersNameWhatAnIndexWouldHold(t *testing.T) {
	for _, c := range []struct {
		filter string
		want   []string
	}{
		{"(lower(email) = $1)", []string{"lower(email)"}},
		{"(lower(email) = ?)", []string{"lower(email)"}},
		{"(lower((email)::text) = 'x'::text)", []string{"lower(email)"}},
		{"(lower((email)::text) = (?)::text)", []string{"lower(email)"}},
		{"((user_id = $1) AND (status = ANY ($2)))", []string{"user_id", "status"}},
		{"(email ~~ '%and %'::text)", []string{"email"}},
		{"(? = id)", []string{"id"}},
		{`("User"."email" = ?)`, []string{"email"}},
		{"(read_at IS NULL)", []string{"read_at"}},
		{"((created_at)::date = CURRENT_DATE)", []string{"created_at"}},
		{"(amount > 5)", []string{"amount"}},
		{"", nil},
		{"((((", nil},
	} {
		if got := compared(c.filter); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.filter, got, c.want)
		}
	}
}

func TestIndexStatementsAreRead(t *testing.T) {
	for _, c := range []struct {
		sql, table string
		want       []string
	}{
		{"CREATE INDEX users_lower_email ON users (lower(email))", "users", []string{"lower(email)"}},
		{`CREATE UNIQUE INDEX CONCURRENTLY "i" ON public."users" USING btree (lower(("email")::text), id DESC)`, "users", []string{"lower(email)", "id"}},
		{"create index on orders(user_id, created_at desc nulls last)", "orders", []string{"user_id", "created_at"}},
		{"DROP INDEX i", "", nil},
		{"CREATE INDEX i ON t (", "", nil},
	} {
		table, got, ok := indexed(c.sql)
		if table != c.table || !slices.Equal(got, c.want) || ok != (c.table != "") {
			t.Errorf("%s: %q %q %v, want %q %q", c.sql, table, got, ok, c.table, c.want)
		}
	}
	if got := concurrently("CREATE UNIQUE INDEX i ON t (a);"); got != "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)" {
		t.Errorf("got %q", got)
	}
}

func TestStatementsNameTheirTables(t *testing.T) {
	for op, want := range map[string]string{
		loginSQL: "users", stockSQL: "products", `INSERT INTO public.orders (a) VALUES (?)`: "orders", "BEGIN": "", "select ?": "",
	} {
		if got := tableOf(op); got != want {
			t.Errorf("%s: %q, want %q", op, got, want)
		}
	}
	if got := short("SELECT \"a\", \"b\", \"c\", \"d\", \"e\", \"f\" FROM t\nWHERE x = ?"); got != "SELECT … FROM t WHERE x = ?" {
		t.Errorf("short: %q", got)
	}
}

func TestNumbersAreWrittenForPeople(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{seconds(0.00034), "0.34 ms"}, {seconds(0.0123), "12 ms"}, {seconds(0.9996), "1 s"}, {seconds(2.13), "2.1 s"}, {seconds(31.4), "31 s"},
		{seconds(0), "0 ms"}, {seconds(math.NaN()), "0 ms"}, {seconds(-1), "0 ms"},
		{exactSeconds(0.3), "300 ms"}, {exactSeconds(0.275), "275 ms"}, {exactSeconds(1.5), "1.5 s"},
		{share(0.942), "94 %"}, {share(0.0136), "1.4 %"}, {share(0.001), "0.1 %"}, {share(0), "0 %"}, {exactShare(0.001), "0.1 %"},
		{times(2), "2×"}, {times(1.4142), "1.41×"}, {times(0.25), "0.25×"},
		{count(500_000), "500,000"}, {count(97), "97"}, {count(-1234), "-1,234"}, {about(254_321), "250,000"}, {about(3.21), "3.2"},
		{about(math.Inf(1)), "very many"}, {about(math.NaN()), "very many"},
		{plural(1, "route", "routes"), "1 route"}, {plural(1200, "route", "routes"), "1,200 routes"},
		{list([]string{"a", "b", "c"}), "a, b and c"}, {list(nil), ""},
		{size(300 << 20), "310 MB"}, {size(3 << 30), "3.2 GB"}, {cores(1.949), "1.95"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func FuzzStatement(f *testing.F) {
	for _, seed := range []string{"(lower((email)::text) = 'x'::text)", "CREATE INDEX i ON users (lower(email), id DESC)", loginSQL, "((a = 1) and (b like '%and%'))", "É İ ON index ("} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		compared(s)
		tableOf(s)
		short(s)
		concurrently(s)
		indexSubject(s)
		if table, exprs, ok := indexed(s); ok && (table == "" || len(exprs) == 0) {
			t.Errorf("%q is an index on %q (%q)", s, table, exprs)
		}
		if n := normal(s); strings.Contains(n, `"`) {
			t.Errorf("%q keeps its quotes: %q", s, n)
		}
	})
}
