package report

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/premortem/premortem"
)

// HTML is one self-contained page: no script or style from elsewhere, nothing that
// is fetched. Its policy forbids both, so that text from a repository cannot run.
var HTML = add(Format{
	Name: "html",
	Doc: premortem.Doc{
		Title: "One page to send to the team",
		Why: "The answer, the headroom, latency against load for each route, every finding with its lines, its fix and its " +
			"proof, the parity ledger and how to reproduce the run. It opens from a file, in light and dark, on a phone and on paper.",
		When:   "People who did not run it shall judge it.",
		Silent: "More than 20 findings of one rule are told in one line each, more than 12 plots of one X are counted.",
		Fix:    "premortem rehearse --format html -o report.html",
	},
	Write: writeHTML,
})

//go:embed html
var htmlFiles embed.FS

var (
	pageStyle    = mustFile("html/style.css")
	pageScript   = mustFile("html/page.js")
	pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
		"plain": func(v any) string { return plain(fmt.Sprint(v)) },
		"upper": strings.ToUpper,
		"slug":  slug,
		"list":  func(v ...any) []any { return v },
	}).ParseFS(htmlFiles, "html/*.html"))
	pagePolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src '" +
		digest(pageStyle) + "'; script-src '" + digest(pageScript) + "'"
)

// mustFile panics when the binary was built without its own pages.
func mustFile(name string) string {
	b, err := htmlFiles.ReadFile(name)
	if err != nil {
		panic("report: " + err.Error())
	}
	return string(b)
}

// digest is a hash source of the Content Security Policy, level 3.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func writeHTML(w io.Writer, r *premortem.Report, o Options) error {
	s := tell(r)
	v := newPage(s, o)
	v.CSS, v.JS, v.Policy = template.CSS(pageStyle), template.JS(pageScript), pagePolicy
	var b bytes.Buffer
	if err := pageTemplate.ExecuteTemplate(&b, "page.html", v); err != nil {
		return fmt.Errorf("write report as HTML: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
}
