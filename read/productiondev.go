package read

import (
	"regexp"
	"strings"

	"github.com/premortem/premortem"
)

var (
	devRemark  = regexp.MustCompile(`(?i)\b(development|dev environment|local(ly)? (only|testing|setup|use)|for (local|testing)|not (meant |intended |suitable |designed )?for production)\b`)
	prodRemark = regexp.MustCompile(`(?i)\bproduction\b`)
	devTarget  = regexp.MustCompile(`(?i)^(dev|develop|development|local|devcontainer|builder-dev)$`)
	devImage   = regexp.MustCompile(`(?:^|/)(mailhog|mailpit|maildev|mailcatcher|mailtutan|inbucket|localstack|devcontainers?|vsc-|sail-)`)
	devCommand = regexp.MustCompile(`\b(nodemon|ts-node-dev|(npm|yarn|pnpm|bun) (run )?(dev|start:dev|develop)\b|next dev|vite( dev)?$|runserver\b|rails s(erver)?\b.*-b|artisan serve|sleep infinity|tail -f /dev/null|--reload\b|air\b -c|bin/dev\b)`)
	devSetting = regexp.MustCompile(`(?i)^(dev|develop|development|local)$`)
)

// devVariables name the mode that the code runs in.
var devVariables = wordSet(`NODE_ENV APP_ENV RAILS_ENV RACK_ENV FLASK_ENV GO_ENV ENVIRONMENT DJANGO_ENV`)

// forDevelopment reports a Compose file that shows in itself that people develop with
// it: it says so, builds a development stage, runs the sources that are mounted over
// the image, brings a catcher of mail, or runs nothing but stores.
func (g *merger) forDevelopment(d *premortem.Deployment) bool {
	for _, m := range g.d.manifests {
		if m.Path == d.Pos.File && saysDevelopment(headRemarks(m.Data)) {
			return true
		}
	}
	stores := true
	for _, w := range g.workloadsOf(d.Name) {
		stores = stores && w.kind != ""
		if devTarget.MatchString(w.target) || devImage.MatchString(w.Image.Value) ||
			devCommand.MatchString(strings.Join(w.command.Value, " ")) || w.built && mountsItself(w) {
			return true
		}
		for _, s := range w.Provides {
			if devVariables[s.Name] && devSetting.MatchString(s.Value) {
				return true
			}
		}
	}
	return stores // nothing but what a program needs that runs elsewhere
}

// saysDevelopment reports a remark about development that is not one about both.
func saysDevelopment(remark string) bool {
	return devRemark.MatchString(remark) && (!prodRemark.MatchString(remark) || strings.Contains(remark, "not "))
}

// mountsItself reports whether the sources that the image is built from are mounted
// over it.
func mountsItself(w *workload) bool {
	for _, m := range w.mounts {
		if m.from == "." || m.from == w.context || m.from == join(w.context, "src") || m.from == join(w.context, "app") {
			return true
		}
	}
	return false
}

// headRemarks are the comments before the first key of a file.
func headRemarks(data []byte) string {
	var out []string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' {
			break
		}
		out = append(out, strings.TrimLeft(line, "# "))
	}
	return strings.Join(out, " ")
}
