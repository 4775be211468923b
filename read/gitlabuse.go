package read

import (
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// gitlabNames are variables that a GitLab runner has by itself.
var gitlabNames = regexp.MustCompile(`^(CI|CI_|GITLAB_|RUNNER_|TRIGGER_|DOCKER_|HOME|PATH|PWD|USER|SHELL|HOSTNAME|LANG|TMPDIR)`)

// uses lists the variables that the script of a job expands. What the pipeline does
// not set may be set in the project, which nobody can read here: it stays unknown.
func (g *gitlabRun) uses(job string, run *yaml.Node, script string, scopes []*yaml.Node) {
	s, ok := readShell(script)
	if !ok {
		return
	}
	lines := strings.Split(string(g.f.Data), "\n")
	place := func(line int, word string) (premortem.Pos, string) {
		pos := at(g.f.Path, run)
		if run.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			pos.Line += line
		}
		for i := pos.Line; i <= len(lines) && i < pos.Line+40; i++ {
			if strings.Contains(lines[i-1], word) {
				pos.Line = i
				break
			}
		}
		pos.Line = min(pos.Line, len(lines))
		return pos, Mask(g.f.Path, lines[pos.Line-1])
	}
	deploys := deployWord.MatchString(job)
	for _, w := range s.words {
		program, _, _ := strings.Cut(w, " ")
		deploys = deploys || deployTools[program]
	}
	seen := map[string]bool{}
	for _, u := range s.uses {
		if seen[u.name] || !shellName.MatchString(u.name) || gitlabNames.MatchString(u.name) || s.sets[u.name] {
			continue
		}
		seen[u.name] = true
		out := premortem.PipelineUse{Name: u.name, Job: job, Deploys: deploys}
		out.Pos, out.Quote = place(u.line, u.name)
		for _, scope := range scopes {
			if k, v := pair(scope, u.name); k != nil && out.Provided == premortem.ProvisionUnknown {
				out.Provided = premortem.Provided
				if v.Kind == yaml.ScalarNode && v.Value == "" {
					out.Provided = premortem.ProvidedEmpty
				}
			}
		}
		g.d.pipeline = append(g.d.pipeline, &out)
	}
	g.d.addInstalls(script, "", place)
}

// literals records credentials that stand in the variables of a pipeline.
func (g *gitlabRun) literals(scope *yaml.Node) {
	lines := strings.Split(string(g.f.Data), "\n")
	for _, e := range entries(scope) {
		value := text(e.value) + text(field(e.value, "value"))
		if pos := at(g.f.Path, e.key); shapeOf(value) != "" && pos.Line <= len(lines) {
			g.d.credential(g.f.Path, pos, lines[pos.Line-1], e.key.Value, value, "pipeline", "")
		}
	}
}
