package read

import (
	"strings"
	"testing"

	"github.com/premortem/premortem"
)

func TestEntryIsWrittenAsItsNeighbour(t *testing.T) {
	for _, c := range []struct {
		name, file, source, text, want string
		hash                           string
	}{
		{name: "a key of a ConfigMap, deeper than usual", file: "k8s/c.yaml", source: "configmap c", hash: "1",
			text: "data:\n      NAME: x", want: `      {name}: "{value}"`},
		{name: "a key of stringData", file: "k8s/s.yaml", source: "secret s", hash: "1", text: "stringData:\n    NAME: x", want: `    {name}: "{value}"`},
		{name: "a key of a Secret's data is base64", file: "k8s/s.yaml", source: "secret s", hash: "1", text: "data:\n  NAME: eA==", want: "  {name}: {base64}"},
		{name: "a sealed key cannot be made", file: "k8s/s.yaml", source: "secret s", text: "  encryptedData:\n    NAME: AgB"},
		{name: "an entry of env with its value", file: "k8s/a.yaml", source: "environment", text: "env:\n        -   name: NAME\n            value: x",
			want: "        -   name: {name}\n            value: \"{value}\""},
		{name: "a reference would need its object too", file: "k8s/a.yaml", source: "secret s", hash: "1", text: "env:\n- name: NAME\n  valueFrom:"},
		{name: "an external secret", file: "k8s/e.yaml", source: "secret s",
			text: "  data:\n    - secretKey: NAME\n      remoteRef:\n        key: shop/NAME\n        property: NAME_2\n    - secretKey: OTHER",
			want: "    - secretKey: {name}\n      remoteRef:\n        key: shop/{name}\n        property: NAME_2"},
		{name: "a literal of a generator", file: "kustomization.yaml", source: "configmap c", hash: "1", text: "literals:\n      - NAME=x", want: "      - {name}={value}"},
		{name: "Compose's map", file: "compose.yaml", source: "environment", text: "    environment:\n      NAME: ${NAME}", want: `      {name}: "{value}"`},
		{name: "Compose's list", file: "compose.yaml", source: "environment", text: "    environment:\n      - \"NAME=x\"", want: `      - "{name}={value}"`},
		{name: "an env file", file: "deploy/.env", source: "env_file deploy/.env", text: "#\nexport NAME=x", want: "export {name}={value}"},
		{name: "a map on one line", file: "k8s/c.yaml", source: "configmap c", hash: "1", text: "kind: ConfigMap\ndata: {NAME: x}"},
		{name: "a template decides", file: "chart/templates/c.yaml", source: "configmap c", hash: "1", text: "data:\n  NAME: {{ .Values.x }}"},
		{name: "values are picked by a template", file: "chart/values-prod.yaml", source: "environment", text: "env:\n  NAME: x"},
		{name: "a container definition", file: "ecs.tf", source: "environment", text: "environment = [\n  { name = \"NAME\", value = var.x },", want: `  { name = "{name}", value = "{value}" },`},
	} {
		lines := strings.Split(c.text, "\n")
		s := premortem.EnvSet{Name: "NAME", Source: c.source, Hash: c.hash, Pos: premortem.Pos{File: c.file, Line: 2}}
		if got := entryForm(&s, lines); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
