package read

import (
	"bytes"
	"cmp"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// peer is what a check of manifests is compared with; its version is pinned by the
// module in tools/bench/kube-score.
const peer = "github.com/zegl/kube-score/cmd/kube-score"

// run is one run of a program.
type run struct {
	wall, cpu time.Duration
	peak      int64 // bytes of resident memory
}

// BenchmarkCheck runs the whole command, as a user does, on a repository of 10,000
// files: cold, warm, and beside kube-score on the same manifests. Each figure is
// the best of five runs, since a busy machine only ever adds; the memory is the most
// of five.
func BenchmarkCheck(b *testing.B) {
	bin := b.TempDir()
	premortem := filepath.Join(bin, "premortem")
	must(b, exec.Command("go", "build", "-trimpath", "-o", premortem, "../cmd/premortem"))
	must(b, exec.Command("go", "build", "-C", filepath.Join("..", "tools", "bench", "kube-score"), "-o", filepath.Join(bin, "kube-score"), peer))
	dir := b.TempDir()
	size := writeBigTree(b, dir)
	age(b, dir, time.Hour)
	k8s := filepath.Join(dir, "k8s", "base")
	manifests, _ := filepath.Glob(filepath.Join(k8s, "*", "[!k]*.yaml"))
	if len(manifests) == 0 {
		b.Fatal("the tree has no manifests")
	}
	for b.Loop() {
		cold := best(b, nil, premortem, "check", "--no-cache", dir)
		cache := "XDG_CACHE_HOME=" + b.TempDir()
		once(b, []string{cache}, premortem, "check", dir)
		warm := best(b, []string{cache}, premortem, "check", dir)
		ours := best(b, nil, premortem, "check", "--no-cache", k8s)
		theirs := best(b, nil, filepath.Join(bin, "kube-score"), append([]string{"score"}, manifests...)...)
		b.ReportMetric(cold.wall.Seconds(), "cold-s")
		b.ReportMetric(cold.cpu.Seconds(), "cold-cpu-s")
		b.ReportMetric(float64(cold.peak)/(1<<20), "cold-MB")
		b.ReportMetric(bigFiles/cold.wall.Seconds(), "files/s")
		b.ReportMetric(float64(size)/(1<<20)/cold.wall.Seconds(), "MB/s")
		b.ReportMetric(warm.wall.Seconds(), "warm-s")
		b.ReportMetric(warm.cpu.Seconds(), "warm-cpu-s")
		b.ReportMetric(float64(len(manifests))/ours.wall.Seconds(), "manifests/s")
		b.ReportMetric(theirs.wall.Seconds()/ours.wall.Seconds(), "x-kube-score")
		b.ReportMetric(theirs.cpu.Seconds()/ours.cpu.Seconds(), "x-kube-score-cpu")
		b.ReportMetric(0, "ns/op")
	}
}

func must(b *testing.B, cmd *exec.Cmd) {
	b.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v: %v\n%s", cmd, err, out)
	}
}

func best(b *testing.B, env []string, name string, args ...string) run {
	b.Helper()
	out := once(b, env, name, args...)
	for range 4 {
		r := once(b, env, name, args...)
		out = run{min(out.wall, r.wall), min(out.cpu, r.cpu), max(out.peak, r.peak)}
	}
	return out
}

func once(b *testing.B, env []string, name string, args ...string) run {
	b.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start)
	// 1 and 3 say what was found; anything else is no run.
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() != 1 && exit.ExitCode() != 3) {
		b.Fatalf("%s: %v\n%s", name, err, complaint.Bytes())
	}
	peak := int64(0)
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		peak = u.Maxrss << 10
	}
	return run{wall, cmp.Or(cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime(), 1), peak}
}
