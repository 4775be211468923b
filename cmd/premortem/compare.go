package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/check"
	"github.com/premortem/premortem/read"
)

// compare fills r with what this checkout introduced since it left a revision.
func (p *program) compare(r *premortem.Report, rules []*check.Rule, w wish, accepted []check.Accepted) error {
	root, err := os.OpenRoot(r.Dir)
	if err != nil {
		return &premortem.Error{Doing: "read " + r.Dir, Err: err}
	}
	defer root.Close()
	repo, err := openRepository(p.ctx, r.Dir)
	if err != nil {
		return err
	}
	at, err := repo.revision(p.ctx, w.diff)
	if err != nil {
		return err
	}
	tree, err := repo.tree(p.ctx, at, root.FS())
	if err != nil {
		return &premortem.Error{Doing: "read revision " + at.String(), Err: err}
	}
	defer tree.close()
	old, err := p.lookBack(tree, at)
	if err != nil {
		return err
	}
	renamed, err := repo.moved(p.ctx, tree)
	if err != nil {
		return &premortem.Error{Doing: "read revision " + at.String(), Err: err}
	}
	before := judged(old, check.Run(old, rules), rules, w, nil)
	read.Quote(tree, before)
	after := judged(r.System, check.Between(old, r.System, rules), rules, w, accepted)
	read.Quote(root.FS(), after)
	introduced, gone := check.Introduced(before, after, func(file string) string {
		if to, ok := renamed[file]; ok {
			return to
		}
		return file
	})
	r.Findings = introduced
	asked := check.Unknowns(old, rules)
	open := r.Unknowns
	r.Unknowns = slices.DeleteFunc(slices.Clone(open), func(q string) bool { return slices.Contains(asked, q) })
	r.Doubts = append(r.Doubts, tree.doubts...)
	r.Stages = append(r.Stages, premortem.Stage{Name: "diff", Says: told(at, after, introduced, gone, len(open)-len(r.Unknowns))})
	return nil
}

// lookBack reads the repository as it was. A premortem.yaml that was wrong then is
// replaced by today's: the change may be the one that corrects it.
func (p *program) lookBack(tree *revisionTree, at revision) (*premortem.System, error) {
	sys, err := read.Repo(p.ctx, tree)
	if err == nil || ended(p.ctx) != nil || errors.Is(err, context.Canceled) {
		return sys, err
	}
	const config = "premortem.yaml"
	today := &overlay{FS: tree, files: map[string][]byte{}}
	if data, rerr := fs.ReadFile(tree.worktree, config); rerr == nil {
		today.files[config] = data
	} else {
		today.files[config] = nil
	}
	sys, again := read.Repo(p.ctx, today)
	if again != nil {
		return nil, &premortem.Error{Doing: "read revision " + at.String(), Err: err}
	}
	tree.doubts = append(tree.doubts, fmt.Sprintf("premortem.yaml of %s is wrong (%s): today's was taken for both sides", at, err))
	return sys, nil
}

// told is the comparison in one sentence, with what it leaves out.
func told(at revision, after, introduced, gone []premortem.Finding, open int) string {
	counting := func(fs []premortem.Finding) int {
		n := 0
		for _, f := range fs {
			if f.Suppressed == "" {
				n++
			}
		}
		return n
	}
	says := fmt.Sprintf("since %s: %s introduced; %d stood before and stand still, not told here", at,
		counted(counting(introduced), "finding"), counting(after)-counting(introduced))
	if len(gone) > 0 {
		says += fmt.Sprintf("; %d gone", len(gone))
	}
	if open > 0 {
		says += fmt.Sprintf("; %s unknown before as well", counted(open, "question"))
	}
	return says
}
