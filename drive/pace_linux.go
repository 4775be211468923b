package drive

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// newSleeper returns a function that sleeps until an absolute time on the clock that
// started at start, and one that undoes the preparation. The calling goroutine keeps
// its thread until then. Absolute, because errors of relative sleeps add up; the
// kernel's own clock, because the runtime's timers have a quantum of 1 ms.
func newSleeper(start time.Time) (until func(time.Duration), release func()) {
	runtime.LockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // 50 µs otherwise; per thread
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		runtime.UnlockOSThread()
		return func(at time.Duration) { time.Sleep(at - time.Since(start)) }, func() {}
	}
	zero := ts.Nano() - int64(time.Since(start))
	until = func(at time.Duration) {
		ts := unix.NsecToTimespec(zero + int64(at))
		for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &ts, nil) == unix.EINTR {
		} // the runtime preempts with signals
	}
	return until, func() {
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) // back to the default
		runtime.UnlockOSThread()
	}
}
