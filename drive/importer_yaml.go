package drive

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/premortem/premortem"
)

// YAML is the part of premortem.yaml that a recording tells: base, objectives and
// journeys, with what was guessed marked as such. What is read back from it equals
// what was written.
func (t *Traffic) YAML() string {
	var b strings.Builder
	for _, n := range t.Notes {
		fmt.Fprintf(&b, "# note: %s\n", oneLine(n.String()))
	}
	var base []string
	if t.Base.Users.Set() {
		base = append(base, "users: "+plainNumber(t.Base.Users.Value))
	}
	if t.Base.Calls.Set() {
		base = append(base, "calls: "+plainNumber(t.Base.Calls.Value)+"/s")
	}
	if len(base) > 0 {
		fmt.Fprintf(&b, "\n# %s\nbase: {%s}\n", oneLine(t.BaseWhy), strings.Join(base, ", "))
	}
	if len(t.Objectives) > 0 {
		b.WriteString("\nobjectives:          # guess: what was recorded, rounded up; write what users are promised\n")
		for _, o := range t.Objectives {
			t.writeObjective(&b, o)
		}
	}
	if len(t.Journeys) > 0 {
		b.WriteString("\njourneys:\n")
		for _, j := range t.Journeys {
			t.writeJourney(&b, j)
		}
	}
	if len(t.Unfinished) > 0 {
		b.WriteString("\n# These wait for what no recording held. Complete them, and remove the comment signs.\n")
		if len(t.Journeys) == 0 {
			b.WriteString("# journeys:\n")
		}
		var u strings.Builder
		for _, j := range t.Unfinished {
			t.writeJourney(&u, j)
		}
		for line := range strings.Lines(u.String()) {
			b.WriteString("#" + line)
		}
	}
	return b.String()
}

func (t *Traffic) writeObjective(b *strings.Builder, o premortem.Objective) {
	fmt.Fprintf(b, "  - {route: %s", yamlQuote(o.Route))
	for _, p := range []struct {
		name string
		v    premortem.Setting[float64]
	}{{"p95", o.P95}, {"p99", o.P99}} {
		if p.v.Set() {
			fmt.Fprintf(b, ", %s: %s", p.name, time.Duration(p.v.Value*float64(time.Second)+0.5).Round(time.Microsecond))
		}
	}
	if o.Errors.Set() {
		fmt.Fprintf(b, ", errors: %s%%", strconv.FormatFloat(threeDigits(o.Errors.Value*100), 'f', -1, 64))
	}
	b.WriteString("}")
	if why := t.Why[o.Route]; why != "" {
		b.WriteString("          # " + oneLine(why))
	}
	b.WriteByte('\n')
}

func (t *Traffic) writeJourney(b *strings.Builder, j *premortem.Journey) {
	fmt.Fprintf(b, "  %s:\n", yamlKey(j.Name))
	if j.Weight != 1 && j.Weight > 0 {
		fmt.Fprintf(b, "    weight: %s\n", plainNumber(j.Weight))
	}
	b.WriteString("    steps:\n")
	for _, s := range j.Steps {
		if s.Request == nil {
			fmt.Fprintf(b, "      - think: %s\n", s.Think)
			continue
		}
		t.writeRequest(b, s.Request)
	}
}

func (t *Traffic) writeRequest(b *strings.Builder, r *premortem.Request) {
	fmt.Fprintf(b, "      - request: %s", yamlPlain(r.Method+" "+r.Path))
	if m := t.Marks[r]; m != "" {
		b.WriteString("          # " + oneLine(m))
	}
	b.WriteByte('\n')
	if len(r.Headers) > 0 {
		b.WriteString("        headers: {")
		for i, h := range r.Headers {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(yamlKey(h.Name) + ": " + yamlQuote(h.Value))
		}
		b.WriteString("}\n")
	}
	switch {
	case r.JSON:
		b.WriteString("        json: " + spacedJSON(r.Body) + "\n")
	case r.Body != "":
		b.WriteString("        body: " + yamlQuote(r.Body) + "\n")
	}
	if r.Expect != 0 {
		fmt.Fprintf(b, "        expect: {status: %d}\n", r.Expect)
	}
	if len(r.Keep) > 0 {
		b.WriteString("        keep: {")
		for i, k := range r.Keep {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(yamlKey(k.Name) + ": " + yamlQuote(k.From))
		}
		b.WriteString("}\n")
	}
}

// oneLine makes a text fit for a comment.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
}

func plainNumber(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// yamlKey quotes a key unless it is a plain word.
func yamlKey(s string) string {
	for i := range len(s) {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (i == 0 || (c < '0' || c > '9') && c != '-' && c != '_') {
			return yamlQuote(s)
		}
	}
	switch strings.ToLower(s) {
	case "", "true", "false", "yes", "no", "on", "off", "null", "y", "n":
		return yamlQuote(s)
	}
	return s
}

// yamlPlain leaves what no YAML reader can mistake as it is.
func yamlPlain(s string) string {
	for i := range len(s) {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && strings.IndexByte(" /_-.?=&%${}~+,;@!$()*", c) < 0 {
			return yamlQuote(s)
		}
	}
	if strings.HasSuffix(s, " ") {
		return yamlQuote(s)
	}
	return s
}

// yamlQuote writes a text in double quotes, which JSON and YAML read alike. What YAML
// does not allow to stand as itself is escaped.
func yamlQuote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ', r >= 0x7f && r < 0xa0, r == 0x2028, r == 0x2029, r == 0xfeff, r == 0xfffe, r == 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// spacedJSON writes JSON as a person writes YAML's flow form: {"a": 1, "b": 2}.
func spacedJSON(body string) string {
	var b strings.Builder
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	type level struct {
		object bool
		n      int
	}
	var stack []level
	for {
		tok, err := d.Token()
		if err != nil {
			return b.String()
		}
		if delim, ok := tok.(json.Delim); ok && (delim == '}' || delim == ']') {
			stack = stack[:len(stack)-1]
			b.WriteByte(byte(delim))
			continue
		}
		if n := len(stack); n > 0 {
			top := &stack[n-1]
			if top.object && top.n%2 == 1 {
				b.WriteString(": ")
			} else if top.n > 0 {
				b.WriteString(", ")
			}
			top.n++
		}
		switch v := tok.(type) {
		case json.Delim:
			b.WriteByte(byte(v))
			stack = append(stack, level{object: v == '{'})
		case string:
			b.WriteString(yamlQuote(v))
		case json.Number:
			b.WriteString(v.String())
		case bool:
			b.WriteString(strconv.FormatBool(v))
		default:
			b.WriteString("null")
		}
	}
}
