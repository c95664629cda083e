package enclave

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/lightclient/lightclienttest"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
)

// fuzzWorld is a core with a little of everything.
func fuzzWorld(f *testing.F) (*world, *Commit) {
	w := newWorld(f, func(c *Config) { c.ConfirmAll = true })
	alice := pair(f, "//Alice")
	w.block().register(w.worker).run()
	w.fund(alice, 10*unit)
	return w, w.block().invoke(w.unshield(alice, w.user, unit, 0)).invoke([]byte{1}).shield(testShard, nil, unit).run()
}

func FuzzDecodeCommit(f *testing.F) {
	_, c := fuzzWorld(f)
	f.Add(c.Encode())
	f.Add((&Commit{}).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeCommit(b)
		if err != nil {
			if c != nil {
				t.Error("a commit and an error")
			}
			return
		}
		if again := c.Encode(); !bytes.Equal(again, b) {
			t.Errorf("encodes to %x", again)
		}
	})
}

// FuzzAdopt adopts any decodable commit: no panic, and an error leaves
// everything as it was.
func FuzzAdopt(f *testing.F) {
	w, c := fuzzWorld(f)
	next, err := w.core.Execute(w.block().seal())
	if err != nil {
		f.Fatal(err)
	}
	saved := snapshot(f, w.core)
	f.Add(next.Encode())
	f.Add(c.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		commit, err := DecodeCommit(b)
		if err != nil {
			return
		}
		core := restored(t, w.cfg, saved)
		if core.Adopt(commit) != nil && !bytes.Equal(snapshot(t, core), saved) {
			t.Error("a refused commit changed something")
		}
	})
}

func FuzzDecodeKeyMaterial(f *testing.F) {
	f.Add(testKeys().Encode())
	f.Add([]byte{1, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := DecodeKeyMaterial(b)
		if (err == nil) == (k == nil) {
			t.Fatalf("%v, %v", k, err)
		}
		if err == nil {
			if _, err := DecodeKeyMaterial(k.Encode()); err != nil {
				t.Error(err)
			}
		}
	})
}

func FuzzDecodeKeyRing(f *testing.F) {
	f.Add(testKeys().Encode())
	f.Add([]byte{2, 8, 0, 0})
	f.Add(ringOf(f, laterKeys()...).Encode())
	destroyed, _ := ringOf(f, laterKeys()...).Without(2)
	f.Add(destroyed.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeKeyRing(b)
		if (err == nil) == (r == nil) {
			t.Fatalf("%v, %v", r, err)
		}
		if err == nil && !bytes.Equal(r.Encode(), b) {
			t.Error("it encodes to something else")
		}
	})
}

func FuzzDecodeTrustConfig(f *testing.F) {
	f.Add(validTrust().Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeTrustConfig(b)
		if err == nil && !bytes.Equal(c.Encode(), b) {
			t.Errorf("encodes to %x", c.Encode())
		}
	})
}

func FuzzDecodeReceipt(f *testing.F) {
	_, c := fuzzWorld(f)
	for _, r := range c.Receipts {
		f.Add(scale.MustMarshal(r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r stf.Receipt
		if scale.Unmarshal(b, &r) == nil {
			if again := scale.MustMarshal(r); !bytes.Equal(again, b) {
				t.Errorf("encodes to %x", again)
			}
		}
	})
}

func FuzzRestore(f *testing.F) {
	w, _ := fuzzWorld(f)
	f.Add(snapshot(f, w.core))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Restore(w.cfg, bytes.NewReader(b))
		if (err == nil) == (c == nil) {
			t.Fatalf("%v, %v", c, err)
		}
		if err == nil && c.Audit(t.Context()) == nil && c.View().StateRoot() != c.state.Root() {
			t.Error("a core with a wrong root")
		}
	})
}

// FuzzOperation sends any bytes as a getter, and as the plaintext of an
// invocation.
func FuzzOperation(f *testing.F) {
	w, _ := fuzzWorld(f)
	alice := pair(f, "//Alice")
	f.Add(top(alice, []byte{0}, 1))
	f.Add(integritee.SignGetter([]byte{0}, alice).AppendSCALE(nil))
	f.Add([]byte{0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, _ = w.core.View().Getter(integritee.Request{Shard: testShard, Cyphertext: b})
		if len(b) > 1000 {
			return
		}
		var op operation
		code := (&preparation{core: w.core, number: w.core.tip.Number + 1, fingerprint: testFingerprint}).check(b, &op)
		good := code == stf.Success
		if (op.call != nil) != good || (op.sender != nil) != good || (op.hash != nil) != good {
			t.Errorf("operation %+v, code %v", op, code)
		}
	})
}

// FuzzExecute puts any bytes into a final block, as its events and as an
// extrinsic: no panic, and events that do not decode are fatal, nothing else.
func FuzzExecute(f *testing.F) {
	sample := newWorld(f)
	b := sample.block().invoke([]byte("x")).shield(testShard, nil, unit)
	b.hook(invoked(testShard))
	v := b.seal()
	for _, x := range v.Extrinsics() {
		f.Add(x, v.Events())
	}
	f.Add([]byte{}, []byte{0})
	f.Fuzz(func(t *testing.T, raw, events []byte) {
		w := newWorld(t)
		v := w.chain.Next(w.client, lightclienttest.Block{Extrinsics: [][]byte{raw}, Events: events}, w.core.RequiredKeys(1)...)
		c, err := w.core.Execute(v)
		if err != nil {
			if !errors.Is(err, ErrFatal) {
				t.Error(err)
			}
			return
		}
		if again, err := w.core.Execute(v); err != nil || !bytes.Equal(again.Encode(), c.Encode()) {
			t.Error("executed twice, it gives another commit")
		}
		if err := w.core.Adopt(c); err != nil {
			t.Error(err)
		}
	})
}

// FuzzCalls reads any call and any events of an extrinsic: no panic, and an
// invocation only with an event.
func FuzzCalls(f *testing.F) {
	w := newNestedWorld(f)
	r := rand.New(rand.NewPCG(5, 0))
	for range 50 {
		size := 10
		c := randomTree(r, &size, 5)
		b := &builder{w: w}
		b.addBare(c, nil)
		f.Add(c.encode(w), append(scale.AppendCompact(nil, uint64(b.records)), b.events...))
	}
	f.Fuzz(func(t *testing.T, call, events []byte) {
		raw, err := extrinsic.EncodeBare(4, call)
		if err != nil {
			return
		}
		s, err := w.core.scan([][]byte{raw}, events)
		if err != nil {
			return
		}
		invoked := 0
		for _, e := range s.extrinsics[0].signals {
			if e.kind == signalInvoked {
				invoked++
			}
		}
		for _, op := range s.operations {
			if op.ciphertext != nil {
				invoked--
			}
		}
		if invoked < 0 {
			t.Errorf("%d invocations without an event", -invoked)
		}
	})
}
