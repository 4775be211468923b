package check

import (
	"regexp"
	"strconv"
	"strings"
)

// colType is a type with its modifiers.
type colType struct {
	family string
	n, m   int // varchar(n), numeric(n, m); -1 none
}

var typeForm = regexp.MustCompile(`^([a-z_0-9 ]+?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*((?:without|with) time zone)?(\s*\[\s*\])?$`)

var typeNames = map[string]string{
	"int": "integer", "int4": "integer", "integer": "integer", "serial": "integer", "serial4": "integer", "bigint": "bigint", "int8": "bigint", "bigserial": "bigint", "serial8": "bigint",
	"smallint": "smallint", "int2": "smallint", "smallserial": "smallint", "varchar": "varchar", "character varying": "varchar", "text": "text", "char": "char", "character": "char", "bpchar": "char",
	"numeric": "numeric", "decimal": "numeric", "bool": "boolean", "boolean": "boolean", "timestamp": "timestamp", "timestamptz": "timestamptz", "uuid": "uuid",
	"json": "json", "jsonb": "jsonb", "real": "real", "float4": "real", "double precision": "double", "float8": "double", "date": "date", "bytea": "bytea", "inet": "inet", "citext": "citext",
}

// parseType reads a type of PostgreSQL; ok is false for one that is not known.
func parseType(s string) (colType, bool) {
	s = strings.Join(strings.Fields(strings.ToLower(s)), " ")
	s = strings.NewReplacer(" (", "(", "( ", "(", " )", ")", " ,", ",").Replace(s)
	g := typeForm.FindStringSubmatch(s)
	if g == nil {
		return colType{}, false
	}
	t := colType{family: typeNames[strings.TrimSpace(g[1])], n: -1, m: -1}
	if t.family == "" {
		return colType{}, false
	}
	if g[2] != "" {
		t.n, _ = strconv.Atoi(g[2])
		t.m = 0
	}
	if g[3] != "" {
		t.m, _ = strconv.Atoi(g[3])
	}
	if t.family == "timestamp" && g[4] == "with time zone" {
		t.family = "timestamptz"
	}
	if g[5] != "" {
		t.family += "[]"
	}
	return t, true
}

// changes tells whether a change of type writes the table again, as far as both
// types are known. It is catalog in doubt.
func changes(was, to string, using bool) work {
	a, ok := parseType(was)
	b, known := parseType(to)
	if !ok || !known || a == b {
		return catalog
	}
	switch {
	case a.family == b.family && a.family == "varchar":
		if b.n < 0 || a.n >= 0 && b.n >= a.n {
			return catalog
		}
		return rewrites
	case a.family == "varchar" && b.family == "text":
		return catalog
	case a.family == "text" && b.family == "varchar":
		if b.n < 0 {
			return catalog
		}
		return rewrites
	case a.family == b.family && a.family == "numeric":
		if b.n < 0 || a.m == b.m && b.n >= a.n && a.n >= 0 {
			return catalog
		}
		return rewrites
	case a.family == b.family, strings.HasPrefix(a.family, "timestamp") && strings.HasPrefix(b.family, "timestamp"):
		return catalog // depends on the session's time zone, or on a precision
	case a.family == "citext" || b.family == "citext":
		return catalog
	}
	return rewrites
}
