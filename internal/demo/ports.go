package demo

import (
	"errors"
	"fmt"
	"net"
)

// ports are TCP ports on loopback that no other network of this machine takes as
// long as they are held, also while nothing listens: a worker that is restarted
// finds its own again. What holds a port is the UDP port of the same number, which
// nobody needs; the TCP port is closed again so that a process can listen there.
// Programs that know nothing of this can still come first.
type ports struct {
	numbers []int
	held    []net.PacketConn
}

// portTries is how many free ports may turn out to be held by others.
const portTries = 100

// holdPorts holds a port for each preferred one: that one where it is free; 0 means
// no preference.
func holdPorts(preferred ...int) (p *ports, err error) {
	p = new(ports)
	for _, want := range preferred {
		err := p.hold(want)
		for range portTries {
			if err == nil {
				break
			}
			err = p.hold(0)
		}
		if err != nil {
			p.release()
			return nil, fmt.Errorf("find a free port: %w", err)
		}
	}
	return p, nil
}

func (p *ports) hold(want int) error {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", want))
	if err != nil {
		return err
	}
	defer l.Close()
	udp, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		return err
	}
	p.numbers, p.held = append(p.numbers, l.Addr().(*net.TCPAddr).Port), append(p.held, udp)
	return nil
}

func (p *ports) release() error {
	var errs []error
	for _, udp := range p.held {
		errs = append(errs, udp.Close())
	}
	p.held = nil
	return errors.Join(errs...)
}
