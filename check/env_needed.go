package check

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// required returns the variables without which a service of production fails.
func required(sys *premortem.System) []*premortem.EnvVar {
	var out []*premortem.EnvVar
	for _, v := range sys.Env {
		v = inProfile(sys, v)
		if (v.Class == premortem.EnvBoot || v.Class == premortem.EnvUse && !guarded(v)) && expected(sys, v) {
			out = append(out, v)
		}
	}
	return out
}

// corroborated reports whether there is more than a line that reads the variable: it
// is read when the process starts, or somebody gives it to the service elsewhere.
func corroborated(sys *premortem.System, v *premortem.EnvVar) bool {
	if v.Class == premortem.EnvBoot {
		return true
	}
	for _, svc := range sys.Services {
		if svc.Node != v.Service || svc.Deployment == sys.Production {
			continue
		}
		for _, set := range svc.Provides {
			if set.Name == v.Name && !set.Empty && set.Pos.Known() {
				return true
			}
		}
	}
	return false
}

var profileFile = regexp.MustCompile(`^application-([\w-]+)\.(?:ya?ml|properties)$`)

// inProfile leaves out the reads of Spring's files for a profile that production is
// known not to run. It returns v itself when there is none.
func inProfile(sys *premortem.System, v *premortem.EnvVar) *premortem.EnvVar {
	other := func(r premortem.EnvRead) bool {
		m := profileFile.FindStringSubmatch(path.Base(r.Pos.File))
		if m == nil {
			return false
		}
		p, set := sys.Provision(sys.Production, v.Service, "SPRING_PROFILES_ACTIVE")
		return p == premortem.Missing || p == premortem.Provided && set.Plain &&
			!slices.Contains(strings.FieldsFunc(set.Value, func(c rune) bool { return c == ',' || c == ' ' }), m[1])
	}
	if !slices.ContainsFunc(v.Reads, other) {
		return v
	}
	rest := *v
	rest.Class, rest.Reads = premortem.EnvOpt, nil
	for _, r := range v.Reads {
		if !other(r) {
			rest.Reads = append(rest.Reads, r)
			if need(r.Class) < need(rest.Class) {
				rest.Class = r.Class
			}
		}
	}
	return &rest
}

// guarded reports whether each use of the variable stands below a question for it in
// the same file: `if (process.env.X) { start(process.env.X) }`.
func guarded(v *premortem.EnvVar) bool {
	for _, r := range v.Reads {
		if r.Class == premortem.EnvUse && !slices.ContainsFunc(v.Reads, func(g premortem.EnvRead) bool {
			return g.Class == premortem.EnvOpt && g.Pos.File == r.Pos.File && g.Pos.Line <= r.Pos.Line && asks.MatchString(g.Quote)
		}) {
			return false
		}
	}
	return true
}

// asks finds a line that tests whether something is there.
var asks = regexp.MustCompile(`\bif\s*\(\s*[^!\s]|&&|\?`)

// similar returns the variable whose name is probably a slip for this one, nil if
// none.
func similar(svc *premortem.Service, name string) *premortem.EnvSet {
	var best *premortem.EnvSet
	for i := range svc.Provides {
		set := &svc.Provides[i]
		if !slip(set.Name, name) {
			continue
		}
		if best == nil || distance(set.Name, name) < distance(best.Name, name) {
			best = set
		}
	}
	return best
}

// slip reports whether one name looks like the other, mistyped: a letter too many,
// too few or wrong in one of its words, or two in a long one. DB_URI and DB_API, or
// KEY_1 and KEY_2, are different names.
func slip(a, b string) bool {
	if a == b || len(a) < 6 || len(b) < 6 {
		return false
	}
	if strings.ReplaceAll(a, "_", "") == strings.ReplaceAll(b, "_", "") {
		return true
	}
	as, bs := strings.Split(a, "_"), strings.Split(b, "_")
	if len(as) != len(bs) {
		return false
	}
	differ := 0
	for i := range as {
		if as[i] == bs[i] {
			continue
		}
		differ++
		short := min(len(as[i]), len(bs[i]))
		d := distance(as[i], bs[i])
		if strings.ContainsAny(as[i]+bs[i], "0123456789") || d > 2 || d == 2 && short < 5 || short < 3 ||
			d == 1 && short == len(as[i]) && short == len(bs[i]) && short < 5 {
			return false
		}
	}
	return differ == 1
}

// doubted are variables of code of which nobody can tell who runs it, by the reason.
type doubted struct {
	why   []string
	names map[string][]string
}

func (d *doubted) add(v *premortem.EnvVar) {
	if d.names == nil {
		d.names = map[string][]string{}
	}
	if d.names[v.Unsure] == nil {
		d.why = append(d.why, v.Unsure)
	}
	if !slices.Contains(d.names[v.Unsure], v.Name) {
		d.names[v.Unsure] = append(d.names[v.Unsure], v.Name)
	}
}

func (d *doubted) ask(ask func(string)) {
	for _, why := range d.why {
		names := d.names[why]
		slices.Sort(names)
		more := ""
		if len(names) > mostNames {
			more = fmt.Sprintf(" and %d more", len(names)-mostNames)
			names = names[:mostNames]
		}
		ask(fmt.Sprintf("who reads %s%s? %s", list(names), more, why))
	}
}

// mostNames is how many variables one question names.
const mostNames = 8
