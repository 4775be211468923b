package read

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// installer is one tool that installs packages: what its lockfile is called, and
// when it keeps to it.
type installer struct {
	tool   string
	locks  []string
	frozen func(words []string, in installPlace) bool
}

// installPlace is where an install runs.
type installPlace struct {
	ci   bool
	env  map[string]string // variables that are known to be set
	text func(name string) string
}

func hasFlag(words []string, flags ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool {
		name, value, eq := strings.Cut(w, "=")
		return slices.Contains(flags, name) && (!eq || value != "false")
	})
}

func isTrue(s string) bool { return s == "true" || s == "1" }

// installOf recognises an install of all packages of a project. Installs of named
// packages are tools that somebody put there on purpose.
func installOf(words []string, in installPlace) (x installer, frozen, ok bool) {
	if len(words) == 0 {
		return x, false, false
	}
	if i := slices.IndexFunc(words[1:], func(w string) bool { return strings.HasPrefix(w, "$") || w == "EXPR" }); i >= 0 {
		x, _, ok = installOf(slices.Delete(slices.Clone(words), i+1, i+2), in)
		return x, true, ok // its options are not known
	}
	tool, rest := words[0], words[1:]
	for len(rest) > 0 && (tool == "corepack" || tool == "sudo") {
		tool, rest = rest[0], rest[1:]
	}
	verb, named := "", false
	for i := 0; i < len(rest); i++ {
		switch w := rest[i]; {
		case w == "--prefix" || w == "--cwd" || w == "-C" || w == "--dir" || w == "--filter" || w == "-F" || w == "--workspace" || w == "-w" && tool == "npm" || w == "--store-dir" || w == "--registry" || w == "--cache" || w == "--jobs" || w == "--with" || w == "--without" || w == "--only" || w == "--extra" || w == "--group" || w == "--network-timeout":
			i++
		case strings.HasPrefix(w, "-"):
		case verb == "":
			verb = w
		default:
			named = true
		}
	}
	global := hasFlag(rest, "-g", "--global", "--location=global")
	switch {
	case tool == "npm" && (verb == "ci" || verb == "clean-install"):
		return installer{tool: "npm", locks: npmLocks}, true, true
	case tool == "npm" && (verb == "install" || verb == "i") && !named && !global:
		return installer{tool: "npm", locks: npmLocks}, false, true
	case tool == "yarn" && (verb == "" && !hasFlag(rest, "--version", "-v", "--help") || verb == "install") && !named:
		return installer{tool: "yarn", locks: []string{"yarn.lock"}}, yarnFrozen(rest, in), true
	case tool == "pnpm" && (verb == "install" || verb == "i") && !named && !global:
		frozen := hasFlag(rest, "--frozen-lockfile") || (in.ci || isTrue(in.env["CI"])) && !hasFlag(rest, "--no-frozen-lockfile") && !slices.Contains(rest, "--frozen-lockfile=false")
		return installer{tool: "pnpm", locks: []string{"pnpm-lock.yaml"}}, frozen, true
	}
	return otherInstall(tool, verb, rest, named, in)
}

var npmLocks = []string{"package-lock.json", "npm-shrinkwrap.json"}

// yarnFrozen: the flags of either major, or Yarn 2 and newer in a pipeline.
func yarnFrozen(rest []string, in installPlace) bool {
	if hasFlag(rest, "--frozen-lockfile", "--immutable", "--pure-lockfile") {
		return true
	}
	modern := in.text(".yarnrc.yml") != "" || yarnModern.MatchString(in.text("package.json"))
	immutable := immutableYarn.MatchString(in.text(".yarnrc.yml")) || isTrue(in.env["YARN_ENABLE_IMMUTABLE_INSTALLS"])
	return modern && (in.ci || isTrue(in.env["CI"]) || immutable) && !hasFlag(rest, "--no-immutable")
}

var (
	yarnModern    = regexp.MustCompile(`"packageManager"\s*:\s*"yarn@[2-9]`)
	immutableYarn = regexp.MustCompile(`(?m)^enableImmutableInstalls:\s*true`)
)

// otherInstall recognises the installers of Python, Ruby and PHP.
func otherInstall(tool, verb string, rest []string, named bool, in installPlace) (x installer, frozen, ok bool) {
	if (tool == "python" || tool == "python3") && len(rest) > 2 && rest[0] == "-m" && (rest[1] == "pip" || rest[1] == "poetry" || rest[1] == "pipenv") {
		tool, rest = rest[1], rest[2:]
		verb = rest[0]
	}
	if tool == "uv" && verb == "pip" {
		return x, false, false // reads no lockfile by design
	}
	switch {
	case (tool == "pip" || tool == "pip3") && verb == "install":
		file := requirementFile(rest)
		if file == "" || in.text(file) == "" || hasFlag(rest, "-c", "--constraint") {
			return x, false, false // what it names is not here, or something else decides
		}
		locks := []string{"poetry.lock", "uv.lock", "Pipfile.lock", "requirements.lock"}
		return installer{tool: "pip", locks: locks}, hasFlag(rest, "--require-hashes") || pinnedRequirements(file, in.text, 0), true
	case tool == "poetry" && verb == "install":
		return installer{tool: "poetry", locks: []string{"poetry.lock"}}, true, true
	case tool == "pipenv" && (verb == "install" || verb == "sync"):
		return installer{tool: "pipenv", locks: []string{"Pipfile.lock"}}, verb == "sync" || hasFlag(rest, "--deploy", "--ignore-pipfile"), true
	case tool == "uv" && verb == "sync":
		return installer{tool: "uv", locks: []string{"uv.lock"}}, hasFlag(rest, "--frozen", "--locked") || isTrue(in.env["UV_FROZEN"]) || isTrue(in.env["UV_LOCKED"]), true
	case tool == "bundle" && (verb == "install" || verb == "") && len(rest) < 12:
		frozen := hasFlag(rest, "--deployment", "--frozen") || isTrue(in.env["BUNDLE_DEPLOYMENT"]) || isTrue(in.env["BUNDLE_FROZEN"]) || in.env["BUNDLE_FROZEN"] != "" && in.env["BUNDLE_FROZEN"] != "false"
		return installer{tool: "bundle", locks: []string{gemfile(in.env) + ".lock"}}, frozen, true
	case tool == "composer" && (verb == "install" || verb == "update") && !named:
		return installer{tool: "composer", locks: []string{"composer.lock"}}, verb == "install", true
	case tool == "go" && verb == "get" && !named:
		return installer{tool: "go", locks: []string{"go.sum"}}, false, true
	}
	return x, false, false
}

// gemfile is the Gemfile that bundle obeys.
func gemfile(env map[string]string) string {
	if f := env["BUNDLE_GEMFILE"]; f != "" && !strings.Contains(f, "$") {
		return path.Base(f)
	}
	return "Gemfile"
}

// requirementFile is the file behind -r, "" for none.
func requirementFile(words []string) string {
	for i, w := range words {
		switch {
		case (w == "-r" || w == "--requirement") && i+1 < len(words):
			return words[i+1]
		case strings.HasPrefix(w, "-r") && len(w) > 2:
			return w[2:]
		case strings.HasPrefix(w, "--requirement="):
			return strings.TrimPrefix(w, "--requirement=")
		}
	}
	return ""
}

// pinnedRequirements reports a file in which, with those that it includes, each
// package has one version.
func pinnedRequirements(file string, text func(string) string, depth int) bool {
	pinned := false
	for l := range strings.SplitSeq(text(file), "\n") {
		l, _, _ = strings.Cut(l, "#")
		l = strings.TrimSpace(l)
		if inner := requirementFile(strings.Fields(l)); inner != "" && depth < 4 {
			if !pinnedRequirements(path.Join(path.Dir(file), inner), text, depth+1) {
				return false
			}
			pinned = true
			continue
		}
		if l == "" || strings.HasPrefix(l, "-") {
			continue
		}
		if !strings.Contains(l, "==") && !strings.Contains(l, "@") && !strings.HasPrefix(l, "--hash") {
			return false
		}
		pinned = true
	}
	return pinned
}

// installs lists the lines of a workload's build that install packages.
func (g *merger) installs(w *workload, st *stage) []*premortem.Install {
	var out []*premortem.Install
	ignore := dockerignore(g.d.tree, w.Dockerfile, w.context)
	for _, s := range st.reached() {
		env := map[string]string{}
		for _, e := range s.env {
			env[e.name] = e.value
		}
		configured := false // bundle config set frozen true, in this or an earlier step
		for _, r := range s.runs {
			for _, call := range shellCalls(r.text) {
				configured = configured || len(call.words) > 2 && call.words[0] == "bundle" && call.words[1] == "config" && hasAny(call.words, "frozen", "deployment", "--global")
				dir := path.Join(r.workdir, call.dir)
				if strings.HasPrefix(call.dir, "/") {
					dir = call.dir
				}
				at := buildPlace{s, r, dir, w.context}
				where := installPlace{env: env, text: func(name string) string { return g.textIn(at.repo(name)) }}
				for _, name := range call.set {
					where.env[name] = "true"
				}
				x, frozen, ok := installOf(call.words, where)
				if !ok {
					continue
				}
				i := &premortem.Install{Service: w.Node, Tool: x.tool, Frozen: frozen || x.tool == "bundle" && configured}
				i.Pos = premortem.Pos{File: w.Dockerfile, Line: min(r.line+call.line-1, len(g.dockerfiles[w.Dockerfile].lines))}
				i.Quote = g.dockerfiles[w.Dockerfile].quote(i.Pos.Line)
				g.lockfile(i, x, at, ignore)
				out = append(out, i)
			}
		}
	}
	return out
}

func hasAny(words []string, any ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(any, w) })
}

// textIn is the text of a file of the tree, "" when there is none.
func (g *merger) textIn(p string) string {
	if p == "" || !g.d.tree.has(p) {
		return ""
	}
	data, _ := g.d.tree.read(p)
	return string(data)
}

// buildPlace is a folder of an image at one step of its build.
type buildPlace struct {
	st      *stage
	run     runStep
	dir     string // in the image
	context string // in the repository
}

// repo is the file of the repository that a name in the folder is copied from, or
// would be if its folder were; "" unknown.
func (b buildPlace) repo(name string) string {
	at := path.Join(b.dir, name)
	if in, ok := b.st.fromContext(at); ok {
		return path.Join(b.context, in)
	}
	for _, beside := range []string{"package.json", "pyproject.toml", "Gemfile", "composer.json", "Pipfile", "requirements.txt"} {
		if in, ok := b.st.fromContext(path.Join(b.dir, beside)); ok {
			return path.Join(b.context, path.Dir(in), name)
		}
	}
	for _, c := range b.st.globs {
		if _, ok := below(c.to, b.dir); ok && c.to == b.dir {
			return path.Join(b.context, path.Dir(c.from), name)
		}
	}
	return ""
}

// copied reports whether a file of the repository is in the folder when the step
// runs.
func (b buildPlace) copied(repo, name string) bool {
	in, ok := below(b.context, repo)
	if b.context == "." || b.context == "" {
		in, ok = repo, true
	}
	if !ok {
		return false
	}
	at := path.Join(b.dir, name)
	for _, c := range append(slices.Clone(b.st.copies[:min(b.run.copies, len(b.st.copies))]), b.run.mounts...) {
		if rest, under := below(c.to, at); under && path.Join(c.from, rest) == in {
			return true
		}
	}
	for _, c := range b.st.globs[:min(b.run.globs, len(b.st.globs))] {
		if ok, _ := path.Match(c.from, in); ok && c.to == b.dir {
			return true
		}
	}
	return false
}

// lockfile finds the lockfile that an install should keep to, and whether it is
// there when the line runs.
func (g *merger) lockfile(i *premortem.Install, x installer, at buildPlace, ignore ignoreFile) {
	if x.tool == "pip" && i.Frozen {
		return // the requirements are the lock
	}
	for _, name := range x.locks {
		p := at.repo(name)
		if p == "" || !g.d.tree.has(p) {
			continue
		}
		i.Lockfile = premortem.Setting[string]{Value: p, Pos: premortem.Pos{File: p, Line: 1}}
		if x.tool == "pip" {
			return // reads none, whether it is there or not
		}
		in, ok := below(at.context, p)
		if at.context == "." || at.context == "" {
			in, ok = p, true
		}
		if pos, hidden := ignore.hides(in); ok && hidden {
			i.Absent, i.Ignored = true, pos
		} else {
			i.Absent = !at.copied(p, name)
		}
		return
	}
}
