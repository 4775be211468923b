package read

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/premortem/premortem"
)

// folderFS is a folder on disk. Nothing outside of it can be reached, by whatever
// links.
type folderFS struct{ root *os.Root }

func (f folderFS) Open(name string) (fs.File, error) { return f.root.Open(name) }

func (f folderFS) Stat(name string) (fs.FileInfo, error) { return f.root.Stat(name) }

func (f folderFS) ReadDir(name string) ([]fs.DirEntry, error) {
	return fs.ReadDir(f.root.FS(), name)
}

// errFolder is a symbolic link to a folder: it is not followed and hides nothing
// that the walk does not reach by its own name.
var errFolder = errors.New("is a folder")

// openFolder opens the root of a repository.
func openFolder(dir string) (*os.Root, error) {
	hint := "name the folder of the repository, for example: premortem check ."
	info, err := os.Stat(dir)
	if err != nil {
		return nil, &premortem.Error{Doing: "read " + dir, Err: cause(err), Hint: hint}
	}
	if !info.IsDir() {
		return nil, &premortem.Error{Doing: "read " + dir, Err: errors.New("not a folder"), Hint: hint}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, &premortem.Error{Doing: "read " + dir, Err: cause(err), Hint: hint}
	}
	return root, nil
}

// readLimited returns a regular file's bytes, and what its folder says of it. It
// refuses what is larger than the limit, binary, or no file: a pipe or a device is
// not opened when a link leads to it, for that could take forever.
func readLimited(in fs.FS, name string, limit int64, link bool) ([]byte, fs.FileInfo, error) {
	if link {
		info, err := fs.Stat(in, name)
		if err != nil {
			return nil, nil, fmt.Errorf("cannot be read: %w", cause(err))
		}
		if err := regular(info); err != nil {
			return nil, nil, err
		}
	}
	f, err := in.Open(name)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot be read: %w", cause(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot be read: %w", cause(err))
	}
	if err := regular(info); err != nil {
		return nil, nil, err
	}
	if info.Size() > limit {
		return nil, info, errTooLarge(info.Size(), limit)
	}
	data, err := readText(f, info.Size(), limit)
	return data, info, err
}

func regular(info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return errFolder
	case !info.Mode().IsRegular():
		return errNoFile
	}
	return nil
}

var errNoFile = errors.New("is no regular file")

func errTooLarge(size, limit int64) error {
	return fmt.Errorf("has %d bytes; files above %d are not read", size, limit)
}

// textProbe is how much of a file must be free of zero bytes for it to be text.
const textProbe = 8000

// readText reads a file of about size bytes to its end, and gives up at a zero byte
// near its beginning.
func readText(f io.Reader, size, limit int64) ([]byte, error) {
	data := make([]byte, 0, size+1) // one more than there is, to see the end
	probed := false
	for {
		to := cap(data)
		if !probed && len(data) < textProbe {
			to = min(to, textProbe)
		}
		n, err := f.Read(data[len(data):to])
		data = data[:len(data)+n]
		if !probed && (len(data) >= textProbe || err != nil) {
			probed = true
			if bytes.IndexByte(data[:min(len(data), textProbe)], 0) >= 0 {
				return nil, errors.New("is not text")
			}
		}
		switch {
		case err == io.EOF:
			return data, nil
		case err != nil:
			return nil, fmt.Errorf("cannot be read: %w", cause(err))
		case int64(len(data)) > limit:
			return nil, fmt.Errorf("grew while it was read; files above %d bytes are not read", limit)
		case len(data) == cap(data):
			data = append(data, 0)[:len(data)]
		}
	}
}
