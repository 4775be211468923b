package check

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

var memoryValue = regexp.MustCompile(`(memory:\s*["']?)[0-9.]+[A-Za-z]*`)

var (
	_ = QueryWithoutIndex.plants(plantUnindexed)
	_ = ForeignKeyWithoutIndex.plants(plantUnindexedKeys)
	_ = Int4PrimaryKey.plants(plantShortKeys)
	_ = MissingAwait.plants(plantUnawaited)
	_ = OffsetPagination.plants(plantPaged)
	_ = NoTimeoutOnCall.plants(plantEndless)
	_ = TokenInLog.plants(plantLeaking)
	_ = MigrationDropsUsedColumn.plants(plantDropped)
	_ = MigrationLocksTable.plants(plantLocked)
)

var (
	indexLine   = regexp.MustCompile(`(?i)^\s*create\s+(unique\s+)?index\b.*;\s*$`)
	inlineIndex = regexp.MustCompile(`(?i)\s+unique\b`)
	callIndex   = regexp.MustCompile(`^\s*(await\s+)?(\w+\.)?(index|add_index|addIndex)\(.*\);?\s*$`)
)

// unbuilt is the edit after which an index is not made; none when its statement
// takes more than its line.
func (line Line) unbuilt(ix premortem.Index) []premortem.Edit {
	text, ok := line(ix.Pos)
	switch {
	case !ok || ix.Primary:
		return nil
	case indexLine.MatchString(text), callIndex.MatchString(text):
		return line.gone(ix.Pos)
	case ix.Unique && len(ix.Columns) == 1:
		return line.rewritten(ix.Pos, inlineIndex, "")
	}
	return nil
}

// plantUnindexed drops an index that alone serves a query.
func plantUnindexed(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	for _, t := range sys.Tables {
		for i, ix := range t.Indexes {
			less := *t
			less.Indexes = slices.Delete(slices.Clone(t.Indexes), i, i+1)
			for _, q := range sys.Queries {
				if q.Table == "" || sys.Table(q.Table) != t || !served(q) || !sizeOf(sys, t.Name).large() || !serves(ix, q) {
					continue
				}
				if columns, _ := unserved(&less, q); len(columns) == 0 || q.Op == "insert" {
					continue
				}
				out = append(out, Mutation{
					Says: fmt.Sprintf("dropped the index on %s (%s)", t.Name, strings.Join(ix.Columns, ", ")), Pos: ix.Pos,
					Node: q.Service, Subject: t.Name + " (" + strings.Join(ix.Columns[:1], ""), Edits: line.unbuilt(ix),
				})
			}
		}
	}
	return out
}

func plantUnindexedKeys(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	for _, t := range sys.Tables {
		for _, fk := range t.Foreign {
			q := deletesFrom(sys, fk.RefTable)
			if q == nil || !sizeOf(sys, t.Name).large() {
				continue
			}
			var serving []premortem.Index
			for _, ix := range t.Indexes {
				if leading(ix, fk.Columns) {
					serving = append(serving, ix)
				}
			}
			if len(serving) == 1 {
				out = append(out, Mutation{
					Says: fmt.Sprintf("dropped the index behind the foreign key %s (%s)", t.Name, strings.Join(fk.Columns, ", ")),
					Pos:  serving[0].Pos, Node: q.Service, Subject: t.Name + " (", Edits: line.unbuilt(serving[0]),
				})
			}
		}
	}
	return out
}

var (
	longKey   = regexp.MustCompile(`(?i)\bbig(serial)\b`)
	longKeyAs = regexp.MustCompile(`(?i)\b(bigint|int8)\b`)
)

func plantShortKeys(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	for _, t := range sys.Tables {
		c := keyColumn(t)
		if sz := sizeOf(sys, t.Name); c == nil || sz.insert == nil || sz.small() {
			continue
		}
		e := line.rewritten(c.Pos, longKey, "$1")
		if e == nil {
			e = line.rewritten(c.Pos, longKeyAs, "integer")
		}
		out = append(out, Mutation{Says: "made the key of " + t.Name + " 4 bytes wide", Pos: c.Pos, Edits: e, Node: sizeOf(sys, t.Name).insert.Service, Subject: t.Name})
	}
	return out
}

var awaitedValue = regexp.MustCompile(`(\b(?:const|let|var)\s+\w+\s*=\s*)await\s+`)

func plantUnawaited(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	for _, q := range sys.Queries {
		if q.Awaited && q.Op == "select" && served(q) && q.Pos.Known() {
			out = append(out, Mutation{
				Says: "did not await the query of " + q.Table, Pos: q.Pos, Node: q.Service, Subject: subjectOf(sys, q, callIn(q.Quote)),
				Edits: line.rewritten(q.Pos, awaitedValue, "$1"),
			})
		}
	}
	return out
}

var (
	limitOption = regexp.MustCompile(`\blimit(\s*:|\s*,)`)
	limitSQL    = regexp.MustCompile(`(?i)\blimit\s+(\$\d+|\?|\d+)`)
)

func plantPaged(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	for _, q := range sys.Queries {
		if !q.Limit || q.Offset || q.Op != "select" || !served(q) || (!sizeOf(sys, q.Table).large() && !sizeOf(sys, q.Table).small()) {
			continue
		}
		for at := q.Pos; at.Line < q.Pos.Line+8; at.Line++ {
			e := line.rewritten(at, limitSQL, "limit $1 offset 5000")
			if e == nil {
				e = line.rewritten(at, limitOption, "offset: 5000, limit$1")
			}
			if e != nil {
				out = append(out, Mutation{Says: "paged through " + q.Table + " with OFFSET", Pos: at, Edits: e, Node: q.Service, Subject: q.Table})
				break
			}
		}
	}
	return out
}

var timeoutOption = regexp.MustCompile(`(?i)\b(request_?)?timeout(\s*[:=])`)

func plantEndless(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	for _, c := range sys.Calls {
		if c.Timeout.Set() && !c.Script && c.Opaque == "" && inUse(sys, c.Service) && !inBrowser(sys, c.Service) {
			out = append(out, Mutation{
				Says: "took the timeout away from " + c.Client, Pos: c.Timeout.Pos, Node: c.Service,
				Edits: line.rewritten(c.Timeout.Pos, timeoutOption, "ignored$2"),
			})
		}
	}
	return out
}

func plantLeaking(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	object := regexp.MustCompile(`\(\{\s*`)
	for _, l := range sys.Logs {
		switch path.Ext(l.Pos.File) {
		case ".js", ".ts", ".mjs", ".cjs", ".tsx":
		default:
			continue
		}
		if l.Route && len(l.Leaks) == 0 && l.Level != "debug" && l.Level != "trace" {
			out = append(out, Mutation{
				Says: "logged the authorization header", Pos: l.Pos, Node: l.Service, Subject: l.Pos.File,
				Edits: line.rewritten(l.Pos, object, "({ authorization: req.headers.authorization, "),
			})
		}
	}
	return out
}

// appended is a new migration behind the last one, for plain SQL only: other runners
// want markers.
func appended(sys *premortem.System, sql string) []premortem.Edit {
	last := ""
	for _, m := range sys.Migrations {
		if m.Runner == "sql" && path.Ext(m.Pos.File) == ".sql" {
			last = m.Pos.File
		}
	}
	if last == "" {
		return nil
	}
	number := firstNumber.FindString(path.Base(last))
	if number == "" || !strings.HasPrefix(path.Base(last), number) {
		return nil
	}
	name := strings.Repeat("9", len(number)) + "_self_test.sql"
	return []premortem.Edit{{Pos: premortem.Pos{File: path.Join(path.Dir(last), name), Line: 1}, New: sql}}
}

// plantDropped drops a column that a query compares.
func plantDropped(sys *premortem.System, _ Line) []Mutation {
	var out []Mutation
	for _, q := range sys.Queries {
		t := sys.Table(q.Table)
		if t == nil || q.Table == "" || !served(q) {
			continue
		}
		for _, p := range q.Predicates {
			if c := t.Column(expression(p.Expr)); c != nil {
				out = append(out, Mutation{
					Says: "dropped " + t.Name + "." + c.Name, Pos: q.Pos, Node: q.Service, Subject: t.Name + "." + c.Name,
					Edits: appended(sys, "ALTER TABLE "+t.Name+" DROP COLUMN "+c.Name+";\n"),
				})
			}
		}
	}
	return out
}

// plantLocked rewrites a table that was there before.
func plantLocked(sys *premortem.System, _ Line) []Mutation {
	var out []Mutation
	for _, t := range sys.Tables {
		sz := sizeOf(sys, t.Name)
		if sz.large() && len(t.Columns) > 0 && (!sz.rows.Set() || holdTime(builds, sz.rows.Value) >= briefly) {
			out = append(out, Mutation{
				Says: "indexed " + t.Name + " without CONCURRENTLY", Pos: t.Pos, Subject: t.Name,
				Edits: appended(sys, "CREATE INDEX "+t.Name+"_self_test ON "+t.Name+" ("+t.Columns[len(t.Columns)-1].Name+");\n"),
			})
		}
	}
	return out
}
