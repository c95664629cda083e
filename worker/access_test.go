package worker

import (
	"errors"
	"sync"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/access"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
)

// TestBoundGettersOfARealWorker: clients ask in a form that counts once, for
// themselves and as session proxies, and a worker may refuse any other form.
func TestBoundGettersOfARealWorker(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	cfg := n.config("worker", t.TempDir())
	cfg.BoundGettersOnly = true
	w := n.start(cfg)
	n.ready(w)
	s := n.session(w)
	n.shield(s, ferdie.AccountID(), 5*unit)
	proxy := pair("//FerdiesPhone")
	n.invoke(s, ferdie, 0, sample.Call((*sample.SessionProxies).AddSessionProxy, ferdie.AccountID(), proxy.AccountID(),
		sample.SessionProxyCredentials{Role: sample.SessionProxyRole{ReadBalance: new(struct{})}}))

	question := client.Question{Getter: sample.GetterAccountInfo(ferdie.AccountID()), Owner: ferdie.AccountID(), Signer: ferdie}
	ask := func(q client.Question, want bool) {
		t.Helper()
		value, some, err := s.Worker.Ask(n.ctx, n.shard(), q)
		if err != nil || some != want {
			t.Fatal(some, err)
		}
		var info sample.AccountInfo
		if err := scale.Unmarshal(value, &info); some && q.Signer != nil && (err != nil || info.Nonce != 1) {
			t.Errorf("%+v, %v", info, err)
		}
	}
	ask(question, true)
	question.Signer = proxy
	ask(question, true)
	question.Signer = alice
	ask(question, false)
	ask(client.Question{Getter: sample.GetterSomeValue()}, true)
	a, err := s.Worker.AskProven(n.ctx, n.shard(), client.Question{Getter: question.Getter, Owner: question.Owner, Signer: proxy})
	if err != nil || a.Replay(n.app) != nil {
		t.Errorf("%+v, %v", a, err)
	}

	refused := func(g client.Getter, want error) {
		t.Helper()
		var r *client.RequestError
		if _, _, err := s.Worker.Get(n.ctx, n.shard(), g); !errors.As(err, &r) || r.Message != want.Error() {
			t.Errorf("%v, want %v", err, want)
		}
	}
	refused(client.SignGetter(question.Getter, ferdie.AccountID(), ferdie), access.ErrUnbound)
	key, err := w.gate.Key(w.core.Load().View().Number())
	if err != nil {
		t.Fatal(err)
	}
	bound := integritee.SignBoundGetter(question.Getter, integritee.Bounds{Key: key.Key, Expiry: key.Number + access.MaxLifetime}, n.shard(), ferdie.AccountID(), ferdie)
	// Of many at once one is answered.
	var mu sync.Mutex
	answered := 0
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() {
			if _, some, err := s.Worker.Get(n.ctx, n.shard(), bound); some && err == nil {
				mu.Lock()
				answered++
				mu.Unlock()
			}
		})
	}
	asking.Wait()
	if answered != 1 {
		t.Errorf("one bound getter was answered %d times", answered)
	}
	refused(bound, access.ErrRepeated)

	// The worker starts again, and knows nothing of what it was asked: its key is
	// another one. The client finds out by itself.
	unused := integritee.SignBoundGetter(question.Getter, integritee.Bounds{Key: key.Key, Expiry: key.Number + access.MaxLifetime, Nonce: [16]byte{1}}, n.shard(), ferdie.AccountID(), ferdie)
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	w = n.start(cfg)
	n.ready(w)
	s = n.session(w)
	refused(bound, access.ErrOtherKey)
	refused(unused, access.ErrOtherKey)
	question.Signer = ferdie
	ask(question, true)
}
