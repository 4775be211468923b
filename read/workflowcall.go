package read

import (
	"path"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// workflowFile is a workflow as others see it: what it asks its callers for, and
// whom it calls.
type workflowFile struct {
	f       File
	only    bool // it runs only when it is called
	secrets map[string]*yaml.Node
	calls   []workflowCall
	uses    []*premortem.PipelineUse // of secrets
}

// workflowCall is a job that calls a workflow of the same repository.
type workflowCall struct {
	job     string
	callee  string // path
	pos     premortem.Pos
	quote   string
	inherit bool
	passed  map[string]bool
}

func openFlow(f File, doc *yaml.Node) *workflowFile {
	w := &workflowFile{f: f, secrets: map[string]*yaml.Node{}}
	on := field(doc, "on")
	if on == nil { // YAML 1.1 reads the key as true
		on = field(doc, "true")
	}
	call := field(on, "workflow_call")
	_, calls := pair(on, "workflow_call")
	w.only = text(on) == "workflow_call" || calls != nil && len(entries(on)) == 1
	for _, s := range entries(field(call, "secrets")) {
		w.secrets[strings.ToUpper(s.key.Value)] = s.key
	}
	return w
}

// job reads the uses of variables in one job, or the call that it is.
func (w *workflowFile) job(d *Draft, doc *yaml.Node, job entry) {
	lines := strings.Split(string(w.f.Data), "\n")
	if uses := field(job.value, "uses"); text(uses) != "" {
		callee, local := strings.CutPrefix(text(uses), "./")
		if !local {
			return
		}
		c := workflowCall{job: job.key.Value, callee: path.Clean(callee), pos: at(w.f.Path, uses), passed: map[string]bool{}}
		c.quote = Mask(w.f.Path, lines[min(c.pos.Line, len(lines))-1])
		secrets := field(job.value, "secrets")
		c.inherit = text(secrets) == "inherit"
		for _, s := range entries(secrets) {
			c.passed[strings.ToUpper(s.key.Value)] = true
		}
		w.calls = append(w.calls, c)
		return
	}
	j := &pipelineJob{f: w.f, d: d, lines: lines, name: job.key.Value, made: map[string]bool{}}
	j.envs = []*yaml.Node{field(job.value, "env"), field(doc, "env")}
	if w.only {
		j.callee = &calledWorkflow{w.secrets}
	}
	scopes := slices.Clone(j.envs)
	for _, step := range items(field(job.value, "steps")) {
		scopes = append(scopes, field(step, "env"))
	}
	for _, scope := range scopes {
		for _, e := range entries(scope) {
			pos := at(w.f.Path, e.key)
			if shapeOf(text(e.value)) != "" { // any other is as well of a test's own database
				d.credential(w.f.Path, pos, lines[min(pos.Line, len(lines))-1], e.key.Value, text(e.value), "pipeline", "")
			}
		}
	}
	before := len(d.pipeline)
	j.steps(deref(job.value))
	for _, u := range d.pipeline[before:] {
		if u.Provided == premortem.ProvisionUnknown && w.only {
			w.uses = append(w.uses, u)
		}
	}
	j.installs(deref(job.value))
}

// pipelines settles what needs all workflows: the secrets that callers pass, and the
// lockfiles beside installs.
func (g *merger) pipelines() {
	byPath := map[string]*workflowFile{}
	callers := map[string][]workflowCall{}
	for _, w := range g.d.flows {
		byPath[w.f.Path] = w
		for _, c := range w.calls {
			callers[c.callee] = append(callers[c.callee], c)
		}
	}
	for _, w := range g.d.flows {
		for _, c := range w.calls {
			if callee := byPath[c.callee]; callee != nil && !c.inherit {
				g.d.pipeline = append(g.d.pipeline, callee.unpassed(c)...)
			}
		}
		w.undeclared(callers[w.f.Path])
	}
	g.jobInstalls()
}

// unpassed lists the secrets that a workflow requires and a call does not pass.
func (w *workflowFile) unpassed(c workflowCall) []*premortem.PipelineUse {
	var out []*premortem.PipelineUse
	for _, name := range sortedKeys(w.secrets) {
		key := w.secrets[name]
		declared := field(w.docOf(key), "required")
		if c.passed[name] || text(declared) != "true" {
			continue
		}
		out = append(out, &premortem.PipelineUse{
			Pos: c.pos, Quote: c.quote, Name: key.Value, Job: c.job, Deploys: true, Provided: premortem.Missing,
			Callee: w.f.Path, CalleePos: at(w.f.Path, key),
		})
	}
	return out
}

// docOf is the declaration of a secret, by its key.
func (w *workflowFile) docOf(key *yaml.Node) *yaml.Node {
	docs, err := parseYAML(w.f)
	if err != nil || len(docs) == 0 {
		return nil
	}
	on := field(docs[0], "on")
	if on == nil {
		on = field(docs[0], "true")
	}
	return field(on, "workflow_call", "secrets", key.Value)
}

// undeclared settles the secrets that a workflow uses without asking for them: they
// arrive only where a caller hands on all that it has.
func (w *workflowFile) undeclared(callers []workflowCall) {
	if !w.only || len(callers) == 0 {
		return
	}
	for _, c := range callers {
		if c.inherit {
			return
		}
	}
	for _, u := range w.uses {
		if w.secrets[strings.ToUpper(u.Name)] == nil && strings.Contains(u.Quote, "secrets."+u.Name) {
			u.Provided, u.Callee, u.CalleePos = premortem.Missing, w.f.Path, u.Pos
		}
	}
}
