package read

import (
	"path"
	"regexp"
	"strings"
)

// downMarks start the part of a migration that takes it back.
var downMarks = []struct{ text, runner string }{
	{"-- +goose Down", "goose"}, {"-- migrate:down", "dbmate"}, {"-- +migrate Down", "sql-migrate"},
	{"---- create above / drop below ----", "tern"}, {"-- Down Migration", "node-pg-migrate"}, {"--//@UNDO", "mybatis"},
}

// sqlSections cuts a migration into its way there and its way back and names the
// runner; line is the one that the way back starts on.
func sqlSections(text, file string) (up, down string, line int, runner string) {
	for _, m := range downMarks {
		if before, after, ok := strings.Cut(text, m.text); ok {
			return before, after, strings.Count(before, "\n") + 1, m.runner
		}
	}
	base := path.Base(file)
	switch {
	case strings.Contains(text, "-- +goose Up"):
		runner = "goose"
	case strings.Contains(text, "-- migrate:up"):
		runner = "dbmate"
	case strings.Contains(text, "-- +migrate Up"):
		runner = "sql-migrate"
	case base == "migration.sql":
		runner = "prisma"
	case strings.Contains(base, "__") && (base[0] == 'V' || base[0] == 'R'):
		runner = "flyway"
	case strings.HasPrefix(strings.TrimSpace(text), "--liquibase formatted sql"), strings.HasPrefix(strings.TrimSpace(text), "-- liquibase formatted sql"):
		runner = "liquibase"
	case strings.HasSuffix(base, ".up.sql"):
		runner = "golang-migrate"
	case strings.Contains(file, "drizzle/") || strings.Contains(text, "--> statement-breakpoint"):
		runner = "drizzle"
	case strings.Contains(file, "supabase/"):
		runner = "supabase"
	default:
		runner = "sql"
	}
	return text, "", 0, runner
}

var (
	noTransaction = regexp.MustCompile(`(?mi)^\s*--\s*(\+goose NO TRANSACTION|\+migrate Up notransaction|migrate:up\s+.*transaction:\s*false|-- tern: disable-tx|changeset .*runInTransaction:\s*"?false)`)
	concurrently  = regexp.MustCompile(`(?i)\bconcurrently\b`)
)

// txOf is what a runner of SQL files does with this one, by its documentation.
func txOf(runner, text string) txMode {
	switch runner {
	case "goose", "dbmate", "sql-migrate", "tern", "drizzle", "node-pg-migrate", "liquibase":
		if noTransaction.MatchString(text) {
			return txNone
		}
		return txWhole
	case "flyway":
		// Flyway leaves the transaction away where a statement cannot stand in one.
		if concurrently.MatchString(text) {
			return txNone
		}
		return txWhole
	case "prisma", "golang-migrate":
		// The file is sent as one text, which PostgreSQL runs as one transaction.
		return txBatch
	}
	return txNone
}

// engines are folders that say for which database their files are.
var engines = map[string]string{
	"postgres": "postgres", "postgresql": "postgres", "pg": "postgres", "pgsql": "postgres", "psql": "postgres",
	"mysql": "mysql", "mariadb": "mysql", "sqlite": "sqlite", "sqlite3": "sqlite", "h2": "h2", "clickhouse": "clickhouse", "oracle": "oracle",
	"mssql": "mssql", "sqlserver": "mssql", "cockroach": "cockroach", "cockroachdb": "cockroach", "spanner": "spanner", "cassandra": "cassandra", "duckdb": "duckdb",
}

var (
	mysqlWords    = regexp.MustCompile("(?i)\\bauto_increment\\b|\\bengine\\s*=\\s*(innodb|myisam)|`[a-z_]+`|\\bdatetime\\(\\d\\)|\\bunsigned\\b")
	clickWords    = regexp.MustCompile(`(?i)\bengine\s*=?\s*\w*mergetree|\bLowCardinality\(`)
	sqliteWords   = regexp.MustCompile(`(?i)\bautoincrement\b|\bpragma\s+\w+`)
	postgresWords = regexp.MustCompile(`(?i)\b(bigserial|serial|jsonb|timestamptz|bytea|plpgsql|tsvector|concurrently|gen_random_uuid|citext)\b|::\w+|\btimestamp\(\d\)|\bwith(out)? time zone\b|\busing (gin|gist|brin|btree)\b|\bcreate extension\b|\bgenerated (always|by default) as identity\b`)
)

// dialectOf names the database that a migration is for, "" where nothing tells.
func dialectOf(file, text string) string {
	for seg := range strings.SplitSeq(path.Dir(file), "/") {
		seg = strings.ToLower(seg)
		if e := engines[seg]; e != "" {
			return e
		}
		for _, word := range strings.FieldsFunc(seg, func(r rune) bool { return r == '-' || r == '_' || r == '.' }) {
			if e := engines[word]; e != "" {
				return e
			}
		}
	}
	switch {
	case clickWords.MatchString(text):
		return "clickhouse"
	case mysqlWords.MatchString(text):
		return "mysql"
	case sqliteWords.MatchString(text):
		return "sqlite"
	case postgresWords.MatchString(text):
		return "postgres"
	}
	return ""
}

// isMigration reports a file below a folder of migrations that is none of its ways
// back, seeds or tests.
func isMigration(p string) bool {
	segs := strings.Split(path.Dir(p), "/")
	found := false
	for _, s := range segs {
		switch strings.ToLower(s) {
		case "migrations", "migration", "migrate", "drizzle", "changelog":
			found = true
		case "seeds", "seed", "seeders", "fixtures", "test", "tests", "testdata", "__tests__", "down", "rollback", "undo":
			return false
		}
	}
	base := path.Base(p)
	if strings.HasSuffix(base, ".down.sql") || base == "down.sql" {
		return false
	}
	if len(base) > 1 && base[0] == 'U' && strings.Contains(base, "__") && base[1] >= '0' && base[1] <= '9' {
		return false // Flyway's undo
	}
	return found || flywayName.MatchString(base)
}

// flywayName is a versioned or repeatable migration of Flyway, in whatever folder.
var flywayName = regexp.MustCompile(`^(V[0-9][0-9._]*|R)__\w.*\.sql$`)

func isSchemaDump(p string) bool {
	if strings.Contains(p, "docker-entrypoint-initdb.d/") || strings.Contains(p, "initdb") {
		return true
	}
	switch strings.ToLower(path.Base(p)) {
	case "schema.sql", "structure.sql", "init.sql", "tables.sql":
		return true
	}
	return false
}
