package wire

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
)

// TestPostgresCopyWithExtendedProtocolDropsEarlySyncs does what libpq does: it sends
// Sync right after Execute, which the server passes over while it takes copy data.
func TestPostgresCopyWithExtendedProtocolDropsEarlySyncs(t *testing.T) {
	for _, ahead := range []bool{false, true} {
		var seen calls
		e, dsn := tapped(t, Postgres(seen.record))
		c := connected(t, dsn, pgx.QueryExecModeSimpleProtocol)
		execute(t, c, "CREATE TEMP TABLE t (a int)")
		seen.take()
		hijacked, err := c.PgConn().Hijack()
		if err != nil {
			t.Fatal(err)
		}
		defer hijacked.Conn.Close()
		f := hijacked.Frontend
		f.SendParse(&pgproto3.Parse{Query: "COPY t FROM STDIN"})
		f.SendBind(&pgproto3.Bind{})
		f.SendExecute(&pgproto3.Execute{})
		f.SendSync(&pgproto3.Sync{})
		if !ahead {
			f.Flush()
			receive[*pgproto3.CopyInResponse](t, f)
		}
		f.Send(&pgproto3.CopyData{Data: []byte("1\n2\n")})
		f.Send(&pgproto3.CopyDone{})
		f.SendSync(&pgproto3.Sync{})
		f.Flush()
		receive[*pgproto3.ReadyForQuery](t, f)
		f.SendQuery(&pgproto3.Query{String: "SELECT 7"})
		f.Flush()
		receive[*pgproto3.ReadyForQuery](t, f)
		wantCalls(t, fmt.Sprint("ahead ", ahead), seen.take(), "COPY t FROM STDIN rows=2", "SELECT ? rows=1")
		if e.Blind() != 0 {
			t.Error("the tap gave up")
		}
	}
}

// receive reads up to the next message of that type.
func receive[T pgproto3.BackendMessage](t testing.TB, f *pgproto3.Frontend) T {
	t.Helper()
	for {
		m, err := f.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if found, ok := m.(T); ok {
			return found
		}
	}
}

func TestPostgresPortalsMayBeReadInParts(t *testing.T) {
	var seen calls
	_, dsn := tapped(t, Postgres(seen.record))
	c := connected(t, dsn, pgx.QueryExecModeSimpleProtocol)
	execute(t, c, "BEGIN")
	seen.take()
	hijacked, err := c.PgConn().Hijack()
	if err != nil {
		t.Fatal(err)
	}
	defer hijacked.Conn.Close()
	f := hijacked.Frontend
	f.SendParse(&pgproto3.Parse{Name: "s", Query: "SELECT generate_series(1, 25)"})
	f.SendBind(&pgproto3.Bind{DestinationPortal: "p", PreparedStatement: "s"})
	f.SendDescribe(&pgproto3.Describe{ObjectType: 'P', Name: "p"})
	for range 3 {
		f.SendExecute(&pgproto3.Execute{Portal: "p", MaxRows: 10})
	}
	f.SendClose(&pgproto3.Close{ObjectType: 'P', Name: "p"})
	f.SendSync(&pgproto3.Sync{})
	f.Flush()
	receive[*pgproto3.ReadyForQuery](t, f)
	op := "SELECT generate_series(?, ?) rows="
	wantCalls(t, "portal", seen.take(), op+"10 tx", op+"10 tx", op+"5 tx")
}

func TestPostgresEncryptionIsRefusedOrMakesTheTapBlind(t *testing.T) {
	var seen calls
	e, dsn := tapped(t, Postgres(seen.record))
	// The server has no certificate: it answers N, and the driver goes on without.
	c := connected(t, strings.Replace(dsn, "sslmode=disable", "sslmode=prefer", 1), pgx.QueryExecModeSimpleProtocol)
	execute(t, c, "SELECT 1")
	wantCalls(t, "refused", seen.take(), "SELECT ? rows=1")
	if e.Blind() != 0 {
		t.Errorf("%d blind connections, want none", e.Blind())
	}
	e.SetTargets("tcp", server(t, func(c net.Conn) {
		io.ReadFull(c, make([]byte, 8))
		io.WriteString(c, "S")
		echo(c)
	}))
	raw := dial(t, e.Addr())
	raw.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47})
	io.ReadFull(raw, make([]byte, 1))
	ask(t, raw, "\x16\x03\x01 anything at all")
	direct := dial(t, e.Addr())
	direct.Write([]byte("\x16\x03\x01\x00\x05hello"))
	until(t, "both connections are blind", func() bool { return e.Blind() == 2 })
}

func TestPostgresCancelAndFailedConnectAreCalls(t *testing.T) {
	var seen calls
	e, dsn := tapped(t, Postgres(seen.record))
	c := connected(t, dsn, pgx.QueryExecModeSimpleProtocol)
	seen.take()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := c.Exec(context.Background(), "SELECT pg_sleep(20)")
		done <- err
	})
	until(t, "the cancel request reaches the statement", func() bool {
		if err := c.PgConn().CancelRequest(ctx); err != nil {
			t.Error(err)
		}
		return len(done) == 1
	})
	cancel()
	wg.Wait()
	all := seen.take()
	if last := slices.IndexFunc(all, func(c Call) bool { return c.Op == "SELECT pg_sleep(?)" && c.Err == "57014" }); last < 0 {
		t.Errorf("no cancelled statement in %v", all)
	}
	if !slices.ContainsFunc(all, func(c Call) bool { return c.Op == "CANCEL" && c.Err == "" }) {
		t.Errorf("no cancel request in %v", all)
	}
	seen.take()
	bad := strings.Replace(dsn, "postgres://", "postgres://x", 1)
	if _, err := pgx.Connect(t.Context(), bad); err == nil {
		t.Fatal("no error")
	}
	until(t, "the refused connection is gone", func() bool { return e.Conns() == 1 })
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if len(seen.all) != 1 || seen.all[0].Op != "CONNECT" || seen.all[0].Err != "28P01" {
		t.Errorf("got %v, want one CONNECT with 28P01", seen.all)
	}
}
