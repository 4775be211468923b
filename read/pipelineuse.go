package read

import (
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// pipelineJob is one job of a GitHub workflow while its steps are read in order.
type pipelineJob struct {
	f       File
	d       *Draft
	lines   []string
	name    string
	envs    []*yaml.Node    // of the workflow and of the job
	made    map[string]bool // variables that earlier steps handed on
	open    bool            // something before may have set any variable
	prefix  []string        // names that earlier actions set
	callee  *calledWorkflow // declares secrets, nil for a workflow of its own
	windows bool
}

// calledWorkflow is the head of a reusable workflow.
type calledWorkflow struct {
	secrets map[string]*yaml.Node
}

var (
	exprSecret = regexp.MustCompile(`\bsecrets\.([A-Za-z_][A-Za-z0-9_-]*)`)
	exprEnv    = regexp.MustCompile(`\benv\.([A-Za-z_][A-Za-z0-9_-]*)`)
	shellName  = regexp.MustCompile(`^[A-Z][A-Z0-9_]+$`)
	deployWord = regexp.MustCompile(`(?i)\b(deploy|release|publish|ship|rollout|build)`)
)

// deployTools are programs that build or deploy.
var deployTools = wordSet(`docker podman buildah kubectl helm helmfile kustomize terraform tofu pulumi aws gcloud az flyctl fly vercel
	netlify wrangler serverless sls sam cdk ansible-playbook ssh scp rsync eb heroku doctl railway skaffold oc copilot kubeseal
	cat envsubst tee`)

// quietActions set no variables that a script could wait for.
var quietActions = regexp.MustCompile(`^(actions/(checkout|cache|setup-node|setup-python|setup-go|setup-dotnet|upload-artifact|download-artifact|github-script|labeler|stale|configure-pages|deploy-pages|upload-pages-artifact)|docker/[\w-]+|pnpm/action-setup|oven-sh/setup-bun|hashicorp/setup-terraform|azure/setup-(kubectl|helm)|appleboy/[\w-]+|softprops/action-gh-release|codecov/codecov-action|peaceiris/actions-gh-pages|astral-sh/(setup-uv|ruff-action)|golangci/golangci-lint-action)@`)

// settingActions set variables whose names begin so.
var settingActions = map[string][]string{
	"aws-actions/configure-aws-credentials": {"AWS_"},
	"aws-actions/amazon-ecr-login":          {},
	"docker/metadata-action":                {"DOCKER_METADATA_"},
	"google-github-actions/auth":            {"GOOGLE_", "GCLOUD_", "GCP_", "CLOUDSDK_"},
	"google-github-actions/setup-gcloud":    {"GOOGLE_", "GCLOUD_", "CLOUDSDK_"},
	"actions/setup-java":                    {"JAVA_"},
	"ruby/setup-ruby":                       {"BUNDLE_"},
	"superfly/flyctl-actions/setup-flyctl":  {"FLYCTL_"},
}

// runnerNames are variables that a runner has by itself.
var runnerNames = regexp.MustCompile(`^(GITHUB_|RUNNER_|ACTIONS_|ImageOS|INPUT_|LC_|JAVA_HOME|ANDROID_|GOROOT|CHROME|EDGEWEB|GECKOWEB|SELENIUM|XDG_|BASH|DOTNET_|AGENT_|AZURE_EXTENSION|PIPX_|NVM_|HOMEBREW_|VCPKG_|SWIFT_|CONDA|LEIN_|POWERSHELL_|GRADLE_HOME|GHCUP_|BOOTSTRAP_|SGX_|ACCEPT_EULA|DEBIAN_FRONTEND|HOSTNAME$|PWD$|OLDPWD$|HOME$|PATH$|USER$|LOGNAME$|SHELL$|SHLVL$|LANG$|TERM$|TMPDIR$|TEMP$|TMP$|CI$|UID$|EUID$|PPID$|RANDOM$|SECONDS$|LINENO$|IFS$|OSTYPE$|HOSTTYPE$|MACHTYPE$|FUNCNAME$|PIPESTATUS$|REPLY$|OPTARG$|OPTIND$|COLUMNS$|LINES$|EPOCHSECONDS$|DIRSTACK$|MAPFILE$|COMP|PS[0-9]$|EDITOR$|DISPLAY$|JOURNAL_STREAM$|INVOCATION_ID$|SYSTEMD_|MEMORY_PRESSURE|STATS_|GOPATH$|GOBIN$|GOCACHE$|GOMODCACHE$|CARGO_HOME$|RUSTUP_HOME$|PNPM_HOME$|BUN_INSTALL$)`)

// steps reads what the steps of a job use.
func (j *pipelineJob) steps(job *yaml.Node) {
	if field(job, "container") != nil || strings.Contains(text(field(job, "runs-on"))+strings.Join(texts(field(job, "runs-on")), " "), "self-hosted") {
		j.open = true // an image, or a machine of their own, has variables of its own
	}
	j.windows = strings.Contains(text(field(job, "runs-on")), "windows") || strings.Contains(text(field(job, "runs-on")), "matrix")
	for _, step := range items(field(job, "steps")) {
		j.step(step, text(field(job, "defaults", "run", "shell")))
	}
}

func (j *pipelineJob) step(step *yaml.Node, shell string) {
	name := text(field(step, "name"))
	if name == "" {
		name = text(field(step, "id"))
	}
	if s := text(field(step, "shell")); s != "" {
		shell = s
	}
	use := premortem.PipelineUse{Job: j.name, Step: name}
	run := field(step, "run")
	script, parsed := shellScript{}, false
	if run != nil && (shell == "" && !j.windows || strings.HasPrefix(shell, "bash") || strings.HasPrefix(shell, "sh")) {
		script, parsed = readShell(githubExpr.ReplaceAllString(run.Value, "EXPR"))
	}
	use.Deploys = j.deploys(use, step, script)
	scopes := append([]*yaml.Node{field(step, "env")}, j.envs...)
	for _, part := range []string{"run", "with", "env", "if"} {
		j.expressions(field(step, part), use, scopes, 0)
	}
	if parsed {
		seen := map[string]bool{}
		for _, u := range script.uses {
			if seen[u.name] || !shellName.MatchString(u.name) || runnerNames.MatchString(u.name) || script.sets[u.name] {
				continue
			}
			seen[u.name] = true
			out := use
			out.Name, out.Pos = u.name, j.lineIn(run, u.line, u.name)
			out.Provided = j.provided(u.name, scopes, script.open)
			j.add(out)
		}
		for name := range script.exports {
			j.made[name] = true
		}
		j.open = j.open || strings.Contains(run.Value, "GITHUB_ENV") && (script.open || len(script.exports) == 0)
	} else if run != nil {
		j.open = j.open || strings.Contains(run.Value, "GITHUB_ENV")
	}
	j.action(text(field(step, "uses")))
}

// action notes what an action may set for the steps after it.
func (j *pipelineJob) action(uses string) {
	repo, _, _ := strings.Cut(uses, "@")
	names, known := settingActions[repo]
	if uses == "" || !known && quietActions.MatchString(uses) {
		return
	}
	j.prefix = append(j.prefix, names...)
	j.open = j.open || !known
}

// deploys reports a step that builds or deploys.
func (j *pipelineJob) deploys(use premortem.PipelineUse, step *yaml.Node, script shellScript) bool {
	if deployWord.MatchString(use.Step) || deployWord.MatchString(j.name) || deployWord.MatchString(text(field(step, "uses"))) {
		return true
	}
	for _, w := range script.words {
		program, rest, _ := strings.Cut(w, " ")
		if deployTools[program] || rest == "build" || rest == "deploy" {
			return true
		}
	}
	return strings.Contains(text(field(step, "run")), "run build") || strings.Contains(text(field(step, "run")), "run deploy")
}

// provided looks a shell variable up: in the step, the job, the workflow, and in
// what earlier steps handed on.
func (j *pipelineJob) provided(name string, scopes []*yaml.Node, open bool) premortem.Provision {
	for _, scope := range scopes {
		if scope != nil && deref(scope).Kind == yaml.ScalarNode {
			return premortem.ProvisionUnknown // env: ${{ fromJSON(…) }}
		}
		if k, v := pair(scope, name); k != nil {
			if v != nil && v.Kind == yaml.ScalarNode && v.Value == "" {
				return premortem.ProvidedEmpty
			}
			return premortem.Provided
		}
	}
	switch {
	case j.made[name]:
		return premortem.Provided
	case j.open || open:
		return premortem.ProvisionUnknown
	}
	for _, p := range j.prefix {
		if strings.HasPrefix(name, p) {
			return premortem.ProvisionUnknown
		}
	}
	return premortem.Missing
}

// expressions lists what ${{ … }} below a node takes from env and secrets.
func (j *pipelineJob) expressions(n *yaml.Node, use premortem.PipelineUse, scopes []*yaml.Node, depth int) {
	n = deref(n)
	if n == nil || depth > 5 {
		return
	}
	if n.Kind != yaml.ScalarNode {
		for _, c := range n.Content {
			j.expressions(c, use, scopes, depth+1)
		}
		return
	}
	for _, e := range githubExpr.FindAllStringIndex(n.Value, -1) {
		expr, line := n.Value[e[0]:e[1]], 1+strings.Count(n.Value[:e[0]], "\n")
		if strings.Contains(expr, "||") || strings.Contains(expr, "&&") || strings.Contains(expr, "==") || strings.Contains(expr, "!=") {
			continue // says what stands in for it
		}
		for _, m := range exprEnv.FindAllStringSubmatch(expr, -1) {
			out := use
			out.Name, out.Pos, out.Provided = m[1], j.lineIn(n, line, m[1]), j.provided(m[1], scopes, false)
			if runnerNames.MatchString(m[1]) {
				out.Provided = premortem.Provided
			}
			j.add(out)
		}
		for _, m := range exprSecret.FindAllStringSubmatch(expr, -1) {
			out := use
			out.Name, out.Pos = m[1], j.lineIn(n, line, m[1])
			if m[1] == "GITHUB_TOKEN" {
				out.Provided = premortem.Provided
			} else if j.callee != nil && j.callee.secrets[strings.ToUpper(m[1])] != nil {
				out.Provided = premortem.Provided // the caller is asked for it
			}
			j.add(out)
		}
	}
}

func (j *pipelineJob) add(u premortem.PipelineUse) {
	if u.Pos.Line >= 1 && u.Pos.Line <= len(j.lines) {
		u.Quote = Mask(j.f.Path, j.lines[u.Pos.Line-1])
	}
	j.d.pipeline = append(j.d.pipeline, &u)
}

// lineIn is the line of the file on which the line of a scalar stands that holds a
// word.
func (j *pipelineJob) lineIn(n *yaml.Node, line int, word string) premortem.Pos {
	pos := at(j.f.Path, n)
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		line--
	}
	from := pos.Line + line
	for _, start := range []int{from, pos.Line} { // folded text moves its lines
		for i := start; i <= len(j.lines) && i < start+60; i++ {
			if strings.Contains(j.lines[i-1], word) {
				pos.Line = i
				return pos
			}
		}
	}
	return pos
}
