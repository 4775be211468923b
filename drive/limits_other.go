//go:build !unix

package drive

import (
	"syscall"
	"time"
)

// fileLimit is not known here; dialling says when there are no more.
func fileLimit() int { return 1 << 24 }

// reserveFiles has nothing to reserve from.
func reserveFiles(int) int { return 0 }

// watch cannot look at an idle connection here.
func watch(*conn, syscall.Conn, int) bool { return true }

// ownCPU is not known here.
func ownCPU() time.Duration { return 0 }
