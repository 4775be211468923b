package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Sentinels: when a constant lies beyond the histogram, the planner asks a B-tree for
// the true smallest or largest key (get_actual_variable_range). An empty index has
// none and makes costs wrong by up to eight times, so each table gets one row with the
// smallest and one with the largest known value of every column.

// sentry is a table that gets sentinels.
type sentry struct {
	oid     uint32
	quoted  string
	name    string
	columns []sentryColumn
}

type sentryColumn struct {
	name, typ, array string // array: the type of a list of values, "" there is none
	notNull, isArray bool
	stats            *ColumnStats
}

// sentinels inserts the rows. A table whose rows are refused gets none and a note.
func sentinels(ctx context.Context, tx pgx.Tx, p *Profile, note func(string, ...any)) error {
	tables, err := sentries(ctx, tx, p)
	if err != nil {
		return err
	}
	// Foreign keys and triggers would look for rows that a ghost does not have.
	if _, err := tx.Exec(ctx, "SET LOCAL session_replication_role = replica"); err != nil {
		return err
	}
	for _, t := range tables {
		if err := t.insert(ctx, tx, note); err != nil {
			return err
		}
	}
	return nil
}

// sentries lists the ordinary tables with statistics.
func sentries(ctx context.Context, tx pgx.Tx, p *Profile) ([]*sentry, error) {
	stats := map[placeKey]*ColumnStats{}
	known := map[[2]string]bool{}
	for i := range p.Columns {
		if c := &p.Columns[i]; !c.OfIndex && !c.Inherited {
			stats[placeKey{c.Schema, c.Table, c.Number}] = c
			known[[2]string{c.Schema, c.Table}] = true
		}
	}
	const sql = `
SELECT c.oid, n.nspname, c.relname, a.attname, a.attnum::int, format_type(a.atttypid, a.atttypmod),
  CASE WHEN t.typarray = 0 THEN '' ELSE format_type(t.typarray, NULL) END, a.attnotnull, t.typelem <> 0 AND t.typlen = -1
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
WHERE c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND coalesce(to_jsonb(a) ->> 'attgenerated', '') = '' AND ` + userSchemas + `
ORDER BY c.oid, a.attnum`
	rows, err := tx.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	var out []*sentry
	var oid uint32
	var number int
	var schema, table string
	var c sentryColumn
	_, err = pgx.ForEachRow(rows, []any{&oid, &schema, &table, &c.name, &number, &c.typ, &c.array, &c.notNull, &c.isArray}, func() error {
		if !known[[2]string{schema, table}] {
			return nil
		}
		if len(out) == 0 || out[len(out)-1].oid != oid {
			out = append(out, &sentry{oid: oid, name: table, quoted: quoteIdent(schema) + "." + quoteIdent(table)})
		}
		c.stats = stats[placeKey{schema, table, number}]
		out[len(out)-1].columns = append(out[len(out)-1].columns, c)
		return nil
	})
	return out, err
}

// value is an expression for the smallest or the largest known value.
func (c *sentryColumn) value(order string) string {
	switch {
	case c.array == "" && c.isArray && c.notNull:
		return "'{}'::" + c.typ
	case c.array == "" || c.stats == nil || c.stats.Common == "" && c.stats.Bounds == "":
		return "NULL::" + c.typ
	}
	list := func(values string) string {
		if values == "" {
			return "NULL::" + c.array
		}
		return quoteLiteral(values) + "::" + c.array
	}
	return fmt.Sprintf("(SELECT v FROM (SELECT unnest(%s) UNION ALL SELECT unnest(%s)) u(v) ORDER BY v %s LIMIT 1)",
		list(c.stats.Bounds), list(c.stats.Common), order)
}

func (s *sentry) insert(ctx context.Context, tx pgx.Tx, note func(string, ...any)) error {
	var names, low, high []string
	for i := range s.columns {
		c := &s.columns[i]
		names = append(names, quoteIdent(c.name))
		low = append(low, c.value("ASC"))
		high = append(high, c.value("DESC NULLS LAST"))
	}
	sql := fmt.Sprintf("INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s UNION ALL SELECT %s ON CONFLICT DO NOTHING",
		s.quoted, strings.Join(names, ", "), strings.Join(low, ", "), strings.Join(high, ", "))
	pg, err := s.try(ctx, tx, sql)
	if err != nil {
		return err
	}
	if pg != nil && pg.Code == "23514" {
		// A check that looks at two columns may refuse the row; it is not asked.
		hide := fmt.Sprintf("UPDATE pg_class SET relchecks = 0 WHERE oid = %d", s.oid)
		show := fmt.Sprintf("UPDATE pg_class SET relchecks = (SELECT count(*) FROM pg_constraint WHERE contype = 'c' AND conrelid = %d) WHERE oid = %[1]d", s.oid)
		if pg, err = s.try(ctx, tx, hide+"; "+sql+"; "+show); err != nil {
			return err
		}
	}
	if pg != nil {
		note("%s: costs at the ends of its values may be off: %s", s.name, pg.Message)
	}
	return nil
}

// try returns the server's refusal; the transaction goes on.
func (s *sentry) try(ctx context.Context, tx pgx.Tx, sql string) (*pgconn.PgError, error) {
	c := tx.Conn().PgConn()
	_, err := c.Exec(ctx, "SAVEPOINT sentinel; "+sql+"; RELEASE sentinel").ReadAll()
	pg, refused := errors.AsType[*pgconn.PgError](err)
	if !refused {
		return nil, err
	}
	_, err = c.Exec(ctx, "ROLLBACK TO sentinel; RELEASE sentinel").ReadAll()
	return pg, err
}
