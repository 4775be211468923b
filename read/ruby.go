package read

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// Ruby reads Ruby with a tokenizer of its own.
var Ruby = add(Reader{
	Name: "ruby",
	Doc: premortem.Doc{
		Title:  "Ruby source",
		Why:    "The code is what needs variables.",
		When:   "Files with .rb and .ru: ENV, ENV.fetch, Figaro.require_keys; .ruby-version and the ruby line of a Gemfile.",
		Silent: "Specs, tasks, and the environments for development and test.",
		Fix:    "Read variables by their literal names.",
	},
	Wants: func(p string) bool {
		switch base := path.Base(p); base {
		case ".ruby-version", "Gemfile":
			return true
		default:
			return path.Ext(base) == ".rb" || path.Ext(base) == ".ru"
		}
	},
	Read: readRuby,
})

func readRuby(f File, d *Draft) error {
	if path.Base(f.Path) == ".ruby-version" {
		readVersionFile(f, d, "ruby")
		return nil
	}
	p := newProgram(f, "ruby")
	gems := path.Base(f.Path) == "Gemfile"
	spec := strings.HasSuffix(f.Path, "_spec.rb") || strings.HasSuffix(f.Path, "_test.rb")
	if gems || !p.test && !spec {
		p.toks = codeTokens(p.src, rubyStyle)
	}
	if gems {
		p.gemfile(d)
	} else if !p.test && !spec {
		p.rubyEnv()
		p.rubyTrafficOf()
		p.rubyORM()
	}
	d.programs = append(d.programs, p)
	return nil
}

var rubyVersion = regexp.MustCompile(`^[~><= ]*\d+(\.\d+)*$`)

// gemfile reads the line that names Ruby's version, and whether .env is loaded.
func (p *program) gemfile(d *Draft) {
	for i, t := range p.toks {
		switch {
		case t.is("ruby") && t.nl && p.tok(i+1).kind == jsString && rubyVersion.MatchString(p.tok(i+1).text):
			d.declareRuntime(path.Dir(p.path), "ruby", strings.Replace(p.tok(i+1).text, "~> ", "~", 1), "Gemfile", p.pos(i))
		case t.is("gem") && (p.tok(i+1).text == "dotenv" || p.tok(i+1).text == "dotenv-rails") && p.tok(i+1).kind == jsString:
			p.dotenv = p.pos(i)
		}
	}
}

// rubyEnv finds reads of ENV.
func (p *program) rubyEnv() {
	aside := strings.Contains(p.path, "environments/development") || strings.Contains(p.path, "environments/test") || strings.Contains(p.path, "lib/tasks/") || strings.Contains(p.path, "db/seeds")
	asked := map[string]bool{} // names that the file tests for
	for i, t := range p.toks {
		if t.is("require_keys") && p.tok(i-2).is("Figaro") {
			for k := i + 1; k < len(p.toks) && p.tok(k).line == t.line; k++ {
				if p.tok(k).kind == jsString {
					p.read(p.tok(k).text, premortem.EnvBoot, t.line)
				}
			}
		}
		if !t.is("ENV") || p.tok(i-1).is(".") {
			continue
		}
		name, class, end := p.rubyRead(i)
		if name == "" {
			continue
		}
		if p.rubyAsked(i, end) {
			class = premortem.EnvOpt
			asked[name] = true
		}
		if aside {
			class = premortem.EnvOpt
		}
		p.read(name, class, t.line)
	}
	for i := range p.reads {
		if asked[p.reads[i].name] && p.reads[i].class != premortem.EnvDyn {
			p.reads[i].class = premortem.EnvOpt
		}
	}
}

// rubyRead reads ENV['X'] and ENV.fetch('X', default) at token i.
func (p *program) rubyRead(i int) (name string, class premortem.EnvClass, end int) {
	switch {
	case p.tok(i+1).is("[") && p.tok(i+1).match > 0:
		end = p.tok(i+1).match + 1
		if p.tok(i+2).kind != jsString || end != i+4 {
			return "*", premortem.EnvDyn, end
		}
		name = p.tok(i + 2).text
		switch next := p.tok(end); {
		case next.is("=") || next.is("||") && p.tok(end+1).is("="):
			return "", "", end
		case next.is("||"), next.is("or"):
			return name, p.rubyFallback(end + 1), end
		}
		return name, softly(name), end
	case p.tok(i+1).is(".") && p.tok(i+2).is("fetch"):
		open := i + 3
		end = p.next(open)
		if !p.tok(open).is("(") {
			return "", "", end
		}
		args := p.args(open)
		if len(args) == 0 || p.tok(args[0].lo).kind != jsString {
			return "*", premortem.EnvDyn, end
		}
		name = p.tok(args[0].lo).text
		switch {
		case len(args) > 1:
			return name, p.rubyFallback(args[1].lo), end
		case p.tok(end).is("{"):
			return name, p.rubyFallback(end + 1), p.next(end)
		case p.tok(end).is("do"):
			return name, premortem.EnvOpt, end
		case p.tok(end).is("rescue"):
			return name, premortem.EnvOpt, end
		case strings.HasPrefix(p.path, "config/") || strings.Contains(p.path, "/config/"):
			return name, premortem.EnvBoot, end
		}
		return name, premortem.EnvUse, end
	}
	return "", "", i + 1
}

func (p *program) rubyFallback(i int) premortem.EnvClass {
	switch t := p.tok(i); {
	case t.is("raise"), t.is("abort"), t.is("fail"):
		return premortem.EnvBoot
	case t.kind == jsString || t.kind == jsTemplate:
		return fallbackClass(t.text)
	}
	return premortem.EnvOpt
}

// rubyAsked reports a read that is a question, or stands behind one on its line.
func (p *program) rubyAsked(i, end int) bool {
	next := p.tok(end)
	switch {
	case next.is("?"), next.is("&&"), next.is("=="), next.is("!="), next.is("&"), next.is("and"):
		return true
	case next.is(".") && slices.Contains([]string{"present", "blank", "nil", "empty", "presence", "to_s", "to_i"}, p.tok(end+1).text):
		return true
	case p.tok(i - 1).is("!"), p.tok(i-1).is("=>") && p.tok(i-2).is("rescue"):
		return true
	}
	line := p.tok(i).line
	for k := i - 1; k >= 0 && p.tok(k).line == line; k-- {
		if t := p.tok(k); t.is("if") || t.is("unless") || t.is("elsif") || t.is("while") || t.is("case") || t.is("&&") || t.is("||") {
			return true
		}
	}
	for k := end; k < len(p.toks) && p.tok(k).line == line; k++ {
		if p.tok(k).is("if") || p.tok(k).is("unless") {
			return true
		}
	}
	return false
}
