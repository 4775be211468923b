package clone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/premortem/premortem"
)

// errUnhealthy is wrapped when a unit runs but does not become healthy in time.
var errUnhealthy = errors.New("not healthy")

// waitHealthy waits until the unit answers its readiness path, or takes connections
// when it has none.
func waitHealthy(ctx context.Context, u Unit, s *premortem.Service, settle time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	last := errors.New("it never listened")
	for {
		if err := healthy(ctx, u, s); err == nil {
			return nil
		} else if ctx.Err() == nil {
			last = err
		}
		select {
		case <-u.Done():
			return exitError(u, s)
		case <-tick.C:
		case <-ctx.Done():
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return context.Cause(ctx)
			}
			return &premortem.Error{
				Doing: fmt.Sprintf("wait for %s to become healthy", s.Node), Pos: s.Health.Pos,
				Err:  fmt.Errorf("%w after %v: %w", errUnhealthy, settle, last),
				Hint: "its last lines:\n" + lastLines(u),
			}
		}
	}
}

func healthy(ctx context.Context, u Unit, s *premortem.Service) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if !s.Health.Set() {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", u.Addr())
		if err != nil {
			return err
		}
		return c.Close()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+u.Addr()+s.Health.Value, nil)
	if err != nil {
		return err
	}
	req.Close = true
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 399 {
		return fmt.Errorf("GET %s answers %s", s.Health.Value, resp.Status)
	}
	return nil
}

func exitError(u Unit, s *premortem.Service) error {
	lines := lastLines(u)
	return &premortem.Error{
		Doing: fmt.Sprintf("start %s (%s)", s.Node, strings.Join(s.Command.Value, " ")), Pos: s.Command.Pos,
		Err: fmt.Errorf("it ended with %s", u.Exit()), Hint: "its last lines:\n" + lines,
	}
}

func lastLines(u Unit) string {
	lines := linesOf(u, 8)
	if len(lines) == 0 {
		return "  (it wrote nothing)"
	}
	return "  " + strings.Join(lines, "\n  ")
}
