package read

import (
	"path"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// GitLab reads pipelines of GitLab: on which runtime the tests run, and which image
// is built from which Dockerfile.
var GitLab = add(Reader{
	Name: "gitlab-ci",
	Doc: premortem.Doc{
		Title:  "GitLab pipelines",
		Why:    "A green pipeline speaks for the version it ran on, not for the one that the image brings.",
		When:   ".gitlab-ci.yml: images of the pipeline and of its jobs with plain variables filled in, and docker build lines.",
		Silent: "Included files of other places, and variables that are set in the project.",
		Fix:    "Use one image for tests and for production.",
	},
	Wants: func(p string) bool {
		base := path.Base(p)
		return base == ".gitlab-ci.yml" || base == ".gitlab-ci.yaml"
	},
	Read: readGitLab,
})

// gitlabWords are keys on the top level that are no jobs.
var gitlabWords = wordSet(`stages variables include workflow pages cache before_script after_script image services default spec`)

func readGitLab(f File, d *Draft) error {
	docs, err := parseYAML(f)
	for _, doc := range docs {
		global := field(doc, "variables")
		pipelineSample(f, d, global)
		g := &gitlabRun{f: f, d: d}
		g.image(field(doc, "image"), global, nil)
		g.image(field(doc, "default", "image"), global, nil)
		g.script("", field(doc, "before_script"), global)
		g.literals(global)
		for _, job := range entries(doc) {
			if gitlabWords[job.key.Value] || deref(job.value).Kind != yaml.MappingNode {
				continue
			}
			own := field(job.value, "variables")
			pipelineSample(f, d, own)
			g.image(field(job.value, "image"), own, global)
			for _, key := range []string{"before_script", "script"} {
				g.script(job.key.Value, field(job.value, key), own, global)
			}
			g.literals(own)
		}
	}
	return err
}

// gitlabRun is one pipeline.
type gitlabRun struct {
	f File
	d *Draft
}

// expand fills variables that the pipeline itself sets.
func gitlabExpand(s string, scopes ...*yaml.Node) string {
	return composeVar.ReplaceAllStringFunc(s, func(m string) string {
		name := strings.Trim(m, "${}")
		for _, scope := range scopes {
			if v := field(scope, name); v != nil {
				return text(v) + text(field(v, "value"))
			}
		}
		return m
	})
}

func (g *gitlabRun) image(n *yaml.Node, scopes ...*yaml.Node) {
	if name := field(n, "name"); name != nil {
		n = name
	}
	ref := gitlabExpand(text(n), scopes...)
	if ref == "" || strings.Contains(ref, "$") {
		return
	}
	if lang, v := imageRuntime(ref); lang != "" {
		g.d.runtimes = append(g.d.runtimes, runtimeFact{dir: ".", Runtime: premortem.Runtime{
			Language: lang, Version: premortem.Setting[string]{Value: v, Pos: at(g.f.Path, n)}, Source: "ci"}})
	}
}

func (g *gitlabRun) script(job string, n *yaml.Node, scopes ...*yaml.Node) {
	lines := items(n)
	if text(n) != "" {
		lines = []*yaml.Node{n}
	}
	for _, l := range lines {
		if l == nil || l.Kind != yaml.ScalarNode {
			continue
		}
		run := *l
		run.Value = gitlabExpand(l.Value, scopes...)
		dockerBuilds(g.f, g.d, &run)
		g.uses(job, l, l.Value, scopes)
	}
}
