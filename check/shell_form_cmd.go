package check

import (
	"fmt"
	"strings"

	"github.com/premortem/premortem"
)

// ShellFormCmd finds servers whose first process is a shell or a package manager.
var ShellFormCmd = add(Rule{
	ID:       "shell-form-cmd",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "SIGTERM goes to a shell, and the server is killed",
		Why: `Process 1 is a shell that does not pass signals on. The server never hears that it shall
stop: each deploy waits for the whole grace period and then cuts what still runs.`,
		When: `A server or worker starts through a shell that stays process 1 (a command of several
parts, a script without exec). A package manager as process 1 (npm start) is a note:
newer ones pass the signal on, at the price of another process.`,
		Silent: `The command is a list, or begins with exec; an init (tini, dumb-init, init: true) stands in
front; a simple command, which most shells replace themselves by, is a note; jobs.`,
		Fix: `Write the command as a list, or put exec in front of the last one.`,
	},
	Run: shellFormCmd,
})

func shellFormCmd(sys *premortem.System, report func(premortem.Finding)) {
	for _, svc := range production(sys) {
		st := svc.Start
		if !st.Pos.Known() || st.Init || svc.Job || svc.Schedule.Set() || svc.Static || (!st.Shell && st.Script == "") {
			continue
		}
		if k := kindOf(sys, svc.Deployment); k == "package" || k == "platform" {
			continue // no container: the platform's own process manager is process 1
		}
		f := premortem.Finding{
			Node: svc.Node, Subject: svc.Deployment,
			Evidence: []premortem.Evidence{siteText("process 1", st.Pos, st.Quote)},
		}
		switch {
		case st.Shell && !st.Simple:
			f.Says = fmt.Sprintf("%s starts through a shell that keeps SIGTERM to itself: each stop ends in a kill", svc.Node)
			f.Severity = premortem.Slow
			f.Fix.Says = "put exec in front of the last command"
		case st.Shell:
			f.Says = fmt.Sprintf("%s starts through a shell: whether SIGTERM reaches it depends on the shell of the image", svc.Node)
			f.Severity = asNote
			f.Fix.Says = "write the command as a list"
			if list, ok := execForm(st.Quote); ok {
				f.Fix.Edits, f.Fix.Safe = []premortem.Edit{{Pos: st.Pos, Old: st.Quote, New: list}}, true
			}
		default:
			f.Says = fmt.Sprintf("%s is started by %s, which stands between it and SIGTERM", svc.Node, st.Script)
			f.Severity = asNote
			f.Fix.Says = "start the program itself instead of " + st.Script
		}
		report(f)
	}
}

// execForm writes "CMD node server.js" as a list. It answers only where a shell would
// do nothing but split the words.
func execForm(line string) (string, bool) {
	word, rest, ok := strings.Cut(strings.TrimSpace(line), " ")
	if !ok || (!strings.EqualFold(word, "cmd") && !strings.EqualFold(word, "entrypoint")) || strings.ContainsAny(rest, `$'"\&|;<>*?~()[]{}=#`) {
		return "", false
	}
	return word + ` ["` + strings.Join(strings.Fields(rest), `", "`) + `"]`, true
}
