package observe

import (
	"context"
	"slices"
	"strings"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/clone"
)

// Wire reads the tallies of the edges: each query and request, without touching the app.
var Wire = add(Probe{
	Name: "wire",
	Doc: premortem.Doc{
		Title:  "what passes through the edges",
		Why:    "Every dependency of the clone runs through a proxy of ours, so each query and request is seen, with its time, rows and errors.",
		When:   "Always.",
		Silent: "A connection that turns to TLS or to an unknown protocol is passed on unread.",
		Fix:    "Start at the query or request with the largest share of the time. For statements to be seen, connect to the clone's database without TLS.",
	},
	Watch: func(_ context.Context, c *clone.Clone) (Eye, error) { return wireEye{c}, nil },
})

type wireEye struct{ c *clone.Clone }

func (e wireEye) Take(_ context.Context, p *premortem.Phase) ([]string, error) {
	for _, edge := range e.c.Edges() {
		p.Calls = append(p.Calls, edge.Tally.Take()...)
	}
	slices.SortStableFunc(p.Calls, func(a, b premortem.CallStats) int {
		if d := int64(b.Time.Sum()) - int64(a.Time.Sum()); d != 0 {
			return int(max(min(d, 1), -1))
		}
		return strings.Compare(a.Op, b.Op)
	})
	return nil, nil
}

func (wireEye) Close() error { return nil }
