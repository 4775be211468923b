package check

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"strings"

	"github.com/premortem/premortem"
)

// ComponentEndOfLife finds runtimes and engines that get no more fixes.
var ComponentEndOfLife = add(Rule{
	ID:       "component-end-of-life",
	Severity: premortem.Note,
	Certain:  true,
	Doc: premortem.Doc{
		Title: "a component on the way of users gets no more fixes",
		Why:   `A hole or a bug that is found tomorrow stays open, and the step to a living version grows with each year.`,
		When: `The image that runs a service, production's database or its ingress controller is of a
version whose publisher has ended its support, by a table with dates and sources.`,
		Silent: `The version floats or is not known; it is not in the table; the version is only used in
development or in a build stage; a managed database (its vendor supports it for longer).`,
		Fix: `Move to a version that is supported, and read which defaults change on the way.`,
	},
	Run: componentEndOfLife,
})

type ending struct{ software, line, date, source string }

//go:embed eol.csv
var eolCSV string

var endings = parseEndings(eolCSV)

func parseEndings(text string) []ending {
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		panic("check: eol.csv: " + err.Error())
	}
	var out []ending
	for _, r := range rows[1:] {
		out = append(out, ending{r[0], r[1], r[2], r[3]})
	}
	return out
}

// endOf returns the row of a version, nil when it is supported or not in the table.
func endOf(software, version string) *ending {
	m := tagVersion.FindStringSubmatch(strings.ToLower(strings.TrimSpace(version)))
	for i, e := range endings {
		if e.software != software {
			continue
		}
		if e.line == "*" || m != nil && (m[1] == e.line || strings.HasPrefix(m[1], e.line+".")) {
			return &endings[i]
		}
	}
	return nil
}

func componentEndOfLife(sys *premortem.System, report func(premortem.Finding)) {
	for _, r := range sys.Runtimes {
		if !r.Runs || !inUse(sys, r.Service) {
			continue
		}
		if e := endOf(r.Language, r.Version.Value); e != nil {
			report(endFinding(r.Service, r.Language, fmt.Sprintf("%s runs on %s %s", r.Service, runtimeName(r.Language), r.Version.Value), e, r.Version.Pos))
		}
	}
	seen := map[premortem.Node]bool{}
	for _, st := range sys.Stores {
		kind := kindOf(sys, st.Deployment)
		if !sys.IsProduction(st.Deployment) || !st.Version.Set() || seen[st.Node] || (kind != "kubernetes" && kind != "compose") {
			continue
		}
		if e := endOf(st.Kind, st.Version.Value); e != nil {
			seen[st.Node] = true
			report(endFinding(st.Node, st.Kind, fmt.Sprintf("%s is %s %s", st.Node, st.Kind, st.Version.Value), e, st.Version.Pos))
		}
	}
	for _, b := range sys.Balancers {
		if !sys.IsProduction(b.Deployment) || software(b) != "ingress-nginx" {
			continue
		}
		if e := endOf("ingress-nginx", b.Version.Value); e != nil {
			report(endFinding(b.To, "ingress-nginx", "users reach "+string(b.To)+" through ingress-nginx", e, b.Pos))
			break
		}
	}
}

func endFinding(node premortem.Node, subject, says string, e *ending, pos premortem.Pos) premortem.Finding {
	return premortem.Finding{
		Node: node, Subject: subject,
		Says:     fmt.Sprintf("%s, which gets no fixes since %s", says, e.date),
		Evidence: []premortem.Evidence{{Says: fmt.Sprintf("its end of life was %s (%s)", e.date, e.source), Pos: pos}},
		Fix:      premortem.Fix{Says: "move to a version that is supported"},
	}
}
