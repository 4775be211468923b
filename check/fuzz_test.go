package check

import "testing"

func FuzzVersions(f *testing.F) {
	for _, s := range []string{"20", ">=18 <21", "lts/*", "^18 || >=20", "20-alpine", "v1.2.3.4", "18 - 20", "999999999999999999999", "x", "~"} {
		f.Add(s, "20.19.5")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, lang := range []string{"node", "python"} {
			x, y := versionsOf(lang, a), versionsOf(lang, b)
			if disagree(lang, x, y) != disagree(lang, y, x) {
				t.Errorf("%q and %q depend on their order", a, b)
			}
			if disagree(lang, x, x) {
				t.Errorf("%q disagrees with itself", a)
			}
		}
		exact(a)
		major(a)
	})
}

func FuzzExpression(f *testing.F) {
	for _, s := range []string{"lower((email)::text)", "((a))", "u.email desc", `"a"."b"`, "(", ")(", "f(g(x), y)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		parenthesised([]string{expression(s)})
	})
}
