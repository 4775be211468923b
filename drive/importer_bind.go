package drive

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

var reference = regexp.MustCompile(`\$\{(rows\.[^}]*)\}`)

// Bind ties the references to rows that an importer guessed to the tables that there
// are. What no table holds becomes the recorded value, or where that was a secret or
// somebody's, a text to be filled in, with a mark on its request and a note.
func (t *Traffic) Bind(tables []*premortem.Table) {
	open := map[string]bool{}
	for _, js := range [][]*premortem.Journey{t.Journeys, t.Unfinished} {
		for _, j := range js {
			for i := range j.Steps {
				if r := j.Steps[i].Request; r != nil {
					t.bindRequest(r, tables, open)
				}
			}
		}
	}
	names := make([]string, 0, len(open))
	for n := range open {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		t.note(premortem.Pos{}, "no table has %s: fill in its values, marked %s in the journeys", strings.TrimPrefix(n, "rows."), fillIn(n))
	}
}

func (t *Traffic) bindRequest(r *premortem.Request, tables []*premortem.Table, open map[string]bool) {
	bind := func(text string) string {
		return reference.ReplaceAllStringFunc(text, func(m string) string {
			ref := m[2 : len(m)-1]
			if column := columnFor(ref, tables); column != "" {
				return "${rows." + column + "}"
			}
			if v, ok := t.Samples[ref]; ok {
				return v
			}
			open[ref] = true
			t.mark(r, "fill in "+fillIn(ref))
			return fillIn(ref)
		})
	}
	r.Path = bind(r.Path)
	r.Body = bind(r.Body)
	for i := range r.Headers {
		r.Headers[i].Value = bind(r.Headers[i].Value)
	}
}

// fillIn is what stands for a value that a person must give.
func fillIn(ref string) string {
	return "FILL-IN-" + strings.ReplaceAll(strings.TrimPrefix(ref, "rows."), ".", "-")
}

var peopleTables = []string{"users", "user", "accounts", "account", "customers", "customer", "members", "member", "people", "auth_user"}

// columnFor returns TABLE.COLUMN of the schema that a guessed reference means, "" none.
func columnFor(ref string, tables []*premortem.Table) string {
	rest := strings.TrimPrefix(ref, "rows.")
	i := strings.LastIndexByte(rest, '.')
	if i <= 0 {
		return ""
	}
	name, column := rest[:i], rest[i+1:]
	columns := []string{column}
	switch column {
	case "username", "login":
		columns = []string{column, "username", "login", "name", "email"}
	case "email":
		columns = []string{"email", "email_address", "mail"}
	}
	for _, want := range tableForms(name) {
		for _, tab := range tables {
			if !strings.EqualFold(tab.Name, want) {
				continue
			}
			for _, c := range columns {
				if tab.Column(c) != nil {
					return tab.Name + "." + c
				}
			}
		}
	}
	return ""
}

// tableForms are the names a table may have when a path or a field calls it so.
func tableForms(name string) []string {
	out := []string{name, name + "s", name + "es", strings.TrimSuffix(name, "s"), strings.TrimSuffix(name, "es")}
	if base, ok := strings.CutSuffix(name, "ies"); ok {
		out = append(out, base+"y")
	}
	if base, ok := strings.CutSuffix(name, "y"); ok {
		out = append(out, base+"ies")
	}
	if name == "users" {
		out = append(out, peopleTables...)
	}
	return out
}

// personRef is a reference to a column of the session's own person.
func personRef(column string) string {
	c := safeName(column)
	if c == "" {
		c = "value"
	}
	return fmt.Sprintf("rows.users.%s", strings.ReplaceAll(c, "-", "_"))
}
