package store

import (
	"io"
	"testing"
)

// TestSnapshotAt: a snapshot is due after 32 MiB of log, or after an eighth of what
// the last one takes, which is known after a restart too.
func TestSnapshotAt(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 50 MiB")
	}
	m := &MemFS{}
	l, _ := open(t, m, testDir)
	if err := l.Snapshot(writeSnapshot(0)); err != nil {
		t.Fatal(err)
	}
	if at := l.SnapshotAt(); at != leastDue {
		t.Errorf("the next snapshot after %d bytes", at)
	}
	synced := 0
	m.Before = func(op, _ string) Fault {
		if op == "sync" {
			synced++
		}
		return Works
	}
	const size = 50 << 20
	err := l.Snapshot(func(w io.Writer) error {
		for range size / (1 << 20) {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	m.Before = nil
	if synced < size/syncEvery {
		t.Errorf("%d syncs of a snapshot of %d bytes", synced, size)
	}
	check := func(when string) {
		t.Helper()
		if got := l.snapshot.size; got < size || got > size+size/100 {
			t.Errorf("%s: a snapshot of %d bytes, not %d and little more", when, got, size)
		}
	}
	check("written")
	_ = l.Close()
	if l, err = Open(testDir, testKey, Options{FS: m}); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Replay(nil, nil); err != nil {
		t.Fatal(err)
	}
	check("read")
	l.snapshot.size = 10 * leastDue
	if at := l.SnapshotAt(); at != 10*leastDue/8 {
		t.Errorf("the next snapshot after %d bytes", at)
	}
}
