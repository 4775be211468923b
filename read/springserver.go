package read

import (
	"path"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// springServer reads what an application file says about Spring's web server. A
// profile for another environment than production says nothing about it.
func (p *program) springServer(base string, f File) {
	name := strings.TrimSuffix(base, path.Ext(base))
	if _, profile, other := strings.Cut(name, "-"); other && rankEnvironment(profile) != 1 {
		return
	}
	s := &premortem.Server{}
	if path.Ext(base) == ".properties" {
		for n := range p.lines.len() {
			line := p.lines.at(n + 1)
			key, value, ok := strings.Cut(line, "=")
			if ok && !strings.HasPrefix(strings.TrimSpace(line), "#") {
				p.springKey(s, strings.TrimSpace(key), strings.TrimSpace(value), n+1)
			}
		}
	} else if strings.Contains(string(f.Data), "server") {
		docs, err := parseYAML(f)
		if err != nil || len(docs) == 0 {
			return
		}
		for _, d := range docs[:1] { // other documents belong to profiles
			p.springWalk(s, "", d, 0)
		}
	}
	if s.Pos.Known() {
		p.traffic = &programTraffic{config: s}
	}
}

func (p *program) springWalk(s *premortem.Server, prefix string, n *yaml.Node, depth int) {
	if depth > 6 {
		return
	}
	for _, e := range entries(n) {
		key := strings.TrimPrefix(prefix+"."+e.key.Value, ".")
		if e.value.Kind == yaml.MappingNode {
			p.springWalk(s, key, e.value, depth+1)
		} else {
			p.springKey(s, key, e.value.Value, e.value.Line)
		}
	}
}

var springDefault = regexp.MustCompile(`^\$\{([A-Z][A-Z0-9_]*)(?::([^}]*))?\}$`)

// springKey sets one property.
func (p *program) springKey(s *premortem.Server, key, value string, line int) {
	key = strings.NewReplacer("keepAliveTimeout", "keep-alive-timeout", "connectionTimeout", "connection-timeout", "timeoutPerShutdownPhase", "timeout-per-shutdown-phase").Replace(key)
	env := ""
	if m := springDefault.FindStringSubmatch(value); m != nil {
		env, value = m[1], m[2]
	}
	pos := p.on(line)
	seconds := func(to *premortem.Setting[float64], name string) {
		v, ok := parseAmount(value) // a bare number is milliseconds
		if !ok {
			s.Opaque = append(s.Opaque, name)
			return
		}
		*to = premortem.Setting[float64]{Value: v / 1000, Pos: pos}
	}
	switch key {
	case "server.port":
		if n, err := strconv.Atoi(value); err == nil {
			s.Port = premortem.Setting[int]{Value: n, Pos: pos}
		}
		s.PortEnv = env
	case "server.tomcat.keep-alive-timeout":
		seconds(&s.KeepAlive, "keep_alive")
	case "server.tomcat.connection-timeout", "server.connection-timeout":
		seconds(&s.HeadersTimeout, "headers_timeout")
	case "spring.lifecycle.timeout-per-shutdown-phase":
		seconds(&s.Drain, "drain")
	case "server.shutdown":
		if value == "graceful" {
			s.Stops = premortem.Setting[string]{Value: "server.shutdown: graceful", Pos: pos}
		}
	case "server.tomcat.threads.max", "server.tomcat.max-threads":
		if n, err := strconv.Atoi(value); err == nil {
			s.Threads = premortem.Setting[int]{Value: n, Pos: pos}
		}
	default:
		return
	}
	if !s.Pos.Known() {
		s.Pos, s.Quote = pos, p.quoteLine(line)
	}
}

// springServers adds Tomcat where a service starts Spring: its main class says so,
// and its configuration tunes it.
func (g *merger) springServers(s *serviceCode, run []*program) {
	var main *premortem.Server
	for _, p := range run {
		if p.starts.Set() && main == nil {
			main = &premortem.Server{Service: s.node, Pos: p.starts.Pos, Quote: p.starts.Value, Software: "tomcat"}
		}
	}
	if main == nil {
		return
	}
	web := false
	for _, p := range run {
		web = web || p.lang == "java" && len(p.routes) > 0
		if p.traffic == nil || p.traffic.config == nil || p.lang != "java" {
			continue
		}
		web = web || p.traffic.config.Port.Set()
		fill(main, p.traffic.config)
		if !main.Stops.Set() {
			main.Stops = p.traffic.config.Stops
		}
	}
	if web {
		g.d.servers = append(g.d.servers, main)
	}
}
