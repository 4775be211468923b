package read

import (
	"strings"

	"github.com/premortem/premortem"
)

// settingsClasses reads the fields of classes that derive from pydantic's
// BaseSettings: a field without a default has to be in the environment.
func (r *pyReader) settingsClasses() {
	classes := map[string]bool{} // of the file: a field of such a type is nested
	for _, st := range r.stmts {
		if r.tok(st.lo).is("class") {
			classes[r.tok(st.lo+1).text] = true
		}
	}
	for k, st := range r.stmts {
		if !r.tok(st.lo).is("class") || !r.tok(st.lo+2).is("(") {
			continue
		}
		settings := false
		for _, b := range r.args(st.lo + 2) {
			name := r.tok(b.hi - 1).text
			settings = settings || name == "BaseSettings" || strings.HasSuffix(r.names[name], ".BaseSettings")
		}
		if settings {
			r.settingsClass(k, classes)
		}
	}
}

func (r *pyReader) settingsClass(class int, nested map[string]bool) {
	prefix, made := "", r.made(r.tok(r.stmts[class].lo+1).text)
	var fields []pyStatement
	for k := class + 1; k < len(r.stmts) && r.stmts[k].indent > r.stmts[class].indent; k++ {
		st := r.stmts[k]
		head := r.tok(st.lo)
		switch {
		case head.is("model_config") && r.tok(st.lo+3).is("("):
			if s, _, ok := r.literal(r.keyword(st.lo+3, "env_prefix")); ok {
				prefix = s
			}
			if !r.keyword(st.lo+3, "env_file").empty() {
				r.dotenv = r.pos(st.lo)
			}
		case head.is("env_prefix") && r.tok(st.lo+2).kind == jsString:
			prefix = r.tok(st.lo + 2).text
		case head.is("env_file"):
			r.dotenv = r.pos(st.lo)
		case st.parent == class && head.kind == jsIdent && r.tok(st.lo+1).is(":"):
			fields = append(fields, st)
		}
	}
	for _, st := range fields {
		r.settingsField(st, prefix, made, nested)
	}
}

// made tells how badly the fields of a class are needed: it is instantiated when the
// module is loaded, or later, or by nobody here.
func (r *pyReader) made(class string) premortem.EnvClass {
	out := premortem.EnvOpt
	if !r.mayScan() {
		return out
	}
	for i, t := range r.toks {
		if t.is(class) && r.tok(i+1).is("(") && !r.tok(i-1).is("class") {
			if r.atModule(i) {
				return premortem.EnvBoot
			}
			out = premortem.EnvUse
		}
	}
	return out
}

func (r *pyReader) settingsField(st pyStatement, prefix string, class premortem.EnvClass, nested map[string]bool) {
	eq := st.hi
	for i := st.lo; i < st.hi; i = r.next(i) {
		if r.tok(i).is("=") {
			eq = i
			break
		}
	}
	typ, value := r.source(span{st.lo + 2, eq}), span{min(eq+1, st.hi), st.hi}
	if nested[typ] || strings.HasPrefix(typ, "ClassVar") {
		return
	}
	if text, _, ok := r.literal(value); ok {
		if r.texts == nil {
			r.texts = map[string]string{}
		}
		r.texts[r.tok(st.lo).text] = text
	}
	name := strings.ToUpper(prefix + r.tok(st.lo).text)
	switch call := r.tok(value.lo); {
	case value.empty() && (strings.Contains(typ, "Optional[") || strings.Contains(typ, "None")):
		class = premortem.EnvOpt
	case value.empty(), call.text == ".":
	case call.is("Field") && r.tok(value.lo+1).is("("):
		open := value.lo + 1
		args := r.args(open)
		def := r.keyword(open, "default")
		if def.empty() && len(args) > 0 && !r.tok(args[0].lo+1).is("=") {
			def = args[0]
		}
		if !r.keyword(open, "default_factory").empty() || !def.empty() && r.source(def) != "..." {
			class = r.fallback(def)
		}
		for _, key := range []string{"env", "alias", "validation_alias"} {
			v := r.keyword(open, key)
			if s, _, ok := r.literal(v); ok {
				name = strings.ToUpper(s)
			} else if !v.empty() {
				return // one of several names
			}
		}
	case r.source(value) == "...":
	default:
		class = r.fallback(value)
	}
	r.read(name, class, r.tok(st.lo).line)
	if n := len(r.reads); n > 0 {
		r.reads[n-1].loose = true
	}
}
