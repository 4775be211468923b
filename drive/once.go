package drive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/premortem/premortem"
)

// Step is one request of a session made alone, and its answer.
type Step struct {
	Request *premortem.Request
	Status  int           // 0 when there was no answer
	Took    time.Duration // from the first byte sent to the last byte read
	Bytes   int           // of the body
	Err     error         // why it does not count as answered; nil when it does
}

// Once runs one session of a journey, one request at a time and without its pauses,
// and calls each after every answer. It is the session that Run would make with
// this number: the same rows. The journey need not be among w.Journeys.
//
// A request that fails is told to each in Step.Err, and the session goes on unless a
// later request needs what this one should have brought; then Once returns an error,
// as it does when each returns one, when the journey is not valid and when ctx ends.
func Once(ctx context.Context, w Workload, j *premortem.Journey, session uint64, each func(Step) error) error {
	p, err := compile(w, []*premortem.Journey{j})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := newClient(ctx, p, time.Now(), defaultTimeout, false)
	defer c.closeAll()
	defer context.AfterFunc(ctx, c.closeAll)()
	s := newSession(p, p.flows[0], session)
	b := borrow()
	defer b.giveBack()
	for _, r := range s.flow.calls {
		step, cut := c.step(s, r, b)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := each(step); err != nil {
			return err
		}
		if cut {
			return &premortem.Error{Doing: fmt.Sprintf("follow journey %s, step %d (%s)", j.Name, r.step+1, routeName(r.req)),
				Pos: j.Steps[r.step].Pos, Err: step.Err, Hint: "the steps after it need what it should have brought"}
		}
	}
	return nil
}

// step makes one request.
func (c *client) step(s *session, r *call, b *buffers) (step Step, cut bool) {
	step.Request = r.req
	if err := s.write(r, b); err != nil {
		step.Err = err
		return step, len(r.keep) > 0
	}
	m, err := c.exchange(s, r, b, &b.ans)
	step.Took = m.done - m.sent
	if err != nil {
		step.Err = fmt.Errorf("%s: %w", kindOf(err), err)
		return step, len(r.keep) > 0
	}
	step.Status, step.Bytes = b.ans.status, int(b.ans.bytes)
	kind, cut := s.judge(r, &b.ans)
	if kind != "" {
		step.Err = errors.New(kind)
	}
	return step, cut
}
