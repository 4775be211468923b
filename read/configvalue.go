package read

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// journeys reads what users do.
func (p *configParser) journeys(n *yaml.Node, c *config) {
	for _, e := range p.mapping(n, "journeys") {
		where := "journeys." + e.key.Value
		j := &premortem.Journey{Name: e.key.Value, Weight: 1, Pos: at(p.file, e.key)}
		p.keyed(e.value, where, map[string]func(k, v *yaml.Node){
			"weight": func(_, v *yaml.Node) {
				j.Weight = p.number(v, where+".weight").Value
				if j.Weight <= 0 {
					p.fail(v, fmt.Errorf("weight %s is not above 0", v.Value), "write for example 3")
				}
			},
			"steps": func(_, v *yaml.Node) {
				for _, i := range p.list(v, where+".steps") {
					j.Steps = append(j.Steps, p.step(i, where+".steps"))
				}
			},
		})
		if len(j.Steps) == 0 {
			p.fail(e.key, fmt.Errorf("journey %s has no steps", j.Name), "add steps: with a request")
		}
		p.references(j)
		c.journeys = append(c.journeys, j)
	}
}

func (p *configParser) step(n *yaml.Node, where string) premortem.Step {
	s := premortem.Step{Pos: at(p.file, n)}
	var request, extra *yaml.Node
	r := &premortem.Request{}
	use := func(fn func(v *yaml.Node)) func(k, v *yaml.Node) {
		return func(k, v *yaml.Node) { extra = k; fn(v) }
	}
	p.keyed(n, where, map[string]func(k, v *yaml.Node){
		"think": func(_, v *yaml.Node) {
			s.Think = time.Duration(p.seconds(v, where+".think").Value * float64(time.Second))
		},
		"request": func(k, v *yaml.Node) { request = k; p.request(v, r) },
		"json": use(func(v *yaml.Node) {
			r.JSON, r.Body = true, p.json(v)
		}),
		"body": use(func(v *yaml.Node) { r.Body = p.scalar(v, where+".body").Value }),
		"headers": use(func(v *yaml.Node) {
			for _, e := range p.mapping(v, where+".headers") {
				r.Headers = append(r.Headers, premortem.Header{Name: e.key.Value, Value: p.scalar(e.value, where+".headers").Value})
			}
		}),
		"expect": use(func(v *yaml.Node) {
			p.keyed(v, where+".expect", map[string]func(k, v *yaml.Node){"status": func(_, v *yaml.Node) {
				r.Expect = p.count(v, where+".expect.status").Value
				if r.Expect < 100 || r.Expect > 599 {
					p.fail(v, fmt.Errorf("status %d is not an HTTP status", r.Expect), "write for example 200")
				}
			}})
		}),
		"keep": use(func(v *yaml.Node) {
			for _, e := range p.mapping(v, where+".keep") {
				r.Keep = append(r.Keep, p.keep(e))
			}
		}),
	})
	switch {
	case request == nil && s.Think == 0:
		p.fail(n, errors.New("a step neither requests nor thinks"), `write for example "request: GET /" or "think: 2s"`)
	case request != nil && s.Think != 0:
		p.fail(request, errors.New("a step requests and thinks"), "make two steps of it")
	case request == nil && extra != nil:
		p.fail(extra, fmt.Errorf("%s without a request", extra.Value), "add request: METHOD /path")
	case r.JSON && field(n, "body") != nil:
		p.fail(n, errors.New("a step has json and body"), "keep one of them")
	case request != nil:
		s.Request = r
	}
	return s
}

func (p *configParser) request(v *yaml.Node, r *premortem.Request) {
	raw := p.scalar(v, "request").Value
	method, target, ok := strings.Cut(raw, " ")
	target = strings.TrimSpace(target)
	if !ok || !strings.HasPrefix(target, "/") {
		p.fail(v, fmt.Errorf("request %q is not METHOD /path", raw), `write for example "GET /api/orders"`)
		return
	}
	if !isMethod(method) {
		p.unknown(v, "method", "request", method, []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
		return
	}
	r.Method, r.Path = method, target
}

func (p *configParser) keep(e entry) premortem.Keep {
	k := premortem.Keep{Name: e.key.Value, From: p.scalar(e.value, "keep").Value}
	if k.From != "$" && !strings.HasPrefix(k.From, "$.") && !strings.HasPrefix(k.From, "$[") && !strings.HasPrefix(k.From, "header:") && !strings.HasPrefix(k.From, "cookie:") &&
		!strings.HasPrefix(k.From, "form:") && !strings.HasPrefix(k.From, "meta:") && !strings.HasPrefix(k.From, "regex:") {
		p.fail(e.value, fmt.Errorf("keep %s: %q is no place in an answer", k.Name, k.From), `write for example $.token, "header:X-Id" or "cookie:sid"`)
	}
	return k
}

// json turns a YAML value into JSON text with the keys in the order of the file.
func (p *configParser) json(n *yaml.Node) string {
	var b strings.Builder
	p.writeJSON(&b, n)
	return b.String()
}

func (p *configParser) writeJSON(b *strings.Builder, n *yaml.Node) {
	n = deref(n)
	switch {
	case n == nil:
		b.WriteString("null")
	case n.Kind == yaml.MappingNode:
		b.WriteByte('{')
		for i, e := range entries(n) {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(quoteJSON(e.key.Value))
			b.WriteByte(':')
			p.writeJSON(b, e.value)
		}
		b.WriteByte('}')
	case n.Kind == yaml.SequenceNode:
		b.WriteByte('[')
		for i, c := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			p.writeJSON(b, c)
		}
		b.WriteByte(']')
	case n.Tag == "!!int" || n.Tag == "!!float" || n.Tag == "!!bool" || n.Tag == "!!null":
		var v any
		if err := n.Decode(&v); err != nil {
			p.fail(n, fmt.Errorf("json: %w", err), "quote it to make it text")
		}
		out, err := json.Marshal(v)
		if err != nil {
			p.fail(n, fmt.Errorf("json has no value %s", n.Value), "quote it to make it text")
		}
		b.Write(out)
	default:
		b.WriteString(quoteJSON(n.Value))
	}
}

func quoteJSON(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return strings.TrimSuffix(b.String(), "\n")
}

// references checks that each ${name} of a journey is kept by an earlier step.
func (p *configParser) references(j *premortem.Journey) {
	known := []string{"id", "rows.TABLE.COLUMN"}
	kept := map[string]bool{}
	for _, s := range j.Steps {
		if s.Request == nil {
			continue
		}
		texts := []string{s.Request.Path, s.Request.Body}
		for _, h := range s.Request.Headers {
			texts = append(texts, h.Value)
		}
		for _, t := range texts {
			for _, m := range placeholder.FindAllStringSubmatch(t, -1) {
				if parts := strings.Split(m[1], "."); parts[0] == "rows" {
					if len(parts) < 3 {
						p.failAt(s.Pos, fmt.Errorf("${%s} is not ${rows.TABLE.COLUMN}", m[1]), "write for example ${rows.users.email}")
					}
				} else if !kept[m[1]] && !builtin[m[1]] {
					hint := "keep it from an earlier answer of this journey: keep: {" + m[1] + ": $." + m[1] + "}"
					if near := nearest(m[1], known); near != "" {
						hint = fmt.Sprintf("did you mean %q?", near)
					}
					p.failAt(s.Pos, fmt.Errorf("${%s} is kept by no earlier step of journey %s", m[1], j.Name), hint)
				}
			}
		}
		for _, k := range s.Request.Keep {
			kept[k.Name] = true
			known = append(known, k.Name)
		}
	}
}

// builtin are the names that need no step before them.
var builtin = map[string]bool{"session": true, "seq": true}

func (p *configParser) failAt(pos premortem.Pos, err error, hint string) {
	if p.err == nil {
		p.err = &premortem.Error{Doing: "read premortem.yaml", Pos: pos, Err: err, Hint: hint}
	}
}

func (p *configParser) mapping(n *yaml.Node, where string) []entry {
	if n = deref(n); n == nil || n.Kind != yaml.MappingNode {
		p.fail(n, fmt.Errorf("%s wants a mapping", where), "write one key: value a line")
		return nil
	}
	return entries(n)
}

func (p *configParser) list(n *yaml.Node, where string) []*yaml.Node {
	if n = deref(n); n == nil || n.Kind != yaml.SequenceNode {
		p.fail(n, fmt.Errorf("%s wants a list", where), `start each of its lines with "- "`)
		return nil
	}
	return items(n)
}

// scalar reads any scalar as text.
func (p *configParser) scalar(n *yaml.Node, where string) premortem.Setting[string] {
	if n = deref(n); n == nil || n.Kind != yaml.ScalarNode {
		p.fail(n, fmt.Errorf("%s wants one value", where), "write it on the line of its key")
		return premortem.Setting[string]{}
	}
	return premortem.Setting[string]{Value: n.Value, Pos: at(p.file, n)}
}

func (p *configParser) str(n *yaml.Node, where string) premortem.Setting[string] {
	s := p.scalar(n, where)
	if p.err == nil && strings.TrimSpace(s.Value) == "" {
		p.fail(n, fmt.Errorf("%s is empty", where), "give it a value or remove the key")
	}
	return s
}

func (p *configParser) strings(n *yaml.Node, where string) []string {
	if n != nil && n.Kind == yaml.SequenceNode {
		var out []string
		for _, i := range items(n) {
			out = append(out, p.scalar(i, where).Value)
		}
		return out
	}
	return []string{p.str(n, where).Value}
}

func (p *configParser) number(n *yaml.Node, where string) premortem.Setting[float64] {
	s := p.scalar(n, where)
	v, err := strconv.ParseFloat(strings.ReplaceAll(s.Value, "_", ""), 64)
	if err != nil || v < 0 || v > 1e15 || v != v {
		p.fail(n, fmt.Errorf("%s: %q is not a number", where, s.Value), "write for example 100")
	}
	return premortem.Setting[float64]{Value: v, Pos: s.Pos}
}

// rate reads "50/s", "3000/m" or "100/h" as requests per second.
func (p *configParser) rate(n *yaml.Node, where string) premortem.Setting[float64] {
	s := p.scalar(n, where)
	num, unit, ok := strings.Cut(s.Value, "/")
	per, known := map[string]float64{"s": 1, "m": 60, "min": 60, "h": 3600}[strings.TrimSpace(unit)]
	v, err := strconv.ParseFloat(strings.TrimSpace(strings.ReplaceAll(num, "_", "")), 64)
	if !ok || !known || err != nil || v < 0 || v != v || v > 1e12 {
		p.fail(n, fmt.Errorf("%s: %q is not a rate", where, s.Value), "write for example 50/s, 3000/m or 100/h")
		return premortem.Setting[float64]{}
	}
	return premortem.Setting[float64]{Value: v / per, Pos: s.Pos}
}

// seconds reads a duration such as 300ms.
func (p *configParser) seconds(n *yaml.Node, where string) premortem.Setting[float64] {
	s := p.scalar(n, where)
	v, err := time.ParseDuration(s.Value)
	if err != nil || v <= 0 {
		p.fail(n, fmt.Errorf("%s: %q is not a duration", where, s.Value), "write a number with its unit, for example 300ms, 2s or 1m")
	}
	return premortem.Setting[float64]{Value: v.Seconds(), Pos: s.Pos}
}

// share reads "0.1%" as 0.001. A bare number is refused: nobody can tell whether
// 0.1 means a tenth or a tenth of a percent.
func (p *configParser) share(n *yaml.Node, where string) premortem.Setting[float64] {
	s := p.scalar(n, where)
	num, ok := strings.CutSuffix(strings.TrimSpace(s.Value), "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(num), 64)
	if !ok || err != nil || v < 0 || v > 100 || v != v {
		p.fail(n, fmt.Errorf("%s: %q is not a percentage", where, s.Value), "write for example 0.1%")
		return premortem.Setting[float64]{}
	}
	return premortem.Setting[float64]{Value: v / 100, Pos: s.Pos}
}

// checkConfigPaths makes a missing file that premortem.yaml names an error.
func checkConfigPaths(_ context.Context, t *Tree, d *Draft) error {
	for _, c := range d.configs {
		for _, s := range c.paths {
			p := join(".", s.Value)
			if p != "" && t.has(p) {
				continue
			}
			var same []string
			for _, f := range t.paths {
				if path.Ext(f) == path.Ext(s.Value) {
					same = append(same, f)
				}
			}
			hint := "paths are relative to premortem.yaml"
			if near := nearest(s.Value, same); near != "" {
				hint = fmt.Sprintf("did you mean %q? %s", near, hint)
			}
			d.fatal = &premortem.Error{Doing: "read premortem.yaml", Pos: s.Pos, Err: fmt.Errorf("%s is not in the repository", s.Value), Hint: hint}
			return nil
		}
	}
	return nil
}
