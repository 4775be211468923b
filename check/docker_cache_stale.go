package check

import (
	"github.com/premortem/premortem"
)

// DockerCacheStaleBase finds layers that stay as old as the cache of the build.
var DockerCacheStaleBase = add(Rule{
	ID:       "docker-cache-stale-base",
	Severity: premortem.Note,
	Certain:  true,
	Doc: premortem.Doc{
		Title: "a layer of the image stays at the age of the build's cache",
		Why: `A layer is built again only when its line changes. A package list that was fetched
once is used for months: security fixes do not arrive, and one day the versions in the
list are gone from the server and the build fails.`,
		When: `apt-get update or its like stands in a RUN of its own and another RUN installs; or what
curl fetches is piped into a shell without a version in its address.`,
		Silent: `Update and install are one RUN; the download names a version or is checked; the stage
is one that nothing runs and nothing copies from.`,
		Fix: `Join update and install in one RUN; name a version and check the sum of a download.`,
	},
	Run: dockerCacheStale,
})

func dockerCacheStale(sys *premortem.System, report func(premortem.Finding)) {
	seen := map[premortem.Pos]bool{}
	for _, l := range sys.Layers {
		if seen[l.Pos] {
			continue // several services run this image
		}
		seen[l.Pos] = true
		f := premortem.Finding{Node: l.Service, Subject: l.Pos.File + " " + l.Kind}
		switch l.Kind {
		case "update":
			f.Says = l.Pos.File + " fetches the package list in one layer and installs from it in another: the list stays as old as the cache"
			f.Evidence = []premortem.Evidence{
				{Says: "cached until this line changes", Pos: l.Pos, Quote: l.Quote},
				{Says: "installs from that list", Pos: l.Install},
			}
			f.Fix = premortem.Fix{Says: "join both lines in one RUN"}
		default:
			f.Says = l.Pos.File + " runs what the network answers on the day of the build, without a version"
			f.Evidence = []premortem.Evidence{{Says: "fetched once, then cached", Pos: l.Pos, Quote: l.Quote}}
			f.Fix = premortem.Fix{Says: "name a version, and check the sum of what was fetched"}
		}
		report(f)
	}
}
