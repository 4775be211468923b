package postgres

import (
	"fmt"
	"testing"
)

// What plans show beyond their scans, each beside its near miss.
func TestAPlanShowsWhatGrows(t *testing.T) {
	db := database(t, fmt.Sprintf(orders, 50_000)+`CREATE INDEX orders_note ON orders (note); DELETE FROM orders WHERE customer_id > 900; DROP INDEX orders_customer;
ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers (id); ANALYZE`)
	dsn := server.SocketDSN(db)
	explain := func(sql string, args ...any) (out struct {
		skipped float64
		spilled int64
		passed  string
		differs bool
	}) {
		t.Helper()
		p, err := Explain(t.Context(), dsn, sql, args, true)
		if err != nil {
			t.Fatal(err)
		}
		out.skipped = p.Skipped
		for _, s := range p.Spilled {
			out.spilled += s.Bytes
		}
		for _, s := range p.Scans {
			out.passed += s.PassedBy
		}
		out.differs = p.Generic != nil && p.Generic.Differs
		return out
	}
	if got := explain("SELECT id FROM orders ORDER BY id LIMIT 10 OFFSET 20000"); got.skipped != 20000 {
		t.Errorf("OFFSET 20000 skips %v rows", got.skipped)
	}
	if got := explain("SELECT id FROM orders ORDER BY id LIMIT 10"); got.skipped != 0 {
		t.Errorf("LIMIT 10 skips %v rows", got.skipped)
	}
	if got := explain(`SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY md5(note) || md5(note) || md5(note) COLLATE "C", id) n FROM orders) r`); got.spilled < 1<<20 {
		t.Errorf("a sort of all rows spills %d bytes", got.spilled)
	}
	if got := explain(`SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY note COLLATE "C", id) n FROM orders WHERE id < 100) r`); got.spilled != 0 {
		t.Errorf("a sort of 100 rows spills %d bytes", got.spilled)
	}
	if got := explain("SELECT id FROM orders WHERE lower(note) = $1", "note 7"); got.passed != "note" {
		t.Errorf("lower(note) passes by the index on %q", got.passed)
	}
	if got := explain("SELECT id FROM orders WHERE created < $1", "2001-01-01"); got.passed != "" {
		t.Errorf("created passes by the index on %q", got.passed)
	}
	if got := explain("SELECT id FROM orders WHERE id = $1", 7); got.differs {
		t.Error("the plan by primary key differs for any value")
	}
	p, err := ExplainWrite(t.Context(), dsn, "DELETE FROM customers WHERE id = $1", []any{950})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Triggers) != 1 || p.Triggers[0].Child != "orders" || p.Triggers[0].Columns != "customer_id" || p.Triggers[0].Indexed || p.Triggers[0].Calls != 1 || p.Triggers[0].Seconds <= 0 {
		t.Errorf("the check of the foreign key reads as %+v", p.Triggers)
	}
	run(t, dsn, "CREATE INDEX ON orders (customer_id)")
	if p, err = ExplainWrite(t.Context(), dsn, "DELETE FROM customers WHERE id = $1", []any{950}); err != nil || !p.Triggers[0].Indexed {
		t.Errorf("with the index: %+v, %v", p.Triggers, err)
	}
	if got := ask(t, dsn, "SELECT count(*) FROM customers"); got != "1000" {
		t.Errorf("%s customers are left: an explained DELETE was not taken back", got)
	}
	if _, err := ExplainWrite(t.Context(), dsn, "DELETE FROM customers WHERE id = $1", nil); err == nil {
		t.Error("a DELETE without its value was explained")
	}
}
