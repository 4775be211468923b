//go:build !linux

package clone

// killMarked finds nobody: only Linux lets one read another process's environment.
// Groups are ended by their number instead.
func killMarked(string) ([]int, error) { return nil, nil }
