//go:build !linux

package drive

// react is false here: requests are made by goroutines.
func (e *engine) react() bool { return false }

type reactor struct{}

func (e *engine) startReactors(chan<- struct{}) {}
