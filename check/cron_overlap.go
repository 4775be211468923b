package check

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

// CronOverlap finds schedules whose next run may start before the last has ended.
var CronOverlap = add(Rule{
	ID:       "cron-overlap",
	Severity: premortem.Note,
	Certain:  true,
	Doc: premortem.Doc{
		Title: "two runs of one job may work at the same time",
		Why: `When a run takes longer than the interval, because the data doubled or the database is
slow, Kubernetes starts the next beside it: the same rows are worked on twice, mail is sent
twice, locks wait for each other.`,
		When: `A CronJob that runs every hour or more often has concurrencyPolicy Allow, which is also the
default. It is a note: how long a run takes stands in no file.`,
		Silent: `Forbid or Replace; a schedule of once a day or less; a schedule that cannot be read.`,
		Fix:    `Set concurrencyPolicy: Forbid and a startingDeadlineSeconds.`,
	},
	Run: cronOverlap,
})

func cronOverlap(sys *premortem.System, report func(premortem.Finding)) {
	for _, svc := range production(sys) {
		if !svc.Schedule.Set() || kindOf(sys, svc.Deployment) != "kubernetes" || (svc.Concurrency.Set() && svc.Concurrency.Value != "Allow") {
			continue
		}
		every, ok := interval(svc.Schedule.Value)
		if !ok || every > 60 {
			continue
		}
		f := premortem.Finding{
			Node: svc.Node, Subject: svc.Deployment,
			Says:     fmt.Sprintf("%s starts every %s, also while its last run still works", svc.Node, many(every, "minute")),
			Evidence: []premortem.Evidence{{Says: "the schedule: " + svc.Schedule.Value, Pos: svc.Schedule.Pos}},
			Fix:      premortem.Fix{Says: "set concurrencyPolicy: Forbid"},
		}
		if svc.Concurrency.Set() {
			f.Evidence = append(f.Evidence, premortem.Evidence{Says: "two runs are allowed", Pos: svc.Concurrency.Pos})
			f.Fix.Edits = []premortem.Edit{{Pos: svc.Concurrency.Pos, Old: "Allow", New: "Forbid"}}
		} else if k, ok := Default("kubernetes", "", "cron concurrency"); ok {
			f.Evidence[0].Says += fmt.Sprintf("; concurrencyPolicy is %s, as nobody sets it (%s)", k.Text, k.cite())
		}
		report(f)
	}
}

// interval returns the shortest time between two starts of a cron schedule in minutes.
func interval(schedule string) (int, bool) {
	switch strings.TrimSpace(schedule) {
	case "@hourly":
		return 60, true
	}
	f := strings.Fields(schedule)
	if len(f) != 5 {
		return 0, false
	}
	if step, ok := strings.CutPrefix(f[0], "*/"); ok {
		n, err := strconv.Atoi(step)
		return n, err == nil && n > 0
	}
	if f[0] == "*" {
		return 1, true
	}
	if minutes := strings.Split(f[0], ","); len(minutes) > 1 {
		return 60 / len(minutes), true
	}
	if f[1] == "*" {
		return 60, true
	}
	return 24 * 60, true
}
