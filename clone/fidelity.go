package clone

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/premortem/premortem/postgres"
)

// readProfile reads the statistics of production's database where the repository names
// them, so that the rows can be like production's.
func (c *Clone) readProfile() (err error) {
	if w := c.Sys.Database.Profile; w.Set() && c.profile == nil {
		file := filepath.FromSlash(w.Value)
		if !filepath.IsAbs(file) {
			file = filepath.Join(c.opts.Dir, file)
		}
		c.profile, err = postgres.LoadProfile(file)
	}
	return err
}

// compareRows says how far the generated rows are like production's. Below what can be
// believed that is a doubt about every time that is measured.
func (c *Clone) compareRows(ctx context.Context, d *Database) error {
	if c.profile == nil {
		return nil
	}
	f, err := d.pristine.Fidelity(ctx, d.Server, pristineDatabase)
	if err != nil {
		return err
	}
	standing := "equal"
	if f.Score < postgres.Believable {
		standing = "not modelled"
		c.Notes = append(c.Notes, fmt.Sprintf("the rows are not like production's: fidelity %s, and times need %.1f", f, postgres.Believable))
	}
	pos := c.Sys.Database.Profile.Pos
	c.add(d.Node, "spread of values", "1.000", f.String(), standing, pos)
	for _, t := range f.Absent {
		c.add(d.Node, "rows of "+t, "in the profile", "none", "not modelled", pos)
	}
	return nil
}
