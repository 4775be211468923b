package read

import (
	"go/ast"
	"go/token"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

// goQueryCalls are the methods that take SQL: of database/sql, pgx, sqlx and gorm.
var goQueryCalls = wordSet(`Query QueryRow QueryContext QueryRowContext Exec ExecContext Queryx QueryRowx Select SelectContext Get GetContext
	NamedExec NamedExecContext NamedQuery MustExec MustExecContext Raw Prepare PrepareContext QueryxContext Queue`)

// query reads SQL text that is given to a driver.
func (r *goReader) query(c *ast.CallExpr, recv, name string) {
	if recv == "" || !goQueryCalls[name] {
		return
	}
	for _, a := range c.Args[:min(len(c.Args), 3)] {
		text, ok := r.text(a)
		if !ok || !strings.Contains(text, " ") && !strings.Contains(text, "\n") {
			continue
		}
		line := r.line(a)
		if id, isID := a.(*ast.Ident); isID && r.constAt[id.Name] > 0 {
			line = r.constAt[id.Name]
		}
		q := r.sql(text, r.line(c), line)
		if q == nil {
			return
		}
		q.All = q.Op == "select" && q.Table != "" && !aggregate.MatchString(q.SQL) && r.keepsRows(c, name)
		if loop := r.rowLoop(c); loop != nil {
			q.InLoop, q.Loop = true, r.at(loop)
		}
		return
	}
}

// keepsRows reports a query whose rows all go into a slice: sqlx's Select, or a loop
// of rows.Next() that appends.
func (r *goReader) keepsRows(c *ast.CallExpr, name string) bool {
	switch name {
	case "Select", "SelectContext":
		return true
	case "Query", "QueryContext", "Queryx", "QueryxContext":
	default:
		return false
	}
	fn, found := r.enclosing(c), false
	if fn == nil {
		return false
	}
	ast.Inspect(fn, func(n ast.Node) bool {
		loop, ok := n.(*ast.ForStmt)
		if !ok || loop.Pos() < c.Pos() {
			return true
		}
		if call, ok := loop.Cond.(*ast.CallExpr); !ok || !strings.HasSuffix(goName(call.Fun), ".Next") {
			return true
		}
		ast.Inspect(loop.Body, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			found = found || ok && goName(call.Fun) == "append"
			return true
		})
		return true
	})
	return found
}

// rowLoop returns the `for rows.Next()` around a call, nil for none.
func (r *goReader) rowLoop(n ast.Node) ast.Node {
	for p := r.parents[n]; p != nil; p = r.parents[p] {
		switch p := p.(type) {
		case *ast.FuncLit, *ast.FuncDecl:
			return nil
		case *ast.ForStmt:
			if call, ok := p.Cond.(*ast.CallExpr); ok {
				if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Next" && len(call.Args) == 0 {
					return p
				}
			}
		}
	}
	return nil
}

// goClients are the functions that open a connection, by the end of their package.
var goClients = []struct{ pkg, fn, kind string }{
	{"jackc/pgx", "Connect", "postgres"}, {"jackc/pgx", "ParseConfig", "postgres"}, {"pgxpool", "New", "postgres"}, {"pgxpool", "Connect", "postgres"}, {"pgxpool", "NewWithConfig", "postgres"},
	{"gorm.io/driver/postgres", "Open", "postgres"}, {"gorm.io/driver/mysql", "Open", "mysql"},
	{"redis/go-redis", "NewClient", "redis"}, {"redis/go-redis", "ParseURL", "redis"}, {"go-redis/redis", "NewClient", "redis"}, {"go-redis/redis", "ParseURL", "redis"}, {"redigo/redis", "Dial", "redis"}, {"redigo/redis", "DialURL", "redis"},
	{"mongo-driver", "Connect", "mongodb"}, {"amqp091-go", "Dial", "rabbitmq"}, {"streadway/amqp", "Dial", "rabbitmq"}, {"nats.go", "Connect", "nats"},
	{"bradfitz/gomemcache", "New", "memcached"},
}

// goParties are SDKs of APIs on the internet by their import paths.
var goParties = []struct{ pkg, name string }{
	{"stripe/stripe-go", "stripe"}, {"sendgrid/sendgrid-go", "sendgrid"}, {"twilio/twilio-go", "twilio"}, {"sashabaranov/go-openai", "openai"}, {"openai/openai-go", "openai"},
	{"anthropics/anthropic-sdk-go", "anthropic"}, {"slack-go/slack", "slack"}, {"google/go-github", "github"}, {"aws-sdk-go-v2/service/s3", "aws-s3"}, {"aws-sdk-go-v2/service/sqs", "aws-sqs"},
	{"resend/resend-go", "resend"}, {"getsentry/sentry-go", "sentry"},
}

// client reads a call that opens a connection to a store.
func (r *goReader) client(c *ast.CallExpr, from, name string) {
	if from == "" {
		return
	}
	kind := ""
	for _, k := range goClients {
		if strings.Contains(from, k.pkg) && name == k.fn {
			kind = k.kind
		}
	}
	if (from == "database/sql" || strings.HasSuffix(from, "jmoiron/sqlx")) && (name == "Open" || name == "Connect" || name == "MustConnect") && len(c.Args) > 1 {
		driver, _ := r.text(c.Args[0])
		switch driver {
		case "postgres", "pgx", "cloudsqlpostgres":
			kind = "postgres"
		case "mysql":
			kind = "mysql"
		}
	}
	if kind == "" {
		r.party(c, from, name)
		return
	}
	conn := client{kind: kind, at: r.at(c), module: r.path}
	for _, a := range c.Args {
		if s, ok := r.text(a); ok && strings.Contains(s, "://") {
			conn.host = s
		}
		if !conn.env.Set() {
			conn.env = r.envIn(a, 0)
		}
	}
	r.poolOf(&conn, c)
	r.conns = append(r.conns, conn)
}

// party notes the first use of a third party's SDK in the file.
func (r *goReader) party(c *ast.CallExpr, from, name string) {
	for _, k := range goParties {
		if !strings.Contains(from, k.pkg) || !strings.HasPrefix(name, "New") && k.name != "stripe" {
			continue
		}
		for _, have := range r.conns {
			if have.party == k.name {
				return
			}
		}
		r.conns = append(r.conns, client{party: k.name, at: r.at(c), module: r.path})
	}
}

// envIn returns the variable that an expression reads, also behind a variable.
func (r *goReader) envIn(e ast.Expr, depth int) premortem.Setting[string] {
	var out premortem.Setting[string]
	ast.Inspect(e, func(n ast.Node) bool {
		if out.Set() {
			return false
		}
		switch n := n.(type) {
		case *ast.CallExpr:
			for _, a := range n.Args {
				if s, ok := r.text(a); ok && upperEnv.MatchString(s) && len(s) > 2 && (addressName(s) || strings.HasSuffix(goName(n.Fun), "env")) {
					out = premortem.Setting[string]{Value: s, Pos: r.at(n)}
					return false
				}
			}
		case *ast.Ident:
			if v := r.valueOf(n.Name, n.Pos()); v != nil && depth < 3 && v != e {
				out = r.envIn(v, depth+1)
			}
		}
		return true
	})
	return out
}

// valueOf finds what a name was last assigned before a place, nil for nothing.
func (r *goReader) valueOf(name string, before token.Pos) ast.Expr {
	var out ast.Expr
	if !r.mayScan() {
		return nil
	}
	ast.Inspect(r.file, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && a.Pos() < before && len(a.Rhs) > 0 && a.End() < before {
			for i, l := range a.Lhs {
				if goName(l) == name {
					out = a.Rhs[min(i, len(a.Rhs)-1)]
				}
			}
		}
		return true
	})
	return out
}

// poolOf reads SetMaxOpenConns(n) and MaxConns = n in the function that opens it.
func (r *goReader) poolOf(conn *client, c *ast.CallExpr) {
	var fn ast.Node = c
	for fn != nil {
		if _, ok := fn.(*ast.FuncDecl); ok {
			break
		}
		fn = r.parents[fn]
	}
	if fn == nil {
		return
	}
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if _, recv, name := r.callee(n); name == "SetMaxOpenConns" && recv != "" && len(n.Args) == 1 {
				r.pool(conn, n.Args[0])
			}
		case *ast.AssignStmt:
			if len(n.Lhs) == 1 && len(n.Rhs) == 1 && strings.HasSuffix(goName(n.Lhs[0]), ".MaxConns") {
				r.pool(conn, n.Rhs[0])
			}
		case *ast.KeyValueExpr:
			if goName(n.Key) == "PoolSize" && conn.kind == "redis" {
				r.pool(conn, n.Value)
			}
		}
		return true
	})
}

func (r *goReader) pool(conn *client, e ast.Expr) {
	if call, ok := e.(*ast.CallExpr); ok && len(call.Args) == 1 {
		e = call.Args[0] // int32(10)
	}
	if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.INT {
		if n, err := strconv.Atoi(strings.ReplaceAll(lit.Value, "_", "")); err == nil {
			conn.pool = premortem.Setting[int]{Value: n, Pos: r.at(lit)}
		}
		return
	}
	if env := r.envIn(e, 0); env.Set() {
		conn.poolEnv = env.Value
	}
}
