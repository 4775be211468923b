package observe

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"sync"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/clone"
)

// Logs groups the units' lines into templates.
var Logs = add(Probe{
	Name: "logs",
	Doc: premortem.Doc{
		Title:  "what the units wrote",
		Why:    "An error line names the cause in the app's own words.",
		When:   "Every line, JSON or text; variable parts are folded.",
		Silent: "At most 200 templates of a service are kept apart; the rest is counted as one.",
		Fix:    "Read the error templates that normal load did not write, the most frequent first, and find the line that writes them.",
	},
	Watch: func(_ context.Context, c *clone.Clone) (Eye, error) {
		e := &logEye{counts: map[logKey]*premortem.LogStats{}}
		for _, n := range c.Services() {
			if b := c.LogBook(n); b != nil {
				e.stops = append(e.stops, b.Follow(func(line []byte) { e.line(n, line) }))
			}
		}
		return e, nil
	},
})

const maxTemplates = 200

type logKey struct {
	node     premortem.Node
	template string
}

type logEye struct {
	stops []func()

	mu     sync.Mutex
	counts map[logKey]*premortem.LogStats
}

// variable parts of a line, in the order in which they are folded. Whatever could be
// a secret or a person goes with them.
var folds = []*regexp.Regexp{
	regexp.MustCompile(`[\w.+-]+@[\w-]+(\.[\w-]+)+`),
	regexp.MustCompile(`\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F-]{22}\b`),
	regexp.MustCompile(`\b[A-Za-z0-9_-]{20,}\b`),
	regexp.MustCompile(`\b\d[\d.:,]*\b`),
	regexp.MustCompile(`"[^"]*"|'[^']*'`),
}

func (e *logEye) line(n premortem.Node, line []byte) {
	level, message := parseLine(line)
	t := message
	for _, f := range folds {
		t = f.ReplaceAll(t, []byte("<*>"))
	}
	if len(t) > 300 {
		t = t[:300]
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	k := logKey{n, level + " " + string(t)}
	s := e.counts[k]
	if s == nil {
		if len(e.counts) >= maxTemplates {
			k.template = "(further templates)"
			if s = e.counts[k]; s != nil {
				s.Count++
				return
			}
			t = []byte(k.template)
		}
		s = &premortem.LogStats{Node: n, Level: level, Template: string(bytes.ToValidUTF8(t, []byte("?")))}
		s.Example = s.Template // the line itself may hold what must not be kept
		e.counts[k] = s
	}
	s.Count++
}

// levels of pino and bunyan.
var numericLevels = map[int]string{10: "trace", 20: "debug", 30: "info", 40: "warn", 50: "error", 60: "fatal"}

// parseLine takes the level and the message out of a JSON line; another line is its
// own message, an error when it looks like one.
func parseLine(line []byte) (level string, message []byte) {
	if len(line) > 0 && line[0] == '{' {
		var v struct {
			Level json.RawMessage `json:"level"`
			Msg   string          `json:"msg"`
			Text  string          `json:"message"`
			Err   struct {
				Message string `json:"message"`
			} `json:"err"`
		}
		if json.Unmarshal(line, &v) == nil {
			msg := cmp.Or(v.Msg, v.Text)
			if v.Err.Message != "" && v.Err.Message != msg {
				msg += ": " + v.Err.Message
			}
			var n int
			if json.Unmarshal(v.Level, &n) == nil {
				level = numericLevels[n]
			} else {
				_ = json.Unmarshal(v.Level, &level)
			}
			return level, []byte(msg)
		}
	}
	if looksLikeError.Match(line) {
		level = "error"
	}
	return level, line
}

var looksLikeError = regexp.MustCompile(`(?i)\b(error|exception|fatal|panic|unhandled)\b`)

func (e *logEye) Take(_ context.Context, p *premortem.Phase) ([]string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.counts {
		p.Logs = append(p.Logs, *s)
	}
	clear(e.counts)
	slices.SortFunc(p.Logs, func(a, b premortem.LogStats) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), -cmp.Compare(a.Count, b.Count), cmp.Compare(a.Level, b.Level), cmp.Compare(a.Template, b.Template))
	})
	return nil, nil
}

func (e *logEye) Close() error {
	for _, stop := range e.stops {
		stop()
	}
	e.stops = nil
	return nil
}
