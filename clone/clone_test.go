package clone

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/premortem/premortem"
)

// app says what it sees of its environment and of the world outside.
const app = `
const http = require('node:http'), net = require('node:net');
if (!process.env.NEEDED) { console.error('NEEDED is not set'); process.exit(7); }
http.createServer((req, res) => {
  if (req.url === '/healthz') return res.end('ok');
  if (req.url === '/env') return res.end(JSON.stringify(process.env));
  if (req.url === '/busy') { const t = Date.now(); while (Date.now() - t < 300); return res.end(); }
  const [host, port] = req.url.slice(1).split(':');
  const s = net.connect({ host, port: Number(port) });
  s.on('connect', () => { s.destroy(); res.end('connected'); });
  s.on('error', (e) => res.end(e.code));
}).listen(process.env.PORT, '127.0.0.1', () => console.log('listening'));
`

// small is a system of one service without stores.
func small(t *testing.T) (*premortem.System, Options) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "app.js"), []byte(app), 0o644); err != nil {
		t.Fatal(err)
	}
	at := func(s string) premortem.Setting[string] { return premortem.At(s, "compose.yaml", 3) }
	return &premortem.System{
		Name: "small", Production: "compose.yaml",
		Deployments: []*premortem.Deployment{{Name: "compose.yaml", Kind: "compose"}},
		Services: []*premortem.Service{{
			Deployment: "compose.yaml", Node: "service/app", Dir: ".", Health: at("/healthz"),
			Command:  premortem.At([]string{"node", "app.js"}, "compose.yaml", 2),
			Replicas: premortem.At(2, "compose.yaml", 4),
			Provides: []premortem.EnvSet{
				{Name: "MODE", Plain: true, Value: "production", Pos: premortem.Pos{File: "compose.yaml", Line: 5}},
				{Name: "TOKEN", Pos: premortem.Pos{File: ".env", Line: 1}},
				{Name: "API_URL", Value: "https://api.vendor.example/v1", Pos: premortem.Pos{File: "compose.yaml", Line: 6}},
			},
		}},
		Env: []*premortem.EnvVar{
			{Service: "service/app", Name: "PORT", Class: premortem.EnvUse, Reads: []premortem.EnvRead{{Pos: premortem.Pos{File: "app.js", Line: 12}}}},
			{Service: "service/app", Name: "NEEDED", Class: premortem.EnvBoot, Reads: []premortem.EnvRead{{Pos: premortem.Pos{File: "app.js", Line: 3}}}},
		},
	}, Options{Dir: dir, State: filepath.Join(dir, ".premortem"), Seed: 1}
}

func get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestUnitsGetOnlyWhatTheCloneMade(t *testing.T) {
	sys, o := small(t)
	t.Setenv("OUR_OWN_SECRET", "must not be inherited")
	c, err := Start(t.Context(), sys, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	if len(c.Units()) != min(2, cores()) {
		t.Errorf("%d units run, want %d", len(c.Units()), min(2, cores()))
	}
	url := c.URLs()["service/app"]
	var env map[string]string
	if err := json.Unmarshal([]byte(get(t, url+"/env")), &env); err != nil {
		t.Fatal(err)
	}
	if env["MODE"] != "production" {
		t.Errorf("MODE is %q, want production's own value", env["MODE"])
	}
	for _, name := range []string{"TOKEN", "NEEDED"} {
		if !strings.HasPrefix(env[name], "rehearsal_") {
			t.Errorf("%s is %q, want a stand-in", name, env[name])
		}
	}
	if !strings.HasPrefix(env["API_URL"], "http://127.0.0.1:") {
		t.Errorf("API_URL is %q, want an address of the clone", env["API_URL"])
	}
	for name := range env {
		switch name {
		case "MODE", "TOKEN", "NEEDED", "API_URL", "PORT", "PATH", "HOME", "TMPDIR", "LANG", "NODE_OPTIONS", markVariable:
		default:
			t.Errorf("the unit's environment holds %s", name)
		}
	}
	if got := get(t, url+"/192.0.2.1:443"); got != "ECONNREFUSED" {
		t.Errorf("a connection to the outside ends with %q, want ECONNREFUSED", got)
	}
	if got := get(t, url+"/canary.vendor.example:443"); got != "ECONNREFUSED" {
		t.Errorf("a connection to a name outside ends with %q, want ECONNREFUSED", got)
	}
	var refused []string
	for _, u := range c.Units() {
		refused = append(refused, u.Refused()...)
	}
	if s := strings.Join(refused, " "); !strings.Contains(s, "192.0.2.1:443") || !strings.Contains(s, "canary.vendor.example:443") {
		t.Errorf("refused addresses are %v, want both", refused)
	}
}

func TestTryBootShowsWhatAMissingVariableDoes(t *testing.T) {
	sys, o := small(t)
	c, err := Start(t.Context(), sys, o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b, ok, err := c.TryBoot(t.Context(), "service/app", "NEEDED")
	if err != nil || !ok {
		t.Fatalf("tried %v, %v", ok, err)
	}
	if b.Healthy || b.Exit != "exit status 7" || len(b.Lines) == 0 || b.Lines[0] != "NEEDED is not set" {
		t.Errorf("without NEEDED: %+v; want exit status 7 with its last words", b)
	}
	if b, _, err = c.TryBoot(t.Context(), "service/app", "TOKEN"); err != nil || !b.Healthy {
		t.Errorf("without TOKEN: %+v, %v; want it healthy", b, err)
	}
}

func TestRestartPutsValuesOverTheEnvironmentAndCloseLeavesNothing(t *testing.T) {
	sys, o := small(t)
	c, err := Start(t.Context(), sys, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Restart(t.Context(), map[premortem.Node]map[string]string{"service/app": {"MODE": "other"}}); err != nil {
		t.Fatal(err)
	}
	if got := get(t, c.URLs()["service/app"]+"/env"); !strings.Contains(got, `"MODE":"other"`) {
		t.Errorf("the environment after the restart is %s", got)
	}
	addr, scratch, pids := c.Edges()[0].Addr(), c.scratch, []int{}
	for _, u := range c.Units() {
		pids = append(pids, u.Pid())
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if born(pid) != "" {
			t.Errorf("process %d outlives Close", pid)
		}
	}
	if conn, err := net.Dial("tcp", addr); err == nil {
		conn.Close()
		t.Error("the edge outlives Close")
	}
	if _, err := os.Stat(scratch); err == nil {
		t.Error("the temporary folder outlives Close")
	}
	if err := c.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

func TestAFixedPortThatIsTakenIsNamed(t *testing.T) {
	sys, o := small(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	sys.Env = sys.Env[1:] // the code does not ask for PORT
	sys.Services[0].Ports = []premortem.Setting[int]{premortem.At(l.Addr().(*net.TCPAddr).Port, "compose.yaml", 7)}
	_, err = Start(t.Context(), sys, o)
	if err == nil || !strings.Contains(err.Error(), "is in use") || !strings.Contains(err.Error(), "compose.yaml:7") {
		t.Errorf("got %v, want the port and its line", err)
	}
	if _, err := os.Stat(journalPath(o.State)); err == nil {
		t.Error("a failed start leaves a journal")
	}
}
