package check

import (
	"fmt"
	"strings"

	"github.com/premortem/premortem"
)

// ShmTooSmall finds browsers that get the 64 MiB of shared memory that a
// container has unless somebody asks for more.
var ShmTooSmall = add(Rule{
	ID:       "shm-too-small",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "shared memory of 64 MiB is not enough for what runs in it",
		Why: `Chromium crashes its tabs when /dev/shm is full. On a laptop one tab fits; with more users
there are more.`,
		When: `Production runs an image of a headless browser, and neither shm_size, nor a memory volume
at /dev/shm, nor ipc: host gives it more than Docker's default.`,
		Silent: `More is given; --disable-dev-shm-usage stands in the command; the image is no browser.`,
		Fix:    `Give it shm_size: 1gb; on Kubernetes an emptyDir of medium Memory at /dev/shm.`,
	},
	Run: shmTooSmall,
})

// browserImages are images that run Chromium or Firefox, by the last parts of their name.
var browserImages = []string{
	"selenium/standalone-chrome", "selenium/node-chrome", "selenium/standalone-chromium", "selenium/node-chromium",
	"selenium/standalone-edge", "selenium/node-edge", "browserless/chrome", "browserless/chromium", "zenika/alpine-chrome",
	"chromedp/headless-shell", "puppeteer/puppeteer",
}

func shmTooSmall(sys *premortem.System, report func(premortem.Finding)) {
	k, _ := Default("docker", "", "shm size")
	usual, _ := k.Number()
	for _, svc := range production(sys) {
		kind := kindOf(sys, svc.Deployment)
		if (kind != "compose" && kind != "kubernetes") || (svc.ShmSize.Set() && svc.ShmSize.Value > int64(usual)) {
			continue
		}
		if !isBrowser(svc.Image.Value) || strings.Contains(strings.Join(svc.Command.Value, " "), "disable-dev-shm-usage") {
			continue
		}
		f := premortem.Finding{
			Node: svc.Node, Subject: svc.Deployment, Certain: true,
			Says:     fmt.Sprintf("%s runs a browser with %s of shared memory: its tabs crash under load", svc.Node, bytesText(int64(usual))),
			Evidence: []premortem.Evidence{{Says: "a browser: " + repository(svc.Image.Value), Pos: svc.Image.Pos}},
			Fix:      premortem.Fix{Says: "give it shm_size: 1gb, or an emptyDir of medium Memory at /dev/shm"},
		}
		if svc.ShmSize.Set() {
			f.Evidence = append(f.Evidence, premortem.Evidence{Says: "/dev/shm has " + bytesText(svc.ShmSize.Value), Pos: svc.ShmSize.Pos})
		} else {
			f.Evidence[0].Says += fmt.Sprintf("; /dev/shm has %s, as nobody sets it (%s)", bytesText(int64(usual)), k.cite())
		}
		report(f)
	}
}

func isBrowser(image string) bool {
	name := repository(image)
	for _, b := range browserImages {
		if name == b || strings.HasSuffix(name, "/"+b) {
			return true
		}
	}
	return false
}
