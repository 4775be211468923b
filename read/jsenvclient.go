package read

import "strings"

// clientCalls set up a client with what they are given.
var clientCalls = wordSet(`createClient createPool connect initializeApp knex postgres drizzle createConnection neon`)

// throwing are constructors that throw at once when they are given undefined.
var throwing = wordSet(`Stripe OpenAI Anthropic Resend URL Twilio Sequelize ServerClient Client Pool Redis DataSource MongoClient
	JwtStrategy PrismaClient Octokit App WebClient S3Client createClient createPool connect initializeApp knex postgres drizzle createConnection neon`)

// throwsWithout reports a call that cannot do without its argument: of a package
// that is known to throw, or to a database that the code cannot reach without.
func (m *module) throwsWithout(open int) bool {
	name := m.tok(open - 1).text
	if name == "Error" {
		return false
	}
	first := m.tok(m.chainStart(open)).text
	pkg := m.packageOf(first)
	if _, store := clientPackages[pkg]; store {
		return true
	}
	return throwing[name] && name != "Error"
}

// silentClient reports SDKs that do nothing without their key, and are meant to.
func (m *module) silentClient(open int) bool {
	if m.tok(open-1).text != "init" {
		return false
	}
	pkg := m.packageOf(m.tok(m.chainStart(open)).text)
	return strings.HasPrefix(pkg, "@sentry/") || strings.HasPrefix(pkg, "dd-trace") || strings.HasPrefix(pkg, "@datadog/")
}

// declaredEnv reads what is asked for at token i through a library: a schema that is
// given an object of reads, NestJS's validationSchema, env-var, convict, and names
// that SvelteKit imports.
func (m *module) declaredEnv(i int) []envUse {
	switch t := m.tok(i); t.text {
	case "parse", "safeParse", "parseAsync", "validate", "validateSync":
		if open := m.callOpen(i); open > 0 && m.tok(i-1).is(".") {
			return m.schemaOf(open)
		}
	case "validationSchema":
		return m.nestSchema(i)
	case "import":
		return m.svelteEnv(i)
	default:
		return m.envSdk(i)
	}
	return nil
}

// svelteEnv reads import { X } from '$env/static/private'.
func (m *module) svelteEnv(i int) []envUse {
	if !m.tok(i+1).is("{") || m.tok(i+1).match < 0 {
		return nil
	}
	end := m.tok(i + 1).match
	if from := m.tok(end + 2); !m.tok(end+1).is("from") || !strings.HasPrefix(from.text, "$env/static/") {
		return nil
	}
	var out []envUse
	for _, p := range m.split(m.inside(i+1), ",") {
		if envName.MatchString(m.tok(p.lo).text) {
			out = append(out, envUse{m.tok(p.lo).text, "build", p.lo, p.lo + 1})
		}
	}
	return out
}

// envSdk reads what the package env-var and convict ask for at token i.
func (m *module) envSdk(i int) []envUse {
	t := m.tok(i)
	switch {
	case t.text == "get" && m.tok(i-1).is(".") && m.packageOf(m.tok(i-2).text) == "env-var":
		return m.envVarGet(i)
	case t.text == "convict" && m.tok(i+1).is("(") && m.packageOf("convict") == "convict":
		return m.convict(m.object(span{i + 2, m.next(i+1) - 1}), 0)
	}
	return nil
}

// envVarGet reads env.get('X').default('y').required().asString().
func (m *module) envVarGet(i int) []envUse {
	open := m.callOpen(i)
	if open < 0 || m.tok(open+1).kind != jsString {
		return nil
	}
	u := envUse{m.tok(open + 1).text, "use", i, m.next(open)}
	required := false
	for j := u.end; m.tok(j).is(".") && m.tok(j+1).kind == jsIdent && m.tok(j+2).is("("); j = m.next(j + 2) {
		switch m.tok(j + 1).text {
		case "required":
			required = !m.tok(j + 3).is("false")
		case "default":
			u.class = m.defaultClass(j + 3)
		}
		u.end = m.next(j + 2)
	}
	switch {
	case u.class != "use":
	case required && m.atStart(i):
		u.class = "boot"
	case !required:
		if c := m.classify(m.chainStart(i-1), u.end, 0); c != "" {
			u.class = c
		}
	}
	return []envUse{u}
}

// convict reads the leaves of a convict schema that name a variable: they have
// defaults, and only a default of null is no value.
func (m *module) convict(open, depth int) []envUse {
	if open < 0 || depth > 6 {
		return nil
	}
	var out []envUse
	for _, p := range m.props(open) {
		inner := m.object(p.value)
		env := m.prop(inner, "env")
		if env.empty() {
			out = append(out, m.convict(inner, depth+1)...)
			continue
		}
		name, ok := m.constant(env, 0)
		if !ok || !envName.MatchString(name) {
			continue
		}
		u := envUse{name, "opt", env.lo, env.hi}
		def, null := m.prop(inner, "default"), m.prop(inner, "nullable")
		switch {
		case def.empty():
			u.class = "opt"
		case (m.tok(def.lo).is("null") || m.tok(def.lo).is("undefined")) && null.empty() && !m.prop(inner, "format").empty() && m.validates():
			u.class = "boot"
		case m.defaultClass(def.lo) == "dev":
			u.class = "dev"
		}
		out = append(out, u)
	}
	return out
}

// validates reports whether the module validates its convict configuration.
func (m *module) validates() bool {
	if !m.mayScan() {
		return false
	}
	for i, t := range m.toks {
		if t.is("validate") && m.tok(i-1).is(".") && m.tok(i+1).is("(") {
			return true
		}
	}
	return false
}
