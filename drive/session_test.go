package drive

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/premortem/premortem"
)

// shop answers log-ins with a token and a cookie, and remembers what it was asked.
type shop struct {
	mu   sync.Mutex
	seen []string
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.seen = append(s.seen, fmt.Sprintf("%s %s auth=%s cookie=%s type=%s body=%s", r.Method, r.URL.RequestURI(),
		r.Header.Get("Authorization"), r.Header.Get("Cookie"), r.Header.Get("Content-Type"), body))
	s.mu.Unlock()
	switch r.URL.Path {
	case "/login":
		var in struct{ Email string }
		if err := json.Unmarshal(body, &in); err != nil {
			w.WriteHeader(400)
			return
		}
		w.Header().Set("X-Request-Id", "r 1")
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: "s1", Path: "/", HttpOnly: true, Secure: true})
		http.SetCookie(w, &http.Cookie{Name: "admin", Value: "no", Path: "/admin"})
		json.NewEncoder(w).Encode(map[string]any{"user": map[string]any{"tokens": []any{map[string]any{"value": "t/" + in.Email}}, "id": 42}})
	case "/logout":
		http.SetCookie(w, &http.Cookie{Name: "sid", Path: "/", MaxAge: -1})
	case "/moved":
		http.Redirect(w, r, "/orders", http.StatusFound)
	}
}

func TestASessionKeepsItsRowItsValuesAndItsCookies(t *testing.T) {
	site := &shop{}
	s := httptest.NewServer(site)
	defer s.Close()
	w := Workload{Seed: 1, URLs: local(s.URL + "/"), RowCount: func(string) int64 { return 50 },
		Rows: func(table, column string, row int64) (string, bool) {
			if column == "email" {
				return fmt.Sprintf(`o"n+%d@x.org`, row), true
			}
			return fmt.Sprint(row), true
		}}
	j := &premortem.Journey{Name: "buy", Steps: []premortem.Step{
		{Request: &premortem.Request{Method: "POST", Path: "/login", JSON: true, Body: `{"email":"${rows.users.email}","n":"${rows.users.id}"}`,
			Keep: []premortem.Keep{{Name: "token", From: "$.user.tokens[0].value"}, {Name: "id", From: `$["user"].id`},
				{Name: "sid", From: "cookie:sid"}, {Name: "rid", From: "header:x-request-id"}}}},
		{Think: time.Hour},
		{Request: &premortem.Request{Method: "GET", Path: "/orders/${id}?by=${rows.users.email}&r=${rid}",
			Headers: []premortem.Header{{Name: "Authorization", Value: "Bearer ${token}"}, {Name: "Cookie", Value: "lang=en"}}}},
		{Request: &premortem.Request{Method: "POST", Path: "/form/${rid}", Body: "a=${rows.users.email}",
			Headers: []premortem.Header{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}, {Name: "Content-Length", Value: "7"}}}},
		{Request: &premortem.Request{Method: "POST", Path: "/logout"}},
		{Request: &premortem.Request{Method: "GET", Path: "/admin/ü x"}},
		{Request: &premortem.Request{Method: "GET", Path: "/moved", Expect: 302}},
	}}
	started := time.Now()
	if err := Once(t.Context(), w, j, 7, func(s Step) error { return s.Err }); err != nil {
		t.Fatal(err)
	}
	if time.Since(started) > time.Minute {
		t.Error("pauses were not left out")
	}
	p, err := compile(w, []*premortem.Journey{j})
	if err != nil {
		t.Fatal(err)
	}
	row := fmt.Sprint(p.rowOf(7, &table{hash: hashOf("users"), count: 50}))
	want := []string{
		`POST /login auth= cookie= type=application/json body={"email":"o\"n+` + row + `@x.org","n":"` + row + `"}`,
		`GET /orders/42?by=o%22n%2B` + row + `%40x.org&r=r+1 auth=Bearer t/o"n+` + row + `@x.org cookie=lang=en; sid=s1 type= body=`,
		`POST /form/r%201 auth= cookie=sid=s1 type=application/x-www-form-urlencoded body=a=o%22n%2B` + row + `%40x.org`,
		`POST /logout auth= cookie=sid=s1 type= body=`,
		`GET /admin/%C3%BC%20x auth= cookie=admin=no type= body=`,
		`GET /moved auth= cookie= type= body=`,
	}
	if got := strings.Join(site.seen, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("the server saw\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestASessionEndsWhereItCannotGoOn(t *testing.T) {
	s := httptest.NewServer(&shop{})
	defer s.Close()
	login := func(body, from string) *premortem.Request {
		return &premortem.Request{Method: "POST", Path: "/login", Body: body, Keep: []premortem.Keep{{Name: "token", From: from}}}
	}
	next := &premortem.Request{Method: "GET", Path: "/next/${token}"}
	for _, c := range []struct {
		name string
		req  *premortem.Request
		kind string
	}{
		{"the JSON lacks the field", login("{}", "$.user.token"), "keep token: not in answer"},
		{"the list is shorter", login("{}", "$.user.tokens[1].value"), "keep token: not in answer"},
		{"the header is not there", login("{}", "header:X-Token"), "keep token: not in answer"},
		{"the cookie is not set", login("{}", "cookie:token"), "keep token: not in answer"},
		{"the answer is an error", login("no JSON", "$.user"), "400"},
		{"the status is not the expected one", &premortem.Request{Method: "POST", Path: "/login", Body: "{}", Expect: 201,
			Keep: []premortem.Keep{{Name: "token", From: "$.user"}}}, "expect 201 got 200"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := steps(t, s.URL, c.req, next)
			e, ok := errors.AsType[*premortem.Error](err)
			if !ok || len(got) != 1 || got[0].Err == nil || got[0].Err.Error() != c.kind {
				t.Errorf("%d steps, %v, session %v; want one with %q and an error", len(got), got, err, c.kind)
			} else if !strings.Contains(e.Error(), "step 1 (POST /login)") {
				t.Errorf("error %q does not say where", e)
			}
			w := Workload{URLs: local(s.URL), Journeys: []*premortem.Journey{{Name: "j", Steps: []premortem.Step{{Request: c.req}, {Request: next}}}}}
			r, err := Run(t.Context(), w, Load{Calls: 200, For: 200 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Routes) != 1 || r.Routes[0].Kinds[c.kind] != r.Load.Sent || r.Load.Planned != 0 {
				t.Errorf("routes %+v of %d sent", r.Routes, r.Load.Sent)
			}
			checkAccount(t, r.Load, r.Routes)
		})
	}
}

func TestAFailureThatNobodyNeedsDoesNotEndTheSession(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/broken" {
			w.WriteHeader(503)
		}
	}))
	defer s.Close()
	got, err := steps(t, s.URL, &premortem.Request{Path: "/broken"}, &premortem.Request{Path: "/fine"})
	if err != nil || len(got) != 2 || got[0].Err == nil || got[0].Err.Error() != "503" || got[1].Err != nil {
		t.Errorf("steps %v, error %v", got, err)
	}
	stop := errors.New("seen enough")
	n := 0
	j := &premortem.Journey{Name: "j", Steps: []premortem.Step{{Request: &premortem.Request{Method: "GET", Path: "/"}}, {Request: &premortem.Request{Method: "GET", Path: "/"}}}}
	err = Once(t.Context(), Workload{URLs: local(s.URL)}, j, 1, func(Step) error { n++; return stop })
	if err != stop || n != 1 {
		t.Errorf("error %v after %d steps", err, n)
	}
}

func TestGzipAnswersAreOpenedForAKeep(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", r.Header.Get("Accept-Encoding"))
		w.Write(gzipped(`{"token":"abc"}`))
	}))
	defer s.Close()
	ask := &premortem.Request{Path: "/", Headers: []premortem.Header{{Name: "Accept-Encoding", Value: "gzip"}},
		Keep: []premortem.Keep{{Name: "token", From: "$.token"}}}
	if got, err := steps(t, s.URL, ask, &premortem.Request{Path: "/${token}"}); err != nil || len(got) != 2 {
		t.Errorf("%d steps, %v", len(got), err)
	}
}
