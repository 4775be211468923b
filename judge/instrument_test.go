package judge

import (
	"strings"
	"testing"

	"github.com/premortem/premortem"
)

// beside makes other programs use so many cores in both phases.
func beside(t *premortem.Trial, cores float64) *premortem.Trial {
	for i := range t.Phases {
		p := &t.Phases[i]
		p.Machine.Watched, p.Machine.CPU = true, p.Load.OwnCPU+cores
		for _, u := range p.Units {
			p.Machine.CPU += u.CPU
		}
	}
	return t
}

// using makes the database use so many cores under load, and nothing else of the
// clone any worth telling.
func using(w *world, cores float64) *premortem.Trial {
	w.unit(w.during(), api, func(u *premortem.UnitStats) { u.CPU = 0 })
	w.unit(w.during(), db, func(u *premortem.UnitStats) { u.CPU = cores })
	return w.trial
}

func TestAFailureBesideOtherProgramsIsNoAnswer(t *testing.T) {
	close := func() *premortem.Trial {
		w := shop("calls", 2)
		r := w.during().Route("POST /api/login")
		*r = w.route("POST /api/login", 500, 0.1, 0.66) // p95 near its 300 ms
		return w.trial
	}
	for _, c := range []struct {
		name   string
		trial  *premortem.Trial
		want   premortem.Answer
		says   string
		doubts bool
	}{
		{"a failure beside half a machine of other work", beside(using(slowLogin(), 0.8), 1), premortem.Unknown, "the machine was shared, so this says nothing about the system: other programs used 1 of 2 cores", true},
		{"what is close beside it", beside(close(), 1), premortem.Unknown, "the machine was shared", true},
		{"what holds beside it holds", beside(shop("calls", 2).trial, 1), premortem.Holds, "every objective", true},
		{"a failure beside a little other work", beside(using(slowLogin(), 0.8), 0.3), premortem.Fails, "POST /api/login", false},
	} {
		v, _ := Judge(c.trial)
		if v.Answer != c.want || !strings.Contains(v.Says, c.says) || strings.Contains(strings.Join(v.Doubts, "\n"), "other programs used") != c.doubts {
			t.Errorf("%s: %s, %q, doubts %q", c.name, v.Answer, v.Says, v.Doubts)
		}
	}
}

func TestWhoElseWorkedIsNotGuessed(t *testing.T) {
	unseen := slowLogin().trial
	unseen.Phase("during").Units = nil
	unwatched := slowLogin().trial
	unwatched.Phase("during").Machine = premortem.MachineStats{CPU: 2}
	larger := beside(slowLogin().trial, 30)
	for name, trial := range map[string]*premortem.Trial{"no unit was seen": unseen, "nobody watched the machine": unwatched, "the machine has more cores than the trial": larger} {
		if v, _ := Judge(trial); v.Answer != premortem.Fails {
			t.Errorf("%s: %s, %q, %q", name, v.Answer, v.Says, v.Doubts)
		}
	}
}

func TestAFullMachineIsNotBlamedOnTheCloneWhenOthersFilledIt(t *testing.T) {
	full := func(foreign float64) *premortem.Trial {
		return beside(using(slowLogin(), 1.9-foreign), foreign)
	}
	for foreign, want := range map[float64]bool{0.1: true, 0.45: false, 1: false} {
		_, found := Judge(full(foreign))
		spoke := false
		for _, f := range found {
			spoke = spoke || f.Rule == "cpu-saturated"
		}
		if spoke != want {
			t.Errorf("with %v cores of other work cpu-saturated speaks: %v", foreign, spoke)
		}
	}
}

func TestAnEstimateOfNothingIsNeverPrinted(t *testing.T) {
	for _, ps := range [][]premortem.Point{points(1.0, "fails"), points(0.5, "fails", 1.0, "fails"), points(1.0, "unknown", 2.0, "fails"), points(4.0, "fails", 8.0, "fails")} {
		h := Headroom("calls", "requests/s", 50, ps, nil)
		if h.Estimate != 0 || h.Answer != premortem.Fails || strings.Contains(" "+h.Says, " 0×") || strings.Contains(h.Says, " 0 requests") {
			t.Errorf("estimate %v: %q", h.Estimate, h.Says)
		}
	}
}

func TestPointsComeByMultipleAndWithoutTheFixFirst(t *testing.T) {
	ps := points(2.0, "holds", 1.0, "holds", 2.0, "fails")
	ps[0].Fixed, ps[0].Trial, ps[2].Trial = true, "a", "b"
	h := Headroom("calls", "", 0, ps, nil)
	if h.Points[0].Multiple != 1 || h.Points[1].Fixed || !h.Points[2].Fixed {
		t.Errorf("%+v", h.Points)
	}
}

func TestAProcessThatEndsWhileEverythingHoldsIsNotAnOutage(t *testing.T) {
	w := shop("users", 4)
	w.unit(w.during(), api, func(u *premortem.UnitStats) { u.Restarted = 1 })
	_, found := Judge(w.trial)
	f := only1(t, found, "restarted-under-load")
	if f.Severity != premortem.Slow || f.Says != "service/api ended 2 times at 4× users" {
		t.Errorf("%s: %s", f.Severity, f.Says)
	}
}
