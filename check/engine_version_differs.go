package check

import (
	"fmt"
	"strings"

	"github.com/premortem/premortem"
)

// EngineVersionDiffers compares the stores of production with those that people and
// CI work against.
var EngineVersionDiffers = add(Rule{
	ID:       "engine-version-differs",
	Severity: premortem.Down,
	Certain:  true,
	Doc: premortem.Doc{
		Title: "production's database is another major version than the one it was tested on",
		Why: `SQL, plans, defaults and reserved words differ between major versions. A statement
that works locally is refused, or is planned otherwise, in production.`,
		When: `The repository says which major version of a database, cache or broker production
has, and another deployment of it (Compose, CI) uses a different major or engine. A
cache or broker that differs in its major is a note: their protocols are stable; so is a
local image whose tag floats.`,
		Silent: `The majors are equal; a version is not written down or holds a variable; redis and valkey up to 7.2 speak the same.`,
		Fix:    `Use the major version of production everywhere.`,
	},
	Run: engineVersionDiffers,
})

func engineVersionDiffers(sys *premortem.System, report func(premortem.Finding)) {
	seen := map[premortem.Node]bool{}
	for _, st := range sys.Stores {
		if seen[st.Node] {
			continue
		}
		seen[st.Node] = true
		all := sys.StoresOf(st.Node)
		prod := firstVersioned(sys, all)
		if prod == nil {
			continue
		}
		var odd []*premortem.Store
		for _, other := range all {
			if !sys.IsProduction(other.Deployment) && differs(prod, other) {
				odd = append(odd, other)
			}
		}
		switch free := floating(sys, prod, all); {
		case len(odd) > 0:
			report(engineFinding(prod, odd))
		case len(free) > 0:
			report(floatingFinding(prod, free))
		}
	}
}

// firstVersioned returns production's description of a store that names a version.
func firstVersioned(sys *premortem.System, stores []*premortem.Store) *premortem.Store {
	for _, st := range stores {
		if sys.IsProduction(st.Deployment) && st.Version.Set() && engineLine(st) != "" {
			return st
		}
	}
	return nil
}

// floating returns the local descriptions of a store whose version is whatever is the
// newest on that day.
func floating(sys *premortem.System, prod *premortem.Store, all []*premortem.Store) []*premortem.Store {
	var out []*premortem.Store
	for _, st := range all {
		written := loose(st)
		tag := strings.ToLower(written.Value)
		if sys.IsProduction(st.Deployment) || st.Kind != prod.Kind || !written.Set() {
			continue
		}
		if tag == "" || tag == "latest" || channels.MatchString(tag) {
			out = append(out, st)
		}
	}
	return out
}

// loose is the tag of a store whose version names none: "alpine", or "" for no tag.
func loose(st *premortem.Store) premortem.Setting[string] {
	if st.Version.Set() || !st.Image.Set() || strings.Contains(st.Image.Value, "@") {
		return st.Version
	}
	return premortem.Setting[string]{Value: tagOf(st.Image.Value), Pos: st.Image.Pos}
}

// floatingFinding is a note: today the two may be equal.
func floatingFinding(prod *premortem.Store, others []*premortem.Store) premortem.Finding {
	f := premortem.Finding{
		Node: prod.Node, Subject: prod.Kind, Severity: asNote,
		Evidence: []premortem.Evidence{{Says: fmt.Sprintf("production: %s %s", prod.Kind, prod.Version.Value), Pos: prod.Version.Pos}},
	}
	var says []string
	for _, st := range others {
		tag := loose(st)
		if tag.Value == "" {
			tag.Value = "no tag"
		}
		says = append(says, fmt.Sprintf("%s uses %s (%s), which floats", st.Deployment, st.Kind, tag.Value))
		f.Evidence = append(f.Evidence, premortem.Evidence{Says: says[len(says)-1], Pos: tag.Pos})
	}
	f.Says = fmt.Sprintf("production runs %s %s, but %s", prod.Kind, prod.Version.Value, list(says))
	f.Fix.Says = fmt.Sprintf("use %s %s everywhere", prod.Kind, engineLine(prod))
	return f
}

func differs(prod, other *premortem.Store) bool {
	line := engineLine(other)
	return other.Version.Set() && line != "" && (prod.Kind != other.Kind || line != engineLine(prod))
}

// engineLine is the part of a version within which an engine stays compatible, ""
// when the version does not name one.
func engineLine(st *premortem.Store) string {
	m := tagVersion.FindStringSubmatch(strings.ToLower(strings.TrimSpace(st.Version.Value)))
	if m == nil {
		return ""
	}
	parts := strings.Split(m[1], ".")
	if st.Kind == "mysql" || st.Kind == "mariadb" || (st.Kind == "postgres" && parts[0] == "9") {
		if len(parts) < 2 {
			return ""
		}
		return parts[0] + "." + parts[1]
	}
	return parts[0]
}

func engineFinding(prod *premortem.Store, odd []*premortem.Store) premortem.Finding {
	f := premortem.Finding{
		Node:     prod.Node,
		Subject:  prod.Kind,
		Evidence: []premortem.Evidence{{Says: fmt.Sprintf("production: %s %s", prod.Kind, prod.Version.Value), Pos: prod.Version.Pos}},
	}
	var others []string
	for _, st := range odd {
		others = append(others, fmt.Sprintf("%s uses %s %s", st.Deployment, st.Kind, st.Version.Value))
		f.Evidence = append(f.Evidence, premortem.Evidence{Says: others[len(others)-1], Pos: st.Version.Pos})
		if st.Kind == prod.Kind {
			f.Fix.Edits = append(f.Fix.Edits, premortem.Edit{
				Pos: st.Version.Pos, Old: st.Version.Value, New: sameFlavour(st.Version.Value, prod.Version.Value)})
		}
	}
	f.Says = fmt.Sprintf("production runs %s %s, but %s", prod.Kind, prod.Version.Value, list(others))
	f.Fix.Says = fmt.Sprintf("use %s %s everywhere", prod.Kind, engineLine(prod))
	switch prod.Kind {
	case "postgres", "mysql", "mariadb", "mongodb":
	default:
		f.Severity = asNote
	}
	return f
}

// sameFlavour writes production's version in the form of an image tag: of
// "16-alpine" and "15.4" it makes "15.4-alpine".
func sameFlavour(tag, version string) string {
	m := tagVersion.FindStringSubmatch(tag)
	v := tagVersion.FindStringSubmatch(version)
	if m == nil || v == nil {
		return version
	}
	return v[1] + strings.TrimPrefix(tag, m[1])
}
