//go:build !linux && !darwin

package read

import "io/fs"

// stampOf says nothing where the system tells no time of change that programs cannot
// set: there, every file is read and compared by its content.
func stampOf(fs.FileInfo) stamp { return stamp{} }
