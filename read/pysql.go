package read

import (
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

// pyQueryCalls are the methods that take SQL: of DB-API cursors, SQLAlchemy, asyncpg
// and Django.
var pyQueryCalls = wordSet(`execute executemany fetch fetchrow fetchval fetch_all fetch_one raw read_sql read_sql_query scalar scalars`)

// readSQL finds SQL text that is given to a driver.
func (r *pyReader) readSQL() {
	for i, t := range r.toks {
		if t.kind != jsIdent || !pyQueryCalls[t.text] || !r.tok(i-1).is(".") || !r.tok(i+1).is("(") {
			continue
		}
		args := r.args(i + 1)
		if len(args) == 0 {
			continue
		}
		text, line, ok := r.literal(args[0])
		if !ok || !strings.Contains(text, " ") && !strings.Contains(text, "\n") {
			continue
		}
		q := r.sql(percentParams(text), t.line, line)
		if q == nil {
			continue
		}
		q.All = q.Op == "select" && q.Table != "" && (t.is("fetch") || t.is("fetch_all") || t.is("read_sql") || r.fetchesAll(i)) && !aggregate.MatchString(q.SQL)
		if loop := r.rowLoop(i); loop.Known() {
			q.InLoop, q.Loop = true, loop
		}
	}
}

// fetchesAll reports .fetchall() behind a call of execute, or as the next thing that
// is done with its cursor.
func (r *pyReader) fetchesAll(i int) bool {
	end := r.next(i + 1)
	if r.tok(end).is(".") && (r.tok(end+1).is("fetchall") || r.tok(end+1).is("all")) {
		return true
	}
	st := r.stmtOf[i]
	for n := st + 1; n < len(r.stmts) && n <= st+3 && r.stmts[n].fn == r.stmts[st].fn; n++ {
		for k := r.stmts[n].lo; k < r.stmts[n].hi; k++ {
			if r.tok(k).is("fetchall") && r.tok(k-2).text == r.tok(i-2).text {
				return true
			}
		}
	}
	return false
}

// percentParams writes the placeholders of the DB-API as PostgreSQL's, so that the
// text is SQL: %s, %(name)s and :name.
func percentParams(s string) string {
	var b strings.Builder
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] != '%' || i+1 >= len(s) {
			b.WriteByte(s[i])
			continue
		}
		end := -1
		switch s[i+1] {
		case 's':
			end = i + 1
		case '(':
			if k := strings.Index(s[i:], ")s"); k > 0 {
				end = i + k + 1
			}
		case '%':
			b.WriteByte('%')
			i++
			continue
		}
		if end < 0 {
			b.WriteByte('%')
			continue
		}
		n++
		b.WriteString("$" + strconv.Itoa(n))
		i = end
	}
	return b.String()
}

// rowLoop is the place of a loop over another query's rows around a token.
func (r *pyReader) rowLoop(i int) premortem.Pos {
	at := r.stmtOf[i]
	for p := r.stmts[at].parent; p >= 0 && p != r.stmts[at].fn; p = r.stmts[p].parent {
		head := r.stmts[p]
		first := head.lo
		if r.tok(first).is("async") {
			first++
		}
		if !r.tok(first).is("for") {
			continue
		}
		for k := first; k < head.hi; k++ {
			if !r.tok(k).is("in") {
				continue
			}
			over := span{k + 1, head.hi}
			src := r.source(over)
			if r.tok(over.lo).kind == jsIdent && over.hi-over.lo <= 2 {
				src = r.source(r.assigned(r.tok(over.lo).text, k))
			}
			for _, call := range []string{".fetchall(", ".execute(", ".fetch(", ".fetch_all(", ".scalars(", ".objects."} {
				if strings.Contains(src, call) {
					return r.pos(head.lo)
				}
			}
			break
		}
	}
	return premortem.Pos{}
}

// pyClients are calls that open a connection: by what their names are imported from.
var pyClients = []struct{ from, kind string }{
	{"sqlalchemy.create_engine", "sql"}, {"sqlalchemy.ext.asyncio.create_async_engine", "sql"}, {"psycopg2.connect", "postgres"}, {"psycopg.connect", "postgres"},
	{"psycopg2.pool.SimpleConnectionPool", "postgres"}, {"psycopg2.pool.ThreadedConnectionPool", "postgres"}, {"psycopg_pool.ConnectionPool", "postgres"}, {"psycopg_pool.AsyncConnectionPool", "postgres"},
	{"asyncpg.create_pool", "postgres"}, {"asyncpg.connect", "postgres"}, {"pymysql.connect", "mysql"}, {"redis.Redis", "redis"}, {"redis.StrictRedis", "redis"}, {"redis.from_url", "redis"},
	{"redis.Redis.from_url", "redis"}, {"redis.asyncio.from_url", "redis"}, {"redis.asyncio.Redis", "redis"}, {"pymongo.MongoClient", "mongodb"}, {"motor.motor_asyncio.AsyncIOMotorClient", "mongodb"}, {"pika.BlockingConnection", "rabbitmq"},
}

var pyParties = map[string]string{
	"stripe": "stripe", "sendgrid": "sendgrid", "twilio": "twilio", "openai": "openai", "anthropic": "anthropic", "slack_sdk": "slack", "sentry_sdk": "sentry", "resend": "resend", "github": "github",
}

// readClients finds connections and SDKs.
func (r *pyReader) readClients() {
	for i, t := range r.toks {
		if t.kind != jsIdent || !r.tok(i+1).is("(") {
			continue
		}
		start := i
		for r.tok(start-1).is(".") && r.tok(start-2).kind == jsIdent {
			start -= 2
		}
		full := r.source(span{start, i + 1})
		first, rest, dotted := strings.Cut(full, ".")
		from, ok := r.names[first]
		if !ok {
			continue
		}
		full = from
		if dotted {
			full += "." + rest
		}
		for _, c := range pyClients {
			if full == c.from {
				r.connection(c.kind, i)
			}
		}
	}
	seen := map[string]bool{}
	for i, t := range r.toks {
		top, _, _ := strings.Cut(r.names[t.text], ".")
		if name := pyParties[top]; name != "" && !seen[name] && (r.tok(r.stmts[r.stmtOf[i]].lo).is("import") || r.tok(r.stmts[r.stmtOf[i]].lo).is("from")) {
			seen[name] = true
			r.conns = append(r.conns, client{party: name, at: r.pos(i), module: r.path})
		}
	}
}

// connection reads the arguments of a connection: its address and its pool.
func (r *pyReader) connection(kind string, i int) {
	c := client{kind: kind, at: r.pos(i), module: r.path}
	in := r.inside(i + 1)
	for _, u := range r.reads {
		for k := in.lo; k < in.hi; k++ {
			if r.tok(k).kind == jsString && r.tok(k).text == u.name && !c.env.Set() {
				c.env = premortem.Setting[string]{Value: u.name, Pos: u.pos}
			}
			if r.tok(k).kind == jsIdent && !c.env.Set() && strings.Contains(r.source(r.assigned(r.tok(k).text, k)), u.name) && addressName(u.name) {
				c.env = premortem.Setting[string]{Value: u.name, Pos: u.pos}
			}
		}
	}
	for _, a := range r.args(i + 1) {
		if s, _, ok := r.literal(a); ok && strings.Contains(s, "://") {
			scheme, _, _ := strings.Cut(s, "://")
			scheme, _, _ = strings.Cut(scheme, "+")
			if k := storeSchemes[scheme]; k != "" && kind == "sql" {
				c.kind = k
			}
		}
	}
	number := func(key string) premortem.Setting[int] {
		v := r.keyword(i+1, key)
		if n, err := strconv.Atoi(r.tok(v.lo).text); err == nil && v.hi-v.lo == 1 {
			return premortem.Setting[int]{Value: n, Pos: r.pos(v.lo)}
		}
		return premortem.Setting[int]{}
	}
	for _, key := range []string{"pool_size", "max_size", "max_connections", "maxconn", "maxPoolSize"} {
		if n := number(key); n.Set() {
			c.pool = n
		}
	}
	if over := number("max_overflow"); over.Set() && c.pool.Set() {
		c.pool.Value += over.Value
	} else if kind == "sql" && c.pool.Set() && r.keyword(i+1, "max_overflow").empty() {
		c.pool.Value += 10 // SQLAlchemy opens as many more than pool_size
	}
	r.conns = append(r.conns, c)
}
