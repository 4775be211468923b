package read

import (
	"errors"
	"fmt"
	"path"

	"github.com/compose-spec/compose-go/v2/types"
	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// The library reports one of several mistakes by chance, and the same tree must
// give the same report. So its texts are not used: the place is found again here.

// undefined explains files that are valid one by one and not together.
func (l *composeLoad) undefined() error {
	known := map[string]bool{}
	for _, f := range l.sources() {
		for _, s := range entries(field(f.docs[0], "services")) {
			known[s.key.Value] = true
		}
	}
	for _, f := range l.files {
		for _, s := range entries(field(f.docs[0], "services")) {
			deps := field(s.value, "depends_on")
			for _, e := range entries(deps) {
				if !known[e.key.Value] {
					return l.refuse(at(f.Path, e.key), fmt.Errorf("depends_on names %q, which is no service", e.key.Value))
				}
			}
			for _, n := range items(deps) {
				if !known[text(n)] {
					return l.refuse(at(f.Path, n), fmt.Errorf("depends_on names %q, which is no service", text(n)))
				}
			}
		}
	}
	return l.refuse(premortem.Pos{File: l.files[0].Path, Line: 1}, errors.New("it refers to something that no file defines"))
}

// invalid finds the first service that is not valid by itself.
func (l *composeLoad) invalid(load func(types.ConfigDetails) error) error {
	const most = 200 // services that are tried
	tried := 0
	for _, f := range l.files {
		for _, s := range entries(field(f.docs[0], "services")) {
			var v any
			if tried++; tried > most || s.value.Decode(&v) != nil {
				continue
			}
			data, err := yaml.Marshal(map[string]any{"services": map[string]any{s.key.Value: v}})
			if err != nil {
				continue
			}
			file := types.ConfigFile{Filename: path.Join(l.root, f.Path), Content: data}
			if load(types.ConfigDetails{WorkingDir: path.Join(l.root, l.dir), ConfigFiles: []types.ConfigFile{file}, Environment: types.Mapping{}}) != nil {
				return l.refuse(at(f.Path, s.key), fmt.Errorf("service %s has a key or a value that Compose does not know", s.key.Value))
			}
		}
	}
	return l.refuse(premortem.Pos{File: l.files[0].Path, Line: 1}, errors.New("it has a key or a value that Compose does not know"))
}

func (l *composeLoad) refuse(pos premortem.Pos, err error) error {
	return &premortem.Error{Doing: "load the Compose file", Pos: pos, Err: err}
}
