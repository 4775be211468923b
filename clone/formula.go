package clone

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/check"
)

// memoryOf is the memory of a store's machine in bytes, 0 unknown. A managed instance
// keeps a little of its class's nominal memory for itself.
func memoryOf(s *premortem.Store) float64 {
	if s.Memory.Set() {
		return float64(s.Memory.Value)
	}
	if gib, ok := check.ClassMemory(s.Class.Value); ok {
		return float64(gib) * (1 << 30)
	}
	return 0
}

// formula works out a parameter group's value, such as
// GREATEST({DBInstanceClassMemory/63963136},65536), for a memory in bytes. The
// grammar is that of "DB parameter formulas" in the RDS manual: + - * /, GREATEST,
// LEAST, SUM and log, the logarithm to base 2.
func formula(text string, memory float64) (int64, error) {
	f := &formulaReader{rest: strings.NewReplacer("{", "(", "}", ")", " ", "").Replace(text), memory: memory}
	v := f.sum()
	switch {
	case f.err != nil:
		return 0, f.err
	case f.rest != "":
		return 0, fmt.Errorf("%q in it is not understood", f.rest)
	case math.IsNaN(v) || math.Abs(v) > 1<<53:
		return 0, errors.New("it gives no number")
	}
	return int64(v), nil // the service cuts fractions off
}

type formulaReader struct {
	rest   string
	memory float64
	err    error
}

func (f *formulaReader) take(token string) bool {
	rest, ok := strings.CutPrefix(f.rest, token)
	f.rest = rest
	return ok
}

func (f *formulaReader) sum() float64 {
	v := f.product()
	for {
		switch {
		case f.take("+"):
			v += f.product()
		case f.take("-"):
			v -= f.product()
		default:
			return v
		}
	}
}

func (f *formulaReader) product() float64 {
	v := f.value()
	for {
		switch {
		case f.take("*"):
			v *= f.value()
		case f.take("/"):
			v /= f.value()
		default:
			return v
		}
	}
}

func (f *formulaReader) value() float64 {
	if f.take("-") {
		return -f.value()
	}
	if f.take("(") {
		v := f.sum()
		f.want(")")
		return v
	}
	n := 0
	for n < len(f.rest) && (f.rest[n] == '.' || f.rest[n] >= '0' && f.rest[n] <= '9' || f.rest[n]|32 >= 'a' && f.rest[n]|32 <= 'z') {
		n++
	}
	word := f.rest[:n]
	f.rest = f.rest[n:]
	if v, err := strconv.ParseFloat(word, 64); err == nil {
		return v
	}
	switch lower := strings.ToLower(word); lower {
	case "dbinstanceclassmemory":
		if f.memory == 0 && f.err == nil {
			f.err = errors.New("the memory of its instance is not known")
		}
		return f.memory
	case "greatest", "least", "sum", "log":
		return f.call(lower)
	}
	if f.err == nil {
		f.err = fmt.Errorf("%q in it is not understood", word)
	}
	return 0
}

func (f *formulaReader) call(name string) float64 {
	f.want("(")
	v := f.sum()
	for f.take(",") {
		switch w := f.sum(); name {
		case "greatest":
			v = max(v, w)
		case "least":
			v = min(v, w)
		case "sum":
			v += w
		}
	}
	f.want(")")
	if name == "log" {
		return math.Log2(v)
	}
	return v
}

func (f *formulaReader) want(token string) {
	if !f.take(token) && f.err == nil {
		f.err = fmt.Errorf("a %q is missing in it", token)
	}
}
