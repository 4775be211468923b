package read

import (
	"strings"

	"github.com/premortem/premortem"
)

// describeDeploy writes what a deployment says about the life of a workload.
func describeDeploy(p func(string, ...any), v *premortem.Service) {
	for _, s := range []string{
		opt("min_replicas", v.MinReplicas), opt("cpu_request", v.CPURequest), opt("memory_request", v.MemoryRequest), opt("strategy", v.Strategy),
		opt("grace", v.Grace), opt("pre_stop", v.PreStop), opt("exposed", v.Exposed), opt("schedule", v.Schedule), opt("concurrency", v.Concurrency),
		opt("shm_size", v.ShmSize), opt("disruption", v.Disruption),
	} {
		if s != "" {
			p(" %s", s)
		}
	}
	for _, s := range v.ScalesOn {
		p(" %s", opt("scales_on", s))
	}
	for _, b := range v.Probes {
		describeProbe(p, b)
	}
	if s := v.Start; s.Shell || s.Script != "" || s.Init || s.Signal.Set() {
		flags := ""
		for _, f := range []struct {
			on   bool
			name string
		}{{s.Shell, " shell"}, {s.Simple, " simple"}, {s.Init, " init"}} {
			if f.on {
				flags += f.name
			}
		}
		p("  start at %s%s%s%s%s", s.Pos, flags, word(" script=", s.Script), opt("runs", s.Runs), opt("signal", s.Signal))
	}
	for _, h := range v.Hops {
		p("  hop %s %s%s%s%s%s", h.Kind, h.Name, opt("port", h.Port), opt("target", h.Target), word(" owner=", h.Owner), word(" lost: ", h.Lost))
	}
	for _, r := range v.References {
		optional := ""
		if r.Optional {
			optional = " optional"
		}
		p("  reference %s key=%s env=%s at %s %s in %s%s keys=%v", r.Object, r.Key, r.Env, r.Pos, r.Found, r.In, optional, r.Keys)
	}
	for _, a := range v.After {
		if a.Condition.Set() {
			p("  after %s%s", a.Node, opt("condition", a.Condition))
		}
	}
	for _, e := range v.BuildArgs {
		p("  build arg %s at %s from %s%s", e.Name, e.Pos, e.Source, word(" = ", e.Value))
	}
	switch {
	case v.Job:
		p("  job")
	case v.Unlimited && !strings.Contains(v.Deployment, "compose"): // there it is the rule
		p("  unlimited")
	}
}

func describeProbe(p func(string, ...any), b premortem.Probe) {
	p("  probe %s %s at %s%s%s%s%s%s%s", b.Kind, b.Check, b.Pos, opt("path", b.Path), opt("port", b.Port), opt("command", b.Command),
		opt("timeout", b.Timeout), opt("period", b.Period), opt("failures", b.Failures))
}

func describeBalancer(p func(string, ...any), v *premortem.Balancer) {
	line := strings.TrimLeft(opt("software", premortem.Setting[string]{Value: v.Software, Pos: v.Pos})+opt("version", v.Version)+opt("read", v.ReadTimeout)+
		opt("connect", v.ConnectTimeout)+opt("request", v.RequestTimeout)+opt("drain", v.Drain)+opt("reuse", v.Reuse)+opt("body", v.BodyLimit)+
		opt("retries", v.Retries)+opt("to_port", v.ToPort), " ")
	if v.Software == "" && !v.ToPort.Set() {
		line = ""
	}
	if line != "" {
		p("  %s front=%d", line, v.Front)
	}
	for _, b := range v.Probes {
		describeProbe(p, b)
	}
}

// describePipelines writes what builds and pipelines do.
func describePipelines(p func(string, ...any), s *premortem.System) {
	for _, v := range s.Installs {
		flags := ""
		for _, f := range []struct {
			on   bool
			name string
		}{{v.Frozen, " frozen"}, {v.Absent, " absent"}, {v.CI, " ci"}} {
			if f.on {
				flags += f.name
			}
		}
		if v.Ignored.Known() {
			flags += " ignored at " + v.Ignored.String()
		}
		p("install %s %s at %s%s%s", v.Service, v.Tool, v.Pos, opt("lockfile", v.Lockfile), flags)
	}
	for _, v := range s.Poolers {
		p("pooler %s %s %s to %s at %s users=%v%s%s%s%s%s%s", v.Deployment, v.Name, v.Software, v.To, v.Pos, v.Users, opt("mode", v.Mode), opt("pool", v.PoolSize),
			opt("reserve", v.Reserve), opt("max_server", v.MaxServer), opt("max_clients", v.MaxClients), opt("replicas", v.Replicas))
	}
	for _, v := range s.Baked {
		p("baked %s %s by %s ignore %s", v.Service, v.File, v.Copy, v.Ignore)
	}
	for _, v := range s.Pipeline {
		deploys := ""
		if v.Deploys {
			deploys = " deploys"
		}
		p("pipeline %s job=%s step=%q at %s %s%s%s", v.Name, v.Job, v.Step, v.Pos, v.Provided, deploys, word(" callee=", v.Callee))
	}
	for _, v := range s.Credentials {
		production := ""
		if v.Production {
			production = " production"
		}
		p("credential %s %s: %s in %s at %s%s%s", v.Service, v.Name, v.What, v.Where, v.Pos, word(" default: ", v.Default), production)
		p("  %s", v.Quote)
	}
	for _, v := range s.Certificates {
		p("certificate %s until %s at %s own=%t ca=%t", v.Subject, v.Until, v.Pos, v.Own, v.CA)
	}
}
