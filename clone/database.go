package clone

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/postgres"
)

const (
	liveDatabase     = "app"        // what the units use
	pristineDatabase = "production" // filled once; each fresh start copies it
	appRole          = "app"
)

// Database is the clone's PostgreSQL.
type Database struct {
	Node     premortem.Node
	Server   *postgres.Server
	Rows     *postgres.Rows // of the live database
	Factor   float64        // of rows, 1 after Start
	pristine *postgres.Rows
	before   *postgres.Rows // of the database before the pending migrations, nil none was made
	password string
	fillTook time.Duration
	binaries postgres.Binaries
	stores   []*premortem.Store
}

// startDatabase starts PostgreSQL of production's major version, applies the
// repository's migrations and fills the tables to production's size.
func (c *Clone) startDatabase(ctx context.Context, node premortem.Node, stores []*premortem.Store) (*Database, error) {
	want := Major(stores)
	settings, doubts := databaseSettings(stores)
	c.Notes = append(c.Notes, doubts...)
	bin, err := postgres.Find(ctx, postgres.FindOptions{Major: want, Cache: c.opts.Cache, Progress: func(s string) {
		if c.opts.Progress != nil {
			c.opts.Progress(s, 0, 0)
		}
	}})
	if err != nil {
		return nil, err
	}
	srv, err := postgres.Start(ctx, bin, postgres.Options{
		Dir: c.scratch, Settings: settings,
		Journal: func(pid int, dir string) error {
			if pid == 0 { // a folder that is about to be made
				return c.journal.add(entry{Kind: "folder", Path: dir})
			}
			return c.journal.process(string(node), pid)
		},
	})
	if err != nil {
		return nil, err
	}
	d := &Database{Node: node, Server: srv, Factor: 1, password: rand.Text(), binaries: bin, stores: stores}
	if err := c.prepare(ctx, d); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// prepare makes the pristine database and the live copy.
func (c *Clone) prepare(ctx context.Context, d *Database) error {
	srv := d.Server
	if err := srv.CreateDatabase(ctx, pristineDatabase, ""); err != nil {
		return err
	}
	ms, err := c.migrations(nil)
	if err != nil {
		return err
	}
	if err := srv.Migrate(ctx, pristineDatabase, ms); err != nil {
		return err
	}
	if err := c.readProfile(); err != nil {
		return err
	}
	began := time.Now()
	schema, err := postgres.Inspect(ctx, srv.SocketDSN(pristineDatabase))
	if err != nil {
		return err
	}
	if d.pristine, err = postgres.Plan(schema, c.fillOptions()); err != nil {
		return err
	}
	if err := d.pristine.Load(ctx, srv, pristineDatabase); err != nil {
		return err
	}
	d.Rows, d.fillTook = d.pristine, time.Since(began)
	c.Notes = append(c.Notes, d.pristine.Notes...)
	if err := c.compareRows(ctx, d); err != nil {
		return err
	}
	if err := d.grant(ctx, pristineDatabase, true); err != nil {
		return err
	}
	if err := srv.CreateDatabase(ctx, liveDatabase, pristineDatabase); err != nil {
		return err
	}
	d.fillTook = time.Since(began)
	c.opts.Stage(premortem.Stage{Name: "rows", Says: d.says(c.Sys.Database.Rows), Took: d.fillTook.Seconds()})
	return nil
}

func (c *Clone) fillOptions() postgres.FillOptions {
	o := postgres.FillOptions{Rows: c.opts.Rows, Values: map[string]map[string]string{}, Seed: c.opts.Seed, Profile: c.profile}
	if o.Rows == nil {
		o.Rows = map[string]int64{}
		for _, w := range c.Sys.Database.Rows {
			o.Rows[w.Table] = int64(w.Rows.Value)
		}
	}
	for _, v := range c.Sys.Database.Values {
		if o.Values[v.Table] == nil {
			o.Values[v.Table] = map[string]string{}
		}
		o.Values[v.Table][v.Column] = v.Template.Value
	}
	if c.opts.Progress != nil {
		o.Progress = func(table string, done, total int64) { c.opts.Progress("rows of "+table, done, total) }
	}
	return o
}

func (c *Clone) migrations(without []*premortem.Migration) ([]postgres.Migration, error) {
	return Migrations(c.Sys, c.opts.Dir, without)
}

// grant makes the role that the app uses: an ordinary one, so that the limits for
// ordinary roles apply. It runs on the pristine database, so copies inherit it; on a
// second one the role is there and only its rights are given.
func (d *Database) grant(ctx context.Context, db string, role bool) error {
	conn, err := pgx.Connect(ctx, d.Server.SocketDSN(db))
	if err != nil {
		return &premortem.Error{Doing: "make the app's role", Err: err}
	}
	defer conn.Close(ctx)
	create := ""
	if role {
		create = fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s';", appRole, d.password)
	}
	_, err = conn.Exec(ctx, create+fmt.Sprintf(`
		DO $$ DECLARE s text; BEGIN
			FOR s IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
				EXECUTE format('GRANT ALL ON SCHEMA %%I TO %[1]s', s);
				EXECUTE format('GRANT ALL ON ALL TABLES IN SCHEMA %%I TO %[1]s', s);
				EXECUTE format('GRANT ALL ON ALL SEQUENCES IN SCHEMA %%I TO %[1]s', s);
			END LOOP;
		END $$`, appRole))
	if err != nil {
		return &premortem.Error{Doing: "make the app's role", Err: err}
	}
	return nil
}

// DSN is our own way into the live database, as superuser and past every edge.
func (d *Database) DSN() string { return d.Server.SocketDSN(liveDatabase) }

// Fresh gives the live database factor × production's rows. From the present size it
// grows in place when it can; otherwise it begins with Reset.
func (c *Clone) Fresh(ctx context.Context, factor float64) error {
	d := c.Database
	if d == nil {
		return &premortem.Error{Doing: "grow the rows", Err: errors.New("the system has no PostgreSQL")}
	}
	if factor < d.Factor || d.Factor != 1 {
		if err := c.Reset(ctx); err != nil {
			return err
		}
	}
	if factor <= 1 {
		return nil
	}
	rows, err := d.Rows.Grow(ctx, d.Server, liveDatabase, factor)
	if err != nil {
		return err
	}
	d.Rows, d.Factor = rows, factor
	return nil
}

// Reset puts a copy of the pristine database in the live one's place and starts the
// units anew, with production's environment.
func (c *Clone) Reset(ctx context.Context) error {
	var rows *postgres.Rows
	if c.Database != nil {
		rows = c.Database.pristine
	}
	return c.resetFrom(ctx, pristineDatabase, rows)
}

func (c *Clone) resetFrom(ctx context.Context, template string, rows *postgres.Rows) error {
	if err := c.stopUnits(); err != nil {
		return err
	}
	if d := c.Database; d != nil {
		if err := d.Server.DropDatabase(ctx, liveDatabase); err != nil {
			return err
		}
		if err := d.Server.CreateDatabase(ctx, liveDatabase, template); err != nil {
			return err
		}
		d.Rows, d.Factor = rows, 1
	}
	for _, w := range c.plans {
		w.env.over = nil
	}
	return c.startUnits(ctx)
}

// Exec runs a statement on the live database, for trying a fix.
func (d *Database) Exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, d.DSN())
	if err != nil {
		return &premortem.Error{Doing: "reach the clone's database", Err: err}
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		return &premortem.Error{Doing: "run " + sql, Err: err}
	}
	return nil
}

// Sizes returns the tables of the live database, largest first.
func (d *Database) Sizes(ctx context.Context) ([]premortem.TableSize, error) {
	return d.Server.Sizes(ctx, liveDatabase)
}

func (d *Database) close() error { return d.Server.Close() }

// databaseSettings are production's own where the repository says them, else what
// a managed service of that size uses as far as planning and durability go.
func databaseSettings(stores []*premortem.Store) (out map[string]string, doubts []string) {
	out = map[string]string{"shared_buffers": "256MB", "max_wal_size": "2GB", "shared_preload_libraries": "pg_stat_statements"}
	for _, s := range stores {
		if s.MaxConnections.Set() {
			out["max_connections"] = strconv.Itoa(s.MaxConnections.Value)
			break
		}
	}
	own, doubts := Settings(stores, append(slices.Clone(planning), "statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout"))
	maps.Copy(out, own)
	return out, doubts
}

// TCP is the app role's way into the live database: through addr, an edge, or
// straight when addr is "".
func (d *Database) TCP(addr string) string {
	if addr == "" {
		addr = d.Server.Addr()
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(appRole, d.password), Host: addr, Path: "/" + liveDatabase}
	return u.String()
}

// Set changes a setting of the server, "name=value", and restarts it with the units.
func (c *Clone) Set(ctx context.Context, setting string) error {
	name, value, ok := strings.Cut(setting, "=")
	if !ok || c.Database == nil {
		return &premortem.Error{Doing: "change a database setting", Err: fmt.Errorf("%q is not name=value for a PostgreSQL", setting)}
	}
	if err := c.stopUnits(); err != nil {
		return err
	}
	if err := c.Database.Server.Restart(ctx, map[string]string{name: value}); err != nil {
		return err
	}
	return c.startUnits(ctx)
}

// Active is how many statements of the units the database works on now.
func (c *Clone) Active(ctx context.Context) (int, error) {
	if c.Database == nil {
		return 0, nil
	}
	conn, err := pgx.Connect(ctx, c.Database.Server.SocketDSN(pristineDatabase))
	if err != nil {
		return 0, &premortem.Error{Doing: "ask the database what it works on", Err: err}
	}
	defer conn.Close(ctx)
	n := 0
	err = conn.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND state <> 'idle'`, appRole).Scan(&n)
	if err != nil {
		return 0, &premortem.Error{Doing: "ask the database what it works on", Err: err}
	}
	return n, nil
}
