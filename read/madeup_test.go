package read

import (
	"bytes"

	"golang.org/x/tools/txtar"
)

// madeUp stands inside made-up keys of the archives, so that nothing that looks for
// keys in a repository takes them for real ones. It is dropped when they are read.
const madeUp = "(made-up)"

// parseArchive reads an archive with its made-up keys whole.
func parseArchive(file string) (*txtar.Archive, error) {
	arc, err := txtar.ParseFile(file)
	if err != nil {
		return nil, err
	}
	for i := range arc.Files {
		arc.Files[i].Data = bytes.ReplaceAll(arc.Files[i].Data, []byte(madeUp), nil)
	}
	return arc, nil
}
