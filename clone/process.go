package clone

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/premortem/premortem"
)

// Process runs units as ordinary processes of this machine.
var Process = addDriver(Driver{
	Name: "process",
	Doc: premortem.Doc{
		Title: "units are processes of this machine",
		Why:   "Starts in a second, needs no container engine, and lets every tool of the machine look at the unit.",
		When:  "The default. The command comes from the image's metadata, the manifest or the package's start script.",
		Silent: "It cannot give a unit production's operating system or its own network: what differs stands in the parity " +
			"ledger, and addresses outside the clone are replaced by ones that refuse.",
		Fix: "Where the image matters, read the parity ledger for what differs, and install production's version of the runtime here.",
	},
	Ready: func(context.Context) error { return nil },
	Start: startProcess,
})

//go:embed preload.cjs
var preloadSource []byte

// grace is how long a unit may take to end after SIGTERM before it is killed.
const grace = 3 * time.Second

// drain is how long the output of an ended unit may take to arrive. A process that
// left the unit's group can hold the pipe open for ever.
const drain = 500 * time.Millisecond

type process struct {
	spec    Spec
	cmd     *exec.Cmd
	out     *os.File      // its standard output and error
	said    *os.File      // what its preload reports, nil when nobody listens
	done    chan struct{} // closed when the process has ended
	settled chan struct{} // closed when also its children are gone and its output is read
	read    sync.WaitGroup
	all     sync.WaitGroup
	stopIt  sync.Once

	signalMu sync.Mutex
	reaped   bool // its number may belong to another process now

	mu      sync.Mutex
	exit    string
	left    error // children that could not be ended
	lines   [][]byte
	heard   map[int]vitalsAt // by process: npm start, cluster workers
	refused []string
}

// vitalsAt is what one process of a unit said last.
type vitalsAt struct {
	Vitals
	at     time.Time
	ticked bool // it said more than that it is there
}

var _ Unit = (*process)(nil)

// startProcess starts the command in a process group of its own that dies with us.
func startProcess(ctx context.Context, s Spec) (Unit, error) {
	doing := fmt.Sprintf("start %s", s.Node)
	path, err := lookPath(s.Command[0], s.Env)
	if err != nil {
		return nil, &premortem.Error{Doing: doing, Err: err, Hint: hintFor(s.Command[0])}
	}
	cmd := exec.Command(path, s.Command[1:]...)
	cmd.Dir, cmd.Env = s.Dir, s.Env
	ownGroup(cmd)
	p := &process{spec: s, cmd: cmd, done: make(chan struct{}), settled: make(chan struct{}), heard: map[int]vitalsAt{}}
	if err := p.start(); err != nil {
		return nil, &premortem.Error{Doing: doing, Err: err}
	}
	if s.Started != nil {
		if err := s.Started(cmd.Process.Pid); err != nil {
			return nil, errors.Join(err, p.Stop())
		}
	}
	return p, nil
}

// start makes the pipes, starts the command and the goroutines that end with it.
func (p *process) start() error {
	if p.spec.Run != "" {
		if err := syscall.Mkfifo(p.spec.Run, 0o600); err != nil {
			return err
		}
		f, err := os.OpenFile(p.spec.Run, os.O_RDWR, 0) // for writing too: opening never waits
		if err != nil {
			return err
		}
		p.said = f
	}
	out, w, err := os.Pipe()
	if err != nil {
		return errors.Join(err, p.closeReport())
	}
	p.out = out
	p.cmd.Stdout, p.cmd.Stderr = w, w
	if err := errors.Join(startOnKeeper(p.cmd), w.Close()); err != nil {
		return errors.Join(err, out.Close(), p.closeReport())
	}
	p.read.Go(func() { p.spec.Log.copy(out, p.keep) })
	if p.said != nil {
		p.read.Go(p.listen)
	}
	p.all.Go(p.wait)
	return nil
}

func (p *process) closeReport() error {
	if p.said == nil {
		return nil
	}
	return errors.Join(p.said.Close(), os.Remove(p.spec.Run))
}

// wait collects the process, ends the children that it left behind and reads what
// they still had to say.
func (p *process) wait() {
	pid := p.cmd.Process.Pid
	waited := waitExit(pid) // still unreaped: no other process can have its number
	var err error
	if !waited {
		err = p.cmd.Wait()
	}
	p.signalMu.Lock()
	killGroup(pid, syscall.SIGKILL)
	if waited {
		err = p.cmd.Wait()
	}
	p.reaped = true
	p.signalMu.Unlock()
	p.mu.Lock()
	p.exit = "exit status 0"
	if err != nil {
		p.exit = err.Error()
	}
	p.mu.Unlock()
	close(p.done)
	if p.spec.Run != "" {
		_, err := killMarked(p.spec.Run)
		p.mu.Lock()
		p.left = err
		p.mu.Unlock()
	}
	p.finishReading()
	close(p.settled)
}

// finishReading waits for the readers, and closes our ends when they do not end.
func (p *process) finishReading() {
	if p.said != nil {
		_, _ = p.said.WriteString(lastWord) // the reader has then read all that came before
	}
	ended := make(chan struct{})
	p.all.Go(func() { p.read.Wait(); close(ended) })
	t := time.NewTimer(drain)
	defer t.Stop()
	select {
	case <-ended:
	case <-t.C:
	}
	_ = p.out.Close()
	_ = p.closeReport()
	<-ended
}

// keep remembers the unit's own last lines; the service's log book mixes those of
// all its units.
func (p *process) keep(line []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.lines) == keepLines {
		p.lines = append(p.lines[:0], p.lines[1:]...)
	}
	p.lines = append(p.lines, bytes.Clone(line))
}

// lastWord ends the reading of the preloads' reports: nobody else knows when the
// last of several writers has gone.
const lastWord = "\n{\"last\":true}\n"

// report is one line of a preload.
type report struct {
	Pid     int      `json:"pid"`
	Lag     *float64 `json:"lag"`
	Heap    int64    `json:"heap"`
	Refused string   `json:"refused"`
	Last    bool     `json:"last"`
}

func (p *process) listen() {
	br := bufio.NewReader(p.said)
	for {
		line, err := br.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
		var v report
		if json.Unmarshal(line, &v) != nil {
			continue // not ours
		}
		if v.Last && ended(p) {
			return
		}
		p.take(v)
	}
}

func (p *process) take(v report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if v.Refused != "" && len(p.refused) < 100 && !slices.Contains(p.refused, v.Refused) {
		p.refused = append(p.refused, v.Refused)
	}
	at := p.heard[v.Pid]
	at.at = time.Now()
	if v.Lag != nil {
		at.Vitals, at.ticked = Vitals{LagP99: *v.Lag, Heap: v.Heap}, true
	}
	p.heard[v.Pid] = at
}

func (p *process) Node() premortem.Node  { return p.spec.Node }
func (p *process) Replica() int          { return p.spec.Replica }
func (p *process) Pid() int              { return p.cmd.Process.Pid }
func (p *process) Done() <-chan struct{} { return p.done }
func (p *process) Addr() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.spec.Port))
}

func (p *process) Exit() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exit
}

// speaks says whether a preload has loaded in any process of the unit.
func (p *process) speaks() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.heard) > 0
}

// Vitals joins what the unit's processes said lately: the worst delay, all memory.
func (p *process) Vitals() (v Vitals, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var newest time.Time
	for _, at := range p.heard {
		if at.ticked && at.at.After(newest) {
			newest = at.at
		}
	}
	for _, at := range p.heard {
		if at.ticked && newest.Sub(at.at) < 10*time.Second { // longer silent, it has ended
			v.LagP99, v.Heap, ok = max(v.LagP99, at.LagP99), v.Heap+at.Heap, true
		}
	}
	return v, ok
}

func (p *process) Refused() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.refused)
}

// signal reaches the unit's group, and nobody when the process has been collected:
// its number may be another's by then.
func (p *process) signal(sig syscall.Signal) {
	p.signalMu.Lock()
	defer p.signalMu.Unlock()
	if !p.reaped {
		killGroup(p.cmd.Process.Pid, sig)
	}
}

// Stop asks the group to end, kills it when it does not, ends the children that left
// the group, and returns when the output has been read as far as it comes.
func (p *process) Stop() error {
	p.stopIt.Do(func() {
		p.signal(syscall.SIGTERM)
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-p.done:
		case <-t.C:
			p.signal(syscall.SIGKILL)
		}
	})
	<-p.settled
	p.all.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left != nil {
		return &premortem.Error{Doing: fmt.Sprintf("stop %s", p.spec.Node), Err: p.left}
	}
	return nil
}

// linesOf returns the unit's own last lines, at most n.
func linesOf(u Unit, n int) []string {
	p, ok := u.(*process)
	if !ok {
		return nil
	}
	if ended(p) {
		<-p.settled // its last words may still be in the pipe
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, l := range p.lines[max(0, len(p.lines)-n):] {
		out = append(out, string(l))
	}
	return out
}

// lookPath finds the program on the PATH of the unit's own environment.
func lookPath(name string, env []string) (string, error) {
	if strings.ContainsRune(name, filepath.Separator) {
		return name, nil
	}
	for _, kv := range env {
		if len(kv) > 5 && kv[:5] == "PATH=" {
			for _, dir := range filepath.SplitList(kv[5:]) {
				full := filepath.Join(dir, name)
				if st, err := os.Stat(full); err == nil && !st.IsDir() && st.Mode()&0o111 != 0 {
					return full, nil
				}
			}
		}
	}
	return "", fmt.Errorf("%q is not on the PATH", name)
}

func hintFor(program string) string {
	switch program {
	case "node", "npm", "npx", "yarn", "pnpm":
		return "install Node.js (apt-get install nodejs npm, or https://nodejs.org), then run the command again"
	}
	return "install " + program + ", or name another command for the service in premortem.yaml under services:"
}
