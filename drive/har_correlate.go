package drive

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/premortem/premortem"
)

// correlation finds where the values of a story's requests come from. With a second
// recording of the same story it knows which values differ; alone it can only guess.
type correlation struct {
	t     *Traffic
	a, b  *story      // b nil: there is one recording
	pair  map[int]int // step of a → step of b
	index map[string][]spot
	names uniqueNames
	kept  map[string]string // place and step → name; also what was noted, with no name
}

// spot is a place in the answer of a step.
type spot struct {
	step  int
	place answerPlace
}

func (c *correlation) run() {
	c.pair, c.kept = map[int]int{}, map[string]string{}
	if c.b != nil {
		c.pair = align(c.a.steps, c.b.steps)
	}
	c.index = map[string][]spot{}
	found, guessed := 0, 0
	for i, x := range c.a.steps {
		c.cookies(i, x)
		others := c.others(i)
		values := x.values()
		login := slices.ContainsFunc(values, func(v *value) bool { return userColumn(v.name) == "password" })
		for n, v := range values {
			switch c.resolve(i, x, n, v, others[v.where], login) {
			case byAnswer:
				found++
				if c.b == nil {
					guessed++
				}
			}
		}
		for _, p := range x.places {
			c.index[p.text] = append(c.index[p.text], spot{i, p})
		}
	}
	pos := premortem.Pos{File: c.a.file}
	if found > 0 && c.b == nil {
		c.t.note(pos, "%d values are kept from earlier answers; one recording can only suggest this: a second one, made as another user, proves it", guessed)
	} else if found > 0 {
		c.t.note(pos, "%d values are kept from earlier answers; both recordings agree on where from", found)
	}
	if c.b != nil && len(c.pair) < len(c.a.steps) {
		c.t.note(pos, "%d of %d requests are not in the other recording; of them there is only one recording", len(c.a.steps)-len(c.pair), len(c.a.steps))
	}
}

type origin int

const (
	constant origin = iota
	byAnswer
	byUser
	unresolved
)

// resolve decides what is written for one value. other is its counterpart in the second
// recording, nil when there is none.
func (c *correlation) resolve(i int, x *exchange, n int, v *value, other *value, login bool) origin {
	if v.text == "" {
		return constant
	}
	scheme, text := splitScheme(v)
	differs := other != nil && other.text != v.text
	secret := mustNotCopy(v.name, text) || scheme != ""
	inPath := strings.HasPrefix(v.where, "path ")
	thing := inPath && namesOneThing(v.raw)
	if differs || secret || thing || idName(v.name) || isUUID(text) {
		if s, ok := c.source(i, v, text, other, differs, secret); ok {
			v.as = scheme + "${" + c.keepFrom(s, v) + "}"
			return byAnswer
		}
	}
	pos := x.pos
	column := userColumn(v.name)
	switch {
	case column == "password" || personal(text) || column != "" && (login || differs):
		if personal(text) && column != "username" && column != "login" && column != "password" {
			column = "email"
		}
		v.as = "${" + personRef(column) + "}"
		if column == "password" {
			c.t.note(pos, "%s of %s %s is a secret and was not copied", v.where, x.method, x.template())
		}
		return byUser
	case secret:
		v.as = scheme + "${" + personRef(orWord(v.name, "token")) + "}"
		c.t.note(pos, "%s of %s %s looks like a secret, and no earlier answer brought it; it was not copied", v.where, x.method, x.template())
		return unresolved
	case thing && !isDate(v.text):
		before := ""
		if n > 0 {
			before = x.segments[n-1].raw
		}
		ref := "rows." + tableNamed(before) + ".id"
		if s := plainSample(v.raw); s != "" {
			c.t.sample(ref, s)
		}
		v.as = "${" + ref + "}"
		return byUser
	case differs:
		what := "fill in"
		if isUUID(text) || looksLikeTime(text) {
			what = "made by the client"
		}
		x.marks = append(x.marks, fmt.Sprintf("%s differs between the recordings: %s", v.where, what))
		c.t.note(pos, "%s of %s %s differs between the recordings and no answer brought it: %s", v.where, x.method, x.template(), what)
		return unresolved
	}
	return constant
}

// splitScheme takes "Bearer " from the front of a header's value.
func splitScheme(v *value) (scheme, text string) {
	if !strings.HasPrefix(v.where, "header ") {
		return "", v.text
	}
	for _, s := range []string{"Bearer ", "Token ", "JWT ", "Basic ", "Digest ", "ApiKey "} {
		if len(v.text) > len(s) && strings.EqualFold(v.text[:len(s)], s) {
			return v.text[:len(s)], v.text[len(s):]
		}
	}
	return "", v.text
}

// mustNotCopy reports whether a value is a secret by its name or its look. Short plain
// words below ambiguous names, "state=open", are none.
func mustNotCopy(name, text string) bool {
	if secretValue(text) {
		return true
	}
	if !secretName(name) {
		return false
	}
	low := strings.ToLower(name)
	if slices.Contains(secretShort, low) && len(text) <= 12 && strings.IndexFunc(text, func(r rune) bool { return r|0x20 < 'a' || r|0x20 > 'z' }) < 0 {
		return low == "pw" || low == "sid" || low == "pin"
	}
	return text != "true" && text != "false"
}

// idName reports whether a field's name says that it names a thing: "id", "order_id",
// "productId".
func idName(name string) bool {
	return name == "id" || strings.HasSuffix(name, "_id") || strings.HasSuffix(name, "Id") || strings.HasSuffix(name, "ID") || strings.EqualFold(name, "uuid")
}

// source finds the latest answer that brought the value, with the shortest path in it.
// When a second recording has the value too, its answer must have brought the other
// value in the same place.
func (c *correlation) source(i int, v *value, text string, other *value, differs, secret bool) (spot, bool) {
	want := ""
	if differs {
		o := *other
		_, want = splitScheme(&o)
	}
	var best spot
	ok := false
	for _, s := range c.index[text] {
		switch {
		case differs && !c.also(s, want):
			continue
		case !differs && !secret && !idName(s.place.name) && !isUUID(text):
			continue // a value as common as a number may stand anywhere
		case !differs && c.b != nil && !secret:
			continue // both users had the same: it is part of the story
		case len(text) < 4 && !idName(s.place.name) && !strings.EqualFold(s.place.name, v.name):
			continue
		case !s.place.keepable():
			c.unkept(i, v, s)
			continue
		}
		if !ok || s.step > best.step || s.step == best.step && len(s.place.from) < len(best.place.from) {
			best, ok = s, true
		}
	}
	return best, ok
}

// unkept notes a value that a page brought, once for each place.
func (c *correlation) unkept(i int, v *value, s spot) {
	key := s.place.from + v.where
	if _, told := c.kept[key]; !told {
		c.kept[key] = ""
		c.t.note(c.a.steps[i].pos, "%s comes from the page of %s %s (%s), from where it cannot be kept", v.where, c.a.steps[s.step].method, c.a.steps[s.step].template(), s.place.from)
	}
}

// also reports whether the second recording's answer has the other value in that place.
func (c *correlation) also(s spot, want string) bool {
	k, ok := c.pair[s.step]
	if !ok {
		return false
	}
	return slices.ContainsFunc(c.b.steps[k].places, func(p answerPlace) bool { return p.from == s.place.from && p.text == want })
}

// keepFrom makes the step keep the value, once, and returns its name.
func (c *correlation) keepFrom(s spot, v *value) string {
	key := fmt.Sprintf("%d %s", s.step, s.place.from)
	if name := c.kept[key]; name != "" {
		return name
	}
	x := c.a.steps[s.step]
	name := strings.ReplaceAll(safeName(s.place.name), "-", "_")
	if name == "id" || name == "uuid" || name == "" {
		about := "item"
		for _, seg := range x.segments {
			if !namesOneThing(seg.raw) && safeName(seg.raw) != "" {
				about = strings.ReplaceAll(safeName(seg.raw), "-", "_")
			}
		}
		name = strings.TrimSuffix(about, "s") + "_" + orWord(name, "id")
	}
	if name[0] >= '0' && name[0] <= '9' {
		name = "v" + name
	}
	if name == "session" || name == "seq" || name == "rows" {
		name += "_value" // these words mean something else in premortem.yaml
	}
	name = strings.ReplaceAll(c.names.take(name), "-", "_")
	c.kept[key] = name
	x.keep = append(x.keep, premortem.Keep{Name: name, From: s.place.from})
	return name
}

func orWord(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// others are the values of the counterpart of a step, by where they stand.
func (c *correlation) others(i int) map[string]*value {
	out := map[string]*value{}
	if k, ok := c.pair[i]; ok {
		for _, v := range c.b.steps[k].values() {
			out[v.where] = v
		}
	}
	return out
}

// cookies notes those that no earlier answer set. The others come back by themselves:
// a session keeps what answers set.
func (c *correlation) cookies(i int, x *exchange) {
	for _, k := range x.cookies {
		set := slices.ContainsFunc(c.a.steps[:i], func(e *exchange) bool { return e.sets[k.name] })
		key := "cookie " + k.name
		if _, told := c.kept[key]; set || told || k.name == "" {
			continue
		}
		c.kept[key] = ""
		if !secretName(k.name) && !secretValue(k.text) || !token(k.name) {
			c.t.note(x.pos, "the cookie %s was there before the recording began; it was not copied", oneLine(k.name))
			continue
		}
		ref := personRef(k.name)
		x.headers = append(x.headers, &value{where: "header cookie " + k.name, name: "Cookie", as: k.name + "=${" + ref + "}"})
		c.t.note(x.pos, "the cookie %s was there before the recording began; it may be a session, and was not copied: record from before the log-in", k.name)
	}
	c.joinCookies(x)
}

// joinCookies makes one header of several.
func (c *correlation) joinCookies(x *exchange) {
	var one *value
	x.headers = slices.DeleteFunc(x.headers, func(h *value) bool {
		if h.name != "Cookie" {
			return false
		}
		if one == nil {
			one = h
			return false
		}
		one.as += "; " + h.as
		return true
	})
}

func looksLikeTime(s string) bool {
	if _, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return true
	}
	return allDigits(s) && (len(s) == 10 || len(s) == 13) && s[0] == '1'
}

// align puts the steps of two recordings side by side: the longest common subsequence of
// requests that ask for the same.
func align(a, b []*exchange) map[int]int {
	best := make([][]uint16, len(a)+1)
	for i := range best {
		best[i] = make([]uint16, len(b)+1)
	}
	same := make([]string, len(b))
	for k, y := range b {
		same[k] = y.method + y.template()
	}
	like := func(i, k int, key string) bool {
		return key == same[k] || a[i].method == b[k].method && oneSegmentApart(a[i].segments, b[k].segments)
	}
	for i := len(a) - 1; i >= 0; i-- {
		key := a[i].method + a[i].template()
		for k := len(b) - 1; k >= 0; k-- {
			best[i][k] = max(best[i+1][k], best[i][k+1])
			if like(i, k, key) {
				best[i][k] = max(best[i][k], best[i+1][k+1]+1)
			}
		}
	}
	out := map[int]int{}
	for i, k := 0, 0; i < len(a) && k < len(b); {
		switch {
		case like(i, k, a[i].method+a[i].template()) && best[i][k] == best[i+1][k+1]+1:
			out[i] = k
			i++
			k++
		case best[i+1][k] >= best[i][k+1]:
			i++
		default:
			k++
		}
	}
	return out
}

// oneSegmentApart reports whether two paths of three or more segments differ in one,
// which is then the name of a thing: /shop/red-lamp/reviews.
func oneSegmentApart(a, b []*value) bool {
	if len(a) != len(b) || len(a) < 3 || a[0].raw != b[0].raw {
		return false
	}
	n := 0
	for i := range a {
		if a[i].raw != b[i].raw {
			n++
		}
	}
	return n <= 1
}
