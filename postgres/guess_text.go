package postgres

import (
	"slices"
	"strconv"
	"strings"
)

var (
	firstNames = strings.Fields(`Ada Alan Amara Anna Ben Carla Chen Clara Daniel Diego Elena Emil Emma Erik Eva Farid
		Felix Fiona Grace Hana Hugo Ines Ivan Jack Jana Jonas Julia Kai Karim Lara Leo Lena Lucas Maria Marco Mia
		Mila Nadia Nina Noah Nora Oscar Paul Petra Priya Rosa Ruben Sam Sara Sofia Tariq Tom Uma Vera Victor Wanda
		Yara Yuki Zoe Omar Olga Ravi Lin Max`)
	lastNames = strings.Fields(`Adams Ahmed Alvarez Baker Bauer Becker Berg Brown Carter Chen Costa Cruz Diaz Dubois
		Evans Fischer Fox Garcia Gomez Gray Green Haas Hall Hansen Hill Ito Jensen Jones Kaya Keller Khan Kim King Klein
		Kovacs Lang Lee Lopez Martin Meyer Mori Moreau Nagy Novak Olsen Patel Perez Petrov Reed Rossi Roy Santos Sato Shah
		Silva Singh Smith Stone Tanaka Vogel Walker Weber White Wolf`)
	plainWords = strings.Fields(`able about above across after again against air all almost along also amber anchor
		apple around autumn back basket beach before begin below bird black blue board book both bottle bright bring build
		call carry center chair change city clear clock close cloud color come copper corner country cover cross dark
		day deep delta door down draw dream early earth east easy edge every field fire first five floor follow forest
		four free fresh front full garden glass gold good grand grass great green ground group hand harbor heart
		heavy high hill home honey hour house ice idea inside iron island join keep key kind lake land large last
		late leaf leave left level light line little live long look main maple market meet metal mind moon more morning
		mountain move near never new next night north note ocean often old open orange order other over page paper
		part path pine place plain plan plant point power quick quiet rain reach ready red rest right river road rock
		roof room root rose round run salt sand sea season second seed shade shape sharp ship short side silver simple
		sky slow small smooth snow soft song south space spring square stand star start stay steel still stone store
		storm straight street strong summer sun sure swift table tall tea ten thing three time top town trade train
		tree true turn under unit upper valley view voice walk wall warm water wave way west wheel white wide wild wind
		window winter wood word work world yard year yellow young zero`)
	cities     = strings.Fields(`Amsterdam Athens Berlin Bern Boston Brisbane Cairo Chicago Delhi Denver Dublin Geneva Hamburg Helsinki Istanbul Kyoto Lagos Lima Lisbon London Lyon Madrid Milan Montreal Munich Nairobi Osaka Oslo Paris Porto Prague Quito Rome Seoul Sydney Tokyo Toronto Vienna Warsaw Zurich`)
	countries  = strings.Fields(`US DE GB FR IN BR JP CA AU ES IT NL SE PL MX KR`)
	currencies = strings.Fields(`USD EUR GBP JPY CHF SEK`)
	mailHosts  = []string{"@example.com", "@example.org", "@example.net"} // RFC 2606: nobody's
)

// wording makes text by the column's name.
func (w *want) wording() (source, error) {
	if w.lim.chars == 1 && w.c.Base == "bpchar" {
		return w.oneOf(strings.Fields("A B C D"))
	}
	if w.unique {
		return w.sized(w.distinct()), nil
	}
	is := func(words ...string) bool { return anyWord(w.words, words...) }
	switch {
	case is("status", "state", "phase") && !is("address", "shipping", "billing"):
		return w.listed("pending active completed failed cancelled archived")
	case is("role"):
		return w.listed("user admin editor viewer")
	case is("type", "kind", "category", "level", "tier", "plan", "source", "channel", "method", "provider", "group", "segment", "class"):
		return w.listed("standard basic premium internal external other")
	case is("priority", "severity"):
		return w.listed("normal low high urgent")
	case is("gender", "sex"):
		return w.listed("female male other")
	case is("country"):
		return w.oneOf(countries)
	case is("currency"):
		return w.oneOf(currencies)
	case is("locale", "language", "lang"):
		return w.listed("en de fr es pt ja")
	case is("timezone", "tz"):
		return w.listed("UTC Europe/Berlin America/New_York Asia/Tokyo Asia/Kolkata")
	case is("city", "town"):
		return w.oneOf(cities)
	case is("color", "colour"):
		return w.listed("black white red blue green")
	case is("mime") || is("content") && is("type"):
		return w.listed("image/png image/jpeg application/pdf text/plain")
	}
	return w.sized(w.free()), nil
}

// listed draws from a few words, the column's default first; words that do not fit
// are left out.
func (w *want) listed(list string) (source, error) {
	words := strings.Fields(list)
	if def, ok := constant(w.c.Default); ok && def != "" && !slices.Contains(words, def) {
		words = append([]string{def}, words...)
	}
	if w.lim.chars > 0 {
		words = slices.DeleteFunc(words, func(s string) bool { return len(s) > w.lim.chars })
	}
	if len(words) == 0 || w.lim.least > 0 {
		return w.sized(w.free()), nil
	}
	return w.oneOf(words)
}

// sized keeps a text within the limits.
func (w *want) sized(make write) source {
	if least := w.lim.least; least > 0 {
		inner := make
		make = func(dst []byte, row int64) []byte {
			from := len(dst)
			for dst = inner(dst, row); len(dst)-from < least; {
				dst = append(dst, 'x')
			}
			return dst
		}
	}
	return texts{write: make, max: w.lim.chars}
}

// distinct makes texts that differ by the row's number, which comes first where
// little room is left.
func (w *want) distinct() write {
	is := func(words ...string) bool { return anyWord(w.words, words...) }
	key := w.key
	digits := len(strconv.FormatInt(w.to+w.shift, 36))
	room := w.lim.chars
	if room == 0 {
		room = 1 << 20
	}
	switch {
	case is("email", "mail") && room >= 40:
		return w.email()
	case is("uuid", "guid") && room >= 36:
		return uuids{key: key}.text
	case is("token", "secret", "key", "hash", "session", "sid", "nonce", "jti") && room >= 32:
		return func(dst []byte, row int64) []byte { return appendHex(dst, noise(key, row), mix(noise(key, row))) }
	case is("phone", "mobile") && room >= 14:
		return func(dst []byte, row int64) []byte { return appendPadded(append(dst, "+1555"...), w.number(row), 8) }
	case is("username", "login", "handle", "nickname", "slug") && room >= 32:
		return func(dst []byte, row int64) []byte {
			h := noise(key, row)
			dst = appendLower(dst, pick(firstNames, h))
			dst = append(dst, '-')
			dst = append(dst, pick(plainWords, h>>20)...)
			return strconv.AppendInt(append(dst, '-'), w.number(row), 10)
		}
	case is("sku", "code", "number", "reference", "ref", "no") && room >= 5+digits+8:
		prefix := strings.ToUpper(w.words[0])
		prefix = prefix[:min(len(prefix), 4)] + "-"
		return func(dst []byte, row int64) []byte { return appendPadded(append(dst, prefix...), w.number(row), 7) }
	case room >= 24+digits:
		return func(dst []byte, row int64) []byte {
			h := noise(key, row)
			dst = append(dst, pick(plainWords, h)...)
			dst = append(append(dst, '-'), pick(plainWords, h>>20)...)
			return strconv.AppendInt(append(dst, '-'), w.number(row), 10)
		}
	}
	return func(dst []byte, row int64) []byte { return strconv.AppendInt(dst, w.number(row), 36) }
}

func (w *want) email() write {
	key := w.key
	return func(dst []byte, row int64) []byte {
		h := noise(key, row)
		dst = appendLower(dst, pick(firstNames, h))
		dst = appendLower(append(dst, '.'), pick(lastNames, h>>16))
		dst = strconv.AppendInt(dst, w.number(row), 10)
		return append(dst, pick(mailHosts, h>>40)...)
	}
}

// free makes texts that may repeat.
func (w *want) free() write {
	for _, family := range []func() write{w.personal, w.technical} {
		if made := family(); made != nil {
			return made
		}
	}
	switch {
	case anyWord(w.words, "description", "body", "content", "text", "message", "comment", "note", "notes", "bio", "summary", "details", "payload"):
		return prose(w.key, 12, 40)
	case anyWord(w.words, "title", "subject", "headline", "name", "label", "company", "organization"):
		return prose(w.key, 2, 3)
	}
	return prose(w.key, 2, 4)
}

// people are the names of tables whose rows are persons.
var people = strings.Fields(`users user customers customer accounts people persons members employees contacts patients authors drivers students profiles`)

// personal makes what belongs to a person; nil for other columns.
func (w *want) personal() write {
	key := w.key
	is := func(words ...string) bool { return anyWord(w.words, words...) }
	switch {
	case is("email", "mail"):
		return w.email()
	case is("first", "given", "forename"):
		return named(key, firstNames)
	case is("last", "surname", "family"):
		return named(key, lastNames)
	case is("customer", "author", "contact", "fullname"), is("name") && anyWord(nameWords(w.t.Local), people...):
		return func(dst []byte, row int64) []byte {
			h := noise(key, row)
			dst = append(dst, pick(firstNames, h)...)
			return append(append(dst, ' '), pick(lastNames, h>>16)...)
		}
	case is("username", "login", "handle", "nickname"):
		return w.distinct()
	case is("phone", "mobile", "fax"):
		return func(dst []byte, row int64) []byte {
			return appendPadded(append(dst, "+1555"...), below(noise(key, row), 1e8), 8)
		}
	case is("zip", "postal", "postcode"):
		return func(dst []byte, row int64) []byte { return appendPadded(dst, below(noise(key, row), 100_000), 5) }
	case is("address", "street", "line1", "line2") && !is("ip"):
		return func(dst []byte, row int64) []byte {
			h := noise(key, row)
			dst = append(strconv.AppendInt(dst, 1+below(h, 200), 10), ' ')
			return append(append(dst, pick(lastNames, h>>8)...), " Street"...)
		}
	}
	return nil
}

// technical makes what programs write for programs; nil for other columns.
func (w *want) technical() write {
	key := w.key
	is := func(words ...string) bool { return anyWord(w.words, words...) }
	switch {
	case is("password", "passwd", "hash", "digest"):
		return func(dst []byte, row int64) []byte {
			h := noise(key, row)
			dst = append(dst, "$2b$10$"...)
			return appendHex(dst, h, mix(h), mix(h+1))
		}
	case is("token", "secret", "key", "session", "sid", "nonce", "fingerprint", "checksum", "etag"):
		return func(dst []byte, row int64) []byte { return appendHex(dst, noise(key, row), mix(noise(key, row))) }
	case is("slug"):
		return w.distinct()
	case is("url", "uri", "link", "href", "image", "avatar", "photo", "picture", "website", "thumbnail"):
		return func(dst []byte, row int64) []byte {
			h := noise(key, row)
			dst = append(append(dst, "https://example.com/"...), pick(plainWords, h)...)
			return strconv.AppendInt(append(dst, '/'), below(mix(h), 100_000), 10)
		}
	case is("ip"):
		return addresses{key: key}.text
	case is("intent", "reference", "ref", "external", "uid", "id", "code", "number", "sku"):
		return func(dst []byte, row int64) []byte {
			dst = append(append(dst, w.words[0][:min(len(w.words[0]), 3)]...), '_')
			return appendHex(dst, noise(key, row))
		}
	case is("agent") && is("user"):
		return func(dst []byte, row int64) []byte {
			dst = append(dst, "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/"...)
			return strconv.AppendInt(dst, 100+below(noise(key, row), 50), 10)
		}
	}
	return nil
}

func named(key uint64, names []string) write {
	return func(dst []byte, row int64) []byte { return append(dst, pick(names, noise(key, row))...) }
}

// prose strings together at least least and less than least+most words.
func prose(key uint64, least, most int64) write {
	return func(dst []byte, row int64) []byte {
		h := noise(key, row)
		n := least + below(h, most)
		for i := range n {
			if i%5 == 0 {
				h = mix(h + golden)
			}
			if i > 0 {
				dst = append(dst, ' ')
			}
			dst = append(dst, plainWords[int(h>>(i%5*12)&0xfff)*len(plainWords)>>12]...)
		}
		return dst
	}
}

// document makes small objects, or lists where the default is one.
func (w *want) document() write {
	key := w.key
	if def, _ := constant(w.c.Default); strings.HasPrefix(def, "[") {
		return func(dst []byte, row int64) []byte {
			h := noise(key, row)
			dst = append(append(dst, `["`...), pick(plainWords, h)...)
			return append(append(append(dst, `", "`...), pick(plainWords, h>>20)...), `"]`...)
		}
	}
	return func(dst []byte, row int64) []byte {
		h := noise(key, row)
		dst = strconv.AppendInt(append(dst, `{"id": `...), w.number(row), 10)
		dst = append(append(dst, `, "name": "`...), pick(plainWords, h)...)
		dst = append(append(dst, `", "tags": ["`...), pick(plainWords, h>>20)...)
		dst = append(append(append(dst, `", "`...), pick(plainWords, h>>40)...), `"], "score": `...)
		return append(strconv.AppendInt(dst, below(mix(h), 100), 10), '}') // keys as jsonb orders them
	}
}

// pick chooses by the low 16 bits of h.
func pick(from []string, h uint64) string { return from[int(h&0xffff)*len(from)>>16] }

func appendLower(dst []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

func appendHex(dst []byte, hs ...uint64) []byte {
	for _, h := range hs {
		for shift := 60; shift >= 0; shift -= 4 {
			dst = append(dst, hexDigits[h>>shift&15])
		}
	}
	return dst
}

func appendPadded(dst []byte, n int64, width int) []byte {
	from := len(dst)
	dst = strconv.AppendInt(dst, n, 10)
	for missing := width - (len(dst) - from); missing > 0; missing-- {
		dst = append(dst, 0)
		copy(dst[from+1:], dst[from:])
		dst[from] = '0'
	}
	return dst
}
