package read

import (
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// word reads a scalar of an object with the line that a person edits.
func (o *object) word(path ...string) premortem.Setting[string] {
	s := text(o.get(path...))
	if s == "" {
		return premortem.Setting[string]{}
	}
	return premortem.Setting[string]{Value: s, Pos: o.where(path...)}
}

// number reads a number of an object.
func (o *object) number(path ...string) premortem.Setting[float64] {
	v, err := strconv.ParseFloat(text(o.get(path...)), 64)
	if err != nil {
		return premortem.Setting[float64]{}
	}
	return premortem.Setting[float64]{Value: v, Pos: o.where(path...)}
}

// amount reads a quantity of an object: 512Mi, 250m.
func (o *object) amount(path ...string) premortem.Setting[float64] {
	v, ok := quantity(text(o.get(path...)))
	if !ok {
		return premortem.Setting[float64]{}
	}
	return premortem.Setting[float64]{Value: v, Pos: o.where(path...)}
}

func bytesOf(s premortem.Setting[float64]) premortem.Setting[int64] {
	if !s.Set() {
		return premortem.Setting[int64]{}
	}
	return premortem.Setting[int64]{Value: int64(s.Value), Pos: s.Pos}
}

// under extends a path without touching it.
func under(base []string, more ...string) []string { return append(slices.Clone(base), more...) }

// pod reads how the main container of a pod template starts, stops, is asked how it
// does, and what it may use.
func (c *cluster) pod(w *workload, o *object, spec, container []string) {
	for _, kind := range []string{"startup", "readiness", "liveness"} {
		if p, ok := probeOf(o, container, kind); ok {
			w.Probes = append(w.Probes, p)
		}
	}
	w.Grace = o.number(under(spec, "terminationGracePeriodSeconds")...)
	w.PreStop = preStop(o, under(container, "lifecycle", "preStop"))
	w.CPURequest = o.amount(under(container, "resources", "requests", "cpu")...)
	w.MemoryRequest = bytesOf(o.amount(under(container, "resources", "requests", "memory")...))
	w.Unlimited = !w.Memory.Set()
	w.ShmSize = sharedMemory(o, spec, container)
	if text(o.get(under(spec, "shareProcessNamespace")...)) == "true" {
		w.init = o.where(under(spec, "shareProcessNamespace")...) // the pause container is process 1
	}
	switch o.kind() {
	case "CronJob":
		w.Job = true
		w.Schedule, w.Concurrency = o.word("spec", "schedule"), o.word("spec", "concurrencyPolicy")
	case "Job":
		w.Job = true
	case "StatefulSet", "DaemonSet":
		w.Strategy = o.word("spec", "updateStrategy", "type")
	default:
		w.Strategy = o.word("spec", "strategy", "type")
	}
	c.references(w, o, spec, container)
}

// probeOf reads one probe. What it leaves to the kubelet's defaults stays silent.
func probeOf(o *object, container []string, kind string) (premortem.Probe, bool) {
	at := func(path ...string) []string { return append(under(container, kind+"Probe"), path...) }
	if len(entries(o.get(at()...))) == 0 {
		return premortem.Probe{}, false
	}
	p := premortem.Probe{Kind: kind, Pos: o.where(at()...)}
	port := func(path ...string) premortem.Setting[int] {
		n := containerPort(o, container, text(o.get(at(path...)...)))
		if n == 0 {
			return premortem.Setting[int]{}
		}
		return premortem.Setting[int]{Value: n, Pos: o.where(at(path...)...)}
	}
	switch {
	case o.get(at("httpGet")...) != nil:
		p.Check = "http"
		if p.Path = o.word(at("httpGet", "path")...); !p.Path.Set() {
			p.Path = premortem.Setting[string]{Value: "/", Pos: o.where(at("httpGet")...)}
		}
		p.Port = port("httpGet", "port")
	case o.get(at("tcpSocket")...) != nil:
		p.Check, p.Port = "tcp", port("tcpSocket", "port")
	case o.get(at("grpc")...) != nil:
		p.Check, p.Port = "grpc", port("grpc", "port")
	case o.get(at("exec")...) != nil:
		p.Check = "exec"
		if args := texts(o.get(at("exec", "command")...)); len(args) > 0 {
			p.Command = premortem.Setting[string]{Value: strings.Join(maskArgs(args), " "), Pos: o.where(at("exec", "command")...)}
			p.Path, p.Port = urlProbe(p.Command)
		}
	}
	p.Timeout, p.Period = o.number(at("timeoutSeconds")...), o.number(at("periodSeconds")...)
	if n := o.number(at("failureThreshold")...); n.Set() {
		p.Failures = premortem.Setting[int]{Value: int(n.Value), Pos: n.Pos}
	}
	return p, true
}

// containerPort turns a port's number or its name in a container into the number,
// 0 for a name that the container does not have.
func containerPort(o *object, container []string, port string) int {
	if n, err := strconv.Atoi(port); err == nil {
		return n
	}
	if port == "" {
		return 0
	}
	for _, p := range items(o.get(under(container, "ports")...)) {
		if text(field(p, "name")) == port {
			n, _ := strconv.Atoi(text(field(p, "containerPort")))
			return n
		}
	}
	return 0
}

// preStop is how long a hook waits before the process is told to stop: of a command,
// the sum of its sleeps.
func preStop(o *object, hook []string) premortem.Setting[float64] {
	if s := o.number(under(hook, "sleep", "seconds")...); s.Set() {
		return s
	}
	args := texts(o.get(under(hook, "exec", "command")...))
	if len(args) == 0 {
		return premortem.Setting[float64]{}
	}
	total, found := 0.0, false
	words := strings.FieldsFunc(strings.Join(args, " "), func(r rune) bool { return r == ' ' || r == ';' || r == '&' || r == '\n' || r == '\t' })
	for i, word := range words {
		if word != "sleep" && !strings.HasSuffix(word, "/sleep") || i+1 == len(words) {
			continue
		}
		if v, ok := seconds(words[i+1]); ok {
			total, found = total+v, true
		}
	}
	if !found {
		return premortem.Setting[float64]{}
	}
	return premortem.Setting[float64]{Value: total, Pos: o.where(under(hook, "exec", "command")...)}
}

// seconds reads the argument of sleep(1): 15, 0.5, 15s, 2m.
func seconds(s string) (float64, bool) {
	unit := 1.0
	for suffix, n := range map[string]float64{"s": 1, "m": 60, "h": 3600, "d": 86400} {
		if rest, ok := strings.CutSuffix(s, suffix); ok {
			s, unit = rest, n
			break
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	return v * unit, err == nil && v >= 0 && v < 1e6
}

// sharedMemory is the volume in memory that stands at /dev/shm: its limit, or the
// container's own limit, which is the most it can use.
func sharedMemory(o *object, spec, container []string) premortem.Setting[int64] {
	for _, m := range items(o.get(under(container, "volumeMounts")...)) {
		if strings.TrimSuffix(text(field(m, "mountPath")), "/") != "/dev/shm" {
			continue
		}
		name := "[" + text(field(m, "name")) + "]"
		empty := under(spec, "volumes", name, "emptyDir")
		if text(o.get(under(empty, "medium")...)) != "Memory" {
			continue
		}
		if v := o.amount(under(empty, "sizeLimit")...); v.Set() {
			return bytesOf(v)
		}
		limit := o.amount(under(container, "resources", "limits", "memory")...)
		return premortem.Setting[int64]{Value: int64(limit.Value), Pos: o.where(under(empty, "medium")...)}
	}
	return premortem.Setting[int64]{}
}

// limitRange gives containers without a limit that of the LimitRange of their
// namespace.
func (c *cluster) limitRange(o *object, made []*workload) {
	for _, l := range items(o.get("spec", "limits")) {
		if text(field(l, "type")) != "Container" {
			continue
		}
		limit := func(key string) (*yaml.Node, *yaml.Node) { return pair(field(l, "default"), key) }
		for _, w := range made {
			if k, v := limit("memory"); k != nil && !w.Memory.Set() {
				if n, ok := quantity(text(v)); ok {
					w.Memory = premortem.Setting[int64]{Value: int64(n), Pos: c.rangePos(o, k)}
					w.Unlimited = false
				}
			}
			if k, v := limit("cpu"); k != nil && !w.CPU.Set() {
				if n, ok := quantity(text(v)); ok {
					w.CPU = premortem.Setting[float64]{Value: n, Pos: c.rangePos(o, k)}
				}
			}
			for _, res := range []string{"memory", "cpu"} {
				k, v := pair(field(l, "defaultRequest"), res)
				n, ok := quantity(text(v))
				switch {
				case k == nil || !ok:
				case res == "memory" && !w.MemoryRequest.Set():
					w.MemoryRequest = premortem.Setting[int64]{Value: int64(n), Pos: c.rangePos(o, k)}
				case res == "cpu" && !w.CPURequest.Set():
					w.CPURequest = premortem.Setting[float64]{Value: n, Pos: c.rangePos(o, k)}
				}
			}
		}
	}
}

// rangePos is the line of a key of a LimitRange, the list's own line where the
// document was rendered from elsewhere.
func (c *cluster) rangePos(o *object, key *yaml.Node) premortem.Pos {
	pos := o.where("spec", "limits")
	for _, s := range o.sources {
		for _, l := range items(walkPath(s.node, []string{"spec", "limits"})) {
			for _, part := range []string{"default", "defaultRequest"} {
				if k, _ := pair(field(l, part), key.Value); k != nil && s.op == "" {
					return at(s.file, k)
				}
			}
		}
	}
	return pos
}

// disruption reads a PodDisruptionBudget.
func (c *cluster) disruption(o *object, made []*workload) {
	for _, key := range []string{"minAvailable", "maxUnavailable"} {
		v := o.word("spec", key)
		if !v.Set() {
			continue
		}
		v.Value = key + " " + v.Value
		for _, w := range c.selected(o.get("spec", "selector", "matchLabels"), made) {
			w.Disruption = v
		}
	}
}

// selected are the workloads whose pods carry all labels of a selector.
func (c *cluster) selected(selector *yaml.Node, made []*workload) []*workload {
	want := entries(selector)
	if len(want) == 0 {
		return nil
	}
	var out []*workload
	for _, w := range made {
		if w.pod == nil {
			continue
		}
		labels := w.pod.get(under(w.podPath[:len(w.podPath)-1], "metadata", "labels")...)
		if !slices.ContainsFunc(want, func(e entry) bool { return text(field(labels, e.key.Value)) != text(e.value) }) {
			out = append(out, w)
		}
	}
	return out
}
