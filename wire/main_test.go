package wire

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/premortem/premortem/postgres"
)

// started holds the PostgreSQL that the tests share; it starts with the first that
// needs it.
var started struct {
	once sync.Once
	srv  *postgres.Server
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if started.srv != nil {
		if err := started.srv.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// database returns the shared server, ready for connections.
func database(t testing.TB) *postgres.Server {
	t.Helper()
	started.once.Do(func() {
		ctx := context.Background() // the server outlives the test that starts it
		bin, err := postgres.Find(ctx, postgres.FindOptions{Major: 15})
		if err == nil {
			started.srv, err = postgres.Start(ctx, bin, postgres.Options{})
		}
		started.err = err
	})
	if started.err != nil {
		t.Fatal("this test needs a PostgreSQL 15: ", started.err)
	}
	return started.srv
}
