//go:build !linux

package wire

import "context"

// splice exists on Linux only; elsewhere flows copy.
func (f *flow) splice(context.Context, *End, *End, int64) (int64, error) {
	return 0, errNoSplice
}

func spliceAvailable(_, _ *End, _ int64) (int64, error) { return 0, nil }
