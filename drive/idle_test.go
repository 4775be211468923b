package drive

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/premortem/premortem"
)

// inUse is what this process keeps on its heap and its stacks, in bytes.
func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// TestAnIdleUserCostsLittle holds many people who asked once and now pause, each with
// a connection of their own, over real sockets.
func TestAnIdleUserCostsLittle(t *testing.T) {
	users := 2000
	if !testing.Short() {
		users = min(20_000, (fileLimit()-reserveFiles(fileLimit()))/2-500)
	}
	w := Workload{Seed: 1, URLs: local(startSink(t)), Journeys: []*premortem.Journey{{Name: "j", Steps: []premortem.Step{
		{Request: &premortem.Request{Method: "GET", Path: "/"}}, {Think: time.Hour}, {Request: &premortem.Request{Method: "GET", Path: "/2"}}}}}}
	// All arrive within four seconds: the session is an hour long, so this many people
	// at once are as many arrivals a second.
	arrive := 4 * time.Second
	if testing.Short() {
		arrive = 2 * time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), arrive+time.Second)
	defer cancel()
	_, length := w.Session()
	load := Load{Users: float64(users) / arrive.Seconds() * length.Seconds(), For: arrive + time.Hour}
	before, most := inUse(), int64(0)
	var asked uint64
	load.Every = func(s Second) {
		if s.At+1 >= arrive.Seconds() && most == 0 {
			most = inUse()
		}
		if most == 0 {
			asked += s.Done
		}
	}
	r, _ := Run(ctx, w, load)
	checkAccount(t, r.Load, r.Routes)
	if most == 0 || asked == 0 {
		t.Fatalf("nobody arrived: %d asked", asked)
	}
	per := float64(most-before) / float64(asked)
	t.Logf("%d idle users, %.0f bytes each in this process", asked, per)
	if per > 20<<10 {
		t.Errorf("an idle user costs %.0f bytes, more than 20 KB", per)
	}
}

// A load of an hour holds no more at its end than after its first minutes: the seconds
// that are kept are an hour's, so that a day is as an hour.
func TestALongLoadsBooksDoNotGrow(t *testing.T) {
	if testing.Short() {
		t.Skip("three hours of seconds take a few of ours")
	}
	tl := newTally(3, Load{Within: 100 * time.Millisecond})
	routes := []string{"a", "b", "c"}
	pass := func(from, to int) {
		for s := from; s < to; s++ {
			at := time.Duration(s) * time.Second
			for i := range 10 {
				due := at + time.Duration(i)*100*time.Millisecond
				tl.begin(due, due)
				tl.end(i%3, due, due, moments{sent: due, first: due, done: due + time.Duration(1+i*i*90)*time.Millisecond}, "")
			}
			second([]*tally{tl}, routes, float64(s), at+time.Second)
		}
	}
	pass(0, keepSeconds)
	hour := inUse()
	pass(keepSeconds, 3*keepSeconds)
	if day := inUse(); day > hour+(256<<10) {
		t.Errorf("%d bytes after an hour, %d after three", hour, day)
	}
	if tl.little.worst > 1e-6 {
		t.Errorf("Little's law: the sides differ by %v", tl.little.worst)
	}
	runtime.KeepAlive(tl)
}
