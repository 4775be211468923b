package drive

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/premortem/premortem"
)

// Recorder reads what Chrome's Recorder panel exports. See
// https://github.com/puppeteer/replay/blob/main/docs/api/interfaces/Schema.UserFlow.md.
var Recorder = addImporter(Importer{
	Name: "chrome-recorder",
	Doc: premortem.Doc{
		Title:  "Chrome Recorder",
		Why:    "It is the way of one user through the pages, as a person clicked it.",
		When:   "A JSON file exported from the Recorder panel of Chrome's developer tools.",
		Silent: "It holds pages and clicks, and not what the pages' scripts ask for: journeys from it load pages alone. What was typed is never copied. Pauses are guessed, one second for each action, since the file has no times.",
		Fix:    "premortem init --from recording.json; record a HAR of the same story to have the requests of the scripts too.",
	},
	Wants: func(_ string, head []byte) bool {
		return hasKeys(head, "title", "steps", "type") && !hasKeys(head, "log", "creator")
	},
	Read: readRecorders,
})

// recorderStep is what is read of a step.
type recorderStep struct {
	Type     string `json:"type"`
	URL      string `json:"url"`
	Asserted []struct {
		Type  string `json:"type"`
		URL   string `json:"url"`
		Title string `json:"title"`
	} `json:"assertedEvents"`
}

// recording is one file's way through the pages.
type recording struct {
	file    string
	title   string
	host    string
	pages   []visitedPage
	actions int // since the last page
	typed   int
	steps   int
	others  map[string]uint64
}

type visitedPage struct {
	pos   premortem.Pos
	u     *url.URL
	after int // actions before it
}

func readRecorders(ctx context.Context, in []Source) (Traffic, error) {
	var t Traffic
	names := uniqueNames{}
	for _, s := range in {
		r, err := readRecorder(ctx, s)
		if err != nil {
			return Traffic{}, err
		}
		r.addTo(&t, names)
	}
	return t, nil
}

func readRecorder(ctx context.Context, s Source) (*recording, error) {
	j := newJSONStream(s, "Chrome recording")
	r := &recording{file: s.Path, others: map[string]uint64{}}
	err := j.object(func(key string) error {
		switch key {
		case "title":
			return j.dec.Decode(&r.title)
		case "steps":
			return j.array(ctx, func() error {
				pos := j.pos()
				var raw json.RawMessage
				if err := j.dec.Decode(&raw); err != nil {
					return err
				}
				var step recorderStep
				if err := json.Unmarshal(raw, &step); err != nil {
					return fmt.Errorf("step %d: %w", r.steps+1, err)
				}
				if j.pos().Line > pos.Line {
					pos.Line++
				}
				return r.step(step, pos)
			})
		}
		return j.skip()
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, j.fail(err, "export the recording again, as JSON")
	}
	return r, nil
}

// step counts an action, or follows the user to a page.
func (r *recording) step(s recorderStep, pos premortem.Pos) error {
	r.steps++
	if s.Type == "" {
		return fmt.Errorf("step %d has no type", r.steps)
	}
	if r.steps > 100*maxExchanges || len(r.pages) >= maxExchanges {
		return nil
	}
	switch s.Type {
	case "navigate":
		r.visit(s.URL, pos)
		return nil // what it asserts is the page itself
	case "change", "keyDown":
		r.typed++
		r.actions++
	case "click", "doubleClick", "hover", "scroll":
		r.actions++
	}
	for _, e := range s.Asserted {
		if e.Type == "navigation" && e.URL != "" {
			r.visit(e.URL, pos)
		}
	}
	return nil
}

func (r *recording) visit(to string, pos premortem.Pos) {
	u, err := url.Parse(to)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return
	}
	if r.host == "" {
		r.host = u.Hostname()
	}
	if u.Hostname() != r.host && siteOf(u.Hostname()) != siteOf(r.host) {
		r.others[u.Hostname()]++
		return
	}
	if n := len(r.pages); n > 0 && r.pages[n-1].u.EscapedPath() == u.EscapedPath() && r.pages[n-1].u.RawQuery == u.RawQuery {
		return // a jump within the page
	}
	r.pages = append(r.pages, visitedPage{pos, u, r.actions})
	r.actions = 0
}

// addTo writes the pages as a journey.
func (r *recording) addTo(t *Traffic, names uniqueNames) {
	pos := premortem.Pos{File: r.file}
	if len(r.others) > 0 {
		t.note(pos, "other sites left out: %s", strings.Join(sortedNames(r.others), ", "))
	}
	if len(r.pages) == 0 {
		return
	}
	st := &story{file: r.file, cookies: true}
	j := &premortem.Journey{Name: names.take(safeName(orWord(r.title, "recording"))), Weight: 1}
	for _, p := range r.pages {
		var e harEntry
		e.Request.Method = "GET"
		x := newExchange(&e, p.u)
		x.pos = p.pos
		st.steps = append(st.steps, x)
	}
	c := &correlation{t: t, a: st, names: uniqueNames{}}
	c.run()
	for i, x := range st.steps {
		if i > 0 {
			pause := min(time.Duration(1+r.pages[i].after)*time.Second, sessionGap)
			j.Steps = append(j.Steps, premortem.Step{Think: pause})
		}
		j.Steps = append(j.Steps, premortem.Step{Request: x.request(t)})
	}
	t.Journeys = append(t.Journeys, j)
	t.note(pos, "a Chrome recording holds no requests of the pages' scripts and no times; pauses are guessed, one second for each action")
	if r.typed > 0 {
		t.note(pos, "what was typed (%d inputs) was not copied, and forms are not sent: record a HAR for that", r.typed)
	}
}
