package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// piece is a constraint or an index that was dropped, and how to make it again.
type piece struct {
	name, table, drop, make string
	// unproved makes a foreign key without looking at the rows; "" cannot be done.
	unproved string
}

// pieces are what was dropped from some tables.
type pieces struct {
	indexes map[string][]piece // by Table.Name; keys first
	foreign []piece
}

// dismantle drops the foreign keys from and to the tables, their keys and their
// indexes, in one transaction. What something else depends on, such as a view that
// needs a primary key, stays.
func dismantle(ctx context.Context, c *pgx.Conn, tables []*Table) (pieces, error) {
	out := pieces{indexes: map[string][]piece{}}
	var names []string
	by := map[string]string{}
	for _, t := range tables {
		names = append(names, t.quoted())
		by[t.quoted()] = t.Name
	}
	if len(names) == 0 {
		return out, nil
	}
	tx, err := c.Begin(ctx)
	if err != nil {
		return out, err
	}
	defer tx.Rollback(ctx)
	if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '20s'"); err != nil {
		return out, err
	}
	for _, sql := range []string{foreignPieces, keyPieces, indexPieces} {
		rows, err := tx.Query(ctx, sql, names)
		if err != nil {
			return out, err
		}
		found, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (p piece, err error) {
			return p, r.Scan(&p.table, &p.name, &p.drop, &p.make, &p.unproved)
		})
		if err != nil {
			return out, err
		}
		for _, p := range found {
			gone, err := dropPiece(ctx, tx, p)
			switch {
			case err != nil:
				return out, err
			case !gone:
			case sql == foreignPieces:
				out.foreign = append(out.foreign, p)
			default:
				out.indexes[by[p.table]] = append(out.indexes[by[p.table]], p)
			}
		}
	}
	return out, tx.Commit(ctx)
}

// dropPiece reports false when something depends on the piece.
func dropPiece(ctx context.Context, tx pgx.Tx, p piece) (bool, error) {
	if _, err := tx.Exec(ctx, "SAVEPOINT piece"); err != nil {
		return false, err
	}
	_, err := tx.Exec(ctx, p.drop, pgx.QueryExecModeSimpleProtocol)
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "2BP01" {
		_, err := tx.Exec(ctx, "ROLLBACK TO SAVEPOINT piece")
		return false, err
	}
	return err == nil, err
}

// asked are the tables of $1, by their quoted names.
const asked = `asked AS (SELECT c.oid, t.name, c.relkind, c.relispartition FROM unnest($1::text[]) t(name) JOIN pg_class c ON c.oid = t.name::regclass)`

// A partition's share of a foreign key goes and comes with its parent's.
const foreignPieces = `WITH ` + asked + `
SELECT k.conrelid::regclass::text, k.conname,
       format('ALTER TABLE %s DROP CONSTRAINT %I', k.conrelid::regclass, k.conname),
       format('ALTER TABLE %s ADD CONSTRAINT %I %s', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid)),
       CASE WHEN k.convalidated AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid IN (k.conrelid, k.confrelid) AND (c.relkind = 'p' OR c.relispartition))
            THEN format('ALTER TABLE %s ADD CONSTRAINT %I %s NOT VALID', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid)) ELSE '' END
FROM pg_constraint k
WHERE k.contype = 'f' AND k.conparentid = 0 AND (k.conrelid IN (SELECT oid FROM asked) OR k.confrelid IN (SELECT oid FROM asked))
ORDER BY k.conrelid, k.conname`

// Indexes that identify rows for replication or order a table on disk would lose
// that mark; they stay. So do those of partitioned tables.
const keyPieces = `WITH ` + asked + `
SELECT a.name, k.conname,
       format('ALTER TABLE %s DROP CONSTRAINT %I', a.name, k.conname),
       format('ALTER TABLE %s ADD CONSTRAINT %I %s', a.name, k.conname, pg_get_constraintdef(k.oid)), ''
FROM asked a JOIN pg_constraint k ON k.conrelid = a.oid JOIN pg_index i ON i.indexrelid = k.conindid
WHERE k.contype IN ('p', 'u', 'x') AND a.relkind = 'r' AND NOT a.relispartition
  AND NOT i.indisreplident AND NOT i.indisclustered
ORDER BY a.name, k.contype <> 'p', k.conname`

const indexPieces = `WITH ` + asked + `
SELECT a.name, i.indexrelid::regclass::text, format('DROP INDEX %s', i.indexrelid::regclass), pg_get_indexdef(i.indexrelid), ''
FROM asked a JOIN pg_index i ON i.indrelid = a.oid
WHERE a.relkind = 'r' AND NOT a.relispartition AND i.indisvalid AND NOT i.indisreplident AND NOT i.indisclustered
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
ORDER BY a.name, 2`
