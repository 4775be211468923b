package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha1" // git names objects by it
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

const (
	mostMoved   = 400     // files on either side of a comparison for renames
	largeMoved  = 1 << 20 // bytes above which only an equal file is a renamed one
	alikeEnough = 0.5     // share of lines, as git has it
)

// moved finds the files that the working tree has under another name: equal ones
// first, then those that share half of their lines. Findings that only moved with
// their file are no news.
func (r *repository) moved(ctx context.Context, old *revisionTree) (map[string]string, error) {
	names, err := r.files(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the files of the working tree: %w", err)
	}
	var gone, come []string
	for name, e := range old.files {
		if _, err := fs.Stat(old.worktree, name); err != nil && e.id != "" && e.Type() == 0 {
			gone = append(gone, name)
		}
	}
	for _, name := range names {
		if old.files[name] == nil {
			if info, err := fs.Stat(old.worktree, name); err == nil && info.Mode().IsRegular() {
				come = append(come, name)
			}
		}
	}
	if len(gone) == 0 || len(come) == 0 || len(gone) > mostMoved || len(come) > mostMoved {
		return nil, nil
	}
	slices.Sort(gone)
	slices.Sort(come)
	return paired(old, gone, come), ended(ctx)
}

// candidate is a file that may be another one under a new name.
type candidate struct {
	old, new string
	alike    float64
}

// paired gives each lost file at most one new one, the most alike first; among
// equals, the one that kept its name.
func paired(old *revisionTree, gone, come []string) map[string]string {
	texts := map[string][]byte{}
	for _, name := range come {
		if data, err := fs.ReadFile(old.worktree, name); err == nil {
			texts[name] = data
		}
	}
	var all []candidate
	for _, was := range gone {
		e := old.files[was]
		var data []byte
		if e.size <= largeMoved {
			data, _ = e.from.read(e.id)
		}
		for _, now := range come {
			c := candidate{old: was, new: now}
			switch text := texts[now]; {
			case sameObject(e.id, text):
				c.alike = 2
			case data != nil && len(text) <= largeMoved:
				c.alike = alike(data, text)
			}
			if path.Base(was) == path.Base(now) {
				c.alike += 0.01
			}
			if c.alike > alikeEnough {
				all = append(all, c)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return -cmp.Compare(a.alike, b.alike) })
	to, taken := map[string]string{}, map[string]bool{}
	for _, c := range all {
		if to[c.old] == "" && !taken[c.new] {
			to[c.old], taken[c.new] = c.new, true
		}
	}
	return to
}

// sameObject reports whether git would give the text this name, with either kind of
// line ends.
func sameObject(id string, text []byte) bool {
	for _, t := range [][]byte{text, bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))} {
		head := fmt.Appendf(nil, "blob %d\x00", len(t))
		var sum []byte
		if len(id) == 64 {
			s := sha256.Sum256(append(head, t...))
			sum = s[:]
		} else {
			s := sha1.Sum(append(head, t...))
			sum = s[:]
		}
		if hex.EncodeToString(sum) == id {
			return true
		}
	}
	return false
}

// alike is the share of lines that two texts have in common.
func alike(a, b []byte) float64 {
	left, lines, common := map[string]int{}, 0, 0
	for l := range bytes.Lines(a) {
		if l := strings.TrimSpace(string(l)); l != "" {
			left[l]++
			lines++
		}
	}
	others := 0
	for l := range bytes.Lines(b) {
		if l := strings.TrimSpace(string(l)); l != "" {
			others++
			if left[l] > 0 {
				left[l]--
				common++
			}
		}
	}
	if lines == 0 || others == 0 {
		return 0
	}
	return float64(common) / float64(max(lines, others))
}
