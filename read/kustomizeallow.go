package read

import (
	"errors"
	"path"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

var remoteRef = regexp.MustCompile(`^[a-z][a-z0-9+.\-]*::|://|^git@|^(github|gitlab|bitbucket)\.(com|org)[/:]|\?ref=|\?version=`)

// permitted walks a kustomization and those below it before anything is rendered.
func (k *kustomizer) permitted(dir string, seen map[string]bool) error {
	m := k.files[dir]
	if seen[dir] || m == nil {
		return nil
	}
	seen[dir] = true
	refuse := func(n *yaml.Node, why string) error {
		return &premortem.Error{Doing: "not evaluated", Pos: at(m.Path, n), Err: errors.New(why)}
	}
	doc := m.docs[0]
	for _, key := range []string{"helmCharts", "helmChartInflationGenerator", "helmGlobals"} {
		if kn, _ := pair(doc, key); kn != nil {
			return refuse(kn, key+" would run helm")
		}
	}
	for _, key := range append(resourceKeys, fileKeys...) {
		for _, r := range items(field(doc, key)) {
			s := text(r)
			if strings.Contains(s, "\n") {
				continue // an inline patch
			}
			p := join(dir, s)
			switch {
			case remoteRef.MatchString(s):
				return refuse(r, "remote: "+maskURLs(s))
			case p == "" || path.IsAbs(s):
				return refuse(r, s+" is outside of the repository")
			case !k.t.has(p) && k.files[p] == nil:
				return refuse(r, s+" is not in the repository")
			}
			if err := k.permitted(p, seen); err != nil {
				return err
			}
		}
	}
	for _, p := range items(field(doc, "patches")) {
		if s := text(field(p, "path")); remoteRef.MatchString(s) {
			return refuse(p, "remote: "+maskURLs(s))
		}
	}
	return k.permittedFiles(dir, doc, refuse)
}

// permittedFiles checks what generators and the schema name.
func (k *kustomizer) permittedFiles(dir string, doc *yaml.Node, refuse func(*yaml.Node, string) error) error {
	var names []*yaml.Node
	for _, key := range []string{"configMapGenerator", "secretGenerator"} {
		for _, g := range items(field(doc, key)) {
			names = append(names, items(field(g, "files"))...)
			names = append(names, items(field(g, "envs"))...)
			if e := field(g, "env"); e != nil {
				names = append(names, e)
			}
		}
	}
	if s := field(doc, "openapi", "path"); s != nil {
		names = append(names, s)
	}
	for _, n := range names {
		s := text(n)
		if _, file, ok := strings.Cut(s, "="); ok {
			s = file
		}
		p := join(dir, s)
		if remoteRef.MatchString(s) || p == "" || path.IsAbs(s) {
			return refuse(n, "outside of the repository: "+maskURLs(s))
		}
		if !k.t.has(p) {
			return refuse(n, s+" is not in the repository")
		}
	}
	return nil
}

// masked hides the values of Secrets and secret generators in an error of the
// library, which may quote what it could not read.
func (k *kustomizer) masked(message string) string {
	hide := func(n *yaml.Node) {
		v := text(n)
		if _, value, ok := strings.Cut(v, "="); ok && len(value) > 2 {
			message = strings.ReplaceAll(message, value, "***")
		}
		if len(v) > 2 {
			message = strings.ReplaceAll(message, v, "***")
		}
	}
	for _, m := range k.d.manifests {
		for _, doc := range m.docs {
			for _, gen := range items(field(doc, "secretGenerator")) {
				for _, l := range items(field(gen, "literals")) {
					hide(l)
				}
			}
			if text(field(doc, "kind")) != "Secret" {
				continue
			}
			for _, part := range []string{"stringData", "data"} {
				for _, e := range entries(field(doc, part)) {
					hide(e.value)
				}
			}
		}
	}
	return clip(maskTokens(message))
}
