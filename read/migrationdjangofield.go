package read

import (
	"strings"
)

// djangoTypes are the types of PostgreSQL for Django's fields.
var djangoTypes = map[string]string{
	"AutoField": "integer", "BigAutoField": "bigint", "SmallAutoField": "smallint", "CharField": "varchar", "TextField": "text", "IntegerField": "integer",
	"BigIntegerField": "bigint", "SmallIntegerField": "smallint", "PositiveIntegerField": "integer", "PositiveBigIntegerField": "bigint",
	"PositiveSmallIntegerField": "smallint", "BooleanField": "boolean", "NullBooleanField": "boolean", "DateTimeField": "timestamptz", "DateField": "date", "TimeField": "time",
	"DecimalField": "numeric", "FloatField": "double precision", "UUIDField": "uuid", "JSONField": "jsonb", "EmailField": "varchar(254)", "URLField": "varchar(200)",
	"SlugField": "varchar(50)", "FileField": "varchar(100)", "ImageField": "varchar(100)", "FilePathField": "varchar(100)", "BinaryField": "bytea", "GenericIPAddressField": "inet",
	"DurationField": "interval", "HStoreField": "hstore", "SearchVectorField": "tsvector", "CITextField": "citext", "CICharField": "citext", "CIEmailField": "citext",
}

// djangoField reads models.CharField(max_length=10, …).
func (r *pyReader) djangoField(app, name string, v span) (djangoField, bool) {
	class, open := r.called(v)
	if open < 0 || name == "" {
		return djangoField{}, false
	}
	f := djangoField{name: name, column: name, class: class, line: r.tok(v.lo).line}
	f.null, f.unique, f.index, f.primary = r.yes(open, "null"), r.yes(open, "unique"), r.yes(open, "db_index"), r.yes(open, "primary_key")
	f.def, f.lasting = !r.keyword(open, "default").empty(), !r.keyword(open, "db_default").empty()
	f.index = f.index || class == "SlugField" && !r.tok(r.keyword(open, "db_index").lo).is("False")
	f.typ = djangoTypes[class]
	switch class {
	case "CharField":
		if n := r.keyword(open, "max_length"); !n.empty() && r.tok(n.lo).kind == jsNumber {
			f.typ = "varchar(" + r.tok(n.lo).text + ")"
		}
	case "EmailField", "URLField", "SlugField", "FileField", "ImageField", "FilePathField":
		if n := r.keyword(open, "max_length"); !n.empty() && r.tok(n.lo).kind == jsNumber {
			f.typ = "varchar(" + r.tok(n.lo).text + ")"
		}
	case "DecimalField":
		f.typ = "numeric(" + r.tok(r.keyword(open, "max_digits").lo).text + ", " + r.tok(r.keyword(open, "decimal_places").lo).text + ")"
		if !singleNumber(r.tok(r.keyword(open, "max_digits").lo)) || !singleNumber(r.tok(r.keyword(open, "decimal_places").lo)) {
			f.typ = "numeric"
		}
	case "ArrayField":
		base := r.argument(open, "base_field", 0)
		if kind, _ := r.called(base); kind == "ArrayField" {
			break // of arrays: a type of its own, and no depth that a file can choose
		}
		if inner, ok := r.djangoField(app, name, base); ok {
			f.typ = inner.typ + "[]"
		}
	case "ForeignKey", "OneToOneField", "ManyToManyField":
		r.djangoRelation(&f, app, open)
	}
	if f.typ == "" {
		f.typ = "unknown"
	}
	if c := r.word(open, "db_column", -1); c != "" {
		f.column = c
	}
	return f, true
}

func singleNumber(t jsToken) bool { return t.kind == jsNumber }

// djangoRelation reads where a field points and what it makes.
func (r *pyReader) djangoRelation(f *djangoField, app string, open int) {
	to := r.argument(open, "to", 0)
	switch {
	case r.tok(to.lo).kind == jsString:
		f.to = strings.ToLower(r.tok(to.lo).text)
		if f.to == "self" {
			f.to = ""
		}
	case strings.HasSuffix(r.source(to), "AUTH_USER_MODEL"), strings.Contains(r.source(to), "AUTH_USER_MODEL"):
		f.to = "settings.user"
	case r.tok(to.lo).kind == jsIdent:
		f.to = strings.ToLower(lastName(r.source(to)))
	}
	if f.to != "" && !strings.Contains(f.to, ".") {
		f.to = app + "." + f.to
	}
	f.remove = lastName(r.source(r.argument(open, "on_delete", 1)))
	f.noKey = r.tok(r.keyword(open, "db_constraint").lo).is("False")
	f.through = !r.keyword(open, "through").empty()
	f.unique = f.unique || f.class == "OneToOneField"
	f.index = f.class == "ForeignKey" && !r.tok(r.keyword(open, "db_index").lo).is("False")
	f.typ, f.column = "bigint", f.name+"_id"
}

// djangoIndex reads models.Index(fields=[…], name=…, condition=Q(…)).
func (r *pyReader) djangoIndex(op *djangoOp, v span) bool {
	class, open := r.called(v)
	if open < 0 {
		return false
	}
	op.name = r.word(open, "name", -1)
	op.columns = r.words(r.keyword(open, "fields"))
	switch class {
	case "GinIndex", "GistIndex", "BrinIndex", "HashIndex", "SpGistIndex", "BloomIndex":
		op.method = strings.ToLower(strings.TrimSuffix(class, "Index"))
	}
	for _, a := range r.args(open) {
		if r.tok(a.lo).kind == jsIdent && r.tok(a.lo+1).is("=") {
			continue
		}
		if e := r.djangoExpression(a); e != "" {
			op.columns = append(op.columns, e)
		}
	}
	op.where = r.djangoCondition(r.keyword(open, "condition"))
	return len(op.columns) > 0
}

// djangoExpression writes Lower("email") and F("x").desc() as SQL, "" for others.
func (r *pyReader) djangoExpression(v span) string {
	if r.tok(v.lo).kind == jsString {
		return r.tok(v.lo).text
	}
	name, open := r.called(v)
	if open < 0 || v.hi-v.lo > 60 { // nobody indexes what is longer
		return ""
	}
	args := r.args(open)
	if len(args) == 0 {
		return ""
	}
	inner := r.djangoExpression(args[0])
	switch {
	case inner == "":
		return ""
	case name == "F", name == "OpClass", name == "OrderBy":
		return inner
	case len(args) == 1:
		return strings.ToLower(name) + "(" + inner + ")"
	}
	return ""
}

// djangoCondition writes Q(a__isnull=True) as SQL, as far as it is plain.
func (r *pyReader) djangoCondition(v span) string {
	var parts []string
	for i := v.lo; i < v.hi; i++ {
		if !r.tok(i).is("Q") || !r.tok(i+1).is("(") {
			continue
		}
		for _, a := range r.args(i + 1) {
			key := r.tok(a.lo).text
			if r.tok(a.lo).is("(") && r.tok(a.lo+1).kind == jsString { // ('deleted_at__isnull', True)
				key = r.tok(a.lo + 1).text
			}
			col, look, _ := strings.Cut(key, "__")
			if col == "" || !envName.MatchString(strings.ToUpper(col)) {
				continue
			}
			if look == "isnull" && strings.Contains(r.source(a), "True") {
				parts = append(parts, quoteIdent(col)+" IS NULL")
			} else {
				parts = append(parts, quoteIdent(col)+" IS NOT NULL")
			}
		}
	}
	if len(parts) == 0 && !v.empty() {
		return "true"
	}
	return strings.Join(parts, " AND ")
}

// djangoConstraint reads UniqueConstraint and CheckConstraint.
func (r *pyReader) djangoConstraint(op *djangoOp, v span) bool {
	class, open := r.called(v)
	if open < 0 {
		return false
	}
	op.name = r.word(open, "name", -1)
	switch class {
	case "UniqueConstraint":
		if !r.djangoIndex(op, v) {
			return false
		}
		op.unique = true
	case "CheckConstraint":
		op.sql = "CHECK"
	default:
		return false
	}
	return true
}
