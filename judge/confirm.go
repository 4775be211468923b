package judge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// meeting says which sign shows that a rule's suspicion is true.
type meeting struct {
	rule, sign string
	// same is how well the two fit: 0 not at all, 2 for the same thing by name.
	same func(static, shown *premortem.Finding) int
	// clear returns what was tried without harm; nil leaves the suspicion standing.
	clear func(static *premortem.Finding, trials []*premortem.Trial) []premortem.Evidence
}

var meetings = []meeting{
	{"query-without-index", "table-scan", sameIndex, indexHarmless},
	{"n-plus-one", "n-plus-one", sameLine, repeatHarmless},
	{"pool-exceeds-database", "connections-exhausted", sameStore, nil},
}

// Confirm lets suspicions from the files meet what the trials showed. A suspicion
// with the same subject as a measured finding becomes Shown and takes over its
// sentence, severity and trial fix; it keeps its own rule and key, so that
// suppressions and baselines go on working, and both sets of evidence, lines first.
// A suspicion whose statement was exercised under more than normal load without
// harm becomes Cleared. Everything else stays as it is. The result holds each cause
// once, told by the trial in which it broke something first, and Because points at
// the keys that are in it; Keys tells which keys went.
func Confirm(static []premortem.Finding, trials []*premortem.Trial, shown []premortem.Finding) []premortem.Finding {
	shown = atFirstBreak(shown, trials)
	pairs := pair(static, shown)
	names := renamed(static, shown, pairs)
	out := make([]premortem.Finding, 0, len(static)+len(shown))
	for i := range static {
		f := static[i]
		if met := metBy(pairs, i); len(met) > 0 {
			f = joined(f, shown, met)
		} else if m := meetingOf(f.Rule); m != nil {
			if m.clear != nil && f.Standing == premortem.Suspected {
				if tried := m.clear(&f, trials); len(tried) > 0 {
					f.Standing = premortem.Cleared
					f.Evidence = append(slices.Clone(f.Evidence), tried...)
				}
			}
			if cause := sharedCause(static, shown, pairs, i); cause != "" && f.Standing == premortem.Suspected && f.Because == "" {
				f.Because = cause
			}
		}
		out = append(out, f)
	}
	for j := range shown {
		if pairs[j] < 0 {
			out = append(out, shown[j])
		}
	}
	for i := range out {
		if to, ok := names[out[i].Because]; ok && to != out[i].Key() {
			out[i].Because = to
		}
	}
	return Merge(out)
}

// Keys maps the key of each measured finding that Confirm folds into a suspicion to
// the suspicion's key, for whatever else refers to it: verdicts and headrooms.
func Keys(static, shown []premortem.Finding) map[string]string {
	return renamed(static, shown, pair(static, shown))
}

func renamed(static, shown []premortem.Finding, pairs []int) map[string]string {
	out := map[string]string{}
	for j, i := range pairs {
		if i >= 0 && shown[j].Key() != static[i].Key() {
			out[shown[j].Key()] = static[i].Key()
		}
	}
	return out
}

func meetingOf(rule string) *meeting {
	for i := range meetings {
		if meetings[i].rule == rule {
			return &meetings[i]
		}
	}
	return nil
}

// pair gives each measured finding the suspicion that fits it best, -1 for none.
func pair(static, shown []premortem.Finding) []int {
	out := make([]int, len(shown))
	for j := range shown {
		out[j] = -1
		best := 0
		for i := range static {
			fit := fits(&static[i], &shown[j])
			if fit == 0 || fit < best || (fit == best && static[i].Key() >= static[out[j]].Key()) {
				continue
			}
			best, out[j] = fit, i
		}
	}
	return out
}

func fits(static, shown *premortem.Finding) int {
	if shown.Standing != premortem.Shown {
		return 0
	}
	m := meetingOf(static.Rule)
	if m == nil || m.sign != shown.Rule {
		return 0
	}
	return m.same(static, shown)
}

// metBy are the measured findings that go into one suspicion.
func metBy(pairs []int, i int) []int {
	var out []int
	for j, to := range pairs {
		if to == i {
			out = append(out, j)
		}
	}
	return out
}

// sharedCause is the key of the suspicion that took the measured finding which
// fits this one too.
func sharedCause(static, shown []premortem.Finding, pairs []int, i int) string {
	for j, to := range pairs {
		if to >= 0 && to != i && fits(&static[i], &shown[j]) > 0 {
			return static[to].Key()
		}
	}
	return ""
}

// joined is a suspicion with what was measured about it.
func joined(f premortem.Finding, shown []premortem.Finding, met []int) premortem.Finding {
	slices.SortFunc(met, func(a, b int) int { return cmp.Or(strongest(shown[a], shown[b]), cmp.Compare(a, b)) })
	main := shown[met[0]]
	f.Severity, f.Standing, f.Certain = main.Severity, premortem.Shown, true
	f.Says, f.Because = main.Says, main.Because
	written, numbers := []premortem.Evidence{}, []premortem.Evidence{}
	keep := func(all []premortem.Evidence) {
		for _, e := range all {
			switch {
			case e.Measure != nil:
				numbers = append(numbers, e)
			case !slices.ContainsFunc(written, func(w premortem.Evidence) bool {
				return (w.Pos == e.Pos && e.Pos.Known()) || (w.Pos == e.Pos && w.Says == e.Says)
			}):
				written = append(written, e)
			}
		}
	}
	keep(f.Evidence)
	for _, j := range met {
		keep(shown[j].Evidence)
	}
	if main.Rule == TableScan.Name {
		written = places(written)
	}
	f.Evidence = append(written, numbers...)
	edits, safe, own := f.Fix.Edits, f.Fix.Safe, f.Fix
	f.Fix = main.Fix
	f.Fix.Edits, f.Fix.Safe = edits, safe
	if f.Fix.Try == nil {
		f.Fix.Try = own.Try
	}
	if f.Fix.Proof == nil {
		f.Fix.Proof = own.Proof
	}
	f.Fix = oneIndex(f.Fix)
	return f
}

// sameIndex compares "users (lower(email))" with "users lower(email)".
func sameIndex(static, shown *premortem.Finding) int {
	table, exprs := indexSubject(static.Subject)
	other, theirs := indexSubject(shown.Subject)
	switch {
	case table == "" || table != other:
		return 0
	case slices.Equal(exprs, theirs):
		return 3
	case len(exprs) > 0 && len(theirs) > 0 && exprs[0] == theirs[0]:
		return 2
	case sameLine(static, shown) > 0 && len(theirs) == 0:
		return 1
	}
	return 0
}

func indexSubject(s string) (table string, exprs []string) {
	table, rest, _ := strings.Cut(strings.TrimSpace(s), " ")
	for _, e := range splitTop(unwrap(rest), ",") {
		if e = normal(e); e != "" {
			exprs = append(exprs, e)
		}
	}
	return bareTable(table), exprs
}

// sameLine reports whether both show one line of code.
func sameLine(static, shown *premortem.Finding) int {
	for _, a := range static.Evidence {
		for _, b := range shown.Evidence {
			if a.Pos.Known() && a.Pos.Line > 0 && a.Pos == b.Pos {
				return 2
			}
		}
	}
	return 0
}

func sameStore(static, shown *premortem.Finding) int {
	if static.Subject == string(shown.Node) || static.Node == shown.Node {
		return 2
	}
	return 0
}

const (
	exercised = 50    // calls under load, from which a statement was tried
	harmless  = 0.020 // seconds: a statement whose p95 stays below hurts nobody
)

// indexHarmless returns how the statements of a suspicion fared under more than
// normal load, nil unless all of them were called often, stayed fast, and met a
// table of real size or a plan without a scan.
func indexHarmless(static *premortem.Finding, trials []*premortem.Trial) []premortem.Evidence {
	table, exprs := indexSubject(static.Subject)
	var best *premortem.Evidence
	var calls uint64
	for _, t := range trials {
		if t == nil || !scaled(t) || !examine(t).credible {
			continue
		}
		for _, l := range loadsOf(t.Phase("during")) {
			if !makes(t, &l, static, table, exprs) {
				continue
			}
			p := l.time.Quantile(0.95).Seconds()
			if p > harmless {
				return nil
			}
			if l.calls < exercised || l.calls <= calls || !atSize(t, l.op, table) {
				continue
			}
			calls = l.calls
			best = &premortem.Evidence{
				Says:    fmt.Sprintf("tried in the clone: %s calls %s, p95 %s", count(l.calls), at(t), seconds(p)),
				Measure: &premortem.Measure{Signal: "call_seconds_p95", Node: l.to, Trial: t.Experiment.Name, During: p, Unit: "s"},
			}
		}
	}
	if best == nil {
		return nil
	}
	return []premortem.Evidence{*best}
}

// scaled reports whether a trial offered more than normal, with no fix in place.
func scaled(t *premortem.Trial) bool {
	s := t.Experiment.Scale
	return t.Experiment.Tried == "" && (s.Users > 1 || s.Rows > 1 || s.Calls > 1)
}

// makes reports whether an operation is the suspicion's statement: it is made at
// one of its lines, or names its table and everything it compares.
func makes(t *premortem.Trial, l *load, static *premortem.Finding, table string, exprs []string) bool {
	sites := sitesOf(t, l.op)
	if len(sites) > 0 {
		return sameLine(static, &premortem.Finding{Evidence: sites}) > 0
	}
	if l.proto != "postgres" || table == "" || len(exprs) == 0 || !slices.Contains(tablesOf(l.op), table) {
		return false
	}
	_, where, _ := strings.Cut(asciiLower(l.op), " where ")
	where = normal(where)
	return !slices.ContainsFunc(exprs, func(e string) bool { return !strings.Contains(where, e) })
}

func sitesOf(t *premortem.Trial, op string) []premortem.Evidence {
	var out []premortem.Evidence
	for i := range t.Plans {
		if t.Plans[i].Op == op {
			out = append(out, t.Plans[i].Sites...)
		}
	}
	for i := range t.Traces {
		for _, c := range t.Traces[i].Calls {
			if c.Op == op {
				out = append(out, c.Sites...)
			}
		}
	}
	return distinct(out)
}

// atSize reports whether speed means anything: the plan does not scan the table, or
// the table was large.
func atSize(t *premortem.Trial, op, table string) bool {
	for i := range t.Plans {
		if t.Plans[i].Op != op {
			continue
		}
		scans := slices.ContainsFunc(t.Plans[i].Scans, func(s premortem.Scan) bool {
			return strings.Contains(s.Node, "Seq Scan") && bareTable(s.Table) == table
		})
		if !scans {
			return true
		}
	}
	return sizeOf(t, table) >= scanRows
}

// repeatHarmless returns the list that was read without repetitions, nil unless the
// suspicion's line was traced behind a list of five rows or more and its call never
// came five times.
func repeatHarmless(static *premortem.Finding, trials []*premortem.Trial) []premortem.Evidence {
	var best *premortem.Evidence
	most := 0
	for _, t := range trials {
		if t == nil {
			continue
		}
		for i := range t.Traces {
			rows := 0
			for _, c := range t.Traces[i].Calls {
				if sameLine(static, &premortem.Finding{Evidence: c.Sites}) == 0 {
					rows = max(rows, c.Rows)
					continue
				}
				if c.Count >= repeats {
					return nil
				}
				if rows >= repeats && rows > most {
					most = rows
					best = &premortem.Evidence{
						Says:    fmt.Sprintf("tried in the clone: after a list of %s rows %s makes this call %s", count(rows), t.Traces[i].Route, plural(c.Count, "time", "times")),
						Measure: &premortem.Measure{Signal: "calls_per_request", Node: c.To, Trial: t.Experiment.Name, During: float64(c.Count), Unit: "calls"},
					}
				}
			}
		}
	}
	if best == nil {
		return nil
	}
	return []premortem.Evidence{*best}
}
