package postgres

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/premortem/premortem"
)

// patientLock is how long a step of the safe form waits for its locks: everyone who
// comes later waits behind it for so long.
const patientLock = 200 * time.Millisecond

// SafeForm writes the same change so that nobody waits long for it: indexes
// CONCURRENTLY, constraints NOT VALID and validated later, columns that would be
// rewritten beside the old ones and filled in batches, everything else with a lock
// timeout and again. The database is as it is before the migration; run is what the
// plain form did to it: only what was rewritten gets a second column. changed is false
// when no statement has another form; why says for which there is none that is known.
func (s *Server) SafeForm(ctx context.Context, db string, plain []Step, run premortem.MigrationRun) (safe []Step, changed bool, why []string, err error) {
	w := safeWriter{why: []string{}}
	err = s.on(ctx, db, func(c *pgx.Conn) error {
		w.c = c
		for i, st := range plain {
			w.pos, w.rewrote = st.Pos, i < len(run.Steps) && len(run.Steps[i].Rewrote) > 0
			for _, one := range split(st.SQL) {
				if err := w.statement(ctx, one, st); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, false, nil, &premortem.Error{Doing: "look for the safe form of a migration", Err: err}
	}
	return w.out, w.changed, w.why, nil
}

type safeWriter struct {
	c       *pgx.Conn
	pos     premortem.Pos
	rewrote bool
	out     []Step
	changed bool
	why     []string
}

var (
	plainIndex  = regexp.MustCompile(`(?is)^create\s+(unique\s+)?index\s+(if\s+not\s+exists\s+)?`)
	indexTarget = regexp.MustCompile(`(?is)\son\s+(?:only\s+)?((?:"[^"]+"|[\w$]+)(?:\.(?:"[^"]+"|[\w$]+))?)`)
	alterTable  = regexp.MustCompile(`(?is)^alter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?((?:"[^"]+"|[\w$]+)(?:\.(?:"[^"]+"|[\w$]+))?)\s+(.*)$`)
	plainUpdate = regexp.MustCompile(`(?is)^update\s+(?:only\s+)?((?:"[^"]+"|[\w$]+)(?:\.(?:"[^"]+"|[\w$]+))?)\s+set\s`)
	anywhere    = regexp.MustCompile(`(?i)\b(where|from|returning)\b`)
)

// statement writes one statement of the migration.
func (w *safeWriter) statement(ctx context.Context, st statement, as Step) error {
	code := st.code
	if outsideTransaction.MatchString(code) {
		if !strings.HasPrefix(strings.ToLower(code), "begin") && !strings.HasPrefix(strings.ToLower(code), "start") {
			w.add(Step{SQL: code})
		}
		return nil
	}
	if m := plainIndex.FindString(code); m != "" {
		return w.index(ctx, code, m)
	}
	if m := alterTable.FindStringSubmatch(code); m != nil {
		t, err := w.table(ctx, m[1])
		if err != nil {
			return err
		}
		if t != nil {
			for _, action := range splitActions(m[2]) {
				if err := w.action(ctx, t, strings.TrimSpace(action)); err != nil {
					return err
				}
			}
			return nil
		}
	}
	if m := plainUpdate.FindStringSubmatch(code); m != nil && !anywhere.MatchString(scrub(code[len(m[0]):])) {
		t, err := w.table(ctx, m[1])
		if err != nil {
			return err
		}
		switch {
		case t != nil && t.key != "":
			w.changed = true
			w.add(Step{SQL: code, Batch: &Batch{Table: t.name, Key: t.key}})
			return nil
		case t != nil:
			w.why = append(w.why, t.name+" has no primary key of one column to cut the UPDATE along")
		}
	}
	w.short(code)
	return nil
}

// add writes a step that is not part of a transaction with others.
func (w *safeWriter) add(s Step) {
	s.Pos, s.Apart = w.pos, true
	w.out = append(w.out, s)
}

// short writes a statement that works for a moment only: what can last is its wait.
func (w *safeWriter) short(sql ...string) {
	for i, one := range sql {
		w.out = append(w.out, Step{SQL: one, Pos: w.pos, InTx: true, Apart: i == 0, Timeout: patientLock})
	}
}

func (w *safeWriter) index(ctx context.Context, code, head string) error {
	m := indexTarget.FindStringSubmatch(code)
	if m == nil {
		w.short(code)
		return nil
	}
	t, err := w.table(ctx, m[1])
	switch {
	case err != nil:
		return err
	case t == nil: // the migration makes it
		w.short(code)
		return nil
	case t.partitioned:
		w.why = append(w.why, t.name+" is partitioned: build the index on each partition CONCURRENTLY, then attach it")
		w.short(code)
		return nil
	}
	unique, exists := "", ""
	if plainIndex.FindStringSubmatch(code)[1] != "" {
		unique = "UNIQUE "
	}
	if plainIndex.FindStringSubmatch(code)[2] != "" {
		exists = "IF NOT EXISTS "
	}
	w.changed = true
	w.add(Step{SQL: "CREATE " + unique + "INDEX CONCURRENTLY " + exists + code[len(head):]})
	return nil
}

// splitActions cuts the actions of ALTER TABLE at commas outside of parentheses.
func splitActions(s string) []string {
	var out []string
	depth, from := 0, 0
	for i := 0; i < len(s); {
		switch s[i] {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				out, from = append(out, s[from:i]), i+1
			}
		}
		i = token(s, i)
	}
	return append(out, s[from:])
}

const ident = `("[^"]+"|[\w$]+)`

var (
	addConstraint = regexp.MustCompile(`(?is)^add\s+(?:constraint\s+` + ident + `\s+)?((check|foreign\s+key|unique|primary\s+key)\b.*)$`)
	setNotNull    = regexp.MustCompile(`(?is)^alter\s+(?:column\s+)?` + ident + `\s+set\s+not\s+null$`)
	setType       = regexp.MustCompile(`(?is)^alter\s+(?:column\s+)?` + ident + `\s+(?:set\s+data\s+)?type\s+(.*?)(?:\s+using\s+(.*))?$`)
	addColumn     = regexp.MustCompile(`(?is)^add\s+(?:column\s+)?(?:if\s+not\s+exists\s+)?` + ident + `\s+(.*?)\s+default\s+(.*)$`)
	keyColumns    = regexp.MustCompile(`(?is)^(?:unique|primary\s+key|check|foreign\s+key)\s*\(([^()]*)\)`)
	notValid      = regexp.MustCompile(`(?i)\bnot\s+valid\b`)
	usingIndex    = regexp.MustCompile(`(?i)\busing\s+index\b`)
	moreOfColumn  = regexp.MustCompile(`(?i)\b(unique|primary|references|check|generated|collate)\b`)
	trailingNull  = regexp.MustCompile(`(?is)\s+(not\s+null|null)\s*$`)
)

// action writes one action of ALTER TABLE.
func (w *safeWriter) action(ctx context.Context, t *safeTable, a string) error {
	alter := "ALTER TABLE " + t.name + " "
	if m := addConstraint.FindStringSubmatch(a); m != nil && !notValid.MatchString(a) && !usingIndex.MatchString(a) && !t.partitioned {
		return w.constraint(ctx, t, m[1], m[2], strings.ToLower(m[3]))
	}
	if m := setNotNull.FindStringSubmatch(a); m != nil && !t.partitioned {
		w.changed = true
		w.notNull(t, m[1])
		return nil
	}
	if m := setType.FindStringSubmatch(a); m != nil && w.rewrote {
		return w.retype(ctx, t, m[1], m[2], m[3])
	}
	if m := addColumn.FindStringSubmatch(a); m != nil && w.rewrote {
		def, null := m[3], false
		if n := trailingNull.FindStringSubmatch(def); n != nil {
			def, null = def[:len(def)-len(n[0])], !strings.EqualFold(strings.TrimSpace(n[1]), "null")
		}
		if t.key != "" && !moreOfColumn.MatchString(m[2]+" "+def) {
			w.changed = true
			kind := trailingNull.ReplaceAllString(m[2], "")
			null = null || kind != m[2]
			w.short(alter + "ADD COLUMN " + m[1] + " " + kind)
			w.short(alter + "ALTER COLUMN " + m[1] + " SET DEFAULT " + def)
			w.add(Step{SQL: "UPDATE " + t.name + " SET " + m[1] + " = DEFAULT", Batch: &Batch{Table: t.name, Key: t.key, Where: m[1] + " IS NULL"}})
			if null {
				w.notNull(t, m[1])
			}
			return nil
		}
	}
	if w.rewrote {
		w.why = append(w.why, fmt.Sprintf("no safe form is known for %s of %s: run it in a maintenance window", told(scrub(a)), t.name))
	}
	w.short(alter + a)
	return nil
}

// notNull proves that no value is null while everybody works, so that SET NOT NULL
// has nothing to read.
func (w *safeWriter) notNull(t *safeTable, column string) {
	alter, name := "ALTER TABLE "+t.name+" ", quoteBare(t.local+"_"+unquoted(column)+"_not_null")
	w.short(alter + "ADD CONSTRAINT " + name + " CHECK (" + column + " IS NOT NULL) NOT VALID")
	w.short(alter + "VALIDATE CONSTRAINT " + name)
	w.short(alter+"ALTER COLUMN "+column+" SET NOT NULL", alter+"DROP CONSTRAINT "+name)
}

func (w *safeWriter) constraint(ctx context.Context, t *safeTable, name, body, kind string) error {
	alter := "ALTER TABLE " + t.name + " "
	cols := []string{}
	if m := keyColumns.FindStringSubmatch(body); m != nil {
		for c := range strings.SplitSeq(m[1], ",") {
			cols = append(cols, strings.TrimSpace(c))
		}
	}
	if name == "" { // as PostgreSQL would call it
		parts := []string{t.local}
		switch kind[0] {
		case 'c':
			if used := t.mentioned(body); len(used) == 1 {
				parts = append(parts, used[0])
			}
		case 'f', 'u':
			for _, c := range cols {
				parts = append(parts, unquoted(c))
			}
		}
		end := map[byte]string{'c': "check", 'f': "fkey", 'u': "key", 'p': "pkey"}[kind[0]]
		full := strings.Join(parts, "_")
		name = quoteBare(full[:min(len(full), maxIdentifier-len(end)-1)] + "_" + end)
	}
	w.changed = true
	switch kind[0] {
	case 'c', 'f':
		w.short(alter + "ADD CONSTRAINT " + name + " " + body + " NOT VALID")
		w.short(alter + "VALIDATE CONSTRAINT " + name)
		return nil
	}
	if len(cols) == 0 {
		w.short(alter + "ADD CONSTRAINT " + name + " " + body)
		return nil
	}
	if kind[0] == 'p' {
		for _, c := range cols {
			if !slices.Contains(t.notNull, unquoted(c)) {
				w.notNull(t, c)
			}
		}
	}
	w.add(Step{SQL: "CREATE UNIQUE INDEX CONCURRENTLY " + name + " ON " + t.name + " (" + strings.Join(cols, ", ") + ")"})
	w.short(alter + "ADD CONSTRAINT " + name + " " + strings.ToUpper(strings.Join(strings.Fields(kind), " ")) + " USING INDEX " + name)
	return nil
}

// safeTable is a table that exists before the migration.
type safeTable struct {
	oid         uint32
	name        string // quoted, as SQL needs it
	local       string
	key         string // quoted column of a primary key of one column, "" none
	partitioned bool
	notNull     []string
	columns     []string
}

// mentioned are the columns that an expression names.
func (t *safeTable) mentioned(expr string) []string {
	var out []string
	for _, c := range t.columns {
		if columnWord(c).MatchString(scrub(expr)) {
			out = append(out, c)
		}
	}
	return out
}

// table looks a table up; nil when it does not exist.
func (w *safeWriter) table(ctx context.Context, name string) (*safeTable, error) {
	t := &safeTable{}
	const sql = `SELECT c.oid, c.oid::regclass::text, c.relname, c.relkind = 'p', coalesce((SELECT quote_ident(a.attname) FROM pg_index i
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] WHERE i.indrelid = c.oid AND i.indisprimary AND i.indnkeyatts = 1), ''),
  coalesce((SELECT array_agg(a.attname::text) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnotnull AND a.attnum > 0), '{}'),
  (SELECT array_agg(a.attname::text) FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped AND a.attnum > 0)
FROM pg_class c WHERE c.oid = to_regclass($1) AND c.relkind IN ('r', 'p')`
	err := w.c.QueryRow(ctx, sql, name).Scan(&t.oid, &t.name, &t.local, &t.partitioned, &t.key, &t.notNull, &t.columns)
	if err == pgx.ErrNoRows {
		return nil, nil
	}
	return t, err
}
