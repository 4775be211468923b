package read

import (
	"io/fs"
	"syscall"
)

// stampOf is the stamp of a file, zero for what the system says too little about.
func stampOf(info fs.FileInfo) stamp {
	if info == nil {
		return stamp{}
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return stamp{}
	}
	return stamp{Size: s.Size, Modified: s.Mtim.Nano(), Changed: s.Ctim.Nano(), Inode: s.Ino, Device: uint64(s.Dev)}
}
