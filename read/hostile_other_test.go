//go:build !unix

package read

import "testing"

func pipes(testing.TB, string) {}
