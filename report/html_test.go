package report

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/premortem/premortem"
)

// between returns what stands between two marks of the page.
func between(t *testing.T, page, from, to string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, from)
	inner, _, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		t.Fatalf("the page has no %s…%s", from, to)
	}
	return inner
}

func TestThePageAllowsItsOwnScriptAndStyleAndNothingElse(t *testing.T) {
	page := render(t, "html", shop(), Options{})
	policy := strings.NewReplacer("&#39;", "'", "&#43;", "+").Replace(between(t, page, `http-equiv="Content-Security-Policy" content="`, `"`))
	for _, part := range []string{between(t, page, "<style>", "</style>"), between(t, page, "<script>", "</script>")} {
		sum := sha256.Sum256([]byte(part))
		if want := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, want) {
			t.Errorf("the policy %s does not hold %s", policy, want)
		}
	}
	if !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("the policy allows what it does not name: %s", policy)
	}
}

// walk calls see for every element of the page.
func walk(t *testing.T, page string, see func(*html.Node)) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			see(n)
		}
	}
}

func attribute(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

func TestThePageNeedsNothingFromOutsideAndRunsNothingFromInside(t *testing.T) {
	for name, make := range fixtures {
		page := render(t, "html", make(), Options{Verbose: true, HTMLPath: hostileText, Docs: map[string]premortem.Doc{hostileText: {Title: hostileText, Why: hostileText}}})
		scripts := 0
		walk(t, page, func(n *html.Node) {
			switch n.Data {
			case "script":
				scripts++
			case "img", "iframe", "object", "embed", "form", "base", "video", "audio":
				t.Errorf("%s: the page has a <%s>", name, n.Data)
			}
			for _, a := range n.Attr {
				switch {
				case strings.HasPrefix(a.Key, "on"):
					t.Errorf("%s: <%s %s> would run text", name, n.Data, a.Key)
				case a.Key == "style":
					t.Errorf("%s: <%s style> is against the page's policy", name, n.Data)
				case a.Key == "src", a.Key == "href" && !strings.HasPrefix(a.Val, "#") && a.Val != "data:,":
					t.Errorf("%s: <%s %s=%q> leaves the page", name, n.Data, a.Key, a.Val)
				}
			}
		})
		if scripts != 1 {
			t.Errorf("%s: %d scripts, want the page's own", name, scripts)
		}
	}
}

func TestThePageCanBeReadWithoutSeeingIt(t *testing.T) {
	for name, make := range fixtures {
		page := render(t, "html", make(), Options{})
		ids, targets := map[string]int{}, []string{}
		level := 0
		walk(t, page, func(n *html.Node) {
			if id, ok := attribute(n, "id"); ok {
				ids[id]++
			}
			if href, ok := attribute(n, "href"); ok && strings.HasPrefix(href, "#") {
				targets = append(targets, href[1:])
			}
			if by, ok := attribute(n, "aria-labelledby"); ok {
				targets = append(targets, by)
			}
			switch n.Data {
			case "svg":
				_, label := attribute(n, "aria-label")
				_, hidden := attribute(n, "aria-hidden")
				if role, _ := attribute(n, "role"); !hidden && !hiddenAbove(n) && (role != "img" || !label) {
					t.Errorf("%s: a drawing without a text", name)
				}
			case "table":
				if !strings.Contains(renderNode(n), "<th scope=\"col\"") && !strings.Contains(renderNode(n), "scope=\"col\"") {
					t.Errorf("%s: a table without headers", name)
				}
			case "h1", "h2", "h3", "h4":
				l := int(n.Data[1] - '0')
				if l > level+1 {
					t.Errorf("%s: a heading of level %d follows one of level %d", name, l, level)
				}
				level = l
			case "html":
				if lang, _ := attribute(n, "lang"); lang == "" {
					t.Errorf("%s: the page does not say its language", name)
				}
			}
		})
		for _, target := range targets {
			if ids[target] != 1 && name != "hostile" { // there, many findings have one key
				t.Errorf("%s: #%s is there %d times", name, target, ids[target])
			}
		}
	}
}

func hiddenAbove(n *html.Node) bool {
	for p := n.Parent; p != nil; p = p.Parent {
		if _, ok := attribute(p, "aria-hidden"); ok {
			return true
		}
	}
	return false
}

func renderNode(n *html.Node) string {
	var b strings.Builder
	if err := html.Render(&b, n); err != nil {
		return ""
	}
	return b.String()
}

func TestAPageStaysSmallHoweverMuchWasMeasured(t *testing.T) {
	r := shop()
	for i := range r.Headroom {
		for j := range r.Headroom[i].Points {
			p := &r.Headroom[i].Points[j]
			for n := range 60 {
				route := p.Routes[n%4]
				route.Route = fmt.Sprintf("GET /api/thing/%02d", n)
				p.Routes = append(p.Routes, route)
			}
		}
	}
	for n := range 100 {
		f := r.Findings[0]
		f.Subject = fmt.Sprint(n)
		r.Findings = append(r.Findings, f)
	}
	for _, r := range []*premortem.Report{shop(), r} {
		if n := len(render(t, "html", r, Options{})); n > 300_000 {
			t.Errorf("the page of %d findings has %d bytes, want at most 300,000", len(r.Findings), n)
		}
	}
}

func TestLabelsOfAnAxisStayApartAndInside(t *testing.T) {
	for decade := -7.0; decade < 4; decade += 0.37 {
		for ratio := 1.0; ratio < 1e7; ratio *= 1.7 {
			lo := math.Pow(10, decade)
			a, b := spread(lo/1.25, lo*ratio*1.25, 4)
			s := scale{a, b, plotBottom, plotTop + 4}
			ticks := s.ticks(timeGrids, 19, seconds)
			checkTicks(t, fmt.Sprintf("%s to %s", seconds(a), seconds(b)), ticks, 19, plotTop, plotBottom)
		}
	}
	for hi := 1.0; hi < 5000; hi *= 1.3 {
		ticks := timesScale(plotLeft, plotRight, hi).ticks(timesGrids, 36, times)
		checkTicks(t, "up to "+times(hi), ticks, 36, plotLeft, plotRight)
	}
}

func checkTicks(t *testing.T, what string, ticks []tick, gap, from, to float64) {
	t.Helper()
	if len(ticks) < 2 && what != "" && !(len(ticks) == 1 && gap == 19) {
		t.Errorf("%s: %d ticks", what, len(ticks))
	}
	var labels []string
	for i, k := range ticks {
		if k.At < from-0.1 || k.At > to+0.1 {
			t.Errorf("%s: %s is outside at %v", what, k.Label, k.At)
		}
		if i > 0 && math.Abs(k.At-ticks[i-1].At) < gap {
			t.Errorf("%s: %s and %s overlap", what, ticks[i-1].Label, k.Label)
		}
		if slices.Contains(labels, k.Label) {
			t.Errorf("%s: %s is there twice", what, k.Label)
		}
		labels = append(labels, k.Label)
	}
}

func TestNoCoordinateIsOutsideItsDrawing(t *testing.T) {
	number := regexp.MustCompile(`-?[0-9.]+`)
	for name, make := range fixtures {
		set := plots(tell(make()))
		for _, g := range append(set.Main, set.More...) {
			for _, p := range g.Plots {
				for _, l := range p.Lines {
					for i, n := range number.FindAllString(l.Path, -1) {
						var v float64
						if _, err := fmt.Sscan(n, &v); err != nil || v < 0 || i%2 == 0 && v > plotRight || i%2 == 1 && v > plotBottom {
							t.Errorf("%s: %s: %s is outside in %s", name, p.Route, n, l.Path)
						}
					}
				}
			}
		}
		if page := render(t, "html", make(), Options{}); strings.Contains(page, "NaN") || strings.Contains(page, "Inf") {
			t.Errorf("%s: the page holds a number that is none", name)
		}
	}
}
