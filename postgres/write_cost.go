package postgres

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/premortem/premortem"
)

const (
	writtenRows = 2000
	writeRounds = 3 // the best counts: the first one also pays for cold pages and full-page images
)

// Writes is what inserting and updating rows of one table took.
type Writes struct {
	Rows           int
	Insert, Update float64 // seconds for all rows; Update is 0 where the columns are unique
	WAL            int64   // bytes
}

// indexOn reads the table and the keys of CREATE INDEX.
var indexOn = regexp.MustCompile(`(?is)^create\s+(?:unique\s+)?index\s+(?:concurrently\s+)?(?:if\s+not\s+exists\s+)?(?:("[^"]+"|[\w$]+)\s+)?on\s+(?:only\s+)?((?:"[^"]+"|[\w$]+)(?:\.(?:"[^"]+"|[\w$]+))?)\s*(?:using\s+\w+\s*)?\((.*)`)

// IndexName is the name and the table of CREATE INDEX, "" when it is something else.
func IndexName(create string) (name, table string) {
	if m := indexOn.FindStringSubmatch(create); m != nil {
		return unquoted(m[1]), m[2]
	}
	return "", ""
}

// MeasureWrites takes rows of the table that an index statement names, puts them in
// again and changes the columns that the index would hold, and takes everything back.
// Called without the index and with it, it says what the index costs. Triggers and
// foreign keys do not take part. The database should have nothing else to do.
func MeasureWrites(ctx context.Context, dsn, create string) (Writes, error) {
	var out Writes
	err := connected(ctx, dsn, func(c *pgx.Conn) error {
		m := indexOn.FindStringSubmatch(create)
		if m == nil {
			return fmt.Errorf("%q makes no index", told(create))
		}
		w := writer{c: c, table: m[2]}
		if err := w.columns(ctx, m[3]); err != nil {
			return err
		}
		for round := range writeRounds {
			one, err := w.round(ctx)
			if err != nil {
				return err
			}
			if round == 0 {
				out = one
				continue
			}
			out.Insert, out.WAL = min(out.Insert, one.Insert), min(out.WAL, one.WAL)
			if one.Update > 0 {
				out.Update = min(out.Update, one.Update)
			}
		}
		return nil
	})
	if err != nil {
		return out, &premortem.Error{Doing: "measure what an index costs", Err: err}
	}
	return out, nil
}

type writer struct {
	c      *pgx.Conn
	table  string
	all    []string // columns that can be inserted, quoted
	change []string // columns of the index that may change, quoted
}

func (w *writer) columns(ctx context.Context, keys string) error {
	rows, err := w.c.Query(ctx, `SELECT quote_ident(a.attname), a.attname::text, EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND a.attnum = ANY (i.indkey::int2[]))
FROM pg_attribute a WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum`, w.table)
	if err != nil {
		return err
	}
	var quoted, name string
	var unique bool
	_, err = pgx.ForEachRow(rows, []any{&quoted, &name, &unique}, func() error {
		w.all = append(w.all, quoted)
		if !unique && columnWord(name).MatchString(keys) {
			w.change = append(w.change, quoted)
		}
		return nil
	})
	if err == nil && len(w.all) == 0 {
		return fmt.Errorf("table %s does not exist", w.table)
	}
	return err
}

// round writes once and takes it back.
func (w *writer) round(ctx context.Context) (out Writes, err error) {
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_, undo := w.c.Exec(end, "ROLLBACK", pgx.QueryExecModeSimpleProtocol)
		err = errors.Join(err, undo)
	}()
	all := strings.Join(w.all, ", ")
	// Every so many pages one: rows of one place would only touch one leaf of each index.
	take := fmt.Sprintf(`BEGIN; SET LOCAL session_replication_role = replica; SET LOCAL lock_timeout = '10s'; SELECT setseed(0.5);
CREATE TEMP TABLE premortem_rows ON COMMIT DROP AS SELECT ctid AS at, %s FROM %s WHERE random() < (SELECT least(1, 2.0 * %d / greatest(reltuples, 1)) FROM pg_class WHERE oid = to_regclass(%s)) LIMIT %[3]d;
DELETE FROM %[2]s t USING premortem_rows r WHERE t.ctid = r.at`, all, w.table, writtenRows, quoteLiteral(w.table))
	if _, err := w.c.Exec(ctx, take, pgx.QueryExecModeSimpleProtocol); err != nil {
		return out, err
	}
	wal, err := w.position(ctx)
	if err != nil {
		return out, err
	}
	began := time.Now()
	tag, err := w.c.Exec(ctx, fmt.Sprintf("INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %[2]s FROM premortem_rows", w.table, all), pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return out, err
	}
	out.Insert, out.Rows = time.Since(began).Seconds(), int(tag.RowsAffected())
	if len(w.change) > 0 && out.Rows > 1 {
		if out.Update, err = w.update(ctx); err != nil {
			return out, err
		}
	}
	end, err := w.position(ctx)
	out.WAL = end - wal
	return out, err
}

// update gives each of the inserted rows the values of the next one.
func (w *writer) update(ctx context.Context) (float64, error) {
	var set, next []string
	for i, c := range w.change {
		v := fmt.Sprintf("v%d", i)
		set = append(set, c+" = r."+v)
		next = append(next, fmt.Sprintf("lead(%s, 1, %[1]s) OVER (ORDER BY ctid) AS %s", c, v))
	}
	mine := fmt.Sprintf("CREATE TEMP TABLE premortem_next ON COMMIT DROP AS SELECT ctid AS at, %s FROM %s WHERE xmin::text = (txid_current() %% (2^32)::bigint)::text", strings.Join(next, ", "), w.table)
	if _, err := w.c.Exec(ctx, mine, pgx.QueryExecModeSimpleProtocol); err != nil {
		return 0, err
	}
	began := time.Now()
	_, err := w.c.Exec(ctx, fmt.Sprintf("UPDATE %s t SET %s FROM premortem_next r WHERE t.ctid = r.at", w.table, strings.Join(set, ", ")), pgx.QueryExecModeSimpleProtocol)
	return time.Since(began).Seconds(), err
}

func (w *writer) position(ctx context.Context) (n int64, err error) {
	return n, w.c.QueryRow(ctx, "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint").Scan(&n)
}

// IndexBytes is the size of an index, 0 when there is none of that name.
func IndexBytes(ctx context.Context, dsn, name string) (n int64, err error) {
	err = connected(ctx, dsn, func(c *pgx.Conn) error {
		return c.QueryRow(ctx, "SELECT coalesce(pg_relation_size(to_regclass(quote_ident($1))), 0)", name).Scan(&n)
	})
	return n, err
}

// Cost puts the writes without an index and with it side by side.
func Cost(before, after Writes, bytes int64) *premortem.WriteCost {
	return &premortem.WriteCost{Bytes: bytes, Rows: slices.Min([]int{before.Rows, after.Rows}), InsertBefore: before.Insert, InsertAfter: after.Insert,
		UpdateBefore: before.Update, UpdateAfter: after.Update, WALBefore: before.WAL, WALAfter: after.WAL}
}
