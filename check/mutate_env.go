package check

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/premortem/premortem"
)

var (
	_ = EnvMissing.plants(plantTakeAway(premortem.EnvBoot, premortem.EnvUse))
	_ = EnvDevDefaultInProduction.plants(plantTakeAway(premortem.EnvDev))
	_ = EnvEmpty.plants(plantEmptied)
	_ = EnvDeclaredNotRead.plants(plantMisspelt)
	_ = EnvRefMissingKey.plants(plantBrokenKeys)
	_ = CISecretNotPassed.plants(plantNotPassed)
)

// provided calls f for each variable of a production service that the code reads in
// one of the classes and that every provider names on a line of its own.
func provided(sys *premortem.System, classes []premortem.EnvClass, f func(*premortem.EnvVar, []premortem.EnvSet)) {
	for _, svc := range production(sys) {
		if len(svc.Opaque) > 0 {
			continue
		}
		for _, v := range sys.EnvOf(svc.Node) {
			if !slices.Contains(classes, v.Class) || v.Unsure != "" || customary(v.Name) || given(kindOf(sys, sys.Production), v.Name) {
				continue
			}
			var sets []premortem.EnvSet
			for _, set := range svc.Provides {
				if set.Name == v.Name {
					sets = append(sets, set)
				}
			}
			if len(sets) > 0 && !sets[0].Empty {
				f(v, sets)
			}
		}
	}
}

// everywhere makes one edit at each line that provides a variable; none when one of
// the lines does not take it.
func everywhere(sets []premortem.EnvSet, edit func(premortem.EnvSet) []premortem.Edit) []premortem.Edit {
	var out []premortem.Edit
	for _, set := range sets {
		e := edit(set)
		if e == nil {
			return nil
		}
		if !slices.Contains(out, e[0]) {
			out = append(out, e...)
		}
	}
	return out
}

func plantTakeAway(classes ...premortem.EnvClass) func(*premortem.System, Line) []Mutation {
	return func(sys *premortem.System, line Line) []Mutation {
		var out []Mutation
		provided(sys, classes, func(v *premortem.EnvVar, sets []premortem.EnvSet) {
			out = append(out, Mutation{
				Says: fmt.Sprintf("took %s away from %s", v.Name, sets[0].Source), Pos: sets[0].Pos, Node: v.Service, Subject: v.Name,
				Edits: everywhere(sets, func(s premortem.EnvSet) []premortem.Edit { return line.renamed(s.Pos, s.Name, s.Name+"_GONE") }),
			})
		})
		return out
	}
}

func plantEmptied(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	provided(sys, []premortem.EnvClass{premortem.EnvBoot, premortem.EnvUse}, func(v *premortem.EnvVar, sets []premortem.EnvSet) {
		name := regexp.QuoteMeta(v.Name)
		yaml := regexp.MustCompile(`^(\s*["']?` + name + `["']?:\s+)[^{\[|>\s].*$`)
		pair := regexp.MustCompile(`^(\s*(?:-\s+)?["']?` + name + `=)[^"']+`)
		out = append(out, Mutation{
			Says: fmt.Sprintf("emptied %s in %s", v.Name, sets[0].Source), Pos: sets[0].Pos, Node: v.Service, Subject: v.Name,
			Edits: everywhere(sets, func(s premortem.EnvSet) []premortem.Edit {
				if e := line.rewritten(s.Pos, yaml, `${1}""`); e != nil {
					return e
				}
				return line.rewritten(s.Pos, pair, `${1}`)
			}),
		})
	})
	return out
}

func plantMisspelt(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	provided(sys, []premortem.EnvClass{premortem.EnvBoot, premortem.EnvUse}, func(v *premortem.EnvVar, sets []premortem.EnvSet) {
		if len(v.Name) < 6 {
			return
		}
		wrong := v.Name[:len(v.Name)-2] + v.Name[len(v.Name)-1:]
		out = append(out, Mutation{
			Says: fmt.Sprintf("wrote %s for %s in %s", wrong, v.Name, sets[0].Source), Pos: sets[0].Pos, Node: v.Service, Subject: wrong,
			Edits: everywhere(sets, func(s premortem.EnvSet) []premortem.Edit { return line.renamed(s.Pos, s.Name, wrong) }),
		})
	})
	return out
}

func plantBrokenKeys(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	for _, svc := range production(sys) {
		for _, ref := range svc.References {
			if ref.Found != premortem.Provided || ref.Optional || ref.Key == "" {
				continue
			}
			re := regexp.MustCompile(`(\bkey:\s*["']?)` + regexp.QuoteMeta(ref.Key) + `\b`)
			for at := ref.Pos; at.Line < ref.Pos.Line+6; at.Line++ {
				if e := line.rewritten(at, re, "${1}"+ref.Key+"_GONE"); e != nil {
					out = append(out, Mutation{Says: "asked " + ref.Object + " for a key that it does not have", Pos: at, Edits: e, Node: svc.Node, Subject: ref.Key + "_GONE"})
					break
				}
			}
		}
	}
	return out
}

// plantNotPassed takes a secret of CI away from the job that uses it.
func plantNotPassed(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	for _, u := range sys.Pipeline {
		if u.Provided != premortem.Provided || !u.Deploys || u.Callee != "" {
			continue
		}
		var edits []premortem.Edit
		re := regexp.MustCompile(`^(\s*)` + regexp.QuoteMeta(u.Name) + `:(\s*["']?\$\{\{)`)
		for at := (premortem.Pos{File: u.Pos.File, Line: 1}); ; at.Line++ {
			if _, ok := line(at); !ok {
				break
			}
			edits = append(edits, line.rewritten(at, re, "${1}"+u.Name+"_GONE:${2}")...)
		}
		out = append(out, Mutation{Says: "did not pass " + u.Name + " to job " + u.Job, Pos: u.Pos, Edits: edits, Subject: u.Name})
	}
	return out
}
