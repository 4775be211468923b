package rehearse

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/premortem/premortem"
)

// boot tries each variable that production does not provide: does the service start
// without it? What the files suspect becomes shown. A service that starts all the
// same proves nothing, since the value may be missed only when it is used.
func (r *run) boot(ctx context.Context) error {
	for _, n := range r.c.Services() {
		for _, name := range r.c.Filled(n) {
			f := r.finding("env-missing", n, name)
			if f == nil {
				continue
			}
			r.doing("start %s without %s, as production would", n, name)
			b, ok, err := r.c.TryBoot(ctx, n, name)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			if b.Healthy {
				f.Evidence = append(f.Evidence, premortem.Evidence{
					Says: fmt.Sprintf("the clone starts without it, healthy after %.1f s; it is missed when it is used", b.After.Seconds()),
				})
				continue
			}
			if !b.Ended { // slow is not broken
				f.Evidence = append(f.Evidence, premortem.Evidence{
					Says: fmt.Sprintf("the clone waited %.0f s for it without the variable; it neither ended nor became healthy", b.After.Seconds()),
				})
				continue
			}
			f.Standing = premortem.Shown
			f.Evidence = append(f.Evidence, premortem.Evidence{
				Says: fmt.Sprintf("started in the clone without it, it ended with %s after %.1f s: %s", b.Exit, b.After.Seconds(), errorLine(b.Lines, name)),
			})
		}
	}
	return nil
}

// errorLine picks the line that names the variable, one that begins like an error
// first, else the last line that is not part of a stack.
func errorLine(lines []string, name string) string {
	best, last := "", ""
	for _, l := range lines {
		t := strings.TrimSpace(l)
		switch {
		case strings.Contains(t, name) && startsAsError.MatchString(t):
			return t
		case strings.Contains(t, name) && best == "":
			best = t
		case t != "" && !strings.HasPrefix(t, "at "):
			last = t
		}
	}
	return cmp.Or(best, last)
}

var startsAsError = regexp.MustCompile(`^(\w*(Error|Exception)|error|fatal|panic)\b`)

// finding returns the static finding of a rule about a node whose subject names what.
func (r *run) finding(rule string, n premortem.Node, what string) *premortem.Finding {
	for i := range r.static {
		f := &r.static[i]
		if f.Rule == rule && f.Node == n && strings.Contains(" "+f.Subject+" ", " "+what+" ") {
			return f
		}
	}
	return nil
}
