package observe

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/clone"
)

var update = flag.Bool("update", false, "rewrite docs/probes.md")

func TestEveryProbeIsDocumented(t *testing.T) {
	for _, p := range Probes() {
		if missing := p.Doc.Missing(); len(missing) > 0 {
			t.Errorf("the probe %s says nothing about %s", p.Name, strings.Join(missing, ", "))
		}
	}
}

func TestASystemWithoutADatabaseIsNoDoubt(t *testing.T) {
	w, blind := Watch(t.Context(), &clone.Clone{}, []*Probe{Database})
	if len(blind) > 0 {
		t.Fatalf("doubts %q", blind)
	}
	var p premortem.Phase
	if blind, err := w.Take(t.Context(), &p); err != nil || len(blind) > 0 || p.Database.Watched {
		t.Errorf("doubts %q, %v, watched %v", blind, err, p.Database.Watched)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

func TestCPUOfATreeHoldsWhatHasEnded(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Log("only Linux tells what ended children used")
		return
	}
	me := int32(os.Getpid())
	before := cpuTimes([]int32{me})[me]
	// The child's own child does the work and has ended before anyone looks again.
	cmd := exec.Command("sh", "-c", "sh -c 'i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done'; true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	used := (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	if got := cpuTimes([]int32{me})[me] - before; got < used-0.05 {
		t.Errorf("the tree used %v s of CPU, the children alone %v s", got, used)
	}
	if _, ok := cpuTimes([]int32{0x7ffffff0})[0x7ffffff0]; ok {
		t.Error("a process that is not there has CPU time")
	}
}

func TestCPUTimeIsCountedBetweenTakes(t *testing.T) {
	var s spent
	at := time.Unix(0, 0)
	s.look(10, at)
	s.look(12, at.Add(2*time.Second))
	if got, ok := s.take(); got != 1 || !ok {
		t.Errorf("%v, %v; want 1 core", got, ok)
	}
	s.look(13, at.Add(4*time.Second))
	s.look(11, at.Add(5*time.Second)) // a part that nobody waited for is gone
	s.look(12, at.Add(6*time.Second))
	if got, ok := s.take(); got != 0.5 || !ok {
		t.Errorf("%v, %v; want 0.5 cores", got, ok)
	}
	if _, ok := s.take(); ok {
		t.Error("nothing was seen since the last take, and it says how much was used")
	}
}

func TestWhatAProcessUsedBeforeItEndedIsTheClones(t *testing.T) {
	e := &unitEye{units: map[int]*unitSamples{}}
	at := time.Unix(0, 0)
	for pid, replica := range map[int]int{10: 0, 11: 1, 12: 2} {
		s := &unitSamples{stats: premortem.UnitStats{Node: "service/api", Replica: replica}}
		s.cpu.look(0, at)
		s.cpu.look(1, at.Add(2*time.Second))
		e.units[pid] = s
	}
	got := e.dead(map[int]bool{10: true}, []premortem.UnitStats{{Node: "service/api"}, {Node: "service/api", Replica: 1}})
	if len(got) != 1 || got[0].Replica != 2 || got[0].CPU != 0.5 {
		t.Errorf("%+v; want half a core of replica 2, in whose place none runs", got)
	}
	if len(e.units) != 1 {
		t.Errorf("%d processes are remembered, want the one that lives", len(e.units))
	}
}

func TestDocsAreCurrent(t *testing.T) {
	const file = "../docs/probes.md"
	page := []byte(Page())
	if *update {
		if err := os.WriteFile(file, page, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(file); err != nil || !bytes.Equal(have, page) {
		t.Errorf("docs/probes.md is not current; run: go test ./observe -run TestDocs -update")
	}
}

func TestLogLinesFoldIntoTemplatesWithoutWhatTheyCarry(t *testing.T) {
	e := &logEye{counts: map[logKey]*premortem.LogStats{}}
	for _, l := range []string{
		`{"level":30,"time":1,"msg":"request 17 by ada@shop.example took 12.5 ms"}`,
		`{"level":30,"time":2,"msg":"request 18 by bob@shop.example took 9 ms"}`,
		`{"level":"error","message":"no session 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}`,
		`{"level":50,"err":{"message":"connect ECONNREFUSED 127.0.0.1:5432"},"msg":"request failed"}`,
		`Error: something broke at line 12`, `plain words`, `{"broken json`,
	} {
		e.line("service/api", []byte(l))
	}
	var p premortem.Phase
	if _, err := e.Take(t.Context(), &p); err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{}
	for _, s := range p.Logs {
		got[s.Level+"|"+s.Template] = s.Count
		for _, secret := range []string{"ada", "bob", "9f86d0"} {
			if strings.Contains(s.Template+s.Example, secret) {
				t.Errorf("the template %q still carries %q", s.Template, secret)
			}
		}
	}
	for want, n := range map[string]uint64{
		"info|request <*> by <*> took <*> ms": 2, "error|no session <*>": 1,
		"error|request failed: connect ECONNREFUSED <*>": 1, "error|Error: something broke at line <*>": 1,
		"|plain words": 1, `|{"broken json`: 1,
	} {
		if got[want] != n {
			t.Errorf("%q was counted %d times, want %d; counted were %v", want, got[want], n, got)
		}
	}
}

func TestLogTemplatesAreBounded(t *testing.T) {
	e := &logEye{counts: map[logKey]*premortem.LogStats{}}
	for i := range 1000 {
		e.line("service/api", []byte(strings.Repeat("x", i%700)+" y"))
	}
	if len(e.counts) > maxTemplates+1 {
		t.Errorf("%d templates are kept, want at most %d", len(e.counts), maxTemplates+1)
	}
	var n uint64
	for _, s := range e.counts {
		n += s.Count
	}
	if n != 1000 {
		t.Errorf("%d lines were counted, want 1000", n)
	}
}
