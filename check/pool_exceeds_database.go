package check

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

// PoolExceedsDatabase multiplies what each process may open by how many there are.
var PoolExceedsDatabase = add(Rule{
	ID:       "pool-exceeds-database",
	Severity: premortem.Down,
	Certain:  true,
	Doc: premortem.Doc{
		Title: "all processes together may open more connections than the database accepts",
		Why: `At peak, or in the middle of a deploy when old and new processes overlap, the
database answers "remaining connection slots are reserved" and requests fail.`,
		When: `The sum over all services of production of pool size × worker processes × the most
replicas (of the autoscaler, else as written) × (1 + surge of a deploy) is more than the
database's max_connections less the reserved ones; behind PgBouncer, more than
max_client_conn.`,
		Silent: `A factor is not known (then it is a question, and the known part of the sum is
compared); a pooler stands in between and takes as many clients; the sum fits.`,
		Fix: `Make the pool small enough for the largest number of processes, put a pooler in
front of the database, or raise max_connections and pay its memory.`,
	},
	Run: poolExceedsDatabase,
	Ask: askPool,
})

func poolExceedsDatabase(sys *premortem.System, report func(premortem.Finding)) {
	for _, d := range demands(sys) {
		if d.limit.known && d.total() > d.limit.free() {
			report(d.finding(sys))
		}
	}
}

func askPool(sys *premortem.System, ask func(string)) {
	for _, d := range demands(sys) {
		switch {
		case len(d.unknown) > 0 && (!d.limit.known || d.total() <= d.limit.free()):
			ask(fmt.Sprintf("how many connections does %s get? %s is not known", d.store, list(d.unknown)))
		case !d.limit.known:
			ask(fmt.Sprintf("how many connections does %s accept? production may ask for %s, and nothing sets max_connections", d.store, count(d.total())))
		}
	}
}

// demand is everything that production may ask of one database.
type demand struct {
	store   premortem.Node
	limit   limit
	pooler  *premortem.Service // what stands in between, nil for nothing
	parts   []part
	unknown []string // factors that nobody wrote down
}

// demands returns one demand for each PostgreSQL that services of production use
// without a pooler in between.
func demands(sys *premortem.System) []*demand {
	var out []*demand
	pooler := poolerOf(sys)
	seen := map[premortem.Node]bool{}
	for _, st := range sys.Stores {
		if st.Kind != "postgres" || seen[st.Node] {
			continue
		}
		seen[st.Node] = true
		d := &demand{store: st.Node, limit: limitOf(sys, st.Node), pooler: pooler}
		if pooler != nil {
			d.limit = clientsOf(sys, pooler)
		}
		for _, dep := range sys.Into(st.Node) {
			if svc := inProduction(sys, dep.From); svc != nil {
				d.add(sys, dep, svc)
			}
		}
		if len(d.parts)+len(d.unknown) > 0 {
			out = append(out, d)
		}
	}
	return out
}

// poolerOf returns the connection pooler that production runs, nil if none.
func poolerOf(sys *premortem.System) *premortem.Service {
	for _, svc := range production(sys) {
		for _, name := range []string{"pgbouncer", "pgcat", "odyssey", "pgpool", "supavisor"} {
			if strings.Contains(string(svc.Node)+" "+svc.Image.Value, name) {
				return svc
			}
		}
	}
	return nil
}

// clientsOf is how many connections a pooler takes from its clients: what its
// configuration or its environment says, else PgBouncer's default. It reserves none.
// Others than PgBouncer are not known.
func clientsOf(sys *premortem.System, pooler *premortem.Service) limit {
	if !strings.Contains(string(pooler.Node)+" "+pooler.Image.Value, "pgbouncer") {
		return limit{}
	}
	replicas, blind := max(1, pooler.Replicas.Value), false
	for _, p := range sys.Poolers {
		if p.Deployment != pooler.Deployment || p.Software != "pgbouncer" {
			continue
		}
		blind = !p.Mode.Set() && !p.PoolSize.Set() && !p.MaxServer.Set() // its file is somewhere else
		if p.MaxClients.Set() {
			return limit{max: p.MaxClients.Value * replicas, known: true, evidence: []premortem.Evidence{{
				Says: fmt.Sprintf("PgBouncer takes %s clients, in %s", count(p.MaxClients.Value), many(replicas, "process")), Pos: p.MaxClients.Pos}}}
		}
	}
	for i := range pooler.Provides {
		set := &pooler.Provides[i]
		if name := strings.TrimPrefix(set.Name, "PGBOUNCER_"); name != "MAX_CLIENT_CONN" {
			continue
		}
		n, ok := plainNumber(set)
		return limit{max: n * replicas, known: ok, evidence: []premortem.Evidence{{
			Says: fmt.Sprintf("PgBouncer takes %s clients, in %s", count(n), many(replicas, "process")), Pos: set.Pos}}}
	}
	k, ok := Default("pgbouncer", "", "max_client_conn")
	n, isNumber := k.Number()
	if !ok || !isNumber || blind || len(pooler.Opaque) > 0 {
		return limit{}
	}
	return limit{max: int(n) * replicas, known: true, evidence: []premortem.Evidence{{
		Says: fmt.Sprintf("PgBouncer takes %.0f clients, as nobody sets max_client_conn (%s)", n, k.cite()), Pos: pooler.Pos}}}
}

// part is what one service may open.
type part struct {
	dep  *premortem.Dependency
	svc  *premortem.Service
	pool premortem.Setting[int]
	set  *premortem.EnvSet // production's value of the pool, nil when the code's counts
	pods pods
	// workers are the processes of one container, silent for one.
	workers premortem.Setting[int]
}

func (p part) total() int { return p.pool.Value * p.processes() }

// processes is how many processes of the service may run at once.
func (p part) processes() int { return max(1, p.workers.Value) * p.pods.most() }

func (d *demand) total() int {
	sum := 0
	for _, p := range d.parts {
		sum += p.total()
	}
	return sum
}

func (d *demand) add(sys *premortem.System, dep *premortem.Dependency, svc *premortem.Service) {
	p := part{dep: dep, svc: svc, pool: dep.Pool, pods: podsOf(kindOf(sys, svc.Deployment), svc)}
	if dep.PoolEnv != "" {
		provision, set := sys.Provision(sys.Production, svc.Node, dep.PoolEnv)
		switch n, ok := plainNumber(set); {
		case ok:
			p.set, p.pool = set, premortem.Setting[int]{Value: n, Pos: set.Pos}
		case provision == premortem.Provided || provision == premortem.ProvisionUnknown:
			p.pool = premortem.Setting[int]{}
		}
	}
	for _, srv := range serversOf(sys, svc.Node) {
		if srv.Workers.Set() {
			p.workers = srv.Workers
		}
	}
	if p.workers.Set() && p.workers.Value == 0 {
		d.unknown = append(d.unknown, "the number of worker processes of "+string(svc.Node)+", one for each core of the host")
		return
	}
	if !p.pool.Set() {
		what := "the pool size of " + string(svc.Node)
		if dep.PoolEnv != "" {
			what += " (" + dep.PoolEnv + ")"
		}
		if p.pods.known {
			what += fmt.Sprintf(" in pool ? × %s", p.pods)
		}
		d.unknown = append(d.unknown, what)
		return
	}
	if !p.pods.known {
		d.unknown = append(d.unknown, "the number of replicas of "+string(svc.Node))
		return
	}
	d.parts = append(d.parts, p)
}

func plainNumber(set *premortem.EnvSet) (int, bool) {
	if set == nil || !set.Plain {
		return 0, false
	}
	n, err := strconv.Atoi(strings.TrimSpace(set.Value))
	return n, err == nil && n > 0
}

func (d *demand) finding(sys *premortem.System) premortem.Finding {
	var sums []string
	var evidence []premortem.Evidence
	node := d.parts[0].svc.Node
	for _, p := range d.parts {
		s := fmt.Sprintf("pool %d × %s", p.pool.Value, p.pods)
		if p.workers.Value > 1 {
			s = fmt.Sprintf("pool %d × workers %d × %s", p.pool.Value, p.workers.Value, p.pods)
		}
		if len(d.parts) > 1 {
			s = p.svc.Node.Name() + ": " + s
			node = d.store
		}
		sums = append(sums, s)
		evidence = append(evidence, premortem.Evidence{
			Says: fmt.Sprintf("pool %d: connections that each process of %s may open", p.pool.Value, p.svc.Node), Pos: p.pool.Pos})
		if p.workers.Value > 1 {
			evidence = append(evidence, premortem.Evidence{
				Says: fmt.Sprintf("%d processes in each container, with a pool each", p.workers.Value), Pos: p.workers.Pos})
		}
		evidence = append(evidence, p.pods.evidence...)
	}
	// The sum stands at the limit: a line carries one piece of evidence.
	for _, e := range d.limit.evidence {
		e.Says += fmt.Sprintf("; %s = %s > %s, with twice the replicas %s", strings.Join(sums, " + "), count(d.total()), d.limit, count(2*d.total()))
		evidence = append(evidence, e)
	}
	for _, u := range d.unknown {
		evidence = append(evidence, premortem.Evidence{Says: "not counted, as nobody wrote it down: " + u, Pos: d.parts[0].dep.Pos})
	}
	return premortem.Finding{
		Node:     node,
		Subject:  string(d.store),
		Says:     fmt.Sprintf("%s may get %s connections and accepts %s: %s = %s > %s", d.store, count(d.total()), count(d.limit.free()), strings.Join(sums, " + "), count(d.total()), d.limit),
		Evidence: evidence,
		Fix:      d.fix(sys),
	}
}

// fix shrinks the pool of the service that asks for most to the largest that fits.
func (d *demand) fix(sys *premortem.System) premortem.Fix {
	big := d.parts[0]
	for _, p := range d.parts[1:] {
		if p.total() > big.total() {
			big = p
		}
	}
	fits := (d.limit.free() - (d.total() - big.total())) / big.processes()
	if fits < 1 {
		return premortem.Fix{Says: fmt.Sprintf(
			"put a pooler such as PgBouncer in front of %s: not even a pool of 1 fits %d processes; or raise max_connections above %s",
			d.store, big.processes(), count(d.total()+d.limit.reserved))}
	}
	fix := premortem.Fix{Says: fmt.Sprintf("set the pool of %s to %d at most (%d × %d = %d), put a pooler in front of %s, or raise max_connections to %s",
		big.svc.Node, fits, fits, big.processes(), fits*big.processes(), d.store, count(d.total()+d.limit.reserved))}
	name := big.dep.PoolEnv
	if name == "" {
		return fix
	}
	fix.Says = fmt.Sprintf("set %s=%d, the largest pool that fits (%d × %d = %d), put a pooler in front of %s, or raise max_connections to %s",
		name, fits, fits, big.processes(), fits*big.processes(), d.store, count(d.total()+d.limit.reserved))
	fix.Try = &premortem.Try{Env: map[string]string{name: strconv.Itoa(fits)}, Node: big.svc.Node}
	if big.set != nil {
		fix.Edits = []premortem.Edit{{Pos: big.set.Pos, Old: big.set.Value, New: strconv.Itoa(fits)}}
	} else if to := home(sys, big.svc, false); to != nil {
		if edit, ok := to.insertion(name, strconv.Itoa(fits)); ok {
			fix.Edits = []premortem.Edit{edit}
		}
	}
	return fix
}
