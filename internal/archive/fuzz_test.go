package archive

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"testing"

	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// FuzzDecode: an entry that decodes encodes to one that decodes the same.
func FuzzDecode(f *testing.F) {
	for _, e := range newTestChain(5, 1).entries {
		raw, _, err := e.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	none := func(hashing.Hash) ([]byte, error) { return []byte{1}, nil }
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := Decode(raw, none)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Error(err)
			}
			return
		}
		again, _, err := e.encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(again, none)
		if err != nil || !same2(back, e) {
			t.Errorf("came back as %+v, %v", back, err)
		}
		_ = e.Check(hashing.Hash{}, nil, false)
	})
}

func same2(a, b *Entry) bool {
	x, _, err := a.encode()
	y, _, err2 := b.encode()
	return err == nil && err2 == nil && bytes.Equal(x, y)
}

// FuzzDelta: what a delta says of a reference never panics, and what encode
// makes comes back.
func FuzzDelta(f *testing.F) {
	f.Add(bytes.Repeat([]byte("some reference text, "), 10), bytes.Repeat([]byte("some text, reference "), 12))
	f.Add([]byte{}, []byte{1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, ref, text []byte) {
		if out, err := applyDelta(ref, text); err == nil && len(out) > len(text)+maxGrowth*len(ref) {
			t.Errorf("%d bytes out of %d", len(out), len(text))
		}
		delta, ok := newDeltaTable(ref).encode(text)
		if !ok {
			return
		}
		if back, err := applyDelta(ref, delta); err != nil || !bytes.Equal(back, text) {
			t.Errorf("%x came back as %x, %v", text, back, err)
		}
	})
}

// FuzzReader reads streams.
func FuzzReader(f *testing.F) {
	c := newTestChain(6, 0)
	a := c.open(f, &store.MemFS{}, Options{})
	c.fill(f, a)
	f.Add(export(f, a))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewReader(bytes.NewReader(b))
		for err == nil {
			_, err = r.Next()
		}
		if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrNewer) && err != io.EOF {
			t.Error(err)
		}
	})
}

// FuzzSegment opens an archive with any bytes as its segment and its index.
func FuzzSegment(f *testing.F) {
	c := newTestChain(4, 0)
	m := &store.MemFS{}
	a := c.open(f, m, Options{})
	c.fill(f, a)
	f.Add(m.Content(filepath.Join(dir, segmentName(1))), m.Content(filepath.Join(dir, indexName)))
	f.Fuzz(func(t *testing.T, segment, index []byte) {
		m := (&store.MemFS{}).Clone()
		m.SetContent(filepath.Join(dir, segmentName(1)), segment)
		m.SetContent(filepath.Join(dir, indexName), index)
		a, err := Open(dir, c.id, Options{FS: m})
		if err != nil {
			if !errors.Is(err, ErrOther) && !errors.Is(err, ErrNewer) {
				t.Error(err)
			}
			return
		}
		defer a.Close()
		for n := range 6 {
			_, _ = a.Get(c.id.StartNumber + header.Number(n))
		}
		c.fill(t, a)
		c.check(t, a)
	})
}
