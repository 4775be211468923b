package check

import (
	"path"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// source is one place from which a workload takes variables.
type source struct {
	name string // "configmap api-config"
	file string
	// workload is the file that describes the container, which may hold references.
	workload string
	sets     []premortem.EnvSet
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
			home = &source{name: set.Source, file: set.Pos.File, workload: svc.Pos.File}
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

// line writes a variable in the syntax of the source's file, "" when that syntax
// or its indentation is not known.
func (s *source) line(name, value string) string {
	base := path.Base(s.file)
	switch {
	case strings.HasPrefix(base, "kustomization."):
		return ""
	case strings.Contains(base, ".env") || strings.HasPrefix(s.name, "env_file ") || strings.HasSuffix(base, ".properties"):
		return name + "=" + value
	case !strings.HasSuffix(base, ".yaml") && !strings.HasSuffix(base, ".yml"):
		return ""
	case (s.secret() || strings.HasPrefix(s.name, "configmap ")) && s.mapping():
		return "  " + name + `: "` + value + `"`
	}
	return ""
}

// mapping reports whether the variables stand in the map of a ConfigMap or Secret,
// where a line is a key. They may also be references in a container's env list, one
// every few lines, or the keys of a sealed or an external secret, whose values
// nobody could read and hash.
func (s *source) mapping() bool {
	lines := make([]int, 0, len(s.sets))
	for _, set := range s.sets {
		if set.Hash == "" && !set.Empty {
			return false
		}
		lines = append(lines, set.Pos.Line)
	}
	slices.Sort(lines)
	for i := 1; i < len(lines); i++ {
		if lines[i] == lines[i-1]+1 {
			return true
		}
	}
	return len(lines) == 1 && s.file != s.workload
}

// insertion returns the edit that adds a variable to the source. The line goes
// after the last one when that holds one plain word, else before it: the end of a
// folded or hidden value cannot be told.
func (s *source) insertion(name, value string) (premortem.Edit, bool) {
	text := s.line(name, value)
	last := s.sets[0]
	for _, set := range s.sets[1:] {
		if set.Pos.Line == last.Pos.Line {
			return premortem.Edit{}, false // a map on one line
		}
		if set.Pos.Line > last.Pos.Line {
			last = set
		}
	}
	if text == "" || !last.Pos.Known() || last.Pos.Line == 0 {
		return premortem.Edit{}, false
	}
	at := last.Pos
	if last.Plain && !strings.ContainsAny(last.Value, " \t\n") {
		at.Line++
	}
	return premortem.Edit{Pos: at, New: text}, true
}

// home chooses the source that a new variable belongs to: a secret goes to a
// secret and nowhere else, plain configuration to a ConfigMap if there is one.
func home(svc *premortem.Service, secret bool) *source {
	var plain, hidden *source
	for _, s := range sourcesOf(svc) {
		if s.line("X", "") == "" {
			continue
		}
		switch {
		case s.secret() && hidden == nil:
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
