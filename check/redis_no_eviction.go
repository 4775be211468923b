package check

import (
	"fmt"
	"strings"

	"github.com/premortem/premortem"
)

// RedisNoEviction finds caches that refuse writes when they are full.
var RedisNoEviction = add(Rule{
	ID:       "redis-no-eviction",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "a full Redis refuses writes instead of forgetting old keys",
		Why: `With maxmemory reached and the policy noeviction every write is answered with "OOM command
not allowed". Without maxmemory in a container with a limit the kernel kills it, and all keys
are gone.`,
		When: `Production's Redis has maxmemory and the policy noeviction, written or by default; or it
has a memory limit and no maxmemory. It is a note: whether the keys are a cache stands in no
file.`,
		Silent: `A policy that evicts is set; nothing limits its memory; a managed service with a default of
its own; production's Redis is not described.`,
		Fix: `For a cache set maxmemory to three quarters of the limit and maxmemory-policy allkeys-lru;
for a queue keep noeviction, set an alarm, and keep the cache in another instance.`,
	},
	Run: redisNoEviction,
})

func redisNoEviction(sys *premortem.System, report func(premortem.Finding)) {
	for _, st := range sys.Stores {
		if (st.Kind != "redis" && st.Kind != "valkey") || !sys.IsProduction(st.Deployment) {
			continue
		}
		kind := kindOf(sys, st.Deployment)
		stock := kind == "kubernetes" || kind == "compose"
		limit, policy := param(st, "maxmemory"), param(st, "maxmemory-policy")
		if policy.Set() && policy.Value != "noeviction" || !policy.Set() && !stock {
			continue
		}
		f := premortem.Finding{Node: st.Node, Subject: st.Deployment, Severity: asNote, Certain: true}
		switch {
		case limit.Set() && limit.Value != "0":
			f.Says = fmt.Sprintf("%s refuses writes when %s are full", st.Node, limit.Value)
			f.Evidence = []premortem.Evidence{{Says: "maxmemory " + limit.Value, Pos: limit.Pos}}
			f.Fix.Says = "for a cache set maxmemory-policy allkeys-lru; for a queue set an alarm below the limit"
		case st.Memory.Set() && !limit.Set():
			f.Says = fmt.Sprintf("%s has no maxmemory and is killed with all its keys at %d MiB", st.Node, st.Memory.Value>>20)
			f.Evidence = []premortem.Evidence{{Says: fmt.Sprintf("the container's limit is %d MiB, and nothing sets maxmemory", st.Memory.Value>>20), Pos: st.Memory.Pos}}
			f.Fix.Says = fmt.Sprintf("set maxmemory %dmb, and for a cache maxmemory-policy allkeys-lru", st.Memory.Value>>20*3/4)
		default:
			continue
		}
		if policy.Set() {
			f.Evidence = append(f.Evidence, premortem.Evidence{Says: "the policy is noeviction", Pos: policy.Pos})
		} else if k, ok := Default("redis", "", "maxmemory-policy"); ok {
			f.Evidence[0].Says += fmt.Sprintf("; the policy is %s, as nobody sets it (%s)", k.Text, k.cite())
		}
		report(f)
	}
}

// param is a setting of a store, silent when nobody makes it. A flag's dashes are the
// underscores of the setting.
func param(st *premortem.Store, name string) premortem.Setting[string] {
	for _, p := range st.Params {
		if strings.EqualFold(strings.ReplaceAll(p.Name, "-", "_"), strings.ReplaceAll(name, "-", "_")) {
			return p.Value
		}
	}
	return premortem.Setting[string]{}
}
