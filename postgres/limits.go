package postgres

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// limits are what check constraints and the type allow a column to hold.
type limits struct {
	in       []string // one of these, nil for anything
	min, max *float64
	chars    int // at most, 0 unlimited
	least    int // characters at least
}

var (
	oneOf      = regexp.MustCompile(`= ANY \(+ARRAY\[(.*)\]`)
	quotedText = regexp.MustCompile(`'((?:[^']|'')*)'`)
	bareNumber = regexp.MustCompile(`-?\d+(?:\.\d+)?`)
	lengthTest = regexp.MustCompile(`(?i)(?:char_length|character_length|length)\([^=<>]*\) (>=|<=|<>|>|<|=) (\d+)`)
)

// limitsOf reads the type modifier and those check constraints that speak of this
// column alone.
func limitsOf(t *Table, c *Column) limits {
	lim := limits{}
	if c.Typmod >= 4 && (c.Base == "varchar" || c.Base == "bpchar") {
		lim.chars = int(c.Typmod) - 4
	}
	for _, k := range t.Checks {
		name := quoteBare(c.Name)
		switch {
		case k.Of == c.Name:
			name = "VALUE"
		case len(k.Columns) != 1 || k.Columns[0] != c.Name:
			continue
		}
		lim.add(k.Text, name)
	}
	return lim
}

// understood reports whether limitsOf takes something from a constraint.
func understood(k Check) bool {
	if strings.Contains(k.Text, "IS NOT NULL") && !strings.ContainsAny(k.Text, "<>=") {
		return true
	}
	name := "VALUE"
	if k.Of == "" {
		if len(k.Columns) != 1 {
			return false
		}
		name = quoteBare(k.Columns[0])
	}
	var lim limits
	lim.add(k.Text, name)
	return lim.in != nil || lim.min != nil || lim.max != nil || lim.chars > 0 || lim.least > 0
}

// quoteBare is a column as PostgreSQL prints it: quoted only when it must be.
func quoteBare(name string) string {
	for i := range len(name) {
		c := name[i]
		if !(c == '_' || 'a' <= c && c <= 'z' || i > 0 && '0' <= c && c <= '9') {
			return quoteIdent(name)
		}
	}
	return name
}

func (lim *limits) add(text, name string) {
	if m := oneOf.FindStringSubmatch(text); m != nil {
		lim.in = literals(m[1])
		return
	}
	// The column itself, not a function of it.
	quoted := regexp.QuoteMeta(name)
	column := `\((?:` + quoted + `|\(` + quoted + `\)::[a-z ]+)`
	equal := regexp.MustCompile(column+` = '((?:[^']|'')*)'`).FindAllStringSubmatch(text, -1)
	if equal != nil && !strings.Contains(text, " AND ") {
		for _, m := range equal {
			lim.in = append(lim.in, strings.ReplaceAll(m[1], "''", "'"))
		}
		return
	}
	if tests := lengthTest.FindAllStringSubmatch(text, -1); tests != nil {
		for _, m := range tests {
			lim.length(m[1], m[2])
		}
		return
	}
	if strings.Contains(text, " OR ") {
		return
	}
	test := regexp.MustCompile(column + ` (>=|<=|>|<) \(?'?\(?(-?\d+(?:\.\d+)?)`)
	for _, m := range test.FindAllStringSubmatch(text, -1) {
		n, err := strconv.ParseFloat(m[2], 64)
		if err == nil {
			lim.bound(m[1], n)
		}
	}
}

// literals are the values of an array constructor.
func literals(list string) []string {
	var out []string
	for _, m := range quotedText.FindAllStringSubmatch(list, -1) {
		out = append(out, strings.ReplaceAll(m[1], "''", "'"))
	}
	if out == nil {
		out = bareNumber.FindAllString(list, -1)
	}
	return out
}

func (lim *limits) length(op, number string) {
	n, err := strconv.Atoi(number)
	if err != nil {
		return
	}
	shorter := func(n int) {
		if lim.chars == 0 || n < lim.chars {
			lim.chars = max(n, 1)
		}
	}
	switch op {
	case "<=":
		shorter(n)
	case "<":
		shorter(n - 1)
	case ">=":
		lim.least = n
	case ">", "<>":
		lim.least = n + 1
	case "=":
		shorter(n)
		lim.least = n
	}
}

// bound keeps one comparison. Bounds that exclude their number move by one, which
// is right for whole numbers and safe for others.
func (lim *limits) bound(op string, n float64) {
	switch op {
	case ">":
		n++
	case "<":
		n--
	}
	if strings.HasPrefix(op, ">") {
		if lim.min == nil || n > *lim.min {
			lim.min = &n
		}
	} else if lim.max == nil || n < *lim.max {
		lim.max = &n
	}
}

// clamp moves a range into the limits; scale is the number of decimals of lo and hi.
func (lim limits) clamp(lo, hi int64, scale int) (int64, int64) {
	p := pow10(scale)
	if lim.min != nil {
		if lo = max(lo, int64(*lim.min*p)); hi < lo {
			hi = lo + 1000*powers[scale]
		}
	}
	if lim.max != nil {
		if hi = min(hi, int64(*lim.max*p)); lo > hi {
			lo = hi
			if lim.min != nil {
				lo = int64(*lim.min * p)
			}
		}
	}
	return lo, hi
}

// nameWords splits a name into lower-case words: user_id, userId, UserID.
func nameWords(name string) []string {
	var words []string
	word := []byte{}
	flush := func() {
		if len(word) > 0 {
			words = append(words, strings.ToLower(string(word)))
			word = word[:0]
		}
	}
	for i := range len(name) {
		c := name[i]
		upper := 'A' <= c && c <= 'Z'
		nextLower := i+1 < len(name) && 'a' <= name[i+1] && name[i+1] <= 'z'
		prevUpper := i > 0 && 'A' <= name[i-1] && name[i-1] <= 'Z'
		switch {
		case !isWord(c) || c == '_':
			flush()
			continue
		case upper && (!prevUpper || nextLower):
			flush()
		}
		word = append(word, c)
	}
	flush()
	return words
}

func anyWord(words []string, of ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(of, w) })
}
