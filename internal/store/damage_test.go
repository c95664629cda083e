package store

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"
)

// TestPowerCut cuts the power at every operation that changes something on
// disk, in a history of appends, batches and snapshots, and checks that the
// store always comes back with all that was acknowledged, with nothing that
// was not attempted, and that it goes on.
func TestPowerCut(t *testing.T) {
	seeds := uint64(12)
	if testing.Short() {
		seeds = 3 // with no, one and two cuts during recovery
	}
	// history runs until the first error and returns what was acknowledged
	// and what was attempted.
	history := func(m *MemFS) (acked, attempted uint64) {
		l, c, err := tryOpen(m, testDir, testKey)
		if err != nil {
			return 0, 0
		}
		defer l.Close()
		acked = c.At + uint64(len(c.Records))
		for round := range 4 {
			for range 4 {
				attempted = acked + 1
				if l.Append(record(attempted)) != nil {
					return acked, attempted
				}
				acked = attempted
			}
			attempted = acked + 3
			if l.Append(record(acked+1), record(acked+2), record(acked+3)) != nil {
				return acked, attempted
			}
			acked = attempted
			if round%2 == 0 {
				at := acked
				p, err := l.BeginSnapshot()
				if err != nil {
					return acked, attempted
				}
				attempted = acked + 1
				if l.Append(record(attempted)) != nil {
					return acked, attempted
				}
				acked = attempted
				if p.Write(writeSnapshot(at)) != nil {
					return acked, attempted
				}
			}
		}
		return acked, attempted
	}
	for point := 0; ; point++ {
		for seed := range seeds {
			m := &MemFS{}
			ops, cut := 0, false
			m.Before = func(string, string) Fault {
				ops++
				if ops > point {
					cut = true
					return PowerCut
				}
				return Works
			}
			acked, attempted := history(m)
			if !cut {
				t.Logf("%d points, %d ways each", point, seeds)
				return
			}
			r := rand.New(rand.NewPCG(seed, uint64(point)))
			after := m.Crash(r)
			for range seed % 3 { // the power may go again while the store is opened
				left := r.IntN(4)
				after.Before = func(string, string) Fault {
					if left--; left < 0 {
						return PowerCut
					}
					return Works
				}
				if l, _, err := tryOpen(after, testDir, testKey); err == nil {
					_ = l.Close()
				} else if !errors.Is(err, ErrFault) {
					t.Fatalf("point %d seed %d, during recovery: %v", point, seed, err)
				}
				after = after.Crash(r)
			}
			l, c, err := tryOpen(after, testDir, testKey)
			if err != nil {
				t.Fatalf("point %d seed %d: %v", point, seed, err)
			}
			n := c.At + uint64(len(c.Records))
			if n != acked && n != attempted {
				t.Fatalf("point %d seed %d: %d records, %d acknowledged, %d attempted", point, seed, n, acked, attempted)
			}
			check(t, c, n)
			appendTo(t, l, n+3)
			if err := l.Snapshot(writeSnapshot(n + 3)); err != nil {
				t.Fatal(err)
			}
			_ = l.Close()
			_, c, err = tryOpen(after, testDir, testKey)
			if err != nil {
				t.Fatalf("point %d seed %d, second start: %v", point, seed, err)
			}
			check(t, c, n+3)
		}
	}
}

// TestFaults lets every operation fail once, without effect, with effect, half
// done (disk full), and by a sync that loses what it was to write, and goes on
// in the same process: every later write succeeds.
func TestFaults(t *testing.T) {
	for _, fault := range []Fault{FailsBefore, FailsAfter, FailsHalf, SyncLoses} {
		for point := 0; ; point++ {
			m := &MemFS{}
			l, _ := open(t, m, testDir)
			appendTo(t, l, 2)
			ops, hit, failed := 0, false, false
			m.Before = func(string, string) Fault {
				ops++
				if ops == point+1 {
					hit = true
					return fault
				}
				return Works
			}
			n := l.Position()
			for step := 0; step < 12; step++ {
				var err error
				if step%5 == 3 {
					err = l.Snapshot(writeSnapshot(n))
				} else if err = l.Append(record(n + 1)); err == nil {
					n++
				}
				if err != nil && (!errors.Is(err, ErrFault) || failed) {
					t.Fatalf("fault %d at %d: %v", fault, point, err)
				}
				failed = failed || err != nil
				if l.Position() != n {
					t.Fatalf("fault %d at %d: position %d, want %d (%v)", fault, point, l.Position(), n, err)
				}
			}
			if hit { // until then, what failed may turn up
				m.Before = nil
				n++
				appendTo(t, l, n)
			}
			_ = l.Close()
			// Whatever failed, a power cut must not lose what was acknowledged.
			_, c, err := tryOpen(m.Crash(rand.New(rand.NewPCG(uint64(point), 1))), testDir, testKey)
			if err != nil {
				t.Fatalf("fault %d at %d: %v", fault, point, err)
			}
			check(t, c, n)
			if !hit {
				break
			}
		}
	}
}

// TestBroken has the write fail and the disk refuse to take it back.
func TestBroken(t *testing.T) {
	m := &MemFS{}
	l, _ := open(t, m, testDir)
	appendTo(t, l, 3)
	m.Before = func(string, string) Fault { return FailsHalf }
	if err := l.Append(record(4)); !errors.Is(err, ErrBroken) {
		t.Fatalf("got %v, want ErrBroken", err)
	}
	if err := l.Append(record(4)); !errors.Is(err, ErrBroken) {
		t.Fatalf("got %v, want ErrBroken", err)
	}
	l, c := open(t, m.Clone(), testDir)
	check(t, c, 3)
	if l.Dropped() == 0 {
		t.Error("the half frame was not dropped")
	}
}

// TestLostPages has an fsync fail for good: what the system forgot is written
// again, although it says that it was.
func TestLostPages(t *testing.T) {
	m := &MemFS{}
	l, _ := open(t, m, testDir)
	appendTo(t, l, 6)
	m.Before = func(op, _ string) Fault {
		if op == "sync" {
			return SyncLoses
		}
		return Works
	}
	for range 3 {
		if err := l.Append(record(7)); !errors.Is(err, ErrBroken) {
			t.Fatalf("got %v, want ErrBroken", err)
		}
	}
	m.Before = nil
	appendTo(t, l, 9)
	_, c := open(t, m.Crash(rand.New(rand.NewPCG(1, 1))), testDir)
	check(t, c, 9)
}

// TestLostPagesBeforeRestart: the program ends after such an fsync, and what it
// reads when it starts again is in the system's memory only.
func TestLostPagesBeforeRestart(t *testing.T) {
	for seed := range uint64(20) {
		m := &MemFS{}
		l, _ := open(t, m, testDir)
		appendTo(t, l, 6)
		m.Before = func(op, _ string) Fault {
			if op == "sync" {
				return SyncLoses
			}
			return Works
		}
		if err := l.Append(record(7)); !errors.Is(err, ErrBroken) {
			t.Fatalf("got %v, want ErrBroken", err)
		}
		m.Before = nil
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l, _ = open(t, m, testDir)
		appendTo(t, l, 9)
		_, c := open(t, m.Crash(rand.New(rand.NewPCG(seed, 1))), testDir)
		check(t, c, 9)
	}
}

func damaged(t *testing.T, base *MemFS, name string, change func([]byte) []byte) (content, error) {
	t.Helper()
	m := base.Clone()
	path := filepath.Join(testDir, name)
	m.SetContent(path, change(m.Content(path)))
	l, c, err := tryOpen(m, testDir, testKey)
	if err == nil {
		_ = l.Close()
	}
	return c, err
}

// sampleStore is a small snapshot at 3, a segment and half a dozen frames
// after it.
func sampleStore(t *testing.T) (m *MemFS, frames []int64) { return storeWithSnapshot(t, 3) }

func storeWithSnapshot(t *testing.T, at uint64) (m *MemFS, frames []int64) {
	t.Helper()
	m = &MemFS{}
	l, _ := open(t, m, testDir)
	appendTo(t, l, at)
	if err := l.Snapshot(writeSnapshot(at)); err != nil {
		t.Fatal(err)
	}
	for i := at + 1; i <= at+6; i++ {
		frames = append(frames, l.size)
		if err := l.Append(record(i)); err != nil {
			t.Fatal(err)
		}
	}
	frames = append(frames, l.size)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return m, frames
}

// TestBitFlips flips bits all over the files: either the store is refused, or
// only the last frame is gone.
func TestBitFlips(t *testing.T) {
	m, frames := sampleStore(t)
	big, _ := storeWithSnapshot(t, 5) // of two chunks
	last := int(frames[len(frames)-2])
	for _, name := range []string{segmentName(3), snapshotName(3), snapshotName(5)} {
		step := 1
		if name == snapshotName(5) {
			m, step = big, 2999
		}
		size := len(m.Content(filepath.Join(testDir, name)))
		for i := 0; i < size; i += step {
			c, err := damaged(t, m, name, func(b []byte) []byte { b[i] ^= 1 << (i % 8); return b })
			if err == nil && name == segmentName(3) && i >= last {
				check(t, c, 8)
				continue
			}
			if err == nil {
				t.Fatalf("%s: a bit flipped at %d went unseen", name, i)
			}
			var d *DamageError
			if !errors.As(err, &d) && !errors.Is(err, ErrNewer) && !errors.Is(err, ErrKey) {
				t.Fatalf("%s: bit at %d: unnamed error %v", name, i, err)
			}
			if d != nil && d.File != name {
				t.Fatalf("%s: bit at %d: the error names %s", name, i, d.File)
			}
		}
	}
}

// TestTruncation cuts the files at every length.
func TestTruncation(t *testing.T) {
	m, frames := sampleStore(t)
	name := segmentName(3)
	for size := range len(m.Content(filepath.Join(testDir, name))) {
		c, err := damaged(t, m, name, func(b []byte) []byte { return b[:size] })
		if size < headerSize {
			var d *DamageError
			if !errors.As(err, &d) {
				t.Fatalf("cut at %d: %v", size, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("cut at %d: %v", size, err)
		}
		n := uint64(3)
		for i := 1; i < len(frames) && frames[i] <= int64(size); i++ {
			n++
		}
		check(t, c, n)
	}
	name = snapshotName(3)
	size := len(m.Content(filepath.Join(testDir, name)))
	for _, n := range []int{0, headerSize, headerSize + 4, size / 2, size - 1} {
		if _, err := damaged(t, m, name, func(b []byte) []byte { return b[:n] }); err == nil {
			t.Errorf("snapshot cut to %d bytes went unseen", n)
		}
	}
}

func TestMovedParts(t *testing.T) {
	m, frames := sampleStore(t)
	frame := func(b []byte, i int) []byte { return b[frames[i]:frames[i+1]] }
	other, _ := sampleStore(t) // the same history in another store under the same key
	path := func(name string) string { return filepath.Join(testDir, name) }
	seg := segmentName(3)
	cases := map[string]func([]byte) []byte{
		"frames swapped": func(b []byte) []byte {
			return bytes.Join([][]byte{b[:frames[1]], frame(b, 2), frame(b, 1), b[frames[3]:]}, nil)
		},
		"frame removed":  func(b []byte) []byte { return append(b[:frames[2]:frames[2]], b[frames[3]:]...) },
		"frame repeated": func(b []byte) []byte { return append(b[:frames[3]:frames[3]], b[frames[2]:]...) },
		"last repeated":  func(b []byte) []byte { return append(b, frame(b, 5)...) },
		"bytes inserted": func(b []byte) []byte {
			return bytes.Join([][]byte{b[:frames[2]], {1, 2, 3}, b[frames[2]:]}, nil)
		},
		"a frame of another store": func(b []byte) []byte {
			o := other.Content(path(seg))
			return bytes.Join([][]byte{b[:frames[2]], frame(o, 2), b[frames[3]:]}, nil)
		},
		"the segment of another store": func([]byte) []byte { return other.Content(path(seg)) },
		"the segment is the snapshot":  func([]byte) []byte { return m.Content(path(snapshotName(3))) },
		"the segment is gone":          func([]byte) []byte { return nil },
	}
	for name, change := range cases {
		_, err := damaged(t, m, seg, change)
		var d *DamageError
		if !errors.As(err, &d) {
			t.Errorf("%s: %v, want a DamageError", name, err)
		}
	}
	for name, change := range map[string]func([]byte) []byte{
		"the snapshot of another store": func([]byte) []byte { return other.Content(path(snapshotName(3))) },
		"the snapshot is gone":          func([]byte) []byte { return nil },
		"bytes after the snapshot":      func(b []byte) []byte { return append(b, 0) },
	} {
		_, err := damaged(t, m, snapshotName(3), change)
		var d *DamageError
		if !errors.As(err, &d) {
			t.Errorf("%s: %v, want a DamageError", name, err)
		}
	}
	// A file under another name, and garbage behind the last frame.
	c := m.Clone()
	c.SetContent(path(segmentName(77)), c.Content(path(seg)))
	if _, _, err := tryOpen(c, testDir, testKey); err == nil {
		t.Error("a renamed segment went unseen")
	}
	got, err := damaged(t, m, seg, func(b []byte) []byte { return append(b, bytes.Repeat([]byte{0}, 5000)...) })
	if err != nil {
		t.Errorf("zeros behind the last frame: %v", err)
	}
	check(t, got, 9)
}

// TestMiddleSegments damages a log of several segments: only the last one may
// end torn.
func TestMiddleSegments(t *testing.T) {
	m := &MemFS{}
	l, _ := open(t, m, testDir)
	appendTo(t, l, 4)
	for range 2 { // snapshots that are given up leave segments behind
		p, err := l.BeginSnapshot()
		if err != nil {
			t.Fatal(err)
		}
		p.Cancel()
		appendTo(t, l, l.Position()+4)
	}
	_ = l.Close()
	_, c := open(t, m.Clone(), testDir)
	check(t, c, 12)
	for name, change := range map[string]func([]byte) []byte{
		"cut":     func(b []byte) []byte { return b[:len(b)-1] },
		"flipped": func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"emptied": func(b []byte) []byte { return b[:headerSize] },
		"gone":    func([]byte) []byte { return nil },
	} {
		for _, at := range []uint64{0, 4} {
			_, err := damaged(t, m, segmentName(at), change)
			var d *DamageError
			if !errors.As(err, &d) {
				t.Errorf("segment %d %s: %v, want a DamageError", at, name, err)
			}
		}
	}
}

// FuzzReplay puts arbitrary changes into a store: no panic, and what comes
// out is a prefix of what went in.
func FuzzReplay(f *testing.F) {
	m := &MemFS{}
	l, _ := open(f, m, testDir)
	appendTo(f, l, 3)
	if err := l.Snapshot(writeSnapshot(3)); err != nil {
		f.Fatal(err)
	}
	appendTo(f, l, 6)
	_ = l.Close()
	names := []string{segmentName(3), snapshotName(3)}
	f.Add(uint8(0), uint32(200), []byte{1})
	f.Add(uint8(1), uint32(140), []byte{0xff, 0xff})
	f.Add(uint8(0), uint32(8), []byte{2, 0})
	f.Fuzz(func(t *testing.T, file uint8, at uint32, patch []byte) {
		c := m.Clone()
		path := filepath.Join(testDir, names[int(file)%2])
		b := c.Content(path)
		at %= uint32(len(b))
		c.SetContent(path, append(b[:at], patch...))
		l, got, err := tryOpen(c, testDir, testKey)
		if err != nil {
			return
		}
		_ = l.Close()
		if got.At != 3 || got.Snapshot != snapshotText(3) || len(got.Records) > 3 {
			t.Fatalf("unexpected content: %d, %d records", got.At, len(got.Records))
		}
		for i, r := range got.Records {
			if r != string(record(uint64(4+i))) {
				t.Fatalf("record %d differs", 4+i)
			}
		}
	})
}
