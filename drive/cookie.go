package drive

import (
	"net/http"
	"strings"
)

// jar holds a session's cookies. Hosts are not told apart: the services of a clone
// stand for one site, and all of them are this machine. Secure cookies are sent over
// the clone's plain HTTP, because production is not.
type jar []cookie

type cookie struct{ name, value, path string }

// sentTo reports whether a cookie goes with a request (RFC 6265, section 5.1.4).
func (c *cookie) sentTo(path string) bool {
	if c.path == "" || c.path == "/" {
		return true
	}
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(c.path, "/"))
	return ok && (rest == "" || rest[0] == '/' || rest[0] == '?')
}

// set follows one Set-Cookie header. One that has expired is taken out.
func (j jar) set(line string) jar {
	c, err := http.ParseSetCookie(line)
	if err != nil {
		return j
	}
	gone := c.MaxAge < 0 || !c.Expires.IsZero() && c.MaxAge == 0 && c.Expires.Year() < 2000
	for i := range j {
		if j[i].name == c.Name && j[i].path == c.Path {
			if gone {
				return append(j[:i], j[i+1:]...)
			}
			j[i].value = c.Value
			return j
		}
	}
	if gone {
		return j
	}
	return append(j, cookie{c.Name, c.Value, c.Path})
}

// parseCookie reads the name and value of a Set-Cookie header.
func parseCookie(line string) (cookie, bool) {
	c, err := http.ParseSetCookie(line)
	if err != nil {
		return cookie{}, false
	}
	return cookie{name: c.Name, value: c.Value}, true
}
