package read

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

// serverPrograms are commands that serve what they are pointed at.
var serverPrograms = wordSet(`gunicorn uvicorn hypercorn daphne puma waitress-serve granian`)

// commandServers adds the servers that services are started with, and returns which
// services have one.
func (g *merger) commandServers() map[premortem.Node]bool {
	done := map[premortem.Node]bool{}
	svcs := slices.Clone(g.sys.Services)
	slices.SortStableFunc(svcs, func(a, b *premortem.Service) int { return g.order(a.Deployment, b.Deployment) })
	for _, svc := range svcs {
		if done[svc.Node] || !svc.Command.Set() {
			continue
		}
		s := commandServer(svc.Command)
		if s == nil {
			continue
		}
		done[svc.Node] = true
		s.Service = svc.Node
		for _, set := range svc.Provides {
			switch {
			case set.Name == "GUNICORN_CMD_ARGS" && s.Software == "gunicorn":
				serverFlags(s, strings.Fields(set.Value), set.Pos)
				if !set.Plain {
					s.Opaque = append(s.Opaque, "keep_alive", "workers", "request_timeout", "drain")
				}
			case set.Name == "WEB_CONCURRENCY" && !s.Workers.Set() && set.Plain:
				if n, err := strconv.Atoi(set.Value); err == nil {
					s.Workers = premortem.Setting[int]{Value: n, Pos: set.Pos}
				}
			}
		}
		g.configured(s, svc)
		if s.Software == "gunicorn" || s.Software == "uvicorn" || s.Software == "hypercorn" || s.Software == "puma" {
			// these stop on SIGTERM by themselves, after what they are doing
			s.Stops = premortem.Setting[string]{Value: s.Software + " handles SIGTERM itself", Pos: svc.Command.Pos}
		}
		s.Version = g.lockedVersion(svc.Dir, s.Software)
		g.d.servers = append(g.d.servers, s)
	}
	return done
}

// commandServer recognises a server among the words of a command, nil for none.
func commandServer(cmd premortem.Setting[[]string]) *premortem.Server {
	var words []string
	for _, a := range cmd.Value {
		words = append(words, strings.Fields(a)...)
	}
	for i, w := range words {
		name := strings.Trim(path.Base(w), `"'`)
		switch {
		case serverPrograms[name]:
		case (name == "rails" || strings.HasSuffix(name, "rails")) && i+1 < len(words) && (words[i+1] == "server" || words[i+1] == "s"):
			name = "puma"
		case name == "flask" && slices.Contains(words[i:], "run"):
		case name == "manage.py" && slices.Contains(words[i:], "runserver"):
			name = "django"
		case name == "next" && i+1 < len(words) && words[i+1] == "start":
			name = "node"
		case name == "pm2-runtime" || name == "pm2":
			name = "pm2"
		default:
			continue
		}
		s := &premortem.Server{Pos: cmd.Pos, Quote: strings.Join(words, " "), Software: name}
		serverFlags(s, words[i+1:], cmd.Pos)
		switch name {
		case "pm2":
			return nil // only the code knows what listens
		case "gunicorn":
			for _, x := range words[i:] {
				if strings.Contains(x, "UvicornWorker") {
					s.Opaque = append(s.Opaque, "keep_alive") // the worker's own
				}
			}
		}
		return s
	}
	return nil
}

// serverFlags reads --workers 4, --workers=4, -w 4 and --bind 0.0.0.0:8000.
func serverFlags(s *premortem.Server, words []string, pos premortem.Pos) {
	for i := 0; i < len(words); i++ {
		w := strings.Trim(words[i], `"'`)
		if !strings.HasPrefix(w, "-") {
			continue
		}
		key, value, joined := strings.Cut(strings.TrimLeft(w, "-"), "=")
		if !joined {
			if i+1 >= len(words) {
				break
			}
			value = strings.Trim(words[i+1], `"'`)
		}
		switch key {
		case "bind", "b":
			serverBind(s, value, pos)
			continue
		case "host", "H":
			s.Host = premortem.Setting[string]{Value: value, Pos: pos}
			continue
		case "p":
			key = "port"
		case "keepAliveTimeout":
			if n, err := strconv.ParseFloat(value, 64); err == nil {
				s.KeepAlive = premortem.Setting[float64]{Value: n / 1000, Pos: pos}
			}
			continue
		}
		if s.Software == "puma" && (key == "t" || key == "threads") {
			_, most, ok := strings.Cut(value, ":")
			if n, err := strconv.Atoi(most); ok && err == nil {
				s.Threads = premortem.Setting[int]{Value: n, Pos: pos}
			}
			continue
		}
		if (key == "w" || key == "t") && s.Software != "gunicorn" && s.Software != "puma" {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if key == "port" && strings.HasPrefix(value, "$") {
			s.PortEnv = strings.Trim(strings.SplitN(strings.Trim(value, "${}"), ":", 2)[0], "${}")
		}
		serverKey(s, key, n, err == nil, pos)
	}
}

// serverBind reads an address such as 0.0.0.0:8000 and :$PORT.
func serverBind(s *premortem.Server, value string, pos premortem.Pos) {
	if strings.HasPrefix(value, "unix:") {
		return
	}
	value = strings.TrimPrefix(value, "tcp://")
	k := strings.LastIndex(value, ":")
	if e := strings.Index(value, ":$"); e >= 0 {
		k = e
	}
	if k < 0 {
		return
	}
	if host := value[:k]; host != "" {
		s.Host = premortem.Setting[string]{Value: strings.Trim(host, "[]"), Pos: pos}
	}
	port := value[k+1:]
	if n, err := strconv.Atoi(port); err == nil {
		s.Port = premortem.Setting[int]{Value: n, Pos: pos}
		return
	}
	if inner, ok := strings.CutPrefix(port, "$"); ok {
		name, fallback, _ := strings.Cut(strings.Trim(inner, "{}"), ":-")
		if envName.MatchString(name) {
			s.PortEnv = name
		}
		if n, err := strconv.Atoi(fallback); err == nil {
			s.Port = premortem.Setting[int]{Value: n, Pos: pos}
		}
	}
}

// configured adds what the server's own configuration file says where the command is
// silent: gunicorn.conf.py and config/puma.rb.
func (g *merger) configured(s *premortem.Server, svc *premortem.Service) {
	names := map[string][]string{"gunicorn": {"gunicorn.conf.py", "gunicorn_config.py", "config/gunicorn.conf.py", "gunicorn_conf.py"}, "puma": {"config/puma.rb", "puma.rb"}}[s.Software]
	for _, name := range names {
		if name != "gunicorn.conf.py" && s.Software == "gunicorn" && !strings.Contains(s.Quote, path.Base(name)) {
			continue
		}
		for _, p := range g.d.programs {
			if p.path != path.Join(svc.Dir, name) || p.traffic == nil || p.traffic.config == nil {
				continue
			}
			fill(s, p.traffic.config)
			return
		}
	}
	if s.Software == "gunicorn" && (strings.Contains(s.Quote, " -c ") || strings.Contains(s.Quote, "--config")) {
		s.Opaque = append(s.Opaque, "keep_alive", "workers", "request_timeout", "drain")
	}
}

// fill sets what is silent in s from c.
func fill(s, c *premortem.Server) {
	if !s.Port.Set() && s.PortEnv == "" {
		s.Port, s.PortEnv = c.Port, c.PortEnv
	}
	if !s.Host.Set() {
		s.Host = c.Host
	}
	for _, f := range []struct{ to, from *premortem.Setting[float64] }{
		{&s.KeepAlive, &c.KeepAlive}, {&s.HeadersTimeout, &c.HeadersTimeout}, {&s.RequestTimeout, &c.RequestTimeout}, {&s.Drain, &c.Drain},
	} {
		if !f.to.Set() {
			*f.to = *f.from
		}
	}
	if !s.Workers.Set() {
		s.Workers = c.Workers
	}
	if !s.Threads.Set() {
		s.Threads = c.Threads
	}
	s.Opaque = append(s.Opaque, c.Opaque...)
}

// gunicornConfig reads the assignments of a gunicorn.conf.py.
func (r *pyReader) gunicornConfig() {
	if base := path.Base(r.path); base != "gunicorn.conf.py" && base != "gunicorn_config.py" && base != "gunicorn_conf.py" {
		return
	}
	s := &premortem.Server{}
	for _, st := range r.stmts {
		if !r.tok(st.lo+1).is("=") || st.fn >= 0 || st.parent >= 0 {
			continue
		}
		key, v := r.tok(st.lo).text, span{st.lo + 2, st.hi}
		if key == "bind" {
			if text, _, ok := r.literal(v); ok {
				serverBind(s, text, r.pos(st.lo))
			}
			continue
		}
		n, ok := r.number(v)
		if key == "workers" && !ok && strings.Contains(r.source(v), "cpu_count") {
			n, ok = 0, true
		}
		serverKey(s, key, n, ok, r.pos(st.lo))
	}
	r.traffic.config = s
}

// pumaConfig reads config/puma.rb.
func (p *program) pumaConfig() {
	if path.Base(p.path) != "puma.rb" {
		return
	}
	s := &premortem.Server{}
	for i, t := range p.toks {
		if t.kind != jsIdent || !t.nl && i > 0 {
			continue
		}
		at := i + 1
		if p.tok(at).is("(") {
			at++
		}
		pos := p.pos(i)
		n, known := p.rubyNumber(at)
		switch t.text {
		case "port":
			if known {
				s.Port = premortem.Setting[int]{Value: int(n), Pos: pos}
			}
			s.PortEnv = p.rubyEnvAt(at)
		case "workers":
			serverKey(s, "workers", n, known, pos)
		case "threads":
			if k := at; p.tok(k).kind == jsNumber && p.tok(k+1).is(",") { // min, max
				n, known = p.rubyNumber(k + 2)
			}
			serverKey(s, "threads", n, known, pos)
		case "persistent_timeout":
			serverKey(s, "keep-alive", n, known, pos)
		case "worker_timeout", "force_shutdown_after":
			if t.is("force_shutdown_after") {
				serverKey(s, "graceful-timeout", n, known, pos)
			}
		case "bind":
			if p.tok(at).kind == jsString {
				serverBind(s, p.tok(at).text, pos)
			}
		}
	}
	p.traffic.config = s
}

// rubyNumber evaluates a literal, ENV.fetch("X", 5) and a variable of the file that
// holds one.
func (p *program) rubyNumber(i int) (float64, bool) {
	t := p.tok(i)
	switch {
	case t.is("Integer") && p.tok(i+1).is("("):
		return p.rubyNumber(i + 2)
	case t.kind == jsNumber, t.kind == jsString:
		v, err := strconv.ParseFloat(strings.ReplaceAll(t.text, "_", ""), 64)
		return v, err == nil
	case t.is("ENV") && p.tok(i+2).is("fetch") && p.tok(i+3).is("("):
		if args := p.args(i + 3); len(args) > 1 {
			return p.rubyNumber(args[1].lo)
		}
		if end := p.next(i + 3); p.tok(end).is("{") {
			return p.rubyNumber(end + 1)
		}
	case t.kind == jsIdent && !jsKeywords[t.text]:
		for k := i - 1; k >= 0; k-- {
			if p.tok(k).is(t.text) && p.tok(k+1).is("=") {
				return p.rubyNumber(k + 2)
			}
		}
	}
	return 0, false
}

// rubyEnvAt is the variable that an expression reads.
func (p *program) rubyEnvAt(i int) string {
	for k := i; k < i+8 && k < len(p.toks) && p.tok(k).line == p.tok(i).line; k++ {
		if p.tok(k).kind == jsString && envName.MatchString(p.tok(k).text) {
			return p.tok(k).text
		}
	}
	return ""
}
