package read

import "testing"

func TestOnlyFlagsAndSizesOfMemoryAreKept(t *testing.T) {
	for _, c := range []struct {
		name, value string
		kept        bool
	}{
		{"GOMEMLIMIT", "900MiB", true},
		{"NODE_OPTIONS", "--enable-source-maps --max-old-space-size=300", true},
		{"JAVA_TOOL_OPTIONS", "-Xms256m -Xmx512m -XX:+UseG1GC -XX:MaxRAMPercentage=75.0", true},
		{"JAVA_OPTS", "-Xmx512m -Ddb.password=hunter2", false},
		{"NODE_OPTIONS", "--require ./x.js", false},
		{"API_TOKEN", "512m", false},
	} {
		if kept, whole := reveal(c.name, c.value, plainSource); (kept == c.value && whole) != c.kept {
			t.Errorf("%s=%s: kept %q, want kept %t", c.name, c.value, kept, c.kept)
		}
	}
}
