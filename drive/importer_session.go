package drive

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/premortem/premortem"
)

const (
	sessionGap   = 30 * time.Minute // silence that ends a visit
	maxSessions  = 50_000           // visits followed at once
	maxVisit     = 24               // requests of a visit; a longer one is cut
	maxSequences = 20_000           // different visits counted
	topSequences = 8                // of them written as journeys
	topRoutes    = 40
)

// visits follows sessions through a log and counts which sequences of requests occur.
// Its memory is bounded: the sessions silent for longest are ended first, and
// sequences seen once make room for others.
type visits struct {
	open  map[uint64]*visit
	paths map[uint64]*sequence
	ended uint64
	spent time.Duration // of all ended visits, from first to last request
}

type visit struct {
	first, last time.Time
	steps       []*seenRoute
	thinks      []time.Duration // before each step
}

// sequence is a way through the application that several visits took.
type sequence struct {
	steps  []*seenRoute
	thinks []time.Duration // sums
	count  uint64
}

func newVisits() *visits {
	return &visits{open: map[uint64]*visit{}, paths: map[uint64]*sequence{}}
}

// add puts one request into its session. Reads alone make sequences: a write needs a
// body, which no log holds.
func (v *visits) add(who uint64, at time.Time, took time.Duration, r *seenRoute) {
	s := v.open[who]
	if s != nil && (at.Sub(s.last) > sessionGap || len(s.steps) == maxVisit) {
		v.end(s)
		s = nil
	}
	if s == nil {
		if len(v.open) >= maxSessions {
			v.sweep(at)
		}
		s = &visit{first: at, last: at}
		v.open[who] = s
	}
	if !needsBody(r.method) {
		s.steps = append(s.steps, r)
		s.thinks = append(s.thinks, max(at.Sub(s.last)-took, 0))
	}
	if at.After(s.last) {
		s.last = at
	}
}

func needsBody(method string) bool { return method == "POST" || method == "PUT" || method == "PATCH" }

// sweep ends what has been silent, and if that is not enough, the older half.
func (v *visits) sweep(now time.Time) {
	for _, limit := range []time.Duration{sessionGap, sessionGap / 6, 0} {
		for who, s := range v.open {
			if limit == 0 && len(v.open) <= maxSessions/2 {
				return
			}
			if now.Sub(s.last) > limit || limit == 0 {
				v.end(s)
				delete(v.open, who)
			}
		}
		if len(v.open) <= maxSessions/2 {
			return
		}
	}
}

func (v *visits) end(s *visit) {
	v.ended++
	v.spent += s.last.Sub(s.first)
	if len(s.steps) < 2 {
		return
	}
	key := hashOfSteps(s.steps)
	q := v.paths[key]
	if q == nil {
		if len(v.paths) >= maxSequences {
			v.forget()
		}
		q = &sequence{steps: s.steps, thinks: make([]time.Duration, len(s.steps))}
		v.paths[key] = q
	}
	if len(q.steps) != len(s.steps) {
		return // two sequences of one hash: the first one stays
	}
	q.count++
	for i, d := range s.thinks {
		q.thinks[i] += d
	}
}

// forget drops the sequences that were seen least (lossy counting, Manku and Motwani,
// VLDB 2002).
func (v *visits) forget() {
	for least := uint64(1); len(v.paths) > maxSequences/2; least *= 2 {
		for k, q := range v.paths {
			if q.count <= least {
				delete(v.paths, k)
			}
		}
	}
}

func hashOfSteps(steps []*seenRoute) uint64 {
	h := uint64(golden)
	for _, r := range steps {
		r = r.find()
		h = mix(h + hashOf(r.method))
		for b := r.at; b.up != nil; b = b.up {
			h = mix(h + hashOf(b.name))
		}
	}
	return h
}

// close ends all sessions and returns the sequences, the most requests first. Routes
// that turned out to be one have become one in them.
func (v *visits) close() []*sequence {
	for who, s := range v.open {
		v.end(s)
		delete(v.open, who)
	}
	one := map[string]*sequence{}
	for _, q := range v.paths {
		var name strings.Builder
		for i, r := range q.steps {
			q.steps[i] = r.find()
			name.WriteString(q.steps[i].name() + "\n")
		}
		old := one[name.String()]
		if old == nil {
			one[name.String()] = q
			continue
		}
		old.count += q.count
		for i, d := range q.thinks {
			old.thinks[i] += d
		}
	}
	out := make([]*sequence, 0, len(one))
	names := map[*sequence]string{}
	for n, q := range one {
		out = append(out, q)
		names[q] = n
	}
	slices.SortFunc(out, func(a, b *sequence) int {
		return cmp.Or(cmp.Compare(b.count*uint64(len(b.steps)), a.count*uint64(len(a.steps))), strings.Compare(names[a], names[b]))
	})
	return out
}

// compose makes journeys of what was seen: the commonest sequences as they are, and the
// rest of each route as a visit of one request, so that each route has the share of
// requests that it had.
func (t *Traffic) compose(routes []*seenRoute, seqs []*sequence, sessions uint64) {
	left := map[*seenRoute]uint64{}
	var total uint64
	for _, r := range routes {
		left[r] = r.count
		total += r.count
	}
	if total == 0 {
		return
	}
	names := uniqueNames{}
	weights := map[*premortem.Journey]float64{}
	for _, q := range seqs {
		if len(t.Journeys) == topSequences || q.count < max(2, sessions/500) || !q.fits(left) {
			continue
		}
		for _, r := range q.steps {
			left[r] -= q.count
		}
		j := t.journeyOf(q)
		j.Name = names.take(journeyName(q.steps))
		weights[j] = float64(q.count)
		t.Journeys = append(t.Journeys, j)
	}
	slices.SortFunc(routes, func(a, b *seenRoute) int {
		return cmp.Or(cmp.Compare(left[b], left[a]), strings.Compare(a.name(), b.name()))
	})
	var rare, rareRoutes uint64
	for i, r := range routes {
		if left[r] == 0 {
			continue
		}
		if i >= topRoutes {
			rare += left[r]
			rareRoutes++
			continue
		}
		j := t.journeyOf(&sequence{steps: []*seenRoute{r}, thinks: []time.Duration{0}, count: 1})
		j.Name = names.take(journeyName([]*seenRoute{r}))
		weights[j] = float64(left[r])
		if needsBody(r.method) {
			t.Unfinished = append(t.Unfinished, j)
		} else {
			t.Journeys = append(t.Journeys, j)
		}
	}
	if rare > 0 {
		t.note(premortem.Pos{}, "%d rare routes with %.2g%% of the requests were left out", rareRoutes, 100*float64(rare)/float64(total))
	}
	scaleWeights(weights)
}

// fits reports whether a sequence asks no route more often than is left of it.
func (q *sequence) fits(left map[*seenRoute]uint64) bool {
	need := map[*seenRoute]uint64{}
	for _, r := range q.steps {
		if need[r] += q.count; need[r] > left[r] {
			return false
		}
	}
	return true
}

// scaleWeights makes the weights sum up to 100, with three digits that count.
func scaleWeights(weights map[*premortem.Journey]float64) {
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	for j, w := range weights {
		j.Weight = max(threeDigits(100*w/sum), 0.001)
	}
}

func threeDigits(x float64) float64 {
	if x == 0 {
		return 0
	}
	scale := math.Pow(10, 2-math.Floor(math.Log10(math.Abs(x))))
	return math.Round(x*scale) / scale
}

func (t *Traffic) journeyOf(q *sequence) *premortem.Journey {
	j := &premortem.Journey{Weight: 1}
	for i, r := range q.steps {
		if d := snapThink(q.thinks[i] / time.Duration(max(q.count, 1))); i > 0 && d > 0 {
			j.Steps = append(j.Steps, premortem.Step{Think: d})
		}
		req := &premortem.Request{Method: r.method, Path: r.path(t), Route: r.name()}
		if needsBody(r.method) {
			t.mark(req, "writes; a log holds no bodies: add json: and remove the comment signs")
		} else if r.method == "DELETE" {
			t.mark(req, "writes")
		}
		j.Steps = append(j.Steps, premortem.Step{Request: req})
	}
	return j
}

// snapThink rounds a pause to what a person would write, and what survives being
// written: quarters of a second, whole seconds from 10 s on, at most 30 min.
func snapThink(d time.Duration) time.Duration {
	d = min(d, sessionGap)
	if d >= 10*time.Second {
		return d.Round(time.Second)
	}
	return d.Round(time.Second / 4)
}

// journeyName says what a journey is about by the last word of its last route.
func journeyName(steps []*seenRoute) string {
	first, last := wordsOf(steps[0]), wordsOf(steps[len(steps)-1])
	if len(steps) == 1 {
		return strings.ToLower(steps[0].method) + "-" + last
	}
	if first == last {
		return "browse-" + last
	}
	return first + "-to-" + last
}

func wordsOf(r *seenRoute) string {
	out, things := "home", ""
	for _, b := range r.segments() {
		if b.name == ":id" {
			things = "-one"
		} else if w := safeName(b.name); w != "" {
			out, things = w, ""
		}
	}
	return out + things
}

// safeName keeps what may stand in the name of a journey or of a value.
func safeName(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'A' && c <= 'Z':
			b.WriteByte(c | 0x20)
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			b.WriteByte(c)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() >= 40 {
			break
		}
	}
	return strings.Trim(b.String(), "-")
}

// uniqueNames gives no name twice.
type uniqueNames map[string]bool

func (u uniqueNames) take(name string) string {
	if name == "" {
		name = "visit"
	}
	out := name
	for i := 2; u[out]; i++ {
		out = fmt.Sprintf("%s-%d", name, i)
	}
	u[out] = true
	return out
}

// guessObjectives promises what was recorded, rounded up: the 95th percentile of each
// route with at least 100 times, and its share of errors.
func (t *Traffic) guessObjectives(routes []*seenRoute, file string) {
	for _, r := range routes {
		if r.times.Count() < 100 {
			continue
		}
		name := r.name()
		p95 := roundUp(r.times.Quantile(0.95))
		errors := math.Max(1, math.Ceil(200*float64(r.errors)/float64(r.count)))
		t.promise(name, file, p95, errors, fmt.Sprintf("recorded p95 %s of %s requests, %.2g%% errors",
			r.times.Quantile(0.95).Round(time.Millisecond), grouped(r.times.Count()), 100*float64(r.errors)/float64(r.count)))
	}
}

// promise adds a guessed objective; errors are percent.
func (t *Traffic) promise(route, file string, p95 time.Duration, errors float64, why string) {
	pos := premortem.Pos{File: file, Line: 1}
	errors = min(errors, 100)
	t.Objectives = append(t.Objectives, premortem.Objective{Route: route, Pos: pos,
		P95:    premortem.Setting[float64]{Value: p95.Seconds(), Pos: pos},
		Errors: premortem.Setting[float64]{Value: errors / 100, Pos: pos}})
	if t.Why == nil {
		t.Why = map[string]string{}
	}
	t.Why[route] = why
}

// roundUp makes 183 ms 200 ms: the next of 1, 1.5, 2, 3, 5 and 7 times a power of ten, at
// least 50 ms, since below it a test machine's own noise decides.
func roundUp(d time.Duration) time.Duration {
	step := 10 * time.Millisecond
	for {
		for _, m := range []time.Duration{10, 15, 20, 30, 50, 70} {
			if v := m * step / 10; v >= d && v >= 50*time.Millisecond {
				return v
			}
		}
		step *= 10
	}
}

// grouped writes 12345 as 12,345.
func grouped(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
