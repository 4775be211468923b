package read

import (
	"path"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// Php reads PHP with a tokenizer of its own.
var Php = add(Reader{
	Name: "php",
	Doc: premortem.Doc{
		Title:  "PHP source",
		Why:    "The code is what needs variables.",
		When:   "Files with .php: getenv, $_ENV, and env() of Laravel, whose stock configuration names many variables that nobody has to set; the PHP version of composer.json.",
		Silent: "Tests, templates, and other people's code in vendor.",
		Fix:    "Read variables in config/ only, by their literal names.",
	},
	Wants: func(p string) bool {
		return path.Ext(p) == ".php" && !strings.HasSuffix(p, ".blade.php") || path.Base(p) == "composer.json"
	},
	Read: readPhp,
})

func readPhp(f File, d *Draft) error {
	if path.Base(f.Path) == "composer.json" {
		return readComposer(f, d)
	}
	p := newProgram(f, "php")
	if !p.test {
		p.toks = codeTokens(p.src, phpStyle)
		p.phpEnv()
		p.bracketFuncs(func(int) bool { return strings.Contains(p.path, "Http/Controllers/") })
		p.blockTraffic(phpTraffic)
		p.laravelRoutes()
	}
	d.programs = append(d.programs, p)
	return nil
}

func (p *program) phpEnv() {
	inConfig := strings.HasPrefix(p.path, "config/") || strings.Contains(p.path, "/config/")
	for i, t := range p.toks {
		switch {
		case t.is("env") && p.tok(i+1).is("(") && !p.tok(i-1).is("->") && !p.tok(i-1).is("function"):
			p.laravelEnv(i, inConfig)
		case (t.is("getenv")) && p.tok(i+1).is("(") && !p.tok(i-1).is("->") && !p.tok(i-1).is("::"):
			args := p.args(i + 1)
			if len(args) == 0 {
				continue
			}
			if p.tok(args[0].lo).kind != jsString {
				p.read("*", premortem.EnvDyn, t.line)
				continue
			}
			p.phpRead(p.tok(args[0].lo).text, i, p.next(i+1))
		case t.is("$_ENV") && p.tok(i+1).is("[") && p.tok(i+2).kind == jsString && p.tok(i+1).match == i+3:
			p.phpRead(p.tok(i+2).text, i, i+4)
		case t.is("Dotenv") && p.tok(i+1).is("::"), t.is("bootEnv"), t.is("safeLoad"):
			p.dotenv = p.pos(i)
		}
	}
}

// laravelEnv reads env('X', default). Without a default it is null, which Laravel's
// own configuration takes for "not used"; only the key of the application is
// demanded.
func (p *program) laravelEnv(i int, inConfig bool) {
	args := p.args(i + 1)
	if len(args) == 0 || p.tok(args[0].lo).kind != jsString {
		return
	}
	name := p.tok(args[0].lo).text
	if inConfig {
		p.dotenv = p.pos(i) // Laravel loads .env before its configuration
	}
	class := premortem.EnvOpt
	switch {
	case len(args) > 1:
		if k := p.tok(args[1].lo); k.kind == jsString && args[1].hi-args[1].lo == 1 {
			class = fallbackClass(k.text)
			if inConfig && !strings.Contains(name, "APP_") && class == premortem.EnvDev {
				class = premortem.EnvOpt // a driver that nobody chose
			}
		}
	case name == "APP_KEY":
		class = premortem.EnvUse
	}
	p.read(name, class, p.tok(i).line)
}

// phpRead classifies a read by what stands around it.
func (p *program) phpRead(name string, start, end int) {
	class := softly(name)
	prev, next := p.tok(start-1), p.tok(end)
	switch {
	case next.is("="):
		return
	case next.is("?:"), next.is("??"), next.is("||"), next.is("or"):
		class = premortem.EnvOpt
		if k := p.tok(end + 1); k.kind == jsString {
			class = fallbackClass(k.text)
		} else if k.is("throw") || k.is("die") || k.is("exit") {
			class = premortem.EnvUse
		}
	case next.is("==="), next.is("!=="), next.is("=="), next.is("!="), next.is("?"), next.is("&&"), prev.is("!"):
		class = premortem.EnvOpt
	case prev.is("("):
		switch p.tok(start - 2).text {
		case "isset", "empty", "if", "filter_var", "in_array":
			class = premortem.EnvOpt
		}
	case prev.is("=") && p.tok(start-2).kind == jsIdent && p.phpTested(p.tok(start-2).text, end):
		class = premortem.EnvOpt
	}
	p.read(name, class, p.tok(start).line)
}

// phpTested reports whether a variable is asked for behind a token.
func (p *program) phpTested(name string, from int) bool {
	if !p.mayScan() {
		return false
	}
	for k := from; k < len(p.toks); k++ {
		if !p.tok(k).is(name) {
			continue
		}
		prev, next := p.tok(k-1), p.tok(k+1)
		if prev.is("!") || next.is("===") || next.is("!==") || next.is("?:") || next.is("?") || next.is("&&") || prev.is("(") && (p.tok(k-2).is("if") || p.tok(k-2).is("empty") || p.tok(k-2).is("isset")) {
			return true
		}
	}
	return false
}

// readComposer reads the PHP version that a composer.json asks for.
func readComposer(f File, d *Draft) error {
	docs, err := parseYAML(f) // JSON is YAML, and its nodes know their lines
	if err != nil {
		return err
	}
	if len(docs) == 0 || docs[0].Kind != yaml.MappingNode {
		return nil
	}
	if v := field(docs[0], "require", "php"); text(v) != "" {
		d.declareRuntime(path.Dir(f.Path), "php", text(v), "composer.json", at(f.Path, v))
	}
	return nil
}
