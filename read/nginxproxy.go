package read

import (
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

var dollarBrace = regexp.MustCompile(`\$\{?[A-Za-z_][A-Za-z0-9_]*\}?`)

// nginxScope is a block with those around it, the innermost first.
type nginxScope struct {
	file   *proxyFile
	blocks [][]directive
	path   string // of the location
}

// get finds a statement in the innermost block that has it.
func (s nginxScope) get(name string) premortem.Setting[string] {
	for _, b := range s.blocks {
		for _, d := range slices.Backward(b) {
			if d.name == name && len(d.args) > 0 {
				return premortem.Setting[string]{Value: strings.Join(d.args, " "), Pos: s.file.on(d.line)}
			}
		}
	}
	return premortem.Setting[string]{}
}

// all finds a statement in the innermost block that has any of its name.
func (s nginxScope) all(name string) []directive {
	for _, b := range s.blocks {
		var out []directive
		for _, d := range b {
			if d.name == name {
				out = append(out, d)
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	return nil
}

func (f *proxyFile) on(line int) premortem.Pos {
	return premortem.Pos{File: f.path, Line: min(max(line, 1), max(len(f.lines), 1))}
}

// nginxSite is everything that one nginx reads: its own file and those beside it.
type nginxSite struct {
	owner     *workload
	version   premortem.Setting[string]
	upstreams map[string]nginxScope
	passes    []nginxScope // scopes with a proxy_pass
	listens   []premortem.Setting[int]
}

// proxies adds what configurations of nginx say to the deployments whose workloads
// run them.
func (g *merger) proxies() {
	for _, w := range g.d.workloads {
		files := g.proxyFiles(w)
		if len(files) == 0 {
			continue
		}
		site := &nginxSite{owner: w, upstreams: map[string]nginxScope{}, version: g.proxyVersion(w)}
		for _, f := range files {
			site.read(nginxScope{file: f, blocks: [][]directive{f.top}}, 0)
		}
		for _, p := range site.passes {
			g.pass(site, p)
		}
		g.nginxServers(site)
	}
}

// proxyFiles are the configurations that an image copies or that are mounted.
func (g *merger) proxyFiles(w *workload) []*proxyFile {
	var copies []copied
	context := w.context
	if df := g.dockerfiles[w.Dockerfile]; df != nil {
		if st := df.final(w.target); st != nil && g.isNginx(st.root().base) {
			copies = append(copies, st.copies...)
			for _, c := range st.globs {
				copies = append(copies, copied{from: path.Dir(c.from), to: c.to})
			}
		}
	}
	mounted := g.isNginx(w.Image.Value) || len(copies) > 0
	var out []*proxyFile
	for _, f := range g.d.proxies {
		in := slices.ContainsFunc(copies, func(c copied) bool {
			from := path.Join(context, c.from)
			_, under := below(from, f.path)
			return from == f.path || under && strings.Contains(c.to, "nginx") && from != "."
		})
		in = in || mounted && slices.ContainsFunc(w.mounts, func(c copied) bool {
			_, under := below(c.from, f.path)
			return under && strings.Contains(c.to, "nginx")
		})
		if in {
			out = append(out, f)
		}
	}
	return out
}

func (g *merger) isNginx(ref string) bool {
	name := path.Base(splitImage(ref).repository)
	return strings.Contains(name, "nginx") || strings.Contains(name, "openresty")
}

// proxyVersion is the version in the tag of the image that runs, silent without one.
func (g *merger) proxyVersion(w *workload) premortem.Setting[string] {
	ref, pos := w.Image.Value, w.Image.Pos
	if df := g.dockerfiles[w.Dockerfile]; df != nil {
		if st := df.final(w.target); st != nil {
			ref, pos = st.root().base, st.root().pos
		}
	}
	version, _, _ := strings.Cut(splitImage(ref).tag, "-")
	if version == "" || version[0] < '0' || version[0] > '9' {
		return premortem.Setting[string]{}
	}
	return premortem.Setting[string]{Value: version, Pos: pos}
}

// read walks the blocks and keeps upstreams, listens and places that hand on.
func (s *nginxSite) read(in nginxScope, depth int) {
	if depth > 40 {
		return
	}
	for _, d := range in.blocks[0] {
		inner := nginxScope{file: in.file, path: in.path, blocks: append([][]directive{d.block}, in.blocks...)}
		switch d.name {
		case "upstream":
			if len(d.args) == 1 {
				s.upstreams[d.args[0]] = inner
			}
			continue
		case "location":
			if len(d.args) > 0 {
				inner.path = d.args[len(d.args)-1]
			}
		case "proxy_pass", "grpc_pass", "uwsgi_pass":
			if d.name == "proxy_pass" && len(d.args) == 1 {
				s.passes = append(s.passes, in)
			}
		case "listen":
			if n := listenPort(d.args); n > 0 && !slices.Contains(d.args, "ssl") {
				s.listens = append(s.listens, premortem.Setting[int]{Value: n, Pos: in.file.on(d.line)})
			}
		}
		if d.block != nil {
			s.read(inner, depth+1)
		}
	}
}

// listenPort is the port of a listen statement: 80, *:80, [::]:80, 127.0.0.1:80.
func listenPort(args []string) int {
	if len(args) == 0 || strings.HasPrefix(args[0], "unix:") {
		return 0
	}
	addr := args[0]
	if _, port, err := net.SplitHostPort(addr); err == nil {
		addr = port
	}
	n, err := strconv.Atoi(addr)
	if err != nil || n > 65535 {
		return 0
	}
	return n
}

// pass adds the balancer of one proxy_pass whose target is known.
func (g *merger) pass(s *nginxSite, in nginxScope) {
	raw := in.get("proxy_pass")
	host, port, up := s.target(in, raw.Value)
	if host == "" {
		return
	}
	to := g.reachedAs(s.owner.Deployment, host)
	if to == nil {
		return
	}
	b := premortem.Balancer{
		Deployment: s.owner.Deployment, Kind: "nginx", Software: "nginx", Version: s.version, Pos: raw.Pos, Path: in.path, By: s.owner.Node,
		ReadTimeout: secondsOf(in.get("proxy_read_timeout")), ConnectTimeout: secondsOf(in.get("proxy_connect_timeout")),
		BodyLimit: sizeOf(in.get("client_max_body_size")), Retries: tries(in),
	}
	if up != nil {
		b.IdleTimeout, b.Reuse = secondsOf(up.own("keepalive_timeout")), reuse(*up, in)
	}
	if n, err := strconv.Atoi(port); err == nil {
		b.ToPort = premortem.Setting[int]{Value: n, Pos: raw.Pos}
		if g.kindOf(s.owner.Deployment) == "compose" {
			to.Hops = append(to.Hops, premortem.Hop{Kind: "proxy", Name: s.owner.name, Port: premortem.Setting[string]{Value: port, Pos: raw.Pos}, Target: b.ToPort})
		}
	}
	if !to.Exposed.Set() {
		to.Exposed = premortem.Setting[string]{Value: "nginx of " + s.owner.name, Pos: raw.Pos}
	}
	g.d.balancers = append(g.d.balancers, &balancer{Balancer: b, to: host})
}

// own is a statement of the block itself.
func (s nginxScope) own(name string) premortem.Setting[string] {
	return nginxScope{file: s.file, blocks: s.blocks[:1]}.get(name)
}

// target resolves the address behind a proxy_pass to a host and a port.
func (s *nginxSite) target(in nginxScope, raw string) (host, port string, up *nginxScope) {
	raw = s.expand(in, raw)
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok || strings.Contains(rest, "$") && strings.IndexByte(rest, '$') < strings.IndexAny(rest+"/", "/") {
		return "", "", nil
	}
	rest, _, _ = strings.Cut(rest, "/")
	name := rest
	if scope, found := s.upstreams[name]; found {
		up = &scope
		for _, d := range scope.blocks[0] {
			if d.name == "server" && len(d.args) > 0 {
				rest = s.expand(in, d.args[0])
				break
			}
		}
	}
	u, err := url.Parse(scheme + "://" + rest)
	if err != nil || strings.Contains(rest, "$") {
		return "", "", nil
	}
	if port = u.Port(); port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	return u.Hostname(), port, up
}

// expand fills variables that the file sets, or that the deployment gives the
// container.
func (s *nginxSite) expand(in nginxScope, text string) string {
	return dollarBrace.ReplaceAllStringFunc(text, func(m string) string {
		name := strings.Trim(m, "${}")
		for _, d := range in.all("set") {
			if len(d.args) == 2 && d.args[0] == "$"+name {
				return d.args[1]
			}
		}
		for _, set := range s.owner.Provides {
			if set.Name == name && set.Value != "" {
				return set.Value
			}
		}
		return m
	})
}

// tries is how often nginx asks another upstream after the first.
func tries(in nginxScope) premortem.Setting[int] {
	if s := in.get("proxy_next_upstream"); s.Value == "off" {
		return premortem.Setting[int]{Pos: s.Pos}
	}
	n := intOf(in.get("proxy_next_upstream_tries"))
	if n.Set() && n.Value > 0 {
		n.Value--
	}
	return n
}

// reuse reports whether connections to an upstream are kept: keepalive in its block,
// HTTP/1.1, and no Connection: close.
func reuse(up, in nginxScope) premortem.Setting[bool] {
	keep := up.own("keepalive")
	if !keep.Set() {
		return premortem.Setting[bool]{}
	}
	version := in.get("proxy_http_version")
	on := keep.Value != "0" && version.Value != "1.0" && version.Set()
	cleared := false
	for _, d := range in.all("proxy_set_header") {
		cleared = cleared || len(d.args) == 2 && strings.EqualFold(d.args[0], "connection") && !strings.EqualFold(d.args[1], "close")
	}
	return premortem.Setting[bool]{Value: on && cleared, Pos: keep.Pos}
}

// reachedAs is the workload of a deployment that answers under a name.
func (g *merger) reachedAs(deployment, host string) *workload {
	short, _, _ := strings.Cut(host, ".")
	for _, name := range []string{host, short} {
		for _, w := range g.d.workloads {
			if w.Deployment == deployment && w.kind == "" && (w.name == name || slices.Contains(w.hosts, name)) {
				return w
			}
		}
	}
	return nil
}

// nginxServers adds the ports on which an nginx listens.
func (g *merger) nginxServers(s *nginxSite) {
	for _, port := range s.listens {
		same := func(o *premortem.Server) bool { return o.Service == s.owner.Node && o.Port.Value == port.Value }
		if slices.ContainsFunc(g.d.servers, same) {
			continue
		}
		f := slices.IndexFunc(g.d.proxies, func(f *proxyFile) bool { return f.path == port.Pos.File })
		g.d.servers = append(g.d.servers, &premortem.Server{
			Service: s.owner.Node, Pos: port.Pos, Quote: Mask(port.Pos.File, g.d.proxies[f].lines[port.Pos.Line-1]), Software: "nginx", Version: s.version, Port: port})
	}
}
