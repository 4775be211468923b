package check

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/premortem/premortem"
)

// ImageFloating finds images of production that change without a commit.
var ImageFloating = add(Rule{
	ID:       "image-floating",
	Severity: premortem.Note,
	Certain:  true,
	Doc: premortem.Doc{
		Title: "production's image changes without a commit",
		Why: `The next build, or the next node that pulls, runs another program than the one that
was tested. Replicas of one service can run different versions.`,
		When: `The image that production runs, or the last FROM of its Dockerfile, has no digest and
its tag is absent, latest, a channel (alpine, stable, lts) or a bare major version. Of
other build stages only an absent tag and latest count.`,
		Silent: `The reference has a digest or at least a minor version; the tag holds a variable; the
image is only used for development; Compose builds it in place; FROM names another
stage or scratch.`,
		Fix: `Name the full version, and its digest where a bot keeps it current.`,
	},
	Run: imageFloating,
})

func imageFloating(sys *premortem.System, report func(premortem.Finding)) {
	seen := map[premortem.Pos]bool{}
	for _, img := range sys.Images {
		if !matters(sys, img) || seen[img.Pos] {
			continue
		}
		class := tagClass(img)
		if class == "" || (!img.Final && class != "no tag" && class != "latest") {
			continue
		}
		f := premortem.Finding{
			Node:     img.Service,
			Subject:  strings.TrimSpace(img.Deployment + " " + repository(img.Ref)),
			Says:     fmt.Sprintf("%s is whatever was pushed last under it: %s", img.Ref, floats(class)),
			Evidence: []premortem.Evidence{{Says: "an image with " + class, Pos: img.Pos, Quote: img.Quote}},
			Fix:      premortem.Fix{Says: fmt.Sprintf("name a full version of %s and its digest", repository(img.Ref))},
		}
		// A bare major would float as well.
		if want, from := pinned(sys, img); strings.Contains(tagOf(want), ".") {
			f.Evidence = append(f.Evidence, premortem.Evidence{Says: fmt.Sprintf("%s says %s", from.Source, from.Version.Value), Pos: from.Version.Pos})
			f.Fix.Says = fmt.Sprintf("use %s, the version that %s names, with its digest", want, from.Source)
			f.Fix.Edits = []premortem.Edit{imageEdit(img, want)}
		}
		seen[img.Pos] = true // several services may run what this line names
		disagreement := premortem.Finding{Rule: RuntimeVersionDisagreement.ID, Node: img.Service, Subject: languageOf(img.Ref)}
		f.Because = disagreement.Key()
		report(f)
	}
}

// matters reports whether production runs or is built from the image.
func matters(sys *premortem.System, img *premortem.Image) bool {
	ref := strings.ToLower(img.Ref)
	if ref == "" || ref == "scratch" || strings.Contains(ref, "$") || img.Digest != "" {
		return false
	}
	if img.Deployment != "" {
		if sys.Production == "" || img.Deployment != sys.Production {
			return false
		}
		// Compose builds it in place: the name is a label, its Dockerfile is what counts.
		svc := inProduction(sys, img.Service)
		return svc == nil || svc.Dockerfile == "" || kindOf(sys, img.Deployment) != "compose"
	}
	for _, other := range sys.Images {
		if other.Pos.File == img.Pos.File && other.Stage == img.Ref && other.Pos.Line < img.Pos.Line {
			return false // the name of a stage
		}
	}
	return sys.Production == "" || inProduction(sys, img.Service) != nil
}

var (
	fullVersion = regexp.MustCompile(`^v?\d+\.\d+`)
	majorOnly   = regexp.MustCompile(`^v?\d{1,4}(-[a-z].*)?$`)
	channels    = regexp.MustCompile(`^(stable|mainline|edge|main|master|nightly|dev|develop|current|lts|alpine|slim|bullseye|bookworm|trixie|management|\d+-management|iron|jod|krypton|hydrogen)(-[a-z0-9.]+)*$`)
)

// tagClass says how an image's tag floats, "" when it names a version.
func tagClass(img *premortem.Image) string {
	switch tag := strings.ToLower(img.Tag); {
	case tag == "":
		return "no tag"
	case tag == "latest" || strings.HasPrefix(tag, "latest-"):
		return "latest"
	case fullVersion.MatchString(tag):
		return ""
	case channels.MatchString(tag):
		return "the channel " + tag
	case majorOnly.MatchString(tag):
		return "a bare major version"
	}
	return ""
}

func floats(class string) string {
	switch class {
	case "no tag":
		return "no tag means latest"
	case "latest":
		return "the next build may get another major version"
	case "a bare major version":
		return "a new minor version arrives without a commit"
	}
	return "the next build may get another version"
}

// repository is an image reference without tag and digest.
func repository(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	if i := strings.LastIndex(ref, ":"); i > strings.LastIndex(ref, "/") {
		ref = ref[:i]
	}
	return ref
}

func tagOf(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	if i := strings.LastIndex(ref, ":"); i > strings.LastIndex(ref, "/") {
		return ref[i+1:]
	}
	return ""
}

// languageOf is the language that an official image runs, "" for others.
func languageOf(ref string) string {
	repo := repository(ref)
	switch name := repo[strings.LastIndex(repo, "/")+1:]; name {
	case "node", "python", "ruby", "php", "bun", "deno":
		return name
	case "golang":
		return "go"
	}
	return ""
}

// pinned returns the image with the version that the repository declares for its
// language, and the place that declares it.
func pinned(sys *premortem.System, img *premortem.Image) (ref string, from *premortem.Runtime) {
	lang := languageOf(img.Ref)
	if lang == "" {
		return "", nil
	}
	from = declared(runtimesOf(sys, img.Service, lang))
	if from == nil {
		return "", nil
	}
	return withVersion(img, exact(from.Version.Value)), from
}

// withVersion keeps the flavour of a tag: "alpine" becomes "20.19.5-alpine".
func withVersion(img *premortem.Image, version string) string {
	flavour := ""
	for _, part := range strings.Split(strings.ToLower(img.Tag), "-") {
		switch part {
		case "alpine", "slim", "bookworm", "bullseye", "trixie":
			flavour += "-" + part
		default:
			if strings.HasPrefix(part, "alpine") {
				flavour += "-" + part
			}
		}
	}
	return repository(img.Ref) + ":" + version + flavour
}

func imageEdit(img *premortem.Image, want string) premortem.Edit {
	e := premortem.Edit{Pos: img.Pos, Old: img.Ref, New: want}
	// "FROM node AS node": with the keyword in front only the image can match.
	if word, _, _ := strings.Cut(img.Quote, " "); strings.EqualFold(word, "from") && strings.HasPrefix(img.Quote, word+" "+img.Ref) {
		e.Old, e.New = word+" "+e.Old, word+" "+e.New
	}
	return e
}
