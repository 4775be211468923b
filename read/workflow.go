package read

import (
	"path"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
	"mvdan.cc/sh/v3/syntax"

	"github.com/premortem/premortem"
)

// Workflow reads GitHub workflows: on which Node the tests run, and which image is
// built from which Dockerfile.
var Workflow = add(Reader{
	Name: "github-workflow",
	Doc: premortem.Doc{
		Title:  "GitHub workflows",
		Why:    "A green build speaks for the version it ran on, not for the one that the image brings.",
		When:   ".github/workflows: node-version of setup-node with its matrix, container images of jobs, docker build lines and build-push-action.",
		Silent: "Expressions other than a matrix are not evaluated.",
		Fix:    "Use node-version-file so that one line decides.",
	},
	Wants: isWorkflow,
	Read:  readWorkflow,
})

func isWorkflow(p string) bool {
	return strings.Contains("/"+p, "/.github/workflows/") && (path.Ext(p) == ".yml" || path.Ext(p) == ".yaml")
}

func readWorkflow(f File, d *Draft) error {
	docs, err := parseYAML(f)
	for _, doc := range docs {
		flow := openFlow(f, doc)
		pipelineSample(f, d, field(doc, "env"))
		for _, job := range entries(field(doc, "jobs")) {
			readJob(f, d, deref(job.value))
			pipelineSample(f, d, field(job.value, "env"))
			flow.job(d, doc, job)
		}
		d.flows = append(d.flows, flow)
	}
	return err
}

func readJob(f File, d *Draft, job *yaml.Node) {
	for _, c := range []*yaml.Node{field(job, "container"), field(job, "container", "image")} {
		if lang, v := imageRuntime(text(c)); lang != "" {
			d.runtimes = append(d.runtimes, runtimeFact{dir: ".", Runtime: premortem.Runtime{Language: lang, Version: premortem.Setting[string]{Value: v, Pos: at(f.Path, c)}, Source: "ci"}})
		}
	}
	for _, step := range items(field(job, "steps")) {
		uses := text(field(step, "uses"))
		switch {
		case strings.HasPrefix(uses, "actions/setup-node@"):
			dir := path.Clean(text(field(job, "defaults", "run", "working-directory")))
			for _, v := range matrixValues(job, field(step, "with", "node-version")) {
				d.runtimes = append(d.runtimes, runtimeFact{dir: dir, Runtime: premortem.Runtime{
					Language: "node", Version: premortem.Setting[string]{Value: text(v), Pos: at(f.Path, v)}, Source: "ci"}})
			}
		case strings.HasPrefix(uses, "docker/build-push-action@"):
			with := field(step, "with")
			args, open := actionArgs(f, field(with, "build-args"))
			for line := range strings.SplitSeq(text(field(with, "tags")), "\n") {
				addBuild(d, imageBuild{repository: line, dockerfile: text(field(with, "file")), context: text(field(with, "context")), pos: at(f.Path, step), args: args, open: open})
			}
		}
		pipelineSample(f, d, field(step, "env"))
		if run := field(step, "run"); run != nil {
			dockerBuilds(f, d, run)
		}
	}
}

var matrixRef = regexp.MustCompile(`^\$\{\{\s*matrix\.([\w.\-]+)\s*\}\}$`)

// matrixValues returns the values that an input takes: itself, or those of the
// matrix variable it names.
func matrixValues(job, n *yaml.Node) []*yaml.Node {
	if text(n) == "" {
		return nil
	}
	m := matrixRef.FindStringSubmatch(text(n))
	if m == nil {
		if strings.Contains(text(n), "${{") {
			return nil
		}
		return []*yaml.Node{n}
	}
	out := items(field(job, "strategy", "matrix", m[1]))
	for _, inc := range items(field(job, "strategy", "matrix", "include")) {
		if v := field(inc, m[1]); v != nil {
			out = append(out, v)
		}
	}
	return out
}

// dockerBuilds finds `docker build -f FILE -t IMAGE CONTEXT` in a script.
func dockerBuilds(f File, d *Draft, run *yaml.Node) {
	script := githubExpr.ReplaceAllString(run.Value, "EXPR")
	prog, err := syntax.NewParser().Parse(strings.NewReader(script), "")
	if err != nil {
		return // a script of another shell, or one with expressions as code
	}
	syntax.Walk(prog, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		if !ok {
			return true
		}
		args := make([]string, len(call.Args))
		for i, w := range call.Args {
			args[i] = wordText(w)
		}
		if len(args) < 2 || args[0] != "docker" && args[0] != "podman" {
			return true
		}
		pos := at(f.Path, run)
		if run.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			pos.Line += int(call.Pos().Line())
		}
		readBuildArgs(d, args[1:], pos)
		return true
	})
}

var githubExpr = regexp.MustCompile(`\$\{\{[^}]*\}\}`)

// readBuildArgs reads the arguments of one docker command.
func readBuildArgs(d *Draft, args []string, pos premortem.Pos) {
	if args[0] == "buildx" && len(args) > 1 {
		args = args[1:]
	}
	if args[0] != "build" {
		return
	}
	b := imageBuild{pos: pos}
	var tags []string
	for i := 1; i < len(args); i++ {
		name, value, eq := strings.Cut(args[i], "=")
		next := func() string {
			if eq {
				return value
			}
			if i+1 < len(args) {
				i++
				return args[i]
			}
			return ""
		}
		switch name {
		case "-f", "--file":
			b.dockerfile = next()
		case "-t", "--tag":
			tags = append(tags, next())
		case "--build-arg":
			name, _, _ := strings.Cut(next(), "=")
			b.args = append(b.args, premortem.EnvSet{Name: name, Pos: pos, Source: "--build-arg"})
		case "--target", "--platform", "--cache-from", "--cache-to", "--label", "--secret", "--output", "--progress", "--network":
			next()
		default:
			if !strings.HasPrefix(name, "-") {
				b.open = b.open || strings.HasPrefix(args[i], "EXPR") && i+1 < len(args)
				b.context = args[i]
			}
		}
	}
	for _, t := range tags {
		b.repository = t
		addBuild(d, b)
	}
}

// wordText returns a shell word's text; what is expanded becomes "EXPR".
func wordText(w *syntax.Word) string {
	var b strings.Builder
	var parts func([]syntax.WordPart)
	parts = func(ps []syntax.WordPart) {
		for _, p := range ps {
			switch p := p.(type) {
			case *syntax.Lit:
				b.WriteString(p.Value)
			case *syntax.SglQuoted:
				b.WriteString(p.Value)
			case *syntax.DblQuoted:
				parts(p.Parts)
			default:
				b.WriteString("EXPR")
			}
		}
	}
	parts(w.Parts)
	return b.String()
}

// addBuild adds a build whose repository is still a tag, and whose paths are as
// written.
func addBuild(d *Draft, b imageBuild) {
	tag := githubExpr.ReplaceAllString(strings.TrimSpace(b.repository), "EXPR")
	b.context = path.Clean(strings.TrimPrefix(b.context, "./"))
	if tag == "" || strings.Contains(b.context, "://") {
		return
	}
	if b.dockerfile == "" {
		b.dockerfile = path.Join(b.context, "Dockerfile")
	}
	b.dockerfile, b.repository = path.Clean(b.dockerfile), splitImage(tag).repository
	d.builds = append(d.builds, b)
}
