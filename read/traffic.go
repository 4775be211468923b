package read

import (
	"cmp"

	"github.com/premortem/premortem"
)

// traffic hands over what the code and the pipelines say about servers, calls and
// logs, with the service that owns each place.
func (g *merger) traffic() {
	g.codeTraffic()
	g.programsTraffic()
	s, d := g.sys, g.d
	s.Servers = append(s.Servers, d.servers...)
	s.Calls = append(s.Calls, d.calls...)
	s.Retries = append(s.Retries, d.retries...)
	s.Transactions = append(s.Transactions, d.transactions...)
	s.Logs = append(s.Logs, d.logs...)
	s.Installs = append(s.Installs, d.installs...)
	s.Baked = append(s.Baked, d.baked...)
	s.Pipeline = append(s.Pipeline, d.pipeline...)
	s.Credentials = append(s.Credentials, d.credentials...)
	s.Certificates = append(s.Certificates, d.certificates...)
	g.layers()
}

func tidyTraffic(s *premortem.System) {
	at := func(na, nb premortem.Node, a, b premortem.Pos) int { return cmp.Or(cmp.Compare(na, nb), a.Compare(b)) }
	sorted(&s.Servers, func(a, b *premortem.Server) int { return at(a.Service, b.Service, a.Pos, b.Pos) })
	sorted(&s.Calls, func(a, b *premortem.Call) int { return at(a.Service, b.Service, a.Pos, b.Pos) })
	sorted(&s.Retries, func(a, b *premortem.Retry) int { return at(a.Service, b.Service, a.Pos, b.Pos) })
	sorted(&s.Transactions, func(a, b *premortem.Transaction) int { return at(a.Service, b.Service, a.Pos, b.Pos) })
	sorted(&s.Logs, func(a, b *premortem.LogCall) int { return at(a.Service, b.Service, a.Pos, b.Pos) })
	sorted(&s.Installs, func(a, b *premortem.Install) int { return at(a.Service, b.Service, a.Pos, b.Pos) })
	sorted(&s.Baked, func(a, b *premortem.Baked) int {
		return cmp.Or(at(a.Service, b.Service, a.Copy, b.Copy), cmp.Compare(a.File, b.File))
	})
	sorted(&s.Pipeline, func(a, b *premortem.PipelineUse) int {
		return cmp.Or(a.Pos.Compare(b.Pos), cmp.Compare(a.Name, b.Name))
	})
	sorted(&s.Credentials, func(a, b *premortem.Credential) int {
		return cmp.Or(a.Pos.Compare(b.Pos), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Name, b.Name))
	})
	sorted(&s.Certificates, func(a, b *premortem.Certificate) int { return a.Pos.Compare(b.Pos) })
	sorted(&s.Layers, func(a, b *premortem.Layer) int { return at(a.Service, b.Service, a.Pos, b.Pos) })
	for _, v := range s.Servers {
		list(&v.Opaque)
	}
	for _, v := range s.Transactions {
		list(&v.Outside)
		list(&v.To)
	}
	for _, v := range s.Logs {
		list(&v.Fields)
		list(&v.Leaks)
	}
	for _, v := range s.Balancers {
		list(&v.Probes)
	}
	sorted(&s.Poolers, func(a, b *premortem.Pooler) int {
		return cmp.Or(cmp.Compare(a.Deployment, b.Deployment), cmp.Compare(a.Name, b.Name), a.Pos.Compare(b.Pos))
	})
	for _, v := range s.Poolers {
		list(&v.Users)
		list(&v.Hosts)
	}
	for _, v := range s.Migrations {
		list(&v.Statements)
	}
}
