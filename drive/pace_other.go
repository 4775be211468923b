//go:build !linux

package drive

import "time"

// newSleeper sleeps by the runtime's timers; expect a lag of about 1 ms.
func newSleeper(start time.Time) (until func(time.Duration), release func()) {
	return func(at time.Duration) { time.Sleep(at - time.Since(start)) }, func() {}
}
