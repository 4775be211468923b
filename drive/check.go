package drive

import (
	"fmt"

	"github.com/premortem/premortem"
)

// check is what an answer must hold beyond its status.
type check struct {
	at   keep
	is   string // "" anything
	kind string // what a failure is counted as; it holds no value of an answer
}

func parseCheck(c premortem.Check) (check, error) {
	at, err := parseKeep(premortem.Keep{Name: "check", From: c.From})
	if err != nil {
		return check{}, err
	}
	out := check{at: at, is: c.Is, kind: fmt.Sprintf("check %s: not there", c.From)}
	if c.Is != "" {
		out.kind = fmt.Sprintf("check %s: not %s", c.From, c.Is)
	}
	return out, nil
}

func (c *check) holds(a *answer) bool {
	v, ok := a.value(&c.at)
	return ok && (c.is == "" || v == c.is)
}
