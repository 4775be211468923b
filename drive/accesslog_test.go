package drive

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/premortem/premortem"
)

// One real line of each kind, with the fields that its maker documents.
var logSamples = map[string]string{
	"common":   `127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb HTTP/1.0" 200 2326`,
	"combined": `10.1.2.3 - - [10/Oct/2026:13:55:36 +0000] "GET /api/orders/17?token=` + canary + `&page=2 HTTP/1.1" 200 532 "https://shop.example/?q=\"x\"" "Mozilla/5.0 (X11)"`,
	"nginx":    `10.1.2.3 - - [10/Oct/2026:13:55:36 +0000] "GET /api/orders/17 HTTP/1.1" 200 532 "-" "Mozilla/5.0" "203.0.113.9" 0.120 0.118`,
	"alb":      `h2 2026-07-02T22:23:00.186641Z app/my-lb/50dc6c495c0c9188 10.0.1.252:48160 10.0.0.66:9000 0.000 0.100 0.020 200 200 5 257 "GET https://shop.example:443/api/orders/17?page=2 HTTP/2.0" "curl/7.46.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/t/73e2d6bc24d8a067 "Root=1-58337327-72bd00b0343d75b906739c42" "-" "-" 1 2026-07-02T22:22:48.364000Z "forward" "-" "-" "10.0.0.66:9000" "200" "-" "-" TID_1`,
	"envoy":    `[2026-04-15T20:17:00.310Z] "GET /api/orders/17 HTTP/2" 200 - 154 0 120 100 "10.0.35.28" "okhttp/4" "cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "shop.example" "tcp://10.0.2.1:80"`,
	"istio":    `[2026-04-15T20:17:00.310Z] "GET /api/orders/17 HTTP/1.1" 200 - via_upstream - "-" 0 178 120 4 "-" "okhttp/4" "cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "shop.example" "10.44.1.23:8000" inbound|8000|| 127.0.0.6:44383 10.44.1.23:8000 10.44.1.27:39364 - default`,
	"caddy":    `{"level":"info","ts":1792000536.123,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"127.0.0.1","client_ip":"127.0.0.1","proto":"HTTP/2.0","method":"GET","host":"localhost","uri":"/api/orders/17","headers":{"User-Agent":["Mozilla"],"Authorization":["REDACTED"]}},"user_id":"","duration":0.12,"size":2900,"status":200}`,
	"traefik":  `{"ClientHost":"10.0.0.1","DownstreamStatus":200,"Duration":120000000,"RequestMethod":"GET","RequestPath":"/api/orders/17","StartUTC":"2026-10-10T13:55:36.1Z","time":"2026-10-10T13:55:36Z"}`,
	"pino":     `{"level":30,"time":1792000536123,"req":{"id":1,"method":"GET","url":"/api/orders/17","headers":{"user-agent":"Mozilla","authorization":"` + canary + `"},"remoteAddress":"::1"},"res":{"statusCode":200},"responseTime":120,"msg":"request completed"}`,
	"ecs":      `{"@timestamp":"2026-10-10T13:55:36.123Z","http":{"request":{"method":"GET"},"response":{"status_code":200}},"url":{"path":"/api/orders/17"},"event":{"duration":120000000},"client":{"ip":"10.0.0.1"}}`,
}

func TestEachLogFormatIsUnderstood(t *testing.T) {
	for name, line := range logSamples {
		t.Run(name, func(t *testing.T) {
			tr := mustImport(t, "access.log", line+"\n"+line+"\n")
			got := tr.Journeys[0].Steps[0].Request
			want := "GET /api/orders/:id"
			if name == "common" {
				want = "GET /apache_pb"
			}
			if got.Route != want {
				t.Errorf("route %s, want %s", got.Route, want)
			}
			if tr.Arrivals.Counts[0] != 2 {
				t.Errorf("arrivals %v", tr.Arrivals)
			}
			if strings.Contains(got.Path, "?") != strings.Contains(line, "page=2") {
				t.Errorf("path %s", got.Path)
			}
		})
	}
}

func TestTimesOfALogAreThoseThatItsMakerMeans(t *testing.T) {
	for name, line := range logSamples {
		var e entry
		shape := detectShape([]byte(line))
		if shape == nil {
			t.Fatalf("%s: no shape", name)
		}
		if err := shape.parse([]byte(line), &e); err != nil {
			t.Fatal(name, err)
		}
		took := e.took
		if name == "caddy" {
			unit, _ := unitOf([]float64{e.bare})
			took = time.Duration(e.bare * float64(unit))
		}
		want := 120 * time.Millisecond
		if name == "common" || name == "combined" {
			want = -1
		}
		if (took - want).Abs() > time.Microsecond {
			t.Errorf("%s: took %s, want %s", name, took, want)
		}
	}
	var e entry
	if err := parseALB([]byte(logSamples["alb"]), &e); err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2026, 7, 2, 22, 23, 0, 66641000, time.UTC); !e.at.Equal(want) {
		t.Errorf("the load balancer's request began %s, want %s", e.at, want)
	}
}

// shopLog is a log of visits of known shape: half of them list, item, item; the rest
// are single requests.
func shopLog(w io.Writer, seed uint64, visits int, perSecond float64) map[string]int {
	rng := rand.New(rand.NewPCG(seed, 1))
	count := map[string]int{}
	at := time.Date(2026, 10, 10, 10, 0, 0, 0, time.UTC)
	line := func(user int, at time.Time, method, path, route string, ms float64) {
		count[method+" "+route]++
		fmt.Fprintf(w, "10.0.%d.%d - - [%s] \"%s %s HTTP/1.1\" 200 532 \"-\" \"Mozilla/%d\" %.3f\n", user/250%250, user%250, at.Format("02/Jan/2006:15:04:05 -0700"), method, path, user, ms/1000)
	}
	for u := range visits {
		at = at.Add(time.Duration(rng.ExpFloat64() / perSecond * 1e9))
		switch rng.IntN(4) {
		case 0, 1:
			line(u, at, "GET", "/api/products?page=1", "/api/products", 20+100*rng.Float64())
			line(u, at.Add(2*time.Second), "GET", fmt.Sprintf("/api/products/%d", rng.IntN(1000)), "/api/products/:id", 30)
			line(u, at.Add(5*time.Second), "GET", fmt.Sprintf("/api/products/%d", rng.IntN(1000)), "/api/products/:id", 30)
		case 2:
			line(u, at, "GET", "/api/account", "/api/account", 10)
		case 3:
			line(u, at, "POST", "/api/login", "/api/login", 200)
		}
	}
	return count
}

func TestTheWrittenMixIsTheRecordedMix(t *testing.T) {
	var b bytes.Buffer
	count := shopLog(&b, 1, 8000, 5)
	tr := mustImport(t, "access.log", b.String())
	got, sum := map[string]float64{}, 0.0
	total := 0
	for _, js := range [][]*premortem.Journey{tr.Journeys, tr.Unfinished} {
		for _, j := range js {
			for _, s := range j.Steps {
				if s.Request != nil {
					got[s.Request.Route] += j.Weight
					sum += j.Weight
				}
			}
		}
	}
	for _, n := range count {
		total += n
	}
	for route, n := range count {
		want := float64(n) / float64(total)
		if share := got[route] / sum; math.Abs(share-want) > 0.01*want+1e-9 {
			t.Errorf("%s has a share of %.4f, recorded %.4f", route, share, want)
		}
	}
	if len(got) != len(count) {
		t.Errorf("routes %v, want %v", got, count)
	}
	j := tr.Journeys[0]
	if len(j.Steps) != 5 || j.Steps[1].Think != 2*time.Second || j.Steps[3].Think != 3*time.Second {
		t.Errorf("the commonest visit is %s", bare(tr.Journeys[:1]))
	}
	if len(tr.Unfinished) != 1 || tr.Unfinished[0].Steps[0].Request.Route != "POST /api/login" {
		t.Errorf("unfinished %s", bare(tr.Unfinished))
	}
	if d := tr.Arrivals.Dispersion; d < 0.8 || d > 1.8 {
		t.Errorf("dispersion %.2f of a nearly Poisson log", d)
	}
	if c := tr.Base.Calls.Value; math.Abs(c-float64(total)/1600) > 0.6 {
		t.Errorf("base is %.2f/s, recorded %.2f/s", c, float64(total)/1600)
	}
	if u := tr.Base.Users.Value; u < 8 || u > 17 { // 5/s × half of them × 5 s
		t.Errorf("users %.1f, want 12.5", u)
	}
}

func TestObjectivesAreGuessedFromRecordedTimes(t *testing.T) {
	var b bytes.Buffer
	shopLog(&b, 1, 4000, 5)
	tr := mustImport(t, "access.log", b.String())
	for _, o := range tr.Objectives {
		if want := map[string]float64{"GET /api/products": 0.15, "GET /api/products/:id": 0.05, "GET /api/account": 0.05, "POST /api/login": 0.2}[o.Route]; o.P95.Value != want {
			t.Errorf("%s: p95 %v, want %v", o.Route, o.P95.Value, want)
		}
	}
	if len(tr.Objectives) != 4 || !strings.Contains(tr.YAML(), "# guess") {
		t.Errorf("objectives %v", tr.Objectives)
	}
}

func TestRecordedArrivalsKeepTheirBursts(t *testing.T) {
	a := Arrivals{Every: time.Second, Counts: []uint32{100, 0, 0, 1000, 0, 10}}
	times := a.Times(1, 2, time.Second, 6*time.Second)
	var got [6]int
	for i, at := range times {
		if i > 0 && at < times[i-1] {
			t.Fatal("the arrivals are not in order")
		}
		got[at/time.Second]++
	}
	if got != [6]int{0, 0, 2000, 0, 20, 0} {
		t.Errorf("twice the arrivals from second 1 on are %v", got)
	}
	if again := a.Times(1, 2, time.Second, 6*time.Second); len(again) != len(times) || again[7] != times[7] {
		t.Error("one seed gives two schedules")
	}
	if n := len(a.Times(3, 0.5, 0, 6*time.Second)); n != 555 {
		t.Errorf("half of the arrivals are %d", n)
	}
}

func TestManySiblingsBecomeOneRoute(t *testing.T) {
	var b strings.Builder
	for i := range 4000 {
		path := []string{fmt.Sprintf("/shop/lamp-%c%c/reviews", 'a'+i%20, 'a'+i/20%20), "/shop/cart", "/shop/cart/items", "/about"}[i%4]
		fmt.Fprintf(&b, "10.0.0.1 - u%d [10/Oct/2026:13:55:36 +0000] \"GET %s HTTP/1.1\" 200 12\n", i, path)
	}
	tr := mustImport(t, "access.log", b.String())
	var got []string
	for _, j := range tr.Journeys {
		got = append(got, j.Steps[0].Request.Route)
	}
	if strings.Join(got, ",") != "GET /about,GET /shop/:id/reviews,GET /shop/cart,GET /shop/cart/items" {
		t.Errorf("routes %v", got)
	}
}

func TestWhatIsNoUserIsLeftOutAndCounted(t *testing.T) {
	line := func(path, agent string, status int) string {
		return fmt.Sprintf("10.0.0.1 - - [10/Oct/2026:13:55:36 +0000] \"%s HTTP/1.1\" %d 12 \"-\" \"%s\"\n", path, status, agent)
	}
	tr := mustImport(t, "access.log", line("GET /api/a", "Mozilla", 200)+line("GET /api/a", "Googlebot/2.1", 200)+line("GET /healthz", "kube-probe/1.30", 200)+
		line("GET /x.png", "Mozilla", 200)+line("GET /wp-login.php", "Mozilla", 404)+line(`\x16\x03\x01`, "-", 400)+line("PROPFIND /a", "Mozilla", 200))
	if len(tr.Journeys) != 1 {
		t.Errorf("journeys %s", bare(tr.Journeys))
	}
	var all []string
	for _, n := range tr.Notes {
		all = append(all, n.String())
	}
	for _, want := range []string{"bots", "health checks", "static files", "404", "no HTTP request", "PROPFIND"} {
		if !strings.Contains(strings.Join(all, "\n"), want) {
			t.Errorf("no note says %q: %q", want, all)
		}
	}
}

func TestACompressedLogIsReadAsItIs(t *testing.T) {
	var plain, packed bytes.Buffer
	shopLog(&plain, 3, 500, 5)
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(plain.Bytes())
	_ = z.Close()
	a, b := mustImport(t, "a.log", plain.String()), mustImport(t, "a.log", packed.String())
	if a.YAML() != b.YAML() {
		t.Errorf("a compressed log gives\n%s\nthe log itself\n%s", b.YAML(), a.YAML())
	}
}

// endless makes a log of any length as it is read, with ever new paths and visitors.
type endless struct {
	left int64
	n    int
	buf  []byte
}

func (e *endless) Read(p []byte) (int, error) {
	if len(e.buf) == 0 {
		if e.left <= 0 {
			return 0, io.EOF
		}
		for len(e.buf) < 64<<10 {
			at := time.Date(2026, 10, 10, 10, 0, e.n/500, 0, time.UTC)
			e.buf = fmt.Appendf(e.buf, "10.%d.%d.%d - - [%s] \"GET /shop/%x/p%d/%d HTTP/1.1\" 200 532 \"-\" \"Mozilla/%d\" 0.1%02d\n",
				e.n>>16&255, e.n>>8&255, e.n&255, at.Format("02/Jan/2006:15:04:05 -0700"), e.n*7919%100003, e.n%61, e.n, e.n%9999, e.n%100)
			e.n++
		}
		e.left -= int64(len(e.buf))
	}
	n := copy(p, e.buf)
	e.buf = e.buf[n:]
	return n, nil
}

func TestALongLogIsReadInConstantMemory(t *testing.T) {
	size := int64(256 << 20)
	if testing.Short() {
		size = 24 << 20
	}
	grown := func(size int64) uint64 {
		var most uint64
		src := &endless{left: size}
		peek := readerFunc(func(p []byte) (int, error) {
			if src.n%200_000 < 500 {
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
			return src.Read(p)
		})
		if _, err := Import(context.Background(), Source{Path: "long.log", Reader: peek}); err != nil {
			t.Fatal(err)
		}
		return most
	}
	small, large := grown(size/8), grown(size)
	t.Logf("%d MB take %d MB, %d MB take %d MB", size>>23, small>>20, size>>20, large>>20)
	if !testing.Short() && large > 2*small+(32<<20) {
		t.Errorf("8 times the log takes %d MB instead of %d MB", large>>20, small>>20)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func FuzzAccessLog(f *testing.F) {
	for _, line := range logSamples {
		f.Add([]byte(line + "\n"))
	}
	f.Fuzz(fuzzImport("access.log"))
}

// fuzzImport imports whatever it is given: refusing is fine, and what is accepted must
// survive being written and read.
func fuzzImport(path string) func(t *testing.T, data []byte) {
	return func(t *testing.T, data []byte) {
		tr, err := Import(t.Context(), Source{Path: path, Reader: bytes.NewReader(data)})
		if err != nil {
			return
		}
		if bytes.Contains(data, []byte(canary)) {
			return
		}
		survives(t, tr)
	}
}

func BenchmarkAccessLog(b *testing.B) {
	b.SetBytes(64 << 20)
	for range b.N {
		if _, err := Import(b.Context(), Source{Path: "long.log", Reader: &endless{left: 64 << 20}}); err != nil {
			b.Fatal(err)
		}
	}
}
