package wire

import "bytes"

const maxRoute = 480 // bytes of a path that are looked at

// appendRoute appends the path of a request target, with :id for what names one thing.
func appendRoute(dst, target []byte) []byte {
	path := target
	if i := bytes.Index(path, []byte("://")); i >= 0 && path[0] != '/' {
		path = path[i+3:] // absolute form, as proxies are asked
		if i = bytes.IndexByte(path, '/'); i < 0 {
			return append(dst, '/')
		}
		path = path[i:]
	}
	if i := bytes.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	cut := len(path) > maxRoute
	path = path[:min(len(path), maxRoute)]
	for len(path) > 0 {
		i := bytes.IndexByte(path[1:], '/') + 1
		if i == 0 {
			i = len(path)
		}
		if path[0] == '/' && isID(path[1:i]) {
			dst = append(dst, "/:id"...)
		} else {
			dst = append(dst, path[:i]...)
		}
		path = path[i:]
	}
	if cut {
		dst = append(dst, "…"...)
	}
	return dst
}

// isID reports whether a segment of a path looks like the name of one thing: a number,
// a UUID, 16 or more hexadecimal digits, 20 or more letters and digits mixed, or a
// prefix and 14 or more of them ("cus_NffrFeUfNV2Hib").
func isID(s []byte) bool {
	if len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' {
		return hexDigits(s[:8]) && hexDigits(s[9:13]) && hexDigits(s[14:18]) && hexDigits(s[19:23]) && hexDigits(s[24:])
	}
	if i := bytes.LastIndexByte(s, '_'); i > 0 {
		letters, digits, other := contents(s[i+1:])
		return letters+digits >= 14 && digits > 0 && !other
	}
	letters, digits, other := contents(s)
	switch {
	case other || digits == 0:
		return false
	case letters == 0:
		return true
	case letters+digits >= 20:
		return true
	}
	return len(s) >= 16 && hexDigits(s)
}

func hexDigits(s []byte) bool {
	for _, c := range s {
		if _, ok := unhex(c); !ok {
			return false
		}
	}
	return true
}

func contents(s []byte) (letters, digits int, other bool) {
	for _, c := range s {
		switch {
		case isDigit(c):
			digits++
		case c|0x20 >= 'a' && c|0x20 <= 'z':
			letters++
		default:
			other = true
		}
	}
	return letters, digits, other
}
