package clone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/premortem/premortem"
)

// redisServer is a real redis-server of this machine.
type redisServer struct {
	node premortem.Node
	addr string
	cmd  *exec.Cmd
	dead chan struct{}
}

func (c *Clone) startRedis(ctx context.Context, node premortem.Node, stores []*premortem.Store) (*redisServer, error) {
	doing := "start " + string(node)
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if path, err = exec.LookPath("valkey-server"); err != nil {
			return nil, &premortem.Error{Doing: doing, Err: errors.New("redis-server is not on the PATH"), Hint: "install it: apt-get install redis-server, or brew install redis"}
		}
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(c.scratch, "redis-"+node.Name())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, &premortem.Error{Doing: doing, Err: err}
	}
	args := []string{"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--save", "", "--appendonly", "no", "--dir", dir, "--daemonize", "no"}
	for _, st := range stores {
		for _, p := range st.Params {
			if p.Name == "maxmemory-policy" {
				args = append(args, "--"+p.Name, p.Value.Value)
			}
		}
	}
	r := &redisServer{node: node, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), cmd: exec.Command(path, args...), dead: make(chan struct{})}
	r.cmd.Env = append(os.Environ(), markVariable+"="+dir)
	ownGroup(r.cmd)
	if err := startOnKeeper(r.cmd); err != nil {
		return nil, &premortem.Error{Doing: doing, Err: err}
	}
	keeper.wait.Go(func() { _ = r.cmd.Wait(); close(r.dead) })
	if err := errors.Join(c.journal.process(string(node), r.cmd.Process.Pid), r.ready(ctx)); err != nil {
		return nil, errors.Join(&premortem.Error{Doing: doing, Err: err}, r.Close())
	}
	c.Parity = append(c.Parity, redisParity(ctx, node, stores, path))
	return r, nil
}

// ready waits until the server answers PING.
func (r *redisServer) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if ping(ctx, r.addr) == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-r.dead:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return fmt.Errorf("no answer to PING: %w", context.Cause(ctx))
		}
	}
}

func ping(ctx context.Context, addr string) error {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := c.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	b := make([]byte, 16)
	n, err := c.Read(b)
	if err == nil && !strings.HasPrefix(string(b[:n]), "+PONG") {
		err = fmt.Errorf("answered %q", b[:n])
	}
	return err
}

func redisParity(ctx context.Context, node premortem.Node, stores []*premortem.Store, path string) premortem.Parity {
	p := premortem.Parity{Node: node, What: "engine version", Production: "not written", Standing: "not modelled"}
	if out, err := exec.CommandContext(ctx, path, "--version").Output(); err == nil {
		for _, f := range strings.Fields(string(out)) {
			if v, ok := strings.CutPrefix(f, "v="); ok {
				p.Clone = v
			}
		}
	}
	if v := stores[0].Version; v.Set() {
		p.Production, p.Pos = v.Value, v.Pos
		if major(v.Value) == major(p.Clone) {
			p.Standing = "equal"
		}
	}
	return p
}

// major is the number before the first dot, "" when there is none.
func major(version string) string {
	m, _, _ := strings.Cut(strings.TrimLeft(version, "v"), ".")
	m, _, _ = strings.Cut(m, "-")
	if _, err := strconv.Atoi(m); err != nil {
		return ""
	}
	return m
}

// Close ends the server.
func (r *redisServer) Close() error {
	select {
	case <-r.dead:
		return nil // its number may be another's
	default:
	}
	killGroup(r.cmd.Process.Pid, syscall.SIGTERM)
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-r.dead:
	case <-t.C:
		killGroup(r.cmd.Process.Pid, syscall.SIGKILL)
		<-r.dead
	}
	return nil
}
