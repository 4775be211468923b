package postgres

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// The rank of a row follows its place with the correlation that was asked for, and the
// values keep their shares whatever it is.
func TestDistributionHasItsCorrelationAndShares(t *testing.T) {
	const n = 20_000
	for _, c := range []float32{0, 0.2, 0.5, 0.9, 1, -0.7, -1} {
		st := &ColumnStats{Distinct: -0.5, Correlation: &c, Common: "{5}", CommonShares: []float32{0.1}, Bounds: "{0,1000000,2000000}"}
		l, ok := newLine(st, int8, 0)
		if !ok {
			t.Fatal("the statistics are not understood")
		}
		d := newDistribution(figures{stats: st, places: l.places, order: l.order, bounds: len(l.bounds), rows: n, target: 100}, 7, 0, n)
		values, common, upper := make([]int64, n), 0, 0
		for i := range values {
			k, place := d.at(int64(i))
			values[i] = l.value(k, place)
			if k >= 0 {
				common++
			} else if place >= 0.5 {
				upper++
			}
		}
		if got := rankCorrelation(values); math.Abs(got-float64(c)) > 0.03 {
			t.Errorf("correlation %.2f was asked for, %.3f made", c, got)
		}
		if share := float64(common) / n; math.Abs(share-0.1) > 0.01 {
			t.Errorf("correlation %.2f: the common value has %.3f of the rows instead of 0.1", c, share)
		}
		if share := float64(upper) / n; math.Abs(share-0.45) > 0.02 {
			t.Errorf("correlation %.2f: the upper bucket has %.3f of the rows instead of 0.45", c, share)
		}
	}
}

// rankCorrelation is the correlation of values' ranks with their places; equal values
// are ranked by place, as ANALYZE does.
func rankCorrelation(values []int64) float64 {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(values[a] - values[b]) })
	n := float64(len(values))
	sum := 0.0
	for rank, i := range order {
		sum += (float64(rank) - (n-1)/2) * (float64(i) - (n-1)/2)
	}
	return sum / (n * (n*n - 1) / 12)
}

// Made texts lie between the bounds, rise with their place, and are as wide as asked.
func TestTextsOfAHistogramRiseAndKeepTheirWidth(t *testing.T) {
	bounds := []string{"00aaaaaaaa", "0fzzzzzzzz", "1b22222222", "zz"}
	buckets, last := bucketsOf(bounds), ""
	for i := range 3000 {
		s := string(appendBetween(nil, buckets, float64(i)/3000, 12))
		if len(s) != 12 {
			t.Fatalf("%q is not 12 bytes wide", s)
		}
		if strings.Compare(s, last) < 0 {
			t.Fatalf("%q comes after %q", s, last)
		}
		last = s
	}
}

// What a check constraint lists takes the place of pseudonyms, which are in the same order.
func TestPseudonymsOfAListedColumnArePutBack(t *testing.T) {
	got := listedAs([]string{"3kd", "0ab", "1xx"}, []string{"paid", "cancelled", "shipped"})
	if !slices.Equal(got, []string{"shipped", "cancelled", "paid"}) {
		t.Errorf("got %q", got)
	}
	if got := listedAs([]string{"paid"}, []string{"cancelled", "paid"}); !slices.Equal(got, []string{"paid"}) {
		t.Errorf("values that are allowed became %q", got)
	}
}

// A parent has as many rows as the shares of the numbers say, and none has a number twice.
func TestNestGivesEachParentItsRows(t *testing.T) {
	st := &ColumnStats{Common: "{1,2,3}", CommonShares: []float32{0.5, 0.3, 0.2}}
	fans, first, ok := fansOf(st)
	if !ok || first != 1 {
		t.Fatalf("fans are not understood: %v, first %d", ok, first)
	}
	n, parents := newNest(fans, newShuffle(3, blockParents), &part{to: 100_000})
	lines := map[int64]int{}
	before, at := int64(-1), int64(0)
	for row := range int64(100_000) {
		parent, line := n.of(row)
		switch {
		case parent == before && line == at+1:
		case parent == before+1 && line == 0:
		default:
			t.Fatalf("row %d: parent %d line %d after parent %d line %d", row, parent, line, before, at)
		}
		before, at = parent, line
		lines[line]++
	}
	if parents != before+1 {
		t.Errorf("%d parents were announced and %d used", parents, before+1)
	}
	for line, want := range map[int64]float64{0: 0.5, 1: 0.3, 2: 0.2} {
		if got := float64(lines[line]) / 100_000; math.Abs(got-want) > 0.01 {
			t.Errorf("line %d has %.3f of the rows instead of %.1f", line, got, want)
		}
	}
}
