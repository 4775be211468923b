package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// systemParts says what was looked at, for the first line: name, production, its
// stores, its services and whom they call.
func systemParts(sys *premortem.System) []string {
	if sys == nil {
		return nil
	}
	var parts []string
	add := func(s string) {
		if s != "" {
			parts = append(parts, s)
		}
	}
	add(plain(sys.Name))
	if sys.Production != "" {
		add("production " + plain(sys.Production))
	} else if len(sys.Deployments) > 0 {
		add("no production deployment found")
	}
	add(storeNames(sys))
	add(serviceNames(sys))
	var third []string
	for _, t := range sys.ThirdParties {
		third = append(third, plain(t.Node.Name()))
	}
	add(few(third, 5))
	return parts
}

func storeNames(sys *premortem.System) string {
	kinds := map[string]string{"postgres": "PostgreSQL", "redis": "Redis", "mysql": "MySQL", "rabbitmq": "RabbitMQ"}
	var out []string
	seen := map[premortem.Node]bool{}
	for _, st := range sys.Stores {
		if seen[st.Node] {
			continue
		}
		seen[st.Node] = true
		name := cmp.Or(kinds[st.Kind], st.Kind, st.Node.Name())
		for _, same := range sys.StoresOf(st.Node) {
			if same.Version.Set() {
				name += " " + same.Version.Value
				break
			}
		}
		out = append(out, plain(name))
	}
	return few(out, 4)
}

func serviceNames(sys *premortem.System) string {
	services := sys.ServicesOf(sys.Production)
	if sys.Production == "" {
		services = sys.Services
	}
	var out []string
	for _, svc := range services {
		name := plain(svc.Node.Name())
		if n := svc.Replicas.Or(1); n != 1 {
			name += fmt.Sprintf(" ×%d", n)
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return few(out, 5)
}

// few joins names and counts those beyond n.
func few(names []string, n int) string {
	if len(names) > n {
		return strings.Join(names[:n], ", ") + fmt.Sprintf(" and %d more", len(names)-n)
	}
	return strings.Join(names, ", ")
}

// wasRead counts what the answer rests on: "2 services, 1 store, 14 variables", ""
// when nothing was read.
func wasRead(sys *premortem.System) string {
	if sys == nil {
		return ""
	}
	services, stores := map[premortem.Node]bool{}, map[premortem.Node]bool{}
	for _, s := range sys.Services {
		services[s.Node] = true
	}
	for _, s := range sys.Stores {
		stores[s.Node] = true
	}
	var out []string
	count := func(n int, one, many string) {
		if n > 0 {
			out = append(out, counted(n, one, many))
		}
	}
	count(len(sys.Deployments), "deployment", "deployments")
	count(len(services), "service", "services")
	count(len(stores), "store", "stores")
	count(len(sys.Env), "variable", "variables")
	count(len(sys.Images), "image", "images")
	count(len(sys.Tables), "table", "tables")
	count(len(sys.Queries), "query", "queries")
	count(len(sys.Routes), "route", "routes")
	return strings.Join(out, ", ")
}

// nothing says that there is no finding, and what that rests on.
func nothing(r *premortem.Report) string {
	read := wasRead(r.System)
	switch {
	case read == "":
		return "nothing found, and nothing was read"
	case r.Command == "rehearse":
		return "nothing found"
	}
	return "nothing found in " + read
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(float64(n)) + " " + many
}

// upper starts a sentence; "p95" stays as it is.
func upper(s string) string {
	if len(s) < 2 || s[0] < 'a' || s[0] > 'z' || s[1] >= '0' && s[1] <= '9' {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}

// stop ends a sentence.
func stop(s string) string {
	if s == "" || strings.ContainsAny(s[len(s)-1:], ".!?…") {
		return s
	}
	return s + "."
}

// fixLabel says how much the fix is worth, and whether it needs a person.
func fixLabel(f premortem.Fix) string {
	if f.Safe && len(f.Edits) > 0 {
		return fixWorth(f) + " (--fix applies it)"
	}
	return fixWorth(f)
}

// fixWorth says how much the fix is worth.
func fixWorth(f premortem.Fix) string {
	switch {
	case f.Proof != nil && f.Proof.Worked:
		return "proved fix"
	case f.Proof != nil:
		return "tried, did not help"
	}
	return "fix"
}

// fixSays is the fix in words; when it has none, what was tried.
func fixSays(f premortem.Fix) string {
	if f.Says != "" {
		return plain(f.Says)
	}
	return plain(trySays(f.Try))
}

// trySays is what the clone did, in one line.
func trySays(t *premortem.Try) string {
	if t == nil {
		return ""
	}
	var out []string
	if t.SQL != "" {
		out = append(out, t.SQL)
	}
	out = append(out, tryEnv(t)...)
	if t.Setting != "" {
		out = append(out, t.Setting)
	}
	return strings.Join(out, " ")
}

func tryEnv(t *premortem.Try) []string {
	var out []string
	for name, value := range t.Env {
		out = append(out, name+"="+value)
	}
	slices.Sort(out)
	return out
}

// sqlBeside is the SQL of a fix whose words and edits do not hold it already.
func sqlBeside(f premortem.Fix) []string {
	if f.Try == nil || strings.TrimSpace(f.Try.SQL) == "" {
		return nil
	}
	bare := func(s string) string {
		s = strings.ReplaceAll(strings.ToLower(s), " concurrently ", " ")
		return strings.TrimRight(strings.Join(strings.Fields(s), " "), ";")
	}
	sql := bare(f.Try.SQL)
	if strings.Contains(bare(f.Says), sql) {
		return nil
	}
	for _, e := range f.Edits {
		if strings.Contains(bare(e.New), sql) {
			return nil
		}
	}
	return plainLines(strings.TrimSpace(f.Try.SQL))
}

// proofSays is the proof in one line: what changed, and where the next limit lies.
func proofSays(p *premortem.Proof) string {
	says, next := plain(p.Says), plain(p.Next)
	whole := p.X != "" && strings.HasPrefix(next, plain(p.X)+" ") // it says where the X breaks itself
	if says == "" {
		var out []string
		if p.Before != 0 || p.After != 0 {
			out = append(out, proofChange(p)+" at the same load")
		}
		if then := proofThen(p, " then "); then != "" && !whole {
			out = append(out, then)
		}
		says = strings.Join(out, "; ")
	}
	switch {
	case next == "" || strings.Contains(says, next):
	case says == "":
		says = next
	case whole:
		says = strings.TrimSuffix(says, ".") + "; " + next
	default:
		says = stop(says) + " Next limit: " + next
	}
	return strings.TrimSpace(says)
}

func proofChange(p *premortem.Proof) string {
	return strings.TrimSpace(signal(p.Signal) + " " + amount(p.Before, p.Unit) + " → " + amount(p.After, p.Unit))
}

// proofThen says where the X breaks with the fix in place. The joint stands between
// the X and its verb.
func proofThen(p *premortem.Proof, joint string) string {
	x := plain(p.X)
	switch {
	case x == "":
		return ""
	case p.BreaksAfter > 0:
		return x + joint + "break at " + times(p.BreaksAfter)
	case p.HoldsAfter > 0:
		return x + joint + "hold up to " + times(p.HoldsAfter) + ", as far as was tried"
	}
	return ""
}

// boundary is the multiple at which an X breaks, 0 when it does not.
func boundary(h premortem.Headroom) float64 {
	switch {
	case h.Answer != premortem.Fails:
		return 0
	case usable(h.Estimate):
		return h.Estimate
	case usable(h.Breaks):
		return h.Breaks
	}
	return 0
}

// breaks is the table's cell: "1.6× (1.5–1.7×)", "not up to 4×", "unknown".
func breaks(h premortem.Headroom) string {
	switch {
	case h.Answer == premortem.Holds && h.Holds > 0:
		return "not up to " + times(h.Holds)
	case h.Answer == premortem.Holds:
		return "no"
	case h.Answer == premortem.Unknown:
		return "unknown"
	case boundary(h) == 0:
		return "yes"
	case usable(h.Low) && usable(h.High) && times(h.Low) != times(h.High):
		return times(boundary(h)) + " (" + strings.TrimSuffix(span(h.Low, h.High), "×") + ")"
	}
	return times(boundary(h))
}

// holds is the table's cell. What lies below a failure above 1× was not answered.
func holds(h premortem.Headroom) string {
	switch {
	case h.Holds > 0:
		return times(h.Holds)
	case h.Answer == premortem.Unknown, h.Breaks > 1:
		return "unknown"
	}
	return "nothing"
}

// withFix is the table's cell: "9.4×", "holds to 16×", "" when nothing was tried.
func (s *story) withFix(h premortem.Headroom) string {
	at, open := fixedBoundary(s, h)
	switch {
	case !usable(at):
		return ""
	case open:
		return "holds to " + times(at)
	}
	return times(at)
}

// anyFix tells whether the table has a column for the proved fix.
func (s *story) anyFix() bool {
	return slices.ContainsFunc(s.Headroom, func(h premortem.Headroom) bool { return s.withFix(h) != "" })
}

// base says what 1× is: "50 requests/s".
func base(h premortem.Headroom) string {
	if h.Base == 0 {
		return ""
	}
	return strings.TrimSpace(number(h.Base) + " " + plain(h.Unit))
}

// routeOf takes the node off "service/api POST /login".
func routeOf(first string) string {
	if node, route, ok := strings.Cut(first, " "); ok && strings.Contains(node, "/") && !strings.HasPrefix(node, "/") {
		return plain(route)
	}
	return plain(first)
}

// firstToBreak is the table's last cell: the route and what it showed, or why that
// is not known, in short where the list of questions says it in full.
func (s *story) firstToBreak(h premortem.Headroom) string {
	switch h.Answer {
	case premortem.Unknown:
		says := plain(h.Says)
		head, why, _ := strings.Cut(says, ": ")
		if why != "" && slices.ContainsFunc(s.open(), func(q question) bool { return strings.Contains(q.Says, why) }) {
			says = head
		}
		return strings.TrimPrefix(says, "holds at "+times(h.Holds)+"; ")
	case premortem.Holds:
		return ""
	}
	if h.First == "" {
		return plain(h.Says)
	}
	if how := howItBroke(h); how != "" {
		return routeOf(h.First) + ", " + how
	}
	return routeOf(h.First)
}

// howItBroke is what the first route showed at the smallest multiple that failed.
func howItBroke(h premortem.Headroom) string {
	var at *premortem.Point
	for i := range h.Points {
		p := &h.Points[i]
		if p.Answer == premortem.Fails && !p.Fixed && (at == nil || p.Multiple < at.Multiple) {
			at = p
		}
	}
	if at == nil {
		return ""
	}
	for _, r := range at.Routes {
		if r.Route != routeOf(h.First) && r.Route != h.First {
			continue
		}
		var out []string
		if r.P95 > 0 && r.Limit > 0 {
			out = append(out, "p95 "+seconds(r.P95)+" against "+seconds(r.Limit))
		}
		if r.Errors >= 0.001 {
			out = append(out, percent(r.Errors)+" errors")
		}
		return strings.Join(out, ", ")
	}
	return ""
}
