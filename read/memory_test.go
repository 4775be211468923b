package read

import (
	"io/fs"
	"testing/fstest"
)

// memory is a repository in memory.
type memory struct{ fstest.MapFS }

func (m *memory) add(name string, data []byte) {
	if m.MapFS == nil {
		m.MapFS = fstest.MapFS{}
	}
	m.MapFS[name] = &fstest.MapFile{Data: data, Mode: 0o644}
}

// tree makes a repository of names and contents.
func tree(files map[string]string) fs.FS {
	m := &memory{}
	for name, data := range files {
		m.add(name, []byte(data))
	}
	return m
}
