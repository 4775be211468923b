package postgres

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

var everyMajor = flag.Bool("majors", false, "run TestOldestAndNewestDoItAll on every major, not only the ends")

func TestOldestAndNewestDoItAll(t *testing.T) {
	longOnly(t)
	for major := Oldest; major <= Newest; major++ {
		if major != Oldest && major != Newest && !*everyMajor {
			continue
		}
		t.Run(fmt.Sprint(major), func(t *testing.T) { doItAll(t, major) })
	}
}

func doItAll(t *testing.T, major int) {
	b, err := Find(t.Context(), FindOptions{Major: major})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Start(t.Context(), b, Options{Settings: Loading()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	schema := shop
	if major == 12 {
		schema = "CREATE EXTENSION pgcrypto;" + shop
	}
	db := databaseOn(t, s, schema)
	rows := plan(t, s, db, shopOptions())
	if err := rows.Load(t.Context(), s, db); err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(t.Context(), map[string]string{"max_connections": "50"}); err != nil {
		t.Fatal(err)
	}
	w, err := Watch(t.Context(), s.SocketDSN(db), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	grown, err := rows.Grow(t.Context(), s, db, 1.5)
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(t, s.DSN(db), "SELECT count(*) FROM orders"); got != fmt.Sprint(grown.Count("orders")) {
		t.Errorf("%s orders, want %d", got, grown.Count("orders"))
	}
	if a, err := Advise(t.Context(), s.SocketDSN(db), "SELECT * FROM users WHERE name = $1"); err != nil || a == nil || !strings.Contains(a.SQL, "(name)") {
		t.Errorf("advice is %+v, %v", a, err)
	}
	for _, args := range [][]any{nil, {"Ada Adams"}} {
		if p, err := Explain(t.Context(), s.SocketDSN(db), "SELECT * FROM users WHERE name = $1", args, true); err != nil || len(p.Scans) != 1 || (p.Seconds < 0) != (args == nil) {
			t.Errorf("plan is %+v, %v", p, err)
		}
	}
	err = s.on(t.Context(), db, func(c *pgx.Conn) error {
		_, err := c.Exec(t.Context(), "VACUUM orders", pgx.QueryExecModeSimpleProtocol)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	stats, err := w.Take(t.Context())
	if err != nil || !stats.Watched || len(stats.Statements) == 0 {
		t.Errorf("stats are %+v, %v", stats, err)
	}
	if major != Newest {
		return // the server takes five seconds to refuse
	}
	err = s.CreateDatabase(t.Context(), "again", db)
	wantError(t, err, "again", "close every connection")
}
