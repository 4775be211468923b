package read

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// nameStores gives the stores of all deployments their nodes. Where each deployment
// has at most one of a kind, all of them are one store, "store/postgres"; else each
// keeps its own name.
func (g *merger) nameStores() {
	count := map[string]map[string]int{} // kind → deployment → stores
	add := func(kind, deployment string) {
		if count[kind] == nil {
			count[kind] = map[string]int{}
		}
		count[kind][deployment]++
	}
	for _, w := range g.d.workloads {
		if w.kind != "" {
			add(w.kind, w.Deployment)
		}
	}
	for _, s := range g.d.stores {
		add(s.Kind, s.Deployment)
	}
	oneMySQL := count["mysql"] != nil && count["mariadb"] != nil
	for deployment, n := range count["mariadb"] {
		oneMySQL = oneMySQL && n+count["mysql"][deployment] == 1
	}
	node := func(kind, name string) premortem.Node {
		if oneMySQL && kind == "mariadb" {
			kind = "mysql" // the same database in another deployment: MariaDB stands in for MySQL
		}
		for _, n := range count[kind] {
			if n > 1 {
				return premortem.Node("store/" + name)
			}
		}
		return premortem.Node("store/" + kind)
	}
	for _, w := range g.d.workloads {
		if w.kind == "" {
			continue
		}
		g.stores[w] = node(w.kind, w.name)
		g.addStore(storeOf(w, g.stores[w]))
	}
	for _, s := range g.d.stores {
		s.Node = node(s.Kind, s.Node.Name())
		g.addStore(s)
	}
}

func (g *merger) addStore(s *premortem.Store) {
	g.sys.Stores = append(g.sys.Stores, s)
	g.storeOf[s.Node] = s.Kind
	if s.Node == "store/mysql" {
		g.storeOf[s.Node] = "mysql"
	}
}

// storeOf describes a store that runs in a container.
func storeOf(w *workload, node premortem.Node) *premortem.Store {
	s := &premortem.Store{Deployment: w.Deployment, Node: node, Kind: w.kind, Pos: w.Pos, Memory: w.Memory, Image: w.Image}
	if tag := splitImage(w.Image.Value).tag; tag != "" {
		version, _, _ := strings.Cut(tag, "-")
		if version != "latest" && version != "" && version[0] >= '0' && version[0] <= '9' {
			s.Version = premortem.Setting[string]{Value: version, Pos: w.Image.Pos}
		}
	}
	s.Hosts = slices.Clone(w.hosts)
	if len(w.Ports) > 0 {
		s.Port = w.Ports[0]
	}
	for _, args := range []premortem.Setting[[]string]{w.entrypoint, w.command} {
		serverArgs(s, args)
	}
	return s
}

// serverArgs reads settings from a server's command line: -c name=value, --name=value
// and --name value.
func serverArgs(s *premortem.Store, args premortem.Setting[[]string]) {
	words := args.Value
	if len(words) == 1 {
		words = strings.Fields(words[0])
	}
	words = simplify(words)
	for i := 0; i < len(words); i++ {
		name, value, ok := words[i], "", false
		switch {
		case name == "-c" && i+1 < len(words):
			name, value, ok = strings.Cut(words[i+1], "=")
			i++
		case strings.HasPrefix(name, "-c") && strings.Contains(name, "="):
			name, value, ok = strings.Cut(name[2:], "=")
		case strings.HasPrefix(name, "--"):
			name, value, ok = strings.Cut(name[2:], "=")
			if !ok && i+1 < len(words) && !strings.HasPrefix(words[i+1], "--") {
				value, ok = words[i+1], true
				i++
			}
		}
		name = strings.ReplaceAll(strings.TrimSpace(name), "-", "_")
		if ok && !secretive.MatchString(name) && name != "requirepass" && name != "masterauth" {
			addParam(s, name, premortem.Setting[string]{Value: value, Pos: args.Pos})
		}
	}
}

// dependencies finds who calls whom: from the clients that code makes, from the
// addresses that deployments provide, and from what is started after what.
func (g *merger) dependencies() {
	found := map[[2]premortem.Node]*premortem.Dependency{}
	add := func(d premortem.Dependency) {
		key := [2]premortem.Node{d.From, d.To}
		old := found[key]
		if old == nil {
			found[key] = &d
			return
		}
		if !old.Env.Set() {
			old.Env = d.Env
		}
		if old.Pool.Set() && d.Pool.Set() && old.Pos != d.Pos {
			old.Pool.Value += d.Pool.Value // two pools of one process
		} else if !old.Pool.Set() {
			old.Pool, old.PoolEnv = d.Pool, cmp.Or(old.PoolEnv, d.PoolEnv)
		}
		if !old.Timeout.Set() {
			old.Timeout = d.Timeout
		}
		if !old.Retries.Set() {
			old.Retries = d.Retries
		}
	}
	for _, c := range g.ownedClients() {
		if to := g.target(c); to != "" {
			add(premortem.Dependency{From: c.service, To: to, Env: c.env, Pool: c.pool, PoolEnv: c.poolEnv, Timeout: c.timeout, Retries: c.retries, Pos: c.at})
		}
	}
	for _, svc := range g.sys.Services {
		for _, s := range svc.Provides {
			if to := g.addressed(svc, s); to != "" && to != svc.Node {
				set := premortem.Setting[string]{Value: s.Name, Pos: s.Pos}
				if found[[2]premortem.Node{svc.Node, to}] == nil || !found[[2]premortem.Node{svc.Node, to}].Env.Set() {
					add(premortem.Dependency{From: svc.Node, To: to, Env: set, Pos: s.Pos})
				}
			}
		}
	}
	for _, w := range g.d.workloads {
		for _, n := range w.needs {
			if to := g.nodeOf(w.Deployment, n.name); to != "" && w.kind == "" && found[[2]premortem.Node{w.Node, to}] == nil {
				add(premortem.Dependency{From: w.Node, To: to, Pos: n.pos})
			}
		}
	}
	for _, d := range found {
		g.sys.Dependencies = append(g.sys.Dependencies, d)
	}
}

// ownedClient is a client and the service whose code makes it.
type ownedClient struct {
	client
	service premortem.Node
}

func (g *merger) ownedClients() []ownedClient {
	var out []ownedClient
	for _, p := range g.project.paths {
		m := g.project.modules[p]
		if m.test {
			continue
		}
		all := append(m.clients(), m.parties()...)
		for _, c := range all {
			for _, owner := range g.running(p) {
				out = append(out, ownedClient{c, owner})
				if c.party != "" {
					g.party(c, m)
				}
			}
		}
	}
	return append(out, g.programClients()...)
}

// party adds a use of a third party.
func (g *merger) party(c client, m *module) {
	node := premortem.Node("thirdparty/" + c.party)
	use := premortem.Setting[string]{Value: m.quoteLine(c.at.Line), Pos: c.at}
	for _, t := range g.sys.ThirdParties {
		if t.Node == node {
			if !slices.ContainsFunc(t.Uses, func(u premortem.Setting[string]) bool { return u.Pos == use.Pos }) {
				t.Uses = append(t.Uses, use)
			}
			return
		}
	}
	t := &premortem.ThirdParty{Node: node, Uses: []premortem.Setting[string]{use}}
	for _, sdk := range partyPackages {
		if sdk.name == c.party {
			t.Hosts = sdk.hosts
		}
	}
	g.sys.ThirdParties = append(g.sys.ThirdParties, t)
}

// target is the node that a client talks to: by the address that its variable has
// somewhere, else the store of its kind, which is added when nothing describes it.
func (g *merger) target(c ownedClient) premortem.Node {
	if c.party != "" {
		return premortem.Node("thirdparty/" + c.party)
	}
	kind := c.kind
	var at premortem.Pos
	deployment, host := g.sys.Production, ""
	for _, svc := range g.sys.Services {
		if svc.Node != c.service {
			continue
		}
		for _, s := range svc.Provides {
			if s.Name != c.env.Value || s.Value == "" {
				continue
			}
			if node := g.addressed(svc, s); node.Kind() == "store" && (kind == "sql" || g.storeOf[node] == kind) {
				return node
			}
			if u, err := url.Parse(s.Value); err == nil {
				if kind == "sql" && storeSchemes[u.Scheme] != "" {
					kind = storeSchemes[u.Scheme]
				}
				if svc.Deployment == g.sys.Production || at.File == "" {
					at, host, deployment = s.Pos, u.Hostname(), svc.Deployment
				}
			}
		}
	}
	if kind == "sql" {
		kind = "postgres"
	}
	var same []premortem.Node
	for _, n := range sortedKeys(g.storeOf) {
		if g.storeOf[n] == kind {
			same = append(same, n)
		}
	}
	switch {
	case len(same) == 1:
		return same[0]
	case len(same) > 1:
		for _, n := range same {
			if strings.Contains(strings.ToLower(c.env.Value), strings.ToLower(n.Name())) {
				return n
			}
		}
		return same[0]
	}
	s := &premortem.Store{Deployment: deployment, Node: premortem.Node("store/" + kind), Kind: kind, Pos: at}
	if !at.Known() {
		s.Pos = c.at
	}
	if host != "" {
		s.Hosts = []string{host}
	}
	g.addStore(s)
	return s.Node
}

// addressed returns the node at the address that a variable holds, "" for none of
// this system.
func (g *merger) addressed(svc *premortem.Service, s premortem.EnvSet) premortem.Node {
	host, kind := s.Value, ""
	if u, err := url.Parse(s.Value); err == nil && u.Host != "" {
		host, kind = u.Hostname(), storeSchemes[u.Scheme]
	} else if !plainName.MatchString(s.Name) {
		return ""
	}
	host, _, _ = strings.Cut(host, ":")
	if host == "" {
		return ""
	}
	for _, st := range g.sys.Stores {
		if st.Deployment == svc.Deployment && slices.Contains(st.Hosts, host) {
			return st.Node
		}
	}
	for _, w := range g.d.workloads {
		if w.Deployment == svc.Deployment && w.kind == "" && slices.Contains(w.hosts, host) {
			return w.Node
		}
	}
	if kind == "" {
		return ""
	}
	var same []premortem.Node
	for _, n := range sortedKeys(g.storeOf) {
		if g.storeOf[n] == kind {
			same = append(same, n)
		}
	}
	if len(same) == 1 {
		return same[0]
	}
	return ""
}

// addBalancers ties balancers to the services behind them. One whose target no file
// names stands before the only service that answers, if there is only one.
func (g *merger) addBalancers() {
	var only premortem.Node
	for _, svc := range g.sys.Services {
		if svc.Deployment == g.sys.Production && !svc.Static && len(svc.Ports) > 0 {
			if only != "" && only != svc.Node {
				only = ""
				break
			}
			only = svc.Node
		}
	}
	for _, b := range g.d.balancers {
		out := b.Balancer
		for _, w := range g.d.workloads {
			if b.to != "" && w.Deployment == b.Deployment && (slices.Contains(w.hosts, b.to) || w.name == b.to) {
				out.To = w.Node
			}
		}
		if b.to == "" {
			out.To = only
		} else if out.To == "" {
			g.besideManifests(&out, b.to)
		}
		g.sys.Balancers = append(g.sys.Balancers, &out)
	}
	for range 4 { // a proxy behind a proxy behind a load balancer
		for _, b := range g.sys.Balancers {
			for _, f := range g.sys.Balancers {
				if b.By != "" && f.To == b.By && f.By != b.By && (f.Deployment == b.Deployment || g.sys.IsProduction(f.Deployment) && g.sys.IsProduction(b.Deployment)) {
					b.Front = max(b.Front, min(f.Front+1, 4))
				}
			}
		}
	}
}
