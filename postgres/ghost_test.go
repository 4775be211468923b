package postgres

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// One ghost of a small populated database serves the tests of what a ghost does.
func TestGhost(t *testing.T) {
	w := readWorkload(t, 1100)
	w.populate(t, server, "small_ghost", "breadth", 1)
	p, err := server.TakeProfile(t.Context(), "small_ghost")
	if err != nil {
		t.Fatal(err)
	}
	g := w.ghost(t, server, p)
	t.Run("agrees with its database", func(t *testing.T) {
		a, err := g.Agree(t.Context(), server.SocketDSN("small_ghost"), append(w.queries, "SELECT * FROM nothing"))
		if err != nil || a.Equal != a.Of || a.Of != len(w.queries) {
			t.Errorf("agreement is %+v, %v", a, err)
		}
	})
	if err := server.DropDatabase(t.Context(), "small_ghost"); err != nil {
		t.Fatal(err)
	}
	t.Run("of a billion rows takes no disk", func(t *testing.T) { billionRows(t, w, p, g) })
	t.Run("answers for its present size only", func(t *testing.T) { presentSize(t, g) })
	t.Run("shrinks again", func(t *testing.T) { shrinks(t, w, g) })
	t.Run("finds the index that prevents growth", func(t *testing.T) { preventsGrowth(t, g) })
	t.Run("survives the profile's file", func(t *testing.T) { survivesFile(t, w, p) })
}

func billionRows(t *testing.T, w workload, p *Profile, g *Ghost) {
	rows := max(p.Relation("public", "lines").Rows, 1)
	size, err := g.At(t.Context(), growthModel("breadth", 1e9/rows))
	if err != nil {
		t.Fatal(err)
	}
	if got := size.Profile.Relation("public", "lines").Rows; got < 0.999e9 || size.Rows < got {
		t.Errorf("lines have %.0f rows, all tables %.0f", got, size.Rows)
	}
	wrong, err := size.Check(t.Context())
	if err != nil || len(wrong) > 0 {
		t.Errorf("the ghost differs from its profile: %q, %v", wrong, err)
	}
	used, apparent, err := diskUsed(g.Dir())
	if err != nil || used > 100<<20 || apparent < 40<<30 {
		t.Errorf("%d MB on disk for %d MB, %v; want less than 100 MB for more than 40 GB", used>>20, apparent>>20, err)
	}
	plan, err := size.Explain(t.Context(), "SELECT * FROM lines WHERE quantity = 3")
	if err != nil || len(plan.Scans) != 1 || plan.Scans[0].TableRows < 0.999e9 || !strings.Contains(plan.Text, "Seq Scan on lines") {
		t.Errorf("plan %+v, %v", plan, err)
	}
	for _, q := range w.queries {
		if _, err := size.Explain(t.Context(), q); err != nil {
			t.Errorf("%s: %v", q, err)
		}
	}
}

func presentSize(t *testing.T, g *Ghost) {
	first, err := g.At(t.Context(), Growth{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.At(t.Context(), growthModel("breadth", 3)); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Explain(t.Context(), "SELECT 1"); err == nil {
		t.Error("a size that is gone was planned in")
	}
}

func shrinks(t *testing.T, w workload, g *Ghost) {
	var plans [][]string
	for _, k := range []float64{1, 1000, 1} {
		if _, err := g.At(t.Context(), growthModel("breadth", k)); err != nil {
			t.Fatal(err)
		}
		plans = append(plans, shapes(t, w.plans(t, g.srv, ghostDatabase)))
	}
	if !slices.Equal(plans[0], plans[2]) || slices.Equal(plans[0], plans[1]) {
		t.Error("plans at 1× differ before and after 1000×, or are those of 1000×")
	}
}

func TestGhostRefusesAnotherMajor(t *testing.T) {
	p := &Profile{Schema: ProfileSchema, Server: ServerStats{Version: 120022, BlockSize: blockSize}}
	_, err := NewGhost(t.Context(), server.Binaries(), nil, p, GhostOptions{})
	wantError(t, err, "PostgreSQL 12", "the profile's major")
}

func preventsGrowth(t *testing.T, g *Ghost) {
	asked := []struct{ name, sql, index string }{
		{"an expression under a LIMIT", "SELECT id FROM members WHERE upper(email) = $1 LIMIT 1", "(upper(email))"},
		{"a column", "SELECT * FROM purchases WHERE amount = $1", "(amount)"},
		{"the rows that a constant leaves", "SELECT * FROM purchases WHERE state = 'refunded' ORDER BY amount LIMIT 50", "(amount) WHERE state = 'refunded'::purchase_state"},
		{"an order", "SELECT * FROM members ORDER BY joined DESC LIMIT 20", "(joined DESC)"},
		{"a partitioned table", "SELECT * FROM visits WHERE at BETWEEN '2024-11-10' AND '2024-11-11'", "visits (at)"},
		{"a key", "SELECT * FROM members WHERE id = $1", ""},
		{"every row", "SELECT sum(amount) FROM purchases", ""},
		{"no such table", "SELECT * FROM nothing", "error"},
		{"a value that is none", "SELECT * FROM members WHERE id = 'canary'", "error"},
	}
	var statements []string
	for _, a := range asked {
		statements = append(statements, a.sql)
	}
	s, err := g.Sweep(t.Context(), statements, SweepOptions{Multiples: []float64{1, 10, 100, 1000}, Still: []string{"goods"}})
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(s.Growing, "public.goods") || !slices.Contains(s.Growing, "public.purchases") {
		t.Errorf("growing are %q", s.Growing)
	}
	for i, o := range s.Statements {
		want := asked[i]
		switch {
		case want.index == "error":
			if o.Err == nil || strings.Contains(o.Err.Error(), "canary") {
				t.Errorf("%s: the error is %v", want.name, o.Err)
			}
		case o.Err != nil:
			t.Errorf("%s: %v", want.name, o.Err)
		case want.index == "" && o.Advice != nil:
			t.Errorf("%s: advised %+v", want.name, *o.Advice)
		case want.index != "" && (o.Advice == nil || !strings.HasSuffix(o.Advice.SQL, want.index)):
			t.Errorf("%s: advised %+v, want %s", want.name, o.Advice, want.index)
		case want.index != "" && (o.Advice.Bytes <= 0 || o.Advice.BytesThen < o.Advice.Bytes || o.Advice.Writes == ""):
			t.Errorf("%s: nothing is said of its size and its price: %+v", want.name, *o.Advice)
		}
	}
	if e := s.Statements[0].Exponent; e < 0.9 {
		t.Errorf("the look-up grows with exponent %.2f, want about 1: the planner hopes to end early", e)
	}
	if e := s.Statements[5].Exponent; e > 0.1 {
		t.Errorf("the look-up by key grows with exponent %.2f", e)
	}
	if e := s.Statements[6].Exponent; e < 0.7 {
		t.Errorf("the sum grows with exponent %.2f", e)
	}
}

func survivesFile(t *testing.T, w workload, p *Profile) {
	file := filepath.Join(t.TempDir(), "profile.json")
	write := func(v any) {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(p)
	again, err := LoadProfile(file)
	if err != nil {
		t.Fatal(err)
	}
	g := w.ghost(t, server, again)
	if _, err := g.At(t.Context(), Growth{}); err != nil || len(g.Notes) > 0 {
		t.Errorf("notes %q, %v", g.Notes, err)
	}
	bad := *p
	bad.Schema = "premortem/profile/v9"
	write(bad)
	_, err = LoadProfile(file)
	wantError(t, err, "v9", "premortem profile")
	bad = *p
	bad.Columns = slices.Clone(p.Columns)
	bad.Columns[0].Table = "nowhere"
	write(bad)
	_, err = LoadProfile(file)
	wantError(t, err, "nowhere", "make it again")
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = LoadProfile(file)
	wantError(t, err, "unexpected end", "premortem profile")
}

func TestBoundsGrowWithinTheirType(t *testing.T) {
	for _, c := range []struct{ bounds, kind, want string }{
		{"{1,50,100}", "bigint", `{"1","491","991"}`},
		{"{1,1000000000}", "integer", `{"1","2147483647"}`},
		{"{5,10}", "bigint", `{"41","91"}`},
		{"{a,b}", "bigint", "{a,b}"},
		{"", "bigint", ""},
	} {
		if got := reachFurther(c.bounds, 10, c.kind); got != c.want {
			t.Errorf("%s of %s at 10×: %s, want %s", c.bounds, c.kind, got, c.want)
		}
	}
	if got, want := reachBack("{2024-01-01,2024-01-11}", 3), `{"2023-12-12","2024-01-11"}`; got != want {
		t.Errorf("days reach back to %s, want %s", got, want)
	}
}

func TestMemorySettingsAreRead(t *testing.T) {
	for in, want := range map[string]float64{"4MB": 4 << 20, "64kB": 64 << 10, "1GB": 1 << 30, "8192": 8 << 20, "": 0, "much": 0} {
		if got := sizeSetting(in); got != want {
			t.Errorf("%q is %.0f bytes, want %.0f", in, got, want)
		}
	}
	if m := memoryOf(map[string]string{}, 14); m.hash != 4<<20 {
		t.Errorf("a hash may use %.0f in 14", m.hash)
	}
	if m := memoryOf(map[string]string{"work_mem": "8MB"}, 18); m.hash != 16<<20 {
		t.Errorf("a hash may use %.0f in 18", m.hash)
	}
}

func FuzzSplitArrayReadsWhatJoinArrayWrites(f *testing.F) {
	f.Add("a", `b"\`, "")
	f.Add("NULL", "{,}", " ")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		in := []string{a, b, c}
		if got := splitArray(joinArray(in)); !slices.Equal(got, in) {
			t.Errorf("%q came back as %q", in, got)
		}
		splitArray(a) // must not panic
	})
}

func FuzzExtendedStatisticsOfAnyBytes(f *testing.F) {
	f.Add(encodeDistinct([]group{{[]int16{1, 2}, 42}, {[]int16{1, 2, 3}, 99}}))
	f.Add([]byte{0xC2, 0x51, 0xA6, 0xE1, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if groups, err := decodeDistinct(raw); err == nil && len(groups) > 0 {
			if again, err := decodeDistinct(encodeDistinct(groups)); err != nil || len(again) != len(groups) {
				t.Errorf("%v came back as %v, %v", groups, again, err)
			}
		}
		_, _ = translateCommon(raw, map[uint32]uint32{1: 2}, nil)
	})
}
