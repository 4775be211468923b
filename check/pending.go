package check

import (
	"path"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// step is one statement of a migration with its effects.
type step struct {
	m       *premortem.Migration
	st      premortem.Statement
	effects []effect
}

// pending are migrations that production may not have yet, in order.
type pending struct {
	sys    *premortem.System
	steps  []step
	before []step // of the migrations before them
	made   map[string]bool
}

// forPostgres reports a migration that may run on PostgreSQL: it shows so itself, or
// nothing else is known to be there.
func forPostgres(sys *premortem.System, m *premortem.Migration) bool {
	if m.Dialect != "" {
		return m.Dialect == "postgres"
	}
	found := false
	for _, s := range sys.Stores {
		switch s.Kind {
		case "postgres":
			found = true
		case "mysql", "mariadb", "sqlite", "mssql", "sqlserver":
			return false
		}
	}
	return found || m.Runner == "prisma" && len(sys.Stores) == 0
}

// pendingIn reads the wanted migrations. Those of which nothing is known to run on
// PostgreSQL are left out.
func pendingIn(sys *premortem.System, want func(*premortem.Migration) bool) *pending {
	p := &pending{sys: sys, made: map[string]bool{}}
	for _, m := range sys.Migrations {
		if !forPostgres(sys, m) {
			continue
		}
		wanted := want(m)
		for _, st := range m.Statements {
			if st.Down {
				continue
			}
			s := step{m, st, effectsOf(st.SQL, st.Was)}
			if !wanted {
				p.before = append(p.before, s)
				continue
			}
			p.steps = append(p.steps, s)
			for _, e := range s.effects {
				if e.kind == "create table" {
					p.made[e.table] = true
				}
			}
		}
	}
	return p
}

// newest are the last migrations of each runner: all that a checkout says about what
// production may lack.
func newest(sys *premortem.System) *pending {
	last := map[string]*premortem.Migration{}
	for _, m := range sys.Migrations {
		if len(m.Statements) > 0 && !strings.HasPrefix(path.Base(m.Pos.File), "R__") {
			last[m.Runner] = m
		}
	}
	return pendingIn(sys, func(m *premortem.Migration) bool { return last[m.Runner] == m })
}

// added are the migrations that a change brings.
func added(old, sys *premortem.System) *pending {
	had := map[string]bool{}
	for _, m := range old.Migrations {
		had[m.Pos.File] = true
	}
	return pendingIn(sys, func(m *premortem.Migration) bool { return !had[m.Pos.File] })
}

// label names a migration for people and in keys: its file, or the folder of it
// where all files have one name.
func label(m *premortem.Migration) string {
	base := path.Base(m.Pos.File)
	if base == "migration.sql" {
		return path.Base(path.Dir(m.Pos.File))
	}
	return base
}

// database is the one PostgreSQL of the system, "" when there are none or several.
func database(sys *premortem.System) premortem.Node {
	var nodes []premortem.Node
	for _, s := range sys.Stores {
		if s.Kind == "postgres" && !slices.Contains(nodes, s.Node) {
			nodes = append(nodes, s.Node)
		}
	}
	if len(nodes) == 1 {
		return nodes[0]
	}
	return ""
}

// oneLine is a statement on one line, cut where it is long.
func oneLine(sql string) string {
	s := strings.Join(strings.Fields(sql), " ")
	if len(s) > 120 {
		cut := strings.LastIndexByte(s[:120], ' ')
		s = s[:max(cut, 80)] + " …"
	}
	return s
}
