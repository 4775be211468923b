package drive

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/premortem/premortem"
)

// HAR reads what a browser recorded. See http://www.softwareishard.com/blog/har-12-spec/.
var HAR = addImporter(Importer{
	Name: "har",
	Doc: premortem.Doc{
		Title:  "HAR, a browser's recording",
		Why:    "It is one user's story with every request, its body and the pauses between, which is what a journey is.",
		When:   "A .har file exported from the network panel of a browser, with content. Two recordings of the same story, made as two users, show which values come from answers and which from the user.",
		Silent: "Static files, other sites and preflights are left out and counted. Secrets and cookies are never copied: they are kept from the answer that set them, or become ${…} to be filled.",
		Fix:    "premortem init --from first.har --from second.har; in Chrome, choose the export with sensitive data, or cookies and tokens cannot be followed.",
	},
	Wants: func(p string, head []byte) bool {
		return hasKeys(head, "log") && (strings.EqualFold(path.Ext(p), ".har") || hasKeys(head, "creator", "entries") || hasKeys(head, "creator", "pages"))
	},
	Read: readHARs,
})

const (
	maxExchanges = 2000
	maxPlaces    = 400_000 // values of answers of one recording that are searched
)

// harEntry is what is read of one entry.
type harEntry struct {
	Started  string  `json:"startedDateTime"`
	Time     float64 `json:"time"` // ms
	Resource string  `json:"_resourceType"`
	Request  struct {
		Method   string     `json:"method"`
		URL      string     `json:"url"`
		Headers  []harField `json:"headers"`
		Cookies  []harField `json:"cookies"`
		PostData *struct {
			MimeType string     `json:"mimeType"`
			Text     string     `json:"text"`
			Params   []harField `json:"params"`
		} `json:"postData"`
	} `json:"request"`
	Response struct {
		Status  int        `json:"status"`
		Headers []harField `json:"headers"`
		Content struct {
			MimeType string `json:"mimeType"`
			Text     string `json:"text"`
			Encoding string `json:"encoding"`
		} `json:"content"`
	} `json:"response"`
}

type harField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// story is one recording taken apart.
type story struct {
	file    string
	title   string
	steps   []*exchange
	places  int
	dropped map[string]uint64
	others  map[string]uint64 // hosts that are not the application's
	cookies bool              // any request showed a cookie
	firstOf string            // host of the first page
	all     uint64
}

func readHARs(ctx context.Context, in []Source) (Traffic, error) {
	var t Traffic
	var stories []*story
	for _, s := range in {
		st, err := readHAR(ctx, s)
		if err != nil {
			return Traffic{}, err
		}
		st.keepOwn()
		stories = append(stories, st)
	}
	names := uniqueNames{}
	for len(stories) > 0 {
		a := stories[0]
		stories = stories[1:]
		i := slices.IndexFunc(stories, func(b *story) bool { return alike(a, b) })
		var b *story
		if i >= 0 {
			b = stories[i]
			stories = slices.Delete(stories, i, i+1)
		} else if len(in) > 1 && len(a.steps) > 0 {
			t.note(premortem.Pos{File: a.file}, "no other recording tells the same story; it stands alone")
		}
		a.report(&t)
		if len(a.steps) == 0 {
			continue
		}
		c := &correlation{t: &t, a: a, b: b, names: uniqueNames{}}
		c.run()
		name := safeName(strings.TrimSuffix(path.Base(strings.ReplaceAll(a.file, "\\", "/")), path.Ext(a.file)))
		t.Journeys = append(t.Journeys, a.journey(&t, names.take(name)))
		a.guess(&t)
	}
	return t, nil
}

// readHAR streams one recording.
func readHAR(ctx context.Context, s Source) (*story, error) {
	j := newJSONStream(s, "HAR")
	st := &story{file: s.Path, dropped: map[string]uint64{}, others: map[string]uint64{}}
	found := false
	err := j.object(func(key string) error {
		if key != "log" {
			return j.skip()
		}
		return j.object(func(key string) error {
			switch key {
			case "pages":
				return j.array(ctx, func() error { return st.page(j) })
			case "entries":
				found = true
				return j.array(ctx, func() error { return st.entry(j) })
			}
			return j.skip()
		})
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, j.fail(err, "export the recording again: save all as HAR with content")
	}
	if !found {
		return nil, &premortem.Error{Doing: "read HAR", Pos: premortem.Pos{File: s.Path, Line: 1},
			Err: fmt.Errorf("it has no log.entries"), Hint: "export the recording again: save all as HAR with content"}
	}
	return st, nil
}

func (st *story) page(j *jsonStream) error {
	var p struct {
		Title string `json:"title"`
	}
	if err := j.dec.Decode(&p); err != nil {
		return err
	}
	if u, err := url.Parse(p.Title); st.firstOf == "" && err == nil && u.Host != "" && strings.HasPrefix(u.Scheme, "http") {
		st.firstOf = u.Hostname()
	}
	return nil
}

func (st *story) entry(j *jsonStream) error {
	pos := j.pos()
	var e harEntry
	if err := j.dec.Decode(&e); err != nil {
		return err
	}
	if j.pos().Line > pos.Line {
		pos.Line++ // the entry begins on the line after the one before
	}
	st.all++
	if why := e.leftOut(); why != "" {
		st.dropped[why]++
		return nil
	}
	u, err := url.Parse(e.Request.URL)
	if err != nil || u.Host == "" || !strings.HasPrefix(u.Scheme, "http") {
		st.dropped["addresses that are not http"]++
		return nil
	}
	if len(st.steps) >= maxExchanges {
		st.dropped[fmt.Sprintf("more than %d requests", maxExchanges)]++
		return nil
	}
	x := newExchange(&e, u)
	x.pos = pos
	if st.firstOf == "" && strings.Contains(e.Response.Content.MimeType, "html") {
		st.firstOf = x.host
	}
	st.cookies = st.cookies || len(e.Request.Cookies) > 0 || len(x.cookies) > 0
	if st.places < maxPlaces {
		x.readAnswer(&e)
		st.places += len(x.places)
	}
	st.steps = append(st.steps, x)
	return nil
}

// leftOut says why an entry is no request to the application, "" when it may be one.
func (e *harEntry) leftOut() string {
	mime := strings.ToLower(e.Response.Content.MimeType)
	switch e.Resource {
	case "image", "stylesheet", "script", "font", "media", "manifest", "texttrack":
		return "static files"
	case "ping", "beacon", "csp-violation-report":
		return "beacons"
	case "preflight":
		return "preflights"
	case "websocket":
		return "WebSockets"
	}
	p, _, _ := strings.Cut(e.Request.URL, "?")
	switch {
	case e.Response.Status == 101:
		return "WebSockets"
	case e.Response.Status < 200:
		return "requests without an answer"
	case e.Request.Method == "OPTIONS":
		return "preflights"
	case !importable(e.Request.Method):
		return "the method " + oneLine(e.Request.Method)
	case staticPath(p), strings.HasPrefix(mime, "image/"), strings.HasPrefix(mime, "font/"), strings.HasPrefix(mime, "video/"), strings.HasPrefix(mime, "audio/"),
		strings.HasPrefix(mime, "text/css"), strings.Contains(mime, "javascript"):
		return "static files"
	}
	return ""
}

// keepOwn drops what went to other sites than the application's.
func (st *story) keepOwn() {
	if st.firstOf == "" && len(st.steps) > 0 {
		st.firstOf = st.steps[0].host
	}
	site := siteOf(st.firstOf)
	st.steps = slices.DeleteFunc(st.steps, func(x *exchange) bool {
		if x.host == st.firstOf || siteOf(x.host) == site && !measures(x.host) {
			return false
		}
		st.others[x.host]++
		return true
	})
	slices.SortStableFunc(st.steps, func(a, b *exchange) int { return a.at.Compare(b.at) })
}

// siteOf is the part of a host's name that one owner has: the last two labels, or three
// below co.uk and its like. An address is its own site.
func siteOf(host string) string {
	labels := strings.Split(host, ".")
	n := len(labels)
	if n < 3 || allDigits(labels[n-1]) || strings.Contains(host, ":") {
		return host
	}
	if len(labels[n-1]) == 2 && slices.Contains([]string{"co", "com", "net", "org", "gov", "edu", "ac", "gob", "or", "ne"}, labels[n-2]) && n > 3 {
		return strings.Join(labels[n-3:], ".")
	}
	return strings.Join(labels[n-2:], ".")
}

// measures reports whether a host of the same site only counts and watches.
func measures(host string) bool {
	first, _, _ := strings.Cut(host, ".")
	return slices.Contains([]string{"analytics", "metrics", "stats", "telemetry", "collect", "sentry", "tracking", "ads", "cdn", "static", "assets", "img", "images"}, first)
}

// alike reports whether two recordings tell the same story: half of their requests can
// be put side by side.
func alike(a, b *story) bool {
	return 2*len(align(a.steps, b.steps)) >= max(len(a.steps), len(b.steps)) && len(a.steps) > 0
}

// report notes what was left out.
func (st *story) report(t *Traffic) {
	pos := premortem.Pos{File: st.file}
	for _, why := range sortedNames(st.dropped) {
		t.note(pos, "%d of %d requests left out: %s", st.dropped[why], st.all, why)
	}
	if len(st.others) > 0 {
		var hosts []string
		for _, h := range sortedNames(st.others) {
			hosts = append(hosts, fmt.Sprintf("%s (%d)", oneLine(h), st.others[h]))
		}
		t.note(pos, "other sites left out: %s", strings.Join(hosts, ", "))
	}
	if !st.cookies && len(st.steps) > 0 {
		t.note(pos, "no request shows a cookie; a browser that exports without sensitive data leaves them out, and then sessions cannot be followed")
	}
}

// journey writes the story's requests and the pauses between them.
func (st *story) journey(t *Traffic, name string) *premortem.Journey {
	j := &premortem.Journey{Name: name, Weight: 1}
	var free time.Time // when the last answer so far had come
	for i, x := range st.steps {
		if i > 0 && !x.at.IsZero() && !free.IsZero() {
			if d := snapThink(x.at.Sub(free)); d > 0 {
				j.Steps = append(j.Steps, premortem.Step{Think: d})
			}
		}
		if end := x.at.Add(x.took); end.After(free) {
			free = end
		}
		r := x.request(t)
		x.route = r.Route
		j.Steps = append(j.Steps, premortem.Step{Request: r})
	}
	return j
}

// guess promises twice what was recorded: one answer is no percentile.
func (st *story) guess(t *Traffic) {
	longest := map[string]time.Duration{}
	var routes []string
	for _, x := range st.steps {
		if x.took <= 0 || x.status >= 400 {
			continue
		}
		if _, ok := longest[x.route]; !ok {
			routes = append(routes, x.route)
		}
		longest[x.route] = max(longest[x.route], x.took)
	}
	for _, r := range routes {
		if t.Why[r] == "" {
			t.promise(r, st.file, roundUp(2*longest[r]), 1, fmt.Sprintf("recorded once, %s", longest[r].Round(time.Millisecond)))
		}
	}
}
