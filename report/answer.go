package report

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// question is something that was asked and not answered, or answered with a doubt.
type question struct {
	Asks string // "" when only the reason is known
	Says string
}

// open lists what stayed unknown: the report's own list, and verdicts that the list
// does not mention. A step without an answer between two that have one is no open
// question: the row of its X holds it.
func (s *story) open() []question {
	var out []question
	for _, u := range s.Unknowns {
		out = append(out, question{Says: cmp.Or(plain(u), "a question without a reason")})
	}
	for _, v := range s.Verdicts {
		if v.Answer != premortem.Unknown {
			continue
		}
		says := plain(cmp.Or(v.Says, strings.Join(v.Doubts, "; "), "nothing was measured"))
		asks := plain(cmp.Or(v.Experiment.Asks, v.Experiment.Name))
		i := slices.IndexFunc(out, func(q question) bool { return q.Asks == "" && q.about(v, says) })
		switch {
		case i >= 0 && strings.HasPrefix(out[i].Says, plain(v.Experiment.X)+": "):
			out[i] = question{asks, says} // the row's words for the same thing
		case i >= 0:
			out[i].Asks = asks
		case !s.bracketed(v):
			out = append(out, question{asks, says})
		}
	}
	return out
}

// about reports whether a question of the report's list is a verdict's: one repeats
// the other, or gives the same reason.
func (q question) about(v premortem.Verdict, says string) bool {
	return strings.Contains(q.Says, says) || strings.Contains(says, q.Says) ||
		slices.ContainsFunc(v.Doubts, func(d string) bool { return d != "" && strings.Contains(q.Says, plain(d)) })
}

// bracketed reports whether the X of a verdict has an answer on both sides of it.
func (s *story) bracketed(v premortem.Verdict) bool {
	e := v.Experiment
	return e.Fault == "" && e.Tried == "" && slices.ContainsFunc(s.Headroom, func(h premortem.Headroom) bool {
		return e.X != "" && h.X == e.X && h.Answer != premortem.Unknown && h.Holds > 0
	})
}

// numerals are the numbers of a sentence, not those of a name.
var numerals = regexp.MustCompile(`(^|[ (])[0-9][0-9.,]*`)

// doubts lists what weakens an answer that was given, and what weakens them all.
// What several trials say in the same words is said once, with the numbers of the
// first.
func (s *story) doubts() []question {
	var out []question
	var trials [][]string // that say each
	seen := map[string]int{}
	add := func(asks, says string) {
		key := numerals.ReplaceAllString(says, "${1}#")
		i, ok := seen[key]
		if !ok {
			i = len(out)
			seen[key] = i
			out, trials = append(out, question{asks, says}), append(trials, nil)
		}
		if !slices.Contains(trials[i], asks) {
			trials[i] = append(trials[i], asks)
		}
	}
	for _, v := range s.Verdicts {
		for _, d := range v.Doubts {
			if v.Answer != premortem.Unknown {
				add(plain(v.Experiment.Name), plain(d))
			}
		}
	}
	for i := range out {
		if n := len(trials[i]) - 1; n > 0 {
			out[i].Asks += " and " + counted(n, "more trial", "more trials")
		}
	}
	for _, d := range s.Doubts {
		add("", plain(d))
	}
	return out
}

// text is a doubt in one line.
func (q question) text() string { return strings.TrimPrefix(q.Asks+": "+q.Says, ": ") }

// answer is the report in one sentence, and what stands behind it in a few more.
func (s *story) answer() (says, more string) {
	var first *premortem.Headroom
	for i := range s.Headroom {
		h := &s.Headroom[i]
		if h.Answer == premortem.Fails && (first == nil || boundary(*h) < boundary(*first)) {
			first = h
		}
	}
	if first == nil {
		return s.answerWithoutBreak()
	}
	says = s.firstBreak(first)
	var out []string
	cause := s.Finding(first.Finding)
	if cause != nil {
		out = append(out, upper(stop(plain(cause.Says))))
	}
	if others := s.otherLimits(first); others != "" {
		out = append(out, others)
	}
	if cause != nil && cause.Fix.Proof != nil && cause.Fix.Proof.Worked {
		if then := proofThen(cause.Fix.Proof, " "); then != "" {
			out = append(out, "With the proved fix, "+stop(then))
		}
	}
	return says, strings.Join(out, " ")
}

func (s *story) firstBreak(h *premortem.Headroom) string {
	what := cmp.Or(routeOf(h.First), "an objective")
	at := boundary(*h)
	switch {
	case at == 0:
		return upper(what) + " breaks first as " + plain(h.X) + " grow."
	case h.Holds == 0 && at <= 1:
		return upper(what) + " is already broken at normal load."
	}
	return upper(what) + " breaks first, at " + times(at) + " the " + plain(h.X) + "."
}

// otherLimits says the boundary of every X but one: "Calls break at 1.6×; users
// hold up to 4×."
func (s *story) otherLimits(but *premortem.Headroom) string {
	var out []string
	for i := range s.Headroom {
		h := &s.Headroom[i]
		x := plain(h.X)
		switch {
		case h == but:
		case h.Answer == premortem.Fails && boundary(*h) > 0:
			out = append(out, x+" break at "+times(boundary(*h)))
		case h.Answer == premortem.Fails:
			out = append(out, x+" break")
		case h.Answer == premortem.Holds && h.Holds > 0:
			out = append(out, x+" hold up to "+times(h.Holds))
		case h.Answer == premortem.Holds:
			out = append(out, x+" hold")
		default:
			out = append(out, x+" are unknown")
		}
	}
	return upper(stop(strings.Join(out, "; ")))
}

func (s *story) answerWithoutBreak() (says, more string) {
	t, open := s.tally(), len(s.open())
	limits := s.otherLimits(nil)
	switch {
	case t.Total > 0 && len(s.Headroom) > 0:
		return "No limit was reached, but " + counted(t.Total, "finding stands", "findings stand") + ".",
			strings.TrimSpace(limits + " " + feelings(t))
	case t.Total > 0:
		return counted(t.Total, "thing in this repository is", "things in this repository are") + " set to go wrong in production.", feelings(t)
	case open > 0:
		return "Nothing was found, but " + counted(open, "question stays", "questions stay") + " open.", limits
	case len(s.Headroom) > 0:
		return "Everything that was asked holds.", limits
	}
	if read := wasRead(s.System); read != "" {
		return "Nothing was found that breaks in production.", "Read: " + stop(read)
	}
	return "Nothing was found, and nothing was read.", ""
}

// feelings says the tally as what users feel.
func feelings(t tally) string {
	one := [4]string{"is worth knowing", "makes users wait", "takes users down", "loses or exposes data"}
	many := [4]string{"are worth knowing", "make users wait", "take users down", "lose or expose data"}
	var out []string
	for sev := premortem.Loss; sev >= premortem.Note; sev-- {
		if n := t.By[sev]; n > 0 {
			out = append(out, counted(n, one[sev], many[sev]))
		}
	}
	return stop(strings.Join(out, ", "))
}
