package check

import (
	"fmt"

	"github.com/premortem/premortem"
)

// BodyLimitChain compares what a server accepts with what the hops in front let through.
var BodyLimitChain = add(Rule{
	ID:       "body-limit-chain",
	Severity: premortem.Down,
	Certain:  true,
	Doc: premortem.Doc{
		Title: "uploads that work locally are refused in production",
		Why: `A hop in front of the service answers 413 to a body that the service itself would accept.
Nothing arrives at the service, so none of its logs says a word.`,
		When: `The code sets how large a body it accepts, and a balancer of production lets less through:
as written, or by its documented default (nginx and ingress-nginx 1 MiB).`,
		Silent: `The code sets no limit of its own (its default is small); each hop allows as much; the
hop's limit is not known.`,
		Fix: `Raise the limit of the hop for that route, or upload directly to the bucket.`,
	},
	Run: bodyLimitChain,
})

func bodyLimitChain(sys *premortem.System, report func(premortem.Finding)) {
	for _, s := range sys.Servers {
		if !s.BodyLimit.Set() || !inUse(sys, s.Service) {
			continue
		}
		for _, b := range balancersOf(sys, s.Service) {
			limit, evidence, ok := bodyLimitOf(b)
			if !ok || limit <= 0 || limit >= s.BodyLimit.Value {
				continue
			}
			f := premortem.Finding{
				Node: s.Service, Subject: b.Kind,
				Says: fmt.Sprintf("%s accepts bodies of %s, but %s answers 413 above %s", s.Service, bytesText(s.BodyLimit.Value), b.Kind, bytesText(limit)),
				Evidence: []premortem.Evidence{
					{Says: "the service accepts " + bytesText(s.BodyLimit.Value), Pos: s.BodyLimit.Pos}, evidence,
				},
				Fix: premortem.Fix{Says: bodyFix(b, s.BodyLimit.Value)},
			}
			report(f)
			break
		}
	}
}

func bodyLimitOf(b *premortem.Balancer) (int64, premortem.Evidence, bool) {
	if b.BodyLimit.Set() {
		return b.BodyLimit.Value, premortem.Evidence{Says: b.Kind + " lets " + bytesText(b.BodyLimit.Value) + " through", Pos: b.BodyLimit.Pos}, true
	}
	k, ok := Default(software(b), b.Version.Value, "body limit")
	n, isNumber := k.Number()
	if !ok || !isNumber || !k.Confirmed {
		return 0, premortem.Evidence{}, false
	}
	return int64(n), premortem.Evidence{
		Says: fmt.Sprintf("%s lets %s through, as nobody sets it (%s)", b.Kind, bytesText(int64(n)), k.cite()), Pos: b.Pos}, true
}

func bodyFix(b *premortem.Balancer, want int64) string {
	mib := (want + 1<<20 - 1) >> 20
	switch software(b) {
	case "ingress-nginx":
		return fmt.Sprintf(`annotate the ingress with nginx.ingress.kubernetes.io/proxy-body-size: "%dm"`, mib)
	case "nginx":
		return fmt.Sprintf("set client_max_body_size %dm for that location", mib)
	case "aws-apigateway-http":
		return "upload to a bucket with a signed address: this gateway's limit cannot be raised"
	}
	return fmt.Sprintf("let %d MiB through for that route", mib)
}

func bytesText(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return count(int(n)) + " bytes"
}
