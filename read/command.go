package read

import (
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/premortem/premortem"
)

// complete fills what needs the image: the command, the variables of its ENV, and
// whether it only serves files.
func (g *merger) complete(w *workload) {
	var st *stage
	if df := g.dockerfiles[w.Dockerfile]; df != nil {
		st = df.final(w.target)
	}
	if st != nil {
		base := st.root()
		for _, e := range st.env {
			s := premortem.EnvSet{Name: e.name, Pos: e.pos, Source: "image"}
			keep(&s, e.value, plainSource)
			w.Provides = append(w.Provides, s)
		}
		w.Provides = lastImageWins(w.Provides)
		g.imageEnv(w, st)
		w.BuildArgs = g.buildArgs(w, st)
		if st.check != nil && len(w.Probes) == 0 && !w.noCheck && g.kindOf(w.Deployment) == "compose" {
			w.Probes = append(w.Probes, *st.check)
		}
		if !knownBase(base.base) && base.base != "" {
			w.Opaque = append(w.Opaque, premortem.Opaque{Why: "base image " + base.base + " may set variables of its own", Pos: base.pos})
		}
		w.Static = webServers[path.Base(splitImage(base.base).repository)] && len(w.command.Value) == 0
		for _, p := range st.expose {
			if len(w.Ports) == 0 || w.Ports[0].Pos == p.Pos {
				w.Ports = append(w.Ports, p)
			}
		}
	} else if ref := w.Image.Value; ref != "" && w.Dir != "" && !knownBase(ref) {
		w.Opaque = append(w.Opaque, premortem.Opaque{Why: "image " + ref + " is not built in this repository", Pos: w.Image.Pos})
	}
	w.Command = g.command(w, st)
	w.Start = g.start(w, st)
	for _, n := range w.needs {
		node := g.nodeOf(w.Deployment, n.name)
		if node == "" {
			continue
		}
		if !slices.Contains(w.DependsOn, node) {
			w.DependsOn = append(w.DependsOn, node)
		}
		w.After = append(w.After, premortem.After{Node: node, Condition: n.condition})
	}
	svc := w.Service
	g.sys.Services = append(g.sys.Services, &svc)
}

// lastImageWins keeps the deployment's own settings over those of the image, and of
// the image's the last.
func lastImageWins(sets []premortem.EnvSet) []premortem.EnvSet {
	var own, image []premortem.EnvSet
	for _, s := range sets {
		if s.Source == "image" {
			image = append([]premortem.EnvSet{s}, image...)
		} else {
			own = append(own, s)
		}
	}
	return firstOfEach(append(own, image...))
}

// nodeOf returns the node that a name of a deployment means, "" for none.
func (g *merger) nodeOf(deployment, name string) premortem.Node {
	for _, w := range g.d.workloads {
		if w.Deployment == deployment && w.name == name {
			if w.kind != "" {
				return g.stores[w]
			}
			return w.Node
		}
	}
	return ""
}

// command resolves what starts a workload: the manifest's words over the image's,
// and `npm start` where neither says anything.
func (g *merger) command(w *workload, st *stage) premortem.Setting[[]string] {
	args, pos := startArgs(w, st)
	if len(args) == 0 {
		p := g.packages[w.Dir]
		if p == nil || w.Static || !p.scripts["start"].Set() || st != nil {
			return premortem.Setting[[]string]{}
		}
		args, pos = []string{"npm", "start"}, p.scripts["start"].Pos
	}
	args = g.script(simplify(unwrapInit(simplify(args))), g.packages[w.Dir], 0)
	if st != nil {
		args = g.local(args, w, st)
	}
	return premortem.Setting[[]string]{Value: maskArgs(args), Pos: pos}
}

// simplify turns ["/bin/sh", "-c", "exec node x.js"] into ["node", "x.js"] when the
// text is one plain command.
func simplify(args []string) []string {
	if len(args) != 3 || args[1] != "-c" && args[1] != "-lc" && args[1] != "-ec" || !strings.HasSuffix(args[0], "sh") {
		return args
	}
	words := plainCommand(args[2])
	if words == nil {
		return args
	}
	return words
}

// plainCommand splits a shell text that is one command without expansion, nil for
// any other.
func plainCommand(text string) []string {
	prog, err := syntax.NewParser().Parse(strings.NewReader(text), "")
	if err != nil || len(prog.Stmts) != 1 {
		return nil
	}
	st := prog.Stmts[0]
	call, ok := st.Cmd.(*syntax.CallExpr)
	if !ok || len(st.Redirs) > 0 || st.Background || st.Negated || len(call.Args) == 0 {
		return nil
	}
	var words []string
	for _, a := range call.Assigns {
		if a.Name == nil || a.Value == nil {
			return nil
		}
		v := wordText(a.Value)
		if strings.Contains(v, "EXPR") {
			return nil
		}
		words = append(words, a.Name.Value+"="+v)
	}
	if len(words) > 0 {
		words = append([]string{"env"}, words...)
	}
	for i, a := range call.Args {
		v := wordText(a)
		if strings.Contains(v, "EXPR") {
			return nil
		}
		if i == 0 && v == "exec" {
			continue
		}
		words = append(words, v)
	}
	return words
}

// unwrapInit drops programs that only reap children in a container.
func unwrapInit(args []string) []string {
	for len(args) > 1 {
		switch path.Base(args[0]) {
		case "tini", "dumb-init", "docker-entrypoint.sh", "docker-init":
			args = args[1:]
			for len(args) > 1 && (args[0] == "--" || args[0] == "-g" || args[0] == "-v") {
				args = args[1:]
			}
		default:
			return args
		}
	}
	return args
}

// script resolves `npm start` and `npm run x` to what the script says, when that is
// one plain command of a program that exists without npm.
func (g *merger) script(args []string, p *npmPackage, depth int) []string {
	if p == nil || depth > 3 || len(args) < 2 {
		return args
	}
	name := ""
	switch manager := args[0]; {
	case manager != "npm" && manager != "yarn" && manager != "pnpm" && manager != "bun":
		return args
	case len(args) == 2 && args[1] != "install" && args[1] != "ci":
		name = args[1]
	case len(args) == 3 && (args[1] == "run" || args[1] == "run-script"):
		name = args[2]
	default:
		return args
	}
	text := p.scripts[name]
	if !text.Set() || p.scripts["pre"+name].Set() || p.scripts["post"+name].Set() {
		return args
	}
	words := plainCommand(text.Value)
	if words == nil {
		return args
	}
	program := words[0]
	for i, w := range words {
		if w != "env" && !strings.Contains(w, "=") {
			program = words[i]
			break
		}
	}
	switch program {
	case "node", "deno", "bun", "python", "python3":
		return words
	case "npm", "yarn", "pnpm":
		return g.script(words, p, depth+1)
	}
	return args
}

// local rewrites paths of the container into paths of the code's folder.
func (g *merger) local(args []string, w *workload, st *stage) []string {
	out := slices.Clone(args)
	for i, a := range out {
		if !isSource(a) || i == 0 {
			continue
		}
		in, ok := st.fromContext(a)
		if !ok {
			continue
		}
		repo := path.Join(w.context, in)
		if g.entryModule(repo) == nil {
			continue
		}
		if rest, under := below(w.Dir, repo); under && rest != "." {
			out[i] = rest
		} else if w.Dir == "." {
			out[i] = repo
		}
	}
	return out
}
