package read

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/premortem/premortem"
)

// readCompose makes a deployment of each set of files that Compose would load.
func readCompose(ctx context.Context, t *Tree, d *Draft) error {
	folders := map[string][]*manifest{}
	for _, m := range d.manifests {
		if m.format == "compose" {
			folders[path.Dir(m.Path)] = append(folders[path.Dir(m.Path)], m)
		}
	}
	parts := map[string]bool{} // files that others include are no deployments
	for _, m := range d.manifests {
		if m.format == "compose" {
			named, _ := composeRefs(t, m.Path, m.docs, 0) // load reports what is wrong
			for _, n := range named {
				main := composeName.FindStringSubmatch(path.Base(n.Path))
				if path.Dir(n.Path) != path.Dir(m.Path) || main == nil || main[1] != "" {
					parts[n.Path] = true // but a folder's main file is run as it is
				}
			}
		}
	}
	var loads []*composeLoad
	for _, dir := range sortedKeys(folders) {
		whole := slices.DeleteFunc(folders[dir], func(m *manifest) bool { return parts[m.Path] })
		for _, set := range composeSets(whole) {
			l := &composeLoad{t: t, d: &Draft{manifests: d.manifests}, dir: dir, files: set, name: set[len(set)-1].Path}
			if len(set) > 1 && isOverride(l.name) {
				l.name = set[0].Path
			}
			loads = append(loads, l)
		}
	}
	return loadAll(ctx, d, loads)
}

// loadAll loads the projects beside one another, each into a draft of its own, and
// adds up the drafts in their order.
func loadAll(ctx context.Context, d *Draft, loads []*composeLoad) error {
	g := errgroup.Group{}
	g.SetLimit(readersAtOnce())
	for _, l := range loads {
		g.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			l.survive(ctx)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, l := range loads {
		l.d.manifests = nil
		d.join(l.d)
	}
	return ctx.Err()
}

// survive loads the project whatever is in it.
func (l *composeLoad) survive(ctx context.Context) {
	defer func() {
		if p := recover(); p != nil {
			l.d.miss(premortem.Pos{File: l.name, Line: 1}, fmt.Sprintf("the compose reader gave up: %v", p))
		}
	}()
	if err := l.load(ctx); err != nil && ctx.Err() == nil {
		l.d.missErr(l.name, err)
	}
}

func isOverride(p string) bool {
	m := composeName.FindStringSubmatch(path.Base(p))
	return m != nil && m[1] == "override"
}

// composeSets groups the Compose files of a folder: the base with its override, and
// each variant, on top of the base unless it describes its services in full.
func composeSets(files []*manifest) [][]*manifest {
	var base, override *manifest
	var variants []*manifest
	for _, f := range files {
		switch m := composeName.FindStringSubmatch(path.Base(f.Path)); {
		case m[1] == "override":
			override = f
		case m[1] != "":
			variants = append(variants, f)
		case base == nil || !strings.HasPrefix(path.Base(base.Path), "compose"):
			base = f // files are sorted: compose.yaml wins over docker-compose.yml
		}
	}
	var sets [][]*manifest
	switch {
	case base != nil && override != nil:
		sets = append(sets, []*manifest{base, override})
	case base != nil:
		sets = append(sets, []*manifest{base})
	case override != nil:
		variants = append(variants, override)
	}
	for _, v := range variants {
		if base == nil || selfContained(v) && !refines(v, base) {
			sets = append(sets, []*manifest{v})
		} else {
			sets = append(sets, []*manifest{base, v})
		}
	}
	return sets
}

// selfContained reports whether each service of a file says what it runs.
func selfContained(m *manifest) bool {
	services := entries(field(m.docs[0], "services"))
	for _, s := range services {
		if field(s.value, "image") == nil && field(s.value, "build") == nil && field(s.value, "extends") == nil {
			return false
		}
	}
	return len(services) > 0
}

// refines reports a variant that leaves to the base what its services need: they
// have variables or ports there and none here, or start after a service of the base.
func refines(v, base *manifest) bool {
	for _, s := range entries(field(v.docs[0], "services")) {
		deps := field(s.value, "depends_on")
		needs := texts(deps)
		for _, e := range entries(deps) {
			needs = append(needs, e.key.Value)
		}
		for _, n := range needs {
			if field(v.docs[0], "services", n) == nil && field(base.docs[0], "services", n) != nil {
				return true // starts after a service of the base
			}
		}
		below := field(base.docs[0], "services", s.key.Value)
		for _, key := range []string{"environment", "env_file", "ports"} {
			if field(below, key) != nil && field(s.value, "environment") == nil && field(s.value, "env_file") == nil && field(s.value, "ports") == nil {
				return true
			}
		}
	}
	return false
}
