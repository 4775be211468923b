package drive

import (
	"context"
	"fmt"
	"strings"

	"github.com/premortem/premortem"
)

// WireRecord reads what a rehearsal saw on its wires.
var WireRecord = addImporter(Importer{
	Name: "trial",
	Doc: premortem.Doc{
		Title:  "A saved trial of a rehearsal",
		Why:    "It is the mix of requests that a rehearsal counted on its edges, with each route's times.",
		When:   "A JSON file of .premortem/runs/ID/trials. Its normal load is taken: the phase before, else the first that has requests.",
		Silent: "Bodies and single values are not in a trial: a write becomes a comment that waits for its body. What services ask of each other is left out where requests from outside were seen.",
		Fix:    "premortem init --from .premortem/runs/ID/trials/NAME.json",
	},
	Wants: func(_ string, head []byte) bool { return hasKeys(head, "experiment", "seed", "phases") },
	Read:  readTrials,
})

func readTrials(ctx context.Context, in []Source) (Traffic, error) {
	var t Traffic
	var tree routeTree
	rate := 0.0
	for _, s := range in {
		p, err := readPhase(ctx, s)
		if err != nil {
			return Traffic{}, err
		}
		n := tree.count(p)
		if n == 0 {
			t.note(premortem.Pos{File: s.Path}, "no phase of it has requests to a service")
			continue
		}
		if p.Took > 0 {
			rate = max(rate, float64(n)/p.Took)
			t.BaseWhy = fmt.Sprintf("recorded in phase %s of a trial: %s requests in %.3g s", p.Name, grouped(n), p.Took)
		}
	}
	var routes []*seenRoute
	for _, r := range tree.routes {
		if r.into == nil && r.count > 0 {
			routes = append(routes, r)
		}
	}
	t.compose(routes, nil, 0)
	t.guessObjectives(routes, in[0].Path)
	if rate > 0 {
		t.Base.Calls = premortem.Setting[float64]{Value: max(threeDigits(rate), 0.01), Pos: premortem.Pos{File: in[0].Path, Line: 1}}
	}
	if len(t.Unfinished) > 0 {
		t.note(premortem.Pos{File: in[0].Path}, "a trial holds no bodies: %d routes that write are comments until their json: is added", len(t.Unfinished))
	}
	return t, nil
}

// readPhase streams a trial and keeps one phase of it.
func readPhase(ctx context.Context, s Source) (premortem.Phase, error) {
	j := newJSONStream(s, "trial")
	var best premortem.Phase
	err := j.object(func(key string) error {
		if key != "phases" {
			return j.skip()
		}
		return j.array(ctx, func() error {
			var p premortem.Phase
			if err := j.dec.Decode(&p); err != nil {
				return err
			}
			if best.Name == "" || p.Name == "before" || best.Name != "before" && asked(&best) == 0 {
				best = p
			}
			return nil
		})
	})
	if err != nil {
		if ctx.Err() != nil {
			return best, err
		}
		return best, j.fail(err, "the trial was not written to its end; take another one")
	}
	return best, nil
}

// asked is how many requests a phase counted.
func asked(p *premortem.Phase) uint64 {
	var n uint64
	for i := range p.Routes {
		n += p.Routes[i].Count
	}
	for i := range p.Calls {
		if p.Calls[i].Proto == "http" && p.Calls[i].To.Kind() == "service" {
			n += p.Calls[i].Count
		}
	}
	return n
}

// count adds a phase: what came from outside over an edge, else what the load was
// answered, else what services ask of each other. It returns the number of requests.
func (t *routeTree) count(p premortem.Phase) uint64 {
	var n uint64
	add := func(name string, count, errors uint64, times *premortem.Histogram) {
		method, path, _ := strings.Cut(name, " ")
		if !importable(method) || method == "OPTIONS" || !strings.HasPrefix(path, "/") {
			return
		}
		r := t.place(method, path)
		if r == nil {
			return
		}
		r.count += count
		r.errors += errors
		r.times.Merge(times)
		n += count
	}
	edges := func(inside bool) {
		for i := range p.Calls {
			c := &p.Calls[i]
			if c.Proto == "http" && c.To.Kind() == "service" && (c.From.Kind() == "service") == inside {
				var failed uint64
				for kind, k := range c.Kinds {
					if strings.HasPrefix(kind, "5") || kind == "reset" {
						failed += k
					}
				}
				add(c.Op, c.Count, failed, &c.Time)
			}
		}
	}
	edges(false)
	if n == 0 {
		for i := range p.Routes {
			r := &p.Routes[i]
			add(r.Route, r.Count, r.Errors, &r.Response)
		}
	}
	if n == 0 {
		edges(true)
	}
	return n
}
