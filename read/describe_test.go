package read

import (
	"errors"
	"fmt"
	"strings"

	"github.com/premortem/premortem"
)

// describe writes a System as one line per fact, for people to review.
func describe(s *premortem.System) string {
	var b strings.Builder
	p := func(format string, args ...any) {
		b.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
	}
	if s.Name != "" {
		p("name %s", s.Name)
	}
	for _, d := range s.Deployments {
		p("deployment %s %s", d.Name, d.Kind)
	}
	if s.Production != "" {
		p("production %s (%s)", s.Production, s.ProductionWhy)
	}
	for _, v := range s.Services {
		describeService(p, v)
	}
	for _, v := range s.Stores {
		p("store %s %s %s at %s%s%s%s%s hosts=%v", v.Deployment, v.Node, v.Kind, v.Pos, opt("version", v.Version), opt("class", v.Class), opt("max_connections", v.MaxConnections), opt("port", v.Port), v.Hosts)
		for _, m := range v.Params {
			p("  param %s%s", m.Name, opt("value", m.Value))
		}
	}
	for _, v := range s.ThirdParties {
		p("third party %s %v at %s", v.Node, v.Hosts, v.Uses[0].Pos)
	}
	for _, v := range s.Balancers {
		p("balancer %s %s to %s at %s%s", v.Deployment, v.Kind, v.To, v.Pos, opt("idle", v.IdleTimeout))
		describeBalancer(p, v)
	}
	for _, v := range s.Dependencies {
		p("dependency %s -> %s at %s%s%s%s%s%s", v.From, v.To, v.Pos, opt("env", v.Env), opt("pool", v.Pool), word(" pool_env=", v.PoolEnv), opt("timeout", v.Timeout), opt("retries", v.Retries))
	}
	for _, v := range s.Env {
		p("env %s %s %s", v.Service, v.Name, v.Class)
		for _, r := range v.Reads {
			p("  %s %s %s", r.Pos, r.Class, r.Quote)
		}
	}
	for _, v := range s.Runtimes {
		p("runtime %s %s %s at %s runs=%v %s", v.Service, v.Language, v.Version.Value, v.Version.Pos, v.Runs, v.Source)
	}
	for _, v := range s.Images {
		p("image %s %s %s at %s%s%s%s final=%v", v.Deployment, v.Service, v.Ref, v.Pos, word(" tag=", v.Tag), word(" digest=", v.Digest), word(" stage=", v.Stage), v.Final)
	}
	describePipelines(p, s)
	describeCode(p, s)
	return b.String()
}

func describeService(p func(string, ...any), v *premortem.Service) {
	p("service %s %s at %s%s%s", v.Deployment, v.Node, v.Pos, word(" dir=", v.Dir), word(" dockerfile=", v.Dockerfile))
	for _, s := range []string{
		opt("image", v.Image), opt("command", v.Command), opt("replicas", v.Replicas), opt("max_replicas", v.MaxReplicas), opt("max_surge", v.MaxSurge),
		opt("health", v.Health), opt("cpu", v.CPU), opt("memory", v.Memory),
	} {
		if s != "" {
			p(" %s", s)
		}
	}
	for _, port := range v.Ports {
		p(" %s", opt("port", port))
	}
	if len(v.DependsOn) > 0 {
		p("  depends_on %v", v.DependsOn)
	}
	if v.Static {
		p("  static")
	}
	describeDeploy(p, v)
	for _, e := range v.Provides {
		state := ""
		if e.Empty {
			state = " empty"
		} else if e.Value != "" && !e.Plain {
			state = " partly"
		}
		p("  provides %s at %s from %s%s%s", e.Name, e.Pos, e.Source, word(" = ", e.Value), state)
	}
	for _, o := range v.Opaque {
		p("  opaque at %s: %s", o.Pos, o.Why)
	}
}

func describeCode(p func(string, ...any), s *premortem.System) {
	for _, t := range s.Tables {
		p("table %s at %s", t.Name, t.Pos)
		for _, c := range t.Columns {
			null := ""
			if c.NotNull {
				null = " not null"
			}
			p("  column %s %s%s%s at %s", c.Name, c.Type, null, word(" default ", c.Default), c.Pos)
		}
		for _, i := range t.Indexes {
			kind := ""
			if i.Unique {
				kind = " unique"
			}
			if i.Primary {
				kind = " primary"
			}
			p("  index %s (%s)%s%s%s at %s", i.Name, strings.Join(i.Columns, ", "), kind, word(" using ", i.Method), word(" where ", i.Where), i.Pos)
		}
		for _, f := range t.Foreign {
			p("  foreign (%s) -> %s (%s)%s at %s", strings.Join(f.Columns, ", "), f.RefTable, strings.Join(f.RefColumns, ", "), word(" on delete ", f.OnDelete), f.Pos)
		}
	}
	for _, m := range s.Migrations {
		p("migration %s %s", m.Pos.File, m.Runner)
		describeStatements(p, s, m)
	}
	for _, q := range s.Queries {
		flags := ""
		for _, f := range []struct {
			on   bool
			name string
		}{{q.Limit, " limit"}, {q.Offset, " offset"}, {!q.Awaited, " NOT-AWAITED"}} {
			if f.on {
				flags += f.name
			}
		}
		if q.InLoop {
			flags += " in-loop:" + q.Loop.String()
		}
		p("query %s %s %s %s%s%s", q.Service, q.Pos, q.Op, q.Table, word(" order=", strings.Join(q.Order, ",")), flags)
		for _, pr := range q.Predicates {
			p("  where %s %s at line %d", pr.Expr, pr.Op, pr.Pos.Line)
		}
		if q.SQL != "" {
			p("  %s", q.SQL)
		}
	}
	for _, r := range s.Routes {
		p("route %s %s at %s-%d", r.Service, r.Name(), r.Pos, r.End)
	}
	describeTraffic(p, s)
	describeConfig(p, s)
}

// describeStatements speaks in archives that hold migrations alone.
func describeStatements(p func(string, ...any), s *premortem.System, m *premortem.Migration) {
	if len(s.Services) > 0 {
		return
	}
	if m.Dialect != "" || m.LockTimeout.Set() {
		p("  dialect %q%s", m.Dialect, opt("lock_timeout", m.LockTimeout))
	}
	for _, st := range m.Statements {
		tx, down := "alone", ""
		if st.InTx {
			tx = "in tx"
		}
		if st.Down {
			down = " down"
		}
		p("  %d %s%s: %s%s", st.Pos.Line, tx, down, strings.Join(strings.Fields(st.SQL), " "), word(" was ", st.Was))
	}
}

func describeConfig(p func(string, ...any), s *premortem.System) {
	for _, j := range s.Journeys {
		p("journey %s weight=%v at %s", j.Name, j.Weight, j.Pos)
		for _, st := range j.Steps {
			if st.Request == nil {
				p("  think %s", st.Think)
				continue
			}
			r := st.Request
			p("  %s %s as %q on %s headers=%v body=%s expect=%d keep=%v", r.Method, r.Path, r.Route, r.Service, r.Headers, r.Body, r.Expect, r.Keep)
		}
	}
	for _, o := range s.Objectives {
		p("objective %s%s%s%s", o.Route, opt("p95", o.P95), opt("p99", o.P99), opt("errors", o.Errors))
	}
	if s.Base.Users.Set() || s.Base.Calls.Set() {
		p("base%s%s", opt("users", s.Base.Users), opt("calls", s.Base.Calls))
	}
	if s.Database.Profile.Set() {
		p("database%s", opt("profile", s.Database.Profile))
	}
	for _, r := range s.Database.Rows {
		p("rows %s%s", r.Table, opt("rows", r.Rows))
	}
	for _, v := range s.Database.Values {
		p("values %s.%s%s", v.Table, v.Column, opt("template", v.Template))
	}
	for _, v := range s.Suppressions {
		p("suppress %s %s %q until=%q inline=%v at %s", v.Rule, v.Node, v.Reason, v.Until, v.Inline, v.Pos)
	}
	for _, u := range s.Unread {
		p("unread %s: %s", u.Pos, u.Why)
	}
}

func opt[T any](name string, s premortem.Setting[T]) string {
	if !s.Set() {
		return ""
	}
	if args, ok := any(s.Value).([]string); ok {
		return fmt.Sprintf(" %s=%q (%s)", name, args, s.Pos)
	}
	return fmt.Sprintf(" %s=%v (%s)", name, s.Value, s.Pos)
}

func word(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

func describeError(err error) string {
	out := "error " + err.Error() + "\n"
	if pe, ok := errors.AsType[*premortem.Error](err); ok && pe.Hint != "" {
		out += "hint " + pe.Hint + "\n"
	}
	return out
}
