package report

import (
	"encoding/xml"
	"io"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

// JUnit is a test report: each finding and each experiment is a test.
var JUnit = add(Format{
	Name: "junit",
	Doc: premortem.Doc{
		Title: "A test report for CI servers",
		Why: "Findings and experiments appear among the tests. A finding that fails the build is a failed test, " +
			"an unknown answer and a suppressed finding are skipped tests with the reason.",
		When:   "A CI server collects JUnit XML.",
		Silent: "A finding below the threshold is a passed test whose output tells it.",
		Fix:    "premortem check --format junit -o premortem.xml",
	},
	Write: writeJUnit,
})

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Errors   int          `xml:"errors,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string           `xml:"name,attr"`
	Tests      int              `xml:"tests,attr"`
	Failures   int              `xml:"failures,attr"`
	Skipped    int              `xml:"skipped,attr"`
	Errors     int              `xml:"errors,attr"`
	Time       string           `xml:"time,attr"`
	Timestamp  string           `xml:"timestamp,attr,omitempty"`
	Properties *junitProperties `xml:"properties"`
	Cases      []junitCase      `xml:"testcase"`
}

type junitProperties struct {
	List []junitProperty `xml:"property"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Class   string       `xml:"classname,attr"`
	Name    string       `xml:"name,attr"`
	File    string       `xml:"file,attr,omitempty"`
	Line    string       `xml:"line,attr,omitempty"`
	Time    string       `xml:"time,attr"`
	Failure *junitReason `xml:"failure"`
	Skipped *junitReason `xml:"skipped"`
	Out     string       `xml:"system-out,omitempty"`
}

type junitReason struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

func writeJUnit(w io.Writer, r *premortem.Report, o Options) error {
	s := tell(rooted(r, o.Below))
	suites := []junitSuite{{Name: "findings", Cases: junitFindings(s, o)}}
	if cases := junitVerdicts(s, o); len(cases) > 0 {
		suites = append(suites, junitSuite{Name: "experiments", Cases: cases})
	}
	if cases := junitHeadroom(s); len(cases) > 0 {
		suites = append(suites, junitSuite{Name: "headroom", Cases: cases})
	}
	root := junitSuites{Name: "premortem " + plain(r.Command), Time: junitTime(r.TookSeconds)}
	for i := range suites {
		su := &suites[i]
		su.Tests, su.Time = len(su.Cases), "0.000"
		for _, c := range su.Cases {
			if c.Failure != nil {
				su.Failures++
			}
			if c.Skipped != nil {
				su.Skipped++
			}
		}
		root.Tests, root.Failures, root.Skipped = root.Tests+su.Tests, root.Failures+su.Failures, root.Skipped+su.Skipped
	}
	suites[0].Time = root.Time
	suites[0].Properties = &junitProperties{[]junitProperty{{"seed", strconv.FormatInt(r.Seed, 10)}, {"system", strings.Join(systemParts(s.System), " · ")}}}
	if !r.Started.IsZero() {
		suites[0].Timestamp = r.Started.UTC().Format("2006-01-02T15:04:05")
	}
	root.Suites = suites
	body, err := xml.MarshalIndent(root, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(append([]byte(xml.Header), body...), '\n'))
	return err
}

func junitTime(v float64) string {
	if !(v > 0 && v < 1e9) {
		return "0.000"
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

// junitFindings makes a test of each finding, and of each question and file that
// stayed unknown. There is always one test, as a report without any reads as a
// broken job.
func junitFindings(s *story, o Options) []junitCase {
	var out []junitCase
	for i := range s.Findings {
		f := &s.Findings[i]
		c := junitCase{Class: plain(f.Rule), Name: plain(strings.TrimSpace(string(f.Node) + " " + f.Subject)), File: plain(f.Pos().File), Time: "0.000"}
		if n := f.Pos().Line; n > 0 {
			c.Line = strconv.Itoa(n)
		}
		text := strings.Join(append([]string{plain(f.Says)}, details(f)...), "\n")
		switch {
		case f.Suppressed != "":
			c.Skipped = &junitReason{Message: "suppressed: " + plain(f.Suppressed)}
		case fails(f, o.FailOn):
			c.Failure = &junitReason{Message: plain(f.Says), Type: f.Severity.String(), Text: text}
		default:
			c.Out = f.Standing.String() + ", " + f.Severity.String() + ": " + text
		}
		out = append(out, c)
	}
	for _, q := range s.open() {
		if q.Asks == "" { // the others are tests among the experiments
			out = append(out, junitCase{Class: "unknown", Name: q.Says, Time: "0.000", Skipped: &junitReason{Message: q.Says}})
		}
	}
	for _, u := range s.Unread {
		out = append(out, junitCase{Class: "not understood", Name: plain(u.Pos.String()), File: plain(u.Pos.File), Time: "0.000", Skipped: &junitReason{Message: plain(u.Why)}})
	}
	if len(out) == 0 {
		out = append(out, junitCase{Class: "premortem", Name: nothing(s.Report), Time: "0.000"})
	}
	return out
}

func junitVerdicts(s *story, o Options) []junitCase {
	var out []junitCase
	for _, v := range s.Verdicts {
		c := junitCase{Class: "experiment", Name: plain(v.Experiment.Name), Time: junitTime(v.Experiment.Hold.Seconds())}
		lines := []string{plain(v.Experiment.Asks), v.Answer.String() + ": " + plain(v.Says)}
		worst := (*premortem.Finding)(nil)
		for _, key := range v.Findings {
			if f := s.Finding(key); f != nil && fails(f, o.FailOn) {
				worst = f
			}
			lines = append(lines, "because of: "+plain(key))
		}
		for _, d := range v.Doubts {
			lines = append(lines, "doubt: "+plain(d))
		}
		text := strings.Join(lines, "\n")
		switch {
		case v.Answer == premortem.Unknown:
			c.Skipped = &junitReason{Message: "unknown: " + plain(v.Says), Text: text}
		case v.Answer == premortem.Fails && worst != nil:
			c.Failure = &junitReason{Message: plain(v.Says), Type: worst.Severity.String(), Text: text}
		default:
			c.Out = text
		}
		out = append(out, c)
	}
	return out
}

// junitHeadroom tells the boundaries. They never fail: the findings behind them do.
func junitHeadroom(s *story) []junitCase {
	var out []junitCase
	for _, h := range s.Headroom {
		c := junitCase{Class: "headroom", Name: plain(h.X), Time: "0.000"}
		text := strings.TrimSuffix("holds "+holds(h)+", breaks "+breaks(h)+": "+s.firstToBreak(h), ": ")
		if h.Answer == premortem.Unknown {
			c.Skipped = &junitReason{Message: text}
		} else {
			c.Out = text
		}
		out = append(out, c)
	}
	return out
}
