package postgres

import (
	"fmt"
	"strings"
	"testing"
)

// A password in an address and values in statements must not come back in errors,
// plans or statistics.
func TestNothingSecretIsSaid(t *testing.T) {
	const canary = "canary-7f3a"
	dsns := []string{
		"postgres://postgres:" + canary + "@" + server.Addr() + "/postgres?sslmode=disable",   // wrong password
		"postgres://postgres:" + canary + "@127.0.0.1:1/postgres?sslmode=disable",             // nobody there
		"host=127.0.0.1 port=none password=" + canary + " user=x dbname=x",                    // cannot be read
		"postgres://postgres:" + canary + "@" + server.Addr() + "/nowhere?sslmode=disable&x=", // both
	}
	said := []string{}
	for _, dsn := range dsns {
		_, err := Inspect(t.Context(), dsn)
		_, err2 := Explain(t.Context(), dsn, "SELECT 1", nil, false)
		_, err3 := Advise(t.Context(), dsn, "SELECT 1")
		_, err4 := Watch(t.Context(), dsn, 0)
		for _, err := range []error{err, err2, err3, err4} {
			if err == nil {
				t.Fatalf("no error for an address that cannot work")
			}
			said = append(said, err.Error())
		}
	}
	db := database(t, "CREATE TABLE t (id int PRIMARY KEY, secret text UNIQUE)")
	run(t, server.DSN(db), "INSERT INTO t SELECT g, '"+canary+"' || g FROM generate_series(1, 2000) g; ANALYZE t")
	for _, sql := range []string{
		"SELECT * FROM t WHERE secret || 'x' = '" + canary + "'",
		"SELECT * FROM t WHERE secret = '" + canary + "' ORDER BY secret || '" + canary + "'",
		"SELECT count(*) FROM t GROUP BY secret || '" + canary + "' HAVING max(secret) > '" + canary + "'",
		"SELECT * FROM t a JOIN t b ON a.secret || '" + canary + "' = b.secret",
	} {
		p, err := Explain(t.Context(), server.SocketDSN(db), sql, nil, true)
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, fmt.Sprintf("%+v", p))
		a, err := Advise(t.Context(), server.SocketDSN(db), sql)
		if err != nil {
			t.Fatal(err)
		}
		if a != nil {
			said = append(said, a.SQL)
		}
	}
	said = append(said, fmt.Sprint(server.Migrate(t.Context(), db, []Migration{{Name: "m.sql", SQL: "INSERT INTO t VALUES (1, '" + canary + "')"}})))
	said = append(said, fmt.Sprint(server.Notes))
	for _, s := range said {
		if strings.Contains(s, canary) || strings.Contains(s, server.Password()) {
			t.Errorf("a secret is said: %s", s)
		}
	}
}
