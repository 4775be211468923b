package read

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// bigTree is a made-up repository with the proportions of real ones: half of its
// files are a TypeScript monorepo, the rest other languages, manifests of several
// environments, infrastructure, migrations, documentation, fixtures and pictures.
// The same seed gives the same bytes.
//
// It was measured against medusajs/medusa (15,372 files, 48 of 100 of them JavaScript
// or TypeScript, 3.6 kB each, 7.0 bytes a token), thingsboard/thingsboard (10,074; 65
// of 100 are source), Unleash/unleash (6,668; 7.3 bytes a token), formbricks/formbricks
// (4,689; 5.5 kB) and outline/outline (2,707; 4.0 kB, 6.2 bytes a token). It has more
// services, manifests, routes and queries than any of them.
type bigTree struct {
	t     testing.TB
	r     *rand.Rand
	dir   string
	files int
	bytes int
}

const (
	bigServices = 40 // workloads with a Dockerfile, manifests and code
	bigFiles    = 10_000
)

// writeBigTree fills a folder with exactly bigFiles files and returns their bytes.
func writeBigTree(t testing.TB, dir string) int {
	t.Helper()
	b := &bigTree{t: t, r: rand.New(rand.NewPCG(7, 11)), dir: dir}
	b.root()
	for i := range bigServices {
		b.service(i)
	}
	b.infrastructure()
	b.libraries()
	for n := 0; b.files < bigFiles; n++ {
		b.write(fmt.Sprintf("web/src/components/%s/Part%d.tsx", b.word(n/40), n), b.component(n))
	}
	return b.bytes
}

func (b *bigTree) write(name string, data string) {
	b.t.Helper()
	full := filepath.Join(b.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(data), 0o644); err != nil {
		b.t.Fatal(err)
	}
	b.files++
	b.bytes += len(data)
}

var bigWords = strings.Fields(`account audit basket billing cart catalog channel checkout comment contact coupon currency
	customer delivery discount document event export feature folder gallery group history import inbox invoice item ledger
	locale member message metric notice offer order partner payment permission policy price product profile project quote
	refund region report review role schedule search session shipment stock store subscription tag task team template
	ticket token upload user vendor visit wallet webhook widget workspace`)

func (b *bigTree) word(n int) string { return bigWords[n%len(bigWords)] }

func (b *bigTree) pick() string { return bigWords[b.r.IntN(len(bigWords))] }

func title(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// lines is how long the next file is: most are short, a few are long.
func (b *bigTree) lines() int { return 1 + int(b.r.ExpFloat64()*3) }

// few is lines for what even a large service has few of in a file.
func (b *bigTree) few() int { return 1 + int(b.r.ExpFloat64()*1.5) }

// name is a name as people make them, of two words.
func (b *bigTree) name() string { return b.pick() + title(b.pick()) }

func (b *bigTree) root() {
	b.write("package.json", `{"name": "big", "private": true, "workspaces": ["services/*", "web", "libs/*"], "engines": {"node": "20"}}`+"\n")
	b.write(".nvmrc", "20\n")
	b.write(".env.example", "DATABASE_URL=\nREDIS_URL=\n")
	b.write("README.md", "# Big\n")
	var lock, compose strings.Builder
	lock.WriteString("{\n  \"name\": \"big\",\n  \"lockfileVersion\": 3,\n  \"packages\": {\n    \"\": {\"name\": \"big\"}")
	for i := range 1500 {
		fmt.Fprintf(&lock, ",\n    \"node_modules/%s-%d\": {\"version\": \"%d.2.%d\", \"resolved\": \"https://registry.example/%d.tgz\", \"integrity\": \"sha512-%064x\"}", b.pick(), i, i%9, i%31, i, b.r.Uint64())
	}
	lock.WriteString("\n  }\n}\n")
	b.write("package-lock.json", lock.String())
	compose.WriteString("services:\n  db:\n    image: postgres:16\n    environment: {POSTGRES_PASSWORD: example}\n")
	for i := range bigServices {
		fmt.Fprintf(&compose, "  %s:\n    build: services/%s\n    depends_on: [db]\n    environment:\n      DATABASE_URL: postgres://app:example@db:5432/app\n      LOG_LEVEL: debug\n", b.word(i), b.word(i))
	}
	b.write("compose.yaml", compose.String())
	for i := range 12 {
		b.write(fmt.Sprintf(".github/workflows/%s.yml", b.word(i)), "name: ci\non: push\njobs:\n  test:\n    runs-on: ubuntu-24.04\n    steps:\n      - uses: actions/checkout@v4\n      - uses: actions/setup-node@v4\n        with: {node-version: 20}\n      - run: npm ci\n      - run: npm test\n")
	}
}

// service writes one workload: code in one of four languages, its image, its
// manifests and its migrations.
func (b *bigTree) service(i int) {
	name := b.word(i)
	dir := "services/" + name
	switch i % 8 {
	case 5:
		b.write(dir+"/go.mod", "module example.com/"+name+"\n\ngo 1.24\n")
		b.write(dir+"/Dockerfile", "FROM golang:1.24 AS build\nWORKDIR /src\nCOPY . .\nRUN go build -o /app .\nFROM gcr.io/distroless/static\nCOPY --from=build /app /app\nCMD [\"/app\"]\n")
		for n := range 130 {
			b.write(fmt.Sprintf("%s/%s/%s%d.go", dir, b.word(n/12), b.word(n), n), b.golang(n))
		}
	case 6:
		b.write(dir+"/requirements.txt", "django==5.0\npsycopg==3.2\n")
		b.write(dir+"/Dockerfile", "FROM python:3.12\nWORKDIR /app\nCOPY . .\nRUN pip install -r requirements.txt\nCMD [\"gunicorn\", \"app.main\"]\n")
		for n := range 130 {
			b.write(fmt.Sprintf("%s/app/%s/%s%d.py", dir, b.word(n/12), b.word(n), n), b.python(n))
		}
	case 7:
		b.write(dir+"/Dockerfile", "FROM ruby:3.3\nWORKDIR /app\nCOPY . .\nCMD [\"bundle\", \"exec\", \"puma\"]\n")
		for n := range 50 {
			b.write(fmt.Sprintf("%s/app/models/%s%d.rb", dir, b.word(n), n), b.ruby(n))
			b.write(fmt.Sprintf("%s/src/main/java/com/example/%s/%s%d.java", dir, b.word(n/9), title(b.word(n)), n), b.java(n))
		}
	default:
		b.nodeService(dir, name)
	}
	b.manifests(name)
	for n := range 8 {
		b.write(fmt.Sprintf("%s/migrations/%04d_%s.sql", dir, n, b.word(n)), b.migration(i, n))
	}
	b.write(dir+"/README.md", "# "+name+"\n"+strings.Repeat("How it works, and why.\n", 40))
}

func (b *bigTree) nodeService(dir, name string) {
	b.write(dir+"/package.json", fmt.Sprintf(`{"name": "@big/%s", "main": "src/index.ts", "scripts": {"start": "node dist/index.js", "test": "vitest"}, "dependencies": {"express": "^4.19.2", "pg": "^8.11.0", "sequelize": "^6.37.0"}}`, name)+"\n")
	b.write(dir+"/Dockerfile", "FROM node:20-alpine AS build\nWORKDIR /app\nCOPY package*.json ./\nRUN npm ci\nCOPY . .\nRUN npm run build\nFROM node:20-alpine\nWORKDIR /app\nCOPY --from=build /app /app\nEXPOSE 3000\nCMD [\"node\", \"dist/index.js\"]\n")
	var index strings.Builder
	index.WriteString("import express from 'express';\nimport { Pool } from 'pg';\nconst app = express();\nexport const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 10 });\n")
	for n := range 100 {
		at := fmt.Sprintf("%s/%s%d", b.word(n/8), b.word(n), n)
		b.write(fmt.Sprintf("%s/src/logic/%s.ts", dir, at), b.logic(n))
		if n < 12 {
			fmt.Fprintf(&index, "import r%d from './routes/%s';\napp.use('/%s', r%d);\n", n, at, b.word(n), n)
			b.write(fmt.Sprintf("%s/src/routes/%s.ts", dir, at), b.route(n))
		}
	}
	for n := range 8 {
		b.write(fmt.Sprintf("%s/src/__tests__/%s%d.test.ts", dir, b.word(n), n), b.logic(n))
		b.write(fmt.Sprintf("%s/src/models/%s.ts", dir, title(b.word(n))), b.model(n))
	}
	index.WriteString("app.listen(Number(process.env.PORT) || 3000);\n")
	b.write(dir+"/src/index.ts", index.String())
}

func (b *bigTree) manifests(name string) {
	base := "k8s/base/" + name
	b.write(base+"/deployment.yaml", fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata:
  name: %[1]s
  labels: {app: %[1]s}
spec:
  replicas: 2
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata:
      labels: {app: %[1]s}
    spec:
      containers:
        - name: %[1]s
          image: registry.example.com/%[1]s:1.4.2
          ports: [{containerPort: 3000}]
          envFrom: [{configMapRef: {name: %[1]s}}]
          env:
            - name: DATABASE_URL
              valueFrom: {secretKeyRef: {name: %[1]s, key: url}}
            - name: LOG_LEVEL
              value: info
          resources:
            requests: {cpu: 100m, memory: 256Mi}
            limits: {cpu: "1", memory: 512Mi}
          readinessProbe: {httpGet: {path: /health, port: 3000}}
          livenessProbe: {httpGet: {path: /health, port: 3000}}
`, name))
	b.write(base+"/service.yaml", fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata:\n  name: %[1]s\nspec:\n  selector: {app: %[1]s}\n  ports: [{port: 80, targetPort: 3000}]\n", name))
	b.write(base+"/configmap.yaml", fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %[1]s\ndata:\n  REDIS_URL: redis://redis:6379\n  FEATURES: \"a,b\"\n", name))
	b.write(base+"/hpa.yaml", fmt.Sprintf("apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata:\n  name: %[1]s\nspec:\n  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: %[1]s}\n  minReplicas: 2\n  maxReplicas: 12\n  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]\n", name))
	b.write(base+"/ingress.yaml", fmt.Sprintf("apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: %[1]s\nspec:\n  ingressClassName: nginx\n  rules:\n    - host: %[1]s.example.com\n      http:\n        paths:\n          - path: /\n            pathType: Prefix\n            backend: {service: {name: %[1]s, port: {number: 80}}}\n", name))
	b.write(base+"/kustomization.yaml", "resources:\n  - deployment.yaml\n  - service.yaml\n  - configmap.yaml\n  - hpa.yaml\n  - ingress.yaml\n")
	for _, env := range []string{"production", "staging"} {
		at := "k8s/overlays/" + env + "/" + name
		b.write(at+"/kustomization.yaml", "namespace: "+env+"\nresources:\n  - ../../../base/"+name+"\npatches:\n  - path: replicas.yaml\n")
		b.write(at+"/replicas.yaml", fmt.Sprintf("apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: %s\nspec:\n  replicas: 4\n", name))
	}
}

// infrastructure writes Terraform for three environments and two charts.
func (b *bigTree) infrastructure() {
	for _, env := range []string{"production", "staging", "development"} {
		b.write("terraform/"+env+"/main.tf", "terraform {\n  required_version = \">= 1.6\"\n}\n\nprovider \"aws\" {\n  region = var.region\n}\n")
		b.write("terraform/"+env+"/variables.tf", "variable \"region\" {\n  default = \"eu-west-1\"\n}\n\nvariable \"class\" {\n  default = \"db.t4g.medium\"\n}\n")
		b.write("terraform/"+env+"/terraform.tfvars", "region = \"eu-central-1\"\n")
		for i := range 30 {
			b.write(fmt.Sprintf("terraform/%s/%s.tf", env, b.word(i)), fmt.Sprintf("resource \"aws_sqs_queue\" \"%[1]s\" {\n  name = \"%[1]s-${var.region}\"\n  tags = merge(local.tags, { part = \"%[1]s\" })\n}\n\nlocals {\n  %[1]s_name = format(\"%%s-%%s\", \"%[1]s\", var.region)\n}\n", b.word(i)))
		}
		b.write("terraform/"+env+"/db.tf", "locals {\n  tags = { env = \""+env+"\" }\n}\n\nresource \"aws_db_instance\" \"main\" {\n  engine         = \"postgres\"\n  engine_version = \"16.3\"\n  instance_class = var.class\n}\n")
	}
	for c := range 2 {
		dir := "charts/" + b.word(c)
		b.write(dir+"/Chart.yaml", "apiVersion: v2\nname: "+b.word(c)+"\nversion: 1.0.0\n")
		b.write(dir+"/values.yaml", "replicas: 3\nimage: {repository: registry.example.com/app, tag: 1.2.3}\n")
		b.write(dir+"/values-production.yaml", "replicas: 6\n")
		for i := range 15 {
			b.write(fmt.Sprintf("%s/templates/%s.yaml", dir, b.word(i)), fmt.Sprintf("apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {{ .Release.Name }}-%[1]s\nspec:\n  replicas: {{ .Values.replicas }}\n  selector: {matchLabels: {app: %[1]s}}\n  template:\n    metadata: {labels: {app: %[1]s}}\n    spec:\n      containers:\n        - name: app\n          image: \"{{ .Values.image.repository }}:{{ .Values.image.tag }}\"\n          env:\n            - name: MODE\n              value: {{ .Values.mode | default \"live\" | quote }}\n", b.word(i)))
		}
	}
}

// libraries writes what has no workload of its own: shared code, documentation,
// fixtures, snapshots, styles and pictures.
func (b *bigTree) libraries() {
	for n := range 700 {
		b.write(fmt.Sprintf("libs/%s/src/%s%d.ts", b.word(n/30), b.word(n), n), b.logic(n))
	}
	for n := range 300 {
		b.write(fmt.Sprintf("docs/%s/%s%d.md", b.word(n/20), b.word(n), n), "# "+b.word(n)+"\n"+strings.Repeat("Words about "+b.pick()+" that nobody reads twice.\n", 20*b.lines()))
	}
	for n := range 450 {
		var f strings.Builder
		f.WriteString("{\n")
		for k := range 30 * b.lines() {
			fmt.Fprintf(&f, "  \"%s.%s.%d\": \"the %s of a %s\",\n", b.pick(), b.pick(), k, b.pick(), b.pick())
		}
		f.WriteString("  \"end\": true\n}\n")
		b.write(fmt.Sprintf("web/src/locales/%s/%s%d.json", b.word(n/20), b.word(n), n), f.String())
	}
	picture := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), make([]byte, 40_000)...)
	for n := range 600 {
		b.write(fmt.Sprintf("web/public/img/%s/%s%d.png", b.word(n/30), b.word(n), n), string(picture[:2000+b.r.IntN(38_000)]))
	}
	for n := range 400 {
		b.write(fmt.Sprintf("web/src/styles/%s/%s%d.css", b.word(n/30), b.word(n), n), strings.Repeat("."+b.word(n)+" { color: #333; margin: 0 auto; }\n", 10*b.lines()))
	}
	for n := range 80 {
		b.write(fmt.Sprintf("web/src/__snapshots__/%s%d.test.tsx.snap", b.word(n), n), strings.Repeat("exports[`renders`] = `<div class=\"x\">text</div>`;\n", 30*b.lines()))
	}
	b.write("web/package.json", `{"name": "@big/web", "scripts": {"build": "vite build"}, "dependencies": {"react": "^18.3.0", "vite": "^5.0.0"}}`+"\n")
	b.write("web/Dockerfile", "FROM node:20 AS build\nCOPY . .\nRUN npm ci && npm run build\nFROM nginx:1.27\nCOPY --from=build /dist /usr/share/nginx/html\n")
	b.write("web/vite.config.ts", "import { defineConfig } from 'vite';\nexport default defineConfig({});\n")
	b.write("web/public/vendor.min.js", strings.Repeat("!function(e,t){return e.call(t)}(this,1);", 4000))
	b.write("web/public/model.bin", string(bytes.Repeat([]byte{0, 1, 2, 3}, 200_000)))
}
