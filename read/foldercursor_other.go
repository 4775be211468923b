//go:build !linux && !darwin

package read

import "context"

// folderCursor is of use where folders can be held open; here, each file is read
// from the root.
type folderCursor struct{}

func (t *Tree) cursor() *folderCursor { return &folderCursor{} }

func (c *folderCursor) close() {}

func (c *folderCursor) read(string, int64) (data []byte, s stamp, err error, ok bool) {
	return nil, stamp{}, nil, false
}

func (c *folderCursor) stamp(string) stamp { return stamp{} }

func (t *Tree) listDisk(context.Context, *Draft) (ok bool, err error) { return false, nil }
