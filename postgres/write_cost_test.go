package postgres

import (
	"fmt"
	"testing"
)

func TestAnIndexCostsThoseWhoWrite(t *testing.T) {
	db := database(t, fmt.Sprintf(orders, 50_000))
	dsn := server.SocketDSN(db)
	const create = "CREATE INDEX orders_note_idx ON orders (lower(note), customer_id)"
	state := "SELECT count(*) || ' ' || sum(hashtext(orders::text)) FROM orders"
	was := ask(t, dsn, state)
	before, err := MeasureWrites(t.Context(), dsn, create)
	if err != nil {
		t.Fatal(err)
	}
	run(t, dsn, create)
	after, err := MeasureWrites(t.Context(), dsn, create)
	if err != nil {
		t.Fatal(err)
	}
	bytes, err := IndexBytes(t.Context(), dsn, "orders_note_idx")
	if err != nil {
		t.Fatal(err)
	}
	c := Cost(before, after, bytes)
	if c.Rows < 1500 || c.Bytes < 500_000 || c.InsertBefore <= 0 || c.UpdateAfter <= 0 {
		t.Errorf("%+v", c)
	}
	if c.WALAfter < c.WALBefore+int64(c.Rows)*2*40 { // an entry of an insert and of an update, 40 bytes each at least
		t.Errorf("with one more index the same writes log %d bytes, %d without", c.WALAfter, c.WALBefore)
	}
	if now := ask(t, dsn, state); now != was {
		t.Errorf("the rows were %s and are %s", was, now)
	}
	t.Logf("%d rows: insert %.1f → %.1f ms, update %.1f → %.1f ms, log %d → %d kB, index %d kB", c.Rows, 1000*c.InsertBefore, 1000*c.InsertAfter,
		1000*c.UpdateBefore, 1000*c.UpdateAfter, c.WALBefore>>10, c.WALAfter>>10, c.Bytes>>10)
	if _, err := MeasureWrites(t.Context(), dsn, "SELECT 1"); err == nil {
		t.Error("a statement that makes no index was measured")
	}
	if _, err := MeasureWrites(t.Context(), dsn, "CREATE INDEX x ON nowhere (a)"); err == nil {
		t.Error("a table that does not exist was measured")
	}
	if name, table := IndexName(`CREATE UNIQUE INDEX CONCURRENTLY "A b" ON public.t USING gin (x)`); name != "A b" || table != "public.t" {
		t.Errorf("read as %q on %q", name, table)
	}
}
