package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/drive"
)

// loadFlags is what load is asked for.
type loadFlags struct {
	rate        string
	users       float64
	length      time.Duration
	warm        time.Duration
	from        float64
	even        bool
	connections int
	timeout     time.Duration
	p95, p99    time.Duration
	seed        int64

	find    bool
	start   float64
	highest float64
	probe   time.Duration
	budget  time.Duration

	format  string
	file    string
	hdr     string
	listen  string
	against string
	quiet   bool

	to       string
	method   string
	headers  []string
	body     string
	owned    bool
	http2    bool
	insecure bool
	sink     bool
}

func (o *loadFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&o.rate, "rate", "", "requests per second, at random times, whether or not they are answered; max asks again as soon as it is answered")
	f.Float64Var(&o.users, "users", 0, "people active at once, who pause as the recording says; instead of --rate")
	f.DurationVar(&o.length, "for", 30*time.Second, "how long")
	f.DurationVar(&o.warm, "warm", -1, "the first part of the time, which is not counted (default: a tenth, at most 5s)")
	f.Float64Var(&o.from, "from", 0, "let the rate rise in a straight line from this one")
	f.BoolVar(&o.even, "even", false, "send at even distances instead of at random, which hides queues")
	f.IntVar(&o.connections, "connections", 64, "that ask again and again, with --rate max")
	f.DurationVar(&o.timeout, "timeout", 10*time.Second, "how long an answer may take")
	f.DurationVar(&o.p95, "p95", 0, "the objective: 95 of 100 answers within this time and without an error")
	f.DurationVar(&o.p99, "p99", 0, "the same for 99 of 100")
	f.Int64Var(&o.seed, "seed", 1, "decides arrivals")
	f.BoolVar(&o.find, "find", false, "search the highest rate that meets --p95 or --p99")
	f.Float64Var(&o.start, "start", 50, "the first rate that --find tries")
	f.Float64Var(&o.highest, "cap", 0, "the highest rate worth knowing (default: what the generator can be trusted with)")
	f.DurationVar(&o.probe, "probe", 10*time.Second, "how long --find tries one rate at most")
	f.DurationVar(&o.budget, "budget", 5*time.Minute, "how long --find may take; then it answers with what it knows")
	f.StringVar(&o.format, "format", "text", "how it is told: text, json")
	f.StringVarP(&o.file, "output", "o", "", "write to this file instead of standard output")
	f.StringVar(&o.hdr, "hdr", "", "write an HdrHistogram log of the response times, one line per second and route")
	f.StringVar(&o.listen, "listen", "", "serve the figures in Prometheus' format at this address while it runs")
	f.StringVar(&o.against, "against", "", "compare with an earlier run, saved with --format json")
	f.BoolVar(&o.quiet, "quiet", false, "no progress on standard error")
	f.StringVar(&o.to, "to", "", "the server that a recording is repeated against")
	f.StringVarP(&o.method, "method", "X", "", "of the request (default GET, or POST with --data)")
	f.StringArrayVarP(&o.headers, "header", "H", nil, "a header, \"Name: value\"; may be repeated")
	f.StringVarP(&o.body, "data", "d", "", "the request's body; @FILE reads it from a file")
	f.BoolVar(&o.owned, "i-own-this-target", false, "allow a target that is not this machine")
	f.BoolVar(&o.http2, "http2", false, "speak HTTP/2, with prior knowledge where it is plain http")
	f.BoolVar(&o.insecure, "insecure", false, "accept any certificate")
	f.BoolVar(&o.sink, "null-sink", false, "be the server that measures the generator")
	_ = f.MarkHidden("null-sink")
}

func (p *program) load() *cobra.Command {
	var o loadFlags
	cmd := &cobra.Command{
		Use:   "load URL|FILE",
		Short: "offer load by the clock, and find the highest rate that meets an objective",
		Long: `load sends requests when they are due, not when the last one was answered, and counts
from then: a server that stalls is seen by everybody who would have waited.

A FILE lists targets, one per paragraph: METHOD URL, then headers "Name: value", then
@FILE for a body. A line that is a URL alone is a GET. Each target gets the same share.
Or it is a recording of real use (HAR, access log, OpenAPI), repeated against --to.

The generator measures its own ceiling first. Where it was the limit, it says so and
blames nobody. Only this machine is a target, unless --i-own-this-target is given.`,
		Example: "  premortem load http://127.0.0.1:3000/ --rate 500 --for 30s\n" +
			"  premortem load http://127.0.0.1:3000/ --rate 500 --p95 300ms --format json -o new.json --against old.json\n" +
			"  premortem load http://127.0.0.1:3000/ --find --p95 300ms\n" +
			"  premortem load targets.txt --rate max --for 10s\n" +
			"  premortem load shop.har --to http://127.0.0.1:3000 --users 200 --for 2m",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.sink {
				return p.nullSink()
			}
			if err := o.check(cmd.Flags(), args); err != nil {
				return err
			}
			return p.offer(args[0], o)
		},
	}
	o.flags(cmd.Flags())
	return cmd
}

// wrong is a command line that cannot be meant.
func wrong(flag, hint, format string, args ...any) error {
	return &premortem.Error{Doing: "read " + flag, Err: fmt.Errorf(format, args...), Hint: hint}
}

// check refuses what cannot be meant, before anything is sent.
func (o *loadFlags) check(f *pflag.FlagSet, args []string) error {
	if len(args) != 1 {
		return wrong("the command line", "premortem load http://127.0.0.1:3000/ --rate 500", "load needs a URL or a file of targets")
	}
	if o.format != "text" && o.format != "json" {
		return wrong("--format", "", "unknown format %q; one of: text, json", o.format)
	}
	if o.warm < 0 {
		o.warm = min(o.length/10, 5*time.Second)
	}
	if o.p95 < 0 || o.p99 < 0 || o.p95 > 0 && o.p99 > 0 {
		return wrong("--p95", "give one of --p95 and --p99", "an objective is one positive time")
	}
	if o.listen != "" {
		if host, _, err := net.SplitHostPort(o.listen); err != nil || host == "" {
			return wrong("--listen", "write an address and a port: 127.0.0.1:9464", "%q is not an address", o.listen)
		}
	}
	if o.find {
		return o.checkFind(f)
	}
	if o.users != 0 {
		if o.users < 0 || math.IsNaN(o.users) || math.IsInf(o.users, 0) || o.rate != "" || o.from != 0 {
			return wrong("--users", "give a positive number, and no --rate and no --from", "%v is not how many people are active", o.users)
		}
		return nil
	}
	if o.rate == "" {
		return wrong("--rate", "say how much: --rate 500, or --rate max; or let --find search it", "no rate is given")
	}
	if o.rate != "max" {
		n, err := strconv.ParseFloat(o.rate, 64)
		if err != nil || n <= 0 || math.IsInf(n, 0) || math.IsNaN(n) {
			return wrong("--rate", "write requests per second, such as 500, or max", "%q is not a rate", o.rate)
		}
		if n*(o.length-o.warm).Seconds() < 1 {
			return wrong("--rate", "raise --rate or --for", "%v requests/s for %v are no request at all", n, o.length-o.warm)
		}
	} else if o.connections < 1 || o.from != 0 || o.even {
		return wrong("--rate", "leave out --from and --even, and give --connections 1 or more", "max is as fast as it is answered")
	}
	return nil
}

func (o *loadFlags) checkFind(f *pflag.FlagSet) error {
	switch {
	case o.p95 == 0 && o.p99 == 0:
		return wrong("--find", "say what must hold: --p95 300ms", "nothing says when a rate is too high")
	case o.rate != "" || o.users != 0 || o.from != 0 || o.against != "" || o.even:
		return wrong("--find", "leave out --rate, --from, --even and --against", "--find chooses the rates itself")
	case o.start <= 0 || o.highest < 0 || o.highest > 0 && o.highest < o.start:
		return wrong("--start", "", "a search from %v to %v requests/s is none", o.start, o.highest)
	case o.probe < 8*time.Second:
		return wrong("--probe", "give at least 8s", "%v is too short to judge a rate", o.probe)
	case o.budget < o.probe:
		return wrong("--budget", "give more than --probe", "%v is not enough for one rate", o.budget)
	}
	if f.Changed("for") {
		return wrong("--for", "use --probe and --budget", "--find tries many rates")
	}
	return nil
}

// within is the objective's time, 0 none, and the share of requests that must meet it.
func (o *loadFlags) within() (time.Duration, float64) {
	if o.p99 > 0 {
		return o.p99, 0.99
	}
	return o.p95, 0.95
}

// offer is the whole of load.
func (p *program) offer(target string, o loadFlags) (err error) {
	var before *loadReport
	if o.against != "" {
		if before, err = readLoad(o.against); err != nil {
			return err
		}
	}
	w, err := p.targets(target, o)
	if err != nil {
		return err
	}
	if err := drive.Validate(w); err != nil {
		return err
	}
	bar := p.progress(o.quiet)
	defer bar.close()
	bar.doing("ask each target once")
	size, quick, err := p.reach(w)
	if err != nil {
		return err
	}
	bar.doing("measure the generator")
	ceiling, err := p.ceiling(w, size)
	if err != nil {
		return err
	}
	bar.stage(premortem.Stage{Name: "ceiling", Says: fmt.Sprintf("this generator can make %.0f requests/s of a server that does nothing; it is trusted up to %.0f", ceiling, drive.Trusted(ceiling)), Took: time.Since(bar.began).Seconds()})
	r := &loadReport{Schema: loadSchema, Version: premortem.Version, Target: target, Seed: o.seed, Started: time.Now(),
		Ceiling: ceiling, Trusted: drive.Trusted(ceiling), Cores: runtime.GOMAXPROCS(0)}
	out, err := p.sideways(o, r)
	if err != nil {
		return err
	}
	if o.find {
		err = p.findLimit(w, o, r, bar, out, quick)
	} else {
		err = p.offerOnce(w, o, r, bar, out)
	}
	bar.close()
	if cerr := out.close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if before != nil {
		r.Against = compareLoads(o.against, before, r)
	}
	p.code = r.code()
	return p.emit(output{file: o.file}, "write the result", r.told(o.format))
}

// reach asks each target once, so that what cannot work is said before there is load.
// It returns the mean size of the answers and the slowest time.
func (p *program) reach(w drive.Workload) (size int, slowest time.Duration, err error) {
	n := 0
	for _, j := range w.Journeys {
		err := drive.Once(p.ctx, w, j, 0, func(s drive.Step) error {
			if s.Status == 0 && s.Err != nil {
				return &premortem.Error{Doing: "reach " + string(s.Request.Service) + s.Request.Path, Err: s.Err, Hint: reachHint(s.Err)}
			}
			n++
			size += s.Bytes
			slowest = max(slowest, s.Took)
			return nil
		})
		if err != nil {
			return 0, 0, err
		}
	}
	return size / max(n, 1), slowest, nil
}

// ceiling measures the generator against a null sink in a process of its own.
func (p *program) ceiling(w drive.Workload, size int) (float64, error) {
	sink, stop, err := startSink(p.ctx, size)
	if err != nil {
		return 0, err
	}
	defer stop()
	return drive.Ceiling(p.ctx, w, sink)
}

// nullSink is the other process: it answers until its standard input ends.
func (p *program) nullSink() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return &premortem.Error{Doing: "listen", Err: err}
	}
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	size, _ := strconv.Atoi(os.Getenv(sinkSize))
	fmt.Fprintln(p.out, "http://"+l.Addr().String())
	var watch sync.WaitGroup
	watch.Go(func() { // until this process ends, if it ends for another reason
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	})
	return drive.Sink(ctx, l, min(max(size, 0), 1<<20))
}
