package drive

import (
	"math"
	"net/url"
	"slices"
	"strings"
)

// secretWords are parts of names whose values are never copied.
var secretWords = []string{"pass", "pwd", "secret", "token", "credential", "auth", "bearer", "session", "cookie", "apikey", "api_key", "api-key",
	"csrf", "xsrf", "jwt", "otp", "nonce", "signature", "private", "card", "cvv", "cvc", "iban", "ssn"}

// secretShort are whole names, or whole words of names.
var secretShort = []string{"sid", "key", "pin", "sig", "code", "state", "pw", "hash"}

// secretName reports whether a field of this name holds what must not be copied.
func secretName(name string) bool {
	low := strings.ToLower(name)
	for _, w := range secretWords {
		if strings.Contains(low, w) {
			return true
		}
	}
	for word := range strings.FieldsFuncSeq(low, func(r rune) bool { return r == '_' || r == '-' || r == '.' || r == '[' || r == ']' }) {
		if slices.Contains(secretShort, word) {
			return true
		}
	}
	return false
}

// secretPrefixes are how well-known credentials begin.
var secretPrefixes = []string{"sk_", "pk_", "rk_", "whsec_", "ghp_", "gho_", "ghs_", "github_pat_", "xox", "AKIA", "ASIA", "AIza", "eyJ", "glpat-", "SG.", "Bearer ", "Basic ", "ya29."}

// secretValue reports whether a text looks like a credential whatever its name is: a
// JSON web token, a key with a known beginning, or 20 or more letters and digits in
// one piece with more than 3 bits each.
func secretValue(v string) bool {
	for _, p := range secretPrefixes {
		if strings.HasPrefix(v, p) && len(v) >= len(p)+8 {
			return true
		}
	}
	if len(v) < 20 || len(v) > 8192 || isUUID(v) {
		return false
	}
	digits, letters := 0, 0
	for i := range len(v) {
		switch c := v[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c|0x20 >= 'a' && c|0x20 <= 'z':
			letters++
		case strings.IndexByte("-_+/=.~:", c) < 0:
			return false
		}
	}
	return digits > 1 && letters > 1 && entropy(v) > 3
}

// entropy is Shannon's, of the bytes of a text, in bits for each.
func entropy(v string) float64 {
	var n [256]float64
	for i := range len(v) {
		n[v[i]]++
	}
	sum := 0.0
	for _, c := range n {
		if c > 0 {
			p := c / float64(len(v))
			sum -= p * math.Log2(p)
		}
	}
	return sum
}

// personal reports whether a text names a person: an address with an @.
func personal(v string) bool {
	i := strings.IndexByte(v, '@')
	return i > 0 && i < len(v)-3 && strings.Contains(v[i:], ".") && !strings.ContainsAny(v, " /\n")
}

// userFields are names of what a person types about themselves, with the column that
// holds it.
var userFields = map[string]string{
	"email": "email", "mail": "email", "e-mail": "email", "emailaddress": "email", "email_address": "email", "username": "username", "user": "username", "login": "login",
	"user_name": "username", "password": "password", "passwd": "password", "pass": "password", "pwd": "password", "password_confirmation": "password",
	"phone": "phone", "first_name": "first_name", "firstname": "first_name", "last_name": "last_name", "lastname": "last_name", "name": "name", "full_name": "name",
}

// userColumn is the column of a person's row that a field is filled from, "" none.
func userColumn(field string) string {
	low := strings.ToLower(field)
	if i := strings.LastIndexAny(strings.TrimSuffix(low, "]"), "[."); i >= 0 {
		low = strings.TrimSuffix(low[i+1:], "]")
	}
	return userFields[low]
}

// isUUID is the form of RFC 9562.
func isUUID(s string) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	return allHex(s[:8]) && allHex(s[9:13]) && allHex(s[14:18]) && allHex(s[19:23]) && allHex(s[24:])
}

func allHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return s != ""
}

// namesOneThing reports whether a segment of a path stands for one thing of many: a
// number, a UUID, 16 or more hexadecimal digits, a date, 20 or more letters and digits
// mixed, a prefix and 14 or more of them, or somebody's address.
func namesOneThing(seg string) bool {
	if strings.IndexByte(seg, '%') >= 0 {
		if plain, err := url.PathUnescape(seg); err == nil {
			seg = plain
		}
	}
	if isUUID(seg) || personal(seg) || isDate(seg) {
		return true
	}
	if i := strings.LastIndexByte(seg, '_'); i > 0 && len(seg)-i > 14 {
		return mixed(seg[i+1:])
	}
	switch {
	case allDigits(seg):
		return true
	case len(seg) >= 16 && allHex(seg):
		return true
	}
	return len(seg) >= 20 && (mixed(seg) || secretValue(seg))
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// mixed reports whether a text is letters and digits alone, with some of each.
func mixed(s string) bool {
	digits := 0
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c|0x20 < 'a' || c|0x20 > 'z':
			return false
		}
	}
	return digits > 0 && digits < len(s)
}

// isDate is 2026-01-31.
func isDate(s string) bool {
	return len(s) == 10 && s[4] == '-' && s[7] == '-' && allDigits(s[:4]) && allDigits(s[5:7]) && allDigits(s[8:])
}
