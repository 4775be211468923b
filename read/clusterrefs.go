package read

import (
	"encoding/base64"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// refKinds are the ways in which a pod names a key of an object, or all of it.
var refKinds = []struct{ key, kind string }{{"configMapKeyRef", "ConfigMap"}, {"secretKeyRef", "Secret"}}

// references lists what a pod needs of other objects in order to start: by `env`,
// `envFrom` and volumes of its main container.
func (c *cluster) references(w *workload, o *object, spec, container []string) {
	for _, e := range items(o.get(under(container, "env")...)) {
		name := text(field(e, "name"))
		for _, ref := range refKinds {
			n := field(e, "valueFrom", ref.key)
			if n == nil || name == "" {
				continue
			}
			pos := o.where(under(container, "env", "["+name+"]", "valueFrom", ref.key, "key")...)
			w.References = append(w.References, c.reference(ref.kind, n, text(field(n, "key")), name, pos))
		}
	}
	for i, e := range items(o.get(under(container, "envFrom")...)) {
		pos := o.where(under(container, "envFrom", "#"+itoa(i))...)
		if i > 9 {
			pos = o.where(under(container, "envFrom")...)
		}
		for _, ref := range []struct{ key, kind string }{{"configMapRef", "ConfigMap"}, {"secretRef", "Secret"}} {
			if n := field(e, ref.key); n != nil {
				w.References = append(w.References, c.reference(ref.kind, n, "", "", pos))
			}
		}
	}
	for _, v := range items(o.get(under(spec, "volumes")...)) {
		c.volume(w, o, under(spec, "volumes", "["+text(field(v, "name"))+"]"), v)
	}
}

// volume lists what a volume is filled from: an object, and the keys it picks.
func (c *cluster) volume(w *workload, o *object, path []string, v *yaml.Node) {
	if text(field(v, "name")) == "" {
		return
	}
	sources := []struct{ key, kind, name string }{{"configMap", "ConfigMap", "name"}, {"secret", "Secret", "secretName"}}
	for _, s := range sources {
		n := field(v, s.key)
		if n == nil {
			continue
		}
		object := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{
			{Kind: yaml.ScalarNode, Value: "name"}, {Kind: yaml.ScalarNode, Value: text(field(n, s.name))},
			{Kind: yaml.ScalarNode, Value: "optional"}, {Kind: yaml.ScalarNode, Value: text(field(n, "optional"))},
		}}
		pos := o.where(under(path, s.key, s.name)...)
		picks := items(field(n, "items"))
		for _, p := range picks {
			w.References = append(w.References, c.reference(s.kind, object, text(field(p, "key")), "", pos))
		}
		if len(picks) == 0 {
			w.References = append(w.References, c.reference(s.kind, object, "", "", pos))
		}
	}
}

// reference looks up what a pod names. It is Missing only where the tree makes the
// object and lists all of its keys.
func (c *cluster) reference(kind string, n *yaml.Node, key, env string, pos premortem.Pos) premortem.Reference {
	name := text(field(n, "name"))
	r := premortem.Reference{
		Pos: pos, Object: strings.ToLower(kind) + " " + c.plain(kind, name), Key: key, Env: env,
		Optional: text(field(n, "optional")) == "true",
	}
	keys, ok, open := c.keysOf(kind, name)
	if ok {
		r.In = c.maker(kind, name)
	}
	for _, k := range keys {
		r.Keys = append(r.Keys, k.Name)
		if key != "" && k.Name == key {
			r.Found, r.In = premortem.Provided, k.Pos
			if k.Empty {
				r.Found = premortem.ProvidedEmpty
			}
		}
	}
	switch {
	case r.Found != premortem.ProvisionUnknown:
	case ok && key == "":
		r.Found = premortem.Provided
	case ok && !open:
		r.Found = premortem.Missing
	}
	return r
}

// maker is the object that makes a ConfigMap or Secret.
func (c *cluster) maker(kind, name string) premortem.Pos {
	for _, o := range c.objects {
		made := o.name()
		switch o.kind() {
		case "SealedSecret":
			if s := text(o.get("spec", "template", "metadata", "name")); s != "" {
				made = s
			}
		case "ExternalSecret":
			if s := text(o.get("spec", "target", "name")); s != "" {
				made = s
			}
		case kind:
		default:
			continue
		}
		if made == name && (o.kind() == kind || kind == "Secret") {
			return o.pos()
		}
	}
	return premortem.Pos{}
}

// lookAlike settles references to objects that nothing makes: one whose name differs
// by a slip from an object that the deployment makes and nobody uses is Missing.
func (c *cluster) lookAlike(made []*workload) {
	used := map[string]bool{}
	for _, w := range made {
		for _, r := range w.References {
			used[r.Object] = used[r.Object] || r.In.Known()
		}
	}
	for _, w := range made {
		for i := range w.References {
			r := &w.References[i]
			kind, name, _ := strings.Cut(r.Object, " ")
			if r.In.Known() || len(name) < 5 {
				continue
			}
			for _, o := range c.objects {
				other := o.plainName()
				if strings.ToLower(o.kind()) != kind || used[kind+" "+other] || !slip(name, other) {
					continue
				}
				r.Found, r.In = premortem.Missing, o.pos()
				for _, k := range c.dataKeys(o) {
					r.Keys = append(r.Keys, k.Name)
				}
				break
			}
		}
	}
}

// slip reports two names that differ by one letter more, less, other, or by two that
// changed places. Names that differ in a digit are meant to.
func slip(a, b string) bool {
	if a == b || strings.ContainsAny(a+b, "0123456789") && strings.Trim(a, "0123456789-") == strings.Trim(b, "0123456789-") {
		return false
	}
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	x, y := a[i:], b[i:]
	switch len(x) - len(y) {
	case 1:
		return x[1:] == y
	case -1:
		return x == y[1:]
	case 0:
		return len(x) > 0 && (x[1:] == y[1:] || len(x) > 1 && x[0] == y[1] && x[1] == y[0] && x[2:] == y[2:])
	}
	return false
}

// plainSecrets records the credentials that a ConfigMap, or a Secret that stands in
// the tree as it is, holds.
func (c *cluster) plainSecrets(o *object) {
	secret := o.kind() == "Secret"
	if field(o.node, "sops") != nil || secret && text(o.get("type")) == "kubernetes.io/service-account-token" {
		return
	}
	for _, part := range []string{"stringData", "data"} {
		for _, e := range entries(o.get(part)) {
			value := text(e.value)
			if secret && part == "data" {
				raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(value), ""))
				if err != nil {
					continue
				}
				value = string(raw)
			}
			pos := c.keyPos(o, part, e.key.Value)
			c.d.credential(pos.File, pos, "", e.key.Value, value, strings.ToLower(o.kind())+" "+o.plainName(), c.deployment)
		}
	}
}
