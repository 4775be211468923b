package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/premortem/premortem"
)

// progress tells on standard error what is being done: one line that moves when it
// is a terminal, one line for each phase when it is not.
type progress struct {
	w     io.Writer
	live  bool
	quiet bool
	began time.Time

	mu     sync.Mutex
	what   string
	closed bool
	stop   chan struct{}
	done   sync.WaitGroup
}

func (p *program) progress(quiet bool) *progress {
	b := &progress{w: p.err, quiet: quiet, began: time.Now(), stop: make(chan struct{})}
	if f, ok := p.err.(*os.File); ok {
		b.live = !quiet && term.IsTerminal(int(f.Fd()))
	}
	if b.live {
		b.done.Go(b.redraw)
	}
	return b
}

func (b *progress) redraw() {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-tick.C:
			b.mu.Lock()
			b.draw()
			b.mu.Unlock()
		}
	}
}

// draw writes the moving line. The caller holds mu.
func (b *progress) draw() {
	width := 80
	if f, ok := b.w.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil {
			width = w
		}
	}
	line := fmt.Sprintf("  %5.0f s  %s", time.Since(b.began).Seconds(), b.what)
	if r := []rune(line); len(r) > width-1 {
		line = string(r[:max(width-2, 0)]) + "…"
	}
	fmt.Fprintf(b.w, "\r\x1b[K%s", line)
}

// doing names the present work.
func (b *progress) doing(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.what = what
}

// part shows how far a long piece of work is; total 0 means that nobody knows.
func (b *progress) part(what string, done, total int64) {
	if total > 0 {
		const cells = 20
		full := min(int(done*cells/total), cells)
		what = fmt.Sprintf("%s %s%s %3d %%", what, strings.Repeat("█", full), strings.Repeat("░", cells-full), done*100/total)
	}
	b.doing(what)
}

// stage says that a phase ended.
func (b *progress) stage(s premortem.Stage) {
	if b.quiet {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.live {
		fmt.Fprint(b.w, "\r\x1b[K")
	}
	fmt.Fprintf(b.w, "  %-8s %s  (%.1f s)\n", s.Name, s.Says, s.Took)
}

// line writes a line of its own.
func (b *progress) line(text string) {
	if b.quiet {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	fmt.Fprintf(b.w, "  %s\n", text)
}

// close ends the moving line. It may be called again.
func (b *progress) close() {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return
	}
	b.closed = true
	b.mu.Unlock()
	close(b.stop)
	b.done.Wait()
	if b.live {
		fmt.Fprint(b.w, "\r\x1b[K")
	}
}
