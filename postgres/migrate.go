package postgres

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/premortem/premortem"
)

// Migration is one file of SQL that changes the schema.
type Migration struct {
	Name string
	SQL  string
	Pos  premortem.Pos // of its first line; without a line, the file's first
}

// Migrate applies migrations in order as the app's role; extensions are created by
// the superuser, as managed services do for theirs. Each file runs in a transaction
// unless it holds a statement that cannot. Roles that a file mentions and that do
// not exist are made without login: they live outside of any migration. The error
// of a failing statement is a *premortem.Error with the line to blame.
func (s *Server) Migrate(ctx context.Context, db string, ms []Migration) error {
	c, err := pgx.Connect(ctx, s.SocketDSN(db))
	if err != nil {
		return s.databaseError("apply migrations to database "+db, err)
	}
	defer closeConn(c)
	for _, m := range ms {
		r := migrator{s: s, conn: c.PgConn(), m: m, made: map[string]bool{}}
		if err := r.run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// migrator applies one file.
type migrator struct {
	s      *Server
	conn   *pgconn.PgConn
	m      Migration
	inside bool            // our own transaction is open
	super  bool            // the superuser acts, not the app's role
	made   map[string]bool // roles
}

func (r *migrator) run(ctx context.Context) error {
	text := upward(r.m.SQL)
	statements := split(text)
	r.inside = true
	for _, st := range statements {
		if outsideTransaction.MatchString(st.code) {
			r.inside = false
		}
	}
	open, done := "RESET ALL; SET ROLE "+appRole, "RESET ALL; RESET ROLE"
	if r.inside {
		open, done = "BEGIN; SET LOCAL ROLE "+appRole, "COMMIT; RESET ALL"
	}
	if err := r.exec(ctx, open); err != nil {
		return r.fail(err, text, statement{})
	}
	for _, st := range statements {
		if err := r.apply(ctx, st); err != nil {
			err = r.fail(err, text, st)
			if !r.conn.IsClosed() && r.conn.TxStatus() != 'I' {
				return errors.Join(err, r.exec(ctx, "ROLLBACK"))
			}
			return err
		}
	}
	if err := r.exec(ctx, done); err != nil {
		return r.fail(err, text, statement{}) // a deferred constraint
	}
	return nil
}

func (r *migrator) exec(ctx context.Context, sql string) error {
	_, err := r.conn.Exec(ctx, sql).ReadAll()
	return err
}

// outsideTransaction matches statements that refuse to run in a transaction block,
// or whose effect is only usable after it, and transactions of the file's own.
var outsideTransaction = regexp.MustCompile(`(?is)^(begin\b|start\s+transaction\b|vacuum\b|create\s+database\b|drop\s+database\b|create\s+tablespace\b|drop\s+tablespace\b|alter\s+system\b|reindex\s+(database|system)\b|alter\s+type\s.*\badd\s+value\b|.*\bconcurrently\b)`)

var (
	ownerChange = regexp.MustCompile(`(?is)^alter\b.*\bowner\s+to\b`)
	extension   = regexp.MustCompile(`(?is)^(create|alter|drop|comment\s+on)\s+extension\b`)
	missingRole = regexp.MustCompile(`role "([^"]+)" does not exist`)
)

// apply runs one statement. Owners are changed by the superuser: the new one may
// have no right to make anything here.
func (r *migrator) apply(ctx context.Context, st statement) error {
	if extension.MatchString(st.code) {
		return r.asOwner(ctx, func() error { return r.exec(ctx, st.text) })
	}
	if st.data != "" || copyIn.MatchString(st.code) {
		_, err := r.conn.CopyFrom(ctx, strings.NewReader(st.data), st.text)
		return err
	}
	if !roleMention.MatchString(st.code) {
		return r.exec(ctx, st.text)
	}
	work := func() error { return r.retryRole(ctx, st) }
	if ownerChange.MatchString(st.code) {
		work = func() error { return r.asOwner(ctx, func() error { return r.retryRole(ctx, st) }) }
	}
	if r.conn.TxStatus() == 'I' {
		return work()
	}
	if err := r.exec(ctx, "SAVEPOINT premortem"); err != nil {
		return err
	}
	if err := work(); err != nil {
		return err
	}
	return r.exec(ctx, "RELEASE SAVEPOINT premortem")
}

// roleMention matches the statements that name roles.
var roleMention = regexp.MustCompile(`(?is)^(grant|revoke|reassign|(create|alter)\b.*\b(owner\s+to|for\s+role|for\s+user|to|authorization)\b)`)

// retryRole runs a statement and makes the roles that it misses.
func (r *migrator) retryRole(ctx context.Context, st statement) error {
	for {
		err := r.exec(ctx, st.text)
		pg, ok := errors.AsType[*pgconn.PgError](err)
		if !ok || pg.Code != "42704" {
			return err
		}
		m := missingRole.FindStringSubmatch(pg.Message)
		if m == nil || r.made[m[1]] {
			return err
		}
		r.made[m[1]] = true
		if r.conn.TxStatus() != 'I' {
			again := "ROLLBACK TO SAVEPOINT premortem"
			if r.super {
				again += "; RESET ROLE" // the savepoint knows the role before
			}
			if err := r.exec(ctx, again); err != nil {
				return err
			}
		}
		role := quoteIdent(m[1])
		err = r.asOwner(ctx, func() error {
			return r.exec(ctx, "CREATE ROLE "+role+"; GRANT "+role+" TO "+appRole)
		})
		if err != nil {
			return err
		}
	}
}

// asOwner runs work as the superuser and returns to the app's role.
func (r *migrator) asOwner(ctx context.Context, work func() error) error {
	if r.super {
		return work()
	}
	if err := r.exec(ctx, "RESET ROLE"); err != nil {
		return err
	}
	r.super = true
	if err := work(); err != nil {
		return err
	}
	r.super = false
	if r.inside {
		return r.exec(ctx, "SET LOCAL ROLE "+appRole)
	}
	return r.exec(ctx, "SET ROLE "+appRole)
}

// fail names the line of a failing statement.
func (r *migrator) fail(err error, text string, st statement) error {
	pos := r.m.Pos
	if pos.File == "" {
		pos.File = r.m.Name
	}
	at := st.start
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if ok && pg.Position > 0 {
		at += byteOffset(st.text, int(pg.Position)-1)
	}
	pos.Line = max(pos.Line, 1) + strings.Count(text[:min(at, len(text))], "\n")
	hint := "correct the migration, or apply it to an empty database by hand to see more"
	switch {
	case isDiskFull(err):
		hint = "free space in " + r.s.dir + ", or use a folder on a larger disk"
	case ok && pg.Hint != "":
		hint = pg.Hint
	case ok && (pg.Code == "0A000" || pg.Code == "58P01") && extension.MatchString(st.code):
		hint = fmt.Sprintf("install the extension for PostgreSQL %d, or point PREMORTEM_PG_BIN at an installation that has it", r.s.bin.Major)
	}
	return &premortem.Error{Doing: "apply migration " + r.m.Name, Pos: pos, Err: err, Hint: hint}
}

// byteOffset turns a count of characters into one of bytes.
func byteOffset(s string, characters int) int {
	for i := range s {
		if characters == 0 {
			return i
		}
		characters--
	}
	return len(s)
}
