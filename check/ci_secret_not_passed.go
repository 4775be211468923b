package check

import (
	"fmt"
	"slices"

	"github.com/premortem/premortem"
)

// CISecretNotPassed finds pipelines that use what nothing gives them.
var CISecretNotPassed = add(Rule{
	ID:       "ci-secret-not-passed",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "a step of the pipeline uses a variable that its job is not given",
		Why: `The shell writes nothing where the value should be. The deploy goes through with an
empty password, host or tag, and the next start fails.`,
		When: `A step that builds or deploys uses a variable that no env of the workflow, the job or
the step, no input and no earlier step provides; or a reusable workflow of the same
repository requires a secret that its caller does not pass.`,
		Silent: `The step sets the variable itself; the runner gives it; secrets are inherited; the job
uses an environment or another source whose variables cannot be listed.`,
		Fix: `Pass it in the env of the step, from secrets or vars.`,
	},
	Run: ciSecretNotPassed,
})

func ciSecretNotPassed(sys *premortem.System, report func(premortem.Finding)) {
	for _, u := range sys.Pipeline {
		if u.Provided != premortem.Missing || !u.Deploys && u.Callee == "" {
			continue
		}
		f := premortem.Finding{Subject: u.Pos.File + " " + u.Job + " " + u.Name}
		if u.Callee != "" && u.CalleePos == u.Pos {
			f.Severity = asNote // it may be meant for callers that pass everything
			f.Says = fmt.Sprintf("%s uses the secret %s without declaring it, and no caller hands on all of its secrets: it is empty", u.Callee, u.Name)
			f.Evidence = []premortem.Evidence{{Says: "used here", Pos: u.Pos, Quote: u.Quote}}
			f.Fix = premortem.Fix{Says: fmt.Sprintf("declare %s under workflow_call.secrets and pass it, or call with secrets: inherit", u.Name)}
			report(f)
			continue
		}
		if u.Callee != "" {
			f.Certain = true // both ends are written
			f.Says = fmt.Sprintf("job %s calls %s without the secret %s that it requires", u.Job, u.Callee, u.Name)
			f.Evidence = []premortem.Evidence{
				{Says: "the call does not pass it", Pos: u.Pos, Quote: u.Quote},
				{Says: "declared as required", Pos: u.CalleePos},
			}
			f.Fix = premortem.Fix{Says: fmt.Sprintf("pass %s: ${{ secrets.%s }} to the call, or secrets: inherit", u.Name, u.Name)}
			report(f)
			continue
		}
		step := u.Job
		if u.Step != "" {
			step += ", step " + u.Step
		}
		f.Says = fmt.Sprintf("%s is used by %s, and nothing gives it to that step: the command gets an empty text", u.Name, step)
		f.Evidence = []premortem.Evidence{{Says: "used here, with no env that provides it", Pos: u.Pos, Quote: u.Quote}}
		f.Fix = premortem.Fix{Says: fmt.Sprintf("add %s to the env of the step, from secrets or vars", u.Name)}
		if !secretive(u.Name) && !givenElsewhere(sys, u) {
			f.Severity = asNote // a tool may have a default for it
		}
		report(f)
	}
}

// givenElsewhere reports whether another step of the same pipeline is given the
// variable.
func givenElsewhere(sys *premortem.System, u *premortem.PipelineUse) bool {
	return slices.ContainsFunc(sys.Pipeline, func(o *premortem.PipelineUse) bool {
		return o.Name == u.Name && o.Provided == premortem.Provided && o.Pos.File == u.Pos.File
	})
}
