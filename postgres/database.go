package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/premortem/premortem"
)

// CreateDatabase makes a database that the app's role owns: a copy of template,
// which nobody may be connected to, or an empty one for "". Copies of large
// databases are made file by file (15 and newer), not through the log.
func (s *Server) CreateDatabase(ctx context.Context, name, template string) error {
	doing := "create database " + name
	sql := "CREATE DATABASE " + quoteIdent(name) + " OWNER " + appRole
	if template != "" {
		doing += " from " + template
		sql += " TEMPLATE " + quoteIdent(template)
		if s.bin.Major >= 15 {
			sql += " STRATEGY file_copy"
		}
	}
	err := s.admin(ctx, func(c *pgx.Conn) error {
		// The server itself waits five seconds for sessions that are about to leave.
		_, err := c.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
		return err
	})
	return s.databaseError(doing, err)
}

// DropDatabase ends the connections to a database and removes it. One that does
// not exist is no error.
func (s *Server) DropDatabase(ctx context.Context, name string) error {
	err := s.admin(ctx, func(c *pgx.Conn) error {
		sql := "DROP DATABASE IF EXISTS " + quoteIdent(name)
		if s.bin.Major >= 13 {
			sql += " WITH (FORCE)"
		} else if _, err := c.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name); err != nil {
			return err
		}
		_, err := c.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
		return err
	})
	return s.databaseError("drop database "+name, err)
}

func (s *Server) databaseError(doing string, err error) error {
	if err == nil {
		return nil
	}
	hint := ""
	pg, _ := errors.AsType[*pgconn.PgError](err)
	switch {
	case isDiskFull(err):
		hint = "free space in " + s.dir + ", or use a folder on a larger disk"
	case pg != nil && pg.Code == "55006":
		hint = "close every connection to the template first"
	case pg != nil && pg.Code == "42P04":
		hint = "drop it first, or use another name"
	}
	return &premortem.Error{Doing: doing, Err: err, Hint: hint}
}

// admin runs work on a connection of its own to the maintenance database.
func (s *Server) admin(ctx context.Context, work func(*pgx.Conn) error) error {
	return s.on(ctx, appRole, work)
}

// on runs work on a connection of its own to a database.
func (s *Server) on(ctx context.Context, db string, work func(*pgx.Conn) error) error {
	return connected(ctx, s.SocketDSN(db), work)
}

func connected(ctx context.Context, dsn string, work func(*pgx.Conn) error) error {
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer closeConn(c)
	return work(c)
}

// closeConn says goodbye also when the context that opened the connection is dead.
func closeConn(c *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c.Close(ctx)
}

// Sizes returns the rows that statistics know and the bytes with indexes of every
// table of a database, largest first.
func (s *Server) Sizes(ctx context.Context, db string) ([]premortem.TableSize, error) {
	const sql = `
SELECT CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || c.relname,
       greatest(c.reltuples, 0)::bigint, pg_total_relation_size(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_t%'
ORDER BY 3 DESC, 1`
	var out []premortem.TableSize
	err := s.on(ctx, db, func(c *pgx.Conn) error {
		rows, err := c.Query(ctx, sql)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (t premortem.TableSize, err error) {
			return t, r.Scan(&t.Table, &t.Rows, &t.Bytes)
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the sizes of database %s: %w", db, err)
	}
	return out, nil
}

func quoteIdent(name string) string { return pgx.Identifier{name}.Sanitize() }
