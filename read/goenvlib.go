package read

import (
	"go/ast"
	"go/token"
	"strconv"

	"github.com/premortem/premortem"
)

// viper reads BindEnv("key", "NAME"…). The file that viper also reads may hold the
// value, so nothing is required.
func (r *goReader) viper(c *ast.CallExpr, name string) {
	switch name {
	case "BindEnv", "MustBindEnv":
		for _, a := range c.Args[min(1, len(c.Args)):] {
			if s, ok := r.text(a); ok {
				r.program.read(s, premortem.EnvOpt, r.line(c))
			}
		}
	case "AutomaticEnv":
		r.program.read("*", premortem.EnvDyn, r.line(c))
	}
}

// cliFlag reads urfave/cli's EnvVars: []string{"X"}.
func (r *goReader) cliFlag(lit *ast.CompositeLit) {
	var names []string
	line, class := 0, premortem.EnvOpt
	for _, e := range lit.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		switch key := goName(kv.Key); key {
		case "EnvVars", "EnvVar", "Sources":
			line = r.line(kv)
			ast.Inspect(kv.Value, func(n ast.Node) bool {
				if b, ok := n.(*ast.BasicLit); ok && b.Kind == token.STRING {
					if s, err := strconv.Unquote(b.Value); err == nil && upperEnv.MatchString(s) {
						names = append(names, s)
					}
				}
				return true
			})
		case "Required":
			if goName(kv.Value) == "true" {
				class = premortem.EnvBoot
			}
		}
	}
	if len(names) > 1 {
		class = premortem.EnvOpt // any of them will do
	}
	for _, n := range names {
		r.program.read(n, class, line)
	}
}
