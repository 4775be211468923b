package check

import (
	"fmt"
	"strings"

	"github.com/premortem/premortem"
)

// SecretInPlainText finds credentials that were committed.
var SecretInPlainText = add(Rule{
	ID:       "secret-in-plain-text",
	Severity: premortem.Loss,
	Certain:  true,
	Doc: premortem.Doc{
		Title: "a credential stands in a file of the repository",
		Why: `Everybody who ever cloned the repository has it, and so has each backup and each
fork. To remove the line is not enough: it stays in the history.`,
		When: `A literal in a ConfigMap, a plain environment value, a Compose file, a Terraform
default, a Dockerfile or a pipeline has the form of a provider's key or a private key,
or is a password inside an address that production uses.`,
		Silent: `The value is a reference, a placeholder, sealed or encrypted; it is a public key; only
the name of the variable sounds secret; it stands in a test or an example; it is the
password of a deployment for development, or stands in a Secret that a pipeline fills;
it is a default that everybody knows, which is another finding.`,
		Fix: `Revoke the credential, make a new one, keep that in a secret store and refer to it.`,
	},
	Run: secretInPlainText,
})

func secretInPlainText(sys *premortem.System, report func(premortem.Finding)) {
	for _, c := range sys.Credentials {
		if c.Default != "" {
			continue
		}
		f := premortem.Finding{
			Node:     c.Service,
			Subject:  c.Pos.File + " " + c.Name,
			Says:     fmt.Sprintf("%s holds %s as plain text in %s", c.Name, article(c.What), c.Where),
			Evidence: []premortem.Evidence{{Says: "in git, and in each copy of it", Pos: c.Pos, Quote: c.Quote}},
			Fix:      premortem.Fix{Says: fmt.Sprintf("revoke it, make a new one, and let %s refer to a secret", c.Name)},
		}
		if c.Name == "" {
			f.Says = fmt.Sprintf("%s holds %s as plain text", c.Where, article(c.What))
			f.Fix.Says = "revoke it, make a new one, and refer to a secret"
		}
		if generic(c.What) && (!c.Production || strings.HasPrefix(c.Where, "secret ")) {
			continue // a password of a laptop, or what a pipeline fills into a Secret
		}
		if !c.Production || perhapsLaptop(sys) {
			f.Severity = asNote // it opens something, but perhaps nothing of production
		}
		report(f)
	}
}

// generic reports a credential that its own form does not give away.
func generic(what string) bool {
	switch what {
	case "password in an address", "password", "token", "secret", "key":
		return true
	}
	return false
}

// article puts "a" or "an" before a noun.
func article(noun string) string {
	if noun == "" {
		return "a credential"
	}
	switch noun[0] {
	case 'A', 'E', 'I', 'O', 'a', 'e', 'i', 'o':
		return "an " + noun
	}
	return "a " + noun
}
