package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/premortem/premortem"
)

// Options say how a server is run.
type Options struct {
	// Dir is the parent in which the server makes a folder of its own; "" means the
	// system's temporary folder, which is also used when the account that runs the
	// server may not enter Dir.
	Dir string
	// Settings of the server, as in postgresql.conf. Libraries to preload that this
	// installation does not have are left out and named in Server.Notes.
	Settings map[string]string
	User     string // who runs the server when we are root; "" means nobody or a suitable account
	// Journal is told what a later run must clean up after a crash. It is called with
	// pid 0 and a folder just before that folder is made, which may lie outside Dir,
	// and with the postmaster's pid and the server's own folder as soon as the process
	// runs. pid 0 is no process: it must never be signalled. Its error stops the start.
	// nil: not told.
	Journal func(pid int, dir string) error
}

// Server is a running PostgreSQL that dies with us. Its methods are safe for
// concurrent use.
type Server struct {
	// HasStatements says that pg_stat_statements is loaded and exists in every
	// database made by CreateDatabase.
	HasStatements bool
	Notes         []string // what was asked and could not be done

	bin      Binaries
	who      account
	dir      string // ours alone; removed by Close
	sockets  string // folder of the Unix socket
	port     int
	password string
	journal  func(int, string) error
	lock     *os.File

	mu       sync.Mutex
	settings map[string]string // as asked
	proc     *process          // nil when it does not run
	closed   bool
}

// Start makes a cluster and starts a server on it. Everything it made is gone when
// it fails. Errors are *premortem.Error.
func Start(ctx context.Context, b Binaries, o Options) (*Server, error) {
	who, err := pickAccount(o.User)
	if err != nil {
		return nil, err
	}
	s := &Server{bin: b, who: who, settings: maps.Clone(o.Settings), journal: o.Journal, password: rand.Text()}
	if err := s.start(ctx, o.Dir); err != nil {
		return nil, errors.Join(s.explain("start postgres "+b.Version, err), s.Close())
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, parent string) error {
	if err := s.makeFolder(ctx, parent); err != nil {
		return err
	}
	s.HasStatements = s.bin.hasLibrary(ctx, "pg_stat_statements")
	fromCache, err := s.fillCluster(ctx)
	if err != nil {
		return err
	}
	err = s.boot(ctx)
	if errors.Is(err, errEnded) && fromCache && !errors.Is(err, errPort) && !errors.Is(err, errSettings) {
		// A damaged cache must not make every later start fail.
		if err2 := s.forgetTemplate(); err2 != nil {
			return errors.Join(err, err2)
		}
		if _, err2 := s.fillCluster(ctx); err2 != nil {
			return errors.Join(err, err2)
		}
		err = s.boot(ctx)
	}
	if err != nil {
		return err
	}
	return s.setPassword(ctx)
}

var (
	errEnded    = errors.New("it ended at once")
	errPort     = errors.New("the port is in use")
	errSettings = errors.New("the settings are refused")
)

// explain turns an error into what a person sees.
func (s *Server) explain(doing string, err error) error {
	if _, ok := errors.AsType[*premortem.Error](err); ok {
		return err
	}
	hint := "see the messages above; another installation can be used by pointing PREMORTEM_PG_BIN at its bin folder"
	switch {
	case isDiskFull(err):
		hint = "free space in " + filepath.Dir(s.dir) + ", or use a folder on a larger disk"
	case errors.Is(err, errPort):
		hint = "stop what listens there, or leave the setting port out so that a free one is taken"
	case errors.Is(err, errSettings):
		hint = "correct the server settings; names and values are those of postgresql.conf"
	case errors.Is(err, os.ErrPermission):
		hint = fmt.Sprintf("account %s must be able to enter and write the folder", s.who.name)
	}
	return &premortem.Error{Doing: doing, Err: err, Hint: hint}
}

// boot configures the cluster and starts a postmaster; when another program took
// the free port first, it takes the next one.
func (s *Server) boot(ctx context.Context) error {
	fixed := s.settings["port"]
	for attempt := 0; ; attempt++ {
		switch {
		case fixed != "":
			port, err := strconv.Atoi(fixed)
			if err != nil {
				return fmt.Errorf("%w: port %q is not a number", errSettings, fixed)
			}
			s.port = port
		case s.port == 0 || attempt > 0:
			port, err := freePort()
			if err != nil {
				return err
			}
			s.port = port
		}
		err := s.launch(ctx)
		if errors.Is(err, errPort) && fixed == "" && attempt < 5 {
			continue
		}
		return err
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

// launch starts one postmaster and waits until it answers.
func (s *Server) launch(ctx context.Context) error {
	data := s.data()
	if err := configure(data, s.who, s.effective(ctx)); err != nil {
		return err
	}
	p, err := spawn(s.bin, s.who, data, s.log())
	if err != nil {
		return err
	}
	s.proc = p
	if s.journal != nil {
		err = s.journal(p.pid, s.dir)
	}
	if err == nil {
		err = s.ready(ctx, p)
	}
	if err != nil {
		s.proc = nil
		return errors.Join(err, p.stop(syscall.SIGQUIT, 8*time.Second))
	}
	return nil
}

// ready waits until the server takes connections.
func (s *Server) ready(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("it took no connection within a minute"))
	defer cancel()
	for {
		c, err := pgconn.Connect(ctx, s.SocketDSN("template1"))
		if err == nil {
			return c.Close(ctx)
		}
		select {
		case <-p.exited:
			return s.lastWords(p)
		default:
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

// lastWords says why a postmaster ended, from its own messages.
func (s *Server) lastWords(p *process) error {
	raw, err := os.ReadFile(s.log())
	if err != nil {
		return errors.Join(p.err, err)
	}
	text := complaint(raw)
	err = fmt.Errorf("%w (%v): %s", errEnded, p.err, text)
	for _, c := range []struct {
		sign  string
		cause error
	}{
		{"Address already in use", errPort},
		{"could not create any TCP/IP sockets", errPort},
		{"No space left on device", syscall.ENOSPC},
		{"unrecognized configuration parameter", errSettings},
		{"invalid value for parameter", errSettings},
		{"outside the valid range for parameter", errSettings},
		{"requires a numeric value", errSettings},
		{"configuration file", errSettings},
	} {
		if strings.Contains(string(raw), c.sign) {
			return fmt.Errorf("%w: %w", c.cause, err)
		}
	}
	return err
}

// heard adds the server's own complaints to an error of the connection: the client
// that was writing sees a closed connection, and only the log says why.
func (s *Server) heard(err error) error {
	raw, rerr := os.ReadFile(s.log())
	if rerr != nil || !strings.Contains(string(raw), "ERROR:") && !strings.Contains(string(raw), "PANIC:") {
		return err
	}
	return fmt.Errorf("%w; the server says: %s", err, complaint(raw))
}

// Restart stops the server cleanly, so that everything is on disk, and starts it
// on the same port with the given settings changed. Those that are not named stay; a
// value of "" takes one back to the server's default. Refused settings are not kept,
// but the server is down until the next Restart. Connections end.
func (s *Server) Restart(ctx context.Context, settings map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return &premortem.Error{Doing: "restart postgres " + s.bin.Version, Err: errors.New("it was closed"), Hint: ""}
	}
	if s.proc != nil {
		if err := s.proc.stop(syscall.SIGINT, 2*time.Minute); err != nil {
			return s.explain("restart postgres "+s.bin.Version, err)
		}
		s.proc = nil
	}
	before := s.settings
	s.settings = merged(before, settings)
	if err := s.boot(ctx); err != nil {
		if errors.Is(err, errSettings) {
			s.settings = before
		}
		return s.explain("restart postgres "+s.bin.Version, err)
	}
	return nil
}

// merged is before with changes made to it; names are compared without case, as the
// server does.
func merged(before, changes map[string]string) map[string]string {
	out := map[string]string{}
	for name, value := range before {
		out[strings.ToLower(name)] = value
	}
	for name, value := range changes {
		if value == "" {
			delete(out, strings.ToLower(name))
			continue
		}
		out[strings.ToLower(name)] = value
	}
	return out
}

// Close stops the server without writing anything back and removes its folder.
// It works when every context is dead, and again when it was called before.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var errs []error
	if s.proc != nil {
		errs = append(errs, s.proc.stop(syscall.SIGQUIT, 8*time.Second))
		s.proc = nil
	}
	if s.sockets != "" {
		errs = append(errs, os.RemoveAll(s.sockets))
	}
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close postgres: %w", err)
	}
	return nil
}

// DSN is the app's address of a database: TCP on the loopback with a password, a
// role that owns the database and is no superuser. It holds a secret.
func (s *Server) DSN(db string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(appRole, s.password),
		Host: s.Addr(), Path: "/" + db, RawQuery: "sslmode=disable",
	}
	return u.String()
}

// SocketDSN is our own address of a database: superuser, over the private socket,
// without a password.
func (s *Server) SocketDSN(db string) string {
	quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	return fmt.Sprintf("host='%s' port=%d user=%s dbname='%s' sslmode=disable application_name=premortem",
		quote.Replace(s.sockets), s.port, owner, quote.Replace(db))
}

// Addr is "127.0.0.1:port"; it survives Restart.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Pid is the postmaster's process, 0 when it does not run.
func (s *Server) Pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return 0
	}
	return s.proc.pid
}

// Done is closed when the postmaster that runs now has ended, by itself or by us;
// nil when none runs. After a Restart there is another one.
func (s *Server) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return nil
	}
	return s.proc.exited
}

// Dir is the server's own folder.
func (s *Server) Dir() string { return s.dir }

// Password is that of the app's role over TCP. It is random and a secret.
func (s *Server) Password() string { return s.password }

// User is the app's role.
func (s *Server) User() string { return appRole }

// Binaries are what it runs.
func (s *Server) Binaries() Binaries { return s.bin }

func (s *Server) data() string { return filepath.Join(s.dir, "data") }
func (s *Server) log() string  { return filepath.Join(s.dir, "log") }
