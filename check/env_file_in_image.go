package check

import (
	"fmt"
	"path"

	"github.com/premortem/premortem"
)

// EnvFileInImage finds builds that copy .env into the image.
var EnvFileInImage = add(Rule{
	ID:       "env-file-in-image",
	Severity: premortem.Loss,
	Certain:  true,
	Doc: premortem.Doc{
		Title: "the build copies a file of local secrets into the image that runs",
		Why: `Whoever can pull the image can read the file. And the settings of a laptop win in
production wherever the code loads .env.`,
		When: `A COPY of the stage that runs takes a folder that holds a .env file, and no
.dockerignore keeps it out.`,
		Silent: `The ignore file excludes it; only the output of a build stage is copied; the file is
an example or holds no secret.`,
		Fix: `Add .env to .dockerignore.`,
	},
	Run: envFileInImage,
})

func envFileInImage(sys *premortem.System, report func(premortem.Finding)) {
	seen := map[string]bool{}
	for _, b := range sys.Baked {
		at := b.Copy.String() + " " + b.File
		if seen[at] {
			continue // several services run this image
		}
		seen[at] = true
		f := premortem.Finding{
			Node:    b.Service,
			Subject: b.File,
			Says:    fmt.Sprintf("the image of %s contains %s", orImage(b.Service, b.Copy.File), b.File),
			Evidence: []premortem.Evidence{
				{Says: "copies the folder it is in", Pos: b.Copy, Quote: b.Quote},
				{Says: "the file", Pos: premortem.Pos{File: b.File, Line: 1}},
			},
			Fix: premortem.Fix{
				Says: "keep it out with a .dockerignore in " + b.Context, Safe: true,
				Edits: []premortem.Edit{{Pos: premortem.Pos{File: path.Join(b.Context, ".dockerignore"), Line: 1}, New: "**/" + path.Base(b.File)}},
			},
		}
		if b.Ignore.Known() {
			f.Evidence = append(f.Evidence, premortem.Evidence{Says: "lets it through", Pos: b.Ignore})
			f.Fix = premortem.Fix{
				Says: "add it to " + b.Ignore.File, Safe: true,
				Edits: []premortem.Edit{{Pos: premortem.Pos{File: b.Ignore.File, Line: 1}, New: "**/" + path.Base(b.File)}},
			}
		}
		if !holdsSecret(sys, b.File) {
			f.Severity = asNote // settings of a laptop, and no key
		}
		report(f)
	}
}

// holdsSecret reports whether a credential was found in a file.
func holdsSecret(sys *premortem.System, file string) bool {
	for _, c := range sys.Credentials {
		if c.Pos.File == file {
			return true
		}
	}
	return false
}

func orImage(n premortem.Node, file string) string {
	if n == "" {
		return file
	}
	return string(n)
}
