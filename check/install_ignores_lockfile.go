package check

import (
	"fmt"
	"path"
	"strings"

	"github.com/premortem/premortem"
)

// InstallIgnoresLockfile finds builds that install something else than what was tested.
var InstallIgnoresLockfile = add(Rule{
	ID:       "install-ignores-lockfile",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "a build installs packages without regard to the lockfile",
		Why: `Production runs versions that nobody tested. A release that breaks, or one that was
taken over, arrives with the next build of the same commit.`,
		When: `The image or a deploying pipeline installs with a command that may choose other
versions than the lockfile (npm install, yarn without --immutable, pnpm with
--no-frozen-lockfile, bundle without frozen), although there is a lockfile; or the
lockfile is not there yet when the command runs.`,
		Silent: `npm ci and its like; tools installed by name and version; there is no lockfile, which
is another finding; pnpm in a pipeline, which is frozen by itself.`,
		Fix: `Copy the lockfile before the install, and use the form that obeys it or fails.`,
	},
	Run: installIgnoresLockfile,
})

func installIgnoresLockfile(sys *premortem.System, report func(premortem.Finding)) {
	seen := map[premortem.Pos]bool{}
	for _, in := range sys.Installs {
		if !in.Lockfile.Set() || in.Frozen && !in.Absent || seen[in.Pos] {
			continue
		}
		seen[in.Pos] = true
		f := premortem.Finding{
			Node:     in.Service,
			Subject:  in.Pos.File + " " + in.Tool,
			Evidence: []premortem.Evidence{{Says: "installs here", Pos: in.Pos, Quote: in.Quote}, {Says: "the lockfile", Pos: in.Lockfile.Pos}},
		}
		lock := path.Base(in.Lockfile.Value)
		switch {
		case in.Absent && in.Ignored.Known():
			f.Says = fmt.Sprintf("the build of %s installs without %s: it is kept out of the build", orImage(in.Service, in.Pos.File), lock)
			f.Evidence = append(f.Evidence, premortem.Evidence{Says: "keeps it out", Pos: in.Ignored})
			f.Fix = premortem.Fix{Says: "take " + lock + " out of " + in.Ignored.File}
		case in.Absent:
			f.Says = fmt.Sprintf("the build of %s installs before %s is copied", orImage(in.Service, in.Pos.File), lock)
			f.Fix = premortem.Fix{Says: "copy " + lock + " before the install"}
		default:
			frozen := frozenForm(in)
			f.Says = fmt.Sprintf("%s may install what fits %s today, not what %s says: where they differ, nothing fails", orImage(in.Service, in.Pos.File), manifestOf(in.Tool), lock)
			f.Fix = premortem.Fix{Says: "use " + frozen.New, Edits: []premortem.Edit{frozen}, Safe: true}
			if frozen.Old == "" {
				f.Fix = premortem.Fix{Says: frozen.New}
			}
		}
		switch {
		case in.CI && in.Tool != "npm", in.Tool == "go":
			f.Severity = asNote
		case in.CI || !in.Absent && keepsLock(in.Tool):
			f.Severity = asNote // a lockfile that fits its manifest is obeyed all the same
		}
		report(f)
	}
}

// keepsLock reports whether the plain install of a tool follows a lockfile that fits
// its manifest, and only rewrites one that does not.
func keepsLock(tool string) bool {
	switch tool {
	case "npm", "yarn", "pnpm", "bundle", "poetry", "uv", "composer", "go":
		return true
	}
	return false
}

func manifestOf(tool string) string {
	switch tool {
	case "npm", "yarn", "pnpm", "bun":
		return "package.json"
	case "bundle":
		return "the Gemfile"
	case "poetry", "uv", "pip":
		return "the requirements"
	case "composer":
		return "composer.json"
	case "go":
		return "go.mod"
	}
	return "the manifest"
}

// frozenForm is the edit to the command that obeys the lockfile; without Old, New
// says it in words.
func frozenForm(in *premortem.Install) premortem.Edit {
	e := premortem.Edit{Pos: in.Pos}
	for _, form := range [][3]string{
		{"npm", "npm install --production", "npm ci --omit=dev"}, {"npm", "npm install --omit=dev", "npm ci --omit=dev"},
		{"npm", "npm install", "npm ci"}, {"npm", "npm i", "npm ci"},
		{"yarn", "yarn install", "yarn install --frozen-lockfile"},
		{"pnpm", "--no-frozen-lockfile", "--frozen-lockfile"}, {"pnpm", "pnpm install", "pnpm install --frozen-lockfile"},
		{"pnpm", "pnpm i", "pnpm install --frozen-lockfile"},
		{"poetry", "poetry lock && poetry install", "poetry install"},
	} {
		_, rest, found := strings.Cut(in.Quote, form[1])
		if in.Tool == form[0] && found && (rest == "" || strings.ContainsAny(rest[:1], " ;&")) {
			e.Old, e.New = form[1], form[2]
			return e
		}
	}
	e.New = "use the form of " + in.Tool + " that fails when the lockfile does not fit"
	return e
}
