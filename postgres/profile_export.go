package postgres

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/premortem/premortem"
)

// ExportOptions say what may leave the database.
type ExportOptions struct {
	// Clear are columns whose values leave as they are: "table.column" or
	// "schema.table.column", or "*" for all. What a foreign key ties to one of them is
	// cleared with it, because both hold the same values.
	Clear []string
	// Key decides the pseudonyms; the same key gives the same ones. nil: a new one, which
	// is forgotten.
	Key []byte
}

// exportLimits keep the export from standing in anyone's way. The only locks are those
// of the catalogs, and for a moment those that pg_relation_size takes; behind a
// migration that holds a table it gives up rather than wait.
const exportLimits = `SET LOCAL statement_timeout = '60s'; SET LOCAL lock_timeout = '1s'; SET LOCAL idle_in_transaction_session_timeout = '5min'`

// ExportProfile reads a production database in one read-only transaction and returns
// what may leave it: see Profile.Left. No row of a table is read. It needs no more than
// a role that may connect and SELECT, and works through a pooler. What it could not
// read stands in Profile.Missing. Errors are *premortem.Error and hold neither the
// password nor a value.
func ExportProfile(ctx context.Context, dsn string, o ExportOptions) (*Profile, error) {
	const doing = "read the database's statistics"
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, &premortem.Error{
			Doing: doing, Err: errors.New("the address of the database cannot be read"), // the parser's own words may quote it
			Hint: "write it as postgres://user:password@host:5432/database?sslmode=require, special characters of the password as %40",
		}
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec // poolers forget prepared statements
	config.RuntimeParams["application_name"] = "premortem profile"
	p := &Profile{Schema: ProfileSchema, Settings: map[string]string{}, Missing: []string{}}
	c, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, exportError(doing, err, config.Password)
	}
	defer closeConn(c)
	if err := export(ctx, c, p, o); err != nil {
		return nil, exportError(doing, err, config.Password)
	}
	return p, nil
}

func export(ctx context.Context, c *pgx.Conn, p *Profile, o ExportOptions) error {
	tx, err := c.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	var version int
	if err := tx.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return err
	}
	if err := supported(version); err != nil {
		return err
	}
	if _, err := tx.Conn().PgConn().Exec(ctx, exportLimits).ReadAll(); err != nil {
		return err
	}
	// Values are parsed below: they must come in one form, whatever the role's settings.
	if _, err := tx.Conn().PgConn().Exec(ctx, "SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL timezone = 'UTC'; SET LOCAL extra_float_digits = 1").ReadAll(); err != nil {
		return err
	}
	t := taker{tx: tx, p: p}
	for _, read := range []func(context.Context) error{
		t.server, t.relations, t.rights, t.attributes, t.foreign, t.columns, t.ranges, t.extended, t.enums, t.sequences, t.definitions, t.statements,
	} {
		if err := read(ctx); err != nil {
			return err
		}
	}
	if len(o.Key) == 0 {
		o.Key = make([]byte, 32)
		rand.Read(o.Key)
	}
	m, err := newMask(ctx, tx, p, o)
	if err != nil {
		return err
	}
	if err := m.apply(ctx); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// supported refuses servers whose catalogs are not known.
func supported(version int) error {
	const doing = "read the database's statistics"
	switch major := version / 10000; {
	case major < Oldest:
		return &premortem.Error{
			Doing: doing, Err: fmt.Errorf("the server says that it is PostgreSQL %d; %d to %d are understood", major, Oldest, Newest),
			Hint: "databases that only speak PostgreSQL's protocol have other planners; upgrade a real one",
		}
	case major > Newest:
		return &premortem.Error{
			Doing: doing, Err: fmt.Errorf("the server is PostgreSQL %d; %d to %d are understood", major, Oldest, Newest),
			Hint: "use a newer premortem",
		}
	}
	return nil
}

// exportError says what a person can do, without what the server quotes.
func exportError(doing string, err error, password string) error {
	if _, ok := errors.AsType[*premortem.Error](err); ok {
		return err
	}
	hint := "check the address, the network, and that the server takes connections from here"
	if pg, _ := errors.AsType[*pgconn.PgError](err); pg != nil {
		switch pg.Code {
		case "28P01", "28000":
			hint = "check the role, its password and pg_hba.conf"
		case "3D000":
			hint = "check the database's name"
		case "42501":
			hint = "a role that may connect and read is enough: GRANT pg_read_all_data (14 and newer), or SELECT on the tables"
		case "55P03":
			hint = "a migration or a maintenance job holds a table; run this again when it has ended"
		case "57014":
			hint = "the catalogs took longer than a minute; run this when the server is less busy"
		default:
			hint = ""
		}
		err = discreet(pg)
	}
	if password != "" && strings.Contains(err.Error(), password) {
		err = errors.New(strings.ReplaceAll(err.Error(), password, "…"))
	}
	return &premortem.Error{Doing: doing, Err: err, Hint: hint}
}

// rights names the tables whose statistics the server does not show to this role, and
// those that have none.
func (t *taker) rights(ctx context.Context) error {
	const sql = `
SELECT n.nspname || '.' || c.relname, NOT has_table_privilege(c.oid, 'SELECT') AND NOT has_any_column_privilege(c.oid, 'SELECT'), row_security_active(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'p') AND c.relpersistence <> 't' AND ` + userSchemas + ` ORDER BY 1`
	var name string
	var closed, guarded bool
	var hidden, policed []string
	seen := 0
	err := t.rows(ctx, sql, []any{&name, &closed, &guarded}, func() error {
		seen++
		if closed {
			hidden = append(hidden, name)
		} else if guarded {
			policed = append(policed, name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	const hint = "GRANT pg_read_all_data TO the role (14 and newer), or GRANT SELECT on the tables"
	switch {
	case seen == 0:
		return &premortem.Error{Doing: "read the database's statistics", Err: errors.New("the database has no table"), Hint: "check the database's name"}
	case len(hidden) == seen:
		return &premortem.Error{Doing: "read the database's statistics", Err: errors.New("the role may not SELECT from any table, so the server hides all statistics from it"), Hint: hint}
	case len(hidden) > 0:
		t.miss("statistics of %s: the role may not SELECT from them; %s", strings.Join(hidden, ", "), hint)
	}
	if len(policed) > 0 {
		t.miss("statistics of %s: row security hides them; use a role with BYPASSRLS, or the tables' owner", strings.Join(policed, ", "))
	}
	var never []string
	for i := range t.p.Relations {
		if r := &t.p.Relations[i]; (r.Kind == "r" || r.Kind == "m") && (r.Rows < 0 || r.Rows == 0 && r.Pages == 0 && r.Blocks > 0) {
			never = append(never, r.Schema+"."+r.Name)
		}
	}
	if len(never) > 0 {
		t.miss("statistics of %s: never analyzed; run ANALYZE", strings.Join(never, ", "))
	}
	return nil
}

func (t *taker) miss(format string, args ...any) {
	t.p.Missing = append(t.p.Missing, fmt.Sprintf(format, args...))
}

// definitions reads defaults, constraints and indexes. Comments are never read.
func (t *taker) definitions(ctx context.Context) error {
	const sql = `
SELECT * FROM (
  SELECT n.nspname, c.relname, 'default', a.attname, pg_get_expr(d.adbin, d.adrelid)
  FROM pg_attrdef d JOIN pg_class c ON c.oid = d.adrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE ` + userSchemas + `
  UNION ALL
  SELECT n.nspname, c.relname, 'constraint', k.conname, pg_get_constraintdef(k.oid)
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE k.contype IN ('p', 'u', 'c', 'f', 'x') AND ` + userSchemas + `
  UNION ALL
  SELECT n.nspname, c.relname, 'index', x.relname, pg_get_indexdef(i.indexrelid)
  FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'm', 'p') AND ` + userSchemas + `) all_of_them ORDER BY 1, 2, 3, 4`
	var d DefinitionText
	return t.rows(ctx, sql, []any{&d.Schema, &d.Table, &d.Kind, &d.Name, &d.Text}, func() error {
		t.p.Definitions = append(t.p.Definitions, d)
		return nil
	})
}

// mostTexts is how many statements a profile holds.
const mostTexts = 500

// statements reads pg_stat_statements, from wherever the extension was put.
func (t *taker) statements(ctx context.Context) error {
	var schema string
	err := t.tx.QueryRow(ctx, "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'").Scan(&schema)
	if errors.Is(err, pgx.ErrNoRows) {
		t.miss("statements: the extension pg_stat_statements is not installed in this database")
		return nil
	}
	if err != nil {
		return err
	}
	// A view of an extension that was not loaded fails: that must not end the transaction.
	sub, err := t.tx.Begin(ctx)
	if err != nil {
		return err
	}
	defer sub.Rollback(ctx)
	view := pgx.Identifier{schema, "pg_stat_statements"}.Sanitize()
	total := "total_exec_time"
	var renamed bool
	err = sub.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = $1::text::regclass AND attname = 'total_exec_time')", view).Scan(&renamed)
	if err == nil && !renamed {
		total = "total_time" // before 1.8
	}
	sql := `SELECT query, sum(calls)::bigint, sum(` + total + `) / 1000, sum(rows)::bigint FROM ` + view + `
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) GROUP BY query ORDER BY 3 DESC`
	var s StatementText
	hidden, shapeless := 0, 0
	if err == nil {
		err = (&taker{tx: sub}).rows(ctx, sql, []any{&s.Text, &s.Calls, &s.Total, &s.Rows}, func() error {
			switch text := maskStatement(s.Text); {
			case strings.HasPrefix(s.Text, "<insufficient privilege>"):
				hidden++
			case text == "":
				shapeless++ // utility commands were never normalised
			case len(t.p.Statements) < mostTexts:
				one := s
				one.Text = text
				t.p.Statements = append(t.p.Statements, one)
			}
			return nil
		})
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		t.miss("statements: pg_stat_statements cannot be read: %s", pg.Message)
		return nil
	}
	if hidden > 0 {
		t.miss("statements: %d of other roles are hidden; GRANT pg_read_all_stats TO the role", hidden)
	}
	return err
}

// Write writes the profile's file.
func (p *Profile) Write(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	e.SetEscapeHTML(false)
	return e.Encode(p)
}
