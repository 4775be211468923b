package postgres

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
)

// retyped is what hangs on a column whose type changes.
type retyped struct {
	notNull  bool
	def      string   // its default, "" none
	sequence string   // that it owns, "" none
	blockers []string // what a second column cannot stand in for
	indexes  []retypedIndex
}

type retypedIndex struct {
	name, def, constraint, kind string // kind "p" or "u" of the constraint, "" a plain index
}

// retype changes a type by a second column: expand, fill in batches, contract in one
// short transaction. Reads and writes go on, and a trigger keeps both columns equal.
func (w *safeWriter) retype(ctx context.Context, t *safeTable, column, kind, using string) error {
	bare := unquoted(column)
	if !strings.HasPrefix(column, `"`) {
		bare = strings.ToLower(bare)
	}
	c, err := w.column(ctx, t, bare)
	if err != nil {
		return err
	}
	alter := "ALTER TABLE " + t.name + " "
	if t.partitioned {
		c.blockers = append(c.blockers, "the table is partitioned")
	}
	if t.key == "" {
		c.blockers = append(c.blockers, "the table has no primary key of one column to fill it along")
	}
	if len(c.blockers) > 0 {
		w.why = append(w.why, fmt.Sprintf("no safe form of the new type of %s.%s is tried: %s", t.name, bare, strings.Join(c.blockers, "; ")))
		rest := " TYPE " + kind
		if using != "" {
			rest += " USING " + using
		}
		w.short(alter + "ALTER COLUMN " + column + rest)
		return nil
	}
	w.changed = true
	old, next := quoteBare(bare), quoteBare(bare+"_new")
	function := quoteBare(t.local + "_" + bare + "_sync")
	value, now := old, "NEW."+old
	if using != "" {
		value, now = "("+using+")", "("+columnWord(bare).ReplaceAllString(using, "${1}NEW."+old+"${2}")+")"
	}
	w.short(alter + "ADD COLUMN " + next + " " + kind)
	w.short("CREATE FUNCTION "+function+"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW."+next+" := "+now+"; RETURN NEW; END $$",
		"CREATE TRIGGER "+function+" BEFORE INSERT OR UPDATE ON "+t.name+" FOR EACH ROW EXECUTE FUNCTION "+function+"()")
	w.add(Step{SQL: "UPDATE " + t.name + " SET " + next + " = " + value, Batch: &Batch{Table: t.name, Key: t.key, Where: next + " IS NULL AND " + old + " IS NOT NULL"}})
	for _, x := range c.indexes {
		w.add(Step{SQL: x.beside(bare, next)})
	}
	check := quoteBare(t.local + "_" + bare + "_not_null")
	if c.notNull {
		w.short(alter + "ADD CONSTRAINT " + check + " CHECK (" + next + " IS NOT NULL) NOT VALID")
		w.short(alter + "VALIDATE CONSTRAINT " + check)
	}
	w.short(contract(c, t, old, next, function, check)...)
	w.short("DROP FUNCTION " + function + "()")
	return nil
}

// contract puts the new column in the old one's place.
func contract(c *retyped, t *safeTable, old, next, function, check string) []string {
	alter := "ALTER TABLE " + t.name + " "
	out := []string{"LOCK TABLE " + t.name + " IN ACCESS EXCLUSIVE MODE", "DROP TRIGGER " + function + " ON " + t.name}
	if c.notNull {
		out = append(out, alter+"ALTER COLUMN "+next+" SET NOT NULL", alter+"DROP CONSTRAINT "+check)
	}
	if c.sequence != "" {
		out = append(out, "ALTER SEQUENCE "+c.sequence+" OWNED BY "+t.name+"."+next)
	}
	for _, x := range c.indexes {
		if x.constraint != "" {
			kind := map[string]string{"p": "PRIMARY KEY", "u": "UNIQUE"}[x.kind]
			out = append(out, alter+"DROP CONSTRAINT "+quoteBare(x.constraint),
				alter+"ADD CONSTRAINT "+quoteBare(x.constraint)+" "+kind+" USING INDEX "+quoteBare(x.name+"_new"))
		}
	}
	out = append(out, alter+"DROP COLUMN "+old, alter+"RENAME COLUMN "+next+" TO "+old)
	for _, x := range c.indexes {
		if x.constraint == "" {
			out = append(out, "ALTER INDEX "+x.schemaOf(t)+quoteBare(x.name+"_new")+" RENAME TO "+quoteBare(x.name))
		}
	}
	if c.def != "" {
		out = append(out, alter+"ALTER COLUMN "+old+" SET DEFAULT "+c.def)
	}
	return out
}

func (x retypedIndex) schemaOf(t *safeTable) string {
	if schema, _, ok := strings.Cut(t.name, "."); ok {
		return schema + "."
	}
	return ""
}

// columnWord finds a column's name as a word of its own.
func columnWord(column string) *regexp.Regexp {
	return regexp.MustCompile(`(^|[^\w."])"?` + regexp.QuoteMeta(column) + `"?($|[^\w"(])`)
}

// beside is the same index on the new column, built while everybody works.
func (x retypedIndex) beside(column, next string) string {
	head, keys, _ := strings.Cut(x.def, " USING ")
	head = strings.Replace(head, " INDEX ", " INDEX CONCURRENTLY ", 1)
	head = strings.Replace(head, " "+quoteBare(x.name)+" ", " "+quoteBare(x.name+"_new")+" ", 1)
	return head + " USING " + columnWord(column).ReplaceAllString(keys, "${1}"+next+"${2}")
}

// column reads what hangs on a column.
func (w *safeWriter) column(ctx context.Context, t *safeTable, column string) (*retyped, error) {
	c := &retyped{}
	var num int16
	const sql = `SELECT a.attnum, a.attnotnull, coalesce(pg_get_expr(d.adbin, d.adrelid), ''), coalesce(pg_get_serial_sequence($1::regclass::text, $2), ''),
  array_remove(ARRAY[
    CASE WHEN a.attgenerated <> '' THEN 'it is generated' END, CASE WHEN a.attidentity <> '' THEN 'it is an identity column' END,
    (SELECT 'a foreign key uses it: ' || min(conname) FROM pg_constraint WHERE contype = 'f' AND (conrelid = a.attrelid AND a.attnum = ANY (conkey) OR confrelid = a.attrelid AND a.attnum = ANY (confkey)) HAVING count(*) > 0),
    (SELECT 'a constraint uses it: ' || min(conname) FROM pg_constraint WHERE contype IN ('c', 'x') AND conrelid = a.attrelid AND a.attnum = ANY (conkey) HAVING count(*) > 0),
    (SELECT 'a view uses it: ' || min(r.ev_class::regclass::text) FROM pg_depend p JOIN pg_rewrite r ON p.classid = 'pg_rewrite'::regclass AND p.objid = r.oid
     WHERE p.refclassid = 'pg_class'::regclass AND p.refobjid = a.attrelid AND p.refobjsubid = a.attnum HAVING count(*) > 0)], NULL)
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = $1::oid AND a.attname = $2 AND NOT a.attisdropped`
	err := w.c.QueryRow(ctx, sql, t.oid, column).Scan(&num, &c.notNull, &c.def, &c.sequence, &c.blockers)
	if err == pgx.ErrNoRows {
		c.blockers = append(c.blockers, "it does not exist before the migration")
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	rows, err := w.c.Query(ctx, `SELECT x.relname, pg_get_indexdef(i.indexrelid), coalesce(k.conname::text, ''), coalesce(k.contype::text, '')
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u')
WHERE i.indrelid = $1 AND i.indisvalid AND EXISTS (SELECT FROM pg_depend p WHERE p.classid = 'pg_class'::regclass AND p.objid IN (i.indexrelid) AND p.refobjid = i.indrelid AND p.refobjsubid = $2
   UNION ALL SELECT WHERE $2 = ANY (i.indkey::int2[])) ORDER BY 1`, t.oid, num)
	if err != nil {
		return nil, err
	}
	var x retypedIndex
	_, err = pgx.ForEachRow(rows, []any{&x.name, &x.def, &x.constraint, &x.kind}, func() error {
		c.indexes = append(c.indexes, x)
		return nil
	})
	return c, err
}
