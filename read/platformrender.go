package read

import (
	"path"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// render reads a blueprint of Render: services, databases and groups of variables.
func (p *platform) render() error {
	docs, err := parseYAML(p.f)
	if err != nil || len(docs) == 0 {
		return err
	}
	doc := docs[0]
	for _, s := range items(field(doc, "services")) {
		name := text(field(s, "name"))
		switch kind := text(field(s, "type")); {
		case name == "":
		case kind == "redis" || kind == "keyvalue":
			p.d.stores = append(p.d.stores, &premortem.Store{
				Deployment: p.f.Path, Node: premortem.Node("store/" + name), Kind: "redis", Pos: at(p.f.Path, s), Class: p.setting(field(s, "plan")), Hosts: []string{name}})
			p.found = true
		default:
			p.service(doc, s, name)
		}
	}
	for _, db := range items(field(doc, "databases")) {
		name := text(field(db, "name"))
		if name == "" {
			continue
		}
		p.d.stores = append(p.d.stores, &premortem.Store{
			Deployment: p.f.Path, Node: premortem.Node("store/" + name), Kind: "postgres", Pos: at(p.f.Path, db),
			Version: p.setting(field(db, "postgresMajorVersion")), Class: p.setting(field(db, "plan")), Hosts: []string{name}})
		p.found = true
	}
	return nil
}

func (p *platform) setting(n *yaml.Node) premortem.Setting[string] {
	if text(n) == "" {
		return premortem.Setting[string]{}
	}
	return premortem.Setting[string]{Value: text(n), Pos: at(p.f.Path, n)}
}

// service reads one service of a blueprint.
func (p *platform) service(doc, s *yaml.Node, name string) {
	w := p.add(name, s.Line, "the dashboard of Render")
	if dir := text(field(s, "rootDir")); dir != "" {
		w.Dir = join(path.Dir(p.f.Path), dir)
	}
	if df := text(field(s, "dockerfilePath")); df != "" {
		w.Dockerfile, w.pinned = join(path.Dir(p.f.Path), df), true
		w.context = join(path.Dir(p.f.Path), text(field(s, "dockerContext")))
	}
	w.Image = p.setting(field(s, "image", "url"))
	w.Static = text(field(s, "runtime")) == "static" || text(field(s, "env")) == "static"
	for _, key := range []string{"startCommand", "dockerCommand"} {
		if cmd := p.setting(field(s, key)); cmd.Set() {
			w.command = premortem.Setting[[]string]{Value: maskArgs(strings.Fields(cmd.Value)), Pos: cmd.Pos}
		}
	}
	w.Health = p.setting(field(s, "healthCheckPath"))
	w.Replicas = intOf(p.setting(field(s, "numInstances")))
	if low := intOf(p.setting(field(s, "scaling", "minInstances"))); low.Set() {
		w.Replicas = low
	}
	w.MaxReplicas = intOf(p.setting(field(s, "scaling", "maxInstances")))
	var sets []premortem.EnvSet
	for _, v := range items(field(s, "envVars")) {
		group := field(v, "fromGroup")
		if group == nil {
			sets = append(sets, p.variable(v))
			continue
		}
		known := false
		for _, g := range items(field(doc, "envVarGroups")) {
			if text(field(g, "name")) == text(group) {
				known = true
				for _, inner := range items(field(g, "envVars")) {
					sets = append(sets, p.variable(inner))
				}
			}
		}
		if !known {
			w.Opaque = append(w.Opaque, premortem.Opaque{Why: "the group " + text(group) + " is not in the blueprint", Pos: at(p.f.Path, group)})
		}
	}
	for i := 0; i < len(sets); i++ {
		if sets[i].Name == "" {
			sets = append(sets[:i], sets[i+1:]...)
			i--
		}
	}
	w.Provides = firstOfEach(sets)
}

// variable reads an entry of envVars; what the platform makes or asks for has a key
// and no value.
func (p *platform) variable(v *yaml.Node) premortem.EnvSet {
	key := field(v, "key")
	s := premortem.EnvSet{Name: text(key), Source: "render.yaml", Pos: at(p.f.Path, key)}
	if value := field(v, "value"); value != nil {
		keep(&s, text(value), plainSource)
	}
	return s
}
