package read

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"reflect"
	"regexp"
	"strings"
	"text/template"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/Masterminds/sprig/v3"
	"gopkg.in/yaml.v3"
)

const (
	maxFuncText  = 512 << 10 // bytes of a function's result
	maxFuncNodes = 100_000   // elements of a function's result
)

var errFuncSize = errors.New("a function's result is too large")

// chartFuncs are the functions of charts that need no state: those of sprig without
// what looks outside, what is random and what can be made to eat the machine.
var chartFuncs = func() template.FuncMap {
	out := sprig.TxtFuncMap()
	for _, name := range []string{"env", "expandenv", "getHostByName"} {
		delete(out, name)
	}
	constant := func(n int) string { return strings.Repeat("x", min(max(n, 0), 4096)) }
	for _, name := range []string{"randAlphaNum", "randAlpha", "randAscii", "randNumeric", "randBytes"} {
		out[name] = constant
	}
	epoch := func() time.Time { return time.Unix(0, 0).UTC() }
	out["now"] = epoch
	out["ago"] = func(any) string { return "0s" }
	out["uuidv4"] = func() string { return "00000000-0000-4000-8000-000000000000" }
	out["randInt"] = func(lo, _ int) int { return lo }
	for _, name := range []string{"genPrivateKey", "derivePassword", "bcrypt", "htpasswd", "encryptAES", "decryptAES"} {
		out[name] = func(...any) string { return "generated" }
	}
	for _, name := range []string{"genCA", "genCAWithKey", "genSelfSignedCert", "genSelfSignedCertWithKey", "genSignedCert", "genSignedCertWithKey", "buildCustomCert"} {
		out[name] = func(...any) map[string]any { return map[string]any{"Cert": "generated", "Key": "generated"} }
	}
	maps.Copy(out, textFuncs)
	maps.Copy(out, formatFuncs)
	for name, f := range out {
		out[name] = bounded(f)
	}
	return out
}()

// grows reports that n copies of a text of k bytes would be too much.
func grows(n, k int) bool { return n < 0 || k > 0 && n > maxFuncText/k }

// textFuncs replace functions whose result can be far larger than their input.
var textFuncs = template.FuncMap{
	"repeat": func(n int, s string) (string, error) {
		if grows(n, len(s)) {
			return "", errFuncSize
		}
		return strings.Repeat(s, n), nil
	},
	"indent":  indentText,
	"nindent": func(n int, s string) (string, error) { out, err := indentText(n, s); return "\n" + out, err },
	"replace": func(old, with, s string) (string, error) {
		if grows(strings.Count(s, old)+1, len(with)+1) {
			return "", errFuncSize
		}
		return strings.ReplaceAll(s, old, with), nil
	},
	"join": func(sep string, v any) (string, error) {
		list := sprigStrings(v)
		if grows(len(list)+1, len(sep)+1) {
			return "", errFuncSize
		}
		return strings.Join(list, sep), nil
	},
	"regexReplaceAll":            func(re, s, with string) (string, error) { return regexReplace(re, s, with, false) },
	"regexReplaceAllLiteral":     func(re, s, with string) (string, error) { return regexReplace(re, s, with, true) },
	"mustRegexReplaceAll":        func(re, s, with string) (string, error) { return regexReplace(re, s, with, false) },
	"mustRegexReplaceAllLiteral": func(re, s, with string) (string, error) { return regexReplace(re, s, with, true) },
	"until":                      func(n int) ([]int, error) { return steps(0, n, 1) },
	"untilStep": func(from, to, step int) ([]int, error) {
		return steps(from, to, step)
	},
	"seq":     func(...int) (string, error) { return "", errors.New("seq is not evaluated") },
	"printf":  fmt.Sprintf,
	"print":   fmt.Sprint,
	"println": fmt.Sprintln,
	"html":    fmt.Sprint,
	"js":      fmt.Sprint,
	"fail":    func(why string) (string, error) { return "", errors.New(why) },
	"lookup":  func(...string) map[string]any { return map[string]any{} },
	"b64dec": func(s string) string {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return ""
		}
		return string(b)
	},
}

// sprigStrings is a list as texts, as sprig's join takes it.
func sprigStrings(v any) []string {
	rv := reflect.ValueOf(v)
	if !rv.IsValid() {
		return nil
	}
	if rv.Kind() != reflect.Slice && rv.Kind() != reflect.Array {
		return []string{fmt.Sprint(v)}
	}
	var out []string
	for i := range rv.Len() {
		if x := rv.Index(i).Interface(); x != nil {
			out = append(out, fmt.Sprint(x))
		}
	}
	return out
}

func regexReplace(pattern, s, with string, literal bool) (string, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return "", err
	}
	if grows(len(re.FindAllStringIndex(s, -1))+1, len(with)+1) {
		return "", errFuncSize
	}
	if literal {
		return re.ReplaceAllLiteralString(s, with), nil
	}
	return re.ReplaceAllString(s, with), nil
}

func indentText(n int, s string) (string, error) {
	if n > 1000 || grows(strings.Count(s, "\n")+1, max(n, 0)+1) {
		return "", errFuncSize
	}
	pad := strings.Repeat(" ", max(n, 0))
	return pad + strings.ReplaceAll(s, "\n", "\n"+pad), nil
}

func steps(from, to, step int) ([]int, error) {
	out := []int{}
	if step == 0 {
		return out, nil
	}
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		if len(out) > 10_000 {
			return nil, errFuncSize
		}
		out = append(out, i)
	}
	return out, nil
}

// formatFuncs are those that charts have beside sprig's.
var formatFuncs = template.FuncMap{
	"toYaml":        toYAML,
	"toYamlPretty":  toYAML,
	"mustToYaml":    toYAML,
	"fromYaml":      func(s string) map[string]any { return decodeYAML[map[string]any](s) },
	"fromYamlArray": func(s string) []any { return decodeYAML[[]any](s) },
	"toToml": func(v any) string {
		var b strings.Builder
		if toml.NewEncoder(&b).Encode(v) != nil {
			return ""
		}
		return b.String()
	},
	"fromJson":      func(s string) map[string]any { return decodeJSON[map[string]any](s) },
	"fromJsonArray": func(s string) []any { return decodeJSON[[]any](s) },
	"toJson": func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			return ""
		}
		return string(b)
	},
}

func toYAML(v any) string {
	var b strings.Builder
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if enc.Encode(v) != nil {
		return ""
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func decodeYAML[T any](s string) T {
	var v T
	docs, err := parseYAML(File{"value", []byte(s)})
	if err == nil && len(docs) > 0 {
		_ = docs[0].Decode(&v) // Helm puts the error into the map; nobody reads it
	}
	return v
}

func decodeJSON[T any](s string) T {
	var v T
	if nesting([]byte(s)) <= maxDepth {
		_ = json.Unmarshal([]byte(s), &v)
	}
	return v
}

var errorType = reflect.TypeFor[error]()

// bounded refuses results that are too large or contain themselves.
func bounded(f any) any {
	fn := reflect.ValueOf(f)
	t := fn.Type()
	if t.Kind() != reflect.Func || t.NumOut() == 0 {
		return f
	}
	in := make([]reflect.Type, t.NumIn())
	for i := range in {
		in[i] = t.In(i)
	}
	wrapped := reflect.FuncOf(in, []reflect.Type{t.Out(0), errorType}, t.IsVariadic())
	return reflect.MakeFunc(wrapped, func(args []reflect.Value) []reflect.Value {
		var res []reflect.Value
		if t.IsVariadic() {
			res = fn.CallSlice(args)
		} else {
			res = fn.Call(args)
		}
		if len(res) == 2 && !res[1].IsNil() {
			return res
		}
		if left := maxFuncNodes; !small(res[0], &left, 0) {
			return []reflect.Value{reflect.Zero(t.Out(0)), reflect.ValueOf(&errFuncSize).Elem()}
		}
		return []reflect.Value{res[0], reflect.Zero(errorType)}
	}).Interface()
}

// small reports a value that is neither huge nor deeper than people write.
func small(v reflect.Value, left *int, depth int) bool {
	for v.Kind() == reflect.Interface && !v.IsNil() {
		v = v.Elem()
	}
	if *left--; *left < 0 || depth > maxDepth {
		return false
	}
	switch v.Kind() {
	case reflect.String:
		*left -= v.Len() / 64
		return v.Len() <= maxFuncText && *left >= 0
	case reflect.Slice, reflect.Array:
		if k := v.Type().Elem().Kind(); k != reflect.Interface && k != reflect.String && k != reflect.Map && k != reflect.Slice {
			return v.Len() <= maxFuncNodes
		}
		for i := range v.Len() {
			if !small(v.Index(i), left, depth+1) {
				return false
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if !small(it.Value(), left, depth+1) {
				return false
			}
		}
	}
	return true
}

// kubeVersion is the cluster that charts are rendered for.
type kubeVersion struct{ Version, Major, Minor, GitVersion string }

func (k kubeVersion) String() string { return k.Version }

// apiVersions are what the cluster has.
type apiVersions map[string]bool

// Has reports a group and version, with or without a kind.
func (a apiVersions) Has(v string) bool {
	if a[v] {
		return true
	}
	i := strings.LastIndex(v, "/")
	return i > 0 && a[v[:i]]
}

func capabilities() map[string]any {
	const version = "v1.33.0"
	return map[string]any{
		"KubeVersion": kubeVersion{version, "1", "33", version},
		"HelmVersion": map[string]any{"Version": "v3.18.0", "GitCommit": "", "GitTreeState": "", "GoVersion": ""},
		"APIVersions": apiVersions(wordSet(`v1 apps/v1 batch/v1 autoscaling/v1 autoscaling/v2 networking.k8s.io/v1 policy/v1
			rbac.authorization.k8s.io/v1 storage.k8s.io/v1 apiextensions.k8s.io/v1 admissionregistration.k8s.io/v1
			monitoring.coreos.com/v1 cert-manager.io/v1 gateway.networking.k8s.io/v1 external-secrets.io/v1`)),
	}
}

// chartFiles gives a template the chart's own files, and no others.
type chartFiles struct{ c *chart }

// Get returns a file's text, "" for one that is not there.
func (f chartFiles) Get(name string) string {
	p := join(f.c.dir, name)
	if p == "" || !f.c.t.has(p) || !strings.HasPrefix("/"+p, path.Join("/", f.c.dir)+"/") && f.c.dir != "." {
		return ""
	}
	data, err := f.c.t.read(p)
	if err != nil {
		return ""
	}
	return string(data)
}

// GetBytes is Get as bytes.
func (f chartFiles) GetBytes(name string) []byte { return []byte(f.Get(name)) }

// Lines is Get by lines.
func (f chartFiles) Lines(name string) []string { return strings.Split(f.Get(name), "\n") }

// Glob returns the files whose path fits a pattern.
func (f chartFiles) Glob(pattern string) globbedFiles {
	out := globbedFiles{}
	deep := strings.ReplaceAll(pattern, "**", "*")
	for _, p := range f.c.t.under(f.c.dir) {
		rel := strings.TrimPrefix(p, f.c.dir+"/")
		ok, _ := path.Match(pattern, rel)
		if again, _ := path.Match(deep, rel); (ok || again) && len(out) < 200 {
			out[rel] = f.Get(rel)
		}
	}
	return out
}

// globbedFiles is a set of files as a template sees it.
type globbedFiles map[string]string

// Get returns one of the files.
func (g globbedFiles) Get(name string) string { return g[name] }

// AsConfig is the data of a ConfigMap.
func (g globbedFiles) AsConfig() string {
	out := map[string]string{}
	for k, v := range g {
		out[path.Base(k)] = v
	}
	if len(out) == 0 {
		return ""
	}
	return toYAML(out)
}

// AsSecrets is the data of a Secret.
func (g globbedFiles) AsSecrets() string {
	out := map[string]string{}
	for k, v := range g {
		out[path.Base(k)] = base64.StdEncoding.EncodeToString([]byte(v))
	}
	if len(out) == 0 {
		return ""
	}
	return toYAML(out)
}
