package drive

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/premortem/premortem"
)

// secured is a server with a certificate, and a client configuration that trusts it.
func secured(t *testing.T, h http.Handler) (url string, conf *tls.Config) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s.URL, &tls.Config{RootCAs: roots}
}

// protoAnswer answers with the protocol that it was asked in.
var protoAnswer = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: "sid", Value: "s1"})
	w.Header().Set("X-Got", r.Header.Get("Cookie"))
	w.Write([]byte(`{"proto":"` + r.Proto + `"}`))
})

func TestTLSAndHTTP2AreSpokenAsTheWorkloadSays(t *testing.T) {
	url, conf := secured(t, protoAnswer)
	plain := httptest.NewUnstartedServer(protoAnswer)
	plain.Config.Protocols = new(http.Protocols)
	plain.Config.Protocols.SetUnencryptedHTTP2(true)
	plain.Start()
	t.Cleanup(plain.Close)
	for _, c := range []struct {
		name, url, proto string
		http2            bool
	}{
		{"HTTP/1.1 over TLS", url, "HTTP/1.1", false},
		{"HTTP/2 over TLS", url, "HTTP/2.0", true},
		{"HTTP/2 with prior knowledge", plain.URL, "HTTP/2.0", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := Workload{Seed: 1, URLs: local(c.url), TLS: conf, HTTP2: c.http2, Journeys: []*premortem.Journey{{Name: "j", Steps: []premortem.Step{
				{Request: &premortem.Request{Method: "GET", Path: "/a?b=c", Keep: []premortem.Keep{{Name: "p", From: "$.proto"}}}},
				{Request: &premortem.Request{Method: "POST", Path: "/b", JSON: true, Body: `{"p":"${p}"}`, Keep: []premortem.Keep{{Name: "c", From: "header:X-Got"}}}},
			}}}}
			for _, l := range []Load{{Calls: 400, For: 600 * time.Millisecond}, {Loop: 4, For: 300 * time.Millisecond}} {
				r, err := Run(t.Context(), w, l)
				if err != nil {
					t.Fatal(err)
				}
				checkAccount(t, r.Load, r.Routes)
				if r.Load.Done == 0 || r.Load.Failed > 0 || r.Routes[0].First.Count() == 0 {
					t.Errorf("%d done, %d failed", r.Load.Done, r.Load.Failed)
				}
			}
			b, p := borrow(), mustCompile(t, w)
			defer b.giveBack()
			client := newClient(t.Context(), p, time.Now(), time.Second, false)
			defer client.closeAll()
			s := newSession(p, p.flows[0], 1)
			for _, r := range s.flow.calls {
				if step, _ := client.step(s, r, b); step.Err != nil {
					t.Fatal(step.Err)
				}
			}
			if s.kept[0] != c.proto || s.kept[1] != "sid=s1" {
				t.Errorf("kept %q", s.kept)
			}
			s.second.close()
		})
	}
}

func mustCompile(t *testing.T, w Workload) *plan {
	t.Helper()
	p, err := compile(w, w.Journeys)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestACertificateThatNobodyTrustsIsATLSError(t *testing.T) {
	var asked atomic.Int64
	url, _ := secured(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	for _, two := range []bool{false, true} {
		w := one("/")
		w.URLs, w.HTTP2 = local(url), two
		err := Once(t.Context(), w, w.Journeys[0], 0, func(s Step) error { return s.Err })
		if err == nil || !strings.HasPrefix(err.Error(), "tls: ") {
			t.Errorf("HTTP/2 %v: %v", two, err)
		}
		r, err := Run(t.Context(), w, Load{Calls: 50, For: 300 * time.Millisecond})
		if err != nil || r.Load.Done > 0 || r.Load.Failed == 0 || r.Routes[0].Kinds["tls"] != r.Load.Failed {
			t.Errorf("HTTP/2 %v: %v: %d done, %d failed", two, err, r.Load.Done, r.Load.Failed)
		}
	}
	if asked.Load() > 0 {
		t.Error("it was asked all the same")
	}
}

func TestOnlyAnOwnerSendsLoadBeyondThisMachine(t *testing.T) {
	w := one("/")
	w.URLs = local("http://192.0.2.1:80")
	if Validate(w) == nil {
		t.Error("another machine is accepted")
	}
	w.Beyond = true
	if err := Validate(w); err != nil {
		t.Error(err)
	}
	w.URLs = local("ftp://192.0.2.1:80")
	if Validate(w) == nil {
		t.Error("another protocol is accepted")
	}
}
