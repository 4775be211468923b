package postgres

import "strings"

// Schema is what a database's catalog says, sorted by table name.
type Schema struct {
	Major  int
	Tables []*Table
}

// Table is an ordinary or partitioned table.
type Table struct {
	Name    string // without "public."
	Schema  string
	Local   string // without any schema
	Columns []Column
	Keys    []Key // the primary key first
	Foreign []Foreign
	Checks  []Check
	Indexes []Index
	// Partitioned tables hold their rows in others, their leaves.
	Partitioned bool
	Leaf        bool
	Confined    map[string]Confines // of partition keys, by column
	Rows        int64               // that were there when the catalog was read; counted up to keptMax+1
	// Kept are the values of key columns in those rows, by column, as text: present
	// when other tables point here and there are at most keptMax rows.
	Kept map[string][]string
}

// Column is one column.
type Column struct {
	Name      string
	Type      string // as PostgreSQL writes it: "character varying(255)"
	Base      string // name of the underlying type, domains resolved: "varchar", "int8", "_text"
	OID       uint32 // of the underlying type
	Typmod    int32  // -1 none
	NotNull   bool
	Identity  string   // "a" always, "d" by default, "" none
	Generated bool     // computed from other columns
	Default   string   // expression, "" none
	Sequence  string   // qualified name of the sequence that numbers it, "" none
	Labels    []string // of an enum, or of an array's enum
	Elem      string   // name of an array's element type, "" not an array
	ElemOID   uint32
}

// Key is a primary key, a unique constraint or a unique index.
type Key struct {
	Name    string
	Columns []string // all columns it depends on, also inside expressions
	Primary bool
	Plain   bool // the columns themselves are unique, without expressions and predicate
}

// Foreign is a foreign key.
type Foreign struct {
	Name       string
	Columns    []string
	RefTable   string // Table.Name
	RefColumns []string
}

// Check is a check constraint, of the table or of a column's domain.
type Check struct {
	Name    string
	Columns []string // empty for a domain's, whose column is Of
	Of      string
	Text    string // as PostgreSQL writes it
}

// Index is any index, also those behind constraints.
type Index struct {
	Name       string
	Definition string
	Unique     bool
	Primary    bool
	Constraint bool // belongs to a constraint
}

// Table returns the named table, with or without "public.", nil if there is none.
func (s *Schema) Table(name string) *Table {
	name = strings.TrimPrefix(name, "public.")
	for _, t := range s.Tables {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// Column returns the named column, nil if the table has none.
func (t *Table) Column(name string) *Column {
	if i := t.column(name); i >= 0 {
		return &t.Columns[i]
	}
	return nil
}

func (t *Table) column(name string) int {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return i
		}
	}
	return -1
}

// quoted is the table's name in SQL.
func (t *Table) quoted() string { return quoteIdent(t.Schema) + "." + quoteIdent(t.Local) }
