package postgres

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/premortem/premortem"
)

// ProfileSchema is what a profile's file calls itself.
const ProfileSchema = "premortem/profile/v1"

// Profile is what the planner knows about a database: sizes and statistics, never a
// row. It is made from the catalogs alone. Fields may be added within v1; none is
// renamed or removed. Lists keep the catalog's order, because the planner breaks
// equal costs by it. A Profile is not changed after it was made, so it may be shared.
type Profile struct {
	Schema     string            `json:"schema"` // ProfileSchema
	Server     ServerStats       `json:"server"`
	Settings   map[string]string `json:"settings"` // the planner's, as SHOW prints them
	Relations  []RelationStats   `json:"relations"`
	Attributes []AttributeStats  `json:"attributes"`
	Foreign    []ForeignStats    `json:"foreign"`
	Columns    []ColumnStats     `json:"columns"`
	Extended   []ExtendedStats   `json:"extended"`
	Enums      []EnumStats       `json:"enums"`
	Sequences  []SequenceStats   `json:"sequences"`
	Statements []StatementText   `json:"statements"` // heaviest first
	// TransactionAge is age(datfrozenxid): transactions since the oldest that is not
	// frozen. 0 unknown.
	TransactionAge int64 `json:"transaction_age"`
	DatabaseBytes  int64 `json:"database_bytes"`
	// Missing are what could not be read, one sentence each.
	Missing []string `json:"missing"`

	// Of an exported profile:
	Values      string           `json:"values,omitempty"` // Pseudonyms, or "" the server's own
	Left        []string         `json:"left,omitempty"`   // what left the database, one sentence each
	Definitions []DefinitionText `json:"definitions,omitempty"`
}

// Pseudonyms are what stands in an exported profile for the values of columns.
const Pseudonyms = "pseudonyms"

// DefinitionText is a default, a constraint or an index as the server writes it, with
// its literals masked.
type DefinitionText struct {
	Schema string `json:"schema"`
	Table  string `json:"table"`
	Kind   string `json:"kind"` // "default", "constraint", "index"
	Name   string `json:"name"` // of the column, for a default
	Text   string `json:"text"`
}

// ServerStats say what made the statistics: text histograms mean something only
// under the same collation, and formats only in the same major.
type ServerStats struct {
	Version   int    `json:"version"` // server_version_num: 150018
	BlockSize int    `json:"block_size"`
	Encoding  string `json:"encoding"`
	Collate   string `json:"collate"`
	Ctype     string `json:"ctype"`
}

// Major is the server's major version.
func (s ServerStats) Major() int { return s.Version / 10000 }

// RelationStats is one table or index. Pages, Rows and AllVisible are as of the last
// VACUUM or ANALYZE, Blocks is the size now: the planner uses both.
type RelationStats struct {
	Schema     string   `json:"schema"`
	Name       string   `json:"name"`
	Kind       string   `json:"kind"`             // pg_class.relkind: r table, m materialised view, p partitioned, i index, I partitioned index
	Method     string   `json:"method,omitempty"` // "heap", "btree", "gin", …
	Pages      int64    `json:"pages"`            // -1 of a partitioned table
	Rows       float64  `json:"rows"`             // -1 never analyzed
	AllVisible int64    `json:"all_visible"`
	Blocks     int64    `json:"blocks"`
	Bytes      int64    `json:"bytes"` // with TOAST and indexes, of a table
	Options    []string `json:"options,omitempty"`
	Parent     string   `json:"parent,omitempty"` // "schema.name" of the partitioned table or index

	// Of an index:
	TableSchema string    `json:"table_schema,omitempty"`
	Table       string    `json:"table,omitempty"`
	Unique      bool      `json:"unique,omitempty"`
	Primary     bool      `json:"primary,omitempty"`
	Partial     bool      `json:"partial,omitempty"`
	KeyColumns  int       `json:"key_columns,omitempty"` // without INCLUDE
	Keys        []int     `json:"keys,omitempty"`        // attribute numbers, 0 an expression
	Height      *int      `json:"height,omitempty"`      // of a B-tree; nil it is estimated
	GIN         *GINStats `json:"gin,omitempty"`         // nil unknown
	Revmap      *int64    `json:"revmap,omitempty"`      // of a BRIN index: its last range map page; nil it is computed
}

func (r *RelationStats) isIndex() bool { return r.Kind == "i" || r.Kind == "I" }

// GINStats are the counters in the meta page of a GIN index.
type GINStats struct {
	Pending int64 `json:"pending"`
	Total   int64 `json:"total"`
	Entry   int64 `json:"entry"`
	Data    int64 `json:"data"`
	Entries int64 `json:"entries"`
}

// AttributeStats is a column of a table as the catalog declares it.
type AttributeStats struct {
	Schema   string `json:"schema"`
	Table    string `json:"table"`
	Name     string `json:"name"`
	Number   int    `json:"number"`
	Type     string `json:"type"`     // "character varying(80)"
	Kind     string `json:"kind"`     // pg_type.typtype of the base type: b, e, r, …
	Category string `json:"category"` // pg_type.typcategory of the base type
	NotNull  bool   `json:"not_null"`
	Target   int    `json:"target,omitempty"`   // statistics target of its own, 0 the default
	Sequence string `json:"sequence,omitempty"` // "schema.name" of what numbers it
}

// ForeignStats is a foreign key.
type ForeignStats struct {
	Schema     string   `json:"schema"`
	Table      string   `json:"table"`
	Columns    []string `json:"columns"`
	RefSchema  string   `json:"ref_schema"`
	RefTable   string   `json:"ref_table"`
	RefColumns []string `json:"ref_columns"`
}

// ColumnStats is one row of pg_stats: of a column, of an index expression, or of a
// column over all partitions. Lists of values are array literals in the column's type.
type ColumnStats struct {
	Schema       string  `json:"schema"`
	Table        string  `json:"table"` // the index, for an expression
	Name         string  `json:"name"`
	Number       int     `json:"number"`
	OfIndex      bool    `json:"of_index,omitempty"`
	Inherited    bool    `json:"inherited,omitempty"`
	NullFraction float32 `json:"null_fraction"`
	Width        int     `json:"width"`
	// Distinct is as in pg_stats: below 0 it is minus a fraction of the rows.
	Distinct      float32   `json:"distinct"`
	Correlation   *float32  `json:"correlation,omitempty"`
	Common        string    `json:"common,omitempty"` // "" none
	CommonShares  []float32 `json:"common_shares,omitempty"`
	Bounds        string    `json:"bounds,omitempty"` // histogram
	Elements      string    `json:"elements,omitempty"`
	ElementShares []float32 `json:"element_shares,omitempty"`
	ElementCounts []float32 `json:"element_counts,omitempty"`
	RangeLengths  string    `json:"range_lengths,omitempty"`
	RangeEmpty    *float32  `json:"range_empty,omitempty"`
	RangeBounds   string    `json:"range_bounds,omitempty"`
}

// ExtendedStats is one CREATE STATISTICS object in the server's stored form, base64
// in JSON.
type ExtendedStats struct {
	Schema       string `json:"schema"`
	Name         string `json:"name"`
	TableSchema  string `json:"table_schema"`
	Table        string `json:"table"`
	Inherited    bool   `json:"inherited,omitempty"`
	Distinct     []byte `json:"distinct,omitempty"`
	Dependencies []byte `json:"dependencies,omitempty"`
	Common       []byte `json:"common,omitempty"`
}

// EnumStats is an enum's labels with the object ids that extended statistics hold.
type EnumStats struct {
	Schema string            `json:"schema"`
	Type   string            `json:"type"`
	OID    uint32            `json:"oid"`
	Labels map[string]uint32 `json:"labels"`
}

// SequenceStats is how far a sequence has come.
type SequenceStats struct {
	Name      string `json:"name"` // "schema.name"
	Last      int64  `json:"last"` // 0 never used or unreadable
	Max       int64  `json:"max"`
	Increment int64  `json:"increment"`
	Cycles    bool   `json:"cycles,omitempty"`
}

// StatementText is a normalised statement of pg_stat_statements.
type StatementText struct {
	Text  string  `json:"text"`
	Calls int64   `json:"calls"`
	Total float64 `json:"total"` // seconds of execution
	Rows  int64   `json:"rows"`
}

// Relation returns a table or index, nil if there is none.
func (p *Profile) Relation(schema, name string) *RelationStats {
	for i := range p.Relations {
		if r := &p.Relations[i]; r.Name == name && r.Schema == schema {
			return r
		}
	}
	return nil
}

// LoadProfile reads a profile's file. Errors are *premortem.Error.
func LoadProfile(file string) (*Profile, error) {
	const hint = "premortem profile writes such a file"
	doing := "read the profile " + file
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, &premortem.Error{Doing: doing, Err: err, Hint: hint}
	}
	var p Profile
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, &premortem.Error{Doing: doing, Err: err, Hint: hint}
	}
	if p.Schema != ProfileSchema {
		return nil, &premortem.Error{Doing: doing, Err: fmt.Errorf("its schema is %q, not %q", p.Schema, ProfileSchema), Hint: hint}
	}
	if err := p.check(); err != nil {
		return nil, &premortem.Error{Doing: doing, Err: err, Hint: "the file is damaged or was edited; make it again"}
	}
	return &p, nil
}

// check refuses what no server says.
func (p *Profile) check() error {
	if m := p.Server.Major(); m < Oldest || m > Newest {
		return fmt.Errorf("it is of PostgreSQL %d; %d to %d are understood", m, Oldest, Newest)
	}
	if p.Server.BlockSize != blockSize {
		return fmt.Errorf("its blocks have %d bytes; only %d are understood", p.Server.BlockSize, blockSize)
	}
	if len(p.Relations) == 0 {
		return errors.New("it holds no table")
	}
	for i := range p.Relations {
		r := &p.Relations[i]
		if r.Name == "" || r.Kind == "" || r.Blocks < 0 || r.Pages < -1 || r.Rows != r.Rows || r.Rows < -1 {
			return fmt.Errorf("relation %q has no plausible size", r.Name)
		}
		if r.isIndex() && p.Relation(r.TableSchema, r.Table) == nil {
			return fmt.Errorf("index %q belongs to no table of the profile", r.Name)
		}
	}
	for i := range p.Columns {
		c := &p.Columns[i]
		if p.Relation(c.Schema, c.Table) == nil {
			return fmt.Errorf("statistics of %s.%s belong to no table of the profile", c.Table, c.Name)
		}
		if len(splitArray(c.Common)) != len(c.CommonShares) {
			return fmt.Errorf("statistics of %s.%s have %d common values and %d shares", c.Table, c.Name, len(splitArray(c.Common)), len(c.CommonShares))
		}
	}
	return nil
}
