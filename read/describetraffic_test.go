package read

import (
	"strings"

	"github.com/premortem/premortem"
)

// describeTraffic writes servers, calls, retries, transactions and logs.
func describeTraffic(p func(string, ...any), s *premortem.System) {
	for _, v := range s.Servers {
		p("server %s %s at %s%s%s%s%s%s%s%s%s%s%s%s%s%s", v.Service, v.Software, v.Pos, opt("version", v.Version), opt("host", v.Host), opt("port", v.Port), word(" port_env=", v.PortEnv),
			opt("keep_alive", v.KeepAlive), opt("headers", v.HeadersTimeout), opt("request", v.RequestTimeout), opt("drain", v.Drain), opt("stops", v.Stops),
			opt("workers", v.Workers), opt("threads", v.Threads), opt("body", v.BodyLimit), word(" opaque=", strings.Join(v.Opaque, ",")))
	}
	for _, v := range s.Calls {
		flags := ""
		if v.Keyed {
			flags += " keyed"
		}
		if v.Script {
			flags += " script"
		}
		made := ""
		if v.Made.Known() {
			made = " made=" + v.Made.String()
		}
		p("call %s %s%s%s at %s%s%s%s%s%s", v.Service, v.Client, word(" to ", string(v.To)), word(" ", v.Method), v.Pos, made, opt("timeout", v.Timeout), word(" opaque: ", v.Opaque), opt("retries", v.Retries), flags)
	}
	for _, v := range s.Retries {
		flags := ""
		for _, f := range []struct {
			on   bool
			name string
		}{{v.Backoff, " backoff"}, {v.Jitter, " jitter"}, {v.Writes, " writes"}, {v.Keyed, " keyed"}, {v.Reconnect, " reconnect"}} {
			if f.on {
				flags += f.name
			}
		}
		p("retry %s%s at %s%s%s%s", v.Service, word(" to ", string(v.To)), v.Pos, opt("attempts", v.Attempts), opt("wait", v.Wait), flags)
	}
	for _, v := range s.Transactions {
		p("transaction %s at %s-%d writes=%v to=%v", v.Service, v.Pos, v.End.Line, v.Writes, v.To)
		for _, o := range v.Outside {
			p("  waits at %s: %s", o.Pos, o.Value)
		}
	}
	for _, v := range s.Logs {
		flags := ""
		if v.Bound {
			flags += " bound"
		}
		if v.Route {
			flags += " route"
		}
		p("log %s %s %s at %s%s%s %q", v.Service, v.Library, v.Level, v.Pos, word(" fields=", strings.Join(v.Fields, ",")), flags, v.Message)
		for _, l := range v.Leaks {
			p("  leak %s from %s: %s", l.What, l.Source, l.Quote)
		}
	}
}
