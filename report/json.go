package report

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"reflect"
	"unicode/utf8"

	"github.com/premortem/premortem"
)

// SchemaJSON is the JSON Schema (draft 2020-12) of premortem/report/v1.
//
//go:embed schema.json
var SchemaJSON []byte

// JSON is the stable form: the only one that scripts should read.
var JSON = add(Format{
	Name: "json",
	Doc: premortem.Doc{
		Title: "The whole report, for scripts",
		Why: "It is the only stable form: " + premortem.Schema + " gains fields and loses none. Empty lists are [], " +
			"a value that the repository does not set is null, and equal reports are equal byte for byte.",
		When:   "Something else reads the result: a gate, a dashboard, a comparison of two runs.",
		Silent: "A number that cannot be a JSON number is written as 0.",
		Fix:    "premortem check --format json -o report.json",
	},
	Write: writeJSON,
})

func writeJSON(w io.Writer, r *premortem.Report, _ Options) error {
	c := complete(reflect.ValueOf(*sorted(r))).Interface().(premortem.Report)
	c.Schema = premortem.Schema
	if c.Version == "" {
		c.Version = premortem.Version
	}
	if c.System == nil {
		empty := complete(reflect.ValueOf(premortem.System{})).Interface().(premortem.System)
		c.System = &empty
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(c); err != nil {
		return fmt.Errorf("write report as JSON: %w", err)
	}
	_, err := w.Write(harmless(b.Bytes()))
	return err
}

// complete returns a deep copy of v in which no slice and no map is nil and no
// float is NaN or infinite. Types with unexported fields (time.Time) are values
// and copied as they are.
func complete(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(complete(v.Elem()))
		}
	case reflect.Slice:
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			out.Index(i).Set(complete(v.Index(i)))
		}
	case reflect.Map:
		out.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
		for it := v.MapRange(); it.Next(); {
			out.SetMapIndex(it.Key(), complete(it.Value()))
		}
	case reflect.Struct:
		out.Set(v)
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out.Field(i).Set(complete(v.Field(i)))
			}
		}
	case reflect.Float32, reflect.Float64:
		if f := v.Float(); !math.IsNaN(f) && !math.IsInf(f, 0) {
			out.SetFloat(f)
		}
	default:
		out.Set(v)
	}
	return out
}

// harmless escapes what encoding/json leaves as it is and a terminal would obey:
// DEL, C1 controls and the marks that reorder text. They occur in strings only.
func harmless(b []byte) []byte {
	var out []byte
	from := 0
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r >= 0x7f && odd(r) {
			out = append(out, b[from:i]...)
			if r > 0xFFFF {
				r -= 0x10000
				out = fmt.Appendf(out, `\u%04x\u%04x`, 0xD800+r>>10, 0xDC00+r&0x3FF)
			} else {
				out = fmt.Appendf(out, `\u%04x`, r)
			}
			from = i + n
		}
		i += n
	}
	return append(out, b[from:]...)
}
