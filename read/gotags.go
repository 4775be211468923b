package read

import (
	"go/ast"
	"reflect"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

// taggedEnv reads the structs that a library fills from the environment.
func (p *program) taggedEnv(lib string) {
	prefixed := map[string]bool{} // types that stand in a field with a prefix
	byName := map[string]goStruct{}
	for _, st := range p.golang.structs {
		byName[st.name] = st
		for _, f := range st.fields {
			if f.tag.Get("envPrefix") != "" || strings.Contains(f.tag.Get("env"), "prefix=") || f.tag.Get("env-prefix") != "" {
				prefixed[f.typ] = true
			}
		}
	}
	for _, st := range p.golang.structs {
		if !prefixed[st.name] {
			p.structEnv(st, byName, lib, "", 0)
		}
	}
}

func (p *program) structEnv(st goStruct, byName map[string]goStruct, lib, prefix string, depth int) {
	if depth > 5 {
		return
	}
	for _, f := range st.fields {
		inner := f.tag.Get("envPrefix") + f.tag.Get("env-prefix")
		if _, rest, ok := strings.Cut(f.tag.Get("env"), "prefix="); ok {
			inner, _, _ = strings.Cut(rest, ",")
		}
		if inner != "" {
			if in, ok := byName[f.typ]; ok {
				p.structEnv(in, byName, lib, prefix+inner, depth+1)
			}
			continue
		}
		name, class := f.env(lib, p.golang.prefix)
		if name != "" && upperEnv.MatchString(strings.ToUpper(name)) {
			p.read(prefix+name, class, f.line)
		}
	}
}

// env is the variable that fills a field and how badly it is needed.
func (f goField) env(lib, process string) (string, premortem.EnvClass) {
	class := premortem.EnvOpt
	switch lib {
	case "caarlos0/env", "sethvargo/go-envconfig":
		parts := strings.Split(f.tag.Get("env"), ",")
		name := strings.TrimSpace(parts[0])
		def := f.tag.Get("envDefault")
		for _, part := range parts[1:] {
			part = strings.TrimSpace(part)
			if part == "required" || part == "notEmpty" {
				class = premortem.EnvBoot
			}
			if d, ok := strings.CutPrefix(part, "default="); ok {
				def = d
			}
		}
		if def != "" {
			class = fallbackClass(def)
		}
		return name, class
	case "ilyakaznacheev/cleanenv":
		name, _, _ := strings.Cut(f.tag.Get("env"), ",")
		if _, ok := f.tag.Lookup("env-required"); ok {
			class = premortem.EnvBoot
		}
		if def, ok := f.tag.Lookup("env-default"); ok {
			class = fallbackClass(def)
		}
		return name, class
	case "alecthomas/kong":
		name, _, _ := strings.Cut(f.tag.Get("env"), ",")
		return name, class
	case "kelseyhightower/envconfig":
		return f.envconfig(process)
	}
	return "", ""
}

// envconfig follows kelseyhightower/envconfig: the prefix, then the tag's name or
// the field's.
func (f goField) envconfig(process string) (string, premortem.EnvClass) {
	name, named := f.tag.Lookup("envconfig")
	required, def := f.tag.Get("required"), f.tag.Get("default")
	if !named && required == "" && def == "" && f.tag.Get("split_words") == "" || name == "-" {
		return "", ""
	}
	if name == "" {
		name = f.name
		if f.tag.Get("split_words") == "true" {
			name = splitWords(name)
		}
	}
	name = strings.ToUpper(name)
	switch {
	case process != "" && named:
		required = "" // either name will do
	case process != "":
		name = strings.ToUpper(process) + "_" + name
	}
	switch {
	case def != "":
		return name, fallbackClass(def)
	case required == "true":
		return name, premortem.EnvBoot
	}
	return name, premortem.EnvOpt
}

// splitWords writes MaxIdleConns as Max_Idle_Conns.
func splitWords(s string) string {
	var b strings.Builder
	for i := range len(s) {
		up := s[i] >= 'A' && s[i] <= 'Z'
		if up && i > 0 && (s[i-1] < 'A' || s[i-1] > 'Z' || i+1 < len(s) && s[i+1] >= 'a' && s[i+1] <= 'z') {
			b.WriteByte('_')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// goStruct is a struct with tags that may name variables.
type goStruct struct {
	name   string
	fields []goField
}

type goField struct {
	name, typ string
	tag       reflect.StructTag
	line      int
}

func (r *goReader) structOf(name string, st *ast.StructType) goStruct {
	out := goStruct{name: name}
	for _, f := range st.Fields.List {
		field := goField{typ: goName(f.Type), line: r.line(f)}
		if len(f.Names) > 0 {
			field.name = f.Names[0].Name
		}
		if f.Tag != nil {
			if s, err := strconv.Unquote(f.Tag.Value); err == nil {
				field.tag = reflect.StructTag(s)
			}
			field.line = r.line(f.Tag)
		}
		out.fields = append(out.fields, field)
	}
	return out
}
