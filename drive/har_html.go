package drive

import (
	"html"
	"regexp"
	"strings"

	"github.com/premortem/premortem"
)

var (
	htmlTag  = regexp.MustCompile(`(?is)<(input|meta)\b[^>]{1,1000}>`)
	htmlAttr = regexp.MustCompile(`(?is)([a-z-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))`)
)

// htmlPlaces finds the values that a page hands to its forms and scripts: inputs with a
// value, and meta elements.
func htmlPlaces(page string) []answerPlace {
	var out []answerPlace
	for _, tag := range htmlTag.FindAllStringSubmatch(page, 2000) {
		attrs := map[string]string{}
		for _, a := range htmlAttr.FindAllStringSubmatch(tag[0], 40) {
			name := strings.ToLower(a[1])
			if _, twice := attrs[name]; !twice {
				attrs[name] = html.UnescapeString(a[2] + a[3] + a[4])
			}
		}
		kind, v := "form", attrs["value"]
		if strings.EqualFold(tag[1], "meta") {
			kind, v = "meta", attrs["content"]
		}
		if name := attrs["name"]; name != "" && v != "" {
			out = append(out, answerPlace{kind + ":" + name, name, v})
		}
	}
	return out
}

// keepable reports whether a session can take a value from this place.
func (p *answerPlace) keepable() bool {
	_, err := parseKeep(premortem.Keep{Name: "x", From: p.from})
	return err == nil
}
