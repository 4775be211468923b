package observe

import (
	"strings"
	"testing"

	"github.com/premortem/premortem"
)

func TestEveryProbeIsDocumented(t *testing.T) {
	for _, p := range Probes() {
		if p.Doc.Title == "" || p.Doc.Why == "" || p.Doc.When == "" || p.Doc.Silent == "" {
			t.Errorf("the probe %s leaves a part of its Doc empty", p.Name)
		}
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
