package drive

import (
	"strings"

	"github.com/premortem/premortem"
)

const (
	// manySiblings is from how many names in one place of a path they are taken for
	// names of things, and not of routes.
	manySiblings = 50
	// maxSeenRoutes bounds memory against paths that nobody can sort.
	maxSeenRoutes = 2000
	maxSegments   = 12
)

// routeTree turns paths into routes as they are seen. Segments that name one thing
// become :id at once; siblings that turn out to be many become :id later, and the
// routes below them one.
type routeTree struct {
	root   branch
	routes []*seenRoute
}

// branch is a segment of a path.
type branch struct {
	up      *branch
	name    string
	kids    map[string]*branch
	thing   *branch // below it stands :id
	closed  bool    // unknown names are things
	visits  uint64
	sample  string
	methods map[string]*seenRoute
}

// seenRoute is a route with what was seen of it.
type seenRoute struct {
	at       *branch
	method   string
	into     *seenRoute // it turned out to be the same as this one
	count    uint64
	errors   uint64 // answers of 500 and more
	statuses map[int]uint64
	times    premortem.Histogram
	query    string
}

// find follows what it was merged into.
func (r *seenRoute) find() *seenRoute {
	for r.into != nil {
		r = r.into
	}
	return r
}

// place returns the route of a path, nil when there are more than anybody can sort.
func (t *routeTree) place(method, path string) *seenRoute {
	b := &t.root
	b.visits++
	rest := strings.Trim(path, "/")
	for n := 0; rest != ""; n++ {
		seg, after, _ := strings.Cut(rest, "/")
		rest = after
		if n == maxSegments {
			break
		}
		b = t.step(b, seg)
		b.visits++
	}
	r := b.methods[method]
	if r != nil {
		return r.find()
	}
	if len(t.routes) >= maxSeenRoutes {
		return nil
	}
	r = &seenRoute{at: b, method: method, statuses: map[int]uint64{}}
	if b.methods == nil {
		b.methods = map[string]*seenRoute{}
	}
	b.methods[method] = r
	t.routes = append(t.routes, r)
	return r
}

// step goes one segment down.
func (t *routeTree) step(b *branch, seg string) *branch {
	if kid := b.kids[seg]; kid != nil {
		return kid
	}
	if b.closed || namesOneThing(seg) || strings.HasPrefix(seg, ":") {
		if b.thing == nil {
			b.thing = &branch{up: b, name: ":id", sample: plainSample(seg)}
		}
		return b.thing
	}
	if b.kids == nil {
		b.kids = map[string]*branch{}
	}
	seg = strings.Clone(seg)
	kid := &branch{up: b, name: seg}
	b.kids[seg] = kid
	if len(b.kids) > manySiblings {
		t.fold(b)
		if b.kids[seg] == nil {
			return b.thing
		}
	}
	return kid
}

// plainSample is the segment, or nothing where it may be somebody's.
func plainSample(seg string) string {
	if strings.HasPrefix(seg, ":") || personal(seg) || strings.Contains(seg, "%40") || secretValue(seg) || len(seg) > 64 || len(seg) >= 16 && allHex(seg) {
		return ""
	}
	return strings.Clone(seg)
}

// fold makes one of all siblings but those that are asked for often: a tenth of the
// visits and more is a route of its own.
func (t *routeTree) fold(b *branch) {
	if b.thing == nil {
		b.thing = &branch{up: b, name: ":id"}
	}
	b.closed = true
	for name, kid := range b.kids {
		if kid.visits*10 >= b.visits {
			continue
		}
		if b.thing.sample == "" || name < b.thing.sample {
			b.thing.sample = plainSample(name) // the first by name: the same in every run
		}
		t.merge(b.thing, kid)
		delete(b.kids, name)
	}
}

// merge adds what was seen below from to what was seen below to.
func (t *routeTree) merge(to, from *branch) {
	to.visits += from.visits
	for method, r := range from.methods {
		r = r.find()
		if to.methods == nil {
			to.methods = map[string]*seenRoute{}
		}
		if old := to.methods[method]; old != nil && old.find() != r {
			old.find().add(r)
			continue
		}
		to.methods[method] = r
		r.at = to
	}
	for name, kid := range from.kids {
		next := to.kids[name]
		if next == nil {
			next = &branch{up: to, name: name}
			if to.kids == nil {
				to.kids = map[string]*branch{}
			}
			to.kids[name] = next
		}
		t.merge(next, kid)
	}
	if from.thing != nil {
		if to.thing == nil {
			to.thing = &branch{up: to, name: ":id", sample: from.thing.sample}
		}
		t.merge(to.thing, from.thing)
	}
	to.closed = to.closed || from.closed
}

// add takes over what was seen of o.
func (r *seenRoute) add(o *seenRoute) {
	r.count += o.count
	r.errors += o.errors
	for s, n := range o.statuses {
		r.statuses[s] += n
	}
	r.times.Merge(&o.times)
	if r.query == "" {
		r.query = o.query
	}
	o.into = r
	o.statuses, o.times = nil, premortem.Histogram{}
}

// segments are the branches from the root to the route.
func (r *seenRoute) segments() []*branch {
	var out []*branch
	for b := r.at; b.up != nil; b = b.up {
		out = append([]*branch{b}, out...)
	}
	return out
}

// name is "GET /api/orders/:id".
func (r *seenRoute) name() string {
	path := ""
	for _, b := range r.segments() {
		path += "/" + b.name
	}
	if path == "" {
		path = "/"
	}
	return r.method + " " + path
}

// path is the request's path with a reference to a row for each :id.
func (r *seenRoute) path(t *Traffic) string {
	path, before := "", ""
	for _, b := range r.segments() {
		if b.name != ":id" {
			path += "/" + plainPath(b.name)
			before = b.name
			continue
		}
		ref := "rows." + tableNamed(before) + ".id"
		if b.sample != "" {
			t.sample(ref, b.sample)
		}
		path += "/${" + ref + "}"
	}
	if path == "" {
		path = "/"
	}
	return path + r.query
}

// tableNamed guesses the table that a segment of a path is about.
func tableNamed(seg string) string {
	var b strings.Builder
	for i := range len(seg) {
		switch c := seg[i]; {
		case c >= 'A' && c <= 'Z':
			if i > 0 && b.Len() > 0 {
				b.WriteByte('_')
			}
			b.WriteByte(c | 0x20)
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_':
			b.WriteByte(c)
		case c == '-':
			b.WriteByte('_')
		}
	}
	if b.Len() == 0 {
		return "items"
	}
	return b.String()
}

// plainPath makes a path fit for a request line and for a YAML file: what begins a
// reference, ends a path or is no printable ASCII is written as %XX.
func plainPath(path string) string {
	clean := true
	for i := range len(path) {
		if badInPath(path, i) {
			clean = false
		}
	}
	if clean {
		return path
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(path) {
		if badInPath(path, i) {
			b.WriteByte('%')
			b.WriteByte(hex[path[i]>>4])
			b.WriteByte(hex[path[i]&15])
		} else {
			b.WriteByte(path[i])
		}
	}
	return b.String()
}

func badInPath(path string, i int) bool {
	c := path[i]
	return c <= ' ' || c >= 0x7f || strings.IndexByte("#\"<>\\^`{|}", c) >= 0
}
