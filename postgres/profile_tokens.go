package postgres

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
)

// keyed is a stream of numbers that belongs to a text, known only to who has the key.
func (m *mask) keyed(words ...string) func() uint64 {
	h := hmac.New(sha256.New, m.key)
	for _, w := range words {
		fmt.Fprintf(h, "%d:%s", len(w), w)
	}
	seed := binary.BigEndian.Uint64(h.Sum(nil))
	n := int64(0)
	return func() uint64 { n++; return noise(seed, n) }
}

const base36 = "0123456789abcdefghijklmnopqrstuvwxyz"

// tokens gives sorted texts their pseudonyms: the rank, then keyed characters up to
// the length in bytes. Ranks have equal length and digits sort before small letters in
// every collation, so the order stays. It reports false when they do not fit.
func (m *mask) tokens(f *family, sorted []string) bool {
	digits, room := 1, 36
	for room < len(sorted)+1 {
		digits, room = digits+1, room*36
	}
	if f.smallest > 0 && f.smallest < digits {
		return false
	}
	rank := 0
	for _, v := range sorted {
		if strings.TrimRight(v, " ") == "" {
			f.values[v] = v // nothing is said by it, and it sorts first
			continue
		}
		n := max(len(v), digits)
		if f.smallest > 0 {
			n = min(n, f.smallest)
		}
		out := make([]byte, n)
		for i, at := digits-1, rank; i >= 0; i-- {
			out[i], at = base36[at%36], at/36
		}
		next := m.keyed(f.name, v)
		for i := digits; i < n; i++ {
			out[i] = base36[next()%36]
		}
		f.values[v] = string(out)
		rank++
	}
	return true
}

// tell says what leaves the database.
func (m *mask) tell() {
	p := m.p
	say := func(format string, args ...any) { p.Left = append(p.Left, fmt.Sprintf(format, args...)) }
	say("names of schemas, tables, columns, indexes, constraints, sequences and types, and the labels of enums: what the migrations say too")
	say("sizes in pages, rows and bytes, how far sequences have come, the age of transaction ids, the planner's settings")
	say("of %d columns and index expressions: the share of NULL, the mean width, the number of distinct values, the correlation, the shares of common values", len(p.Columns))
	if m.all {
		say("AS THEY ARE, because that was asked: the common values, histogram bounds and elements of all columns")
	} else {
		say("pseudonyms of %d values: texts are tokens of the same length in the same order; numbers, times, uuids and addresses are moved by up to a third of the way to their neighbours", m.values)
		say("as they are: zero, whole numbers from -255 to 255, infinities, empty texts, booleans")
	}
	if len(m.cleared) > 0 {
		say("AS THEY ARE, because that was asked: the values in the statistics of %s", strings.Join(m.cleared, ", "))
	}
	if len(p.Definitions) > 0 {
		say("%d defaults, constraints and index definitions, with question marks for literals", len(p.Definitions))
	}
	if len(p.Statements) > 0 {
		say("%d normalised statements with their calls, time and rows; literals that survived are question marks, comments are gone", len(p.Statements))
	}
	if len(m.removed) > 0 {
		p.Missing = append(p.Missing, fmt.Sprintf("values in the statistics of %s: their types have no pseudonyms of the same order, so they stayed in the database", strings.Join(m.removed, ", ")))
	}
	if len(p.Extended) > 0 && !m.all {
		p.Missing = append(p.Missing, "lists of common combinations in extended statistics: they hold values as they are, so they stayed in the database")
	}
	say("not read at all: rows, comments, functions, views, roles")
}
