package report

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"html/template"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

// page is what the template shows: text that was made plain, and coordinates.
type page struct {
	CSS    template.CSS
	JS     template.JS
	Policy string

	Title, Says, More string
	System            []string
	Chips             []chip
	Headroom          *headroomTable
	Plots             plotSet
	Chapters          []*card
	Rest              []*card // beyond the cap: one line each
	Cleared           []*card
	Suppressed        []*card
	Open              []question
	Doubts            []question
	Verdicts          []verdictRow
	Stages            []stageRow
	Parity            []premortem.Parity
	ParityCount       []chip
	Unread            []premortem.Unread
	Read              string
	Run               []fact
	Command           string
	Version           string
}

// chip is a count with its word.
type chip struct {
	Word, Class string
	Count       string
}

// fact is a name with its value.
type fact struct{ Name, Value string }

// verdictRow is one experiment.
type verdictRow struct {
	Name, Asks, Answer, Says string
	First                    string
	Broken                   []string
	Doubts                   []string
	Findings                 []link
}

// link leads to a finding on the page.
type link struct{ ID, Says string }

// stageRow is one stage with its place on the clock.
type stageRow struct {
	Name, Says, Took string
	X, Width         float64 // of 100
}

func newPage(s *story, o Options) *page {
	p := &page{System: systemParts(s.System), Read: wasRead(s.System), Version: plain(cmp.Or(s.Version, premortem.Version))}
	p.Says, p.More = s.answer()
	p.Says, p.More = tie(p.Says), tie(p.More)
	p.Title = "premortem"
	if s.System != nil && s.System.Name != "" {
		p.Title = plain(s.System.Name) + " · premortem"
	}
	p.Headroom = newHeadroomTable(s)
	p.Plots = plots(s)
	p.findings(s, o)
	p.Open, p.Doubts = s.open(), s.doubts()
	p.verdicts(s)
	p.stages(s)
	for _, row := range s.Parity {
		row.Standing = plain(cmp.Or(row.Standing, "unknown"))
		p.Parity = append(p.Parity, row)
	}
	for _, c := range parityCount(p.Parity) {
		p.ParityCount = append(p.ParityCount, chip{Word: c.Rule, Class: slug(c.Rule), Count: number(float64(c.Count))})
	}
	p.Unread = s.Unread
	p.run(s)
	return p
}

func (p *page) findings(s *story, o Options) {
	shown, more, _ := capped(s.Told, perRule)
	if o.Verbose {
		shown, more = s.Told, nil
	}
	for _, c := range shown {
		p.Chapters = append(p.Chapters, newChapterCard(s, c, o))
	}
	for _, c := range more {
		p.Rest = append(p.Rest, newCard(s, c.Finding, o))
	}
	for _, f := range s.Cleared {
		p.Cleared = append(p.Cleared, newCard(s, f, o))
	}
	for _, f := range s.Suppressed {
		p.Suppressed = append(p.Suppressed, newCard(s, f, o))
	}
	t := s.tally()
	for sev := premortem.Loss; sev >= premortem.Note; sev-- {
		if n := t.By[sev]; n > 0 {
			word := sev.String()
			if sev == premortem.Note && n > 1 {
				word = "notes"
			}
			p.Chips = append(p.Chips, chip{word, sev.String(), number(float64(n))})
		}
	}
	for _, c := range []rest{{"uncertain", t.Uncertain}, {"unknown", len(s.open())}, {"cleared", len(s.Cleared)}, {"suppressed", len(s.Suppressed)}} {
		if c.Count > 0 {
			p.Chips = append(p.Chips, chip{c.Rule, c.Rule, number(float64(c.Count))})
		}
	}
}

func (p *page) verdicts(s *story) {
	for _, v := range s.Verdicts {
		row := verdictRow{
			Name: plain(v.Experiment.Name), Asks: plain(cmp.Or(v.Experiment.Asks, v.Experiment.Name)), Answer: v.Answer.String(),
			Says: plain(v.Says), First: routeOf(v.First),
		}
		for _, b := range v.Broken {
			row.Broken = append(row.Broken, brokenSays(b))
		}
		for _, d := range v.Doubts { // those of an answer stand below, each once
			if v.Answer == premortem.Unknown && !strings.Contains(v.Says, d) {
				row.Doubts = append(row.Doubts, plain(d))
			}
		}
		for _, key := range v.Findings {
			if f := s.Finding(key); f != nil && f.Because == "" { // a consequence stands under its cause
				row.Findings = append(row.Findings, link{anchor(f), plain(f.Says)})
			}
		}
		p.Verdicts = append(p.Verdicts, row)
	}
}

// brokenSays: "POST /api/login: p95 6.3 s against 300 ms (182 ms at normal load)".
func brokenSays(b premortem.Broken) string {
	value := seconds
	if b.What == "errors" {
		value = percent
	}
	says := plain(b.Route) + ": " + plain(b.What) + " " + value(b.Was) + " against " + value(b.Limit)
	if b.Before > 0 {
		says += ", " + value(b.Before) + " before"
	}
	if b.Pos.Known() {
		says += " (" + plain(b.Pos.String()) + ")"
	}
	return says
}

func (p *page) stages(s *story) {
	total := 0.0
	for _, st := range s.Stages {
		if usable(st.Took) {
			total += st.Took
		}
	}
	at := 0.0
	for _, st := range s.Stages {
		row := stageRow{Name: plain(st.Name), Says: plain(st.Says), Took: stageTime(st)}
		if usable(st.Took) && total > 0 {
			row.X = tenth(at / total * 100)
			row.Width = max(tenth(st.Took/total*100), 0.5)
			at += st.Took
		}
		p.Stages = append(p.Stages, row)
	}
}

// run is how it was found out, what that cost, and how to do it again.
func (p *page) run(s *story) {
	add := func(name, value string) {
		if value != "" {
			p.Run = append(p.Run, fact{name, value})
		}
	}
	p.Command = reproduce(s.Report)
	if !s.Started.IsZero() {
		add("Started", s.Started.UTC().Format("2 January 2006, 15:04:05 UTC"))
	}
	if usable(s.TookSeconds) {
		add("Took", seconds(s.TookSeconds))
	}
	if s.Command == "rehearse" {
		add("Seed", strconv.FormatInt(s.Seed, 10))
	}
	if s.System != nil && s.System.Production != "" {
		add("Production", plain(strings.TrimSuffix(s.System.Production+": "+s.System.ProductionWhy, ": ")))
	}
	if s.System != nil && s.System.Config.Set() {
		add("Settings", plain(s.System.Config.Value))
	}
	if c := s.Cost; c != nil {
		add("Memory of premortem", size(float64(c.MemoryBytes))+" at most")
		if c.EdgeLatency >= 0 {
			add("Added by a proxied connection", seconds(c.EdgeLatency)+", median")
		} else {
			add("Added by a proxied connection", "not measured in this run")
		}
		add("Size of the clone's database", size(float64(c.DatabaseBytes)))
	}
	add("Version", p.Version)
}

// reproduce is the command that gives this report again.
func reproduce(r *premortem.Report) string {
	cmd := "premortem " + cmp.Or(plain(r.Command), "check")
	if r.Command == "rehearse" {
		cmd += " --seed " + strconv.FormatInt(r.Seed, 10)
	}
	if dir := plain(r.Dir); dir != "" && dir != "." {
		cmd += " " + quoted(dir)
	}
	return cmd
}

// quoted is s as one word of a POSIX shell.
func quoted(s string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:@%,", r)
	}
	if strings.TrimLeftFunc(s, safe) == "" && !strings.HasPrefix(s, "-") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// anchor names a finding on the page; it stays the same across runs, so that a
// link to it can be kept.
func anchor(f *premortem.Finding) string {
	sum := sha256.Sum256([]byte(f.Key()))
	return "f-" + hex.EncodeToString(sum[:5])
}

// slug is a word that is safe as a class name.
func slug(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(s))
}
