package parentchain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// node is a node with a chain of empty headers, served for real.
type node struct {
	server *rpcserver.Server
	url    string

	mu      sync.Mutex
	headers []header.Header
	wake    []chan struct{}
	lie     func(method string, result any) (any, error) // nil: tells the truth
	fetched header.Number                                // highest block asked for
	silent  bool                                         // sends no finalized heads
	just    any
}

func newNode(t *testing.T, blocks int) *node {
	t.Helper()
	n := &node{server: rpcserver.New(rpcserver.Options{}), headers: []header.Header{{}}}
	n.grow(blocks)
	handle := func(method string, f func(p []json.RawMessage) (any, error)) {
		n.server.Handle(method, func(_ context.Context, raw json.RawMessage) (any, error) {
			var p []json.RawMessage
			if len(raw) > 0 {
				if err := json.Unmarshal(raw, &p); err != nil {
					return nil, rpcserver.InvalidParams("%v", err)
				}
			}
			n.mu.Lock()
			defer n.mu.Unlock()
			result, err := f(p)
			if n.lie != nil && err == nil {
				return n.lie(method, result)
			}
			return result, err
		})
	}
	byHash := func(p []json.RawMessage) *header.Header {
		var h hashing.Hash
		if len(p) == 0 {
			return &n.headers[len(n.headers)-1]
		}
		json.Unmarshal(p[0], &h)
		for i := range n.headers {
			if n.headers[i].Hash() == h {
				return &n.headers[i]
			}
		}
		return nil
	}
	handle("chain_getFinalizedHead", func([]json.RawMessage) (any, error) { return n.headers[len(n.headers)-1].Hash(), nil })
	handle("chain_getHeader", func(p []json.RawMessage) (any, error) {
		if h := byHash(p); h != nil {
			return h, nil
		}
		return nil, nil
	})
	handle("chain_getBlockHash", func(p []json.RawMessage) (any, error) {
		var i header.Number
		json.Unmarshal(p[0], &i)
		n.fetched = max(n.fetched, i)
		if int(i) >= len(n.headers) {
			return nil, nil
		}
		return n.headers[i].Hash(), nil
	})
	handle("chain_getBlock", func(p []json.RawMessage) (any, error) {
		h := byHash(p)
		if h == nil {
			return nil, nil
		}
		return map[string]any{"block": map[string]any{"header": h, "extrinsics": []string{"0x0400", Hex([]byte{byte(h.Number)})}}, "justifications": n.just}, nil
	})
	handle("state_getReadProof", func(p []json.RawMessage) (any, error) {
		return map[string]any{"at": p[1], "proof": []string{"0x01"}}, nil
	})
	n.server.Subscribe("chain_subscribeFinalizedHeads", "chain_unsubscribeFinalizedHeads", "chain_finalizedHead",
		func(_ context.Context, _ json.RawMessage, sub *rpcserver.Subscription) error {
			wake := make(chan struct{}, 100)
			n.mu.Lock()
			n.wake = append(n.wake, wake)
			silent := n.silent
			n.mu.Unlock()
			sub.Run(func(ctx context.Context) {
				for {
					n.mu.Lock()
					h := n.headers[len(n.headers)-1]
					n.mu.Unlock()
					if !silent {
						sub.Notify(h)
					}
					select {
					case <-wake:
					case <-ctx.Done():
						return
					}
				}
			})
			return nil
		})
	hs := httptest.NewServer(n.server)
	t.Cleanup(func() { n.server.Close(); hs.Close() })
	n.url = "ws" + strings.TrimPrefix(hs.URL, "http")
	return n
}

func (n *node) grow(blocks int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for range blocks {
		last := &n.headers[len(n.headers)-1]
		n.headers = append(n.headers, header.Header{ParentHash: last.Hash(), Number: last.Number + 1})
	}
	for _, w := range n.wake {
		w <- struct{}{}
	}
}

func (n *node) lies(f func(method string, result any) (any, error)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lie = f
}

func connect(t *testing.T, n *node) *Client {
	c := New(n.url, rpcclient.Options{})
	t.Cleanup(func() { c.Close() })
	return c
}

func TestFollow(t *testing.T) {
	for _, silent := range []bool{false, true} {
		t.Run(fmt.Sprintf("silent=%v", silent), func(t *testing.T) {
			n := newNode(t, 20)
			n.silent = silent
			f := connect(t, n).Follow(t.Context(), FollowOptions{From: 3, Window: 4, Poll: time.Millisecond,
				Keys: func(header.Number) [][]byte { return [][]byte{{1}} }})
			defer f.Close()
			for want := header.Number(3); want <= 25; want++ {
				if want == 20 {
					n.grow(5) // heads that come while following
				}
				b, err := f.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if b.Header.Number != want || b.Hash != n.headers[want].Hash() || len(b.Extrinsics) != 2 || len(b.Proof) != 1 {
					t.Fatalf("block %d: got %+v", want, b)
				}
				n.mu.Lock()
				// 4 in the queue, one that waits to enter it.
				if n.fetched > want+4+1 {
					t.Errorf("at block %d block %d was fetched already", want, n.fetched)
				}
				n.mu.Unlock()
			}
			if f.Head() != 25 {
				t.Errorf("head is %d", f.Head())
			}
		})
	}
}

func TestFollowStops(t *testing.T) {
	tests := map[string]struct {
		lie  func(method string, result any) (any, error)
		want error
	}{
		"other block": {func(m string, r any) (any, error) {
			if m == "chain_getBlock" {
				return map[string]any{"block": map[string]any{"header": header.Header{Number: 1}, "extrinsics": []string{}}}, nil
			}
			return r, nil
		}, ErrNonsense},
		"no hex": {func(m string, r any) (any, error) {
			if m == "state_getReadProof" {
				return map[string]any{"at": hashing.Hash{}, "proof": []string{"xyz"}}, nil
			}
			return r, nil
		}, ErrNonsense},
		"number where text should be": {func(m string, r any) (any, error) {
			if m == "chain_getBlockHash" {
				return 5, nil
			}
			return r, nil
		}, ErrNonsense},
		"unknown block": {func(m string, r any) (any, error) {
			if m == "chain_getBlock" {
				return nil, nil
			}
			return r, nil
		}, ErrNotFound},
		"pruned state": {func(m string, r any) (any, error) {
			if m == "state_getReadProof" {
				return nil, &rpcserver.Error{Code: 4003, Message: "Client error: State already discarded"}
			}
			return r, nil
		}, ErrStateUnavailable},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, 3)
			n.lies(test.lie)
			f := connect(t, n).Follow(t.Context(), FollowOptions{From: 1, Keys: func(header.Number) [][]byte { return nil }})
			defer f.Close()
			if b, err := f.Next(t.Context()); b != nil || !errors.Is(err, test.want) {
				t.Errorf("got %v, %v, want %v", b, err, test.want)
			}
		})
	}
}

func TestReconnect(t *testing.T) {
	n := newNode(t, 3)
	c := connect(t, n)
	f := c.Follow(t.Context(), FollowOptions{From: 1})
	defer f.Close()
	for range 3 {
		if _, err := f.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.Reset()
	if _, err := f.Next(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("after the connection was lost: %v", err)
	}
	n.grow(1)
	again := c.Follow(t.Context(), FollowOptions{From: 4})
	defer again.Close()
	if b, err := again.Next(t.Context()); err != nil || b.Header.Number != 4 {
		t.Errorf("after reconnecting: %v, %v", b, err)
	}
	c.Close()
	if _, err := c.FinalizedHead(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("after Close: %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	c := New("ws://127.0.0.1:1", rpcclient.Options{})
	if _, err := c.BlockHash(t.Context(), 0); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestJustifications(t *testing.T) {
	n := newNode(t, 1)
	c := connect(t, n)
	for name, just := range map[string]any{
		"lists of numbers": []any{[]any{[]int{66, 69, 69, 70}, []int{9}}, []any{[]int{70, 82, 78, 75}, []int{1, 2, 255}}},
		"hex":              []any{[]any{"0x46524e4b", "0x0102ff"}},
	} {
		n.mu.Lock()
		n.just = just
		n.mu.Unlock()
		b, err := c.Block(t.Context(), n.headers[1].Hash())
		if err != nil || !bytes.Equal(b.Justification, []byte{1, 2, 255}) {
			t.Errorf("%s: got %v, %v", name, b, err)
		}
	}
	n.mu.Lock()
	n.just = []any{[]any{[]int{70, 82, 78, 75}, []int{256}}}
	n.mu.Unlock()
	if b, err := c.Block(t.Context(), n.headers[1].Hash()); !errors.Is(err, ErrNonsense) {
		t.Errorf("byte 256: got %v, %v", b, err)
	}
}

func TestStatus(t *testing.T) {
	hash := hashing.Blake2b256([]byte("block"))
	for _, test := range []struct {
		json string
		want Status
	}{
		{`"ready"`, Status{Name: "ready"}},
		{`{"broadcast":["12D3","12D4"]}`, Status{Name: "broadcast"}},
		{`{"inBlock":"` + hash.String() + `"}`, Status{Name: "inBlock", Block: hash, InBlock: true}},
		{`{"finalized":"` + hash.String() + `"}`, Status{Name: "finalized", Block: hash, InBlock: true, Finalized: true}},
		{`"invalid"`, Status{Name: "invalid", Failed: true}},
		{`{"usurped":"` + hash.String() + `"}`, Status{Name: "usurped", Block: hash, Failed: true}},
	} {
		var got Status
		if err := json.Unmarshal([]byte(test.json), &got); err != nil || got != test.want {
			t.Errorf("%s: got %+v, %v", test.json, got, err)
		}
	}
	for _, bad := range []string{`7`, `{}`, `{"a":1,"b":2}`, `{"inBlock":5}`} {
		var s Status
		if err := json.Unmarshal([]byte(bad), &s); err == nil {
			t.Errorf("%s was accepted as %+v", bad, s)
		}
	}
}

func FuzzBlock(f *testing.F) {
	f.Add([]byte(`{"block":{"header":{"parentHash":"0x0000000000000000000000000000000000000000000000000000000000000000","number":"0x1","stateRoot":"0x0000000000000000000000000000000000000000000000000000000000000000","extrinsicsRoot":"0x0000000000000000000000000000000000000000000000000000000000000000","digest":{"logs":["0x00040a"]}},"extrinsics":["0x0400"]},"justifications":[[[70,82,78,75],[1,2]]]}`))
	f.Add([]byte(`"finalized"`))
	f.Add([]byte(`{"inBlock":"0x00"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var j blockJSON
		json.Unmarshal(b, &j)
		var s Status
		json.Unmarshal(b, &s)
		var v RuntimeVersion
		json.Unmarshal(b, &v)
	})
}
