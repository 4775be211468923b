package read

import (
	"regexp"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/premortem/premortem"
)

var (
	listUpdate  = regexp.MustCompile(`\b(?:apt-get|apt)\s+(?:-\S+\s+)*update\b|\bapk\s+(?:-\S+\s+)*update\b|\b(?:yum|dnf)\s+(?:-\S+\s+)*makecache\b`)
	listInstall = regexp.MustCompile(`\b(?:apt-get|apt|yum|dnf)\s+(?:-\S+\s+)*(?:install|upgrade|dist-upgrade|full-upgrade|build-dep)\b|\bapk\s+(?:-\S+\s+)*(?:add|upgrade)\b`)
	freshIndex  = regexp.MustCompile(`\bapk\b[^;&|]*--no-cache`) // fetches the list by itself
	pipedShell  = regexp.MustCompile(`\b(?:curl|wget)\b[^|;&]*?(https?://[^\s"'|]+)[^|;&]*\|\s*(?:sudo\s+)?(?:env\s+)?(\S*\s?)\b(?:ba|da|z)?sh\b([^\n;&|]*)`)
	someVersion = regexp.MustCompile(`\d+\.\d+|/v\d+|[@=_-]v?\d+|\b[0-9a-f]{7,40}\b|[$]\{?\w*(?i:version|tag|sha)\w*`)
)

// staleLayers finds the RUN lines whose result the cache of the build keeps for
// ever: a package list that another layer installs from, and a script of the
// network that is run without a version. Stages for development are left out.
func (df *dockerfile) staleLayers(stages []instructions.Stage) []premortem.Layer {
	var out []premortem.Layer
	for i, s := range stages {
		if i < len(stages)-1 && asideStage(s.Name) {
			continue
		}
		var update *premortem.Layer
		for _, c := range s.Commands {
			run, ok := c.(*instructions.RunCommand)
			if !ok {
				continue
			}
			text := runText(run)
			pos := df.pos(run.Location())
			layer := premortem.Layer{Pos: pos, Quote: df.quote(pos.Line)}
			updates, installs := listUpdate.MatchString(text), listInstall.MatchString(text)
			switch {
			case updates && !installs:
				layer.Kind, update = "update", &layer
			case updates:
				update = nil
			case freshIndex.MatchString(text):
			case installs && update != nil:
				update.Install = pos
				out = append(out, *update)
				update = nil
			}
			if m := pipedShell.FindStringSubmatch(text); m != nil && !someVersion.MatchString(m[1]+m[2]+m[3]) && !pinnedByName(text) {
				layer.Kind = "download"
				out = append(out, layer)
			}
		}
	}
	return out
}

// pinnedByName reports a command that sets the version for what it runs.
func pinnedByName(text string) bool {
	return regexp.MustCompile(`\b\w*VERSION=\S|--version[ =]\S|sha256sum|gpg --verify`).MatchString(text)
}

func runText(run *instructions.RunCommand) string {
	text := strings.Join(run.CmdLine, " ")
	for _, f := range run.Files {
		text += "\n" + f.Data
	}
	return strings.ReplaceAll(text, "\\\n", " ")
}

func asideStage(name string) bool {
	for _, word := range strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r == '-' || r == '_' || r == '.' }) {
		switch word {
		case "dev", "develop", "development", "test", "tests", "testing", "debug", "lint", "ci", "local":
			return true
		}
	}
	return false
}

// layers hands over the stale layers of the images that services run; without any
// service, those of every image.
func (g *merger) layers() {
	users := map[string][]premortem.Node{}
	for _, svc := range g.sys.Services {
		if svc.Dockerfile != "" && !slices.Contains(users[svc.Dockerfile], svc.Node) {
			users[svc.Dockerfile] = append(users[svc.Dockerfile], svc.Node)
		}
	}
	for _, p := range sortedKeys(g.dockerfiles) {
		nodes := users[p]
		if len(users) == 0 {
			nodes = []premortem.Node{""}
		}
		for _, layer := range g.dockerfiles[p].layers {
			for _, n := range nodes {
				l := layer
				l.Service = n
				g.sys.Layers = append(g.sys.Layers, &l)
			}
		}
	}
	g.configCaches()
	g.bundleFiles()
}

var configCache = regexp.MustCompile(`\bartisan["',\s]+(?:config:cache|optimize)(?:["',\s;&]|$)`)

// configCaches finds where an image or its start caches Laravel's configuration.
func (g *merger) configCaches() {
	for _, svc := range g.sys.Services {
		if cmd := strings.Join(svc.Command.Value, " "); configCache.MatchString(cmd) {
			svc.ConfigCache = premortem.Setting[string]{Value: cmd, Pos: svc.Command.Pos}
		}
		df := g.dockerfiles[svc.Dockerfile]
		if df == nil || svc.ConfigCache.Set() {
			continue
		}
		for i, line := range df.lines {
			if configCache.MatchString(line) && !strings.HasPrefix(strings.TrimSpace(line), "#") {
				svc.ConfigCache = premortem.At(df.quote(i+1), df.path, i+1)
				break
			}
		}
	}
}
