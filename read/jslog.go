package read

import (
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// logPackages are loggers and what makes one.
var logPackages = map[string]string{
	"pino": "pino", "pino-http": "pino", "winston": "winston", "bunyan": "bunyan", "log4js": "log4js", "loglevel": "loglevel", "consola": "consola",
	"tslog": "tslog", "signale": "signale", "nestjs-pino": "pino", "@nestjs/common": "nest", "roarr": "roarr", "debug": "",
}

var logLevels = map[string]string{
	"fatal": "error", "error": "error", "critical": "error", "alert": "error", "emerg": "error", "warn": "warn", "warning": "warn", "info": "info",
	"log": "info", "http": "info", "notice": "info", "success": "info", "debug": "debug", "trace": "debug", "verbose": "debug", "silly": "debug",
}

// jsLogger is a logger that a module holds.
type jsLogger struct {
	library string
	fields  []string
	bound   bool     // takes its context from the request by itself
	redact  []string // paths that it removes
}

// loggers returns the loggers of a module by the text that names them.
func (p *project) loggers(m *module) map[string]*jsLogger {
	if have, ok := p.logs[m]; ok {
		return have
	}
	if p.logs == nil {
		p.logs = map[*module]map[string]*jsLogger{}
	}
	out := map[string]*jsLogger{}
	p.logs[m] = out
	for local, im := range m.imports {
		if lib := logPackages[im.from]; lib != "" && lib != "nest" && (im.name == "default" || im.name == "*" || im.name == "log" || im.name == "logger") {
			out[local] = &jsLogger{library: lib}
		}
	}
	for i, t := range m.toks {
		if t.kind != jsIdent || m.tok(i-1).is(".") {
			continue
		}
		lib := logPackages[m.packageOf(t.text)]
		k := i
		for m.tok(k+1).is(".") && m.tok(k+2).kind == jsIdent {
			k += 2
		}
		open := m.callOpen(k)
		if lib == "" || open < 0 || lib == "nest" && t.text != "Logger" {
			continue
		}
		switch name := m.tok(k).text; {
		case m.tok(i - 1).is("new"), k == i, name == "createLogger", name == "getLogger", name == "create", name == "withTag", name == "withDefaults":
		default:
			continue
		}
		l := p.logger(m, lib, m.args(open))
		for _, key := range m.holders(i) {
			out[key] = l
		}
	}
	p.childLoggers(m, out)
	return out
}

// childLoggers adds the loggers that are made of others, after their parents.
func (p *project) childLoggers(m *module, out map[string]*jsLogger) {
	for i, t := range m.toks {
		if t.kind != jsIdent || t.text != "child" || !m.tok(i-1).is(".") || m.callOpen(i) < 0 {
			continue
		}
		start := m.chainStart(i - 1)
		parent := p.loggerNamed(m, m.source(span{start, i - 1}))
		if parent == nil {
			continue
		}
		child := *parent
		child.fields = slices.Clone(parent.fields)
		for _, a := range m.args(m.callOpen(i)) {
			for _, prop := range m.props(m.object(a)) {
				child.fields = append(child.fields, prop.key)
				if strings.Contains(strings.ToLower(m.source(prop.value)), "req") {
					child.bound = true
				}
			}
		}
		for _, key := range m.holders(start) {
			if key != m.tok(start).text {
				out[key] = &child
			}
		}
	}
}

// logger reads the options of a logger.
func (p *project) logger(m *module, lib string, args []span) *jsLogger {
	l := &jsLogger{library: lib}
	for _, a := range args {
		b := m.object(a)
		for _, prop := range m.props(b) {
			switch prop.key {
			case "base", "defaultMeta", "bindings":
				for _, f := range m.props(m.object(prop.value)) {
					if f.key != "..." {
						l.fields = append(l.fields, f.key)
					}
				}
			case "redact":
				l.redact = m.texts(prop.value)
				if o := m.object(prop.value); o >= 0 {
					l.redact = m.texts(m.prop(o, "paths"))
				}
				if len(l.redact) == 0 {
					l.redact = []string{"**"} // a list from elsewhere
				}
			case "mixin", "hooks", "formatters", "format", "serializers":
				text := m.source(prop.value)
				if m.tok(prop.at + 1).is("(") { // mixin() { … }
					text = m.source(span{prop.at, prop.value.hi})
				}
				if strings.Contains(text, "getStore") || strings.Contains(text, "Context") || strings.Contains(text, "cls") || strings.Contains(text, "rTracer") || prop.key == "mixin" {
					l.bound = true
				}
				if low := strings.ToLower(text); strings.Contains(low, "redact") || strings.Contains(low, "mask") || strings.Contains(low, "scrub") || strings.Contains(low, "sanitize") {
					l.redact = []string{"**"}
				}
			case "...":
				l.bound = l.bound || m.object(prop.value) < 0
			}
		}
	}
	return l
}

// texts are the literals of a list.
func (m *module) texts(s span) []string {
	var out []string
	if s.hi-s.lo == 1 && m.tok(s.lo).kind == jsIdent {
		if v, ok := m.initialiser(m.tok(s.lo).text, s.lo); ok {
			s = v
		}
	}
	for i := s.lo; i < s.hi; i++ {
		if m.tok(i).kind == jsString {
			out = append(out, m.tok(i).text)
		}
	}
	return out
}

// loggerNamed finds the logger that a text names: of this module, imported, of the
// request, or the console.
func (p *project) loggerNamed(m *module, key string) *jsLogger {
	switch key {
	case "console":
		return &jsLogger{library: "console"}
	case "req.log", "request.log", "req.logger", "request.logger", "ctx.log", "ctx.logger", "c.var.logger", "context.log":
		return &jsLogger{library: "pino", bound: true}
	case "fastify.log", "app.log", "server.log", "this.fastify.log":
		if m.uses("fastify") {
			return &jsLogger{library: "pino"}
		}
		return nil
	}
	if l := p.loggers(m)[key]; l != nil {
		return l
	}
	if field, ok := strings.CutPrefix(key, "this."); ok {
		switch class := m.fieldClass(field); {
		case class == "PinoLogger", class == "Logger" && m.packageOf(class) == "nestjs-pino":
			return &jsLogger{library: "pino", bound: true}
		case class == "Logger" || class == "LoggerService" || class == "ConsoleLogger":
			if m.packageOf(class) == "@nestjs/common" {
				return &jsLogger{library: "nest"}
			}
		}
		return nil
	}
	name, rest, dotted := strings.Cut(key, ".")
	if dotted { // log.child, namespace.logger
		im, ok := m.imports[name]
		if !ok || strings.Contains(rest, ".") {
			return nil
		}
		target := p.resolve(m.path, im.from)
		if target == nil {
			return nil
		}
		if s, ok := p.exported(target, rest, 0); ok {
			return p.loggerOf(s)
		}
		return nil
	}
	if _, imported := m.imports[strings.TrimSuffix(name, "()")]; !imported {
		return nil
	}
	s := p.lookup(m, strings.TrimSuffix(name, "()"))
	if s.m == nil || s.m == m {
		return nil
	}
	if strings.HasSuffix(name, "()") {
		s.name += "()"
	}
	return p.loggerOf(s)
}

// loggerOf finds the logger that a module declares under a name, also as the value
// of an export.
func (p *project) loggerOf(s symbol) *jsLogger {
	if l := p.loggers(s.m)[s.name]; l != nil {
		return l
	}
	v, ok := s.m.initialiser(s.name, len(s.m.toks))
	if !ok {
		return nil
	}
	i := v.lo
	for s.m.tok(i).is("new") {
		i++
	}
	lib := logPackages[s.m.packageOf(s.m.tok(i).text)]
	for k := i; k < v.hi && lib != ""; k++ {
		if open := s.m.callOpen(k); open > 0 {
			return p.logger(s.m, lib, s.m.args(open))
		}
	}
	if fields := s.m.props(s.m.object(v)); len(fields) > 0 { // an object with info and error of its own
		for _, f := range fields {
			if logLevels[f.key] != "" {
				return &jsLogger{library: "own", bound: true}
			}
		}
	}
	return nil
}

// jsLog is a log call and where it stands.
type jsLog struct {
	premortem.LogCall
	m  *module
	at int
}

// logCalls finds what a module writes to its log. traced is true where something
// puts the ids of traces into every line.
func (p *project) logCalls(m *module, g *jsGraph, traced bool) []*jsLog {
	var out []*jsLog
	for i, t := range m.toks {
		if t.kind != jsIdent || logLevels[t.text] == "" || !m.tok(i-1).is(".") {
			continue
		}
		open := m.callOpen(i)
		if open < 0 {
			continue
		}
		start := m.chainStart(i - 1)
		recv := m.source(span{start, i - 1})
		if len(recv) > 40 {
			continue
		}
		if before, _, ok := strings.Cut(recv, ".child("); ok {
			recv = before
		}
		l := p.loggerNamed(m, strings.ReplaceAll(recv, "?.", "."))
		if l == nil {
			continue
		}
		if l.library == "console" && p.frontEnd(m) {
			continue
		}
		c := &jsLog{m: m, at: i}
		c.Pos, c.Quote, c.Library, c.Level = m.pos(i), m.quote(i), l.library, logLevels[t.text]
		c.Bound = l.bound || traced && l.library != "console"
		c.Route = g.onPath(m, i)
		args := m.args(open)
		p.logArgs(m, c, args)
		c.Fields = append(c.Fields, l.fields...)
		c.Leaks = p.leaks(m, i, args, l)
		out = append(out, c)
	}
	return out
}

// logArgs reads message and fields.
func (p *project) logArgs(m *module, c *jsLog, args []span) {
	for _, a := range args {
		t := m.tok(a.lo)
		switch b := m.object(a); {
		case b >= 0:
			for _, prop := range m.props(b) {
				c.Fields = append(c.Fields, prop.key)
			}
		case t.kind == jsString || t.kind == jsTemplate:
			if c.Message == "" {
				c.Message = Mask(m.path, t.text)
			}
			if t.kind == jsTemplate {
				for k := a.lo + 1; k <= t.match; k = m.next(k) {
					if in := m.inside(k); !in.empty() && m.tok(in.hi-1).kind == jsIdent {
						c.Fields = append(c.Fields, m.tok(in.hi-1).text)
					}
				}
			}
		case t.kind == jsIdent && a.hi-a.lo == 1:
			c.Fields = append(c.Fields, t.text)
		case m.tok(a.hi-1).kind == jsIdent && a.hi-a.lo <= 5:
			c.Fields = append(c.Fields, m.tok(a.hi-1).text)
		}
	}
}

// frontEnd reports a module of a web page.
func (p *project) frontEnd(m *module) bool {
	return m.uses("react") || m.uses("vue") || m.uses("react-dom") || strings.HasSuffix(m.path, ".tsx") || strings.HasSuffix(m.path, ".jsx")
}
