package read

import (
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// autoscaler reads the bounds of a HorizontalPodAutoscaler or of KEDA, and what they
// divide by a request.
func (c *cluster) autoscaler(o *object, made []*workload) {
	target := text(o.get("spec", "scaleTargetRef", "name"))
	maximum, minimum := "maxReplicas", "minReplicas"
	if o.kind() == "ScaledObject" {
		maximum, minimum = "maxReplicaCount", "minReplicaCount"
	}
	for _, w := range made {
		if w.name != target {
			continue
		}
		if v, err := strconv.Atoi(text(o.get("spec", maximum))); err == nil {
			w.MaxReplicas = premortem.Setting[int]{Value: v, Pos: o.where("spec", maximum)}
		}
		if v, err := strconv.Atoi(text(o.get("spec", minimum))); err == nil {
			w.MinReplicas = premortem.Setting[int]{Value: v, Pos: o.where("spec", minimum)}
			if !w.Replicas.Set() {
				w.Replicas = w.MinReplicas
			}
		}
		if o.kind() == "ScaledObject" {
			w.ScalesOn = append(w.ScalesOn, kedaMetrics(o)...)
		} else {
			w.ScalesOn = append(w.ScalesOn, hpaMetrics(o, w)...)
		}
	}
}

// hpaMetrics are the metrics that are a share of a request. An autoscaler that names
// no metric has that of the CPU.
func hpaMetrics(o *object, w *workload) []premortem.Setting[string] {
	var out []premortem.Setting[string]
	if s := o.word("spec", "targetCPUUtilizationPercentage"); s.Set() {
		return []premortem.Setting[string]{{Value: "cpu utilization", Pos: s.Pos}}
	}
	metrics := items(o.get("spec", "metrics"))
	if len(metrics) == 0 {
		return []premortem.Setting[string]{{Value: "cpu utilization", Pos: o.where("spec", "maxReplicas")}}
	}
	for i, m := range metrics {
		key := map[string]string{"Resource": "resource", "ContainerResource": "containerResource"}[text(field(m, "type"))]
		if key == "" || i > 9 || !shareOfRequest(field(m, key)) {
			continue
		}
		if only := text(field(m, key, "container")); only != "" && only != mainContainer(w.pod, w.podPath) {
			continue // another container's request counts
		}
		pos := o.where("spec", "metrics", "#"+strconv.Itoa(i), key, "name")
		out = append(out, premortem.Setting[string]{Value: text(field(m, key, "name")) + " utilization", Pos: pos})
	}
	return out
}

// shareOfRequest reports a target that is a percentage, in the form of any version.
func shareOfRequest(m *yaml.Node) bool {
	return text(field(m, "target", "type")) == "Utilization" || field(m, "target", "averageUtilization") != nil || field(m, "targetAverageUtilization") != nil
}

func kedaMetrics(o *object) []premortem.Setting[string] {
	var out []premortem.Setting[string]
	for i, t := range items(o.get("spec", "triggers")) {
		kind := text(field(t, "type"))
		metric := text(field(t, "metricType")) + text(field(t, "metadata", "type"))
		if i > 9 || kind != "cpu" && kind != "memory" || strings.Contains(metric, "AverageValue") {
			continue
		}
		out = append(out, premortem.Setting[string]{Value: kind + " utilization", Pos: o.where("spec", "triggers", "#"+strconv.Itoa(i), "type")})
	}
	return out
}
