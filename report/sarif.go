package report

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/url"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// SARIF is the static analysis interchange format, version 2.1.0 (OASIS).
var SARIF = add(Format{
	Name: "sarif",
	Doc: premortem.Doc{
		Title: "SARIF 2.1.0, for code scanning",
		Why: "Findings appear in code scanning and in editors: every end of a disagreement is a related location, the " +
			"help carries the rule's explanation, and the fingerprint survives edits above the line.",
		When: "A code host or an editor takes the result.",
		Silent: "Headroom is a property of the run, as SARIF has no word for it. An edit that replaces part of a line is " +
			"told in the message only, as a report does not hold the file's columns.",
		Fix: "premortem check --format sarif -o premortem.sarif",
	},
	Write: writeSARIF,
})

// The structs below are the part of the standard that is written, under its names.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		ColumnKind  string            `json:"columnKind"`
		Results     []sarifResult     `json:"results"`
		Properties  map[string]any    `json:"properties,omitempty"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name            string      `json:"name"`
		SemanticVersion string      `json:"semanticVersion,omitempty"`
		Rules           []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID      string       `json:"id"`
		Short   sarifText    `json:"shortDescription"`
		Full    *sarifText   `json:"fullDescription,omitempty"`
		Help    sarifText    `json:"help"`
		Default sarifDefault `json:"defaultConfiguration"`
	}
	sarifDefault struct {
		Level string `json:"level"`
	}
	sarifText struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications"`
	}
	sarifNotification struct {
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations,omitempty"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Kind         string             `json:"kind"`
		Level        string             `json:"level"`
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Related      []sarifLocation    `json:"relatedLocations,omitempty"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
		Fixes        []sarifFix         `json:"fixes,omitempty"`
		Properties   map[string]any     `json:"properties"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Justification string `json:"justification"`
	}
	sarifLocation struct {
		ID       int            `json:"id,omitempty"`
		Physical *sarifPhysical `json:"physicalLocation,omitempty"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
		Message  *sarifText     `json:"message,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI  string `json:"uri"`
		Base string `json:"uriBaseId,omitempty"`
	}
	sarifRegion struct {
		StartLine   int        `json:"startLine"`
		StartColumn int        `json:"startColumn,omitempty"`
		EndColumn   int        `json:"endColumn,omitempty"`
		Snippet     *sarifText `json:"snippet,omitempty"`
	}
	sarifLogical struct {
		Name string `json:"name"`
		Kind string `json:"kind"`
	}
	sarifFix struct {
		Description sarifText     `json:"description"`
		Changes     []sarifChange `json:"artifactChanges"`
	}
	sarifChange struct {
		Artifact     sarifArtifact      `json:"artifactLocation"`
		Replacements []sarifReplacement `json:"replacements"`
	}
	sarifReplacement struct {
		Deleted  sarifRegion `json:"deletedRegion"`
		Inserted sarifText   `json:"insertedContent"`
	}
)

func writeSARIF(w io.Writer, r *premortem.Report, o Options) error {
	s := tell(rooted(r, o.Below))
	rules, index := sarifRules(s, o)
	run := sarifRun{
		Tool:        sarifTool{sarifDriver{Name: "premortem", SemanticVersion: plain(cmp.Or(r.Version, premortem.Version)), Rules: rules}},
		Invocations: []sarifInvocation{{Successful: true, Notifications: sarifNotifications(s)}},
		ColumnKind:  "utf16CodeUnits",
		Results:     []sarifResult{},
		Properties:  sarifHeadroom(s),
	}
	for i := range s.Findings {
		f := &s.Findings[i]
		run.Results = append(run.Results, sarifOf(f, index[f.Rule]))
	}
	log := sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(log); err != nil {
		return fmt.Errorf("write report as SARIF: %w", err)
	}
	_, err := w.Write(harmless(b.Bytes()))
	return err
}

// sarifRules describes each rule that found something, sorted by name, and gives
// its place in the list.
func sarifRules(s *story, o Options) ([]sarifRule, map[string]int) {
	worst := map[string]*premortem.Finding{}
	for i := range s.Findings {
		f := &s.Findings[i]
		if w := worst[f.Rule]; w == nil || f.Severity > w.Severity {
			worst[f.Rule] = f
		}
	}
	rules, index := []sarifRule{}, map[string]int{}
	for name, f := range worst {
		rule := sarifRule{
			ID: plain(name), Short: sarifText{Text: plain(name)}, Default: sarifDefault{sarifLevel(f.Severity)},
			Help: sarifText{Text: "premortem explain " + plain(name) + " says more. " + stop(upper(fixSays(f.Fix)))},
		}
		if d, ok := o.Docs[name]; ok {
			rule.Short.Text = plain(d.Title)
			rule.Full = &sarifText{Text: plain(d.Why)}
			rule.Help = docHelp(name, d)
		}
		rules = append(rules, rule)
	}
	slices.SortFunc(rules, func(a, b sarifRule) int { return cmp.Compare(a.ID, b.ID) })
	for name := range worst {
		index[name] = slices.IndexFunc(rules, func(r sarifRule) bool { return r.ID == plain(name) })
	}
	return rules, index
}

func docHelp(name string, d premortem.Doc) sarifText {
	parts := []struct{ title, text string }{
		{"What users feel", d.Why}, {"When it speaks", d.When}, {"When it stays silent", d.Silent}, {"Fix", d.Fix},
	}
	text, mark := plain(d.Title), "**"+md(d.Title)+"**"
	for _, p := range parts {
		if p.text == "" {
			continue
		}
		text += "\n\n" + p.title + ": " + plain(p.text)
		mark += "\n\n**" + p.title + ".** " + md(p.text)
	}
	return sarifText{Text: text, Markdown: mark + "\n\n" + mdCode("premortem explain "+name)}
}

func sarifLevel(s premortem.Severity) string {
	switch s {
	case premortem.Loss, premortem.Down:
		return "error"
	case premortem.Slow:
		return "warning"
	}
	return "note"
}

// sarifOf is one finding. What the clone refuted is a pass, as the standard has it.
func sarifOf(f *premortem.Finding, rule int) sarifResult {
	sum := sha256.Sum256([]byte(f.Key()))
	res := sarifResult{
		RuleID: plain(f.Rule), RuleIndex: rule, Kind: "fail", Level: sarifLevel(f.Severity),
		Message:      sarifText{Text: strings.Join(append([]string{plain(f.Says)}, details(f)...), "\n")},
		Locations:    []sarifLocation{},
		Fingerprints: map[string]string{"premortemKey/v1": hex.EncodeToString(sum[:16])},
		Fixes:        sarifFixes(f.Fix),
		Properties: map[string]any{
			"severity": f.Severity.String(), "standing": f.Standing.String(), "certain": f.Certain, "node": plain(string(f.Node)),
		},
	}
	if f.Standing == premortem.Cleared {
		res.Kind, res.Level = "pass", "none"
	}
	if f.Suppressed != "" {
		res.Suppressions = []sarifSuppression{{Kind: "external", Justification: plain(f.Suppressed)}}
	}
	if f.Because != "" {
		res.Properties["because"] = plain(f.Because)
	}
	logical := []sarifLogical{{Name: plain(string(f.Node)), Kind: "resource"}}
	for _, e := range f.Evidence {
		if !e.Pos.Known() {
			continue
		}
		loc := sarifPlace(e.Pos, e.Quote)
		if len(res.Locations) == 0 {
			loc.Logical = logical
			res.Locations = append(res.Locations, loc)
			continue
		}
		loc.ID = len(res.Related) + 1
		loc.Message = &sarifText{Text: cmp.Or(plain(e.Says), plain(e.Pos.String()))}
		res.Related = append(res.Related, loc)
	}
	if len(res.Locations) == 0 {
		res.Locations = []sarifLocation{{Logical: logical}}
	}
	return res
}

func sarifPlace(pos premortem.Pos, quote string) sarifLocation {
	loc := sarifLocation{Physical: &sarifPhysical{Artifact: sarifFile(pos.File)}}
	if pos.Line > 0 {
		loc.Physical.Region = &sarifRegion{StartLine: pos.Line}
		if quote != "" {
			loc.Physical.Region.Snippet = &sarifText{Text: plain(quote)}
		}
	}
	return loc
}

// sarifFile is a path below the root as a relative URI: String, not EscapedPath, as
// a colon in the first segment would read as a scheme.
func sarifFile(file string) sarifArtifact {
	return sarifArtifact{URI: (&url.URL{Path: plain(file)}).String(), Base: "%SRCROOT%"}
}

// sarifFixes writes edits that insert whole lines. An edit inside a line needs a
// column, which a report does not hold; then none is written, as half a fix is worse.
func sarifFixes(fix premortem.Fix) []sarifFix {
	if len(fix.Edits) == 0 {
		return nil
	}
	out := sarifFix{Description: sarifText{Text: fixSays(fix)}}
	for _, e := range fix.Edits {
		if e.Old != "" || e.Pos.Line < 1 {
			return nil
		}
		out.Changes = append(out.Changes, sarifChange{Artifact: sarifFile(e.Pos.File), Replacements: []sarifReplacement{{
			Deleted:  sarifRegion{StartLine: e.Pos.Line, StartColumn: 1, EndColumn: 1},
			Inserted: sarifText{Text: strings.Join(plainLines(e.New), "\n") + "\n"},
		}}})
	}
	return []sarifFix{out}
}

// sarifNotifications are what stayed unknown: a silent run is not a clean one.
func sarifNotifications(s *story) []sarifNotification {
	out := []sarifNotification{}
	for _, q := range s.open() {
		out = append(out, sarifNotification{Level: "warning", Message: sarifText{Text: "unknown: " + strings.TrimSpace(q.Asks+" "+q.Says)}})
	}
	for _, q := range s.doubts() {
		out = append(out, sarifNotification{Level: "note", Message: sarifText{Text: "doubt: " + q.text()}})
	}
	for _, u := range s.Unread {
		n := sarifNotification{Level: "warning", Message: sarifText{Text: "not understood: " + plain(u.Why)}}
		if u.Pos.Known() {
			n.Locations = []sarifLocation{sarifPlace(u.Pos, "")}
		}
		out = append(out, n)
	}
	return out
}

func sarifHeadroom(s *story) map[string]any {
	if len(s.Headroom) == 0 {
		return nil
	}
	finite := func(v float64) float64 {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return 0
		}
		return v
	}
	var out []map[string]any
	for _, h := range s.Headroom {
		out = append(out, map[string]any{
			"x": plain(h.X), "answer": h.Answer.String(), "first": plain(h.First),
			"holds": finite(h.Holds), "breaks": finite(h.Breaks), "estimate": finite(h.Estimate), "low": finite(h.Low), "high": finite(h.High),
		})
	}
	return map[string]any{"headroom": out}
}
