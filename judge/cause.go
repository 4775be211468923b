package judge

import (
	"cmp"
	"slices"

	"github.com/premortem/premortem"
)

// Signals of the measures by which causes are compared.
const (
	signalRequestShare  = "request_time_share"  // of the route's time
	signalDatabaseShare = "database_time_share" // of all time spent in the database
)

// diagnose runs every sign and folds consequences under their causes. The cause of
// the first broken route comes first.
func diagnose(t *premortem.Trial, ex *exam) []premortem.Finding {
	found := []premortem.Finding{}
	for _, s := range Signs() {
		s.Look(t, func(f premortem.Finding) {
			f.Rule, f.Standing, f.Certain = s.Name, premortem.Shown, true
			if f.Evidence == nil {
				f.Evidence = []premortem.Evidence{}
			}
			if f.Fix.Edits == nil {
				f.Fix.Edits = []premortem.Edit{}
			}
			found = append(found, f)
		})
	}
	found = Merge(found)
	fold(t, found)
	slices.SortStableFunc(found, func(a, b premortem.Finding) int { return ex.compare(t, &a, &b) })
	return found
}

// fold sets Because to the root of the chain of causes.
func fold(t *premortem.Trial, found []premortem.Finding) {
	parent := make([]int, len(found))
	for i := range found {
		parent[i] = -1
		effect := &found[i]
		for j := range found {
			cause := &found[j]
			s := signNamed(cause.Rule)
			if i == j || s.explains == nil || s.rank >= signNamed(effect.Rule).rank || !s.explains(t, *cause, *effect) {
				continue
			}
			if parent[i] < 0 || stronger(cause, &found[parent[i]]) < 0 {
				parent[i] = j
			}
		}
	}
	for i := range found {
		root := parent[i]
		for root >= 0 && parent[root] >= 0 {
			root = parent[root] // ends: a parent's rank is lower than its child's
		}
		if root >= 0 {
			found[i].Because = found[root].Key()
		}
	}
}

// stronger orders causes: what users feel most, nearest to the root, most seconds.
func stronger(a, b *premortem.Finding) int {
	return cmp.Or(
		-cmp.Compare(a.Severity, b.Severity),
		cmp.Compare(signNamed(a.Rule).rank, signNamed(b.Rule).rank),
		-cmp.Compare(weight(a), weight(b)),
		cmp.Compare(a.Key(), b.Key()))
}

// weight is the largest share of time that a finding's evidence explains.
func weight(f *premortem.Finding) float64 {
	return max(measured(f, signalRequestShare), measured(f, signalDatabaseShare))
}

// measured is the largest "during" of a signal in the evidence, 0 without one.
func measured(f *premortem.Finding, signal string) float64 {
	best := 0.0
	for _, e := range f.Evidence {
		if e.Measure != nil && e.Measure.Signal == signal {
			best = max(best, e.Measure.During)
		}
	}
	return best
}

// compare puts causes before consequences and what concerns the first broken route
// before the rest.
func (ex *exam) compare(t *premortem.Trial, a, b *premortem.Finding) int {
	first := func(f *premortem.Finding) bool {
		routes := routesOf(t, *f)
		return len(routes) == 0 || slices.Contains(routes, ex.first())
	}
	return cmp.Or(
		firstIf(concerns(t, *a, ex))-firstIf(concerns(t, *b, ex)),
		firstIf(a.Because == "")-firstIf(b.Because == ""),
		firstIf(first(a))-firstIf(first(b)),
		stronger(a, b))
}

// firstIf puts what is true first.
func firstIf(yes bool) int {
	if yes {
		return 0
	}
	return 1
}

// concerns reports whether a finding is about a broken route: users must feel it,
// and it must name one, or none in particular.
func concerns(t *premortem.Trial, f premortem.Finding, ex *exam) bool {
	if f.Severity < premortem.Slow {
		return false
	}
	routes := routesOf(t, f)
	return len(routes) == 0 || ex.brokeAny(routes)
}

func routesOf(t *premortem.Trial, f premortem.Finding) []string {
	if s := signNamed(f.Rule); s != nil && s.routes != nil {
		return s.routes(t, f)
	}
	return nil
}
