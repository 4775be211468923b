package clone

import (
	"context"
	"errors"
	"maps"
	"strings"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/postgres"
)

// beforeDatabase is production as it is before the pending migrations.
const beforeDatabase = "before"

// Before makes a second database beside the pristine one: the schema without the
// pending migrations, with production's rows. Migrations that follow a pending one are
// expected to be pending too. A database made earlier is replaced.
func (c *Clone) Before(ctx context.Context, pending []*premortem.Migration) error {
	d := c.Database
	if d == nil {
		return &premortem.Error{Doing: "rehearse a migration", Err: errors.New("the system has no PostgreSQL")}
	}
	ms, err := c.migrations(pending)
	if err != nil {
		return err
	}
	d.before = nil
	if err := d.Server.DropDatabase(ctx, beforeDatabase); err != nil {
		return err
	}
	if err := d.Server.CreateDatabase(ctx, beforeDatabase, ""); err != nil {
		return err
	}
	if err := d.Server.Migrate(ctx, beforeDatabase, ms); err != nil {
		return err
	}
	schema, err := postgres.Inspect(ctx, d.Server.SocketDSN(beforeDatabase))
	if err != nil {
		return err
	}
	fill := c.fillOptions()
	fill.Rows = maps.Clone(fill.Rows)
	exists := map[string]bool{}
	for _, t := range schema.Tables {
		exists[t.Name] = true
	}
	for name := range fill.Rows {
		if !exists[strings.TrimPrefix(name, "public.")] {
			delete(fill.Rows, name) // a pending migration makes it
			delete(fill.Values, name)
		}
	}
	rows, err := postgres.Plan(schema, fill)
	if err != nil {
		return err
	}
	if err := rows.Load(ctx, d.Server, beforeDatabase); err != nil {
		return err
	}
	if err := d.grant(ctx, beforeDatabase, false); err != nil {
		return err
	}
	d.before = rows
	return nil
}

// ResetBefore is Reset with the database that Before made.
func (c *Clone) ResetBefore(ctx context.Context) error {
	if c.Database == nil || c.Database.before == nil {
		return &premortem.Error{Doing: "rehearse a migration", Err: errors.New("the schema before it was not made")}
	}
	return c.resetFrom(ctx, beforeDatabase, c.Database.before)
}

// Rehearse applies steps of a migration to the live database.
func (d *Database) Rehearse(ctx context.Context, steps []postgres.Step, o postgres.Rehearsal) (premortem.MigrationRun, error) {
	return d.Server.Rehearse(ctx, liveDatabase, steps, o)
}

// SafeForm looks for the safe form of steps on the live database, which is as it was
// before them.
func (d *Database) SafeForm(ctx context.Context, plain []postgres.Step, run premortem.MigrationRun) ([]postgres.Step, bool, []string, error) {
	return d.Server.SafeForm(ctx, liveDatabase, plain, run)
}
