package netlimit

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
)

// scripted is a listener whose Accept returns what the test says.
type scripted struct {
	net.Listener
	next chan any // error or string (the remote address)
	once sync.Once
	done chan struct{}
}

func newScripted() *scripted {
	return &scripted{next: make(chan any, 16), done: make(chan struct{})}
}

func (s *scripted) Accept() (net.Conn, error) {
	select {
	case v := <-s.next:
		if err, ok := v.(error); ok {
			return nil, err
		}
		return &fakeConn{remote: net.TCPAddrFromAddrPort(addrPort(v.(string)))}, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

func (s *scripted) Close() error {
	s.once.Do(func() { close(s.done) })
	return nil
}

type fakeConn struct {
	net.Conn
	remote net.Addr
	closed int
}

func (c *fakeConn) RemoteAddr() net.Addr { return c.remote }
func (c *fakeConn) Close() error         { c.closed++; return nil }

var errNoFiles = &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}

// TestTrouble: an Accept without file descriptors left does not end the
// listener; one that fails for good does.
func TestTrouble(t *testing.T) {
	s := newScripted()
	var told []error
	l := New(s, Limits{Trouble: func(err error) { told = append(told, err) }})
	s.next <- errNoFiles
	s.next <- errNoFiles
	s.next <- "192.0.2.1:5"
	if _, err := l.Accept(); err != nil {
		t.Fatal(err)
	}
	if len(told) != 2 || !errors.Is(told[0], syscall.EMFILE) {
		t.Errorf("told of %v", told)
	}
	broken := errors.New("broken")
	s.next <- broken
	if _, err := l.Accept(); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// TestCloseDuringTrouble: Close ends an Accept that waits to try again.
func TestCloseDuringTrouble(t *testing.T) {
	s := newScripted()
	waiting := make(chan struct{}, 16)
	l := New(s, Limits{Trouble: func(error) { waiting <- struct{}{} }})
	done := make(chan error, 1)
	go func() {
		_, err := l.Accept()
		done <- err
	}()
	s.next <- errNoFiles
	<-waiting
	l.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestLimits(t *testing.T) {
	s := newScripted()
	refused := make(chan string, 16)
	open := 0
	l := New(s, Limits{Total: 6, PerIP: 2, Loopback: 3, Refused: func(a net.Addr) { refused <- a.String() }, Open: func(n int) { open = n }})
	accept := func(addrs ...string) (last net.Conn) {
		t.Helper()
		for _, a := range addrs {
			s.next <- a
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if got := c.RemoteAddr().String(); got != a {
				t.Fatalf("accepted %s, want %s", got, a)
			}
			last = c
		}
		return last
	}
	// refuse sends one that is refused before one that is not.
	refuse := func(bad, good string) net.Conn {
		t.Helper()
		s.next <- bad
		c := accept(good)
		if got := <-refused; got != bad {
			t.Fatalf("refused %s, want %s", got, bad)
		}
		return c
	}
	first := accept("192.0.2.1:1", "192.0.2.1:2")
	v6 := accept("[2001:db8:0:1::1]:1", "[2001:db8:0:1::2]:1") // one subscriber
	refuse("192.0.2.1:3", "127.0.0.1:1").Close()
	refuse("[2001:db8:0:1::3]:1", "[::1]:1").Close()
	refuse("192.0.2.1:3", "127.0.0.2:1")
	accept("[::1]:2")
	// 2 + 2 + 2 make the total, whoever comes next.
	s.next <- "198.51.100.1:1"
	s.next <- errors.New("end")
	if c, err := l.Accept(); err == nil {
		t.Fatalf("accepted %s over the total", c.RemoteAddr())
	}
	if got := <-refused; got != "198.51.100.1:1" {
		t.Errorf("refused %s", got)
	}
	if open != 6 {
		t.Errorf("%d connections are open, told %d", 6, open)
	}
	first.Close()
	first.Close() // twice gives one place back
	if open != 5 {
		t.Errorf("%d connections are open, told %d", 5, open)
	}
	accept("192.0.2.1:4")
	s.next <- "192.0.2.1:5"
	s.next <- errors.New("end")
	if c, err := l.Accept(); err == nil {
		t.Errorf("accepted %s: one place was given back twice", c.RemoteAddr())
	}
	v6.Close()
	accept("203.0.113.1:1")
}

func TestKey(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:1": "127.0.0.0/8", "[::1]:1": "127.0.0.0/8", "[::ffff:127.9.9.9]:1": "127.0.0.0/8",
		"192.0.2.7:1": "192.0.2.7/32", "[::ffff:192.0.2.7]:1": "192.0.2.7/32",
		"[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::/64", "[fe80::1%eth0]:1": "fe80::/64",
	} {
		if got := Key(net.TCPAddrFromAddrPort(addrPort(addr))).String(); got != want {
			t.Errorf("%s: got %s, want %s", addr, got, want)
		}
	}
	if Key(nil).IsValid() || Key(&net.UnixAddr{Name: "x"}).IsValid() {
		t.Error("a key for no IP address")
	}
}

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
