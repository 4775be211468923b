package read

import (
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// PgBouncer reads the configuration of a connection pooler.
var PgBouncer = add(Reader{
	Name: "pgbouncer",
	Doc: premortem.Doc{
		Title:  "PgBouncer",
		Why:    "Behind a pooler the database sees the pooler's pools, and the services see its limit of clients.",
		When:   "pgbouncer.ini that an image copies or a Compose file mounts, containers of a PgBouncer image with their environment, and the Pooler of CloudNativePG: mode, pool sizes and limits.",
		Silent: "A file that nothing runs, users and passwords.",
		Fix:    "Write default_pool_size and max_client_conn down.",
	},
	Wants: func(p string) bool { return path.Ext(p) == ".ini" && strings.Contains(path.Base(p), "pgbouncer") },
	Read: func(f File, d *Draft) error {
		d.poolFiles = append(d.poolFiles, parseINI(f))
		return nil
	},
})

// iniFile is an INI file: its keys by section, with their lines.
type iniFile struct {
	path string
	keys map[string]premortem.Setting[string] // "pgbouncer.pool_mode"
}

func parseINI(f File) *iniFile {
	out := &iniFile{path: f.Path, keys: map[string]premortem.Setting[string]{}}
	section := ""
	for i, l := range strings.Split(string(f.Data), "\n") {
		l = strings.TrimSpace(l)
		switch {
		case l == "" || l[0] == ';' || l[0] == '#' || l[0] == '%':
		case l[0] == '[' && strings.HasSuffix(l, "]"):
			section = strings.ToLower(strings.TrimSpace(l[1 : len(l)-1]))
		default:
			if key, value, ok := strings.Cut(l, "="); ok {
				key, value = strings.TrimSpace(key), strings.TrimSpace(value)
				out.keys[section+"."+key] = premortem.At(value, f.Path, i+1)
			}
		}
	}
	return out
}

// isPooler reports an image that runs PgBouncer.
func isPooler(ref string) bool {
	return strings.Contains(path.Base(splitImage(ref).repository), "pgbouncer")
}

// poolers finds what stands between services and their database.
func (g *merger) poolers() {
	for _, w := range g.d.workloads {
		base := w.Image.Value
		if df := g.dockerfiles[w.Dockerfile]; df != nil {
			if st := df.final(w.target); st != nil {
				base = st.root().base
			}
		}
		if !isPooler(base) && !isPooler(w.Image.Value) {
			continue
		}
		p := &premortem.Pooler{Deployment: w.Deployment, Name: w.name, Software: "pgbouncer", Pos: w.Pos, Replicas: w.Replicas, Hosts: slices.Clone(w.hosts)}
		host := g.poolerSettings(p, w)
		p.To = g.databaseAt(w.Deployment, host)
		g.sys.Poolers = append(g.sys.Poolers, p)
	}
	for _, p := range g.d.poolers {
		p.To = g.databaseAt(p.Deployment, "")
		g.sys.Poolers = append(g.sys.Poolers, p)
	}
	for _, p := range g.sys.Poolers {
		p.Users = g.through(p)
	}
}

// poolerSettings reads a pooler's file, then what its image takes from the
// environment, which wins. It returns the host of the database behind it.
func (g *merger) poolerSettings(p *premortem.Pooler, w *workload) (host string) {
	set := func(name string, value premortem.Setting[string]) {
		if !value.Set() || value.Value == "" {
			return
		}
		switch name {
		case "pool_mode":
			p.Mode = value
		case "default_pool_size":
			p.PoolSize = intOf(value)
		case "reserve_pool_size":
			p.Reserve = intOf(value)
		case "max_db_connections":
			p.MaxServer = intOf(value)
		case "max_client_conn":
			p.MaxClients = intOf(value)
		}
	}
	for _, f := range g.poolerFiles(w) {
		for _, key := range sortedKeys(f.keys) {
			section, name, _ := strings.Cut(key, ".")
			if section == "databases" {
				for word := range strings.FieldsSeq(f.keys[key].Value) {
					if h, ok := strings.CutPrefix(word, "host="); ok && host == "" {
						host = h
					}
					if n, ok := strings.CutPrefix(word, "pool_size="); ok {
						set("default_pool_size", premortem.Setting[string]{Value: n, Pos: f.keys[key].Pos})
					}
				}
				continue
			}
			set(name, f.keys[key])
		}
	}
	for _, s := range w.Provides {
		value := premortem.Setting[string]{Value: s.Value, Pos: s.Pos}
		name := strings.ToLower(strings.TrimPrefix(s.Name, "PGBOUNCER_"))
		set(name, value)
		switch name {
		case "db_host", "postgresql_host":
			host = s.Value
		case "database_url":
			if u, err := url.Parse(s.Value); err == nil {
				host = u.Hostname()
			}
		}
	}
	return host
}

// poolerFiles are the files that an image copies or a deployment mounts; the only
// one of the tree when neither says.
func (g *merger) poolerFiles(w *workload) []*iniFile {
	var copies []copied
	if df := g.dockerfiles[w.Dockerfile]; df != nil {
		if st := df.final(w.target); st != nil {
			for _, c := range st.copies {
				copies = append(copies, copied{from: path.Join(w.context, c.from)})
			}
		}
	}
	copies = append(copies, w.mounts...)
	var out []*iniFile
	for _, f := range g.d.poolFiles {
		if slices.ContainsFunc(copies, func(c copied) bool { _, under := below(c.from, f.path); return under }) {
			out = append(out, f)
		}
	}
	if len(out) == 0 && len(g.d.poolFiles) == 1 {
		return g.d.poolFiles
	}
	return out
}

// databaseAt is the PostgreSQL that a host names, else the only one.
func (g *merger) databaseAt(deployment, host string) premortem.Node {
	var only premortem.Node
	for _, s := range g.sys.Stores {
		if s.Kind != "postgres" {
			continue
		}
		if s.Deployment == deployment && slices.Contains(s.Hosts, host) {
			return s.Node
		}
		if only != "" && only != s.Node {
			return ""
		}
		only = s.Node
	}
	return only
}

// through are the services of a pooler's deployment that hold its address.
func (g *merger) through(p *premortem.Pooler) []premortem.Node {
	var out []premortem.Node
	for _, svc := range g.sys.Services {
		if svc.Deployment != p.Deployment {
			continue
		}
		for _, s := range svc.Provides {
			u, err := url.Parse(s.Value)
			host := s.Value
			if err == nil && u.Host != "" {
				host = u.Hostname()
			}
			if host != "" && slices.Contains(p.Hosts, host) && !slices.Contains(out, svc.Node) && svc.Node.Name() != p.Name {
				out = append(out, svc.Node)
			}
		}
	}
	slices.Sort(out)
	return out
}

// cloudNativePooler reads the Pooler of the CloudNativePG operator.
func (c *cluster) cloudNativePooler(o *object) {
	p := &premortem.Pooler{Deployment: c.deployment, Name: o.name(), Software: "pgbouncer", Pos: o.pos(), Hosts: serviceHosts(o.name(), text(o.get("metadata", "namespace")))}
	p.Mode = o.word("spec", "pgbouncer", "poolMode")
	get := func(name string) premortem.Setting[int] {
		return intOf(o.word("spec", "pgbouncer", "parameters", name))
	}
	p.PoolSize, p.MaxClients, p.Reserve, p.MaxServer = get("default_pool_size"), get("max_client_conn"), get("reserve_pool_size"), get("max_db_connections")
	p.Replicas = intOf(o.word("spec", "instances"))
	c.d.poolers = append(c.d.poolers, p)
}
