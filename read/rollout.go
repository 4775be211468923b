package read

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
	"mvdan.cc/sh/v3/syntax"

	"github.com/premortem/premortem"
)

// rollout is a command that brings a deployment to the place where it runs.
type rollout struct {
	paths  []string // files and folders that it names, relative to the root
	tool   string   // "kubectl", "helm", "terraform", "compose", "skaffold"
	weight int      // how much it says about production
	pos    premortem.Pos
}

// The weights of rollouts: who runs it when.
const (
	weighReadme   = 1 // a person who reads
	weighSkaffold = 2
	weighMake     = 3 // a person who means to deploy
	weighPipeline = 4 // the pipeline, each time
)

// Rollout reads the commands that deploy: kubectl, kustomize, helm, terraform, and
// Compose where its context says that it deploys.
var Rollout = add(Reader{
	Name: "rollout",
	Doc: premortem.Doc{
		Title:  "Commands that deploy",
		Why:    "A repository with several manifests runs one of them in production; the command that deploys it says which.",
		When:   "kubectl apply, kustomize build, helm upgrade, terraform apply, docker stack deploy and docker compose up in pipelines, in Makefiles and in the README of the root; skaffold.yaml.",
		Silent: "Jobs and targets for tests, previews and clusters that are thrown away; paths that are computed.",
		Fix:    "Where several deployments are left, declare production in premortem.yaml.",
	},
	Wants: func(p string) bool {
		base := path.Base(p)
		return isPipelineFile(p) || base == "Makefile" || base == "makefile" || base == "skaffold.yaml" || base == "skaffold.yml" ||
			strings.EqualFold(p, "README.md")
	},
	Read: readRollout,
})

func isPipelineFile(p string) bool {
	base := path.Base(p)
	return isWorkflow(p) || base == ".gitlab-ci.yml" || p == ".circleci/config.yml" || base == "azure-pipelines.yml" ||
		base == "bitbucket-pipelines.yml" || base == "cloudbuild.yaml" || base == ".travis.yml"
}

// throwAway finds clusters that live as long as a test.
var throwAway = regexp.MustCompile(`(?i)kind create|helm/kind-action|engineerd/setup-kind|minikube (start|addons)|setup-minikube|\bk3d\b|\bk3s\b|microk8s|chart-testing`)

func readRollout(f File, d *Draft) error {
	base := path.Base(f.Path)
	switch {
	case strings.EqualFold(f.Path, "README.md"):
		d.readmeRollouts(f)
	case strings.HasPrefix(base, "skaffold."):
		docs, _ := parseYAML(f) // the kubernetes reader reports what is wrong with YAML
		for _, doc := range docs {
			d.skaffold(f, doc)
		}
	case strings.EqualFold(base, "makefile"):
		d.makeRollouts(f)
	case !throwAway.Match(f.Data):
		docs, _ := parseYAML(f)
		for _, doc := range docs {
			d.pipelineRollouts(f, doc, []string{strings.TrimSuffix(base, path.Ext(base))}, "", 0)
		}
	}
	return nil
}

// pipelineRollouts looks through every script of a pipeline. names are what the file,
// the job and the step are called.
func (d *Draft) pipelineRollouts(f File, n *yaml.Node, names []string, dir string, depth int) {
	n = deref(n)
	if n == nil || depth > 20 {
		return
	}
	switch n.Kind {
	case yaml.ScalarNode:
		if deployHint.MatchString(n.Value) && elsewhere(names) == "" {
			d.rollouts = append(d.rollouts, commands(n.Value, dir, names, weighPipeline, at(f.Path, n))...)
		}
	case yaml.SequenceNode:
		for _, c := range n.Content {
			d.pipelineRollouts(f, c, names, dir, depth+1)
		}
	case yaml.MappingNode:
		own := slices.Clone(names)
		if s := text(field(n, "name")); s != "" {
			own = append(own, s)
		}
		for _, k := range []string{"environment", "working-directory", "workingDirectory"} {
			s := text(field(n, k))
			if s == "" {
				s = text(field(n, k, "name"))
			}
			if k == "environment" && s != "" {
				own = append(own, s)
			} else if s != "" {
				dir = s
			}
		}
		if s := text(field(n, "defaults", "run", "working-directory")); s != "" {
			dir = s
		}
		for _, e := range entries(n) {
			d.pipelineRollouts(f, e.value, append(slices.Clone(own), e.key.Value), dir, depth+1)
		}
	}
}

var nameWord = regexp.MustCompile(`[A-Za-z0-9]+`)

// elsewhere returns the word of the names that says that a command is not for
// production, "" none.
func elsewhere(names []string) string {
	for _, n := range names {
		for _, w := range nameWord.FindAllString(n, -1) {
			switch w = strings.ToLower(w); w {
			case "pr", "pull", "integration", "smoke", "validate", "lint", "plan", "destroy", "teardown", "cleanup", "minikube", "kind", "undeploy", "uninstall", "ephemeral", "review":
				return w
			case "main", "ci":
				continue
			}
			if rankEnvironment(w) == rankOther {
				return w
			}
		}
	}
	return ""
}

var (
	deployHint = regexp.MustCompile(`\b(kubectl|kustomize|helm|terraform|tofu|docker(-compose)?)\b`)
	deployName = regexp.MustCompile(`(?i)deploy|release|prod|publish|rollout|\bcd\b`)
)

// commands finds what a script deploys.
func commands(script, dir string, names []string, weight int, pos premortem.Pos) []rollout {
	if strings.Contains(dir, "$") || strings.HasPrefix(dir, "/") {
		return nil
	}
	prog, err := syntax.NewParser().Parse(strings.NewReader(githubExpr.ReplaceAllString(script, "EXPR")), "")
	if err != nil {
		return nil // another shell, or text that is no script
	}
	var out []rollout
	syntax.Walk(prog, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		if !ok {
			return true
		}
		args := make([]string, len(call.Args))
		for i, w := range call.Args {
			args[i] = wordText(w)
		}
		if len(args) == 2 && args[0] == "cd" {
			dir = path.Join(dir, args[1])
			return true
		}
		if tool, paths := deploys(args, slices.ContainsFunc(names, deployName.MatchString)); tool != "" {
			r := rollout{tool: tool, weight: weight, pos: pos}
			for _, p := range paths {
				if m := rawFile.FindStringSubmatch(p); m != nil {
					p = m[1]
				}
				if p = join(dir, p); p != "" && !strings.Contains(p, "EXPR") {
					r.paths = append(r.paths, p)
				}
			}
			if len(r.paths) > 0 {
				out = append(out, r)
			}
		}
		return true
	})
	return out
}

// rawFile finds the path of a file that is fetched from a public repository: most
// often from this one.
var rawFile = regexp.MustCompile(`^https://raw\.githubusercontent\.com/[^/]+/[^/]+/[^/]+/(.+)$`)

// deploys returns the tool and the paths of a command that deploys, "" for any other.
func deploys(args []string, meant bool) (string, []string) {
	if len(args) < 2 {
		return "", nil
	}
	if args[0] == "sudo" {
		args = args[1:]
	}
	plain, flags := options(args[1:])
	verb := func(words ...string) bool { return len(plain) > 0 && slices.Contains(words, plain[0]) }
	switch args[0] {
	case "kubectl", "oc":
		if verb("apply", "create", "replace", "kustomize") {
			return "kubectl", append(slices.Concat(flags["-f"], flags["--filename"], flags["-k"], flags["--kustomize"]), after(plain, "kustomize")...)
		}
	case "kustomize":
		if verb("build") {
			return "kubectl", after(plain, "build")
		}
	case "helm":
		if verb("upgrade", "install") && len(plain) >= 2 {
			return "helm", append([]string{plain[len(plain)-1]}, slices.Concat(flags["-f"], flags["--values"])...)
		}
	case "terraform", "tofu":
		if verb("apply") {
			return "terraform", append(slices.Clone(flags["-chdir"]), ".")
		}
	case "docker", "docker-compose":
		if !meant {
			return "", nil
		}
		if verb("stack") && slices.Contains(plain, "deploy") {
			return "compose", slices.Concat(flags["-c"], flags["--compose-file"])
		}
		if slices.Contains(plain, "up") && (args[0] == "docker-compose" || verb("compose")) {
			return "compose", slices.Concat(flags["-f"], flags["--file"])
		}
	}
	return "", nil
}

func after(plain []string, word string) []string {
	if i := slices.Index(plain, word); i >= 0 && i+1 < len(plain) {
		return plain[i+1 : i+2]
	}
	return nil
}

// valueFlags are options whose value is the next word.
var valueFlags = wordSet(`-f --filename -k --kustomize --values -c --compose-file --file -n --namespace --context --kube-context --kubeconfig
	--set --set-string --set-file --version --timeout -p --project-name --env-file --repo -l --selector --profile --history-max --description --post-renderer -o --output`)

// options parts the words of a command from its options and their values.
func options(args []string) (plain []string, flags map[string][]string) {
	flags = map[string][]string{}
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case !strings.HasPrefix(a, "-") || a == "-":
			plain = append(plain, a)
		case strings.Contains(a, "="):
			k, v, _ := strings.Cut(a, "=")
			flags[k] = append(flags[k], strings.Split(v, ",")...)
		case valueFlags[a] && i+1 < len(args):
			i++
			flags[a] = append(flags[a], strings.Split(args[i], ",")...)
		}
	}
	return plain, flags
}

var (
	makeTarget = regexp.MustCompile(`^([\w./%-]+)\s*:([^=]|$)`)
	makeAssign = regexp.MustCompile(`^\s*(?:export\s+)?([A-Za-z_][\w]*)\s*[:?]?=\s*(\S*)\s*$`)
	makeUse    = regexp.MustCompile(`\$[({](\w+)[)}]`)
)

// makeRollouts reads the recipes of targets that are named after a deploy.
func (d *Draft) makeRollouts(f File) {
	vars, target := map[string]string{}, ""
	for i, line := range bytes.Split(f.Data, []byte("\n")) {
		s := string(line)
		if !strings.HasPrefix(s, "\t") {
			if m := makeAssign.FindStringSubmatch(s); m != nil {
				vars[m[1]] = m[2]
			} else if m := makeTarget.FindStringSubmatch(s); m != nil {
				target = m[1]
			}
			continue
		}
		names := []string{target}
		if !deployHint.MatchString(s) || !deployTarget.MatchString(target) || elsewhere(names) != "" {
			continue
		}
		s = makeUse.ReplaceAllStringFunc(strings.TrimLeft(strings.TrimSuffix(s, "\\"), "\t @-"), func(use string) string {
			if v, ok := vars[makeUse.FindStringSubmatch(use)[1]]; ok {
				return v
			}
			return "EXPR"
		})
		d.rollouts = append(d.rollouts, commands(s, path.Dir(f.Path), names, weighMake, premortem.Pos{File: f.Path, Line: i + 1})...)
	}
}

var deployTarget = regexp.MustCompile(`(?i)deploy|release|prod|apply|rollout|upgrade|install`)

// skaffold reads what the default profile deploys.
func (d *Draft) skaffold(f File, doc *yaml.Node) {
	r := rollout{tool: "skaffold", weight: weighSkaffold, pos: premortem.Pos{File: f.Path, Line: 1}}
	add := func(list *yaml.Node, keys ...string) {
		for _, i := range items(list) {
			s := text(i)
			for _, k := range keys {
				s += text(field(i, k))
			}
			s, _, _ = strings.Cut(s, "*")
			if p := join(path.Dir(f.Path), strings.TrimSuffix(s, "/")); s != "" && p != "" {
				r.paths = append(r.paths, p)
			}
		}
	}
	for _, part := range []string{"manifests", "deploy"} {
		add(field(doc, part, "rawYaml"))
		add(field(doc, part, "kubectl", "manifests"))
		add(field(doc, part, "kustomize", "paths"))
		add(field(doc, part, "helm", "releases"), "chartPath")
	}
	if len(r.paths) > 0 {
		d.rollouts = append(d.rollouts, r)
	}
}

// readmeRollouts reads the commands of the README's fenced blocks that deploy to a
// cluster.
func (d *Draft) readmeRollouts(f File) {
	fenced, heading := false, ""
	for i, line := range strings.Split(string(f.Data), "\n") {
		s := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(s, "```"):
			fenced = !fenced
		case !fenced && strings.HasPrefix(s, "#"):
			heading = s
		case fenced && deployHint.MatchString(s) && elsewhere([]string{heading}) == "":
			s = strings.TrimPrefix(s, "$ ")
			d.rollouts = append(d.rollouts, commands(s, "", nil, weighReadme, premortem.Pos{File: f.Path, Line: i + 1})...)
		}
	}
}
