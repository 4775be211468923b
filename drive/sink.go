package drive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/premortem/premortem"
)

// Sink answers every HTTP/1.1 request on a listener with the same body of a given
// size, and does as little else as it can: what is measured against it is the
// generator. It returns nil when ctx ends, and closes the listener and every
// connection.
func Sink(ctx context.Context, l net.Listener, size int) error {
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("x", size))
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	defer context.AfterFunc(ctx, func() {
		l.Close()
		mu.Lock()
		defer mu.Unlock()
		for c := range open {
			c.Close()
		}
	})()
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			l.Close()
			return fmt.Errorf("answer load: %w", err)
		}
		mu.Lock()
		open[c] = true
		mu.Unlock()
		if ctx.Err() != nil {
			c.Close()
		}
		conns.Go(func() {
			answerEach(c, answer)
			mu.Lock()
			delete(open, c)
			mu.Unlock()
			c.Close()
		})
	}
}

// answerEach answers one connection's requests. Of a head it reads how long the body
// is.
func answerEach(c net.Conn, answer []byte) {
	buf := make([]byte, 16<<10)
	for n := 0; ; {
		m, err := c.Read(buf[n:])
		if err != nil {
			return
		}
		n += m
		at := 0
		for {
			end := bytes.Index(buf[at:n], []byte("\r\n\r\n"))
			if end < 0 {
				break
			}
			body := bodyLength(buf[at : at+end])
			have := n - at - end - 4
			if have < body {
				if _, err := discard(c, buf, body-have); err != nil {
					return
				}
				have, n = body, at+end+4+body
			}
			if _, err := c.Write(answer); err != nil {
				return
			}
			if at += end + 4 + body; at >= n {
				break
			}
		}
		if at >= n {
			n = 0
			continue
		}
		if n = copy(buf, buf[at:n]); n == len(buf) {
			return // a head as large as this is not ours
		}
	}
}

// discard reads n bytes into nothing.
func discard(c net.Conn, buf []byte, n int) (int, error) {
	scratch := make([]byte, min(n, len(buf)))
	for left := n; left > 0; {
		m, err := c.Read(scratch[:min(left, len(scratch))])
		if left -= m; err != nil {
			return n - left, err
		}
	}
	return n, nil
}

// bodyLength finds Content-Length in a head, 0 when it is not there.
func bodyLength(head []byte) int {
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, value, ok := bytes.Cut(line, []byte(":"))
		if ok && is(name, "content-length") {
			n, _ := strconv.Atoi(string(bytes.TrimSpace(value)))
			return max(n, 0)
		}
	}
	return 0
}

// trusted is the share of its ceiling up to which the generator is believed.
const trusted = 0.7

// Ceiling is how many of the workload's requests a second this process can make of a
// sink at most: a closed loop of 64 connections, for about a second. Every target of
// the workload is replaced by the sink, a plain HTTP URL. The error says that the
// sink did not answer.
func Ceiling(ctx context.Context, w Workload, sink string) (float64, error) {
	null := w
	null.URLs, null.HTTP2, null.TLS, null.Beyond = map[premortem.Node]string{"": sink}, false, nil, false
	r, err := Run(ctx, null, Load{Loop: 64, For: 1200 * time.Millisecond, Warm: 200 * time.Millisecond})
	if err != nil {
		return 0, err
	}
	if r.Load.Done == 0 {
		return 0, errors.New("measure the generator's ceiling: the sink answered nothing")
	}
	return float64(r.Load.Done) / r.Took.Seconds(), nil
}

// Trusted is the highest rate at which a generator with this ceiling may say anything
// about a server.
func Trusted(ceiling float64) float64 { return trusted * ceiling }

// Saturated says why the generator, and not the server, may have been the limit, ""
// when nothing says so. ceiling is that of Ceiling, 0 unknown; within is the
// objective's response time, 0 none; cores is how many the generator could use.
func (r Result) Saturated(ceiling float64, within time.Duration, cores int) string {
	l := r.Load
	took := r.Took.Seconds()
	if took <= 0 || l.Offered == 0 {
		return "nothing was offered"
	}
	sent := float64(l.Sent) / took
	slack := max(late.Seconds(), 0.05*within.Seconds())
	switch {
	case float64(l.Dropped) > 0.001*float64(l.Offered):
		return fmt.Sprintf("%d of %d requests were never sent (%s)", l.Dropped, l.Offered, worstDrop(l.Drops))
	case l.LagP99 > slack:
		return fmt.Sprintf("one request in a hundred was sent %.1f ms late or later", l.LagP99*1e3)
	case ceiling > 0 && sent > Trusted(ceiling)*1.02: // the schedule is drawn: it may be a little above
		return fmt.Sprintf("%.0f requests/s were sent, and beyond %.0f/s, %.0f %% of its ceiling, the generator is not trusted", sent, Trusted(ceiling), trusted*100)
	case cores > 0 && l.OwnCPU > 0.8*float64(cores):
		return fmt.Sprintf("the generator used %.2f of its %d cores", l.OwnCPU, cores)
	case l.Little > 0.02:
		return fmt.Sprintf("its own books differ by %.1f %% (Little's law)", l.Little*100)
	}
	return ""
}

// worstDrop is the reason for most drops.
func worstDrop(drops map[string]uint64) string {
	worst, most := "", uint64(0)
	for why, n := range drops {
		if n > most || n == most && why < worst {
			worst, most = why, n
		}
	}
	return worst
}
