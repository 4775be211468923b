package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/check"
	"github.com/premortem/premortem/read"
)

const trialSchema = "premortem/self-test/v1"

// selfTest is what `check --self-test` found out: how many of the faults that it
// planted, one at a time, the rules catch in this repository.
type selfTest struct {
	Schema  string     `json:"schema"`
	Seed    int64      `json:"seed"`
	Samples int        `json:"samples"` // faults per rule at most
	Rules   []ruleTest `json:"rules"`
	// Alarms are findings that appeared after a change that breaks nothing.
	Harmless int           `json:"harmless"`
	Alarms   []plantedTest `json:"alarms"`
	NotRun   int           `json:"not_run"` // the time was over
}

// ruleTest is one row: a rule and its planted faults.
type ruleTest struct {
	Rule    string        `json:"rule"`
	Places  int           `json:"places"`  // faults that could be planted
	Planted int           `json:"planted"` // faults that were
	Caught  int           `json:"caught"`  // by the rule itself
	Others  []plantedTest `json:"others"`  // the rule was silent, another one told of the same node
	Missed  []plantedTest `json:"missed"`
}

// plantedTest is one planted fault.
type plantedTest struct {
	Pos  premortem.Pos `json:"pos"`
	Says string        `json:"says"`
	Told []string      `json:"told"` // keys of what appeared instead
}

// selfTest plants faults and prints who catches them.
func (p *program) selfTest(dir string, rules []*check.Rule, w wish, o output) error {
	if o.format != "text" && o.format != "json" {
		return &premortem.Error{Doing: "read --format", Err: fmt.Errorf("a self-test is told as text or json, not as %s", o.format)}
	}
	if _, err := p.look(dir, w); err != nil { // its errors name the folder
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return &premortem.Error{Doing: "read " + dir, Err: err}
	}
	defer root.Close()
	t := &trial{program: p, rules: rules, repo: root.FS(), w: w, until: time.Now().Add(w.budget)}
	res, err := t.run()
	if err != nil {
		return err
	}
	data := res.text(dir)
	if o.format == "json" {
		if data, err = json.MarshalIndent(res, "", "  "); err != nil {
			return err
		}
		data = append(data, '\n')
	}
	p.code = res.code()
	return p.emit(o, "write the self-test", data)
}

// trial holds what stays the same from one planted fault to the next.
type trial struct {
	*program
	rules []*check.Rule
	repo  fs.FS
	w     wish
	until time.Time
	base  map[string]premortem.Severity // what stands without any fault
	text  map[string][][]byte           // lines of files
}

func (t *trial) run() (*selfTest, error) {
	sys, err := read.Repo(t.ctx, t.repo)
	if err != nil {
		return nil, err
	}
	t.base, t.text = map[string]premortem.Severity{}, map[string][][]byte{}
	for _, f := range check.Run(sys, t.rules) {
		t.base[f.Key()] = f.Severity
	}
	res := &selfTest{Schema: trialSchema, Seed: t.w.seed, Samples: t.w.samples, Rules: []ruleTest{}, Alarms: []plantedTest{}}
	all := check.Mutations(sys, t.rules, t.line)
	for _, r := range t.rules {
		if r.Mutate == nil {
			continue
		}
		row, err := t.row(r, all, res)
		if err != nil {
			return nil, err
		}
		res.Rules = append(res.Rules, row)
	}
	return res, t.harmless(sys, res)
}

// row plants the faults of one rule.
func (t *trial) row(r *check.Rule, all []check.Mutation, res *selfTest) (ruleTest, error) {
	row := ruleTest{Rule: r.ID, Others: []plantedTest{}, Missed: []plantedTest{}}
	var mine []check.Mutation
	for _, m := range all {
		if m.Rule == r.ID {
			mine = append(mine, m)
		}
	}
	row.Places = len(mine)
	for _, m := range sampled(mine, t.w.samples, t.w.seed) {
		if time.Now().After(t.until) {
			res.NotRun++
			continue
		}
		told, err := t.plant(m.Edits)
		if errors.Is(err, errUnplanted) {
			row.Places--
			continue
		}
		if err != nil {
			return row, err
		}
		row.Planted++
		if slices.ContainsFunc(told, func(f premortem.Finding) bool { return f.Rule == r.ID }) {
			row.Caught++
			continue
		}
		p := plantedTest{Pos: m.Pos, Says: m.Says, Told: keys(told)}
		if slices.ContainsFunc(told, func(f premortem.Finding) bool { return m.Node != "" && f.Node == m.Node }) {
			row.Others = append(row.Others, p)
			continue
		}
		row.Missed = append(row.Missed, p)
	}
	return row, nil
}

var errUnplanted = errors.New("the fault could not be planted")

// plant reads the repository with the edits made and returns what appeared or got
// worse.
func (t *trial) plant(edits []premortem.Edit) ([]premortem.Finding, error) {
	if err := ended(t.ctx); err != nil {
		return nil, err
	}
	files := map[string]*patched{}
	for _, e := range edits {
		f := files[e.Pos.File]
		if f == nil {
			data, err := fs.ReadFile(t.repo, e.Pos.File)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, errUnplanted
			}
			f = &patched{name: e.Pos.File, old: data}
			files[f.name] = f
		}
		f.edits = append(f.edits, e)
	}
	mutant := &overlay{FS: t.repo, files: map[string][]byte{}}
	for _, f := range files {
		if err := f.apply(); err != nil || bytes.Equal(f.old, f.new) {
			return nil, errUnplanted
		}
		mutant.files[f.name] = f.new
	}
	sys, err := read.Repo(t.ctx, mutant)
	if err != nil {
		if err := ended(t.ctx); err != nil {
			return nil, err
		}
		return nil, errUnplanted
	}
	var told []premortem.Finding
	for _, f := range check.Run(sys, t.rules) {
		if was, ok := t.base[f.Key()]; !ok || f.Severity > was {
			told = append(told, f)
		}
	}
	return told, nil
}

// harmless puts an empty line above the places of findings and faults: nothing may
// appear by it.
func (t *trial) harmless(sys *premortem.System, res *selfTest) error {
	var edits []check.Mutation
	seen := map[string]bool{}
	for _, m := range check.Mutations(sys, t.rules, t.line) {
		if file := m.Pos.File; !seen[file] {
			seen[file] = true
			edits = append(edits, check.Mutation{Pos: m.Pos, Says: "an empty line at the end",
				Edits: []premortem.Edit{{Pos: premortem.Pos{File: file, Line: len(t.lines(file)) + 1}, New: "\n"}}})
		}
	}
	for _, m := range sampled(edits, t.w.samples, t.w.seed) {
		if time.Now().After(t.until) {
			res.NotRun++
			continue
		}
		told, err := t.plant(m.Edits)
		if errors.Is(err, errUnplanted) {
			continue
		}
		if err != nil {
			return err
		}
		res.Harmless++
		if len(told) > 0 {
			res.Alarms = append(res.Alarms, plantedTest{Pos: m.Pos, Says: m.Says, Told: keys(told)})
		}
	}
	return nil
}

// line is a source line of the repository.
func (t *trial) line(pos premortem.Pos) (string, bool) {
	lines := t.lines(pos.File)
	if pos.Line < 1 || pos.Line > len(lines) {
		return "", false
	}
	return string(bytes.TrimRight(lines[pos.Line-1], "\r")), true
}

func (t *trial) lines(file string) [][]byte {
	lines, ok := t.text[file]
	if !ok {
		if data, err := fs.ReadFile(t.repo, file); err == nil && len(data) < 4<<20 {
			lines = bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
		}
		t.text[file] = lines
	}
	return lines
}

// sampled takes n of a list, the same ones for the same seed, in their order.
func sampled(list []check.Mutation, n int, seed int64) []check.Mutation {
	if len(list) <= n {
		return list
	}
	at := rand.New(rand.NewPCG(uint64(seed), uint64(len(list)))).Perm(len(list))[:n]
	slices.Sort(at)
	out := make([]check.Mutation, 0, n)
	for _, i := range at {
		out = append(out, list[i])
	}
	return out
}

func keys(found []premortem.Finding) []string {
	out := []string{}
	for i := range found {
		out = append(out, found[i].Key())
	}
	slices.SortFunc(out, cmp.Compare)
	return out
}
