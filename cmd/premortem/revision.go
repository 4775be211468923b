package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/premortem/premortem"
)

// repository is the git repository that holds a folder. Its history is read with
// the git program, in a way that runs no hook, filter or external tool and that
// cannot reach the network.
type repository struct {
	dir     string // the folder that is checked
	prefix  string // that folder below the repository's root: "" or "services/api/"
	shallow bool
}

// revision is one commit to compare with.
type revision struct {
	name   string // as the user named it
	commit string
	short  string
	says   string // what it is, when that is not plain from the name
}

func (v revision) String() string {
	if v.says != "" {
		return v.name + " (" + v.short + ", " + v.says + ")"
	}
	return v.name + " (" + v.short + ")"
}

// command is a git command in the folder.
func (r *repository) command(ctx context.Context, args ...string) *exec.Cmd {
	safe := []string{"-C", r.dir, "-c", "core.fsmonitor=false", "-c", "core.hooksPath=" + os.DevNull, "-c", "protocol.allow=never", "-c", "core.quotePath=false"}
	cmd := exec.CommandContext(ctx, "git", append(safe, args...)...)
	for _, e := range os.Environ() {
		// Set by git for its hooks, they would point at another place than dir.
		switch name, _, _ := strings.Cut(e, "="); name {
		case "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_ALLOW_PROTOCOL":
			continue
		}
		cmd.Env = append(cmd.Env, e)
	}
	cmd.Env = append(cmd.Env, "GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=", "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C")
	return cmd
}

// ask runs a git command and returns what it prints. Its error is git's own words.
func (r *repository) ask(ctx context.Context, args ...string) ([]byte, error) {
	cmd := r.command(ctx, args...)
	var out, words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &words
	if err := cmd.Run(); err != nil {
		if err := ended(ctx); err != nil {
			return nil, err
		}
		if says := strings.TrimSpace(words.String()); says != "" {
			first, _, _ := strings.Cut(says, "\n")
			return nil, errors.New(strings.TrimPrefix(first, "fatal: "))
		}
		return nil, err
	}
	return out.Bytes(), nil
}

// openRepository finds the repository that holds dir.
func openRepository(ctx context.Context, dir string) (*repository, error) {
	r := &repository{dir: dir}
	if _, err := exec.LookPath("git"); err != nil {
		return nil, &premortem.Error{Doing: "read the history of " + dir, Err: err, Hint: "--diff needs git: install it, or check without --diff"}
	}
	out, err := r.ask(ctx, "rev-parse", "--is-shallow-repository", "--is-inside-work-tree", "--show-prefix")
	if err != nil {
		return nil, &premortem.Error{Doing: "read the history of " + dir, Err: err, Hint: "--diff compares with a revision of git: name a folder of a working tree, or check without --diff"}
	}
	lines := strings.SplitN(string(out), "\n", 3)
	if len(lines) < 3 || lines[1] != "true" {
		return nil, &premortem.Error{Doing: "read the history of " + dir, Err: errors.New("the folder is in no working tree"), Hint: "--diff compares a checkout with a revision"}
	}
	r.shallow, r.prefix = lines[0] == "true", strings.TrimSuffix(lines[2], "\n")
	return r, nil
}

// revision finds the commit at which this checkout left the named one: their merge
// base, so that what others did to a branch meanwhile is not held against it.
func (r *repository) revision(ctx context.Context, name string) (revision, error) {
	commit, err := r.ask(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{commit}")
	if err != nil || strings.HasPrefix(name, "-") {
		if err := ended(ctx); err != nil {
			return revision{}, err
		}
		hint := "git log --oneline lists commits; git fetch brings a branch of the remote"
		if r.shallow {
			hint = "this clone is shallow: git fetch --unshallow brings its history; in a GitHub workflow set fetch-depth: 0 on actions/checkout"
		}
		return revision{}, &premortem.Error{Doing: "read --diff", Err: fmt.Errorf("there is no revision %q in the repository of %s", name, r.dir), Hint: hint}
	}
	v := revision{name: name, commit: strings.TrimSpace(string(commit))}
	base, err := r.ask(ctx, "merge-base", v.commit, "HEAD")
	switch {
	case ended(ctx) != nil:
		return v, ended(ctx)
	case err != nil && r.shallow:
		v.says = "taken as it is: the clone is too shallow to tell where this checkout left it"
	case err != nil:
		v.says = "taken as it is: it has no ancestor in common with this checkout"
	default:
		if b := strings.TrimSpace(string(base)); b != v.commit {
			v.commit, v.says = b, "where this checkout left it"
		}
	}
	v.short = v.commit[:min(len(v.commit), 10)]
	return v, nil
}

// batch is a git process that hands out objects. Its methods may be called
// concurrently; the objects come one at a time.
type batch struct {
	cmd *exec.Cmd

	mu  sync.Mutex // held from a question to its answer
	in  io.WriteCloser
	out *bufio.Reader
}

// objects starts a process that hands out the repository's objects until close.
func (r *repository) objects(ctx context.Context) (*batch, error) {
	b := &batch{cmd: r.command(ctx, "cat-file", "--batch")}
	in, err := b.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	b.in, b.out = in, bufio.NewReaderSize(out, 1<<16)
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	return b, nil
}

func (b *batch) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	_ = b.in.Close()
	_ = b.cmd.Wait()
}

// read returns an object's bytes.
func (b *batch) read(id string) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err := io.WriteString(b.in, id+"\n"); err != nil {
		return nil, fmt.Errorf("ask git for %s: %w", id, err)
	}
	head, err := b.out.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("ask git for %s: %w", id, err)
	}
	var size int64
	var kind string
	if n, _ := fmt.Sscanf(head, id+" %s %d", &kind, &size); n != 2 {
		return nil, fmt.Errorf("git does not have %s here", id)
	}
	data := make([]byte, size+1) // and the line end
	if _, err := io.ReadFull(b.out, data); err != nil {
		return nil, fmt.Errorf("ask git for %s: %w", id, err)
	}
	return data[:size], nil
}

// files of the working tree that git knows or would take, relative to dir.
func (r *repository) files(ctx context.Context) ([]string, error) {
	out, err := r.ask(ctx, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	return split(out), err
}

// ignored are the paths of the working tree that are no part of any revision; those
// of whole folders end with a slash.
func (r *repository) ignored(ctx context.Context) ([]string, error) {
	out, err := r.ask(ctx, "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
	return split(out), err
}

func split(out []byte) []string {
	var list []string
	for s := range strings.SplitSeq(string(out), "\x00") {
		if s != "" {
			list = append(list, s)
		}
	}
	return list
}

// submodule is the repository that is checked out at a path below this one.
func (r *repository) submodule(at string) *repository {
	return &repository{dir: filepath.Join(r.dir, filepath.FromSlash(at)), shallow: r.shallow}
}
