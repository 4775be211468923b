package observe

import (
	"context"
	"errors"
	"time"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/clone"
	"github.com/premortem/premortem/postgres"
)

// Database reads PostgreSQL's own views.
var Database = add(Probe{
	Name: "database",
	Doc: premortem.Doc{
		Title:  "pg_stat_activity and pg_stat_statements",
		Why:    "The server knows who waits for whom, how many connections are open, and which statement cost how much.",
		When:   "Every 100 ms on a connection of its own, past the edges.",
		Silent: "A wait shorter than the sampling is seen only in proportion to its share of the time. A system without PostgreSQL is not watched, which is no doubt about it.",
		Fix:    "Read the statement with the largest share first, then who waits for a lock or a disk. Waits without a heavy statement point at connections or locks, not at an index.",
	},
	Watch: func(ctx context.Context, c *clone.Clone) (Eye, error) {
		if c.Database == nil {
			return noEye{}, nil
		}
		return &databaseEye{c: c}, nil
	},
})

// noEye has nothing to look at, and so nothing to miss.
type noEye struct{}

func (noEye) Take(context.Context, *premortem.Phase) ([]string, error) { return nil, nil }
func (noEye) Close() error                                             { return nil }

// databaseEye opens its watcher anew when the live database was replaced.
type databaseEye struct {
	c *clone.Clone
	w *postgres.Watcher
}

const databaseEvery = 100 * time.Millisecond

func (e *databaseEye) Take(ctx context.Context, p *premortem.Phase) ([]string, error) {
	if e.w == nil {
		w, err := postgres.Watch(ctx, e.c.Database.DSN(), databaseEvery)
		if err != nil {
			return nil, err
		}
		e.w = w
	}
	stats, err := e.w.Take(ctx)
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	p.Database = stats
	return nil, nil
}

func (e *databaseEye) Close() error {
	if e.w == nil {
		return nil
	}
	err := e.w.Close()
	e.w = nil
	return err
}
