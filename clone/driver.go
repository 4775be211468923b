package clone

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// Driver is one way to run units.
type Driver struct {
	Name  string
	Doc   premortem.Doc
	Ready func(ctx context.Context) error
	Start func(ctx context.Context, s Spec) (Unit, error)
}

// Spec is everything that a driver needs to start one unit.
type Spec struct {
	Node    premortem.Node
	Replica int
	Dir     string   // working directory
	Command []string // never empty
	Env     []string // "NAME=value", the whole environment
	Port    int      // it will listen on this port of 127.0.0.1
	// Run marks every process of the unit, as the variable of that name: a path that
	// does not exist yet, where the preload reports. "" for neither.
	Run     string
	Log     *LogBook
	Started func(pid int) error // called once, before Start returns
}

// Unit is one running replica of a service.
type Unit interface {
	Node() premortem.Node
	Replica() int
	Pid() int
	Addr() string // host:port
	// Done is closed when the unit has ended by itself or by Stop.
	Done() <-chan struct{}
	// Exit says how it ended: "exit status 1", "signal: killed"; "" while it runs.
	Exit() string
	// Vitals is the latest word from inside the process; ok is false when it sends none.
	Vitals() (v Vitals, ok bool)
	// Refused lists the outside addresses that the unit tried to reach.
	Refused() []string
	Stop() error
}

// Vitals is what a runtime says about itself.
type Vitals struct {
	LagP99 float64 // event-loop delay in seconds since the last reading, 99th percentile
	Heap   int64   // bytes
}

var drivers []*Driver

func addDriver(d Driver) *Driver {
	drivers = append(drivers, &d)
	return &d
}

// Drivers returns every driver.
func Drivers() []*Driver { return drivers }

func driverNamed(name string) (*Driver, error) {
	if name == "" {
		name = "process"
	}
	var names []string
	for _, d := range drivers {
		if d.Name == name {
			return d, nil
		}
		names = append(names, d.Name)
	}
	slices.Sort(names)
	return nil, &premortem.Error{
		Doing: "choose a driver", Err: fmt.Errorf("unknown driver %q", name),
		Hint: "one of: " + strings.Join(names, ", "),
	}
}
