package check

import "github.com/premortem/premortem"

// Connections is what production may ask of one PostgreSQL, or of the pooler before it.
type Connections struct {
	Store    premortem.Node
	Asked    int // pool × worker processes × the most replicas × surge, over all services
	Accepts  int // without those kept for superusers
	Evidence []premortem.Evidence
}

// ConnectionsOf adds up what services may ask of each PostgreSQL where every factor and
// the database's limit are known; the others are questions of PoolExceedsDatabase.
func ConnectionsOf(sys *premortem.System) []Connections {
	var out []Connections
	for _, d := range demands(sys) {
		if len(d.unknown) == 0 && d.limit.known && d.total() > 0 {
			out = append(out, Connections{Store: d.store, Asked: d.total(), Accepts: d.limit.free(), Evidence: d.finding(sys).Evidence})
		}
	}
	return out
}
