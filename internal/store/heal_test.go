package store

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// heal opens a store, healing as often as it takes.
func heal(t *testing.T, fsys FS, dir string) (*Log, content, []*Healing) {
	t.Helper()
	var done []*Healing
	for range 20 {
		l, c, err := tryOpen(fsys, dir, testKey)
		if err == nil {
			return l, c, done
		}
		var d *DamageError
		if !errors.As(err, &d) {
			t.Fatalf("%v, want a DamageError", err)
		}
		h, err := Heal(dir, testKey, d, Options{FS: fsys})
		if err != nil {
			t.Fatal(err)
		}
		done = append(done, h)
	}
	t.Fatal("healing does not end")
	return nil, content{}, nil
}

// healedStore is a store with two snapshots, at 4 and 8, and records up to 12.
func healedStore(t *testing.T, fsys FS, dir string) {
	t.Helper()
	l, _ := open(t, fsys, dir)
	for _, n := range []uint64{4, 8} {
		appendTo(t, l, n)
		if err := l.Snapshot(writeSnapshot(n)); err != nil {
			t.Fatal(err)
		}
	}
	appendTo(t, l, 10)
	p, err := l.BeginSnapshot() // given up: a segment of its own
	if err != nil {
		t.Fatal(err)
	}
	p.Cancel()
	appendTo(t, l, 12)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// change changes a file behind the owner's back; nil removes it.
func change(t *testing.T, fsys FS, path string, f func([]byte) []byte) {
	t.Helper()
	b, err := ReadFile(fsys, path, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if b = f(b); b == nil {
		err = fsys.Remove(path)
	} else {
		err = WriteFile(fsys, path, b)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestHeal(t *testing.T) {
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b[(at+len(b))%len(b)] ^= 1; return b }
	}
	gone := func([]byte) []byte { return nil }
	cut := func(b []byte) []byte { return b[:headerSize+40] }
	for _, c := range []struct {
		name, file string
		change     func([]byte) []byte
		at, last   uint64 // snapshot and record that are left
	}{
		{"frame of the log flipped", segmentName(8), flip(headerSize + 40), 8, 8},
		{"last frame of a segment in the middle flipped", segmentName(8), flip(-1), 8, 9},
		{"segment in the middle cut", segmentName(8), cut, 8, 8},
		{"segment in the middle gone", segmentName(8), gone, 8, 8},
		{"last segment gone", segmentName(10), gone, 8, 10},
		{"header of the first segment flipped", segmentName(8), flip(headerSize - 1), 8, 8},
		{"header of the last segment flipped", segmentName(10), flip(20), 8, 10},
		{"version flipped", segmentName(10), flip(8), 8, 10},
		{"segment emptied", segmentName(8), func([]byte) []byte { return []byte{} }, 8, 8},
		{"snapshot flipped", snapshotName(8), flip(-20), 4, 12},
		{"snapshot's header flipped", snapshotName(8), flip(40), 4, 12},
		{"snapshot cut", snapshotName(8), cut, 4, 12},
		{"snapshot gone", snapshotName(8), gone, 4, 12},
		{"previous snapshot flipped", snapshotName(4), flip(-20), 8, 12},
		{"previous snapshot's header flipped", snapshotName(4), flip(40), 8, 12},
		{"header of a covered segment flipped", segmentName(4), flip(40), 8, 12},
		{"covered segment gone", segmentName(4), gone, 8, 12},
	} {
		for kind, fsys := range map[string]FS{"disk": OS, "memory": &MemFS{}} {
			t.Run(c.name+"/"+kind, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "store")
				healedStore(t, fsys, dir)
				path := filepath.Join(dir, c.file)
				before, err := ReadFile(fsys, path, 1<<20)
				if err != nil {
					t.Fatal(err)
				}
				change(t, fsys, path, c.change)
				after, _ := ReadFile(fsys, path, 1<<20)
				l, got, done := heal(t, fsys, dir)
				if got.At != c.at {
					t.Errorf("snapshot at %d, want %d", got.At, c.at)
				}
				check(t, got, c.last)
				if len(done) > 0 && done[0].Damage.File != c.file {
					t.Errorf("the damage named first is in %s", done[0].Damage.File)
				}
				// What was damaged is there for who wants to see it.
				if len(done) > 0 && after != nil && !slices.ContainsFunc(done[0].Aside, func(path string) bool {
					b, err := ReadFile(fsys, path, 1<<20)
					return err == nil && bytes.Equal(b, after)
				}) {
					t.Errorf("the damaged file is not put aside: %q", done[0].Aside)
				}
				// The store goes on, and old parts do not fit into it any more.
				appendTo(t, l, 20)
				if err := l.Snapshot(writeSnapshot(20)); err != nil {
					t.Fatal(err)
				}
				appendTo(t, l, 22)
				_ = l.Close()
				l, got, err = tryOpen(fsys, dir, testKey)
				if err != nil {
					t.Fatal(err)
				}
				check(t, got, 22)
				_ = l.Close()
				if err := WriteFile(fsys, path, before); err != nil {
					t.Fatal(err)
				}
				if _, got, _ := heal(t, fsys, dir); got.At+uint64(len(got.Records)) > 22 {
					t.Error("an old file was taken up")
				}
			})
		}
	}
}

// TestHealAll damages everything: nothing is left, and no other file is touched.
func TestHealAll(t *testing.T) {
	dir := t.TempDir()
	healedStore(t, OS, dir)
	foreign := filepath.Join(dir, "notes.txt")
	if err := WriteFile(OS, foreign, []byte("mine")); err != nil {
		t.Fatal(err)
	}
	names, _ := OS.ReadDir(dir)
	for _, name := range names {
		if kindOf(name) != fileForeign {
			change(t, OS, filepath.Join(dir, name), func(b []byte) []byte { b[headerSize-1] ^= 1; return b })
		}
	}
	_, c, done := heal(t, OS, dir)
	check(t, c, 0)
	if b, err := ReadFile(OS, foreign, 10); err != nil || string(b) != "mine" {
		t.Errorf("a foreign file: %q, %v", b, err)
	}
	aside, _ := OS.ReadDir(filepath.Join(dir, asideDir))
	var forgotten int
	for _, h := range done {
		forgotten += len(h.Forgotten)
	}
	if len(aside) != maxAside || forgotten != 1 {
		t.Errorf("%d files aside, %d forgotten; want %d and 1 of 5", len(aside), forgotten, maxAside)
	}
}

// TestNoSnapshot heals a store that lost its only snapshot.
func TestNoSnapshot(t *testing.T) {
	m := &MemFS{}
	l, _ := open(t, m, testDir)
	if err := l.Snapshot(writeSnapshot(0)); err != nil {
		t.Fatal(err)
	}
	appendTo(t, l, 3)
	_ = l.Close()
	m.SetContent(filepath.Join(testDir, snapshotName(0)), nil)
	l, c := open(t, m, testDir)
	check(t, c, 3) // a log alone is no damage by itself
	_ = l.Close()
	if _, err := Heal(testDir, testKey, NoSnapshot(), Options{FS: m}); err != nil {
		t.Fatal(err)
	}
	_, c = open(t, m, testDir)
	check(t, c, 0)
}

// TestHealForeign puts files of another key into a store: they are damage, but
// a store that is all of another key is not.
func TestHealForeign(t *testing.T) {
	m := &MemFS{}
	healedStore(t, m, testDir)
	other := &MemFS{}
	l, err := Open(testDir, [32]byte{9}, Options{FS: other})
	if err == nil {
		err = l.Replay(nil, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(testDir, segmentName(0))
	m.SetContent(filepath.Join(testDir, segmentName(8)), other.Content(path))
	_ = l.Close()
	_, c, done := heal(t, m, testDir)
	check(t, c, 8)
	if !strings.Contains(done[0].Damage.What, "another key") {
		t.Errorf("named %v", done[0].Damage)
	}
	if _, _, err := tryOpen(other, testDir, testKey); !errors.Is(err, ErrKey) {
		t.Errorf("%v, want ErrKey", err)
	}
	// One of its files damaged too: still nobody's business.
	other.SetContent(filepath.Join(testDir, snapshotName(7)), []byte("garbage"))
	if _, _, err := tryOpen(other, testDir, testKey); !errors.Is(err, ErrKey) {
		t.Errorf("%v, want ErrKey", err)
	}
}

// TestHealFaults cuts the power, and has operations fail, at every point of
// healing: it is done at last with the same result.
func TestHealFaults(t *testing.T) {
	base := &MemFS{}
	healedStore(t, base, testDir)
	for _, damage := range []struct {
		file string
		last uint64
	}{{segmentName(8), 8}, {snapshotName(8), 12}} {
		for _, fault := range []Fault{FailsBefore, FailsAfter, FailsHalf, SyncLoses, PowerCut} {
			for point := 0; ; point++ {
				m := base.Clone()
				change(t, m, filepath.Join(testDir, damage.file), func(b []byte) []byte { b[headerSize+30] ^= 1; return b })
				ops, hit := 0, false
				m.Before = func(string, string) Fault {
					ops++
					if ops != point+1 {
						return Works
					}
					hit = true
					return fault
				}
				_, _, err := tryOpen(m, testDir, testKey)
				var d *DamageError
				if errors.As(err, &d) {
					_, err = Heal(testDir, testKey, d, Options{FS: m})
				}
				if hit != (err != nil) && fault != FailsAfter {
					t.Fatalf("fault %d at %d: %v", fault, point, err)
				}
				m.Before = nil
				if fault == PowerCut {
					m = m.Crash(rand.New(rand.NewPCG(uint64(point), 2)))
				}
				_, c, _ := heal(t, m, testDir)
				if got := c.At + uint64(len(c.Records)); fault == PowerCut && got < damage.last {
					check(t, c, got) // a rename that was half done may cost more, but nothing wrong comes of it
				} else {
					check(t, c, damage.last)
				}
				if !hit {
					break
				}
			}
		}
	}
}

// TestRemove removes a store, with each of its operations failing or losing power:
// what is left opens, if need be healed, and can be removed again. Then another
// store begins.
func TestRemove(t *testing.T) {
	base := &MemFS{}
	healedStore(t, base, testDir)
	for _, fault := range []Fault{FailsBefore, FailsAfter, FailsHalf, SyncLoses, PowerCut} {
		for point := 0; ; point++ {
			m := base.Clone()
			ops, hit := 0, false
			m.Before = func(string, string) Fault {
				ops++
				if ops != point+1 {
					return Works
				}
				hit = true
				return fault
			}
			err := Remove(testDir, Options{FS: m})
			if hit != (err != nil) {
				t.Fatalf("fault %d at %d: %v", fault, point, err)
			}
			m.Before = nil
			if fault == PowerCut {
				m = m.Crash(rand.New(rand.NewPCG(uint64(point), 3)))
			}
			if hit {
				l, c, _ := heal(t, m, testDir)
				check(t, c, c.At+uint64(len(c.Records)))
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				if err := Remove(testDir, Options{FS: m}); err != nil {
					t.Fatal(err)
				}
			}
			l, c := open(t, m, testDir)
			if c.Snapshot != "" || len(c.Records) > 0 || l.Position() != 0 {
				t.Fatalf("fault %d at %d: there is still %+v", fault, point, c)
			}
			appendTo(t, l, 3)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if _, c := open(t, m, testDir); len(c.Records) != 3 {
				t.Fatalf("the next store has %d records", len(c.Records))
			}
			if !hit {
				break
			}
		}
	}
	l, _ := open(t, base, testDir)
	if err := Remove(testDir, Options{FS: base}); !errors.Is(err, ErrLocked) {
		t.Errorf("%v of a store that is open", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Remove(t.TempDir()+"/none", Options{}); err != nil {
		t.Error(err)
	}
}

func TestWriteFile(t *testing.T) {
	for _, fault := range []Fault{FailsBefore, FailsAfter, FailsHalf, SyncLoses, PowerCut} {
		for point := 0; ; point++ {
			m := &MemFS{}
			if err := WriteFile(m, "a/b", []byte("old")); err != nil {
				t.Fatal(err)
			}
			ops, hit := 0, false
			m.Before = func(string, string) Fault {
				ops++
				if ops == point+1 {
					hit = true
					return fault
				}
				return Works
			}
			err := WriteFile(m, "a/b", []byte("new"))
			m.Before = nil
			for seed := range uint64(8) {
				c := m.Clone()
				if err == nil || seed > 0 {
					c = m.Crash(rand.New(rand.NewPCG(seed, uint64(point))))
				}
				if e := RemoveTemporary(c, "a"); e != nil {
					t.Fatal(e)
				}
				b, e := ReadFile(c, "a/b", 10)
				if e != nil || string(b) != "new" && (err == nil || string(b) != "old") {
					t.Fatalf("fault %d at %d: %q, %v after %v", fault, point, b, e, err)
				}
				if names, _ := c.ReadDir("a"); len(names) != 1 {
					t.Fatalf("fault %d at %d: %q is left", fault, point, names)
				}
			}
			if !hit {
				break
			}
		}
	}
	if _, err := ReadFile(OS, filepath.Join(t.TempDir(), "none"), 1); err == nil {
		t.Error("a missing file was read")
	}
	if err := RemoveTemporary(OS, filepath.Join(t.TempDir(), "none")); err != nil {
		t.Error(err)
	}
}
