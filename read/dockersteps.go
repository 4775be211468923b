package read

import (
	"regexp"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"mvdan.cc/sh/v3/syntax"

	"github.com/premortem/premortem"
)

// buildArg is an ARG of a stage.
type buildArg struct {
	name     string
	value    string
	hasValue bool // it has a default, its own or that of the ARG before the first FROM
	pos      premortem.Pos
}

// runStep is a RUN of a stage: its shell text and what lay in the image before it.
type runStep struct {
	text    string // on as many lines as in the file, so that lines add up
	line    int    // of the file on which text starts
	workdir string
	copies  int // how many of the stage's copies came before
	globs   int
	env     map[string]string
	mounts  []copied // files that are mounted for this step only
}

// step adds a command that says how the image is built or run and that leaves no
// file behind.
func (df *dockerfile) step(st *stage, c instructions.Command, env, global map[string]string) {
	pos := df.pos(c.Location())
	switch c := c.(type) {
	case *instructions.ArgCommand:
		for _, kv := range c.Args {
			a := buildArg{name: kv.Key, value: env[kv.Key], pos: df.find(pos, c.Location(), kv.Key)}
			a.hasValue = kv.Value != nil || global[kv.Key] != ""
			st.args = append(st.args, a)
		}
	case *instructions.RunCommand:
		st.runs = append(st.runs, df.run(st, c, env))
	case *instructions.StopSignalCommand:
		st.signal = premortem.Setting[string]{Value: c.Signal, Pos: pos}
	case *instructions.HealthCheckCommand:
		df.health(st, c, pos)
	}
}

func (df *dockerfile) health(st *stage, c *instructions.HealthCheckCommand, pos premortem.Pos) {
	st.check = nil
	if c.Health == nil || len(c.Health.Test) < 2 {
		return
	}
	p := commandProbe(c.Health.Test[1:], pos)
	if t := c.Health.Timeout; t > 0 {
		p.Timeout = premortem.Setting[float64]{Value: t.Seconds(), Pos: pos}
	}
	if t := c.Health.Interval; t > 0 {
		p.Period = premortem.Setting[float64]{Value: t.Seconds(), Pos: pos}
	}
	if n := c.Health.Retries; n > 0 {
		p.Failures = premortem.Setting[int]{Value: n, Pos: pos}
	}
	st.check = &p
}

var (
	runWord    = regexp.MustCompile(`(?i)^\s*RUN(?:(?:\s|\\\n)+--[a-z]+(?:=\S*)?)*(?:\s|\\\n)*`)
	mountBind  = regexp.MustCompile(`--mount=(\S+)`)
	runExecArr = regexp.MustCompile(`^\s*\[\s*"`)
)

// run keeps a RUN as text whose lines are those of the file.
func (df *dockerfile) run(st *stage, c *instructions.RunCommand, env map[string]string) runStep {
	s := runStep{workdir: st.workdir, copies: len(st.copies), globs: len(st.globs), env: map[string]string{}}
	for k, v := range env {
		s.env[k] = v
	}
	at := c.Location()
	if len(at) == 0 {
		return s
	}
	s.line = max(at[0].Start.Line, 1)
	end := min(max(at[len(at)-1].End.Line, s.line), len(df.lines))
	lines := slices.Clone(df.lines[s.line-1 : end])
	for i, l := range lines {
		if t := strings.TrimSpace(l); i > 0 && (strings.HasPrefix(t, "#") || t == "") && len(c.Files) == 0 {
			lines[i] = "\\" // the builder drops comments and empty lines inside of a command
		}
	}
	for _, m := range mountBind.FindAllStringSubmatch(strings.Join(lines, " "), -1) {
		s.mounts = append(s.mounts, bindMount(m[1], st.workdir)...)
	}
	if len(c.Files) > 0 {
		s.text, s.line = c.Files[0].Data, s.line+1
		return s
	}
	s.text = runWord.ReplaceAllStringFunc(strings.Join(lines, "\n"), func(head string) string {
		return strings.Repeat("\n", strings.Count(head, "\n"))
	})
	if runExecArr.MatchString(s.text) {
		s.text = strings.Join(c.CmdLine, " ")
	}
	return s
}

// bindMount reads --mount=type=bind,source=…,target=… of the build context.
func bindMount(options, workdir string) []copied {
	get := map[string]string{"type": "bind"}
	for kv := range strings.SplitSeq(options, ",") {
		k, v, _ := strings.Cut(kv, "=")
		switch k {
		case "src":
			k = "source"
		case "dst", "destination":
			k = "target"
		}
		get[k] = v
	}
	if get["type"] != "bind" || get["from"] != "" || get["target"] == "" {
		return nil
	}
	to := get["target"]
	if !strings.HasPrefix(to, "/") {
		to = cleanJoin(workdir, to)
	}
	return []copied{{from: contextPath(get["source"]), to: to}}
}

// reached are the stages that a build of st runs, st last.
func (st *stage) reached() []*stage {
	var out []*stage
	seen := map[*stage]bool{}
	var visit func(s *stage)
	visit = func(s *stage) {
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		visit(s.parent)
		for _, f := range s.feeds {
			visit(f)
		}
		out = append(out, s)
	}
	visit(st)
	return out
}

// shellCalls are the simple commands of a shell text, in order, with their lines.
func shellCalls(text string) []shellCall {
	prog, err := syntax.NewParser().Parse(strings.NewReader(text), "")
	if err != nil {
		return nil
	}
	var out []shellCall
	dir := ""
	syntax.Walk(prog, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		c := shellCall{line: int(call.Pos().Line()), dir: dir}
		for _, a := range call.Assigns {
			if a.Name != nil {
				c.set = append(c.set, a.Name.Value)
			}
		}
		for _, w := range call.Args {
			c.words = append(c.words, wordText(w))
		}
		if c.words[0] == "cd" && len(c.words) == 2 {
			if dir = cleanJoin(dir, c.words[1]); strings.HasPrefix(c.words[1], "/") {
				dir = c.words[1]
			}
		}
		out = append(out, c)
		return true
	})
	return out
}

// shellCall is one simple command of a script.
type shellCall struct {
	words []string
	set   []string // variables that are set for it alone
	line  int      // counted from 1
	dir   string   // folder into which the text stepped before, "" its start
}
