package read

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/premortem/premortem"
)

// dockerfile is what an image is built from.
type dockerfile struct {
	path   string
	stages []*stage
	lines  []string
	takes  []string // folders and files of the build context that any stage copies
	layers []premortem.Layer
}

// stage is one FROM of a Dockerfile with its ARGs expanded by their defaults.
type stage struct {
	name    string // "" when it has none
	number  int
	base    string // reference, or the name of an earlier stage
	parent  *stage // the earlier stage it continues, nil for an image
	pos     premortem.Pos
	quote   string
	workdir string
	copies  []copied
	globs   []copied // patterns of the context
	env     []envLiteral
	expose  []premortem.Setting[int]
	entry   premortem.Setting[[]string]
	command premortem.Setting[[]string]
	unknown []string // variables of base that have no default
	cmdHere bool     // CMD stands in this stage, so its ENTRYPOINT keeps it
	args    []buildArg
	runs    []runStep
	feeds   []*stage // from which it copies
	signal  premortem.Setting[string]
	check   *premortem.Probe // HEALTHCHECK, nil none
}

// copied says that a folder or file of the build context is in the image. Of a
// pattern, to is the folder.
type copied struct {
	from, to string
	pos      premortem.Pos
}

type envLiteral struct {
	name, value string
	raw         string // before variables were filled in
	pos         premortem.Pos
}

// Dockerfile reads Dockerfiles with BuildKit's own parser.
var Dockerfile = add(Reader{
	Name: "dockerfile",
	Doc: premortem.Doc{
		Title:  "Dockerfiles",
		Why:    "The base image decides which runtime production runs, whatever was tested.",
		When:   "Files called Dockerfile, Dockerfile.NAME, NAME.Dockerfile or Containerfile: stages, base images with ARG defaults expanded, ENV, WORKDIR, EXPOSE, COPY, ENTRYPOINT and CMD in both forms.",
		Silent: "RUN lines are not evaluated; a base image's own ENV and CMD are known only for the official images.",
		Fix:    "Name the base image with its full version.",
	},
	Wants: isDockerfile,
	Read:  readDockerfile,
	Whole: func(_ context.Context, t *Tree, d *Draft) error {
		d.tree = t // what a build copies is known once services are
		return nil
	},
})

func isDockerfile(p string) bool {
	base := path.Base(p)
	low := strings.ToLower(base)
	return low == "dockerfile" || low == "containerfile" || strings.HasPrefix(low, "dockerfile.") && !strings.HasSuffix(low, ".dockerignore") ||
		strings.HasSuffix(low, ".dockerfile")
}

func readDockerfile(f File, d *Draft) error {
	df, err := parseDockerfile(f)
	if err != nil {
		return err
	}
	d.dockerfiles = append(d.dockerfiles, df)
	for _, st := range df.stages {
		for _, e := range st.env {
			if e.pos.Line >= st.pos.Line { // not one that it inherits
				d.credential(f.Path, e.pos, df.lines[e.pos.Line-1], e.name, e.raw, "Dockerfile ENV", "")
			}
		}
		for _, a := range st.args {
			d.credential(f.Path, a.pos, df.lines[a.pos.Line-1], a.name, a.value, "Dockerfile ARG", "")
		}
		if len(st.unknown) > 0 {
			slices.Sort(st.unknown)
			d.miss(st.pos, "the base image is not known: ARG "+strings.Join(st.unknown, ", ")+" has no default")
		}
	}
	return nil
}

func parseDockerfile(f File) (*dockerfile, error) {
	res, err := parser.Parse(bytes.NewReader(f.Data))
	if err != nil {
		return nil, dockerfileError(f, err)
	}
	stages, meta, err := instructions.Parse(res.AST, linter.New(&linter.Config{Warn: func(string, string, string, string, []parser.Range) {}}))
	if err != nil {
		return nil, dockerfileError(f, err)
	}
	df := &dockerfile{path: f.Path, lines: strings.Split(string(f.Data), "\n")}
	lex := shell.NewLex(res.EscapeToken)
	global := map[string]string{}
	for _, m := range meta {
		addArgs(m, global, lex, global)
	}
	for i, s := range stages {
		df.stages = append(df.stages, df.stage(i, s, global, lex))
	}
	df.layers = df.staleLayers(stages)
	return df, nil
}

var quotedText = regexp.MustCompile(`"[^"]*"`)

func dockerfileError(f File, err error) error {
	pos := premortem.Pos{File: f.Path, Line: 1}
	var line int
	if _, after, ok := strings.Cut(err.Error(), "line "); ok {
		fmt.Sscanf(after, "%d", &line)
		pos.Line = min(max(line, 1), bytes.Count(f.Data, []byte("\n"))+1)
	}
	text, _, _ := strings.Cut(err.Error(), " (did you mean") // a suggestion by chance
	text = strings.TrimPrefix(text, fmt.Sprintf("dockerfile parse error on line %d: ", line))
	text = quotedText.ReplaceAllString(text, `"…"`) // may be a value of ENV
	return &premortem.Error{Doing: "parse the Dockerfile", Pos: pos, Err: errors.New(text)}
}

// addArgs adds the defaults of an ARG line to env. An ARG without a default takes
// the value that was declared before the first FROM.
func addArgs(a instructions.ArgCommand, env map[string]string, lex *shell.Lex, global map[string]string) {
	for _, kv := range a.Args {
		switch {
		case kv.Value != nil:
			env[kv.Key], _ = expand(lex, *kv.Value, env)
		case global[kv.Key] != "":
			env[kv.Key] = global[kv.Key]
		}
	}
}

// expand replaces variables and returns the names of those without a value.
func expand(lex *shell.Lex, s string, env map[string]string) (string, []string) {
	pairs := make([]string, 0, len(env))
	for k, v := range env {
		pairs = append(pairs, k+"="+v)
	}
	res, err := lex.ProcessWordWithMatches(s, shell.EnvsFromSlice(pairs))
	if err != nil {
		return s, nil
	}
	var missing []string
	for k := range res.Unmatched {
		missing = append(missing, k)
	}
	return res.Result, missing
}

// stage reads one FROM and its commands.
func (df *dockerfile) stage(i int, s instructions.Stage, global map[string]string, lex *shell.Lex) *stage {
	st := &stage{name: s.Name, number: i}
	st.pos = df.pos(s.Location)
	st.quote = df.quote(st.pos.Line)
	st.base, st.unknown = expand(lex, s.BaseName, global)
	for _, earlier := range df.stages {
		if earlier.name != "" && strings.EqualFold(earlier.name, st.base) {
			st.parent = earlier
		}
	}
	if n, err := strconv.Atoi(st.base); err == nil && n < i {
		st.parent = df.stages[n]
	}
	st.workdir = "/"
	env := map[string]string{}
	if p := st.parent; p != nil {
		st.workdir, st.entry, st.command = p.workdir, p.entry, p.command
		st.signal, st.check = p.signal, p.check
		st.copies = append(st.copies, p.copies...)
		st.globs = append(st.globs, p.globs...)
		st.expose = append(st.expose, p.expose...)
		st.env = append(st.env, p.env...)
		for _, e := range p.env {
			env[e.name] = e.value
		}
	}
	for _, c := range s.Commands {
		df.apply(st, c, env, global, lex)
		df.step(st, c, env, global)
	}
	return st
}

// apply adds one command's effect to its stage.
func (df *dockerfile) apply(st *stage, c instructions.Command, env, global map[string]string, lex *shell.Lex) {
	pos := df.pos(c.Location())
	word := func(s string) string { w, _ := expand(lex, s, env); return w }
	switch c := c.(type) {
	case *instructions.ArgCommand:
		addArgs(*c, env, lex, global)
	case *instructions.EnvCommand:
		for _, kv := range c.Env {
			env[kv.Key] = word(kv.Value)
			st.env = append(st.env, envLiteral{kv.Key, env[kv.Key], kv.Value, df.find(pos, c.Location(), kv.Key)})
		}
	case *instructions.WorkdirCommand:
		dir := word(c.Path)
		if !strings.HasPrefix(dir, "/") {
			dir = path.Join(st.workdir, dir)
		}
		st.workdir = path.Clean(dir)
	case *instructions.ExposeCommand:
		for _, p := range c.Ports {
			num, _, _ := strings.Cut(word(p), "/")
			if n, err := strconv.Atoi(num); err == nil {
				st.expose = append(st.expose, premortem.Setting[int]{Value: n, Pos: pos})
			}
		}
	case *instructions.CopyCommand:
		df.addCopies(st, c.SourcePaths, c.DestPath, c.From, pos, word)
	case *instructions.AddCommand:
		df.addCopies(st, c.SourcePaths, c.DestPath, "", pos, word)
	case *instructions.EntrypointCommand:
		st.entry = premortem.Setting[[]string]{Value: execForm(c.CmdLine, c.PrependShell), Pos: pos}
		if !st.cmdHere { // an ENTRYPOINT resets an inherited CMD
			st.command = premortem.Setting[[]string]{}
		}
	case *instructions.CmdCommand:
		st.cmdHere = true
		st.command = premortem.Setting[[]string]{Value: execForm(c.CmdLine, c.PrependShell), Pos: pos}
	}
}

// addCopies follows COPY, also through earlier stages, back to the build context.
func (df *dockerfile) addCopies(st *stage, sources []string, dest, from string, pos premortem.Pos, word func(string) string) {
	dest = word(dest)
	folder := strings.HasSuffix(dest, "/") || dest == "." || len(sources) > 1
	if !strings.HasPrefix(dest, "/") {
		dest = path.Join(st.workdir, dest)
	}
	folder = folder || path.Clean(dest) == path.Clean(st.workdir) // it exists
	for _, src := range sources {
		src = word(src)
		if from == "" {
			df.takes = append(df.takes, plainFolder(src))
		}
		if strings.Contains(src, "://") {
			continue
		}
		several := strings.ContainsAny(src, "*?[")
		if from == "" && several {
			st.globs = append(st.globs, copied{contextPath(src), path.Clean(dest), pos})
			continue
		}
		if from == "" {
			src = contextPath(src)
			st.copies = append(st.copies, copied{src, destOf(src, dest, folder), pos})
			continue
		}
		for _, earlier := range df.stages {
			if !strings.EqualFold(earlier.name, from) && strconv.Itoa(earlier.number) != from {
				continue
			}
			st.feeds = append(st.feeds, earlier)
			if repo, ok := earlier.fromContext(src); ok && !several {
				st.copies = append(st.copies, copied{repo, destOf(src, dest, folder), pos})
			}
		}
	}
}

// destOf is where COPY puts a source: files go into a folder, folders are spread.
func destOf(src, dest string, folder bool) string {
	if folder && path.Ext(src) != "" && !strings.HasSuffix(src, "/") {
		return path.Join(dest, path.Base(src))
	}
	return path.Clean(dest)
}

// fromContext maps a path of the image to the build context by the longest COPY
// that covers it.
func (st *stage) fromContext(p string) (string, bool) {
	p = path.Clean(p)
	if !strings.HasPrefix(p, "/") {
		p = path.Join(st.workdir, p)
	}
	best, ok, length := "", false, -1
	for _, c := range st.copies {
		rest, under := below(c.to, p)
		if under && len(c.to) >= length {
			best, ok, length = path.Join(c.from, rest), true, len(c.to)
		}
	}
	if ok {
		return best, true
	}
	// A file copied into the folder says which folder of the context it is.
	for _, c := range st.copies {
		if path.Dir(c.to) == p && path.Base(c.to) == path.Base(c.from) && path.Ext(c.from) != "" {
			return path.Dir(c.from), true
		}
	}
	return "", false
}

// below returns the path of p relative to dir.
func below(dir, p string) (string, bool) {
	switch {
	case dir == p:
		return ".", true
	case dir == "/":
		return strings.TrimPrefix(p, "/"), true
	case strings.HasPrefix(p, dir+"/"):
		return p[len(dir)+1:], true
	}
	return "", false
}

// execForm returns the exec form of a command line; the shell form is what a shell
// is asked to run.
func execForm(args []string, shellForm bool) []string {
	if shellForm {
		return []string{"/bin/sh", "-c", strings.Join(args, " ")}
	}
	return args
}

func (df *dockerfile) pos(at []parser.Range) premortem.Pos {
	p := premortem.Pos{File: df.path, Line: 1}
	if len(at) > 0 && at[0].Start.Line > 0 {
		p.Line = min(at[0].Start.Line, len(df.lines))
	}
	return p
}

// find returns the line of a command that holds a key, for ENV over several lines.
func (df *dockerfile) find(pos premortem.Pos, at []parser.Range, key string) premortem.Pos {
	if len(at) == 0 {
		return pos
	}
	for n := at[0].Start.Line; n <= at[len(at)-1].End.Line && n <= len(df.lines); n++ {
		if n > 0 && strings.Contains(df.lines[n-1], key) {
			return premortem.Pos{File: df.path, Line: n}
		}
	}
	return pos
}

func (df *dockerfile) quote(line int) string {
	if line < 1 || line > len(df.lines) {
		return ""
	}
	return Mask(df.path, df.lines[line-1])
}

// final returns the stage that runs: the named one, else the last; nil for none.
func (df *dockerfile) final(target string) *stage {
	for _, s := range df.stages {
		if target != "" && strings.EqualFold(s.name, target) {
			return s
		}
	}
	if len(df.stages) == 0 {
		return nil
	}
	return df.stages[len(df.stages)-1]
}

// root returns the stage whose base is an image.
func (st *stage) root() *stage {
	for st.parent != nil {
		st = st.parent
	}
	return st
}
