package drive

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/premortem/premortem"
)

// with changes the second request of the workload below.
func with(change func(r *premortem.Request)) func(*Workload) {
	return func(w *Workload) { change(w.Journeys[0].Steps[1].Request) }
}

func to(u string) func(*Workload) { return func(w *Workload) { w.URLs = local(u) } }

// faults are changes to a workload that works, and what is said about them.
var faults = []struct {
	name   string
	change func(*Workload)
	says   string
	hint   string
}{
	{"no journey", func(w *Workload) { w.Journeys = nil }, "no journey", "journeys:"},
	{"a journey that is nil", func(w *Workload) { w.Journeys[0] = nil }, "nil", ""},
	{"a journey without requests", func(w *Workload) { w.Journeys[0].Steps = w.Journeys[0].Steps[:0] }, "no request", "add a step"},
	{"a negative weight", func(w *Workload) { w.Journeys[0].Weight = -1 }, "weight -1", "at least 0"},
	{"a weight that is no number", func(w *Workload) { w.Journeys[0].Weight = math.NaN() }, "weight NaN", ""},
	{"an empty step", func(w *Workload) { w.Journeys[0].Steps[1] = premortem.Step{} }, "step 2", "think: 2s"},
	{"a step that is both", func(w *Workload) { w.Journeys[0].Steps[1].Think = 1 }, "either a request or a pause", ""},
	{"a negative pause", func(w *Workload) { w.Journeys[0].Steps[1] = premortem.Step{Think: -1} }, "step 2", ""},
	{"no URL for the service", with(func(r *premortem.Request) { r.Service = "service/web" }), `no URL for service "service/web"`, "127.0.0.1"},
	{"a target elsewhere", to("http://example.com"), "not on this machine", "clone"},
	{"an address elsewhere", to("http://192.168.1.1:80"), "not on this machine", ""},
	{"the unspecified address", to("http://0.0.0.0:80"), "not on this machine", ""},
	{"a name that begins like loopback", to("http://127.0.0.1.example.com"), "not on this machine", ""},
	{"credentials hiding the host", to("http://127.0.0.1@example.com/"), "more than an address", ""},
	{"another protocol", to("ftp://127.0.0.1:1"), "neither http nor https", ""},
	{"no scheme", to("127.0.0.1:80"), "not a URL", ""},
	{"no host", to("http:///x"), "names no host", ""},
	{"a query in the base", to("http://127.0.0.1/?x=1"), "more than an address", ""},
	{"a name that nothing keeps", with(func(r *premortem.Request) { r.Path = "/${tokn}" }), "nothing before this step keeps ${tokn}", "${token}?"},
	{"a name unlike any", with(func(r *premortem.Request) { r.Path = "/${session_id}" }), "${session_id}", "keep: {session_id:"},
	{"a name kept only later", func(w *Workload) { w.Journeys[0].Steps[0].Request.Path = "/${token}" }, "step 1", "keep: {token:"},
	{"a reference that is not closed", with(func(r *premortem.Request) { r.Body = "a ${token" }), "is not closed", ""},
	{"a row without a column", with(func(r *premortem.Request) { r.Body = "${rows.users}" }), "names no column", "rows.TABLE.COLUMN"},
	{"a table without rows", with(func(r *premortem.Request) { r.Body = "${rows.none.id}" }), "table none has no rows", "database.rows.none"},
	{"a column that is not there", with(func(r *premortem.Request) { r.Body = "${rows.users.nothing}" }), "row 1 of 10", "migrations"},
	{"a row that is not there", with(func(r *premortem.Request) { r.Body = "${rows.users.short}" }), "row 10 of 10", ""},
	{"rows where there are none", func(w *Workload) {
		w.Rows = nil
		w.Journeys[0].Steps[1].Request.Body = "${rows.users.id}"
	}, "needs rows", "fills the tables"},
	{"a reference in a header", with(func(r *premortem.Request) { r.Headers = []premortem.Header{{Name: "A", Value: "${x}"}} }), "header A", ""},
	{"a path that is not one", with(func(r *premortem.Request) { r.Path = "http://example.com/" }), "does not start with /", ""},
	{"a path with a fragment", with(func(r *premortem.Request) { r.Path = "/#top" }), "fragment", ""},
	{"a method with a space", with(func(r *premortem.Request) { r.Method = "GET /x" }), "not an HTTP method", ""},
	{"no method", with(func(r *premortem.Request) { r.Method = "" }), "not an HTTP method", ""},
	{"a header name with a colon", with(func(r *premortem.Request) { r.Headers = []premortem.Header{{Name: "a:b"}} }), "not a header name", ""},
	{"a header with a line break", with(func(r *premortem.Request) { r.Headers = []premortem.Header{{Name: "a", Value: "b\r\nc: d"}} }), "line break", ""},
	{"a status that is not final", with(func(r *premortem.Request) { r.Expect = 100 }), "expect 100", ""},
	{"a keep that says nothing", with(func(r *premortem.Request) { r.Keep = []premortem.Keep{{Name: "x", From: "y"}} }), "keep x", "$.field"},
}

func TestAWorkloadThatCannotWorkIsRefusedBeforeAnythingIsSent(t *testing.T) {
	ok := func() *premortem.Request { return &premortem.Request{Method: "GET", Path: "/"} }
	for _, c := range faults {
		t.Run(c.name, func(t *testing.T) {
			first := ok()
			first.Keep = []premortem.Keep{{Name: "token", From: "$.token"}}
			w := Workload{
				Journeys: []*premortem.Journey{{Name: "buy", Pos: premortem.Pos{File: "premortem.yaml", Line: 3},
					Steps: []premortem.Step{{Request: first}, {Request: ok(), Pos: premortem.Pos{File: "premortem.yaml", Line: 9}}}}},
				URLs: map[premortem.Node]string{"": "http://127.0.0.1:1"},
				Rows: func(_, column string, row int64) (string, bool) {
					return "x", column != "nothing" && (column != "short" || row < 10)
				},
				RowCount: func(table string) int64 {
					if table == "none" {
						return 0
					}
					return 10
				},
			}
			if err := Validate(w); err != nil {
				t.Fatalf("the workload without the fault is refused: %v", err)
			}
			if strings.Contains(c.says, "service/web") {
				delete(w.URLs, "")
				w.URLs["service/api"] = "http://127.0.0.1:1"
				first.Service = "service/api"
			}
			c.change(&w)
			err := Validate(w)
			e, is := errors.AsType[*premortem.Error](err)
			if !is {
				t.Fatalf("got %v, want a *premortem.Error", err)
			}
			if !strings.Contains(e.Error(), c.says) || !strings.Contains(e.Hint, c.hint) {
				t.Errorf("got %q with hint %q, want %q with %q", e, e.Hint, c.says, c.hint)
			}
			if _, run := Run(t.Context(), w, Load{Calls: 1, For: time.Second}); run == nil || run.Error() != err.Error() {
				t.Errorf("Run says %v, Validate %v", run, err)
			}
		})
	}
}

func TestALoadThatCannotBeOfferedIsRefused(t *testing.T) {
	w := one("/")
	w.URLs = local("http://127.0.0.1:1")
	for _, c := range []struct {
		name string
		load Load
		says string
	}{
		{"neither calls nor users", Load{For: time.Second}, "calls 0 and users 0"},
		{"both", Load{Calls: 1, Users: 1, For: time.Second}, "calls 1 and users 1"},
		{"no time", Load{Calls: 1}, "lasts 0s"},
		{"a negative rate", Load{Calls: -1, For: time.Second}, "-1 is not a rate"},
		{"a rate without end", Load{Calls: math.Inf(1), For: time.Second}, "not a rate"},
		{"a warm-up as long as the load", Load{Calls: 1, For: time.Second, Warm: time.Second}, "warm-up"},
		{"a negative time-out", Load{Calls: 1, For: time.Second, Timeout: -1}, "time-out"},
		{"a highest rate below the rate", Load{Calls: 10, For: time.Second, MaxRate: 5}, "highest rate"},
		{"people who never pause", Load{Users: 10, For: time.Second}, "people without pauses"},
	} {
		_, err := Run(t.Context(), w, c.load)
		if _, is := errors.AsType[*premortem.Error](err); !is || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.says)
		}
	}
}

func TestLoopbackIsAcceptedByAnyOfItsNames(t *testing.T) {
	for _, c := range []struct{ url, addr, host, prefix string }{
		{"http://127.0.0.1:4001", "127.0.0.1:4001", "127.0.0.1:4001", ""},
		{"http://127.9.9.9:80/", "127.9.9.9:80", "127.9.9.9:80", ""},
		{"http://[::1]:8080/base/", "[::1]:8080", "[::1]:8080", "/base"},
		{"http://localhost", "localhost:80", "localhost", ""},
	} {
		got, err := parseTarget(c.url, false)
		if err != nil || got != (target{c.addr, c.host, c.prefix, ""}) {
			t.Errorf("%s: got %+v, %v", c.url, got, err)
		}
	}
	if err := onlyLoopback("tcp", "93.184.216.34:80", nil); err == nil {
		t.Error("a name that resolves elsewhere would be dialled")
	}
}

func TestWeightsDefaultToOneOnlyWhenNoneIsSet(t *testing.T) {
	w, err := weigh([]*premortem.Journey{{}, {}})
	if err != nil || w[0] != 1 || w[1] != 1 {
		t.Errorf("none set: %v, %v", w, err)
	}
	w, err = weigh([]*premortem.Journey{{Weight: 2}, {}})
	if err != nil || w[0] != 2 || w[1] != 0 {
		t.Errorf("one set: %v, %v", w, err)
	}
}

func TestASessionsMeanLengthCountsPausesAndRequests(t *testing.T) {
	j := get("/")
	j.Steps = append(j.Steps, premortem.Step{Think: 3 * time.Second}, j.Steps[0], premortem.Step{Think: time.Second})
	w := Workload{URLs: local("http://127.0.0.1:1"), Journeys: []*premortem.Journey{j, get("/x")}}
	requests, length := w.Session()
	if requests != 1.5 || length != 2*time.Second+75*time.Millisecond {
		t.Errorf("%v requests in %v, want 1.5 in 2.075 s", requests, length)
	}
	if r, l := (Workload{}).Session(); r != 0 || l != 0 {
		t.Errorf("an invalid workload has sessions of %v requests in %v", r, l)
	}
}

func TestARouteIsNamedWithoutValues(t *testing.T) {
	for _, c := range []struct {
		req  premortem.Request
		want string
	}{
		{premortem.Request{Method: "GET", Path: "/o/1?x=2", Route: "GET /o/:id"}, "GET /o/:id"},
		{premortem.Request{Method: "GET", Path: "/o/${rows.orders.id}?x=2"}, "GET /o/${rows.orders.id}"},
	} {
		if got := routeName(&c.req); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
