package read

import (
	"cmp"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// tidy sorts a System and makes its empty lists lists, so that the same facts give
// the same bytes in whatever order they were found.
func tidy(s *premortem.System) {
	byPos := func(a, b premortem.Pos) int { return a.Compare(b) }
	sorted(&s.Deployments, func(a, b *premortem.Deployment) int { return cmp.Compare(a.Name, b.Name) })
	sorted(&s.Services, func(a, b *premortem.Service) int {
		return cmp.Or(cmp.Compare(a.Deployment, b.Deployment), cmp.Compare(a.Node, b.Node))
	})
	for _, v := range s.Services {
		tidyService(v)
	}
	sorted(&s.Stores, func(a, b *premortem.Store) int {
		return cmp.Or(cmp.Compare(a.Deployment, b.Deployment), cmp.Compare(a.Node, b.Node), byPos(a.Pos, b.Pos))
	})
	for _, v := range s.Stores {
		sorted(&v.Hosts, strings.Compare)
		v.Hosts = slices.Compact(v.Hosts)
		sorted(&v.Params, func(a, b premortem.Param) int { return cmp.Compare(a.Name, b.Name) })
	}
	sorted(&s.ThirdParties, func(a, b *premortem.ThirdParty) int { return cmp.Compare(a.Node, b.Node) })
	for _, v := range s.ThirdParties {
		sorted(&v.Uses, func(a, b premortem.Setting[string]) int { return byPos(a.Pos, b.Pos) })
		v.Hosts = slices.Clone(v.Hosts)
		sorted(&v.Hosts, strings.Compare)
	}
	sorted(&s.Balancers, func(a, b *premortem.Balancer) int {
		return cmp.Or(cmp.Compare(a.Deployment, b.Deployment), byPos(a.Pos, b.Pos), cmp.Compare(a.To, b.To))
	})
	sorted(&s.Dependencies, func(a, b *premortem.Dependency) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), byPos(a.Pos, b.Pos))
	})
	sorted(&s.Env, func(a, b *premortem.EnvVar) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Name, b.Name))
	})
	for _, v := range s.Env {
		sorted(&v.Reads, func(a, b premortem.EnvRead) int { return cmp.Or(byPos(a.Pos, b.Pos), cmp.Compare(a.Class, b.Class)) })
		v.Reads = slices.Compact(v.Reads)
	}
	sorted(&s.Samples, func(a, b *premortem.EnvSample) int {
		return cmp.Or(cmp.Compare(a.File, b.File), byPos(a.Sets[0].Pos, b.Sets[0].Pos))
	})
	tidyCode(s)
	tidyTraffic(s)
	sorted(&s.Journeys, func(a, b *premortem.Journey) int { return byPos(a.Pos, b.Pos) })
	sorted(&s.Objectives, func(a, b premortem.Objective) int { return byPos(a.Pos, b.Pos) })
	sorted(&s.Suppressions, func(a, b premortem.Suppression) int { return cmp.Or(byPos(a.Pos, b.Pos), cmp.Compare(a.Rule, b.Rule)) })
	sorted(&s.Unread, func(a, b premortem.Unread) int { return cmp.Or(byPos(a.Pos, b.Pos), cmp.Compare(a.Why, b.Why)) })
	s.Unread = slices.Compact(s.Unread)
	list(&s.Database.Rows)
	list(&s.Database.Values)
}

// hopRank orders the ports on a request's way from the user inwards.
var hopRank = map[string]int{"router": 0, "balancer": 1, "ingress": 2, "gateway": 3, "published": 4, "proxy": 4, "service": 5, "container": 6}

func tidyService(v *premortem.Service) {
	slices.SortStableFunc(v.Ports, func(a, b premortem.Setting[int]) int {
		return cmp.Or(cmp.Compare(a.Value, b.Value), a.Pos.Compare(b.Pos))
	})
	v.Ports = slices.CompactFunc(v.Ports, func(a, b premortem.Setting[int]) bool { return a.Value == b.Value })
	list(&v.Ports)
	sorted(&v.Provides, func(a, b premortem.EnvSet) int { return cmp.Compare(a.Name, b.Name) })
	sorted(&v.Opaque, func(a, b premortem.Opaque) int { return cmp.Or(a.Pos.Compare(b.Pos), cmp.Compare(a.Why, b.Why)) })
	list(&v.ScalesOn)
	list(&v.Probes)
	list(&v.References)
	sorted(&v.Hops, func(a, b premortem.Hop) int { return cmp.Compare(hopRank[a.Kind], hopRank[b.Kind]) })
	list(&v.After)
	for i := range v.References {
		list(&v.References[i].Keys)
	}
	sorted(&v.BuildArgs, func(a, b premortem.EnvSet) int { return cmp.Compare(a.Name, b.Name) })
	sorted(&v.DependsOn, func(a, b premortem.Node) int { return cmp.Compare(a, b) })
}

// tidyCode sorts what was found in code and schema. Columns and indexes keep the
// order in which they were made.
func tidyCode(s *premortem.System) {
	sorted(&s.Runtimes, func(a, b *premortem.Runtime) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), a.Version.Pos.Compare(b.Version.Pos), cmp.Compare(a.Version.Value, b.Version.Value))
	})
	sorted(&s.Images, func(a, b *premortem.Image) int {
		return cmp.Or(cmp.Compare(a.Deployment, b.Deployment), a.Pos.Compare(b.Pos), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Ref, b.Ref))
	})
	sorted(&s.Tables, func(a, b *premortem.Table) int { return cmp.Compare(a.Name, b.Name) })
	for _, t := range s.Tables {
		list(&t.Columns)
		list(&t.Indexes)
		list(&t.Foreign)
		for i := range t.Indexes {
			list(&t.Indexes[i].Columns)
		}
		for i := range t.Foreign {
			list(&t.Foreign[i].Columns)
			list(&t.Foreign[i].RefColumns)
		}
	}
	list(&s.Migrations)
	sorted(&s.Queries, func(a, b *premortem.Query) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), a.Pos.Compare(b.Pos), cmp.Compare(a.SQL, b.SQL), cmp.Compare(a.Table, b.Table))
	})
	for _, q := range s.Queries {
		list(&q.Predicates)
	}
	sorted(&s.Routes, func(a, b *premortem.Route) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), a.Pos.Compare(b.Pos), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
	})
	s.Routes = slices.CompactFunc(s.Routes, func(a, b *premortem.Route) bool { return *a == *b })
}

func sorted[T any](s *[]T, compare func(a, b T) int) {
	slices.SortStableFunc(*s, compare)
	list(s)
}

// list makes an empty list of none: JSON has no null lists.
func list[T any](s *[]T) {
	if *s == nil {
		*s = []T{}
	}
}
