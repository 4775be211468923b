package clone

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
		Fix: "Where the image matters, use --driver docker.",
	},
	Ready: func(context.Context) error { return nil },
	Start: startProcess,
})

//go:embed preload.cjs
var preloadSource []byte

// grace is how long a unit may take to end after SIGTERM before it is killed.
const grace = 3 * time.Second

type process struct {
	spec   Spec
	cmd    *exec.Cmd
	done   chan struct{}
	read   sync.WaitGroup // readers of its pipes
	stopIt sync.Once

	mu      sync.Mutex
	exit    string
	vitals  Vitals
	seen    bool
	refused []string
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
	p := &process{spec: s, cmd: cmd, done: make(chan struct{})}
	out, w, err := os.Pipe()
	if err != nil {
		return nil, &premortem.Error{Doing: doing, Err: err}
	}
	say, vw, err := os.Pipe()
	if err != nil {
		return nil, &premortem.Error{Doing: doing, Err: errors.Join(err, out.Close(), w.Close())}
	}
	cmd.Stdout, cmd.Stderr = w, w
	cmd.ExtraFiles = []*os.File{vw} // descriptor 3: the preload writes vitals there
	err = startOnKeeper(cmd)
	err = errors.Join(err, w.Close(), vw.Close())
	if err != nil {
		return nil, &premortem.Error{Doing: doing, Err: errors.Join(err, out.Close(), say.Close())}
	}
	p.read.Go(func() { s.Log.copy(out); _ = out.Close() })
	p.read.Go(func() { p.listen(say); _ = say.Close() })
	p.read.Go(p.wait)
	if s.Started != nil {
		if err := s.Started(cmd.Process.Pid); err != nil {
			return nil, errors.Join(err, p.Stop())
		}
	}
	return p, nil
}

func (p *process) wait() {
	err := p.cmd.Wait()
	p.mu.Lock()
	p.exit = "exit status 0"
	if err != nil {
		p.exit = err.Error()
	}
	p.mu.Unlock()
	killGroup(p.cmd.Process.Pid, syscall.SIGKILL) // children that it left behind
	close(p.done)
}

// listen reads the preload's lines: {"lag":0.01,"heap":123} or {"refused":"host:port"}.
func (p *process) listen(r io.Reader) {
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		var v struct {
			Lag     *float64 `json:"lag"`
			Heap    int64    `json:"heap"`
			Refused string   `json:"refused"`
		}
		if json.Unmarshal(sc.Bytes(), &v) != nil {
			continue // the app wrote to a descriptor that it does not own
		}
		p.mu.Lock()
		if v.Lag != nil {
			p.vitals, p.seen = Vitals{LagP99: *v.Lag, Heap: v.Heap}, true
		}
		if v.Refused != "" && len(p.refused) < 100 && !slices.Contains(p.refused, v.Refused) {
			p.refused = append(p.refused, v.Refused)
		}
		p.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, r) // a line too long: keep the writer from blocking
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

func (p *process) Vitals() (Vitals, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.vitals, p.seen
}

func (p *process) Refused() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.refused)
}

// Stop asks the group to end, kills it when it does not, and returns when its
// output has been read to the end.
func (p *process) Stop() error {
	p.stopIt.Do(func() {
		killGroup(p.cmd.Process.Pid, syscall.SIGTERM)
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-p.done:
		case <-t.C:
			killGroup(p.cmd.Process.Pid, syscall.SIGKILL)
		}
	})
	<-p.done
	p.read.Wait()
	return nil
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
