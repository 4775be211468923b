package read

import (
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/premortem/premortem"
)

// startArgs are the words that start a workload: the manifest's over the image's,
// with the line of the last that was said.
func startArgs(w *workload, st *stage) ([]string, premortem.Pos) {
	var entry, cmd premortem.Setting[[]string]
	if st != nil {
		entry, cmd = st.entry, st.command
	}
	if w.entrypoint.Set() {
		entry, cmd = w.entrypoint, premortem.Setting[[]string]{}
	}
	if w.command.Set() {
		cmd = w.command
	}
	pos := cmd.Pos
	if !cmd.Set() {
		pos = entry.Pos
	}
	return append(slices.Clone(entry.Value), cmd.Value...), pos
}

// start says what becomes process 1 of a container. Platforms that start processes
// by themselves say nothing.
func (g *merger) start(w *workload, st *stage) premortem.Start {
	s := premortem.Start{Init: w.init.Known(), Signal: w.stopSignal}
	if st != nil && !s.Signal.Set() {
		s.Signal = st.signal
	}
	kind := g.kindOf(w.Deployment)
	if kind == "package" || kind == "platform" && st == nil {
		return premortem.Start{}
	}
	args, pos := startArgs(w, st)
	if len(args) == 0 {
		return s
	}
	s.Pos, s.Quote = pos, g.quoteOf(pos)
	if masked := strings.Join(maskArgs(args), " "); strings.Contains(masked, "***") {
		s.Quote = masked // a list of words on one line hides from Mask what its flags say
	}
	g.process(&s, args, w, st, 0)
	return s
}

// quoteOf quotes a line of a manifest or of a Dockerfile.
func (g *merger) quoteOf(pos premortem.Pos) string {
	if df := g.dockerfiles[pos.File]; df != nil {
		return df.quote(pos.Line)
	}
	return g.d.lineOf(pos)
}

var inits = wordSet(`tini dumb-init docker-init catatonit s6-svscan tini-static init`)

// process follows the words of a command to the program that gets the signals.
func (g *merger) process(s *premortem.Start, args []string, w *workload, st *stage, depth int) {
	if len(args) == 0 || depth > 5 {
		return
	}
	program := path.Base(args[0])
	switch {
	case inits[program]:
		s.Init = true
		g.process(s, initArgs(args[1:]), w, st, depth+1)
	case program == "exec" || program == "env" || program == "gosu" || program == "su-exec" || program == "setpriv":
		rest := args[1:]
		if program == "gosu" || program == "su-exec" {
			rest = args[min(2, len(args)):]
		}
		for len(rest) > 0 && program == "env" && strings.Contains(rest[0], "=") {
			rest = rest[1:]
		}
		g.process(s, rest, w, st, depth+1)
	case isShell(program):
		g.shell(s, args, w, st, depth)
	case strings.HasSuffix(program, ".sh") || program == "docker-entrypoint" || program == "entrypoint":
		g.scriptFile(s, args, w, st, depth)
	case program == "npm" || program == "yarn" || program == "pnpm":
		g.manager(s, args, w)
	}
}

func isShell(program string) bool {
	return program == "sh" || program == "bash" || program == "ash" || program == "dash" || program == "zsh"
}

// initArgs drops an init's own flags.
func initArgs(args []string) []string {
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "--":
			return args[i+1:]
		case args[i] == "-p" || args[i] == "-e" || args[i] == "-r" || args[i] == "--rewrite":
			i++ // a flag with a value
		case !strings.HasPrefix(args[i], "-"):
			return args[i:]
		}
	}
	return nil
}

// shell looks at what a shell is asked to do: a text behind -c, or a script.
func (g *merger) shell(s *premortem.Start, args []string, w *workload, st *stage, depth int) {
	rest := args[1:]
	for len(rest) > 0 && strings.HasPrefix(rest[0], "-") && !strings.Contains(rest[0], "c") {
		rest = rest[1:]
	}
	switch {
	case len(rest) > 1 && strings.HasPrefix(rest[0], "-"):
		g.shellText(s, rest[1], rest[2:], w, st, depth)
	case len(rest) > 0 && !strings.HasPrefix(rest[0], "-"):
		g.scriptFile(s, rest, w, st, depth)
	}
}

// shellText looks at the last command of a text: with exec it takes the shell's
// place. "$@" stands for the words that follow.
func (g *merger) shellText(s *premortem.Start, text string, more []string, w *workload, st *stage, depth int) {
	words, exec, only := lastCommand(text)
	if words == nil {
		return
	}
	if i := slices.Index(words, `"$@"`); i >= 0 {
		words = append(slices.Clone(words[:i]), more...)
	}
	if !exec {
		s.Shell, s.Simple = true, only
		if len(words) > 0 && (words[0] == "npm" || words[0] == "yarn" || words[0] == "pnpm") {
			g.manager(s, words, w)
		}
		return
	}
	g.process(s, words, w, st, depth+1)
}

// lastCommand returns the words of the last simple command of a text, whether it is
// preceded by exec, and whether it is the only one. nil is a text that ends in
// something else, or that traps signals by itself.
func lastCommand(text string) (words []string, exec, only bool) {
	prog, err := syntax.NewParser().Parse(strings.NewReader(text), "")
	if err != nil || len(prog.Stmts) == 0 {
		return nil, false, false
	}
	for _, c := range shellCalls(text) {
		if c.words[0] == "trap" {
			return nil, false, false
		}
	}
	last := prog.Stmts[len(prog.Stmts)-1]
	only = len(prog.Stmts) == 1
	cmd := last.Cmd
	for {
		b, ok := cmd.(*syntax.BinaryCmd)
		if !ok {
			break
		}
		if b.Op == syntax.Pipe || b.Op == syntax.PipeAll {
			return []string{}, false, false // a pipe: the shell waits for both sides
		}
		cmd, only = b.Y.Cmd, false
	}
	call, ok := cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) == 0 {
		return nil, false, false
	}
	only = only && !last.Background
	for _, a := range call.Args {
		words = append(words, shellWord(a))
	}
	if words[0] == "exec" {
		return words[1:], true, only
	}
	if words[0] == "wait" {
		return nil, false, false
	}
	return words, false, only
}

// shellWord is a word's text, with "$@" kept.
func shellWord(w *syntax.Word) string {
	var b strings.Builder
	syntax.NewPrinter().Print(&b, w)
	if s := b.String(); s == `"$@"` || s == "$@" || s == `"${@}"` {
		return `"$@"`
	}
	return wordText(w)
}

// scriptFile looks into a script of the tree that starts the process.
func (g *merger) scriptFile(s *premortem.Start, args []string, w *workload, st *stage, depth int) {
	if st == nil || g.d.tree == nil {
		return
	}
	in, ok := st.fromContext(args[0])
	if !ok {
		if name := path.Base(args[0]); name == "docker-entrypoint.sh" && len(args) > 1 {
			g.process(s, args[1:], w, st, depth+1) // the official images end in exec "$@"
		}
		return
	}
	file := path.Join(w.context, in)
	if !g.d.tree.has(file) {
		return
	}
	data, err := g.d.tree.read(file)
	if err != nil {
		return
	}
	before := *s
	g.shellText(s, string(data), args[1:], w, st, depth)
	if s.Shell && !before.Shell {
		s.Simple = false
		if !s.Runs.Set() {
			s.Runs = lastLine(file, string(data))
		}
	}
}

// lastLine is the last line of a script that does something.
func lastLine(file, text string) premortem.Setting[string] {
	lines := strings.Split(text, "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if l := strings.TrimSpace(lines[i]); l != "" && !strings.HasPrefix(l, "#") {
			return premortem.Setting[string]{Value: strings.Join(maskArgs(strings.Fields(Mask(file, l))), " "), Pos: premortem.Pos{File: file, Line: i + 1}}
		}
	}
	return premortem.Setting[string]{}
}

// manager looks at a package manager that stays process 1: the script it runs.
func (g *merger) manager(s *premortem.Start, args []string, w *workload) {
	var words []string
	for _, a := range args[1:] {
		if !strings.HasPrefix(a, "-") {
			words = append(words, a)
		}
	}
	if len(words) == 0 {
		return
	}
	name := words[0]
	if (name == "run" || name == "run-script") && len(words) > 1 {
		name = words[1]
	}
	switch name {
	case "install", "ci", "exec", "dlx", "add", "x":
		return
	}
	s.Script = strings.Join(maskArgs(args), " ")
	if p := g.packages[w.Dir]; p != nil {
		if text := p.scripts[name]; text.Set() {
			s.Runs = premortem.Setting[string]{Value: strings.Join(maskArgs(strings.Fields(text.Value)), " "), Pos: text.Pos}
		}
	}
}
