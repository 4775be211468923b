package postgres

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Blueprint is the schema of which a profile tells: columns, keys and indexes as the
// catalog defines them. Literals of definitions do not leave production, so conditions
// and defaults that hold one are left out, and so are partitioned tables, whose bounds
// are literals. ok is false for a profile that holds no definitions.
func (p *Profile) Blueprint() (b *Blueprint, ok bool) {
	if len(p.Definitions) == 0 || len(p.Attributes) == 0 {
		return nil, false
	}
	b = &Blueprint{}
	b.schemas(func(yield func(string)) {
		for i := range p.Relations {
			yield(p.Relations[i].Schema)
		}
		for i := range p.Enums {
			yield(p.Enums[i].Schema)
		}
	})
	for _, name := range []string{"citext", "pg_trgm", "hstore", "ltree", "vector", "btree_gin", "btree_gist"} {
		if p.mentions(name) {
			b.add(object{what: "extension " + name, try: []string{"CREATE EXTENSION IF NOT EXISTS " + quoteIdent(name)}})
		}
	}
	for i := range p.Enums {
		b.enum(&p.Enums[i])
	}
	b.relations(p)
	return b, true
}

func (p *Profile) mentions(extension string) bool {
	mark := whoseMark[extension]
	return slices.ContainsFunc(p.Attributes, func(a AttributeStats) bool { return mark.MatchString(a.Type) }) ||
		slices.ContainsFunc(p.Definitions, func(d DefinitionText) bool { return mark.MatchString(d.Text) }) ||
		strings.HasPrefix(extension, "btree_") && slices.ContainsFunc(p.Relations, func(r RelationStats) bool { return mark.MatchString(r.Method) })
}

// enum makes a type with its labels in the order in which the catalog numbered them.
func (b *Blueprint) enum(e *EnumStats) {
	labels := slices.SortedFunc(maps.Keys(e.Labels), func(x, y string) int { return int(e.Labels[x]) - int(e.Labels[y]) })
	for i, l := range labels {
		labels[i] = quoteLiteral(l)
	}
	b.add(object{what: "type " + e.Type, try: []string{
		fmt.Sprintf("CREATE TYPE %s.%s AS ENUM (%s)", quoteIdent(e.Schema), quoteIdent(e.Type), strings.Join(labels, ", "))}})
}

// relations makes tables in the catalog's order, then indexes in theirs: equal costs
// are broken by it.
func (b *Blueprint) relations(p *Profile) {
	out := map[string]bool{} // partitioned tables and what is in them
	for i := range p.Relations {
		r := &p.Relations[i]
		name := r.Schema + "." + r.Name
		switch {
		case r.Kind == "p":
			out[name] = true
			b.lack("table %s: it is partitioned, and the profile does not tell how", strings.TrimPrefix(name, "public."))
		case r.Kind == "r" && r.Parent != "":
			out[name] = true
		case r.Kind == "m":
			out[name] = true
			b.lack("materialised view %s: its query is not in the profile", strings.TrimPrefix(name, "public."))
		case r.Kind == "r":
			b.profiled(p, r)
		}
	}
	text := map[[3]string]string{}
	for _, d := range p.Definitions {
		text[[3]string{d.Kind, d.Schema, d.Name}] = d.Text
	}
	foreign := []object{}
	keys := map[[2]string]bool{} // indexes that a constraint makes
	for _, d := range p.Definitions {
		table := d.Schema + "." + d.Table
		if d.Kind != "constraint" || out[table] {
			continue
		}
		one := object{what: "constraint " + d.Name + " of " + strings.TrimPrefix(table, "public."),
			try: []string{"ALTER TABLE " + quoteTable(table) + " ADD CONSTRAINT " + quoteIdent(d.Name) + " " + d.Text}}
		switch {
		case strings.Contains(d.Text, "?"):
			if !strings.HasPrefix(d.Text, "CHECK") {
				b.lack("%s: a literal in it stayed in production", one.what)
			}
		case strings.HasPrefix(d.Text, "FOREIGN KEY"):
			foreign = append(foreign, one)
		case strings.HasPrefix(d.Text, "CHECK"): // sentinels must pass; few plans depend on one
		default:
			keys[[2]string{d.Schema, d.Name}] = true
			b.add(one)
		}
	}
	for i := range p.Relations {
		r := &p.Relations[i]
		if !r.isIndex() || out[r.TableSchema+"."+r.Table] || keys[[2]string{r.Schema, r.Name}] {
			continue
		}
		switch sql := text[[3]string{"index", r.TableSchema, r.Name}]; {
		case sql == "":
			b.lack("index %s: its definition is not in the profile", r.Name)
		case strings.Contains(sql, "?"):
			b.lack("index %s: a literal in it stayed in production", r.Name)
		default:
			b.add(object{what: "index " + r.Name, try: []string{sql}})
		}
	}
	b.drawn = append(b.drawn, foreign...)
}

// profiled makes one table.
func (b *Blueprint) profiled(p *Profile, r *RelationStats) {
	name := r.Schema + "." + r.Name
	create := "CREATE TABLE " + quoteTable(name) + " ()"
	b.add(object{what: "table " + name, try: []string{create}})
	for i := range p.Attributes {
		a := &p.Attributes[i]
		if a.Schema != r.Schema || a.Table != r.Name {
			continue
		}
		end := ""
		if a.NotNull {
			end = " NOT NULL"
		}
		add := "ALTER TABLE " + quoteTable(name) + " ADD COLUMN " + quoteIdent(a.Name) + " "
		like := likeType(a.Category)
		b.add(object{what: "column " + strings.TrimPrefix(name, "public.") + "." + a.Name + " of type " + a.Type, try: []string{add + a.Type + end, add + like + end}, as: "it is made a column of " + like})
	}
}

// likeType stands for a type that the server does not have: one that is compared in
// the same way.
func likeType(category string) string {
	switch category {
	case "N":
		return "numeric"
	case "D":
		return "timestamptz"
	case "B":
		return "boolean"
	case "A":
		return "text[]"
	}
	return "text"
}
