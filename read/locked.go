package read

import (
	"bytes"
	"path"
	"regexp"

	"github.com/premortem/premortem"
)

// lockedVersion is the version of a server that a lockfile names.
type lockedVersion struct {
	dir, name string
	version   premortem.Setting[string]
}

// Locked finds the versions of web servers and frameworks in lockfiles, because
// their defaults change with them.
var Locked = add(Reader{
	Name: "locked-servers",
	Doc: premortem.Doc{
		Title:  "Locked versions of servers",
		Why:    "How long a server keeps an idle connection depends on its version.",
		When:   "Lines that name fastify, gunicorn, uvicorn, hypercorn or puma in requirements files, poetry.lock, uv.lock, Pipfile.lock, Gemfile.lock, package-lock.json, yarn.lock and pnpm-lock.yaml.",
		Silent: "Ranges: they name no version.",
		Fix:    "Commit the lockfile.",
	},
	Wants: func(p string) bool {
		switch base := path.Base(p); base {
		case "poetry.lock", "uv.lock", "Pipfile.lock", "Gemfile.lock", "package-lock.json", "yarn.lock", "pnpm-lock.yaml":
			return true
		default:
			return requirementsFile.MatchString(base)
		}
	},
	Read: readLocked,
})

var requirementsFile = regexp.MustCompile(`^requirements([-_.][a-z]+)?\.txt$`)

// lockedForms are how lockfiles write a name and its version.
var lockedForms = map[string]*regexp.Regexp{
	"toml":              regexp.MustCompile(`(?m)^name = "(gunicorn|uvicorn|hypercorn)"\r?\nversion = "([^"]+)"`),
	"Pipfile.lock":      regexp.MustCompile(`"(gunicorn|uvicorn|hypercorn)": \{[^}]*?"version": "==([^"]+)"`),
	"Gemfile.lock":      regexp.MustCompile(`(?m)^    (puma) \(([\d.]+)\)`),
	"package-lock.json": regexp.MustCompile(`"node_modules/(fastify)": \{\s*"version": "([^"]+)"`),
	"yarn.lock":         regexp.MustCompile(`(?m)^"?(fastify)@[^\n]*:\r?\n  version:? "?([^"\s]+)`),
	"pnpm-lock.yaml":    regexp.MustCompile(`(?m)^  ['/]*(fastify)[@/](\d[\w.-]*)`),
	"requirements":      regexp.MustCompile(`(?m)^(gunicorn|uvicorn|hypercorn)(?:\[[^\]]*\])?==([\w.]+)`),
}

func readLocked(f File, d *Draft) error {
	base := path.Base(f.Path)
	form := lockedForms[base]
	switch {
	case base == "poetry.lock" || base == "uv.lock":
		form = lockedForms["toml"]
	case form == nil:
		form = lockedForms["requirements"]
	}
	spoken := false
	for _, name := range []string{"gunicorn", "uvicorn", "hypercorn", "puma", "fastify"} {
		spoken = spoken || bytes.Contains(f.Data, []byte(name))
	}
	if !spoken {
		return nil
	}
	for _, m := range form.FindAllSubmatchIndex(f.Data, 4) {
		line := 1 + bytes.Count(f.Data[:m[4]], []byte("\n"))
		d.locked = append(d.locked, lockedVersion{path.Dir(f.Path), string(f.Data[m[2]:m[3]]), premortem.At(string(f.Data[m[4]:m[5]]), f.Path, line)})
	}
	return nil
}

// lockedVersion finds the version that the lockfile of a folder, or of one above it,
// names.
func (g *merger) lockedVersion(dir, name string) premortem.Setting[string] {
	for dir != "" {
		for _, l := range g.d.locked {
			if l.name == name && (l.dir == dir || path.Dir(l.dir) == dir && path.Base(l.dir) == "requirements") {
				return l.version
			}
		}
		if dir == "." {
			break
		}
		dir = path.Dir(dir)
	}
	return premortem.Setting[string]{}
}
