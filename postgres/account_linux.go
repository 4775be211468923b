package postgres

import "syscall"

// dieWithUs makes the kernel tell the child to stop at once when the thread that
// started it ends. SIGQUIT is PostgreSQL's immediate shutdown: the postmaster takes
// its own children with it.
func dieWithUs(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }

// endWithUs is dieWithUs for a shell, whose trap takes its children with it.
func endWithUs(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGTERM }
