package drive

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/premortem/premortem"
)

// guarded is a shop that refuses whatever a real one refuses: a wrong password, token,
// cookie or nonce, and things of somebody else.
type guarded struct {
	mu    sync.Mutex
	users map[string]string // token → email
	seq   int
	last  string // why it refused last
}

func (g *guarded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	answer := func(v any) { w.Header().Set("Content-Type", "application/json"); _ = json.NewEncoder(w).Encode(v) }
	refuse := func(why string) { g.last = r.URL.Path + ": " + why; http.Error(w, why, http.StatusForbidden) }
	var body map[string]any
	raw, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(raw, &body)
	if r.URL.Path == "/api/login" {
		email, _ := body["email"].(string)
		if body["password"] != "pw-"+canary+email {
			refuse("wrong password")
			return
		}
		g.seq++
		token := fmt.Sprintf("tok%dx%s", g.seq, canary)
		g.users[token] = email
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: "sid-" + token, HttpOnly: true, Path: "/"})
		answer(map[string]any{"token": token, "user": map[string]any{"id": 100 + g.seq}, "csrf": "csrf-" + token})
		return
	}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if g.users[token] == "" {
		refuse("no such token")
		return
	}
	if c, err := r.Cookie("sid"); err != nil || c.Value != "sid-"+token {
		refuse("no cookie")
		return
	}
	if r.Method == "POST" && r.Header.Get("X-Csrf-Token") != "csrf-"+token {
		refuse("no nonce")
		return
	}
	n := len(token)*100 + strings.Index("0123456789", token[3:4])*7 + 1000 // differs from user to user
	order := fmt.Sprintf("0b52a2a8-8f1c-4d43-8d35-%012d", n)
	switch {
	case r.URL.Path == "/api/products" && r.URL.Query().Get("page") == "1":
		answer([]map[string]any{{"id": n, "name": "lamp"}, {"id": n + 1, "name": "chair"}})
	case r.URL.Path == fmt.Sprintf("/api/products/%d", n+1):
		answer(map[string]any{"id": n + 1, "price": 12.5})
	case r.URL.Path == "/api/cart" && fmt.Sprint(body["product_id"]) == fmt.Sprint(n+1):
		answer(map[string]any{"order": map[string]any{"id": order}})
	case r.URL.Path == "/api/orders/"+order+"/pay" && strings.HasPrefix(string(raw), "method=invoice&ref="+order):
		w.WriteHeader(http.StatusCreated)
	default:
		refuse("no such thing")
	}
}

// harOf records the story of one user as a browser would.
func harOf(t *testing.T, base, email string) string {
	t.Helper()
	at := time.Date(2026, 10, 10, 10, 0, 0, 0, time.UTC)
	var entries []map[string]any
	cookies := ""
	ask := func(method, path, body string, headers map[string]string) map[string]any {
		req, _ := http.NewRequest(method, base+path, strings.NewReader(body))
		var hs []map[string]string
		add := func(k, v string) {
			req.Header.Set(k, v)
			hs = append(hs, map[string]string{"name": k, "value": v})
		}
		for k, v := range headers {
			add(k, v)
		}
		if cookies != "" {
			add("Cookie", cookies)
		}
		add("User-Agent", "Mozilla")
		add("sec-fetch-mode", "cors")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode >= 400 {
			t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, text)
		}
		var rs []map[string]string
		for k, v := range res.Header {
			rs = append(rs, map[string]string{"name": k, "value": strings.Join(v, "\n")})
		}
		for _, c := range res.Cookies() {
			cookies = c.Name + "=" + c.Value
		}
		e := map[string]any{"startedDateTime": at.Format(time.RFC3339Nano), "time": 80.0, "_resourceType": "fetch",
			"request":  map[string]any{"method": method, "url": "https://shop.example" + path, "headers": hs},
			"response": map[string]any{"status": res.StatusCode, "headers": rs, "content": map[string]any{"mimeType": res.Header.Get("Content-Type"), "text": string(text)}}}
		if body != "" {
			e["request"].(map[string]any)["postData"] = map[string]any{"mimeType": headers["Content-Type"], "text": body}
		}
		entries = append(entries, e, map[string]any{"startedDateTime": at.Format(time.RFC3339Nano), "time": 5.0, "_resourceType": "image",
			"request": map[string]any{"method": "GET", "url": "https://shop.example/lamp.png"}, "response": map[string]any{"status": 200}},
			map[string]any{"startedDateTime": at.Format(time.RFC3339Nano), "time": 5.0, "_resourceType": "fetch",
				"request": map[string]any{"method": "POST", "url": "https://stats.tracker.example/collect?key=" + canary}, "response": map[string]any{"status": 200}})
		at = at.Add(2*time.Second + 80*time.Millisecond)
		var out map[string]any
		if json.Unmarshal(text, &out) != nil {
			var list []map[string]any
			_ = json.Unmarshal(text, &list)
			out = map[string]any{"list": list}
		}
		return out
	}
	js := map[string]string{"Content-Type": "application/json"}
	in := ask("POST", "/api/login", fmt.Sprintf(`{"email":%q,"password":%q,"remember":true}`, email, "pw-"+canary+email), js)
	auth := map[string]string{"Authorization": "Bearer " + in["token"].(string), "X-Requested-With": "XMLHttpRequest"}
	list := ask("GET", "/api/products?page=1", "", auth)["list"].([]map[string]any)
	id := list[1]["id"].(float64)
	ask("GET", fmt.Sprintf("/api/products/%.0f", id), "", auth)
	auth["X-CSRF-Token"], auth["Content-Type"] = in["csrf"].(string), "application/json"
	order := ask("POST", "/api/cart", fmt.Sprintf(`{"product_id":%.0f,"qty":1}`, id), auth)["order"].(map[string]any)["id"].(string)
	auth["Content-Type"] = "application/x-www-form-urlencoded"
	ask("POST", "/api/orders/"+order+"/pay", "method=invoice&ref="+order+"&card="+url.QueryEscape(canary), auth)
	b, err := json.MarshalIndent(map[string]any{"log": map[string]any{"version": "1.2", "creator": map[string]string{"name": "test"},
		"pages": []any{map[string]any{"title": "https://shop.example/"}}, "entries": entries}}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTwoRecordingsBecomeAJourneyThatAThirdUserCanFollow(t *testing.T) {
	g := &guarded{users: map[string]string{}}
	srv := httptest.NewServer(g)
	defer srv.Close()
	tr := mustImport(t, "ada.har", harOf(t, srv.URL, "ada@shop.example"), "bob.har", harOf(t, srv.URL, "bob@shop.example"))
	if len(tr.Journeys) != 1 {
		t.Fatalf("%d journeys", len(tr.Journeys))
	}
	w := tr.Workload
	w.URLs = map[premortem.Node]string{"": srv.URL}
	w.RowCount = func(string) int64 { return 1 }
	w.Rows = func(table, column string, _ int64) (string, bool) {
		switch table + "." + column {
		case "users.email":
			return "eve@shop.example", true
		case "users.password":
			return "pw-" + canary + "eve@shop.example", true
		case "users.card":
			return "4242", true
		}
		return "", false
	}
	n := 0
	err := Once(t.Context(), w, tr.Journeys[0], 1, func(s Step) error {
		if n++; s.Err != nil || s.Status >= 400 {
			return fmt.Errorf("%s %s: %d %v (%s)", s.Request.Method, s.Request.Path, s.Status, s.Err, g.last)
		}
		return nil
	})
	if err != nil || n != 5 {
		t.Fatalf("%d steps, %v in\n%s", n, err, tr.YAML())
	}
	text := tr.YAML()
	for _, want := range []string{"think: 2s", "other sites left out: stats.tracker.example (5)", "left out: static files", `Authorization: "Bearer ${token}"`, `keep: {`, "p95: 200ms"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestOneRecordingSuggestsWhatTwoProve(t *testing.T) {
	g := &guarded{users: map[string]string{}}
	srv := httptest.NewServer(g)
	defer srv.Close()
	tr := mustImport(t, "ada.har", harOf(t, srv.URL, "ada@shop.example"))
	text := tr.YAML()
	for _, want := range []string{`"Bearer ${token}"`, "${product_id}", "one recording can only suggest", "${rows.users.email}", "${rows.users.password}"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "ada@") {
		t.Errorf("the address of a person was copied:\n%s", text)
	}
}

func TestANonceOfAPageIsKeptFromItsForm(t *testing.T) {
	page := func(nonce string) string {
		return `{"request":{"method":"GET","url":"https://shop.example/login"},"response":{"status":200,"content":{"mimeType":"text/html","text":"<form><input type='hidden' name=\"_csrf\" value=\"` + nonce + `\"></form>"}}},` +
			`{"request":{"method":"POST","url":"https://shop.example/login","postData":{"mimeType":"application/x-www-form-urlencoded","text":"_csrf=` + nonce + `&a=1"}},"response":{"status":302}}`
	}
	har := func(nonce string) string { return `{"log":{"creator":{},"entries":[` + page(nonce) + `]}}` }
	tr := mustImport(t, "a.har", har("1"+canary), "b.har", har("2"+canary))
	if got := tr.Journeys[0].Steps[1].Request.Body; got != "_csrf=${csrf}&a=1" {
		t.Errorf("body %s in\n%s", got, tr.YAML())
	}
	if got := tr.Journeys[0].Steps[0].Request.Keep; len(got) != 1 || got[0].From != "form:_csrf" {
		t.Errorf("keep %v", got)
	}
}

func TestADifferentStoryStandsAlone(t *testing.T) {
	entry := func(path string) string {
		return `{"request":{"method":"GET","url":"https://shop.example` + path + `"},"response":{"status":200}}`
	}
	har := func(paths ...string) string {
		var es []string
		for _, p := range paths {
			es = append(es, entry(p))
		}
		return `{"log":{"creator":{},"entries":[` + strings.Join(es, ",") + `]}}`
	}
	tr := mustImport(t, "a.har", har("/a", "/b", "/c"), "b.har", har("/x", "/y", "/z"))
	if len(tr.Journeys) != 2 || tr.Journeys[0].Name != "a" || tr.Journeys[1].Name != "b" {
		t.Errorf("journeys %s", bare(tr.Journeys))
	}
}

func TestABrokenHARIsRefusedAtItsLine(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"cut off", "{\"log\": {\"creator\": {},\n\"entries\": [\n{\"request\": {\"method\": \"GET\"", "x.har:3: read HAR: the file ends in the middle"},
		{"not JSON", "{\"log\": {\"creator\": {},\n\"entries\": [\n\n}}", "x.har:4: read HAR: invalid character '}'"},
		{"no entries", `{"log": {"creator": {}}}`, "x.har:1: read HAR: it has no log.entries"},
		{"entries of another kind", "{\"log\": {\"creator\": {},\n\"entries\": {}}}", "x.har:2: read HAR: \"[\" expected, not {"},
		{"nothing recorded", `{"log": {"creator": {}, "entries": []}}`, "no request of the application is in it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := importText(t, "x.har", c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestLongTextsOfARecordingAreCutAndNothingElseChanges(t *testing.T) {
	long := strings.Repeat(`é\"\\u00`, maxText/4)
	in := `{"a":"` + long + `","b":"x\u00e9","c":["` + strings.Repeat("y", maxText+100) + `",1]}`
	out, err := io.ReadAll(&textLimit{r: strings.NewReader(in)})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		A, B string
		C    []any
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v in ...%q", err, out[max(0, len(out)-80):])
	}
	if got.B != "xé" || len(got.A) > maxText || len(got.A) < maxText/3 || got.C[1] != 1.0 || len(out) > 3*maxText {
		t.Errorf("b %q, %d bytes of a, %d in all", got.B, len(got.A), len(out))
	}
}

func TestAHARFullOfFilmsIsReadInLittleMemory(t *testing.T) {
	films := 40
	if testing.Short() {
		films = 4
	}
	film := strings.Repeat("A", 8<<20)
	parts := []io.Reader{strings.NewReader(`{"log":{"creator":{},"entries":[{"request":{"method":"GET","url":"https://shop.example/api/a"},"response":{"status":200}}`)}
	for range films {
		parts = append(parts, strings.NewReader(`,{"_resourceType":"media","request":{"method":"GET","url":"https://shop.example/f"},"response":{"status":200,"content":{"text":"`), strings.NewReader(film), strings.NewReader(`"}}}`))
	}
	parts = append(parts, strings.NewReader(`]}}`))
	tr, err := Import(t.Context(), Source{Path: "films.har", Reader: io.MultiReader(parts...)})
	if err != nil || len(tr.Journeys) != 1 {
		t.Fatal(err)
	}
}

func FuzzHAR(f *testing.F) {
	f.Add([]byte(`{"log":{"creator":{},"entries":[{"startedDateTime":"2026-10-10T10:00:00Z","time":10,"request":{"method":"POST","url":"https://shop.example/a/17?x=1","headers":[{"name":"X-A","value":"b"},{"name":"Cookie","value":"sid=1"}],"postData":{"mimeType":"application/json","text":"{\"a\":1.50,\"<<\":[null,\"${x}\"]}"}},"response":{"status":200,"content":{"text":"{\"id\":17}"}}}]}}`))
	f.Add([]byte(`{"log":{"creator":{},"entries":[{"request":{"method":"POST","url":"https://shop.example/a?token=1","postData":{"mimeType":"application/x-www-form-urlencoded","text":"a=1&password=x"}},"response":{"status":302,"headers":[{"name":"Set-Cookie","value":"a=b"}]}}]}}`))
	f.Fuzz(fuzzImport("x.har"))
}
