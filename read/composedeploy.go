package read

import (
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/premortem/premortem"
)

// run reads how Compose starts, stops and asks a container, and what it may use.
func (l *composeLoad) run(w *workload, name string, c types.ServiceConfig) {
	l.probe(w, name, c.HealthCheck)
	if c.StopGracePeriod != nil {
		w.Grace = premortem.Setting[float64]{Value: time.Duration(*c.StopGracePeriod).Seconds(), Pos: l.pos(name, "stop_grace_period")}
	}
	if c.Init != nil && *c.Init {
		w.init = l.pos(name, "init")
	}
	if c.StopSignal != "" {
		w.stopSignal = premortem.Setting[string]{Value: c.StopSignal, Pos: l.pos(name, "stop_signal")}
	}
	switch {
	case c.ShmSize > 0:
		w.ShmSize = premortem.Setting[int64]{Value: int64(c.ShmSize), Pos: l.pos(name, "shm_size")}
	case c.Ipc == "host":
		w.ShmSize = premortem.Setting[int64]{Value: 1 << 40, Pos: l.pos(name, "ipc")} // the host's own
	}
	for _, t := range c.Tmpfs {
		if strings.HasPrefix(t, "/dev/shm") && !w.ShmSize.Set() {
			w.ShmSize = premortem.Setting[int64]{Value: 1 << 40, Pos: l.pos(name, "tmpfs")}
		}
	}
	l.requests(w, name, c)
	w.Unlimited = !w.Memory.Set()
	w.Job = (c.Restart == "" || c.Restart == "no") && l.endsFor(name)
	for i, p := range c.Ports {
		l.published(w, name, i, p)
	}
	for _, v := range c.Volumes {
		if from := l.rel(v.Source); v.Type == types.VolumeTypeBind && from != "" {
			w.mounts = append(w.mounts, copied{from: from, to: v.Target})
		}
	}
}

func (l *composeLoad) probe(w *workload, name string, h *types.HealthCheckConfig) {
	if h == nil {
		return
	}
	if h.Disable || len(h.Test) > 0 && h.Test[0] == "NONE" {
		w.noCheck = true
		return
	}
	words := []string(h.Test)
	if len(words) > 0 && (words[0] == "CMD" || words[0] == "CMD-SHELL") {
		words = words[1:]
	}
	if len(words) == 0 {
		return
	}
	p := commandProbe(words, l.pos(name, "healthcheck", "test"))
	if h.Timeout != nil {
		p.Timeout = premortem.Setting[float64]{Value: time.Duration(*h.Timeout).Seconds(), Pos: l.pos(name, "healthcheck", "timeout")}
	}
	if h.Interval != nil {
		p.Period = premortem.Setting[float64]{Value: time.Duration(*h.Interval).Seconds(), Pos: l.pos(name, "healthcheck", "interval")}
	}
	if h.Retries != nil && *h.Retries < 1000 {
		p.Failures = premortem.Setting[int]{Value: int(*h.Retries), Pos: l.pos(name, "healthcheck", "retries")}
	}
	w.Probes = append(w.Probes, p)
}

func (l *composeLoad) requests(w *workload, name string, c types.ServiceConfig) {
	if c.MemReservation > 0 {
		w.MemoryRequest = premortem.Setting[int64]{Value: int64(c.MemReservation), Pos: l.pos(name, "mem_reservation")}
	}
	if c.Deploy == nil {
		return
	}
	if u := c.Deploy.UpdateConfig; u != nil && u.Order == "start-first" {
		share := 1.0
		if n := w.Replicas.Or(1); u.Parallelism != nil && *u.Parallelism > 0 && n > 0 {
			share = min(float64(*u.Parallelism)/float64(n), 1)
		}
		w.MaxSurge = premortem.Setting[float64]{Value: share, Pos: l.pos(name, "deploy", "update_config", "order")}
	}
	r := c.Deploy.Resources.Reservations
	if r == nil {
		return
	}
	if r.MemoryBytes > 0 {
		w.MemoryRequest = premortem.Setting[int64]{Value: int64(r.MemoryBytes), Pos: l.pos(name, "deploy", "resources", "reservations", "memory")}
	}
	if r.NanoCPUs > 0 {
		w.CPURequest = premortem.Setting[float64]{Value: round(float64(r.NanoCPUs)), Pos: l.pos(name, "deploy", "resources", "reservations", "cpus")}
	}
}

// endsFor reports whether another service waits until this one has ended.
func (l *composeLoad) endsFor(name string) bool {
	for _, f := range l.sources() {
		for _, s := range entries(field(f.docs[0], "services")) {
			if text(field(s.value, "depends_on", name, "condition")) == "service_completed_successfully" {
				return true
			}
		}
	}
	return false
}

// published adds a port that the host offers to the way of a request.
func (l *composeLoad) published(w *workload, name string, i int, p types.ServicePortConfig) {
	target := strconv.Itoa(int(p.Target))
	pos := l.listPos(name, "ports", i, target)
	if p.Published == "" || p.Target == 0 || p.Protocol == "udp" {
		return
	}
	w.Hops = append(w.Hops, premortem.Hop{
		Kind: "published", Name: p.Published, Port: premortem.Setting[string]{Value: target, Pos: pos},
		Target: premortem.Setting[int]{Value: int(p.Target), Pos: pos},
	})
	if !w.Exposed.Set() && p.HostIP != "127.0.0.1" && p.HostIP != "::1" {
		w.Exposed = premortem.Setting[string]{Value: "published port " + p.Published, Pos: pos}
	}
}

// given lists what Compose passes to a build, with the line of each.
func (l *composeLoad) given(w *workload, name string, b *types.BuildConfig) {
	for _, key := range sortedKeys(b.Args) {
		pos := l.pos(name, "build", "args", key)
		if _, ok := l.at("services", name, "build", "args", key); !ok {
			pos = l.buildArgPos(name, key)
		}
		s := premortem.EnvSet{Name: key, Source: "build args of " + l.name, Pos: pos}
		if v := b.Args[key]; v != nil {
			keep(&s, *v, secretSource)
		}
		w.given = append(w.given, s)
	}
	for _, f := range l.sources() { // a bare name is passed on from the shell: the library drops it
		args := field(f.docs[0], "services", name, "build", "args")
		for _, n := range items(args) {
			if key := text(n); !strings.Contains(key, "=") {
				w.given = append(w.given, premortem.EnvSet{Name: key, Source: "build args of " + l.name, Pos: at(f.Path, n)})
			}
		}
		for _, e := range entries(args) {
			if text(e.value) == "" && deref(e.value).Tag == "!!null" {
				w.given = append(w.given, premortem.EnvSet{Name: e.key.Value, Source: "build args of " + l.name, Pos: at(f.Path, e.key)})
			}
		}
	}
	w.given = firstOfEach(w.given)
}

// buildArgPos finds an argument of a build in the list form: KEY=value or KEY.
func (l *composeLoad) buildArgPos(name, key string) premortem.Pos {
	for _, f := range l.sources() {
		for _, n := range items(field(f.docs[0], "services", name, "build", "args")) {
			if s := text(n); s == key || strings.HasPrefix(s, key+"=") {
				return at(f.Path, n)
			}
		}
	}
	return l.pos(name, "build", "args")
}
