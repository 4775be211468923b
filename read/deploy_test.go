package read

import (
	"strings"
	"testing"
)

func FuzzCloudFormation(f *testing.F) { fuzzReader(f, CloudFormation, "infra/stack.yaml") }
func FuzzTaskJSON(f *testing.F)       { fuzzReader(f, CloudFormation, "task-definition.json") }
func FuzzFly(f *testing.F)            { fuzzReader(f, Platform, "fly.toml") }
func FuzzProcfile(f *testing.F)       { fuzzReader(f, Platform, "Procfile") }
func FuzzRender(f *testing.F)         { fuzzReader(f, Platform, "render.yaml") }
func FuzzRailway(f *testing.F)        { fuzzReader(f, Platform, "railway.json") }
func FuzzGitLab(f *testing.F)         { fuzzReader(f, GitLab, ".gitlab-ci.yml") }
func FuzzPrismaSchema(f *testing.F)   { fuzzReader(f, PrismaSchema, "prisma/schema.prisma") }
func FuzzRubySchema(f *testing.F)     { fuzzReader(f, RubySchema, "db/schema.rb") }

// Programs of Sequelize, Knex and TypeORM are read as tokens: any text is survived.
func FuzzMigrationProgram(f *testing.F) {
	for _, seed := range []string{
		`module.exports = { up: (queryInterface) => queryInterface.createTable("a", { id: { type: X.INTEGER, primaryKey: true } }) }`,
		`exports.up = (knex) => knex.schema.createTable("a", (t) => { t.increments(); t.integer("b").references("a.id"); })`,
		"export class A { async up(queryRunner) { await queryRunner.query(`CREATE TABLE a (b int)`) } }",
	} {
		f.Add([]byte(seed))
	}
	fuzzReader(f, Source, "migrations/1.js")
}

func TestHostileDeployFilesHideNothing(t *testing.T) {
	deep := strings.Repeat
	for name, file := range map[string][2]string{
		"deep TOML":             {"fly.toml", "a = " + deep("[", 50_000)},
		"deep TOML tables":      {"fly.toml", deep("[a.b]\n", 20_000)},
		"a deep template":       {"infra/x.yaml", "Resources:\n  A:\n    Type: AWS::ECS::TaskDefinition\n    Properties: " + deep("{a: ", 20_000)},
		"deep JSON":             {"task.json", `{"containerDefinitions": ` + deep("[", 50_000)},
		"a deep plan":           {"plan.json", `{"terraform_version":"1","planned_values":` + deep(`{"root_module":`, 20_000)},
		"a deep blueprint":      {"render.yaml", "services: " + deep("[", 50_000)},
		"a deep pipeline":       {".gitlab-ci.yml", deep("{a: ", 20_000)},
		"a long Procfile":       {"Procfile", deep("web: x\n", 50_000)},
		"a deep Prisma schema":  {"schema.prisma", "model A {\n" + deep("(", 100_000) + "\n}"},
		"a deep Ruby schema":    {"db/schema.rb", `create_table "a" do |t|` + "\n  t.index " + deep("[", 100_000)},
		"a deep program":        {"migrations/1.js", "queryInterface.createTable('a', " + deep("{a:", 50_000)},
		"a chart of itself":     {"chart/Chart.yaml", "name: a\ndependencies: [{name: a, repository: 'file://.'}, {name: b, repository: 'file://../../../..'}]\n"},
		"deep Terraform JSON":   {"t/x.tf", `x = jsondecode("` + deep("[", 50_000) + `")`},
		"a module of itself":    {"t/x.tf", "module \"a\" { source = \"./\" }\nmodule \"b\" { source = \"./\" }\nresource \"aws_lb\" \"l\" {}\n"},
		"instances without end": {"t/x.tf", "resource \"aws_lb\" \"l\" { count = 100000000 }\nresource \"aws_lb\" \"m\" { for_each = toset([for i in range(1000) : i]) }\n"},
	} {
		t.Run(name, func(t *testing.T) {
			sys, err := Repo(t.Context(), tree(map[string]string{
				file[0]:        file[1],
				"compose.yaml": "services:\n  good: {image: 'node:20'}\n",
			}))
			if err != nil {
				t.Fatal(err)
			}
			if sys.In("compose.yaml", "service/good") == nil {
				t.Error("the good file was not read")
			}
		})
	}
}
