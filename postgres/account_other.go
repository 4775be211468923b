//go:build unix && !linux

package postgres

import "syscall"

// dieWithUs does nothing here: the kernel has no such signal. What a kill -9 leaves,
// Sweep removes at the next start.
func dieWithUs(*syscall.SysProcAttr) {}

// endWithUs does nothing here, as dieWithUs.
func endWithUs(*syscall.SysProcAttr) {}
