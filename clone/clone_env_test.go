package clone

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/premortem/premortem"
)

func environment(t *testing.T, c *Clone) map[string]string {
	t.Helper()
	var env map[string]string
	if err := json.Unmarshal([]byte(get(t, c.URLs()["service/app"]+"/env")), &env); err != nil {
		t.Fatal(err)
	}
	return env
}

func TestProductionNeverReplacesWhatGuardsAUnit(t *testing.T) {
	sys, o := small(t)
	tmp := filepath.Join(t.TempDir(), `my "own" tmp`)
	if err := os.MkdirAll(tmp, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", tmp)
	s := sys.Services[0]
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LD_PRELOAD", "LD_LIBRARY_PATH", markVariable} {
		s.Provides = append(s.Provides, premortem.EnvSet{Name: name, Plain: true, Value: "/production"})
	}
	s.Provides = append(s.Provides, premortem.EnvSet{Name: "NODE_OPTIONS", Plain: true, Value: "--max-old-space-size=64"})
	sys.Env = append(sys.Env, &premortem.EnvVar{Service: s.Node, Name: "LD_AUDIT", Class: premortem.EnvBoot, Reads: []premortem.EnvRead{{}}})
	s.Command.Value = []string{"tool"}
	write(t, filepath.Join(o.Dir, "node_modules", ".bin", "tool"), "#!/bin/sh\nexec node app.js\n", 0o755)
	c := begin(t, sys, o)
	env := environment(t, c)
	for name, value := range env {
		if strings.HasPrefix(name, "LD_") || value == "/production" {
			t.Errorf("%s is %q", name, value)
		}
	}
	if !strings.HasPrefix(env["NODE_OPTIONS"], "--require=") || !strings.HasSuffix(env["NODE_OPTIONS"], " --max-old-space-size=64") {
		t.Errorf("NODE_OPTIONS is %q; want ours, then production's", env["NODE_OPTIONS"])
	}
	if got := get(t, c.URLs()["service/app"]+"/192.0.2.1:443"); got != "ECONNREFUSED" {
		t.Errorf("a connection to the outside ends with %q", got)
	}
	for _, n := range c.Notes {
		if strings.Contains(n, "preload") {
			t.Errorf("doubt without reason: %s", n)
		}
	}
}

func TestASecretNodeOptionsGetsNoStandIn(t *testing.T) {
	sys, o := small(t)
	sys.Services[0].Provides = append(sys.Services[0].Provides, premortem.EnvSet{Name: "NODE_OPTIONS"})
	c := begin(t, sys, o)
	if got := environment(t, c)["NODE_OPTIONS"]; strings.Contains(got, "rehearsal_") {
		t.Errorf("NODE_OPTIONS is %q", got)
	}
}

func TestAddressesWithoutASchemeLeadNowhereElse(t *testing.T) {
	sys, o := small(t)
	s := sys.Services[0]
	keep := map[string]string{
		"MAIL_FROM": "shop@vendor.example", "APP_VERSION": "1.2.3.4", "RELEASE": "1.2.3", "CONFIG_FILE": "app.json", "ACCEPT": "text/html",
		"TZ": "Europe/Berlin", "BUNDLE": "com.example.app", "LISTEN_ADDR": "0.0.0.0:8080", "HOST": "0.0.0.0", "METRICS_ADDR": "127.0.0.1:9",
		"IMAGE": "node:18", "RATIO": "16:9", "LIST": "a,b,c", "BASE_URL": "/shop", "USE_SERVER": "true", "LOG_LEVEL": "info", "BIND_HOST": "app.example.com",
	}
	swap := map[string]string{
		"SMTP_HOST": "smtp.sendgrid.net", "KAFKA_BROKERS": "k1:9092,k2:9092", "STATSD": "10.2.3.4:8125", "PEER": "10.2.3.4",
		"SEARCH_ENDPOINT": "search.vendor.example/v1", "LEDGER_ADDR": "ledger", "UPSTREAM": "api.vendor.example:443", "AMQP_URL": "amqp://mq.vendor.example:5672/shop",
	}
	for _, vars := range []map[string]string{keep, swap, {"SMTP_PORT": "587"}} {
		for name, value := range vars {
			s.Provides = append(s.Provides, premortem.EnvSet{Name: name, Plain: !strings.Contains(value, "://"), Value: value})
		}
	}
	c := begin(t, sys, o)
	env := environment(t, c)
	for name, want := range keep {
		if env[name] != want {
			t.Errorf("%s is %q, want it untouched: %q", name, env[name], want)
		}
	}
	for name := range swap {
		if !strings.Contains(env[name], "127.0.0.1") {
			t.Errorf("%s is %q, want an address of the clone", name, env[name])
		}
		found := false
		for _, p := range c.Parity {
			found = found || p.What == "address "+name && p.Standing == "not modelled"
		}
		if !found {
			t.Errorf("%s: no line in the parity ledger", name)
		}
	}
	if env["SMTP_HOST"] != "127.0.0.1" || env["SMTP_HOST"]+":"+env["SMTP_PORT"] != c.Edge("service/app", "thirdparty/smtp.sendgrid.net").Addr() {
		t.Errorf("SMTP is at %s:%s, want its edge", env["SMTP_HOST"], env["SMTP_PORT"])
	}
	if strings.Count(env["KAFKA_BROKERS"], "127.0.0.1:") != 2 {
		t.Errorf("KAFKA_BROKERS is %q", env["KAFKA_BROKERS"])
	}
	if !strings.HasPrefix(env["AMQP_URL"], "amqp://127.0.0.1:") || !strings.HasSuffix(env["AMQP_URL"], "/shop") {
		t.Errorf("AMQP_URL is %q", env["AMQP_URL"])
	}
}

func TestCallsBetweenServicesAreNotCountedAsUsers(t *testing.T) {
	sys, o := small(t)
	caller := *sys.Services[0]
	caller.Node, caller.Command.Value = "service/front", []string{"node", "front.js"}
	caller.Provides = []premortem.EnvSet{{Name: "APP_URL", Value: "http://app:3000/"}, {Name: "APP_ADDR", Plain: true, Value: "app:3000"}}
	sys.Services = append(sys.Services, &caller)
	sys.Env = append(sys.Env, &premortem.EnvVar{Service: caller.Node, Name: "PORT", Class: premortem.EnvUse, Reads: []premortem.EnvRead{{}}})
	write(t, filepath.Join(o.Dir, "front.js"), `
const http = require('node:http');
const addrs = [process.env.APP_URL + 'healthz', 'http://' + process.env.APP_ADDR + '/healthz'];
http.createServer(async (req, res) => {
  if (req.url === '/healthz') return res.end('ok');
  const said = [];
  for (const a of addrs) said.push(await (await fetch(a)).text());
  res.end(said.join(' '));
}).listen(process.env.PORT, '127.0.0.1');
`, 0o644)
	c := begin(t, sys, o)
	if got := get(t, c.URLs()["service/front"]+"/"); got != "ok ok" {
		t.Fatalf("the services said %q", got)
	}
	inner, users := c.Edge("service/front", "service/app"), c.Edge(Users, "service/app")
	if inner == nil {
		t.Fatal("no edge between the services")
	}
	seen := 0
	until(t, "the calls are tallied", func() bool { seen += calls(inner); return seen == 2 })
	if n := calls(users); n != 0 {
		t.Errorf("%d calls of the users, who made none", n)
	}
}

func TestNothingLeavesThisMachineThroughNode(t *testing.T) {
	sys, o := small(t)
	write(t, filepath.Join(o.Dir, "app.js"), `
const dgram = require('node:dgram'), dns = require('node:dns'), net = require('node:net'), cp = require('node:child_process'), util = require('node:util');
if (process.argv[2] === 'child') { process.on('message', () => process.disconnect()); setTimeout(() => process.send('mine'), 700); return; }
const outcome = (f) => new Promise((done) => { try { f((e) => done(e ? e.code : 'ok')); } catch (e) { done('threw ' + e.code); } });
async function look() {
  const out = {};
  const u = dgram.createSocket('udp4');
  out.udp = await outcome((d) => u.send('x', 53, '192.0.2.9', d));
  out.udpRange = await outcome((d) => u.send(Buffer.from('xyz'), 0, 3, 53, '192.0.2.8', d));
  out.udpLocal = await outcome((d) => u.send('x', 9, '127.0.0.1', d));
  u.close();
  out.lookup = await outcome((d) => dns.lookup('canary.vendor.example', d));
  out.lookupLocal = await outcome((d) => dns.lookup('localhost', d));
  out.promisified = typeof (await util.promisify(dns.lookup)('localhost')).address;
  out.resolve = await outcome((d) => dns.resolve4('canary.vendor.example', d));
  out.promise = await dns.promises.resolveMx('canary.vendor.example').then(() => 'ok', (e) => e.code);
  out.trick = await outcome((d) => net.connect(80, '127.evil.example').on('error', d));
  const heard = [];
  const child = cp.fork(__filename, ['child']);
  await new Promise((done) => child.on('message', (m) => { heard.push(m); if (m === 'mine') child.send('bye'); }).on('exit', done));
  out.fork = heard;
  return out;
}
require('node:http').createServer(async (req, res) => res.end(req.url === '/look' ? JSON.stringify(await look()) : 'ok')).listen(process.env.PORT, '127.0.0.1');
`, 0o644)
	c := begin(t, sys, o)
	got := get(t, c.URLs()["service/app"]+"/look")
	want := `{"udp":"ok","udpRange":"ok","udpLocal":"ok","lookup":"ENOTFOUND","lookupLocal":"ok","promisified":"string",` +
		`"resolve":"ENOTFOUND","promise":"ENOTFOUND","trick":"ECONNREFUSED","fork":["mine"]}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	refused := ""
	for _, u := range c.Units() {
		refused += strings.Join(u.Refused(), " ") + " "
	}
	for _, at := range []string{"192.0.2.9:53", "192.0.2.8:53", "canary.vendor.example", "127.evil.example:80"} {
		if !strings.Contains(refused, at) {
			t.Errorf("refused are %s; want %s among them", refused, at)
		}
	}
}

func TestAUnitWithoutNodeIsADoubt(t *testing.T) {
	sys, o := small(t)
	sys.Services[0].Replicas.Value = 1
	sys.Services[0].Command.Value = []string{"env", "-u", "NODE_OPTIONS", "./serve"}
	write(t, filepath.Join(o.Dir, "serve"), "#!/usr/bin/env -S node\nrequire('./app.js')\n", 0o755)
	c := begin(t, sys, o)
	if s := strings.Join(c.Notes, "\n"); !strings.Contains(s, "units of service/app can reach outside addresses that are written in their code") {
		t.Errorf("notes: %s", s)
	}
}

// calls counts what an edge has tallied since it was last asked.
func calls(e *Edge) (n int) {
	for _, c := range e.Tally.Take() {
		n += int(c.Count)
	}
	return n
}
