package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"testing"
)

var testKey = [32]byte{1, 2, 3}

const testDir = "state"

// content is what a replay found: the snapshot's text and the records.
type content struct {
	Snapshot string
	At       uint64
	Records  []string
}

func open(t testing.TB, fsys FS, dir string) (*Log, content) {
	t.Helper()
	l, c, err := tryOpen(fsys, dir, testKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, c
}

func tryOpen(fsys FS, dir string, key [32]byte) (*Log, content, error) {
	var c content
	l, err := Open(dir, key, Options{FS: fsys})
	if err != nil {
		return nil, c, err
	}
	next := uint64(1)
	err = l.Replay(func(position uint64, r io.Reader) error {
		b, err := io.ReadAll(r)
		c.Snapshot, c.At, next = string(b), position, position+1
		return err
	}, func(position uint64, record []byte) error {
		if position != next {
			return fmt.Errorf("position %d, want %d", position, next)
		}
		next++
		c.Records = append(c.Records, string(record))
		return nil
	})
	if err != nil {
		return nil, c, errors.Join(err, l.Close())
	}
	return l, c, nil
}

func record(i uint64) []byte {
	// Sizes differ and cross sectors, so that frames are torn in many ways.
	b := bytes.Repeat([]byte{byte(i)}, int(i*i*37%1500)+8)
	binary.LittleEndian.PutUint64(b, i)
	return b
}

// check compares a replay with records 1 to n of record().
func check(t testing.TB, c content, n uint64) {
	t.Helper()
	if c.Snapshot != "" && c.Snapshot != snapshotText(c.At) {
		t.Fatalf("snapshot at %d holds %q", c.At, c.Snapshot[:min(len(c.Snapshot), 40)])
	}
	if got := c.At + uint64(len(c.Records)); got != n {
		t.Fatalf("store ends at record %d, want %d", got, n)
	}
	for i, r := range c.Records {
		if want := record(c.At + 1 + uint64(i)); r != string(want) {
			t.Fatalf("record %d differs", c.At+1+uint64(i))
		}
	}
}

func snapshotText(n uint64) string {
	return fmt.Sprintf("state at %d", n) + string(bytes.Repeat([]byte{'.'}, int(n%3)*150_000))
}

func writeSnapshot(n uint64) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, snapshotText(n))
		return err
	}
}

func appendTo(t testing.TB, l *Log, n uint64) {
	t.Helper()
	for l.Position() < n {
		if err := l.Append(record(l.Position() + 1)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAppendAndReplay(t *testing.T) {
	for name, fsys := range map[string]FS{"disk": OS, "memory": &MemFS{}} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "a", "store")
			l, c := open(t, fsys, dir)
			check(t, c, 0)
			appendTo(t, l, 5)
			if err := l.Append(record(6), record(7), record(8)); err != nil {
				t.Fatal(err)
			}
			if err := l.Append(); err != nil || l.Position() != 8 {
				t.Fatalf("empty append: position %d, %v", l.Position(), err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l, c = open(t, fsys, dir)
			check(t, c, 8)
			if err := l.Snapshot(writeSnapshot(8)); err != nil {
				t.Fatal(err)
			}
			if l.Since() != 0 {
				t.Errorf("%d bytes of log after a snapshot", l.Since())
			}
			appendTo(t, l, 12)
			if l.Since() == 0 {
				t.Error("no bytes of log after four records")
			}
			_ = l.Close()
			l, c = open(t, fsys, dir)
			check(t, c, 12)
			if c.At != 8 {
				t.Errorf("snapshot at %d, want 8", c.At)
			}
			// A second snapshot at once, and one at a position that has one.
			// The last snapshot stays with the previous one, and the records
			// since that.
			for _, n := range []uint64{12, 12, 14} {
				appendTo(t, l, n)
				if err := l.Snapshot(writeSnapshot(n)); err != nil {
					t.Fatal(err)
				}
			}
			want := []string{segmentName(12), segmentName(14), snapshotName(12), snapshotName(14)}
			files := func() []string {
				names, _ := fsys.ReadDir(dir)
				return slices.DeleteFunc(names, func(name string) bool { return name == lockName }) // not in memory
			}
			if names := files(); !slices.Equal(names, want) {
				t.Errorf("files %q, want %q", names, want)
			}
			_ = l.Close()
			_, c = open(t, fsys, dir)
			check(t, c, 14)
			if names := files(); !slices.Equal(names, want) {
				t.Errorf("files after opening %q, want %q", names, want)
			}
		})
	}
}

func TestAppendsWhileSnapshotIsWritten(t *testing.T) {
	m := &MemFS{}
	l, _ := open(t, m, testDir)
	appendTo(t, l, 3)
	p, err := l.BeginSnapshot()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.BeginSnapshot(); !errors.Is(err, ErrPending) {
		t.Errorf("two snapshots at a time: %v", err)
	}
	appendTo(t, l, 6)
	err = p.Write(func(w io.Writer) error {
		appendTo(t, l, 9)
		return writeSnapshot(3)(w)
	})
	if err != nil {
		t.Fatal(err)
	}
	appendTo(t, l, 10)
	_ = l.Close()
	l, c := open(t, m, testDir)
	check(t, c, 10)
	if c.At != 3 {
		t.Errorf("snapshot at %d, want 3", c.At)
	}
	// One that is given up, and one whose writer fails, change nothing.
	p, err = l.BeginSnapshot()
	if err != nil {
		t.Fatal(err)
	}
	p.Cancel()
	if err := p.Write(writeSnapshot(10)); err == nil {
		t.Error("a cancelled snapshot was written")
	}
	appendTo(t, l, 11)
	boom := errors.New("boom")
	if err := l.Snapshot(func(io.Writer) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("got %v, want the writer's error", err)
	}
	appendTo(t, l, 12)
	_ = l.Close()
	_, c = open(t, m, testDir)
	check(t, c, 12)
}

func TestLock(t *testing.T) {
	for name, fsys := range map[string]FS{"disk": OS, "memory": &MemFS{}} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			l, _ := open(t, fsys, dir)
			if _, err := Open(dir, testKey, Options{FS: fsys}); !errors.Is(err, ErrLocked) {
				t.Errorf("second open: %v, want ErrLocked", err)
			}
			if _, err := Heal(dir, testKey, &DamageError{File: segmentName(0)}, Options{FS: fsys}); !errors.Is(err, ErrLocked) {
				t.Errorf("heal of an open store: %v, want ErrLocked", err)
			}
			_ = l.Close()
			l, _ = open(t, fsys, dir)
			_ = l.Close()
		})
	}
}

func TestMisuse(t *testing.T) {
	m := &MemFS{}
	l, err := Open(testDir, testKey, Options{FS: m})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Append([]byte{1}); err == nil {
		t.Error("append before replay")
	}
	if _, err := l.BeginSnapshot(); err == nil {
		t.Error("snapshot before replay")
	}
	if err := l.Replay(nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := l.Replay(nil, nil); err == nil {
		t.Error("replayed twice")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Append([]byte{1}); !errors.Is(err, ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
}

func TestEmptyRecords(t *testing.T) {
	m := &MemFS{}
	l, _ := open(t, m, testDir)
	if err := l.Append(nil, []byte{}); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(nil); err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	_, c := open(t, m, testDir)
	if len(c.Records) != 3 {
		t.Errorf("%d records, want 3", len(c.Records))
	}
}

func TestWrongKeyAndNewerFormat(t *testing.T) {
	m := &MemFS{}
	l, _ := open(t, m, testDir)
	appendTo(t, l, 3)
	_ = l.Close()
	if _, _, err := tryOpen(m, testDir, [32]byte{9}); !errors.Is(err, ErrKey) {
		t.Errorf("wrong key: %v, want ErrKey", err)
	}
	name := filepath.Join(testDir, segmentName(0))
	b := m.Content(name)
	b[8]++
	m.SetContent(name, b)
	var d *DamageError
	if _, _, err := tryOpen(m, testDir, testKey); !errors.As(err, &d) {
		t.Errorf("version flipped: %v, want a DamageError", err)
	}
	k := newKeys(testKey)
	copy(b[headerSize-32:], mac(k.header[:], 32, b[:headerSize-32]))
	m.SetContent(name, b)
	if _, _, err := tryOpen(m, testDir, testKey); !errors.Is(err, ErrNewer) {
		t.Errorf("newer format: %v, want ErrNewer", err)
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{200, 60_000} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			l, _ := open(b, nil, b.TempDir())
			r := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if err := l.Append(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
