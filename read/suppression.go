package read

import (
	"bytes"
	"path"
	"regexp"
	"strings"

	"github.com/premortem/premortem"
)

// Comments reads inline suppressions from any text file.
var Comments = add(Reader{
	Name: "suppression",
	Doc: premortem.Doc{
		Title:  "Inline suppressions",
		Why:    "A finding that a person has judged should stay quiet, with the reason beside the line.",
		When:   "A comment premortem:ignore RULE -- reason, on the line of the finding or the line above it, in any comment syntax.",
		Silent: "The same words outside of a comment, and in Markdown.",
		Fix:    "Name the rule and give a reason after two dashes.",
	},
	Wants: func(p string) bool {
		switch path.Ext(p) {
		case ".md", ".json", ".lock", ".svg", ".html", ".txt", ".map", ".csv", ".txtar":
			return false
		case ".yaml", ".yml", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx", ".sql", ".tf", ".tfvars", ".hcl", ".env", ".sh", ".conf", ".toml", ".py", ".rb", ".go":
			return true
		}
		return isDockerfile(p) || isDotenv(p)
	},
	Read: func(f File, d *Draft) error {
		if !bytes.Contains(f.Data, []byte("premortem:ignore")) {
			return nil
		}
		for i, line := range strings.Split(string(f.Data), "\n") {
			m := ignoreComment.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			pos := premortem.Pos{File: f.Path, Line: i + 1}
			reason := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(m[2]), "*/")), "-->"))
			if reason == "" {
				d.miss(pos, "a suppression without a reason: write premortem:ignore "+m[1]+" -- reason")
				continue
			}
			until := ""
			if u := untilDate.FindStringSubmatch(reason); u != nil {
				until, reason = u[1], strings.TrimSpace(strings.Replace(reason, u[0], "", 1))
			}
			d.suppressions = append(d.suppressions, premortem.Suppression{Rule: m[1], Reason: reason, Until: until, Pos: pos, Inline: true})
		}
		return nil
	},
})

var (
	ignoreComment = regexp.MustCompile(`(?:#|//|--|/\*|<!--|;|\{/\*)\s*premortem:ignore\s+([a-z0-9][a-z0-9\-]*)(?:\s+--\s*(.*))?`)
	untilDate     = regexp.MustCompile(`\(?until (\d{4}-\d{2}-\d{2})\)?`)
)
