package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// Loading returns settings for filling a database: nothing is durable, nothing is
// logged twice, nothing runs beside it. Restart with production's settings before
// anything is timed. synchronous_commit stays on: without it a VACUUM right after
// the load cannot mark pages all-visible.
func Loading() map[string]string {
	return map[string]string{
		"wal_level": "minimal", "max_wal_senders": "0", "fsync": "off", "full_page_writes": "off",
		"autovacuum": "off", "max_wal_size": "16GB", "checkpoint_timeout": "1h",
		"maintenance_work_mem": "256MB", "shared_buffers": "512MB", "max_parallel_maintenance_workers": "2",
	}
}

// effective are the settings that the server is started with: ours that must be,
// the asked ones, and defaults.
func (s *Server) effective(ctx context.Context) map[string]string {
	out := map[string]string{"timezone": "UTC", "log_timezone": "UTC"}
	s.Notes = nil
	var libraries []string
	for name, value := range s.settings {
		name = strings.ToLower(name)
		if name == "shared_preload_libraries" {
			libraries = s.loadable(ctx, value)
			continue
		}
		out[name] = value
	}
	const statements = "pg_stat_statements"
	if s.HasStatements && !slices.Contains(libraries, statements) {
		libraries = append([]string{statements}, libraries...)
	}
	out["shared_preload_libraries"] = strings.Join(libraries, ",")
	out["listen_addresses"] = "127.0.0.1"
	out["port"] = strconv.Itoa(s.port)
	out["unix_socket_directories"] = s.sockets
	out["logging_collector"] = "off"
	out["log_destination"] = "stderr"
	out["ssl"] = "off"
	out["password_encryption"] = "scram-sha-256"
	return out
}

// loadable keeps the libraries that this installation has.
func (s *Server) loadable(ctx context.Context, list string) []string {
	var have []string
	for name := range strings.SplitSeq(list, ",") {
		name = strings.Trim(strings.TrimSpace(name), `"'`)
		switch {
		case name == "":
		case s.bin.hasLibrary(ctx, name):
			have = append(have, name)
		default:
			s.Notes = append(s.Notes, fmt.Sprintf("shared_preload_libraries: this installation has no %s", name))
		}
	}
	return have
}

// isDiskFull recognises a full disk in our own writes and in the server's answers.
func isDiskFull(err error) bool {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return true
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "53100" {
		return true
	}
	// What initdb and a dying server print.
	return err != nil && (strings.Contains(err.Error(), "No space left on device") || strings.Contains(err.Error(), "Check free disk space"))
}
