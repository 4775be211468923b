package check

import (
	"fmt"

	"github.com/premortem/premortem"
)

// RetryWithoutBackoff finds retries that multiply the load of an outage.
var RetryWithoutBackoff = add(Rule{
	ID:       "retry-without-backoff",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "a failed call is tried again at once",
		Why: `When the other side is down, every request calls it several times without a pause: the
outage gets a multiple of the traffic, and a short fault becomes a long one. Retries at
several layers multiply.`,
		When: `Three attempts or more with no wait, or with a constant wait below 100 ms; or a write is
tried again without an idempotency key. Retries without an end, or more than three
attempts with a wait that does not grow or has no jitter, are a note.`,
		Silent: `The wait grows and has jitter; one retry at most; a client's reconnection with a wait of
its own; how often or how long is not known.`,
		Fix: `Retry in one layer, with a wait that doubles, a random part and an upper bound, and an
idempotency key for what changes something.`,
	},
	Run: retryWithoutBackoff,
})

// shortWait is the wait in seconds below which a retry is as good as at once.
const shortWait = 0.1

func retryWithoutBackoff(sys *premortem.System, report func(premortem.Finding)) {
	for _, r := range sys.Retries {
		if r.Reconnect || !inUse(sys, r.Service) || inBrowser(sys, r.Service) {
			continue
		}
		if r.Attempts.Set() && r.Attempts.Value < 3 && (!r.Writes || r.Keyed) {
			continue
		}
		if r.Bounded && !r.Attempts.Set() && (!r.Writes || r.Keyed) {
			continue // nobody knows how often
		}
		hasty := !r.Backoff && (!r.Wait.Set() || r.Wait.Value < shortWait)
		unkeyed := r.Writes && !r.Keyed
		f := premortem.Finding{
			Node: r.Service, Subject: string(r.To), Certain: hasty && r.Attempts.Set(),
			Evidence: []premortem.Evidence{siteText(attemptsText(r), r.Pos, r.Quote)},
			Fix:      premortem.Fix{Says: "wait before each attempt: twice as long each time, up to a few seconds, with a random part"},
		}
		if f.Subject == "" {
			f.Subject = r.Pos.File
		}
		if r.Attempts.Set() && r.Attempts.Pos != r.Pos {
			f.Evidence = append(f.Evidence, premortem.Evidence{Says: fmt.Sprintf("%d attempts", r.Attempts.Value), Pos: r.Attempts.Pos})
		}
		layers(sys, r, &f)
		switch {
		case hasty && !r.Bounded && (!r.Attempts.Set() || r.Attempts.Value >= 3):
			f.Says = fmt.Sprintf("%s tries %s again %s: an outage there gets %s the traffic", r.Service, tried(r), waitText(r), timesText(r))
			if unkeyed {
				f.Says += ", and what it changes may happen twice"
			}
		case unkeyed && r.To.Kind() == "thirdparty":
			f.Says = fmt.Sprintf("%s repeats a write to %s without an idempotency key: an answer that was lost makes it happen twice", r.Service, tried(r))
			f.Fix.Says = "send the same idempotency key with each attempt"
			f.Severity, f.Certain = premortem.Slow, false
		case !r.Attempts.Set() && !r.Bounded && !r.Backoff:
			f.Says = fmt.Sprintf("%s tries %s again without an end, each time after the same wait", r.Service, tried(r))
			f.Severity = asNote
		case r.Attempts.Value > 3 && (!r.Backoff || !r.Jitter):
			f.Says = fmt.Sprintf("%s tries %s %d times in step: all processes come back at the same moment", r.Service, tried(r), r.Attempts.Value)
			f.Severity = asNote
		default:
			continue
		}
		report(f)
	}
}

func tried(r *premortem.Retry) string {
	if r.To != "" {
		return string(r.To)
	}
	return "a failed call"
}

func attemptsText(r *premortem.Retry) string {
	switch {
	case r.Bounded && !r.Attempts.Set():
		return "tries again"
	case !r.Attempts.Set():
		return "tries again without an end"
	}
	return fmt.Sprintf("tries up to %d times", r.Attempts.Value)
}

func waitText(r *premortem.Retry) string {
	if r.Wait.Set() && r.Wait.Value > 0 {
		return fmt.Sprintf("after only %g ms", r.Wait.Value*1000)
	}
	return "at once"
}

func timesText(r *premortem.Retry) string {
	if !r.Attempts.Set() {
		return "many times"
	}
	return fmt.Sprintf("%d times", r.Attempts.Value)
}

// layers adds every other layer that retries on the same path, and the product.
func layers(sys *premortem.System, r *premortem.Retry, f *premortem.Finding) {
	if !r.Attempts.Set() {
		return
	}
	product, text := r.Attempts.Value, fmt.Sprintf("%d", r.Attempts.Value)
	for _, b := range balancersOf(sys, r.Service) {
		if b.Retries.Set() && b.Retries.Value > 0 {
			product *= b.Retries.Value + 1
			text += fmt.Sprintf(" × %d", b.Retries.Value+1)
			f.Evidence = append(f.Evidence, premortem.Evidence{Says: fmt.Sprintf("%s retries as well: %s", b.Kind, many(b.Retries.Value+1, "attempt")), Pos: b.Retries.Pos})
		}
	}
	for _, c := range sys.Calls {
		if c.Service == r.Service && c.To == r.To && r.To != "" && c.Retries.Set() && c.Retries.Value > 0 && c.Retries.Pos != r.Attempts.Pos {
			product *= c.Retries.Value + 1
			text += fmt.Sprintf(" × %d", c.Retries.Value+1)
			f.Evidence = append(f.Evidence, premortem.Evidence{Says: fmt.Sprintf("the client retries as well: %s", many(c.Retries.Value+1, "attempt")), Pos: c.Retries.Pos})
			break
		}
	}
	if product > r.Attempts.Value {
		f.Evidence[0].Says += fmt.Sprintf("; with the other layers %s = %d calls for one request", text, product)
	}
}
