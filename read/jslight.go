package read

import (
	"path"
	"slices"
	"strings"
	"sync"
)

// Most modules of a repository hold nothing that production asks about: components,
// types, pure functions, tests. Such a light module keeps its imports and exports,
// which tie the others together, and its text. Its tokens, twelve times the size of
// the text, are made again if another module turns out to need what it declares.

// telling are names whose presence makes a module worth keeping open. The set is
// wider than what the readers look for: a name too many costs memory, one too few
// would hide facts, and a test compares both ways of reading on every archive.
var telling = wordSet(`process Deno Bun env meta config configService ConfigService getOrThrow createEnv cleanEnv convict dotenv fetch axios got ky request superagent undici needle http https http2 net tls fs
	createServer listen serve express Express Router PromiseRouter fastify Fastify Hono Koa koa Elysia restify polka NestFactory
	Sequelize sequelize DataTypes Model define knex Knex prisma Prisma PrismaClient mongoose Schema DataSource Entity drizzle pgTable
	Pool Client createClient createPool createConnection createCluster connect MongoClient Redis IORedis ioredis Cluster Queue Worker
	Kafka postgres pgp sql SQL query execute raw unsafe one oneOrNone many manyOrNone any none $queryRaw $executeRaw $queryRawUnsafe
	$executeRawUnsafe $transaction $connect transaction Transaction commit rollback BEGIN findOne findAll findByPk findMany findFirst
	findUnique findAndCountAll findOrCreate findOrBuild findById bulkCreate upsert insertOne updateOne deleteOne destroy save reload
	console log logger Logger logging winston pino bunyan debug info warn error fatal trace
	retry retries retryable pRetry backoff attempts attempt sleep delay wait setTimeout setInterval timeout
	keepAliveTimeout headersTimeout requestTimeout server app router routes SIGTERM fork cluster worker
	Get Post Put Patch Delete All Options Head Query Mutation ResolveField Controller Injectable GET POST PUT PATCH DELETE
	createTable addColumn addIndex createIndex queryInterface up down
	res req reply ctx response stripe Stripe sendgrid twilio openai nodemailer S3Client send emit publish sendMail`)

// tokenPool holds the buffers in which modules are split, so that one of a hundred
// modules pays for their growth.
var tokenPool = sync.Pool{New: func() any { b := make([]jsToken, 0, 1<<14); return &b }}

// giveBack returns a buffer, but not one that a single huge file made.
func giveBack(buf *[]jsToken) {
	if cap(*buf) <= 1<<16 {
		tokenPool.Put(buf)
	}
}

// tells reports whether a module may hold a fact: by where it stands, by what it
// loads, or by a name in it.
func (m *module) tells() bool {
	if m.dynamic || strings.Contains(m.path, "migrat") || isBuildConfig(m.path) {
		return true
	}
	for _, t := range m.toks {
		if t.kind == jsIdent && telling[t.text] {
			return true
		}
	}
	return slices.ContainsFunc(m.needs, func(n imported) bool {
		return strings.HasPrefix(n.from, "node:") || strings.Contains(n.from, "express") || strings.Contains(n.from, "sql")
	})
}

// lighten lets go of what only an open module needs. Tests are evidence of nothing,
// whatever they say.
func (m *module) lighten() {
	m.size, m.toks, m.vars, m.light = len(m.toks), nil, map[string][]span{}, true
}

// open splits a light module again; any other is open already. It returns m, nil
// for nil, and may be called concurrently.
func (m *module) open() *module {
	if m == nil || !m.light {
		return m
	}
	m.once.Do(func() {
		o := newModule(m.path, m.src, jsTokensInto(make([]jsToken, 0, m.size), m.src, hasElements(m.path)))
		o.unfold()
		o.names()
		m.toks, m.lines, m.funcs, m.funcOf, m.loopsIn, m.loopOf, m.vars = o.toks, o.lines, o.funcs, o.funcOf, o.loopsIn, o.loopOf, o.vars
		m.words, m.byName, m.fields = nil, nil, nil
	})
	return m
}

// hasElements reports whether "<" may start a JSX element in a file.
func hasElements(p string) bool {
	ext := path.Ext(p)
	return ext != ".ts" && ext != ".mts" && ext != ".cts"
}
