package drive

import (
	"encoding/json"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

const shopAPI = `openapi: 3.1.0
info: {title: Shop, version: "1"}
servers:
  - url: https://{region}.shop.example/{base}/
    variables: {region: {default: eu}, base: {default: api}}
security: [{bearer: []}]
components:
  securitySchemes:
    bearer: {type: http, scheme: bearer}
    key: {type: apiKey, in: header, name: X-Api-Key}
  parameters:
    Page: {name: page, in: query, required: true, schema: {type: integer, minimum: 1, maximum: 50}}
  schemas:
    Node:
      type: object
      properties:
        name: {type: [string, "null"], minLength: 20}
        parent: {$ref: '#/components/schemas/Node'}
    Order:
      allOf:
        - type: object
          required: [items]
          properties:
            id: {type: integer, readOnly: true}
            items: {type: array, items: {type: object, properties: {product_id: {type: integer}, qty: {type: integer, minimum: 2}}}}
        - properties:
            note: {type: string, example: "leave it: at # the door"}
            price: {type: number, example: 12.50}
paths:
  /products:
    get: {operationId: listProducts, parameters: [{$ref: '#/components/parameters/Page'}, {name: q, in: query, schema: {type: string}}], responses: {}}
  /products/{productId}:
    parameters: [{name: productId, in: path, required: true, schema: {type: integer}, example: 17}]
    get: {security: [], responses: {}}
    delete: {security: [{key: []}], responses: {}}
  /reports/{kind}.{format}:
    get:
      parameters:
        - {name: kind, in: path, required: true, schema: {type: string, enum: [daily, weekly]}}
        - {name: format, in: path, required: true, example: csv}
      responses: {}
  /login:
    post:
      security: []
      requestBody:
        content:
          application/json:
            example: {email: ada@shop.example, password: sEcr3tCanary0123456789abcdef, remember: true}
      responses: {}
  /orders:
    post:
      requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Order'}}}}
      responses: {}
    put: {deprecated: true, responses: {}}
  /nodes:
    post:
      requestBody: {content: {application/x-www-form-urlencoded: {schema: {$ref: '#/components/schemas/Node'}}}}
      responses: {}
  /upload:
    post: {requestBody: {content: {image/png: {}}}, responses: {}}
  /elsewhere:
    get: {parameters: [{$ref: 'other.yaml#/x'}], responses: {}}
`

func TestAnOpenAPIFileBecomesAJourneyForEachOperation(t *testing.T) {
	tr := mustImport(t, "openapi.yaml", shopAPI)
	got := map[string]string{}
	var order []string
	for _, j := range tr.Journeys {
		r := j.Steps[0].Request
		hs := ""
		for _, h := range r.Headers {
			hs += " " + h.Name + ":" + h.Value
		}
		got[r.Route] = r.Path + hs + " " + r.Body
		order = append(order, r.Method)
	}
	for route, want := range map[string]string{
		"GET /api/products":        "/api/products?page=1 Authorization:Bearer ${rows.users.token} ",
		"GET /api/products/:id":    "/api/products/${rows.products.id} ",
		"DELETE /api/products/:id": "/api/products/${rows.products.id} X-Api-Key:${rows.users.x_api_key} ",
		"GET /api/reports/:id.:id": "/api/reports/daily.csv Authorization:Bearer ${rows.users.token} ",
		"POST /api/login":          `/api/login {"email":"${rows.users.email}","password":"${rows.users.password}","remember":true}`,
		"POST /api/orders":         `/api/orders Authorization:Bearer ${rows.users.token} {"items":[{"product_id":1,"qty":2}],"note":"leave it: at # the door","price":12.5}`,
		"POST /api/upload":         "/api/upload Authorization:Bearer ${rows.users.token} ",
	} {
		if got[route] != want {
			t.Errorf("%s is\n%q, want\n%q", route, got[route], want)
		}
	}
	if s := strings.Join(order, " "); !strings.HasPrefix(s, "GET GET GET GET ") || strings.Count(s, "GET") != 4 {
		t.Errorf("the order is %s; reads come first", s)
	}
	text := tr.YAML()
	for _, want := range []string{"assumed: ", "references to other files", "deprecated", "# writes", "add its body: image/png"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if !strings.HasPrefix(got["POST /api/nodes"], "/api/nodes Authorization:Bearer ${rows.users.token} Content-Type:application/x-www-form-urlencoded name=namexxxxxxxxxxxxxxxx&parent=") {
		t.Errorf("the form is %q", got["POST /api/nodes"])
	}
}

func TestAnOpenAPIFileReadsAlikeAsJSONAndYAML(t *testing.T) {
	var v any
	if err := yaml.Unmarshal([]byte(shopAPI), &v); err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	a, b := mustImport(t, "a.yaml", shopAPI), mustImport(t, "a.json", string(text))
	if len(a.Journeys) != len(b.Journeys) {
		t.Errorf("%d operations as YAML, %d as JSON", len(a.Journeys), len(b.Journeys))
	}
}

func TestABrokenOpenAPIFileIsRefusedAtItsLine(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"no YAML", "openapi: 3.0.0\npaths: {\n  /a: [\n", "a.yaml:"},
		{"no paths", "openapi: 3.0.0\ninfo: {}\n", "a.yaml:1: read OpenAPI: it has no paths"},
		{"no operation", "openapi: 3.0.0\npaths: {}\n", "no request of the application is in it"},
		{"an older version", "swagger: \"2.0\"\npaths: {}\n", "a.yaml:1: import traffic"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := importText(t, "a.yaml", c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func FuzzOpenAPI(f *testing.F) {
	f.Add([]byte(shopAPI))
	f.Add([]byte("openapi: 3.0.3\npaths:\n  /a/{b}:\n    post:\n      requestBody: {content: {application/json: {schema: {properties: {a: {type: number, example: 1.0}, '<<': {}}}}}}\n"))
	f.Fuzz(fuzzImport("openapi.yaml"))
}
