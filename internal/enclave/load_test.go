package enclave

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/integritee"
)

// restored returns a core of a snapshot, all of it in memory and checked.
func restored(t testing.TB, cfg Config, saved []byte) *Core {
	t.Helper()
	c, err := Restore(cfg, bytes.NewReader(saved))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Audit(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := c.loaded(); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestGetterBeforeLoad: after a restart, getters are answered from the log's
// last block while the commitment is nowhere yet, and the next block is the
// one of a worker that never stopped.
func TestGetterBeforeLoad(t *testing.T) {
	w := newWorld(t)
	alice := pair(t, "//Alice")
	w.fund(alice, 10*unit)
	saved := snapshot(t, w.core)
	var records [][]byte
	for i := range uint32(3) {
		records = append(records, w.block().invoke(w.transfer(alice, w.user, unit, i)).run().Encode())
	}
	c, err := Restore(w.cfg, bytes.NewReader(saved))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		commit, err := DecodeCommit(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Adopt(commit); err != nil {
			t.Fatal(err)
		}
	}
	request := integritee.Request{Shard: testShard, Cyphertext: integritee.SignGetter(sample.GetterAccountInfo(alice.AccountID()), alice).AppendSCALE(nil)}
	want, _, err := w.core.View().Getter(request)
	if err != nil {
		t.Fatal(err)
	}
	if got, some, err := c.View().Getter(request); err != nil || !some || !bytes.Equal(got, want) {
		t.Errorf("%x, %v, %v, want %x", got, some, err, want)
	}
	if !c.loading {
		t.Error("the commitment was loaded for a getter")
	}
	next := w.block().invoke(w.transfer(alice, w.user, unit, 3)).seal()
	commit, err := w.core.Execute(next)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.pretend(1, w.meta); err != nil {
		t.Fatal(err)
	}
	again, err := c.Execute(next)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.Encode(), commit.Encode()) || c.loading {
		t.Error("another commit after a restart, or the commitment was not checked before")
	}
}

// TestLyingSnapshot: contradictions in what was sealed are found, at the latest
// by Audit, and before a block is executed where they concern the commitment.
func TestLyingSnapshot(t *testing.T) {
	w := newWorld(t)
	w.fund(pair(t, "//Alice"), unit)
	good := snapshot(t, w.core)
	next := w.block()
	commit := next.run()
	// Behind the head, the roots and the receipts.
	start := 0
	for lists := 0; lists < 2; {
		n := int(binary.LittleEndian.Uint32(good[start:]))
		if bytes.Equal(good[start+4:start+4+n], []byte{0}) {
			lists++
		}
		start += 4 + n
	}
	for at := start; at < len(good); at++ {
		bad := flip(good, at)
		c, err := Restore(w.cfg, bytes.NewReader(bad))
		if err != nil {
			if !errors.Is(err, ErrSnapshot) {
				t.Errorf("byte %d: %v", at, err)
			}
			continue
		}
		if err := c.Audit(t.Context()); !errors.Is(err, ErrFatal) {
			t.Errorf("byte %d: Audit says %v", at, err)
		}
	}
	// In the last 32 bytes is a hash of the commitment.
	c, err := Restore(w.cfg, bytes.NewReader(flip(good, len(good)-10)))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.pretend(1, w.meta); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Execute(w.blocks[1]); !errors.Is(err, ErrFatal) {
		t.Errorf("Execute: %v", err)
	}
	if err := c.SnapshotWriter()(io.Discard); !errors.Is(err, ErrFatal) {
		t.Errorf("a snapshot of it: %v", err)
	}
	// A record that does not lead to its root is found after the last one.
	c, err = Restore(w.cfg, bytes.NewReader(good))
	if err != nil {
		t.Fatal(err)
	}
	lying, err := DecodeCommit(commit.Encode())
	if err != nil {
		t.Fatal(err)
	}
	lying.Changes[0].Value[0] ^= 1
	if err := c.Adopt(lying); err != nil {
		t.Fatal(err)
	}
	if err := c.Load(); !errors.Is(err, ErrFatal) {
		t.Errorf("Load: %v", err)
	}
}
