package main

import (
	"bytes"
	"fmt"
	"strings"
)

// code is 1 when a planted fault was missed or a harmless change was called a
// fault, 3 when nothing was planted or not everything was tried, else 0.
func (r *selfTest) code() int {
	planted, missed := 0, len(r.Alarms)
	for _, row := range r.Rules {
		planted, missed = planted+row.Planted, missed+len(row.Missed)
	}
	switch {
	case missed > 0:
		return exitFound
	case planted == 0 || r.NotRun > 0:
		return exitUnknown
	}
	return exitClean
}

// text is the table that a person reads, and what was missed with its place.
func (r *selfTest) text(dir string) []byte {
	var b bytes.Buffer
	wide := len("rule")
	for _, row := range r.Rules {
		wide = max(wide, len(row.Rule))
	}
	fmt.Fprintf(&b, "  %s · one fault at a time, in memory · seed %d, at most %d of a rule\n\n", dir, r.Seed, r.Samples)
	fmt.Fprintf(&b, "  %-*s  %7s  %7s  %6s  %9s  %6s\n", wide, "rule", "places", "planted", "caught", "by others", "missed")
	var places, planted, caught, others, missed int
	var nowhere []string
	for _, row := range r.Rules {
		if row.Planted == 0 {
			nowhere = append(nowhere, row.Rule)
			continue
		}
		fmt.Fprintf(&b, "  %-*s  %7d  %7d  %6d  %9d  %6d\n", wide, row.Rule, row.Places, row.Planted, row.Caught, len(row.Others), len(row.Missed))
		places, planted, caught = places+row.Places, planted+row.Planted, caught+row.Caught
		others, missed = others+len(row.Others), missed+len(row.Missed)
	}
	fmt.Fprintf(&b, "  %-*s  %7d  %7d  %6d  %9d  %6d\n", wide, "all", places, planted, caught, others, missed)
	if planted < places {
		fmt.Fprintf(&b, "\n  %d of %d places were tried; --samples raises the number, --seed chooses others\n", planted, places)
	}
	fmt.Fprintf(&b, "\n  harmless changes: %d made, %d called a fault\n", r.Harmless, len(r.Alarms))
	r.list(&b, "missed", func(yield func(plantedTest, string)) {
		for _, row := range r.Rules {
			for _, m := range row.Missed {
				yield(m, row.Rule)
			}
		}
	})
	r.list(&b, "caught by another rule", func(yield func(plantedTest, string)) {
		for _, row := range r.Rules {
			for _, m := range row.Others {
				yield(m, row.Rule)
			}
		}
	})
	r.list(&b, "called a fault", func(yield func(plantedTest, string)) {
		for _, m := range r.Alarms {
			yield(m, "harmless")
		}
	})
	if len(nowhere) > 0 {
		fmt.Fprintf(&b, "\n  no place here for: %s\n", strings.Join(nowhere, ", "))
	}
	if r.NotRun > 0 {
		fmt.Fprintf(&b, "\n  %s not tried: the time was over; --budget gives more\n", counted(r.NotRun, "fault"))
	}
	return b.Bytes()
}

// list writes planted faults with their places.
func (r *selfTest) list(b *bytes.Buffer, title string, each func(func(plantedTest, string))) {
	first := true
	each(func(m plantedTest, rule string) {
		if first {
			fmt.Fprintf(b, "\n  %s\n", title)
			first = false
		}
		fmt.Fprintf(b, "    %s  %s: %s\n", m.Pos, rule, m.Says)
		for _, key := range m.Told {
			fmt.Fprintf(b, "        told instead: %s\n", key)
		}
	})
}
