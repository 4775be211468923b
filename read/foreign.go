package read

import (
	"path"

	"github.com/premortem/premortem"
)

// Foreign lists deploy formats that exist in the tree and are not evaluated, so
// that a report without findings does not read as health.
var Foreign = add(Reader{
	Name: "foreign",
	Doc: premortem.Doc{
		Title:  "Formats that are not evaluated",
		Why:    "What was not read cannot have been checked.",
		When:   "Serverless and Vercel files, Pulumi, Ansible and Terragrunt.",
		Silent: "Formats that describe no deployment.",
		Fix:    "Render them into plain manifests, or describe the service in premortem.yaml.",
	},
	Wants: func(p string) bool { return foreignFormat(p) != "" },
	Read: func(f File, d *Draft) error {
		d.miss(premortem.Pos{File: f.Path, Line: 1}, foreignFormat(f.Path)+" is not evaluated")
		return nil
	},
})

func foreignFormat(p string) string {
	switch base := path.Base(p); base {
	case "serverless.yml", "serverless.yaml":
		return "a Serverless Framework service"
	case "vercel.json":
		return "a Vercel project"
	case "Pulumi.yaml":
		return "a Pulumi program"
	case "terragrunt.hcl":
		return "Terragrunt"
	case "samconfig.toml":
		return "an AWS SAM application"
	case "schema.prisma":
		return "what code asks through Prisma"
	case "docker-bake.hcl":
		return "a Bake file"
	}
	return ""
}
