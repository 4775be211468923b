package drive

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/premortem/premortem"
)

// Importer turns one kind of recording of real use into a workload. It reads as a
// stream: memory does not grow with the length of a recording.
//
// What it returns passes Validate once rows are bound (see Traffic.Bind), and holds no
// secret: passwords, cookies, Authorization and whatever looks like a token become
// ${…} references with a note.
type Importer struct {
	Name string
	Doc  premortem.Doc
	// Wants reports whether a file is of this kind, by its path and by how it begins:
	// its first 64 KiB at most, decompressed.
	Wants func(path string, head []byte) bool
	// Read takes all recordings at once, since two recordings of one story say more than
	// each alone. Errors are *premortem.Error with the file's line.
	Read func(ctx context.Context, in []Source) (Traffic, error)
}

// Source is one recording. Path is what messages call it.
type Source struct {
	Path string
	io.Reader
}

// Traffic is a workload read from recordings, and what they say beside it.
type Traffic struct {
	Workload
	Format string // the importer's name
	// Unfinished are journeys that cannot run before a person adds what no recording
	// held: the body of a write. They are not in Workload.Journeys.
	Unfinished []*premortem.Journey
	// Base is silent where the recording has no times; BaseWhy says how it was counted.
	Base    premortem.Base
	BaseWhy string
	// Objectives are guesses from what was recorded. Why says from what, by route.
	Objectives []premortem.Objective
	Why        map[string]string
	Arrivals   Arrivals
	// Marks are short remarks on single requests: "writes".
	Marks map[*premortem.Request]string
	Notes []Note
	// Samples are recorded values by the reference that replaced them:
	// "rows.orders.id" → "17". Secrets and people's data have none.
	Samples map[string]string
}

// Arrivals is how many requests came when, as recorded: its bursts are kept.
type Arrivals struct {
	Start  time.Time
	Every  time.Duration // width of a count; 0 when no times were recorded
	Counts []uint32
	// Dispersion is the variance of the counts of single seconds divided by their mean:
	// 1 for a Poisson process, more where requests come in bursts; 0 unknown.
	Dispersion float64
}

// Note is something a person should know about an import.
type Note struct {
	Pos  premortem.Pos
	Says string
}

func (n Note) String() string {
	if n.Pos.Known() {
		return n.Pos.String() + ": " + n.Says
	}
	return n.Says
}

func (t *Traffic) note(pos premortem.Pos, format string, args ...any) {
	t.Notes = append(t.Notes, Note{pos, fmt.Sprintf(format, args...)})
}

// mark adds a remark to a request.
func (t *Traffic) mark(r *premortem.Request, says string) {
	if t.Marks == nil {
		t.Marks = map[*premortem.Request]string{}
	}
	if old := t.Marks[r]; old != "" && !strings.Contains(old, says) {
		says = old + "; " + says
	}
	t.Marks[r] = says
}

// sample remembers what stood where a reference stands now.
func (t *Traffic) sample(ref, value string) {
	if t.Samples == nil {
		t.Samples = map[string]string{}
	}
	if _, ok := t.Samples[ref]; !ok {
		t.Samples[ref] = value
	}
}

var importers []*Importer

// addImporter registers an importer. Two of one name are a bug of this package.
func addImporter(i Importer) *Importer {
	for _, other := range importers {
		if other.Name == i.Name {
			panic("drive: two importers are called " + i.Name)
		}
	}
	importers = append(importers, &i)
	return &i
}

// Importers returns every importer, by name.
func Importers() []*Importer {
	out := slices.Clone(importers)
	slices.SortFunc(out, func(a, b *Importer) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// headSize is how much of a file is looked at to tell what it is.
const headSize = 64 << 10

// Import finds out what the recordings are and reads them. All must be of one kind.
// Files compressed with gzip are read as they are.
func Import(ctx context.Context, in ...Source) (Traffic, error) {
	if len(in) == 0 {
		return Traffic{}, &premortem.Error{Doing: "import traffic", Err: errors.New("no file"), Hint: "name a recording: --from FILE"}
	}
	var kind *Importer
	opened := make([]Source, len(in))
	for i, s := range in {
		r, head, err := openRecording(s)
		if err != nil {
			return Traffic{}, err
		}
		opened[i] = Source{Path: s.Path, Reader: r}
		k, err := kindOfRecording(s.Path, head)
		if err != nil {
			return Traffic{}, err
		}
		if kind != nil && kind != k {
			return Traffic{}, &premortem.Error{Doing: "import traffic", Pos: premortem.Pos{File: s.Path},
				Err:  fmt.Errorf("%s is %s, %s is %s", in[0].Path, kind.Name, s.Path, k.Name),
				Hint: "import recordings of one kind at a time"}
		}
		kind = k
	}
	t, err := kind.Read(ctx, opened)
	if err != nil {
		return Traffic{}, err
	}
	t.Format = kind.Name
	if len(t.Journeys) == 0 && len(t.Unfinished) == 0 {
		return Traffic{}, &premortem.Error{Doing: "import traffic", Pos: premortem.Pos{File: in[0].Path},
			Err: errors.New("no request of the application is in it" + whyNothing(t.Notes)), Hint: kind.Doc.When}
	}
	return t, nil
}

// whyNothing tells what became of everything that was read.
func whyNothing(notes []Note) string {
	var says []string
	for _, n := range notes {
		says = append(says, n.Says)
	}
	if len(says) == 0 {
		return ""
	}
	return ": " + strings.Join(says[:min(len(says), 3)], "; ")
}

// openRecording decompresses and looks ahead.
func openRecording(s Source) (*bufio.Reader, []byte, error) {
	pos := premortem.Pos{File: s.Path}
	r := bufio.NewReaderSize(s.Reader, headSize)
	head, err := r.Peek(headSize)
	if bytes.HasPrefix(head, []byte{0x1f, 0x8b}) {
		z, zerr := gzip.NewReader(r)
		if zerr != nil {
			return nil, nil, &premortem.Error{Doing: "decompress", Pos: pos, Err: zerr, Hint: "is the download complete?"}
		}
		r = bufio.NewReaderSize(z, headSize)
		head, err = r.Peek(headSize)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, &premortem.Error{Doing: "read recording", Pos: pos, Err: err}
	}
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		_, _ = r.Discard(3) // a byte order mark; it is in the buffer
		head = head[3:]
	}
	if len(bytes.TrimSpace(head)) == 0 && len(head) < headSize-3 {
		return nil, nil, &premortem.Error{Doing: "read recording", Pos: pos, Err: errors.New("the file is empty"),
			Hint: "export the recording again"}
	}
	return r, slices.Clone(head), nil
}

// kindOfRecording picks the importer of a file.
func kindOfRecording(path string, head []byte) (*Importer, error) {
	for _, i := range importers {
		if i.Wants(path, head) {
			return i, nil
		}
	}
	var names []string
	for _, i := range Importers() {
		names = append(names, i.Name)
	}
	hint := "known are: " + strings.Join(names, ", ")
	if near, line, why := nearestShape(head); near != "" {
		return nil, &premortem.Error{Doing: "import traffic", Pos: premortem.Pos{File: path, Line: line},
			Err: fmt.Errorf("no format is known that has this line; the nearest is %s: %s", near, why), Hint: hint}
	}
	return nil, &premortem.Error{Doing: "import traffic", Pos: premortem.Pos{File: path, Line: 1},
		Err: errors.New("no known format begins like this"), Hint: hint}
}
