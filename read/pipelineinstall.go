package read

import (
	"path"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// jobInstall is a line of a pipeline that installs packages, before it is known
// which lockfiles the tree has.
type jobInstall struct {
	words []string
	dir   string
	pos   premortem.Pos
	quote string
}

// installs notes the lines of a job that may install packages.
func (j *pipelineJob) installs(job *yaml.Node) {
	base := text(field(job, "defaults", "run", "working-directory"))
	for _, step := range items(field(job, "steps")) {
		dir := base
		if s := text(field(step, "working-directory")); s != "" {
			dir = s
		}
		run := field(step, "run")
		if run == nil || strings.Contains(dir, "${{") {
			continue
		}
		j.d.addInstalls(githubExpr.ReplaceAllString(run.Value, "EXPR"), dir, func(line int, word string) (premortem.Pos, string) {
			pos := j.lineIn(run, line, word)
			return pos, Mask(j.f.Path, j.lines[min(pos.Line, len(j.lines))-1])
		})
	}
}

// addInstalls notes the commands of a script that install packages.
func (d *Draft) addInstalls(script, dir string, place func(line int, word string) (premortem.Pos, string)) {
	for _, c := range shellCalls(script) {
		switch c.words[0] {
		case "npm", "yarn", "pnpm", "pip", "pip3", "python", "python3", "poetry", "pipenv", "uv", "bundle", "composer":
		default:
			continue
		}
		if strings.Contains(c.dir, "EXPR") || strings.HasPrefix(c.dir, "/") {
			continue
		}
		pos, quote := place(c.line, c.words[0])
		d.jobInstalls = append(d.jobInstalls, jobInstall{c.words, path.Join(dir, c.dir), pos, quote})
	}
}

// jobInstalls adds the installs of pipelines with the lockfiles beside them.
func (g *merger) jobInstalls() {
	if g.d.tree == nil {
		return
	}
	for _, j := range g.d.jobInstalls {
		dir := join(".", j.dir)
		if dir == "" {
			continue
		}
		in := installPlace{ci: true, env: map[string]string{"CI": "true"}, text: func(name string) string { return g.textIn(join(dir, name)) }}
		x, frozen, ok := installOf(j.words, in)
		if !ok {
			continue
		}
		i := &premortem.Install{Pos: j.pos, Quote: j.quote, Tool: x.tool, Frozen: frozen, CI: true}
		for _, svc := range g.sys.Services {
			if svc.Dir == dir && i.Service == "" {
				i.Service = svc.Node
			}
		}
		for _, name := range x.locks {
			if x.tool == "pip" && frozen {
				break // the requirements are the lock
			}
			if p := join(dir, name); g.d.tree.has(p) {
				i.Lockfile = premortem.Setting[string]{Value: p, Pos: premortem.Pos{File: p, Line: 1}}
				break
			}
		}
		g.d.installs = append(g.d.installs, i)
	}
}

// actionArgs reads the build-args of build-push-action, one on each line. open is an
// expression that stands for several.
func actionArgs(f File, n *yaml.Node) (args []premortem.EnvSet, open bool) {
	for i, line := range strings.Split(text(n), "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if strings.Contains(name, "${{") {
			open = true
			continue
		}
		s := premortem.EnvSet{Name: name, Pos: at(f.Path, n), Source: "build-args"}
		if n.Style&yaml.LiteralStyle != 0 {
			s.Pos.Line += i + 1
		}
		if ok && !strings.Contains(value, "${{") {
			keep(&s, value, secretSource)
		}
		args = append(args, s)
	}
	return args, open
}
