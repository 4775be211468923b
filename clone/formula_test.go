package clone

import (
	"strings"
	"testing"

	"github.com/premortem/premortem"
)

func TestFormulaIsWorkedOutAsServiceDoes(t *testing.T) {
	const gib = 1 << 30
	for text, want := range map[string]int64{
		"{DBInstanceClassMemory/32768}": 131072, "GREATEST({DBInstanceClassMemory/63963136},65536)": 65536,
		"LEAST({DBInstanceClassMemory/9531392},5000)": 450, "SUM({DBInstanceClassMemory/12038},-50003)": 306781, "log({DBInstanceClassMemory/1073741824})": 2,
		"{DBInstanceClassMemory*3/4/8192}": 393216,
	} {
		got, err := formula(text, 4*gib)
		if err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"{AllocatedStorage/2}", "{DBInstanceClassMemory/0}", "{DBInstanceClassMemory", "{1}}", ""} {
		if got, err := formula(text, 4*gib); err == nil {
			t.Errorf("%q gave %d", text, got)
		}
	}
}

func TestSettingsHoldNoFormula(t *testing.T) {
	param := func(name, value string) premortem.Param {
		return premortem.Param{Name: name, Value: premortem.At(value, "main.tf", 1)}
	}
	s := &premortem.Store{Params: []premortem.Param{param("effective_cache_size", "{DBInstanceClassMemory/16384}"), param("work_mem", "8MB"), param("port", "1")}}
	got, doubts := Planning([]*premortem.Store{s})
	if len(got) != 1 || got["work_mem"] != "8MB" || len(doubts) != 1 || !strings.Contains(doubts[0], "memory of its instance is not known") {
		t.Errorf("settings are %v, doubts %q", got, doubts)
	}
	s.Class = premortem.At("db.t4g.medium", "main.tf", 2)
	if got, _ = Planning([]*premortem.Store{s}); got["effective_cache_size"] != "262144" {
		t.Errorf("settings are %v, want 4 GiB / 16384", got)
	}
}
