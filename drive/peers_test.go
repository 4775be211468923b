package drive

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkPeers measures the most that one core can ask of a static nginx on another
// core, by this package and by the generators that people know, in turns, so that a
// busy machine is equally busy for all. It prints ratios of requests per second and of
// requests per second of processor time; the latter is what others on the machine
// disturb least. PEERS is a folder that holds vegeta and k6; make bench-load builds
// them. Whoever is not there is left out and said to be.
func BenchmarkPeers(b *testing.B) {
	url := nginx(b, `keepalive_requests 100000000; location / { return 200 "hello world\n"; }`, "worker_cpu_affinity 10;")
	var all []*contestant
	for _, c := range contestants(url) {
		if _, err := exec.LookPath(c.needs); err != nil {
			b.Logf("%s is left out: %v", c.name, err)
			continue
		}
		all = append(all, c)
	}
	own := all[0]
	b.Run("most", func(b *testing.B) {
		for b.Loop() {
			for range 3 {
				for _, c := range all {
					c.run(b)
				}
			}
		}
		for _, c := range all {
			b.Logf("%-8s %8.0f requests/s  %8.0f requests/cpu-s", c.name, middleOf(c.rates), middleOf(c.perCPU))
			if c == own {
				b.ReportMetric(middleOf(c.rates), "requests/s")
				b.ReportMetric(middleOf(c.perCPU), "requests/cpu-s")
				continue
			}
			b.ReportMetric(middleOf(own.rates)/middleOf(c.rates), "ratio-to-"+c.name)
			b.ReportMetric(middleOf(own.perCPU)/middleOf(c.perCPU), "cpu-ratio-to-"+c.name)
		}
	})
	b.Run("half-of-it", func(b *testing.B) {
		if len(own.rates) == 0 {
			own.run(b)
		}
		rate := math.Floor(middleOf(own.rates) / 2)
		for b.Loop() {
			r := alone(b, url, fmt.Sprintf("%v", rate))
			b.ReportMetric(r.Lag*1e6, "lag-p99-µs")
			b.ReportMetric(r.Offered/(rate*r.Seconds), "offered/planned")
			b.ReportMetric(r.Offered/r.Seconds, "requests/s")
		}
	})
}

// contestant is one generator.
type contestant struct {
	name    string
	needs   string // program
	command []string
	env     []string
	stdin   string
	rate    *regexp.Regexp // requests per second, in what it prints
	rates   []float64
	perCPU  []float64
}

func contestants(url string) []*contestant {
	peer := func(name string) string {
		if dir := os.Getenv("PEERS"); dir != "" {
			return filepath.Join(dir, name)
		}
		return name
	}
	script := fmt.Sprintf(`import http from "k6/http"; export default function () { http.get(%q); }`, url+"/")
	return []*contestant{
		{name: "own", needs: "taskset", command: []string{os.Args[0]}, env: []string{"DRIVE_TEST_LOAD=max", "DRIVE_TEST_URL=" + url}, rate: regexp.MustCompile(`"Rate":([0-9.e+]+)`)},
		{name: "wrk", needs: "wrk", command: []string{"wrk", "-t1", "-c64", "-d3s", url + "/"}, rate: regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)},
		{name: "vegeta", needs: peer("vegeta"), command: []string{"sh", "-c", peer("vegeta") + " attack -rate=0 -max-workers=64 -workers=64 -duration=3s | " + peer("vegeta") + " report -type=json"},
			stdin: "GET " + url + "/\n", rate: regexp.MustCompile(`"throughput":([0-9.]+)`)},
		{name: "k6", needs: peer("k6"), command: []string{peer("k6"), "run", "--vus", "64", "--duration", "3s", "--no-usage-report", "-"}, stdin: script,
			rate: regexp.MustCompile(`http_reqs\W+\d+\s+([0-9.]+)/s`)},
	}
}

// run lets it ask for three seconds on the first core.
func (c *contestant) run(b *testing.B) {
	b.Helper()
	cmd := exec.Command("taskset", append([]string{"-c", "0"}, c.command...)...)
	cmd.Env = append(append(os.Environ(), "GOMAXPROCS=1", "NO_COLOR=1"), c.env...)
	cmd.Stdin = strings.NewReader(c.stdin)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		b.Fatalf("%s: %v\n%s", c.name, err, said.String())
	}
	m := c.rate.FindSubmatch(said.Bytes())
	if m == nil {
		b.Fatalf("%s says no rate:\n%s", c.name, said.String())
	}
	rate, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	c.rates = append(c.rates, rate)
	c.perCPU = append(c.perCPU, rate*3/cpu.Seconds())
}

// loaded is what a generator in a process of its own got.
type loaded struct{ Rate, Offered, Seconds, Lag float64 }

// loadAlone is the other side of alone: the test binary as a generator.
func loadAlone() {
	w := one("/")
	w.URLs = local(os.Getenv("DRIVE_TEST_URL"))
	l := Load{Loop: 64, For: 3 * time.Second}
	if rate, err := strconv.ParseFloat(os.Getenv("DRIVE_TEST_LOAD"), 64); err == nil {
		l = Load{Calls: rate, Even: true, For: 3 * time.Second}
	}
	r, err := Run(context.Background(), w, l)
	if err != nil || r.Load.Failed > 0 {
		fmt.Fprintln(os.Stderr, err, r.Load)
		os.Exit(2)
	}
	took := r.Took.Seconds()
	_ = json.NewEncoder(os.Stdout).Encode(loaded{float64(r.Load.Done) / took, float64(r.Load.Offered), took, r.Load.LagP99})
}

// alone offers a rate from the first core.
func alone(b *testing.B, url, rate string) (r loaded) {
	b.Helper()
	cmd := exec.Command("taskset", "-c", "0", os.Args[0])
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "DRIVE_TEST_LOAD="+rate, "DRIVE_TEST_URL="+url)
	out, err := cmd.Output()
	if err != nil {
		b.Fatal(err)
	}
	if err := json.Unmarshal(out, &r); err != nil {
		b.Fatal(err)
	}
	return r
}

func middleOf(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}
