package check

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

var (
	_ = ImageFloating.plants(plantFloated)
	_ = EngineVersionDiffers.plants(plantOtherEngine)
	_ = RuntimeVersionDisagreement.plants(plantOtherRuntime)
	_ = InstallIgnoresLockfile.plants(plantUnfrozen)
	_ = ShellFormCmd.plants(plantShelled)
	_ = CronOverlap.plants(plantOverlapping)
)

func plantFloated(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	for _, img := range sys.Images {
		if img.Tag != "" && matters(sys, img) && tagClass(img) == "" {
			out = append(out, Mutation{
				Says: "floated " + img.Ref + " to latest", Pos: img.Pos, Node: img.Service, Subject: repository(img.Ref),
				Edits: line.swapped(img.Pos, ":"+img.Tag, ":latest"),
			})
		}
	}
	return out
}

var firstNumber = regexp.MustCompile(`\d+`)

// later is a version some majors on: of "15.4-alpine" it makes "18.4-alpine".
func later(version string) string {
	m := firstNumber.FindString(version)
	n, err := strconv.Atoi(m)
	if err != nil {
		return ""
	}
	return strings.Replace(version, m, strconv.Itoa(n+3), 1)
}

func plantOtherEngine(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	for _, st := range sys.Stores {
		prod := firstVersioned(sys, sys.StoresOf(st.Node))
		if prod == nil || sys.IsProduction(st.Deployment) || !st.Version.Set() || engineLine(st) == "" || differs(prod, st) {
			continue
		}
		out = append(out, Mutation{
			Says: fmt.Sprintf("raised %s of %s from %s to %s", st.Kind, st.Deployment, st.Version.Value, later(st.Version.Value)),
			Pos:  st.Version.Pos, Node: st.Node, Edits: line.swapped(st.Version.Pos, st.Version.Value, later(st.Version.Value)),
		})
	}
	return out
}

func plantOtherRuntime(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	runs := map[premortem.Node]bool{}
	for _, r := range sys.Runtimes {
		runs[r.Service] = runs[r.Service] || r.Runs
	}
	for _, r := range sys.Runtimes {
		v := r.Version.Value
		if v == "" || !runs[r.Service] || firstNumber.FindStringIndex(v) == nil || strings.ContainsAny(v, "<>^~*|$") {
			continue
		}
		out = append(out, Mutation{
			Says: fmt.Sprintf("raised %s of %s from %s to %s", r.Language, r.Source, v, later(v)), Pos: r.Version.Pos,
			Node: r.Service, Subject: r.Language, Edits: line.swapped(r.Version.Pos, v, later(v)),
		})
	}
	return out
}

var frozenWords = []struct {
	re *regexp.Regexp
	by string
}{
	{regexp.MustCompile(`\bnpm ci\b`), "npm install"},
	{regexp.MustCompile(` --(frozen-lockfile|immutable|frozen|locked)\b`), ""},
}

func plantUnfrozen(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	for _, in := range sys.Installs {
		for _, w := range frozenWords {
			if e := line.rewritten(in.Pos, w.re, w.by); in.Frozen && !in.Absent && in.Lockfile.Set() && e != nil {
				out = append(out, Mutation{Says: "installed without the lockfile", Pos: in.Pos, Edits: e, Node: in.Service, Subject: in.Pos.File})
				break
			}
		}
	}
	return out
}

var execList = regexp.MustCompile(`^(\s*CMD )\["([^"\[\]]+)"\]\s*$`)

func plantShelled(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	for _, svc := range production(sys) {
		text, ok := line(svc.Start.Pos)
		m := execList.FindStringSubmatch(strings.ReplaceAll(text, `", "`, " "))
		if !ok || m == nil || svc.Start.Shell || svc.Start.Script != "" || svc.Start.Init || svc.Static {
			continue
		}
		out = append(out, Mutation{
			Says: "started it through a shell", Pos: svc.Start.Pos, Node: svc.Node,
			Edits: []premortem.Edit{{Pos: svc.Start.Pos, Old: text, New: m[1] + m[2]}},
		})
	}
	return out
}

func plantOverlapping(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	for _, svc := range production(sys) {
		if svc.Schedule.Set() && svc.Concurrency.Set() && svc.Concurrency.Value != "Allow" {
			out = append(out, Mutation{
				Says: "let two runs of the job overlap", Pos: svc.Concurrency.Pos, Node: svc.Node,
				Edits: line.swapped(svc.Concurrency.Pos, svc.Concurrency.Value, "Allow"),
			})
		}
	}
	return out
}
