package main

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/premortem/premortem/clone"
	"github.com/premortem/premortem/postgres"
)

// schema decides what the tables are made from: SQL migrations as they stand, else the
// profile's definitions, else what was understood of the other runners' migrations.
func (f *prophet) schema(b *base) error {
	runners, plain := f.runners()
	var drawn *postgres.Blueprint
	from := ""
	if b.profile != nil {
		if p, ok := b.profile.Blueprint(); ok {
			drawn, from = p, "the profile's definitions"
		}
	}
	if drawn == nil && len(f.sys.Tables) > 0 {
		drawn, from = postgres.Declared(f.sys.Tables), "what was understood of "+runners
	}
	if plain {
		ms, err := clone.Migrations(f.sys, f.dir, nil)
		if err != nil {
			return err
		}
		b.migrations, b.spare = ms, drawn
		return nil
	}
	if drawn == nil && len(f.sys.Migrations) > 0 {
		return fmt.Errorf("%w: no table was understood of %s, which would have to be run", errNoSchema, runners)
	}
	if drawn == nil {
		return fmt.Errorf("%w: no migration and no model was found in the repository, and no profile tells", errNoSchema)
	}
	b.drawn = drawn
	f.doubt("the schema is made from %s", from)
	return nil
}

// runners names what makes production's schema, and says whether all of it is SQL.
func (f *prophet) runners() (names string, plain bool) {
	seen := map[string]bool{}
	plain = true
	for _, m := range f.sys.Migrations {
		if m.Dialect != "" && m.Dialect != "postgres" {
			continue
		}
		seen[m.Runner] = true
		plain = plain && filepath.Ext(m.Pos.File) == ".sql"
	}
	if len(seen) == 0 {
		return "the models in the code", false
	}
	return "the migrations of " + strings.Join(slices.Sorted(maps.Keys(seen)), " and "), plain
}

// build makes the tables in the server that is filled.
func (f *prophet) build(ctx context.Context, b *base) error {
	if err := b.server.CreateDatabase(ctx, b.db, ""); err != nil {
		return err
	}
	if b.drawn == nil {
		err := b.server.Migrate(ctx, b.db, b.migrations)
		if err == nil {
			return nil
		}
		if b.spare == nil || ctx.Err() != nil {
			return fmt.Errorf("%w: %w", errNoSchema, err)
		}
		f.replaced(b, err)
		b.db += "_again" // of the first, some files have been applied
		if err := b.server.CreateDatabase(ctx, b.db, ""); err != nil {
			return err
		}
	}
	lost, err := b.server.Build(ctx, b.db, b.drawn)
	f.lost(lost)
	return err
}

// replaced puts the spare schema in the place of migrations that failed.
func (f *prophet) replaced(b *base, err error) {
	f.doubt("the migrations could not be applied as they stand, so the schema is made from what was understood of them: %v", err)
	b.drawn, b.spare, b.migrations = b.spare, nil, nil
}

// ghost starts the ghost, from the spare schema if the migrations fail.
func (f *prophet) ghost(ctx context.Context, b *base) (*postgres.Ghost, error) {
	o := postgres.GhostOptions{Settings: b.settings, Schema: b.drawn}
	g, err := postgres.NewGhost(ctx, b.binaries, b.migrations, b.profile, o)
	if err == nil || b.spare == nil || ctx.Err() != nil {
		return g, err
	}
	f.replaced(b, err)
	o.Schema = b.drawn
	return postgres.NewGhost(ctx, b.binaries, nil, b.profile, o)
}

// mostLost is how many missing parts of a schema are told one by one.
const mostLost = 12

// lost tells what of the schema is not there.
func (f *prophet) lost(what []string) {
	for i, l := range what {
		if i == mostLost {
			f.doubt("the schema lacks %d more", len(what)-i)
			return
		}
		f.doubt("the schema lacks %s", l)
	}
}
