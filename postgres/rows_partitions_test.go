package postgres

import (
	"strings"
	"testing"
)

// Rows of partitioned tables fall into the partitions that there are: ranges, lists,
// lists below ranges, with keys of other columns beside.
func TestRowsFallIntoThePartitions(t *testing.T) {
	db := database(t, `
CREATE TABLE logs (id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL, note text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE logs_a PARTITION OF logs FOR VALUES FROM ('2019-01-01') TO ('2019-04-01');
CREATE TABLE logs_b PARTITION OF logs FOR VALUES FROM ('2019-06-01') TO ('2019-07-01');
CREATE TABLE sales (id int, region text NOT NULL, year int NOT NULL, v int) PARTITION BY LIST (region);
CREATE TABLE sales_eu PARTITION OF sales FOR VALUES IN ('de', 'fr''x') PARTITION BY RANGE (year);
CREATE TABLE sales_eu_1 PARTITION OF sales_eu FOR VALUES FROM (MINVALUE) TO (2020);
CREATE TABLE sales_eu_2 PARTITION OF sales_eu FOR VALUES FROM (2020) TO (2030);
CREATE TABLE sales_us PARTITION OF sales FOR VALUES IN ('us');
CREATE TABLE days (day date NOT NULL, v int) PARTITION BY RANGE (day);
CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2001-01-01') TO ('2001-02-01');
CREATE TABLE others (k text NOT NULL, v int) PARTITION BY LIST (k);
CREATE TABLE others_a PARTITION OF others FOR VALUES IN ('a');
CREATE TABLE others_rest PARTITION OF others DEFAULT;
CREATE TABLE hashed (id bigint PRIMARY KEY, v int) PARTITION BY HASH (id);
CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (modulus 2, remainder 0);
CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (modulus 2, remainder 1);`)
	rows := plan(t, server, db, FillOptions{Rows: map[string]int64{"logs": 4000, "sales": 3000, "days": 500, "others": 200, "hashed": 1000}})
	if err := rows.Load(t.Context(), server, db); err != nil {
		t.Fatal(err)
	}
	dsn := server.DSN(db)
	for sql, want := range map[string]string{
		"SELECT count(*) FROM logs":                                  "4000",
		"SELECT count(*) FROM sales":                                 "3000",
		"SELECT count(*) FROM days":                                  "500",
		"SELECT count(*) FROM others":                                "200",
		"SELECT count(*) FROM hashed":                                "1000",
		"SELECT (SELECT count(*) FROM logs_a) BETWEEN 2900 AND 3100": "true", // three of four months
		"SELECT count(*) > 0 FROM sales_eu_2":                        "true",
		"SELECT count(*) > 0 FROM sales_us":                          "true",
		"SELECT corr(id, extract(epoch FROM at)) > 0.9 FROM logs":    "true",
	} {
		if got := ask(t, dsn, sql); got != want {
			t.Errorf("%s is %s, not %s", sql, got, want)
		}
	}
}

func TestNumbersBeyondThePartitionsAreRefused(t *testing.T) {
	db := database(t, `CREATE TABLE n (id bigserial) PARTITION BY RANGE (id); CREATE TABLE n_1 PARTITION OF n FOR VALUES FROM (1) TO (100)`)
	schema, err := Inspect(t.Context(), server.SocketDSN(db))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Plan(schema, FillOptions{Rows: map[string]int64{"n": 1000}})
	if err == nil || !strings.Contains(err.Error(), "outside of the partitions") {
		t.Errorf("rows beyond the partitions gave %v", err)
	}
}
