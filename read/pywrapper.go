package read

import (
	"github.com/premortem/premortem"
)

// wrappers finds functions of the file that read the variable their parameter
// names: "get" with a default of their own, "must" when a missing one raises.
func (r *pyReader) wrappers() map[string]string {
	out := map[string]string{}
	for i, t := range r.toks {
		key := ""
		must := false
		switch {
		case t.is("getenv") && r.tok(i+1).is("("), t.is("get") && r.tok(i-2).is("environ") && r.tok(i+1).is("("):
			key = r.tok(i + 2).text
		case t.is("environ") && r.tok(i+1).is("["):
			key, must = r.tok(i+2).text, true
		}
		if key == "" || r.tok(i+2).kind != jsIdent || !r.parameterOf(i, key) {
			continue
		}
		fn := r.stmts[r.stmtOf[i]].fn
		name := r.tok(r.stmts[fn].lo + 1).text
		if r.tok(r.stmts[fn].lo + 1).is("def") {
			name = r.tok(r.stmts[fn].lo + 2).text
		}
		switch {
		case must && !r.catches(i), r.ends(fn):
			out[name] = "must"
		case out[name] == "":
			out[name] = "get"
		}
	}
	return out
}

func (r *pyReader) wrapperCall(i int, kind string) {
	args := r.args(i + 1)
	if len(args) == 0 || r.tok(args[0].lo).kind != jsString || !upperEnv.MatchString(r.tok(args[0].lo).text) {
		return
	}
	name := r.tok(args[0].lo).text
	class := softly(name)
	switch {
	case len(args) > 1:
		class = r.fallback(span{args[1].hi - 1, args[1].hi})
	case kind == "must":
		class = r.scoped(i)
	}
	if r.conditional(i, name) {
		class = premortem.EnvOpt
	}
	r.read(name, class, r.tok(i).line)
}
