package premortem

import "time"

// Table is a table after all migrations.
type Table struct {
	Name    string    `json:"name"` // without "public."
	Pos     Pos       `json:"pos"`
	Columns []Column  `json:"columns"`
	Indexes []Index   `json:"indexes"`
	Foreign []Foreign `json:"foreign"`
}

// Column is one column of a table.
type Column struct {
	Name    string `json:"name"`
	Type    string `json:"type"` // as written, lower case
	NotNull bool   `json:"not_null"`
	Default string `json:"default,omitempty"`
	Pos     Pos    `json:"pos"`
}

// Index is an index, a primary key or a unique constraint.
type Index struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"` // in order; expressions as normalised text: "lower(email)"
	Unique  bool     `json:"unique"`
	Primary bool     `json:"primary"`
	Where   string   `json:"where,omitempty"`
	Method  string   `json:"method,omitempty"` // "" is btree
	Pos     Pos      `json:"pos"`
}

// Foreign is a foreign key.
type Foreign struct {
	Columns    []string `json:"columns"`
	RefTable   string   `json:"ref_table"`
	RefColumns []string `json:"ref_columns"`
	OnDelete   string   `json:"on_delete,omitempty"`
	Pos        Pos      `json:"pos"`
}

// Column returns the named column, nil if the table has none.
func (t *Table) Column(name string) *Column {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return &t.Columns[i]
		}
	}
	return nil
}

// Migration is one file that changes the schema, in the order of application.
type Migration struct {
	Pos    Pos    `json:"pos"`
	Runner string `json:"runner"` // "sql", "sequelize", …
	// Dialect is "postgres", "mysql", "sqlite", …; "" where nothing in it tells.
	Dialect string `json:"dialect"`
	// Statements are what it does, in order; nil when its language is not understood.
	Statements []Statement `json:"statements"`
	// LockTimeout is the line that sets lock_timeout for it.
	LockTimeout Setting[string] `json:"lock_timeout"`
}

// Query is a database call found in the code.
type Query struct {
	Service Node   `json:"service"`
	Pos     Pos    `json:"pos"`
	Quote   string `json:"quote"` // the source line, trimmed
	SQL     string `json:"sql"`   // as written or as the ORM would write it; "" when unknown
	Op      string `json:"op"`    // "select", "insert", "update", "delete", ""
	Table   string `json:"table"` // the table of Predicates, "" unknown
	// Predicates are the columns or expressions that are compared for equality or
	// range, normalised as in Index.Columns.
	Predicates []Predicate `json:"predicates"`
	Order      []string    `json:"order,omitempty"`
	Limit      bool        `json:"limit"`
	Offset     bool        `json:"offset"`
	// Awaited is false only where the promise is used as if it were its value.
	Awaited bool `json:"awaited"`
	// Call is how the line calls it where it is not awaited: "User.findByPk". Async is
	// true where await may be written there.
	Call   string `json:"call,omitempty"`
	Async  bool   `json:"async,omitempty"`
	InLoop bool   `json:"in_loop"` // inside a loop over another query's rows
	Loop   Pos    `json:"loop"`    // that loop
	All    bool   `json:"all"`     // every row that matches is held in memory at once
}

// Predicate is one comparison.
type Predicate struct {
	Expr string `json:"expr"` // "email" or "lower(email)"
	Op   string `json:"op"`   // "=", "<", "like", "in", …; "= constant" with a value that stands in the code
	Pos  Pos    `json:"pos"`
}

// Route is an HTTP route that a service answers.
type Route struct {
	Service Node   `json:"service"`
	Method  string `json:"method"`
	Path    string `json:"path"` // with its mount prefixes: "/api/orders/:id"
	Pos     Pos    `json:"pos"`
	End     int    `json:"end"` // last line of its handler, 0 unknown
}

// Name is "GET /api/orders/:id".
func (r *Route) Name() string { return r.Method + " " + r.Path }

// Journey is what one kind of user does.
type Journey struct {
	Name   string  `json:"name"`
	Weight float64 `json:"weight"`
	Steps  []Step  `json:"steps"`
	Pos    Pos     `json:"pos"`
}

// Step is one request or one pause of a journey. Exactly one of Think and Request
// is set.
type Step struct {
	Think   time.Duration `json:"think,omitempty"`
	Request *Request      `json:"request,omitempty"`
	Pos     Pos           `json:"pos"`
}

// Request is one HTTP request of a journey. Path, header values and bodies may hold
// "${rows.TABLE.COLUMN}" (a row that exists, the same one for a whole session) and
// "${name}" (a value kept from an earlier answer of the session).
type Request struct {
	Method  string   `json:"method"`
	Path    string   `json:"path"`
	Route   string   `json:"route"` // what its samples are called: "GET /api/orders/:id"
	Service Node     `json:"service"`
	Headers []Header `json:"headers,omitempty"`
	Body    string   `json:"body,omitempty"` // JSON text for `json:`, else raw
	JSON    bool     `json:"json,omitempty"`
	Expect  int      `json:"expect,omitempty"` // status; 0 means any below 400
	Keep    []Keep   `json:"keep,omitempty"`
	Checks  []Check  `json:"checks,omitempty"`
}

// Header is one request header.
type Header struct{ Name, Value string }

// Keep takes a value from an answer: "$.token" (JSON), "header:X-Id", "cookie:sid",
// "form:csrf" (an input of a page), "meta:csrf" (a meta element of a page), or
// "regex:id=(\d+)" (the first group).
type Keep struct{ Name, From string }

// Check is what an answer must hold beyond its status: Is at From, which is written as
// in Keep, or anything at all when Is is "".
type Check struct{ From, Is string }
