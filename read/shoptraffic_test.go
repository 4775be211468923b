package read

import "testing"

func TestShopsTrafficIsRead(t *testing.T) {
	sys := shop(t)
	found := map[string]bool{}
	for _, s := range sys.Servers {
		if s.Service == "service/api" {
			holds(t, s.Pos, "api/src/server.js", "app.listen(port")
			found["server"] = s.Port.Value == 3000 && s.PortEnv == "PORT" && !s.KeepAlive.Set() && len(s.Opaque) == 0 && s.Stops.Set()
		}
	}
	for _, c := range sys.Calls {
		if c.Client == "stripe" {
			holds(t, c.Pos, "api/src/billing.js", "stripe.paymentIntents.create")
			found["call"] = c.To == "thirdparty/stripe" && !c.Timeout.Set() && c.Opaque == "" && !c.Script && c.Keyed
		}
	}
	for _, r := range sys.Retries {
		holds(t, r.Pos, "api/src/billing.js", "for (let attempt = 1")
		found["retry"] = r.Attempts.Value == 5 && !r.Wait.Set() && !r.Backoff && r.To == "thirdparty/stripe"
	}
	for _, x := range sys.Transactions {
		holds(t, x.Pos, "api/src/orders.js", "sequelize.transaction(")
		if found["transaction"] = len(x.Outside) == 2 && x.Writes; found["transaction"] {
			holds(t, x.Outside[0].Pos, "api/src/orders.js", "await charge(")
			holds(t, x.Outside[1].Pos, "api/src/billing.js", "stripe.paymentIntents.create")
		}
	}
	routed := map[string]bool{}
	for _, l := range sys.Logs {
		if l.Route {
			routed[l.Message] = true
		}
		for _, leak := range l.Leaks {
			holds(t, l.Pos, "api/src/auth.js", "log.info({ session: token }")
			found["leak"] = leak.What == "the session token"
		}
	}
	for _, m := range []string{"session opened", "request", "order placed", "charge failed, trying again", "request failed"} {
		if !routed[m] {
			t.Errorf("the log line %q is not on a request's path", m)
		}
	}
	if routed["listening"] || routed["stopping"] {
		t.Error("start and stop are on a request's path")
	}
	for _, what := range []string{"server", "call", "retry", "transaction", "leak"} {
		if !found[what] {
			t.Errorf("the shop's %s is not read as it is written", what)
		}
	}
}
