package check

import (
	"encoding/base64"
	"strings"

	"github.com/premortem/premortem"
)

// source is one place from which a workload takes variables.
type source struct {
	name string // "configmap api-config"
	file string
	sets []premortem.EnvSet
}

// sourcesOf groups what a workload is given by source and file, in the order in
// which they first appear.
func sourcesOf(svc *premortem.Service) []*source {
	var out []*source
	for _, set := range svc.Provides {
		var home *source
		for _, s := range out {
			if s.name == set.Source && s.file == set.Pos.File {
				home = s
			}
		}
		if home == nil {
			home = &source{name: set.Source, file: set.Pos.File}
			out = append(out, home)
		}
		home.sets = append(home.sets, set)
	}
	return out
}

// pos is the line of the source's first variable.
func (s *source) pos() premortem.Pos {
	first := s.sets[0].Pos
	for _, set := range s.sets {
		if set.Pos.Line < first.Line {
			first = set.Pos
		}
	}
	return first
}

// secret reports whether values of this source are kept out of sight.
func (s *source) secret() bool { return strings.HasPrefix(s.name, "secret ") }

// extends returns the variable beside which the source's file takes another one, nil
// where its lines do not tell how.
func (s *source) extends() *premortem.EnvSet {
	var last *premortem.EnvSet
	for i := range s.sets {
		if set := &s.sets[i]; set.Entry != "" && set.Pos.Line > 0 && (last == nil || set.Pos.Line > last.Pos.Line) {
			last = set
		}
	}
	return last
}

// insertion returns the edit that adds a variable to the source. The line goes
// after the last one when that holds one plain word, else before it: the end of a
// folded or hidden value cannot be told.
func (s *source) insertion(name, value string) (premortem.Edit, bool) {
	last := s.extends()
	if last == nil {
		return premortem.Edit{}, false
	}
	at := last.Pos
	if last.Plain && !strings.ContainsAny(last.Value, " \t\n") && !strings.Contains(last.Entry, "\n") {
		at.Line++
	}
	return premortem.Edit{Pos: at, New: entry(last, name, value)}, true
}

// entry fills the form of a variable's neighbour.
func entry(beside *premortem.EnvSet, name, value string) string {
	return strings.NewReplacer("{name}", name, "{value}", value,
		"{base64}", base64.StdEncoding.EncodeToString([]byte(value))).Replace(beside.Entry)
}

// home chooses the source that a new variable belongs to: a secret goes to a
// secret and nowhere else, plain configuration to a ConfigMap if there is one. In
// Compose it goes to whatever there is, as a reference to what runs Compose.
func home(sys *premortem.System, svc *premortem.Service, secret bool) *source {
	compose := kindOf(sys, svc.Deployment) == "compose"
	var plain, hidden *source
	for _, s := range sourcesOf(svc) {
		if s.extends() == nil {
			continue
		}
		switch {
		case (s.secret() || compose) && hidden == nil:
			hidden = s
		case !s.secret() && plain == nil:
			plain = s
		}
	}
	if secret || plain == nil {
		return hidden
	}
	return plain
}

// beside are the edits that name a variable in the other places which the change
// that brings it has to touch: the other deployments of the service that are known
// to lack it, and the example files and pipelines that list what it reads.
func beside(sys *premortem.System, v *premortem.EnvVar, secret bool) []premortem.Edit {
	var out []premortem.Edit
	for _, svc := range sys.Services {
		if svc.Node != v.Service || svc.Deployment == sys.Production || kindOf(sys, svc.Deployment) == "package" {
			continue
		}
		if p, _ := sys.Provision(svc.Deployment, svc.Node, v.Name); p == premortem.Missing {
			out = append(out, provideFix(sys, svc, v.Name, placeholder, secret).Edits...)
		}
	}
	for _, sample := range sys.Samples {
		if !lists(sys, v, sample) {
			continue
		}
		s := &source{name: sample.Kind, file: sample.File, sets: sample.Sets}
		value := placeholder
		if sample.Kind == "pipeline" && secret && strings.HasPrefix(sample.File, ".github/") {
			value = "${{ secrets." + v.Name + " }}"
		}
		if e, ok := s.insertion(v.Name, value); ok {
			out = append(out, e)
		}
	}
	return out
}

// lists reports whether a sample is a list of what the service reads that lacks the
// variable: at least two names of it, or all that there are.
func lists(sys *premortem.System, v *premortem.EnvVar, sample *premortem.EnvSample) bool {
	known := 0
	for _, set := range sample.Sets {
		if set.Name == v.Name {
			return false
		}
		if !customary(set.Name) && readBy(sys, v.Service, set.Name) {
			known++
		}
	}
	return known >= min(2, len(sample.Sets))
}

// secretive reports whether a variable's name says that its value opens something.
// It decides where a placeholder is put, never whether there is a finding.
func secretive(name string) bool {
	for _, word := range strings.Split(strings.ToUpper(name), "_") {
		switch word {
		case "SECRET", "TOKEN", "PASSWORD", "PASSWD", "PASS", "KEY", "DSN", "CREDENTIALS", "CREDENTIAL", "PRIVATE", "SALT", "PEPPER":
			return true
		}
	}
	return false
}
