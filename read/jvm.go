package read

import (
	"path"
	"regexp"
	"strings"

	"github.com/premortem/premortem"
)

// Jvm reads Java and Kotlin with a tokenizer of its own, and what configures them.
var Jvm = add(Reader{
	Name: "java",
	Doc: premortem.Doc{
		Title:  "Java and Kotlin source",
		Why:    "The code and Spring's configuration are what needs variables.",
		When:   "Files with .java and .kt: System.getenv, @Value with names of variables, Spring's mappings; ${NAME} in application*.yml and application*.properties; the Java version of pom.xml and build.gradle.",
		Silent: "Tests, properties with names of their own, and profiles for development and test.",
		Fix:    "Name variables in capitals, and give those a default that may be missing.",
	},
	Wants: func(p string) bool {
		switch base := path.Base(p); {
		case base == "pom.xml", base == "build.gradle", base == "build.gradle.kts":
			return true
		case strings.HasPrefix(base, "application") && (path.Ext(base) == ".yml" || path.Ext(base) == ".yaml" || path.Ext(base) == ".properties"):
			return true
		default:
			return path.Ext(base) == ".java" || path.Ext(base) == ".kt"
		}
	},
	Read: readJvm,
})

func readJvm(f File, d *Draft) error {
	switch base := path.Base(f.Path); {
	case base == "pom.xml" || strings.HasPrefix(base, "build.gradle"):
		readJavaBuild(f, d)
		return nil
	case strings.HasPrefix(base, "application") && path.Ext(base) != ".java" && path.Ext(base) != ".kt":
		if strings.Contains(f.Path, "resources/") || strings.Contains(f.Path, "config/") {
			p := newProgram(f, "java")
			p.springConfig(base)
			p.springServer(base, f)
			d.programs = append(d.programs, p)
		}
		return nil
	}
	p := newProgram(f, "java")
	if !p.test {
		p.toks = codeTokens(p.src, javaStyle)
		p.javaEnv()
		p.springRoutes()
		p.bracketFuncs(p.springHandler)
		p.blockTraffic(javaTraffic)
		p.transactional()
	}
	d.programs = append(d.programs, p)
	return nil
}

// javaEnv finds System.getenv and @Value.
func (p *program) javaEnv() {
	for i, t := range p.toks {
		switch {
		case t.is("getenv") && p.tok(i-2).is("System") && p.tok(i+1).is("("):
			p.javaGetenv(i)
		case t.is("Value") && p.tok(i-1).is("@") && p.tok(i+1).is("(") && p.tok(i+2).kind == jsString:
			p.placeholders(strings.ReplaceAll(p.tok(i+2).text, `\$`, "$"), p.tok(i+2).line, premortem.EnvBoot)
		}
	}
}

func (p *program) javaGetenv(i int) {
	args := p.args(i + 1)
	end := p.next(i + 1)
	if len(args) == 0 { // System.getenv().getOrDefault("X", "d") and .get("X"), ["X"]
		switch {
		case p.tok(end+1).is("getOrDefault") && p.tok(end+3).kind == jsString:
			class := premortem.EnvOpt
			if a := p.args(end + 2); len(a) > 1 && p.tok(a[1].lo).kind == jsString {
				class = fallbackClass(p.tok(a[1].lo).text)
			}
			p.read(p.tok(end+3).text, class, p.tok(i).line)
		case p.tok(end+1).is("get") && p.tok(end+3).kind == jsString:
			p.read(p.tok(end+3).text, p.javaClass(i, p.next(end+2), p.tok(end+3).text), p.tok(i).line)
		}
		return
	}
	key := p.tok(args[0].lo)
	if key.kind != jsString {
		p.read("*", premortem.EnvDyn, p.tok(i).line)
		return
	}
	p.read(key.text, p.javaClass(i, end, key.text), p.tok(i).line)
}

// javaClass looks at what stands around a read.
func (p *program) javaClass(i, end int, name string) premortem.EnvClass {
	start := i - 2
	prev, next := p.tok(start-1), p.tok(end)
	switch {
	case next.is("?:"):
		if k := p.tok(end + 1); k.is("throw") || k.is("error") || k.is("exitProcess") {
			return premortem.EnvBoot
		} else if k.kind == jsString {
			return fallbackClass(k.text)
		}
		return premortem.EnvOpt
	case next.is("=="), next.is("!="), next.is("?."), prev.is("!"), next.is("&&"):
		return premortem.EnvOpt
	case prev.is("("):
		switch p.tok(start - 2).text {
		case "requireNonNull", "checkNotNull", "requireNotNull":
			return premortem.EnvUse
		case "ofNullable":
			return p.javaOptional(p.next(start - 1))
		case "parseBoolean", "equals", "equalsIgnoreCase", "isEmpty", "isBlank", "isNotBlank", "isNotEmpty", "if", "when", "switch", "requireNonNullElse", "defaultIfEmpty", "defaultString":
			return premortem.EnvOpt
		}
	case next.is(".") && (p.tok(end+1).is("toBoolean") || p.tok(end+1).is("equals") || p.tok(end+1).is("orEmpty")):
		return premortem.EnvOpt
	case prev.is("=") && p.tok(start-2).kind == jsIdent:
		return p.javaVariable(p.tok(start-2).text, end, name)
	}
	return softly(name)
}

// javaOptional reads Optional.ofNullable(System.getenv("X")).orElse("d").
func (p *program) javaOptional(i int) premortem.EnvClass {
	for ; p.tok(i).is("."); i = p.next(i + 2) {
		switch p.tok(i + 1).text {
		case "orElseThrow":
			return premortem.EnvUse
		case "orElse":
			if k := p.tok(i + 3); k.kind == jsString {
				return fallbackClass(k.text)
			}
			return premortem.EnvOpt
		}
	}
	return premortem.EnvOpt
}

// javaVariable follows a value into a variable that is compared with null.
func (p *program) javaVariable(local string, from int, name string) premortem.EnvClass {
	p.scans++
	for k := from; k < len(p.toks) && p.scans <= maxScans; k++ {
		if !p.tok(k).is(local) || p.tok(k-1).is(".") {
			continue
		}
		null := p.tok(k+2).is("null") || p.tok(k+1).is(".") && (p.tok(k+2).is("isEmpty") || p.tok(k+2).is("isBlank"))
		if !null {
			continue
		}
		cond := p.tok(k).up
		if !p.tok(k+1).is("!=") && cond >= 0 && p.tok(cond-1).is("if") && p.tok(cond).match > 0 {
			body := p.tok(cond).match + 1
			for j := body; j < body+6; j++ {
				if p.tok(j).is("throw") || p.tok(j).is("exit") {
					return premortem.EnvUse
				}
			}
		}
		return premortem.EnvOpt
	}
	return softly(name)
}

var springName = regexp.MustCompile(`\$\{([A-Z][A-Z0-9_]*)(:([^}]*))?\}`)

// placeholders reads ${NAME} and ${NAME:default}. Names in lower case are
// properties, which files provide as often as variables do.
func (p *program) placeholders(text string, line int, class premortem.EnvClass) {
	for _, m := range springName.FindAllStringSubmatch(text, -1) {
		c := class
		if m[2] != "" {
			c = fallbackClass(m[3])
		}
		n := len(p.reads)
		p.read(m[1], c, line)
		if len(p.reads) > n {
			p.reads[n].loose = true
		}
	}
}

// springConfig reads an application file. What a profile for development asks for
// is not needed elsewhere.
func (p *program) springConfig(base string) {
	if p.test {
		return
	}
	name := strings.TrimSuffix(base, path.Ext(base))
	_, profile, other := strings.Cut(name, "-")
	class := premortem.EnvUse // some binders keep the text as it is
	if other && rankEnvironment(profile) != 1 {
		class = premortem.EnvOpt
	}
	for n := range p.lines.len() {
		line := p.lines.at(n + 1)
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "#") || strings.HasPrefix(trimmed, "!") {
			continue
		}
		if k := strings.Index(line, " #"); k >= 0 {
			line = line[:k]
		}
		p.placeholders(line, n+1, class)
	}
	for i := range p.reads {
		if class == premortem.EnvOpt && p.reads[i].class == premortem.EnvDev {
			p.reads[i].class = premortem.EnvOpt
		}
	}
}

var springMethods = map[string]string{"GetMapping": "GET", "PostMapping": "POST", "PutMapping": "PUT", "PatchMapping": "PATCH", "DeleteMapping": "DELETE"}

// springRoutes reads @GetMapping("/x") below the class's @RequestMapping("/p").
func (p *program) springRoutes() {
	prefix := ""
	for i, t := range p.toks {
		if t.kind != jsIdent || !p.tok(i-1).is("@") {
			continue
		}
		at := ""
		if p.tok(i + 1).is("(") {
			for k := i + 2; k < p.tok(i+1).match; k++ {
				if v := p.tok(k); v.kind == jsString && (p.tok(k-1).is("(") || p.tok(k-1).is("{") || p.tok(k-2).is("value") || p.tok(k-2).is("path")) {
					at = v.text
					break
				}
			}
		}
		switch {
		case t.text == "RequestMapping" && p.annotatesClass(i):
			prefix = at
		case springMethods[t.text] != "":
			p.route(springMethods[t.text], "/"+strings.Trim(prefix, "/")+"/"+strings.Trim(at, "/"), t.line, p.methodEnd(i))
		}
	}
}

// annotatesClass reports whether the next declaration behind an annotation is a
// class.
func (p *program) annotatesClass(i int) bool {
	for k := p.next(i); k < len(p.toks) && k < i+80; k = p.next(k) {
		switch t := p.tok(k); {
		case t.is("class"), t.is("interface"):
			return true
		case t.is("{"), t.is(";"), t.is("fun"):
			return false
		}
	}
	return false
}

// methodEnd is the last line of the method behind an annotation, 0 unknown.
func (p *program) methodEnd(i int) int {
	for k := i + 1; k < len(p.toks) && k < i+200; k = p.next(k) {
		if t := p.tok(k); t.is("{") && t.match > 0 {
			return p.tok(t.match).line
		}
	}
	return 0
}

var javaVersions = regexp.MustCompile(`<(?:java\.version|maven\.compiler\.release|maven\.compiler\.source|release)>\s*(?:1\.)?(\d+)\s*<|JavaLanguageVersion\.of\((\d+)\)|(?:sourceCompatibility|targetCompatibility)\s*=\s*(?:JavaVersion\.VERSION_)?['"]?(?:1[._])?(\d+)|jvmToolchain\((\d+)\)`)

// readJavaBuild reads the Java version that a build names: a minimum, any newer
// Java runs it.
func readJavaBuild(f File, d *Draft) {
	for i, line := range strings.Split(string(f.Data), "\n") {
		m := javaVersions.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		v := m[1] + m[2] + m[3] + m[4]
		d.declareRuntime(path.Dir(f.Path), "java", ">="+v, path.Base(f.Path), premortem.Pos{File: f.Path, Line: i + 1})
		return
	}
}
