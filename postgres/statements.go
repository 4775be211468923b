package postgres

// Statement is one statement of a script.
type Statement struct {
	Text   string // without its semicolon and without leading comments
	Offset int    // of its first byte in the script
}

// Statements cuts a script at the semicolons that end a statement, as Migrate does.
func Statements(script string) []Statement {
	var out []Statement
	for _, s := range split(script) {
		out = append(out, Statement{Text: s.code, Offset: s.start})
	}
	return out
}
