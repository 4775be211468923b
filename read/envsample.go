package read

import (
	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// examples turns the example files of the tree into samples.
func (g *merger) examples() {
	for _, f := range g.d.envFiles {
		if f.example && len(f.sets) > 0 {
			g.d.samples = append(g.d.samples, &premortem.EnvSample{Kind: "example", File: f.path, Sets: f.sets})
		}
	}
	g.sys.Samples = append(g.sys.Samples, g.d.samples...)
}

// pipelineSample keeps the names that a block of a pipeline gives to what it runs.
func pipelineSample(f File, d *Draft, blocks ...*yaml.Node) {
	for _, block := range blocks {
		s := &premortem.EnvSample{Kind: "pipeline", File: f.Path}
		for _, e := range entries(block) {
			set := premortem.EnvSet{Name: e.key.Value, Source: "pipeline", Pos: at(f.Path, e.key), Empty: text(e.value) == ""}
			s.Sets = append(s.Sets, set)
		}
		if len(s.Sets) > 0 {
			d.samples = append(d.samples, s)
		}
	}
}
