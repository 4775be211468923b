package read

import (
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// envObjects finds variables that read the environment through a library.
func (r *pyReader) envObjects() {
	for local, from := range r.names {
		switch {
		case from == "decouple.config":
			r.env[local] = "decouple"
		case from == "dotenv.load_dotenv", from == "dotenv":
			for i, t := range r.toks {
				if t.is("load_dotenv") && r.tok(i+1).is("(") {
					r.dotenv = r.pos(i)
					break
				}
			}
		}
	}
	for i, t := range r.toks {
		if t.kind != jsIdent || !r.tok(i-1).is("=") && !r.tok(i-1).is(".") || !r.tok(i+1).is("(") {
			continue
		}
		start := i
		for r.tok(start-1).is(".") && r.tok(start-2).kind == jsIdent {
			start -= 2
		}
		name := r.tok(start - 2).text
		full := r.source(span{start, i + 1})
		if first, rest, ok := strings.Cut(full, "."); ok {
			full = r.names[first] + "." + rest
		} else {
			full = r.names[full]
		}
		switch full {
		case "environ.Env", "environ.FileAwareEnv", "environs.Env", "environs.EnvParser":
			r.env[name] = "environ"
			for _, a := range r.args(i + 1) { // Env(DEBUG=(bool, False))
				if r.tok(a.lo+1).is("=") && upperEnv.MatchString(r.tok(a.lo).text) {
					r.read(r.tok(a.lo).text, premortem.EnvOpt, r.tok(a.lo).line)
				}
			}
		case "starlette.config.Config", "decouple.AutoConfig", "decouple.Config":
			r.env[name] = "decouple"
		}
	}
	for i, t := range r.toks {
		if t.is("read_env") && r.tok(i+1).is("(") && r.tok(i-1).is(".") {
			r.dotenv = r.pos(i)
		}
	}
}

// readEnv finds the reads of the environment.
func (r *pyReader) readEnv() {
	wrappers := r.wrappers()
	for i, t := range r.toks {
		if t.kind != jsIdent || r.tok(i-1).is(".") && !r.tok(i-2).is("os") {
			continue
		}
		full := r.names[t.text]
		osName := r.tok(i-1).is(".") && r.names[r.tok(i-2).text] == "os"
		start := i
		if osName {
			start = i - 2
		}
		switch {
		case (osName && t.text == "environ" || full == "os.environ") && !r.tok(r.stmts[r.stmtOf[i]].lo).is("from"):
			r.environ(start, i+1)
		case (osName && t.text == "getenv" || full == "os.getenv") && r.tok(i+1).is("("):
			r.get(start, i+1)
		case r.env[t.text] == "environ":
			r.libraryCall(i)
		case r.env[t.text] == "decouple" && r.tok(i+1).is("("):
			r.demand(i, i+1)
		case wrappers[t.text] != "" && r.tok(i+1).is("(") && !r.tok(i-1).is("def"):
			r.wrapperCall(i, wrappers[t.text])
		}
	}
}

// environ reads os.environ["X"], os.environ.get("X"), and "X" in os.environ.
func (r *pyReader) environ(start, i int) {
	switch t := r.tok(i); {
	case t.is("[") && t.match > 0:
		end := t.match + 1
		key := r.tok(i + 1)
		if r.tok(end).is("=") || r.tok(r.stmts[r.stmtOf[start]].lo).is("del") {
			return
		}
		if key.kind != jsString || t.match != i+2 {
			r.read(r.pyPattern(i+1), premortem.EnvDyn, t.line)
			return
		}
		class := premortem.EnvUse
		if r.atModule(start) {
			class = premortem.EnvBoot
		}
		if r.conditional(start, key.text) || r.catches(start) {
			class = premortem.EnvOpt
		}
		r.read(key.text, class, t.line)
	case t.is(".") && r.tok(i+1).is("get") && r.tok(i+2).is("("):
		r.get(start, i+2)
	case t.is(".") && r.tok(i+1).is("setdefault") && r.tok(i+3).kind == jsString:
		r.read(r.tok(i+3).text, premortem.EnvOpt, t.line)
	case r.tok(start-1).is("in") && r.tok(start-2).kind == jsString:
		r.read(r.tok(start-2).text, premortem.EnvOpt, r.tok(start).line)
	}
}

// pyPattern writes a computed name with "*" for what is not known.
func (r *pyReader) pyPattern(i int) string {
	if t := r.tok(i); t.kind == jsTemplate {
		return strings.ReplaceAll(t.text, "$0", "*")
	}
	return "*"
}

// get reads os.getenv("X", default).
func (r *pyReader) get(start, open int) {
	args := r.args(open)
	if len(args) == 0 {
		return
	}
	key := r.tok(args[0].lo)
	if key.kind != jsString || args[0].hi-args[0].lo != 1 {
		if !r.parameterOf(start, key.text) {
			r.read(r.pyPattern(args[0].lo), premortem.EnvDyn, key.line)
		}
		return
	}
	end := r.next(open)
	class := premortem.EnvClass("")
	if text, _, ok := r.literal(span{args[len(args)-1].lo, args[len(args)-1].hi}); len(args) > 1 && !r.tok(args[1].hi-1).is("None") && !(ok && text == "") {
		class = r.fallback(args[1])
	} else {
		class = r.without(start, end, key.text)
	}
	if class != premortem.EnvOpt && r.conditional(start, key.text) {
		class = premortem.EnvOpt
	}
	r.read(key.text, class, key.line)
}

// fallback classifies by the text of a default.
func (r *pyReader) fallback(s span) premortem.EnvClass {
	if text, _, ok := r.literal(s); ok {
		return fallbackClass(text)
	}
	return premortem.EnvOpt
}

// without classifies a read that gives None for a missing variable.
func (r *pyReader) without(start, end int, name string) premortem.EnvClass {
	prev, next := r.tok(start-1), r.tok(end)
	if end >= r.stmts[r.stmtOf[start]].hi {
		next = jsToken{} // the next statement's
	}
	switch {
	case next.is("or"):
		if r.tok(end+1).kind == jsString {
			return fallbackClass(r.tok(end + 1).text)
		}
		return premortem.EnvOpt
	case prev.is("not"), prev.is("if"), prev.is("elif"), prev.is("and"), prev.is("or"), prev.is("bool"):
		return r.raising(start)
	case next.is("=="), next.is("!="), next.is("in"), next.is("is"), next.is("and"), next.is("if"), prev.is("in"):
		return premortem.EnvOpt
	case prev.is("(") && (r.tok(start-2).is("int") || r.tok(start-2).is("float")) && next.is(")"):
		if r.atModule(start) {
			return premortem.EnvBoot
		}
		return premortem.EnvUse
	case prev.is("(") && r.tok(start-2).is("bool"):
		return premortem.EnvOpt
	case prev.is("=") && r.tok(start-2).kind == jsIdent && r.stmts[r.stmtOf[start]].lo <= start-2:
		return r.pyVariable(start, r.tok(start-2).text, name)
	}
	return softly(name)
}

// raising looks at `if not os.getenv("X"):` and what its block does.
func (r *pyReader) raising(start int) premortem.EnvClass {
	at := r.stmtOf[start]
	if r.tok(start-1).is("not") && r.ends(at) {
		return r.scoped(start)
	}
	return premortem.EnvOpt
}

// scoped is boot at module scope, else use.
func (r *pyReader) scoped(i int) premortem.EnvClass {
	if r.atModule(i) {
		return premortem.EnvBoot
	}
	return premortem.EnvUse
}

// ends reports whether the block of a statement raises or exits.
func (r *pyReader) ends(at int) bool {
	for k := at; k < len(r.stmts); k++ {
		st := r.stmts[k]
		if k > at && st.indent <= r.stmts[at].indent {
			break
		}
		for i := st.lo; i < st.hi; i++ {
			t := r.tok(i)
			if t.is("raise") || t.is("exit") && r.tok(i+1).is("(") && !r.tok(i+2).is("0") || t.is("_exit") {
				return true
			}
		}
	}
	return false
}

// pyVariable follows a value into a variable: a guard behind it decides.
func (r *pyReader) pyVariable(start int, local, name string) premortem.EnvClass {
	at := r.stmtOf[start]
	if !r.mayScan() {
		return softly(name)
	}
	for k := at + 1; k < len(r.stmts); k++ {
		st := r.stmts[k]
		if st.fn != r.stmts[at].fn && r.stmts[at].fn >= 0 {
			if st.indent <= r.stmts[r.stmts[at].fn].indent {
				break
			}
		}
		head := r.tok(st.lo)
		for i := st.lo; i < st.hi; i++ {
			if !r.tok(i).is(local) || r.tok(i-1).is(".") {
				continue
			}
			switch {
			case head.is("assert") && st.fn == r.stmts[at].fn:
				return r.scoped(start)
			case head.is("if"), head.is("elif"):
				missing := r.tok(i-1).is("not") || r.tok(i+1).is("is") && r.tok(i+2).is("None") || r.tok(i+1).is("==") && r.tok(i+2).kind == jsString && r.tok(i+2).text == ""
				alone := !slices.ContainsFunc(r.toks[st.lo:st.hi], func(t jsToken) bool { return t.is("and") }) // else it is needed beside another
				if missing && alone && r.ends(k) && st.fn == r.stmts[at].fn {
					return r.scoped(start)
				}
				return premortem.EnvOpt
			case r.tok(i - 1).is("if"), r.tok(i + 1).is("or"), r.tok(i + 1).is("and"), r.tok(i - 1).is("bool"):
				return premortem.EnvOpt
			}
		}
	}
	return softly(name)
}

// conditional reports code that runs only when a variable is set: below an if that
// asks for it, or for one that switches it on.
func (r *pyReader) conditional(i int, name string) bool {
	st := r.stmts[r.stmtOf[i]]
	for k := st.lo; k < st.hi; k++ { // f(os.environ["X"]) if "X" in os.environ else None
		if k > i && r.tok(k).is("if") && r.tok(k).up == r.tok(i).up {
			return true
		}
	}
	for p := st.parent; p >= 0; p = r.stmts[p].parent {
		head := r.stmts[p]
		if !r.tok(head.lo).is("if") && !r.tok(head.lo).is("elif") {
			continue
		}
		src := r.source(head.span)
		if strings.Contains(src, "__name__") || strings.Contains(src, "notin") || strings.HasPrefix(src, "ifnot") {
			continue
		}
		if strings.Contains(src, "environ") || strings.Contains(src, "getenv") || strings.Contains(src, name) || strings.Contains(src, "DEBUG") {
			return true
		}
		for k := head.lo; k < head.hi; k++ {
			v := r.assigned(r.tok(k).text, k)
			if s := r.source(v); r.tok(k).kind == jsIdent && (strings.Contains(s, "environ") || strings.Contains(s, "getenv")) {
				return true
			}
		}
	}
	return false
}

// catches reports a statement inside of a try whose except takes a missing key.
func (r *pyReader) catches(i int) bool {
	for p := r.stmts[r.stmtOf[i]].parent; p >= 0; p = r.stmts[p].parent {
		if !r.tok(r.stmts[p].lo).is("try") {
			continue
		}
		for k := p + 1; k < len(r.stmts); k++ {
			st := r.stmts[k]
			if st.indent < r.stmts[p].indent {
				break
			}
			if st.indent == r.stmts[p].indent && r.tok(st.lo).is("except") {
				return !r.ends(k)
			}
		}
	}
	return false
}

// libraryCall reads env("X"), env.str("X", default=…) and env.db().
func (r *pyReader) libraryCall(i int) {
	open := i + 1
	method := ""
	if r.tok(open).is(".") && r.tok(open+2).is("(") {
		method = r.tok(open + 1).text
		open += 2
	}
	if !r.tok(open).is("(") || method == "read_env" || method == "prefixed" {
		return
	}
	if inner := r.inside(open); inner.empty() {
		name := map[string]string{"db": "DATABASE_URL", "cache": "CACHE_URL", "email_url": "EMAIL_URL", "search_url": "SEARCH_URL"}[method]
		if name != "" {
			r.read(name, r.scoped(i), r.tok(i).line)
		}
		return
	}
	r.demand(i, open)
}

// demand reads a call that fails without the variable, unless it has a default.
func (r *pyReader) demand(i, open int) {
	args := r.args(open)
	if len(args) == 0 || r.tok(args[0].lo).kind != jsString {
		return
	}
	class := r.scoped(i)
	def := r.keyword(open, "default")
	if def.empty() && len(args) > 1 && !r.tok(args[1].lo+1).is("=") && r.env[r.tok(i).text] == "environ" {
		def = args[1]
	}
	if !def.empty() {
		class = r.fallback(def)
	}
	if class != premortem.EnvOpt && r.conditional(i, r.tok(args[0].lo).text) {
		class = premortem.EnvOpt
	}
	r.read(r.tok(args[0].lo).text, class, r.tok(args[0].lo).line)
}

// parameterOf reports whether a name is a parameter of the function around a token.
func (r *pyReader) parameterOf(i int, name string) bool {
	fn := r.stmts[r.stmtOf[i]].fn
	if fn < 0 {
		return false
	}
	for k := r.stmts[fn].lo; k < r.stmts[fn].hi; k++ {
		if r.tok(k).is(name) {
			return true
		}
	}
	return false
}
