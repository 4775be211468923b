package premortem

import "strings"

// Doc explains one rule, sign, fault, probe or format. It is the only source of
// `premortem explain`, of the pages in docs and of the help texts in SARIF. Every
// field is plain text in whole sentences, may span lines, and is never empty.
type Doc struct {
	Title  string `json:"title"`  // what goes wrong, in a few words
	Why    string `json:"why"`    // what users feel when it does
	When   string `json:"when"`   // when it speaks
	Silent string `json:"silent"` // when it stays silent although it looks alike
	Fix    string `json:"fix"`    // what to do, imperative
}

// Missing returns the names of the fields that say nothing, nil for a whole Doc.
func (d Doc) Missing() []string {
	var out []string
	for _, f := range []struct{ name, text string }{
		{"Title", d.Title}, {"Why", d.Why}, {"When", d.When}, {"Silent", d.Silent}, {"Fix", d.Fix},
	} {
		if strings.TrimSpace(f.text) == "" {
			out = append(out, f.name)
		}
	}
	return out
}
