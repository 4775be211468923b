package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/premortem/premortem"
)

// patience is how long a statement may run when it is explained with its times.
const patience = time.Minute

// Explain plans one statement and, with analyze, executes it and takes it back.
// Parameters ($1 …) are given as text by args, nil for NULL. Without args, or with
// fewer than there are, the generic plan is shown, which cannot be executed: Seconds
// is then -1, as for a plan without analyze. The answer holds no values: literals
// are replaced by a question mark. Op is left to the caller.
func Explain(ctx context.Context, dsn, sql string, args []any, analyze bool) (premortem.Plan, error) {
	var plan premortem.Plan
	err := connected(ctx, dsn, func(c *pgx.Conn) error {
		e, err := newExplainer(ctx, c)
		if err != nil {
			return err
		}
		defer e.end()
		root, err := e.explain(ctx, sql, args, analyze)
		if err != nil {
			return err
		}
		if plan, err = e.plan(ctx, root); err != nil {
			return err
		}
		return e.hazards(ctx, sql, args, root, &plan)
	})
	if err != nil {
		return premortem.Plan{}, fmt.Errorf("explain a statement: %w", err)
	}
	return plan, nil
}

// explainer explains statements in one transaction that is always rolled back.
type explainer struct {
	c     *pgx.Conn
	major int
	made  int // prepared statements
}

func newExplainer(ctx context.Context, c *pgx.Conn) (*explainer, error) {
	e := &explainer{c: c}
	if err := c.QueryRow(ctx, "SELECT current_setting('server_version_num')::int / 10000").Scan(&e.major); err != nil {
		return nil, err
	}
	return e, e.exec(ctx, fmt.Sprintf("BEGIN; SET LOCAL statement_timeout = %d; SET LOCAL lock_timeout = '10s'", patience.Milliseconds()))
}

// end rolls back also when the context is dead.
func (e *explainer) end() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = e.exec(ctx, "ROLLBACK") // the connection is closed next
}

func (e *explainer) exec(ctx context.Context, sql string) error {
	_, err := e.c.PgConn().Exec(ctx, sql).ReadAll()
	return err
}

// answer is EXPLAIN's JSON.
type answer struct {
	Plan     node
	Time     float64       `json:"Execution Time"` // milliseconds
	Triggers []triggerNode `json:"Triggers"`
	ran      bool
}

// node is one node of a plan.
type node struct {
	Type       string   `json:"Node Type"`
	Parent     string   `json:"Parent Relationship"`
	Join       string   `json:"Join Type"`
	Strategy   string   `json:"Strategy"`
	Parallel   bool     `json:"Parallel Aware"`
	Partial    string   `json:"Partial Mode"`
	Direction  string   `json:"Scan Direction"`
	Workers    int      `json:"Workers Planned"`
	Output     []string `json:"Output"` // only when it was asked for
	Relation   string   `json:"Relation Name"`
	Alias      string   `json:"Alias"`
	Index      string   `json:"Index Name"`
	Startup    float64  `json:"Startup Cost"`
	Total      float64  `json:"Total Cost"`
	PlanRows   float64  `json:"Plan Rows"`
	Width      int      `json:"Plan Width"`
	ActualTime *float64 `json:"Actual Total Time"`
	ActualRows float64  `json:"Actual Rows"`
	Loops      float64  `json:"Actual Loops"`
	Filter     string   `json:"Filter"`
	Removed    *float64 `json:"Rows Removed by Filter"`
	IndexCond  string   `json:"Index Cond"`
	Recheck    string   `json:"Recheck Cond"`
	HashCond   string   `json:"Hash Cond"`
	MergeCond  string   `json:"Merge Cond"`
	JoinFilter string   `json:"Join Filter"`
	SortKey    []string `json:"Sort Key"`
	SortMethod string   `json:"Sort Method"`
	SpaceType  string   `json:"Sort Space Type"`
	GroupKey   []string `json:"Group Key"`
	Batches    int      `json:"Hash Batches"`
	SpaceUsed  int64    `json:"Sort Space Used"` // kB
	Disk       int64    `json:"Disk Usage"`      // kB, of an aggregate
	TempOut    int64    `json:"Temp Written Blocks"`
	Plans      []node   `json:"Plans"`
}

// walk visits a node and those below it.
func (n *node) walk(visit func(*node)) {
	visit(n)
	for i := range n.Plans {
		n.Plans[i].walk(visit)
	}
}

func (e *explainer) explain(ctx context.Context, sql string, args []any, analyze bool) (*answer, error) {
	raw, ran, err := e.ask(ctx, sql, args, analyze, "")
	if err != nil {
		return nil, err
	}
	return readAnswer(raw, ran)
}

// readAnswer reads EXPLAIN's JSON.
func readAnswer(raw []byte, ran bool) (*answer, error) {
	var answers []answer
	if err := json.Unmarshal(raw, &answers); err != nil || len(answers) != 1 {
		return nil, fmt.Errorf("read EXPLAIN's answer: %w", err)
	}
	answers[0].ran = ran
	return &answers[0], nil
}

// ask returns EXPLAIN's JSON, with more options such as ", VERBOSE", and whether the
// statement was executed.
func (e *explainer) ask(ctx context.Context, sql string, args []any, analyze bool, more string) (raw []byte, ran bool, err error) {
	statements := split(sql)
	if len(statements) != 1 {
		return nil, false, fmt.Errorf("%d statements were given, want one", len(statements))
	}
	sql = statements[0].text
	params := parameters(sql)
	if len(args) < params {
		analyze = false
	}
	options := "FORMAT JSON" + more
	if analyze {
		options += ", ANALYZE, BUFFERS, TIMING OFF"
	}
	switch {
	case params == 0:
	case len(args) < params && e.major >= 16:
		options += ", GENERIC_PLAN"
	default:
		if sql, err = e.prepare(ctx, sql, params, args); err != nil {
			return nil, false, err
		}
	}
	results, err := e.c.PgConn().Exec(ctx, "EXPLAIN ("+options+") "+sql).ReadAll()
	if err != nil {
		return nil, false, err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 {
		return nil, false, errors.New("EXPLAIN gave no single answer")
	}
	return results[0].Rows[0][0], analyze, nil
}

// prepare makes a prepared statement and returns the EXECUTE that plans it with
// the given values, or without any.
func (e *explainer) prepare(ctx context.Context, sql string, params int, args []any) (string, error) {
	e.made++
	name := "premortem_" + strconv.Itoa(e.made)
	mode := "force_custom_plan"
	values := make([]string, params)
	for i := range values {
		values[i] = "NULL"
		if len(args) < params {
			mode = "force_generic_plan"
			continue
		}
		switch v := args[i].(type) {
		case nil:
		case []byte:
			values[i] = quoteLiteral(string(v))
		default:
			values[i] = quoteLiteral(fmt.Sprint(v))
		}
	}
	if err := e.exec(ctx, "SET LOCAL plan_cache_mode = "+mode); err != nil {
		return "", err
	}
	if _, err := e.c.PgConn().Exec(ctx, "PREPARE "+name+" AS "+sql).ReadAll(); err != nil {
		return "", err
	}
	return "EXECUTE " + name + "(" + strings.Join(values, ", ") + ")", nil
}

func quoteLiteral(s string) string {
	s = strings.ReplaceAll(s, "'", "''")
	if strings.Contains(s, `\`) {
		return " E'" + strings.ReplaceAll(s, `\`, `\\`) + "'"
	}
	return "'" + s + "'"
}

var parameter = regexp.MustCompile(`^\$(\d+)`)

// parameters is the highest parameter of a statement, 0 none.
func parameters(sql string) int {
	highest := 0
	for i := 0; i < len(sql); {
		if m := parameter.FindStringSubmatch(sql[i:]); m != nil && (i == 0 || !isWord(sql[i-1])) {
			if n, err := strconv.Atoi(m[1]); err == nil {
				highest = max(highest, n)
			}
			i += len(m[0])
			continue
		}
		i = token(sql, i)
	}
	return highest
}

// plan turns an answer into the word of the house.
func (e *explainer) plan(ctx context.Context, a *answer) (premortem.Plan, error) {
	p := premortem.Plan{Total: a.Plan.Total, Seconds: -1}
	if a.ran {
		p.Seconds = a.Time / 1000
	}
	var text strings.Builder
	render(&text, &a.Plan, 0, a.ran)
	p.Text = text.String()
	relations, err := e.relations(ctx, a)
	if err != nil {
		return p, err
	}
	cut := endedEarly(&a.Plan)
	a.Plan.walk(func(n *node) {
		if n.Relation == "" || !strings.HasSuffix(n.Type, "Scan") {
			return
		}
		rel := relations[n.Relation]
		s := premortem.Scan{
			Node: n.Type, Table: rel.name, Filter: bare(scrub(n.Filter)),
			Rows: n.PlanRows, Loops: 1, TableRows: rel.rows,
		}
		if n.Filter != "" && n.Type == "Seq Scan" {
			s.Removed = max(rel.rows-n.PlanRows, 0)
		}
		if a.ran {
			s.Rows, s.Loops, s.Removed = n.ActualRows, n.Loops, 0
			if !cut[n] {
				s.Estimate = n.PlanRows
			}
			if n.Removed != nil {
				s.Removed = *n.Removed
			}
		}
		p.Scans = append(p.Scans, s)
	})
	return p, nil
}

// relation is a table as the catalog knows it.
type relation struct {
	name   string // as Table.Name
	quoted string // in SQL that a person reads
	oid    uint32
	rows   float64
}

// relations looks up the tables of a plan; of two with one name, the visible one.
func (e *explainer) relations(ctx context.Context, a *answer) (map[string]relation, error) {
	var names []string
	a.Plan.walk(func(n *node) {
		if n.Relation != "" {
			names = append(names, n.Relation)
		}
	})
	const sql = `SELECT c.relname, n.nspname, c.oid, c.reltuples FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = ANY ($1) AND c.relkind IN ('r', 'p', 'm', 'f') ORDER BY pg_table_is_visible(c.oid), c.oid`
	rows, err := e.c.Query(ctx, sql, names)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]relation{}
	for rows.Next() {
		var name, schema string
		var r relation
		if err := rows.Scan(&name, &schema, &r.oid, &r.rows); err != nil {
			return nil, err
		}
		r.name, r.quoted, r.rows = name, quoteBare(name), max(r.rows, 0)
		if schema != "public" {
			r.name, r.quoted = schema+"."+name, quoteBare(schema)+"."+r.quoted
		}
		out[name] = r
	}
	return out, rows.Err()
}

// render writes a plan as EXPLAIN's text does, without values.
func render(w *strings.Builder, n *node, depth int, ran bool) {
	indent := strings.Repeat("  ", depth)
	if depth > 0 {
		fmt.Fprintf(w, "%s->  ", indent)
		indent += "    "
	}
	if n.Parallel {
		w.WriteString("Parallel ")
	}
	w.WriteString(n.Type)
	if n.Join != "" && n.Join != "Inner" {
		fmt.Fprintf(w, " %s", n.Join)
	}
	if n.Index != "" {
		fmt.Fprintf(w, " using %s", n.Index)
	}
	if n.Relation != "" {
		fmt.Fprintf(w, " on %s", n.Relation)
		if n.Alias != "" && n.Alias != n.Relation {
			fmt.Fprintf(w, " %s", quoteBare(n.Alias))
		}
	}
	fmt.Fprintf(w, "  (cost=%.2f..%.2f rows=%.0f width=%d)", n.Startup, n.Total, n.PlanRows, n.Width)
	if ran {
		fmt.Fprintf(w, " (actual rows=%.0f loops=%.0f)", n.ActualRows, n.Loops)
	}
	w.WriteByte('\n')
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(w, "%s  %s: %s\n", indent, name, scrub(text))
		}
	}
	line("Index Cond", n.IndexCond)
	line("Recheck Cond", n.Recheck)
	line("Hash Cond", n.HashCond)
	line("Merge Cond", n.MergeCond)
	line("Join Filter", n.JoinFilter)
	line("Filter", n.Filter)
	if n.Removed != nil {
		fmt.Fprintf(w, "%s  Rows Removed by Filter: %.0f\n", indent, *n.Removed)
	}
	line("Sort Key", strings.Join(n.SortKey, ", "))
	line("Group Key", strings.Join(n.GroupKey, ", "))
	if n.SortMethod != "" {
		fmt.Fprintf(w, "%s  Sort Method: %s, %s\n", indent, n.SortMethod, n.SpaceType)
	}
	for i := range n.Plans {
		render(w, &n.Plans[i], depth+1, ran)
	}
}
