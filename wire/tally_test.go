package wire

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestTallyCountsByOperationHeaviestFirstAndBeginsAnew(t *testing.T) {
	tally := NewTally("service/api", "store/main")
	var wg sync.WaitGroup
	for conn := range uint64(8) {
		wg.Go(func() {
			for i := range 100 {
				tally.Record(Call{Proto: "postgres", Op: "a", Conn: conn, Took: time.Millisecond, Rows: 2, Bytes: 10})
				c := Call{Proto: "postgres", Op: "b", Conn: conn, Took: 3 * time.Millisecond}
				if i%10 == 0 {
					c.Err = "40001"
				}
				tally.Record(c)
				tally.Record(Call{Proto: "postgres", Op: "c", Conn: conn, Took: time.Millisecond})
			}
		})
	}
	wg.Wait()
	all := tally.Take()
	if len(all) != 3 || all[0].Op != "b" || all[1].Op != "a" || all[2].Op != "c" {
		t.Fatalf("got %+v", all)
	}
	b, a := all[0], all[1]
	if b.Count != 800 || b.Errors != 80 || b.Kinds["40001"] != 80 || b.Seconds() != 2.4 || b.From != "service/api" || b.To != "store/main" {
		t.Errorf("b: %+v", b)
	}
	if a.Rows != 1600 || a.Bytes != 8000 || a.Errors != 0 || a.Kinds != nil || a.Time.Max() != time.Millisecond {
		t.Errorf("a: %+v", a)
	}
	if again := tally.Take(); len(again) != 0 {
		t.Errorf("the second Take has %+v", again)
	}
}

func TestTallyNamesABoundedNumberOfOperations(t *testing.T) {
	tally := NewTally("a", "b")
	for i := range 5000 {
		c := Call{Proto: "http", Op: fmt.Sprint("GET /", i), Conn: uint64(i), Took: time.Microsecond, Err: fmt.Sprint(i)}
		c.Sample = Sample{Text: "x"}
		tally.Record(c)
		tally.Record(Call{Proto: "http", Op: "GET /0", Err: fmt.Sprint(i)})
	}
	all := tally.Take()
	if len(all) != tallyOps+1 {
		t.Errorf("%d operations, want %d", len(all), tallyOps+1)
	}
	total := uint64(0)
	for _, c := range all {
		total += c.Count
		if c.Op == otherOp && c.Count != 5000-tallyOps {
			t.Errorf("%d calls of others, want %d", c.Count, 5000-tallyOps)
		}
		kinds := uint64(0)
		for _, n := range c.Kinds {
			kinds += n
		}
		if len(c.Kinds) > tallyKinds+1 || kinds != c.Count {
			t.Errorf("%s: %d kinds with %d of %d errors", c.Op, len(c.Kinds), kinds, c.Count)
		}
	}
	if total != 10_000 {
		t.Errorf("%d calls, want 10000", total)
	}
	if n := len(tally.samples); n > tallyOps {
		t.Errorf("%d samples are kept", n)
	}
}

func TestFollowerIsNotCalledAfterStop(t *testing.T) {
	tally := NewTally("a", "b")
	var wg sync.WaitGroup
	over := make(chan bool)
	for range 4 {
		wg.Go(func() {
			for !isClosed(over) {
				tally.Record(Call{Op: "x"})
			}
		})
	}
	for range 100 {
		var mu sync.Mutex
		n, stopped := 0, false
		stop := tally.Follow(func(Call) {
			mu.Lock()
			defer mu.Unlock()
			if n++; stopped {
				t.Error("called after stop")
			}
		})
		until(t, "the follower is called", func() bool { mu.Lock(); defer mu.Unlock(); return n > 0 })
		stop()
		mu.Lock()
		stopped = true
		mu.Unlock()
	}
	close(over)
	wg.Wait()
}

func TestSamplesAreTheSlowestUntilForgottenAndAreNeverMarshalled(t *testing.T) {
	tally := NewTally("a", "b")
	if got := tally.Samples("op"); got != nil {
		t.Errorf("samples of nothing: %d", len(got))
	}
	secret := Sample{Text: "hunter2", Args: []string{"hunter2"}}
	tally.Record(Call{Op: "op", Took: time.Hour, Sample: Sample{Text: "of before the last Take"}})
	tally.Take()
	for range tallySamples {
		tally.Record(Call{Op: "op", Took: time.Second, Sample: Sample{Text: "fast"}})
	}
	tally.Record(Call{Op: "op", Took: time.Minute, Sample: secret})
	tally.Record(Call{Op: "op", Took: time.Millisecond, Sample: Sample{Text: "faster"}})
	tally.Record(Call{Op: "op", Took: time.Hour})
	tally.Take()
	got := tally.Samples("op")
	if len(got) != tallySamples || !slices.ContainsFunc(got, func(s Sample) bool { return reflect.DeepEqual(s, secret) }) {
		t.Errorf("%d samples, want %d with the slowest among them", len(got), tallySamples)
	}
	if slices.ContainsFunc(got, func(s Sample) bool { return s.Text == "faster" || strings.HasPrefix(s.Text, "of before") }) {
		t.Error("a faster or an older statement was kept")
	}
	if s, ok := tally.Sample("op"); !ok || s.Text != "faster" {
		t.Errorf("the latest is %q, %v", s.Text, ok)
	}
	call := Call{Op: "op", Sample: secret}
	b, err := json.Marshal(map[string]any{"call": call, "sample": &secret})
	if err != nil || strings.Contains(string(b), "hunter2") {
		t.Errorf("marshalled as %s, %v", b, err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if s := fmt.Sprintf(verb, call) + fmt.Sprintf(verb, secret); strings.Contains(s, "hunter2") {
			t.Errorf("%s prints %s", verb, s)
		}
	}
	tally.Forget()
	if _, ok := tally.Sample("op"); ok || tally.Samples("op") != nil {
		t.Error("a forgotten sample is back")
	}
}
