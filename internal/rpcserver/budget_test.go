package rpcserver

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"pgregory.net/rapid"
)

// TestBudgetModel books and gives back at random: never more than the budget
// is used, it is the sum of the accounts, and eviction is told once.
func TestBudgetModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 100).Draw(t, "limit")
		b := newBudget(limit)
		var open []*account
		evicted := map[*account]int{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if len(open) == 0 || rapid.IntRange(0, 9).Draw(t, "what") == 0 {
				var a *account
				a = b.open(func() { evicted[a]++ })
				open = append(open, a)
				continue
			}
			i := rapid.IntRange(0, len(open)-1).Draw(t, "who")
			a := open[i]
			switch rapid.IntRange(0, 4).Draw(t, "do") {
			case 0:
				a.sub(rapid.IntRange(0, a.bytes).Draw(t, "n"))
			case 1:
				a.close()
				open = append(open[:i], open[i+1:]...)
			default:
				n := rapid.IntRange(0, 40).Draw(t, "n")
				ok := a.add(n)
				if ok == a.evicted {
					t.Fatal("wrong answer")
				}
			}
			sum := 0
			for v := range b.accounts {
				sum += v.bytes
			}
			if b.used != sum || b.used > limit {
				t.Fatalf("used %d, sum %d, limit %d", b.used, sum, limit)
			}
			for v, n := range evicted {
				if n != 1 || !v.evicted || v.bytes != 0 {
					t.Fatalf("evicted %d times, holds %d", n, v.bytes)
				}
			}
		}
	})
}

// TestBudgetEvictsLargest: the client that holds most pays, not the one that
// comes last.
func TestBudgetEvictsLargest(t *testing.T) {
	b := newBudget(100)
	var gone []string
	open := func(name string) *account { return b.open(func() { gone = append(gone, name) }) }
	hog, other, small := open("hog"), open("other"), open("small")
	if !hog.add(60) || !other.add(30) || !small.add(20) || fmt.Sprint(gone) != "[hog]" {
		t.Errorf("evicted %v", gone)
	}
	if hog.add(1) {
		t.Error("an evicted client goes on")
	}
	if small.add(81) || fmt.Sprint(gone) != "[hog small]" || !other.add(70) {
		t.Errorf("evicted %v", gone)
	}
}

// TestMaxQueued has clients ask for much and not read. The server drops those
// with most bytes, long before they would time out, and serves who reads.
func TestMaxQueued(t *testing.T) {
	const limit = 4 << 20
	s := newTestServer(Options{MaxResponse: 1 << 20, MaxBatch: 4, PerConnectionQueue: 4, MaxQueued: limit, WriteTimeout: time.Hour, PingInterval: -1})
	url := serve(t, s)
	good := dial(t, url)
	dropped := make(chan struct{}, 8)
	for range cap(dropped) {
		hog := dial(t, url)
		go func() {
			for hog.ws.Write(t.Context(), websocket.MessageText, []byte(`{"jsonrpc":"2.0","id":1,"method":"big","params":[1000000]}`)) == nil {
			}
			dropped <- struct{}{}
		}()
	}
	for range 3 { // at most four can hold what all of them want
		<-dropped
		good.want(`{"jsonrpc":"2.0","id":1,"method":"echo"}`, `{"jsonrpc":"2.0","id":1,"result":null}`)
		s.queued.mu.Lock()
		if s.queued.used > limit {
			t.Errorf("%d bytes are queued", s.queued.used)
		}
		s.queued.mu.Unlock()
	}
}

// TestMaxQueuedPost: a reply over HTTP that the budget has no room for is
// refused.
func TestMaxQueuedPost(t *testing.T) {
	url := serve(t, newTestServer(Options{MaxQueued: 1000}))
	for n, want := range map[int]int{100: http.StatusOK, 2000: http.StatusServiceUnavailable} {
		r, err := http.Post(url, "application/json", strings.NewReader(fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"big","params":[%d]}`, n)))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, r.Body)
		r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("%d bytes: %s", n, r.Status)
		}
	}
}

// TestIdle: a client that only pings is dropped, one with a subscription stays.
func TestIdle(t *testing.T) {
	const idle = 20 * time.Millisecond
	s := newTestServer(Options{IdleTimeout: idle})
	s.Subscribe("later", "", "late", func(_ context.Context, _ json.RawMessage, sub *Subscription) error {
		sub.Run(func(ctx context.Context) {
			select {
			case <-ctx.Done():
			case <-time.After(5 * idle):
				sub.Notify("here")
			}
		})
		return nil
	})
	url := serve(t, s)
	waits := dial(t, url)
	waits.send(`{"jsonrpc":"2.0","id":1,"method":"later"}`)
	waits.recv()

	pings := dial(t, url)
	go func() {
		for pings.ws.Ping(t.Context()) == nil {
		}
	}()
	if _, _, err := pings.ws.Read(t.Context()); err == nil {
		t.Error("a message")
	}
	if got := waits.recv(); !strings.Contains(got, "here") {
		t.Error(got)
	}
}
