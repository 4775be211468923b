package clone

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/premortem/premortem"
)

// port is a free one where the code asks for it, else the one written in the code.
func (c *Clone) port(s *premortem.Service) (int, error) {
	if len(portVariables(c.Sys, s.Node)) > 0 || len(s.Ports) == 0 {
		return freePort()
	}
	port := s.Ports[0]
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port.Value))
	if err != nil {
		return 0, &premortem.Error{
			Doing: "start " + string(s.Node), Pos: port.Pos, Err: fmt.Errorf("port %d is in use", port.Value),
			Hint: fmt.Sprintf("end what listens there (ss -ltnp 'sport = :%d'), or let the code read PORT", port.Value),
		}
	}
	return port.Value, l.Close()
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, &premortem.Error{Doing: "find a free port", Err: err}
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// portVariables lists the variables from which the code takes its listening port.
func portVariables(sys *premortem.System, n premortem.Node) []string {
	var out []string
	for _, v := range sys.EnvOf(n) {
		switch v.Name {
		case "PORT", "HTTP_PORT", "SERVER_PORT", "APP_PORT", "LISTEN_PORT":
			out = append(out, v.Name)
		}
	}
	return out
}

// anyPort says whether the units of a service can listen where we tell them to.
func (c *Clone) anyPort(s *premortem.Service) bool { return len(portVariables(c.Sys, s.Node)) > 0 }

// portTaken says whether a unit ended because another program held its port.
func portTaken(u Unit) bool {
	if !ended(u) {
		return false
	}
	for _, line := range linesOf(u, keepLines) {
		if strings.Contains(line, "EADDRINUSE") || strings.Contains(strings.ToLower(line), "address already in use") {
			return true
		}
	}
	return false
}

// explainPort says what a reader can do when nothing tells where the code listens.
func (c *Clone) explainPort(s *premortem.Service, err error) error {
	if c.anyPort(s) || len(s.Ports) > 0 || !errors.Is(err, errUnhealthy) {
		return err
	}
	return &premortem.Error{
		Doing: "start " + string(s.Node), Pos: s.Pos,
		Err:  fmt.Errorf("the code does not read PORT and no port is declared: %w", err),
		Hint: "let the code read PORT, or declare the port where the services: are described: ports: in compose.yaml, containerPort in the manifest, EXPOSE in the Dockerfile",
	}
}
