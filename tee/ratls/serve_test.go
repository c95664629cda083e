package ratls

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// startProvider serves on ln until the test ends.
func startProvider(t *testing.T, s *server, ln net.Listener) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.serveAll(ctx, ln) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// exhausted is a listener that at first has no file descriptors left.
type exhausted struct {
	net.Listener
	once sync.Once
}

func (e *exhausted) Accept() (c net.Conn, err error) {
	e.once.Do(func() {
		err = &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	})
	if err != nil {
		return nil, err
	}
	return e.Listener.Accept()
}

// TestNoFileDescriptors: running out of file descriptors does not end Serve.
func TestNoFileDescriptors(t *testing.T) {
	p, ln := newProvider(t), listen(t)
	startProvider(t, newServer(p), &exhausted{Listener: ln})
	if _, err := Request(t.Context(), ln.Addr().String(), p.Self.Account.AccountID(), newSelf(t, "//Requester", "app"), newTerms()); err != nil {
		t.Error(err)
	}
}

// TestIdleStrangers: connections on which nothing is said keep nobody from the
// keys, and are ended.
func TestIdleStrangers(t *testing.T) {
	p, ln := newProvider(t), listen(t)
	s := newServer(p)
	startProvider(t, s, ln)
	for range 4 * maxSessions {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if _, err := Request(t.Context(), ln.Addr().String(), p.Self.Account.AccountID(), newSelf(t, "//Requester", "app"), newTerms()); err != nil {
		t.Error(err)
	}

	quick := newServer(p)
	quick.greet = time.Millisecond
	other := listen(t)
	startProvider(t, quick, other)
	c, err := net.Dial("tcp", other.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.ReadAll(c); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("idle connection: %v", err)
	}
}

// TestBusy: when all sessions are taken an appraised peer learns it.
func TestBusy(t *testing.T) {
	p, ln := newProvider(t), listen(t)
	s := newServer(p)
	s.wait = time.Millisecond
	for range maxSessions {
		s.slots <- struct{}{}
	}
	startProvider(t, s, ln)
	request := func() error {
		_, err := Request(t.Context(), ln.Addr().String(), p.Self.Account.AccountID(), newSelf(t, "//Requester", "app"), newTerms())
		return err
	}
	if err := request(); !errors.Is(err, ReasonBusy) {
		t.Errorf("got %v, want busy", err)
	}
	<-s.slots
	if err := request(); err != nil {
		t.Error(err)
	}
}

// TestStrangersLog: what anybody can bring about is logged once in a while.
func TestStrangersLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		p := newProvider(t)
		p.Log = slog.New(slog.NewTextHandler(&log, nil))
		s := newServer(p)
		for range 1000 {
			s.stranger("a", "it failed")
			s.stranger("b", "something else")
		}
		if n, m := strings.Count(log.String(), "it failed"), strings.Count(log.String(), "something else"); n != 1 || m != 1 {
			t.Fatalf("logged %d and %d times", n, m)
		}
		time.Sleep(strangerLog)
		s.stranger("a", "it failed")
		if !strings.Contains(log.String(), "unlogged_before=999") {
			t.Errorf("got %s", log.String())
		}
	})
}
