package read

import (
	"path"

	"github.com/premortem/premortem"
)

// bundleFiles adds what the committed .env files of a bundler give to the build: it
// reads them by itself, from the folder of the code.
func (g *merger) bundleFiles() {
	for _, svc := range g.sys.Services {
		if svc.Dir == "" || svc.Dockerfile == "" {
			continue
		}
		for _, base := range []string{".env.production", ".env.production.local", ".env", ".env.local"} {
			for _, f := range g.d.envFiles {
				if f.path != path.Join(svc.Dir, base) || f.example || g.leftOutOf(svc, f.path) {
					continue
				}
				for _, set := range f.sets {
					if !set.Empty {
						svc.BuildArgs = append(svc.BuildArgs, set)
					}
				}
			}
		}
	}
}

func (g *merger) leftOutOf(svc *premortem.Service, file string) bool {
	for _, s := range g.services {
		if s.node == svc.Node {
			return s.leftOut(file)
		}
	}
	return false
}
