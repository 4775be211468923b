package read

import (
	"encoding/base64"
	"path"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

var envIdentifier = regexp.MustCompile(`^[-._a-zA-Z][-._a-zA-Z0-9]*$`)

// environment lists what the cluster gives a container: `env` over `envFrom`, and
// of `envFrom` the later over the earlier.
func (c *cluster) environment(w *workload, o *object, container []string) {
	sub := func(path ...string) []string { return append(slices.Clone(container), path...) }
	var sets []premortem.EnvSet
	for _, e := range slices.Backward(items(o.get(sub("env")...))) {
		name := text(field(e, "name"))
		if name == "" {
			continue
		}
		s := premortem.EnvSet{Name: name, Source: "environment", Pos: o.where(sub("env", "["+name+"]", "name")...)}
		v := o.where(sub("env", "["+name+"]", "value")...)
		if field(e, "value") != nil && v.File != s.Pos.File {
			s.Pos = v // an overlay gives it another value
		}
		if value := text(field(e, "value")); value != "" {
			c.d.credential(v.File, v, c.d.lineOf(v), name, value, "environment", c.deployment)
		}
		if c.envEntry(&s, e) {
			sets = append(sets, s)
		}
	}
	from := items(o.get(sub("envFrom")...))
	for i := len(from) - 1; i >= 0; i-- {
		pos := o.where(sub("envFrom", "#"+itoa(i))...)
		if i > 9 {
			pos = o.where(sub("envFrom")...)
		}
		sets = append(sets, c.envFrom(w, from[i], pos)...)
	}
	w.Provides = firstOfEach(sets)
}

// envEntry fills a set from one entry of `env`; false when the object that it
// names is in the tree and lacks the key.
func (c *cluster) envEntry(s *premortem.EnvSet, e *yaml.Node) bool {
	from := field(e, "valueFrom")
	if from == nil {
		keep(s, text(field(e, "value")), plainSource)
		return true
	}
	for _, ref := range []struct{ key, kind string }{{"configMapKeyRef", "ConfigMap"}, {"secretKeyRef", "Secret"}} {
		n := field(from, ref.key)
		if n == nil {
			continue
		}
		name, key := text(field(n, "name")), text(field(n, "key"))
		s.Source = strings.ToLower(ref.kind) + " " + c.plain(ref.kind, name)
		keys, ok, open := c.keysOf(ref.kind, name)
		if !ok || open {
			return true // somebody wired it to an object that is made elsewhere
		}
		for _, k := range keys {
			if k.Name == key {
				s.Empty, s.Plain, s.Value, s.Hash = k.Empty, k.Plain, k.Value, k.Hash
				return true
			}
		}
		return false
	}
	s.Source = "pod field"
	return true
}

// envFrom returns the keys of an object that a container takes as a whole.
func (c *cluster) envFrom(w *workload, n *yaml.Node, pos premortem.Pos) []premortem.EnvSet {
	prefix := text(field(n, "prefix"))
	for _, ref := range []struct{ key, kind string }{{"configMapRef", "ConfigMap"}, {"secretRef", "Secret"}} {
		r := field(n, ref.key)
		if r == nil {
			continue
		}
		name := text(field(r, "name"))
		keys, ok, open := c.keysOf(ref.kind, name)
		what := strings.ToLower(ref.kind) + " " + name
		if !ok {
			w.Opaque = append(w.Opaque, premortem.Opaque{Why: what + " is not in the repository", Pos: pos})
		}
		if open {
			w.Opaque = append(w.Opaque, premortem.Opaque{Why: what + " is filled from outside of the repository", Pos: pos})
		}
		var out []premortem.EnvSet
		for _, k := range keys {
			if !envIdentifier.MatchString(k.Name) {
				continue // the kubelet skips names that are no identifiers
			}
			k.Name = prefix + k.Name
			out = append(out, k)
		}
		return out
	}
	return nil
}

// plain is the name that a person gave to an object of the tree.
func (c *cluster) plain(kind, name string) string {
	for _, o := range c.objects {
		if o.kind() == kind && o.name() == name {
			return o.plainName()
		}
	}
	return name
}

// keysOf lists the keys of a ConfigMap or Secret with the line of each. ok is false
// when nothing in the tree makes it; open when something outside adds keys to it.
func (c *cluster) keysOf(kind, name string) (keys []premortem.EnvSet, ok, open bool) {
	for _, o := range c.objects {
		switch o.kind() {
		case kind:
			if o.name() == name {
				keys, ok = append(keys, c.dataKeys(o)...), true
			}
		case "SealedSecret":
			made := text(o.get("spec", "template", "metadata", "name"))
			if made == "" {
				made = o.name()
			}
			if kind == "Secret" && made == name {
				ok = true
				for _, e := range entries(o.get("spec", "encryptedData")) {
					keys = append(keys, premortem.EnvSet{Name: e.key.Value, Source: "secret " + name, Pos: o.where("spec", "encryptedData", e.key.Value)})
				}
			}
		case "ExternalSecret":
			made := text(o.get("spec", "target", "name"))
			if made == "" {
				made = o.name()
			}
			if kind != "Secret" || made != name {
				continue
			}
			ok = true
			if made := entries(o.get("spec", "target", "template", "data")); len(made) > 0 && text(o.get("spec", "target", "template", "mergePolicy")) != "Merge" {
				for _, e := range made { // the template's keys are all that the Secret gets
					keys = append(keys, premortem.EnvSet{Name: e.key.Value, Source: "secret " + name, Pos: o.where("spec", "target", "template", "data", e.key.Value)})
				}
				continue
			}
			open = open || len(items(o.get("spec", "dataFrom"))) > 0
			for _, e := range items(o.get("spec", "data")) {
				keys = append(keys, premortem.EnvSet{Name: text(field(e, "secretKey")), Source: "secret " + name, Pos: c.externalPos(o, e)})
			}
		}
	}
	return keys, ok, open
}

// externalPos finds the line of an ExternalSecret's entry in its own document.
func (c *cluster) externalPos(o *object, entry *yaml.Node) premortem.Pos {
	for _, s := range o.sources {
		for _, e := range items(walkPath(s.node, []string{"spec", "data"})) {
			if text(field(e, "secretKey")) == text(field(entry, "secretKey")) {
				return at(s.file, field(e, "secretKey"))
			}
		}
	}
	return o.where("spec", "data")
}

// dataKeys lists what a ConfigMap or Secret holds.
func (c *cluster) dataKeys(o *object) []premortem.EnvSet {
	secret := o.kind() == "Secret"
	source := strings.ToLower(o.kind()) + " " + o.plainName()
	var out []premortem.EnvSet
	for _, part := range []string{"stringData", "data"} {
		for _, e := range entries(o.get(part)) {
			s := premortem.EnvSet{Name: e.key.Value, Source: source, Pos: c.keyPos(o, part, e.key.Value)}
			value, from := text(e.value), plainSource
			if secret {
				from = secretSource
			}
			if secret && part == "data" {
				raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(value), ""))
				if err != nil {
					raw = []byte("(unreadable)")
				}
				value = string(raw)
			}
			keep(&s, value, from)
			out = append(out, s)
		}
	}
	return firstOfEach(out)
}

// keyPos finds the line of a key: in a patch, in the literals and env files of a
// generator, or in the object's document.
func (c *cluster) keyPos(o *object, part, key string) premortem.Pos {
	for _, s := range o.sources {
		if s.op == "literals" {
			if pos, ok := c.literal(s, key); ok {
				return pos
			}
			continue
		}
		for _, p := range []string{part, "stringData", "data"} {
			if k, _ := pair(field(s.node, p), key); k != nil && s.op == "" {
				return at(s.file, k)
			}
		}
	}
	return o.where(part, key)
}

// literal finds a key in a generator's literals, env files and files.
func (c *cluster) literal(s source, key string) (premortem.Pos, bool) {
	for _, l := range items(field(s.node, "literals")) {
		if strings.HasPrefix(text(l), key+"=") {
			return at(s.file, l), true
		}
	}
	envs := items(field(s.node, "envs"))
	if e := field(s.node, "env"); e != nil {
		envs = append(envs, e)
	}
	for _, e := range envs {
		file := join(path.Dir(s.file), text(e))
		data, err := c.t.read(file)
		if err != nil {
			continue
		}
		for _, v := range parseDotenv(data) {
			if v.name == key {
				return premortem.Pos{File: file, Line: v.line}, true
			}
		}
	}
	for _, f := range items(field(s.node, "files")) {
		name, _, named := strings.Cut(text(f), "=")
		if !named {
			name = path.Base(name)
		}
		if name == key {
			return at(s.file, f), true
		}
	}
	return premortem.Pos{}, false
}
