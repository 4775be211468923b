package postgres

import (
	"math"
	"time"
)

// serial numbers the rows.
func (w *want) serial() (source, error) {
	most := map[string]int64{"int2": math.MaxInt16, "int4": math.MaxInt32, "int8": math.MaxInt64}[w.c.Base]
	if most == 0 {
		most = math.MaxInt32
	}
	if w.to+w.shift > most {
		return nil, planError(w.t, w.c.Name, "declare fewer rows", "type %s ends at %s", w.c.Type, commas(most))
	}
	shift := w.shift
	return numbers{draw: func(row int64) int64 { return row + 1 + shift }, form: w.form()}, nil
}

// form is how a number of the column's type is written.
func (w *want) form() form {
	switch w.c.Base {
	case "int2":
		return int2
	case "int4", "oid":
		return int4
	case "float4":
		return float4
	case "float8":
		return float8
	case "numeric":
		return numeric
	case "money":
		return money
	case "text", "varchar", "bpchar", "citext", "name":
		return digits
	}
	return int8
}

// amount makes numbers whose range the name suggests.
func (w *want) amount() (source, error) {
	form := w.form()
	whole := form == int2 || form == int4 || form == int8
	primary := len(w.t.Keys) > 0 && w.t.Keys[0].Primary && len(w.t.Keys[0].Columns) == 1 && w.t.Keys[0].Columns[0] == w.c.Name
	if w.digit != nil {
		digit, low := w.digit, w.low
		if w.lim.min != nil {
			low += int64(*w.lim.min)
		} else {
			low++
		}
		return numbers{draw: func(row int64) int64 { return low + digit(row) }, form: form}, nil
	}
	if primary || w.unique {
		if w.unique && !primary && whole && form != int2 && w.lim.max == nil {
			shift := w.shift + 100_000 // order numbers and the like do not start at 1
			return numbers{draw: func(row int64) int64 { return row + 1 + shift }, form: form}, nil
		}
		return w.serial()
	}
	lo, hi, cents := w.span(whole)
	scale := 0
	if cents {
		scale = 2
	}
	lo, hi = w.lim.clamp(lo, hi, scale)
	lo, hi, scale = w.fit(lo, hi, scale)
	key, n := w.key, hi-lo+1
	draw := func(row int64) int64 { return lo + skewed(noise(key, row), n) }
	return numbers{draw: draw, form: form, scale: scale}, nil
}

// span is the range of a number by its name; cents: in hundredths.
func (w *want) span(whole bool) (lo, hi int64, cents bool) {
	is := func(words ...string) bool { return anyWord(w.words, words...) }
	switch {
	case is("cents", "pence", "minor"):
		return 100, 99_999, false
	case is("price", "amount", "total", "subtotal", "cost", "fee", "balance", "tax", "discount", "salary", "paid", "revenue"):
		return scaled(1, 999, whole)
	case is("quantity", "qty", "count", "num"):
		return scaled(1, 9, whole)
	case is("stock", "inventory", "available"):
		return scaled(0, 500, whole)
	case is("age"):
		return scaled(18, 90, whole)
	case is("year"):
		return scaled(1990, 2025, whole)
	case is("rating", "stars"):
		return scaled(1, 5, whole)
	case is("percent", "percentage", "rate", "progress", "score"):
		return scaled(0, 100, whole)
	case is("lat", "latitude"):
		return scaled(-90, 90, whole)
	case is("lng", "lon", "longitude"):
		return scaled(-180, 180, whole)
	case is("version", "revision"):
		return scaled(1, 3, whole)
	case is("position", "sort", "order", "rank", "seq", "index"):
		return scaled(1, 100, whole)
	case is("bytes", "size", "length"):
		return scaled(100, 30_000, whole)
	case is("id"):
		return 1, max(1000, w.to/10), false
	}
	return scaled(0, 1000, whole)
}

func scaled(lo, hi int64, whole bool) (int64, int64, bool) {
	if whole {
		return lo, hi, false
	}
	return lo * 100, hi*100 + 99, true
}

// fit moves a range into what the type can hold and to its number of decimals.
func (w *want) fit(lo, hi int64, scale int) (int64, int64, int) {
	switch w.c.Base {
	case "int2":
		hi = min(hi, math.MaxInt16)
	case "money":
		if scale == 0 {
			lo, hi, scale = lo*100, hi*100, 2
		}
	case "numeric":
		if w.c.Typmod < 4 {
			break
		}
		precision, want := int(w.c.Typmod-4)>>16, int(w.c.Typmod-4)&0x7ff
		if want > 12 {
			break // also negative scales: the server rounds
		}
		for ; scale < want; scale++ {
			lo, hi = lo*10, hi*10
		}
		for ; scale > want; scale-- {
			lo, hi = lo/10, hi/10
		}
		if precision < 18 {
			hi = min(hi, powers[precision]-1)
			lo = max(min(lo, hi), -(powers[precision] - 1))
		}
	}
	return lo, max(hi, lo), scale
}

// moment makes dates and times. Rows are appended as time passes: created_at rises
// with the row; other times follow it.
func (w *want) moment() (source, error) {
	is := func(words ...string) bool { return anyWord(w.words, words...) }
	f := map[string]form{"date": date, "timestamp": timestamp, "timestamptz": timestamptz, "time": clock, "timetz": clocktz, "interval": interval}[w.c.Base]
	unit := int64(time.Millisecond / time.Microsecond)
	if w.c.Typmod >= 0 && w.c.Typmod < 3 {
		unit = int64(time.Second / time.Microsecond)
	}
	key := w.key
	const day = int64(24 * time.Hour / time.Microsecond)
	switch f {
	case clock, clocktz:
		return numbers{draw: func(row int64) int64 { return below(noise(key, row), 86400) * 1e6 }, form: f}, nil
	case interval:
		return numbers{draw: func(row int64) int64 { return below(noise(key, row), 7200) * 1e6 }, form: f}, nil
	}
	until := w.until.Sub(epoch).Microseconds()
	created := rising(w.table, w.from, w.to, until)
	var draw draw
	switch {
	case w.digit != nil:
		digit, low := w.digit, w.low
		return numbers{draw: func(row int64) int64 { return until/day - low - digit(row) }, form: date}, nil
	case w.unique && f == date:
		return numbers{draw: func(row int64) int64 { return until/day - row }, form: f}, nil
	case w.unique:
		return numbers{draw: func(row int64) int64 { return until - (row+1)*unit }, form: f}, nil
	case is("birth", "born", "dob", "birthday", "birthdate"):
		draw = func(row int64) int64 { return (below(noise(key, row), 55*365) - 50*365) * day }
	case is("expires", "expire", "expiry", "expired", "due", "end", "ends", "ended", "until"):
		draw = func(row int64) int64 { return created(row) + (1+below(noise(key, row), 365))*day }
	case is("created", "inserted", "date", "timestamp", "start", "starts", "started", "ordered", "placed", "registered", "joined"):
		draw = created
	default:
		draw = func(row int64) int64 { return min(created(row)+skewed(noise(key, row), 14*day), until) }
	}
	if f == date {
		return numbers{draw: func(row int64) int64 { return draw(row) / day }, form: f}, nil
	}
	return numbers{draw: func(row int64) int64 { return draw(row) / unit * unit }, form: f}, nil
}

// rising spreads the rows of a part over the span before until, in order.
func rising(key uint64, from, to, until int64) draw {
	n := max(to-from, 1)
	width := span.Microseconds()
	step := max(width/n, 1)
	return func(row int64) int64 {
		i := row - from
		at := width/n*i + width%n*i/n
		return until - width + at + below(noise(key, row), step)
	}
}
