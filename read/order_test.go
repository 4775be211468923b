package read

import (
	"bytes"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"testing"
)

// late hands out files after waits that differ, so that they arrive in another order.
type late struct {
	*memory
	seed uint64
}

func (l *late) Open(name string) (fs.File, error) {
	var h uint64
	for _, c := range []byte(name) {
		h = h*31 + uint64(c)
	}
	for range rand.New(rand.NewPCG(l.seed, h)).IntN(50) {
		runtime.Gosched()
	}
	return l.memory.Open(name)
}

// Whatever file comes first, the System has the same bytes, and every position in
// it is a line of a file that exists.
func TestTheOrderInWhichFilesArriveDoesNotShow(t *testing.T) {
	files, _ := filepath.Glob("testdata/*/*.txtar")
	for _, file := range files {
		arc, err := parseArchive(file)
		if err != nil {
			t.Fatal(err)
		}
		repo := repository(t, arc)
		first, err := Repo(t.Context(), repo)
		if err != nil {
			continue
		}
		checkPositions(t, arc, first)
		for seed := range uint64(2) {
			shuffled := &late{memory: repo, seed: seed}
			sys, err := Repo(t.Context(), shuffled)
			if err != nil || !bytes.Equal(marshal(t, first), marshal(t, sys)) {
				t.Errorf("%s: another order gives another System (%v)", file, err)
			}
		}
	}
}
