package report

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"

	"github.com/premortem/premortem"
)

func cut(s string) (string, string, bool) { return strings.Cut(s, "=") }

// empty is a report of a repository in which nothing was found and nothing read.
func empty() *premortem.Report { return &premortem.Report{Command: "check"} }

// checked is what `premortem check` says of the shop.
func checked() *premortem.Report {
	return &premortem.Report{
		Schema: premortem.Schema, Version: "0.1.0", Command: "check", Dir: ".", System: shopSystem(), Findings: shopSuspected(),
		Unread: []premortem.Unread{{Pos: pos("helm/templates/api.yaml", 3), Why: "Helm templates are not rendered"}},
	}
}

// clean is a check that found nothing.
func clean() *premortem.Report {
	return &premortem.Report{Schema: premortem.Schema, Version: "0.1.0", Command: "check", Dir: ".", System: shopSystem()}
}

// held is a rehearsal in which nothing broke.
func held() *premortem.Report {
	r := shop()
	r.Findings, r.Unknowns, r.Verdicts, r.Unread = nil, nil, r.Verdicts[:1], nil
	r.Headroom = r.Headroom[2:]
	return r
}

// hostileText tries a terminal, a page, a diff, a workflow and a Markdown renderer.
const hostileText = "a\x1b[31mred\x1b]8;;http://evil.example\x07 \u009b2J\u202egnp.exe\u2066 " +
	"<script>alert(1)</script><img src=x onerror=alert(2)>'\"`${x}`{{.}}]]>--> \n::error::owned\r\n" +
	"::set-output name=x::y | [click](javascript:alert(3)) **bold** @everyone\t\x00\x7f\ufeff \xff%0A& </style></textarea>"

// hostile is the shop with every string replaced by hostileText, odd numbers in
// every float, a cause that is its own cause and 70 findings of one rule.
func hostile() *premortem.Report {
	r := shop()
	poison(reflect.ValueOf(r).Elem())
	for i := range r.Findings {
		f := &r.Findings[i]
		f.Subject += fmt.Sprint(i % 7)
		f.Because = f.Key()
		if i%3 == 0 {
			f.Suppressed = ""
		}
	}
	for i := range 70 {
		f := r.Findings[0]
		f.Rule, f.Subject, f.Because, f.Suppressed = "many", fmt.Sprintf("%03d", i), "", ""
		r.Findings = append(r.Findings, f)
	}
	r.Headroom[0].Estimate, r.Headroom[0].Low, r.Headroom[0].High = math.NaN(), math.Inf(-1), math.Inf(1)
	r.Headroom = append(r.Headroom, premortem.Headroom{X: "calls"})
	return r
}

// poison replaces every string below v, and some of the floats.
func poison(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			poison(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			poison(v.Index(i))
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				poison(v.Field(i))
			}
		}
	case reflect.Map:
		if v.Type().Elem().Kind() == reflect.String && v.Len() > 0 {
			m := reflect.MakeMap(v.Type())
			m.SetMapIndex(reflect.ValueOf(hostileText), reflect.ValueOf(hostileText).Convert(v.Type().Elem()))
			v.Set(m)
		}
	case reflect.String:
		v.SetString(hostileText)
	case reflect.Float64:
		if math.Mod(v.Float()*1000, 7) < 1 {
			v.SetFloat(math.Inf(1))
		}
	}
}
