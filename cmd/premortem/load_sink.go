package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/premortem/premortem"
)

// sinkSize tells the null sink how large its answers are.
const sinkSize = "PREMORTEM_SINK_BYTES"

// startSink runs this program once more as a server that does nothing, so that its
// work is not counted as the generator's. stop ends it.
func startSink(ctx context.Context, size int) (url string, stop func(), err error) {
	fail := func(err error) (string, func(), error) {
		return "", nil, &premortem.Error{Doing: "measure the generator", Err: err}
	}
	self, err := os.Executable()
	if err != nil {
		return fail(err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	cmd := exec.CommandContext(ctx, self)
	cmd.Args = []string{os.Args[0], "load", "--null-sink"}
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", sinkSize, size))
	in, err := cmd.StdinPipe()
	if err != nil {
		cancel()
		return fail(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return fail(err)
	}
	stop = func() {
		_ = in.Close()
		cancel()
		_ = cmd.Wait()
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return fail(fmt.Errorf("the null sink did not start: %w", err))
	}
	return strings.TrimSpace(line), stop, nil
}

// reachHint says what to do about a target that cannot be reached.
func reachHint(err error) string {
	var dns *net.DNSError
	var untrusted *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &dns):
		return "check the spelling of the host, and whether this machine can resolve it"
	case errors.As(err, &untrusted):
		return "give a server whose certificate this machine trusts, or --insecure"
	case errors.As(err, &record):
		return "the server does not speak TLS there: write http:// instead of https://"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "start the server first, and check the port"
	}
	return ""
}
