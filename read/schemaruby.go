package read

import (
	"path"
	"regexp"
	"strings"

	"github.com/premortem/premortem"
)

// RubySchema reads the schema that Rails keeps beside its migrations.
var RubySchema = add(Reader{
	Name: "ruby-schema",
	Doc:  schemaDoc("Rails schemas", "db/schema.rb: create_table with its columns and indexes, add_index, add_foreign_key. It is the sum of all migrations.", "Check constraints and what Rails cannot write down: commit db/structure.sql for those."),
	Wants: func(p string) bool {
		return path.Base(p) == "schema.rb" && path.Base(path.Dir(p)) == "db"
	},
	Read: func(f File, d *Draft) error {
		d.sqlFiles = append(d.sqlFiles, &sqlFile{path: f.Path, runner: "rails", dump: true, steps: stepsOf(rubyStatements(string(f.Data)))})
		return nil
	},
})

func schemaDoc(title, when, silent string) premortem.Doc {
	return premortem.Doc{
		Title: title, Why: "It says which indexes production has, in one file.",
		When: when, Silent: silent, Fix: "Commit the schema that production has.",
	}
}

var (
	rubyTable   = regexp.MustCompile(`^\s*create_table\s*\(?\s*[:"'](\w[\w.]*)["']?(.*)$`)
	rubyColumn  = regexp.MustCompile(`^\s*t\.(\w+)\s*\(?\s*[:"'](\w+)["']?(.*)$`)
	rubyIndex   = regexp.MustCompile(`^\s*t\.index\s*\(?\s*(\[[^\]]*\]|"[^"]*")(.*)$`)
	rubyAdd     = regexp.MustCompile(`^\s*add_index\s*\(?\s*[:"'](\w[\w.]*)["']?\s*,\s*(\[[^\]]*\]|[:"']\w+["']?)(.*)$`)
	rubyForeign = regexp.MustCompile(`^\s*add_foreign_key\s*\(?\s*[:"'](\w[\w.]*)["']?\s*,\s*[:"'](\w[\w.]*)["']?(.*)$`)
	rubyName    = regexp.MustCompile(`\bname:\s*"([^"]+)"`)
	rubyWhere   = regexp.MustCompile(`\bwhere:\s*"((?:[^"\\]|\\.)*)"`)
	rubyUsing   = regexp.MustCompile(`\busing:\s*:(\w+)`)
	rubyWord    = regexp.MustCompile(`[:"']?(\w+)["']?`)
	rubyOption  = regexp.MustCompile(`\b(column|primary_key|on_delete):\s*[:"'](\w+)`)
	rubyKey     = regexp.MustCompile(`\bid:\s*(:\w+|false)`)
)

var rubyTypes = map[string]string{
	"string": "varchar", "text": "text", "integer": "integer", "bigint": "bigint", "datetime": "timestamp", "timestamp": "timestamp", "timestamptz": "timestamptz",
	"boolean": "boolean", "decimal": "numeric", "float": "double precision", "date": "date", "time": "time", "binary": "bytea", "json": "json", "jsonb": "jsonb",
	"uuid": "uuid", "inet": "inet", "citext": "citext", "hstore": "hstore", "enum": "text", "virtual": "text", "tsvector": "tsvector", "serial": "serial",
	"bigserial": "bigserial", "references": "bigint", "belongs_to": "bigint", "cidr": "cidr", "point": "point", "interval": "interval",
}

// rubyStatements writes a schema.rb as SQL, on its own lines.
func rubyStatements(src string) [][]sqlToken {
	var out [][]sqlToken
	table := ""
	add := func(line int, sql string) { out = append(out, sqlOf(sqlLine{sql, line})) }
	for i, l := range strings.Split(src, "\n") {
		line := i + 1
		switch {
		case strings.HasPrefix(strings.TrimSpace(l), "#"):
		case rubyTable.MatchString(l):
			m := rubyTable.FindStringSubmatch(l)
			table = quoteTable(m[1])
			key := "id bigserial PRIMARY KEY"
			if id := rubyKey.FindStringSubmatch(m[2]); id != nil {
				switch id[1] {
				case "false":
					key = ""
				default:
					typ := rubyTypes[id[1][1:]]
					if typ == "" {
						typ = "bigint"
					}
					key = "id " + typ + " PRIMARY KEY"
				}
			} else if strings.Contains(m[2], "primary_key: [") {
				key = ""
			}
			add(line, "CREATE TABLE "+table+" ("+key+")")
		case rubyIndex.MatchString(l) && table != "":
			m := rubyIndex.FindStringSubmatch(l)
			rubyAddIndex(add, line, table, m[1], m[2])
		case rubyColumn.MatchString(l) && table != "":
			m := rubyColumn.FindStringSubmatch(l)
			typ := rubyTypes[m[1]]
			if typ == "" {
				continue
			}
			name := m[2]
			if m[1] == "references" || m[1] == "belongs_to" {
				name += "_id"
			}
			if strings.Contains(m[3], "array: true") {
				typ += "[]"
			}
			if strings.Contains(m[3], "null: false") {
				typ += " NOT NULL"
			}
			add(line, "ALTER TABLE "+table+" ADD COLUMN "+quoteIdent(name)+" "+typ)
		case rubyAdd.MatchString(l):
			m := rubyAdd.FindStringSubmatch(l)
			rubyAddIndex(add, line, quoteTable(m[1]), m[2], m[3])
		case rubyForeign.MatchString(l):
			rubyAddForeign(add, line, rubyForeign.FindStringSubmatch(l))
		case strings.TrimSpace(l) == "end":
			table = ""
		}
	}
	return out
}

func rubyAddIndex(add func(int, string), line int, table, list, rest string) {
	var cols []string
	if strings.HasPrefix(list, "[") {
		for _, w := range rubyWord.FindAllStringSubmatch(list, -1) {
			cols = append(cols, quoteIdent(w[1]))
		}
	} else {
		cols = []string{strings.Trim(list, `:"'`)} // an expression as it is
	}
	if len(cols) == 0 {
		return
	}
	unique, name, using, where := "", "", "", ""
	if strings.Contains(rest, "unique: true") {
		unique = "UNIQUE "
	}
	if m := rubyName.FindStringSubmatch(rest); m != nil {
		name = quoteIdent(m[1]) + " "
	}
	if m := rubyUsing.FindStringSubmatch(rest); m != nil {
		using = " USING " + m[1]
	}
	if m := rubyWhere.FindStringSubmatch(rest); m != nil {
		where = " WHERE " + strings.ReplaceAll(m[1], `\"`, `"`)
	}
	if strings.Contains(rest, "algorithm: :concurrently") || strings.Contains(rest, `algorithm: "concurrently"`) {
		name = "CONCURRENTLY " + name
	}
	add(line, "CREATE "+unique+"INDEX "+name+"ON "+table+using+" ("+strings.Join(cols, ", ")+")"+where)
}

func rubyAddForeign(add func(int, string), line int, m []string) {
	column, key, drop := strings.TrimSuffix(m[2], "s")+"_id", "id", ""
	if strings.HasSuffix(m[2], "ies") {
		column = strings.TrimSuffix(m[2], "ies") + "y_id"
	}
	for _, o := range rubyOption.FindAllStringSubmatch(m[3], -1) {
		switch o[1] {
		case "column":
			column = o[2]
		case "primary_key":
			key = o[2]
		case "on_delete":
			drop = " ON DELETE " + map[string]string{"cascade": "CASCADE", "nullify": "SET NULL", "restrict": "RESTRICT"}[o[2]]
		}
	}
	add(line, "ALTER TABLE "+quoteTable(m[1])+" ADD FOREIGN KEY ("+quoteIdent(column)+") REFERENCES "+quoteTable(m[2])+" ("+quoteIdent(key)+")"+drop+rubyUnchecked(m[3]))
}

// rubyUnchecked is what validate: false adds to a constraint.
func rubyUnchecked(rest string) string {
	if strings.Contains(rest, "validate: false") {
		return " NOT VALID"
	}
	return ""
}
