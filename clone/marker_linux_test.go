package clone

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func alivePid(pid int) bool { return born(pid) != "" }

func TestRecoverEndsProcessesWhoseLeaderIsLongGone(t *testing.T) {
	state, run := t.TempDir(), filepath.Join(t.TempDir(), "premortem-dead")
	cmd := exec.Command("sleep", "300")
	cmd.Env = append(os.Environ(), markVariable+"="+run+"/unit-1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	other := exec.Command("sleep", "300")
	other.Env = append(os.Environ(), markVariable+"="+run+"-of-someone-else/unit-1")
	for _, c := range []*exec.Cmd{cmd, other} {
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	}
	until(t, "both run", func() bool { return marked(cmd.Process.Pid, run) && marked(other.Process.Pid, run+"-of-someone-else") })
	write(t, journalPath(state), `{"kind":"owner","pid":999999,"born":"x/1"}
{"kind":"marker","path":`+quoted(run)+`}
{"kind":"process","pid":999998,"born":"x/2","name":"service/api"}
`, 0o644)
	did, err := Recover(state)
	if err != nil || len(did) != 1 || !strings.Contains(did[0], strconv.Itoa(cmd.Process.Pid)) {
		t.Errorf("recovered %q, %v; want process %d ended", did, err, cmd.Process.Pid)
	}
	if alivePid(cmd.Process.Pid) {
		t.Error("the marked process is still there")
	}
	if !alivePid(other.Process.Pid) {
		t.Error("a process of another run was ended")
	}
}

func TestChildrenThatFleeTheGroupEndWithTheirUnit(t *testing.T) {
	sys, o := small(t)
	sys.Services[0].Command.Value = []string{"sh", "-c", "setsid sleep 300 & echo fled $!; node app.js & wait"}
	c, err := Start(t.Context(), sys, o)
	if err != nil {
		t.Fatal(err)
	}
	fled := pidAfter(t, linesOf(c.Units()[0], 20), "fled ")
	if _, ok := c.Units()[0].Vitals(); !ok {
		until(t, "vitals arrive through the shell", func() bool { _, ok := c.Units()[0].Vitals(); return ok })
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if alivePid(fled) {
		t.Errorf("process %d outlives Close", fled)
	}
}

func pidAfter(t *testing.T, lines []string, word string) int {
	t.Helper()
	for _, l := range lines {
		if s, ok := strings.CutPrefix(l, word); ok {
			pid, err := strconv.Atoi(s)
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatalf("no line begins with %q: %q", word, lines)
	return 0
}

// It carries no mark, so nothing of ours finds it; it must not hold us up either.
func TestStopReturnsThoughAStrangerHoldsThePipe(t *testing.T) {
	sys, o := small(t)
	sys.Services[0].Replicas.Value = 1
	sys.Services[0].Command.Value = []string{"sh", "-c", "env -u " + markVariable + " setsid sleep 300 & echo fled $!; exec node app.js"}
	c, err := Start(t.Context(), sys, o)
	if err != nil {
		t.Fatal(err)
	}
	fled := pidAfter(t, linesOf(c.Units()[0], 20), "fled ")
	t.Cleanup(func() { _ = syscall.Kill(fled, syscall.SIGKILL) })
	done := make(chan error, 1)
	var g sync.WaitGroup
	g.Go(func() { done <- c.Close() })
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		_ = syscall.Kill(fled, syscall.SIGKILL)
		t.Error("Close waits for a process that is none of ours")
	}
	g.Wait()
}
