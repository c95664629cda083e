package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

const dir = "blocks"

// testChain is a chain of blocks over a state of many keys, some of which each
// block changes.
type testChain struct {
	id      Identity
	entries []*Entry // the first is block id.StartNumber
	code    []byte
}

func key(i int) []byte {
	h := hashing.Blake2b256(binary.LittleEndian.AppendUint32(nil, uint32(i)))
	return h[:]
}

// newTestChain makes a chain; each block has busy extrinsics of 600 random bytes
// besides its inherent. The code is needed after the third block.
func newTestChain(blocks, busy int) *testChain {
	const state, needed = 20000, 12
	r := rand.New(rand.NewChaCha8([32]byte{byte(busy)}))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	c := &testChain{code: random(100_000)}
	t := trie.Build(func(yield func(k, v []byte) bool) {
		for i := range state {
			if !yield(key(i), random(16+i%40)) {
				return
			}
		}
	}).Set([]byte(":code"), c.code)
	keys := [][]byte{[]byte("events"), []byte("now")}
	for i := range needed {
		keys = append(keys, key(i))
	}
	h := header.Header{Number: 7}
	for n := range blocks {
		var e Entry
		if n == 4 {
			e.Before = []Read{{[][]byte{[]byte(":code")}, t.Prove(trie.V1, []byte(":code"))}}
		}
		if n > 0 {
			e.Extrinsics = [][]byte{append([]byte{40, 4, 2, 0}, random(7)...)}
			for range busy {
				e.Extrinsics = append(e.Extrinsics, random(600))
			}
		}
		t = t.Set([]byte("now"), random(8)).Set([]byte("events"), append(bytes.Repeat([]byte{1, 2, 3, 4}, 20), random(80*busy)...))
		for range 20 + busy {
			t = t.Set(key(r.IntN(state)), random(30))
		}
		h = header.Header{ParentHash: h.Hash(), Number: 7 + header.Number(n), StateRoot: t.Root(trie.V1),
			ExtrinsicsRoot: trie.OrderedRoot(trie.V0, e.Extrinsics),
			Digest:         []header.DigestItem{{Kind: header.DigestPreRuntime, Engine: [4]byte{'a', 'u', 'r', 'a'}, Data: random(8)}}}
		e.Header = h.AppendSCALE(nil)
		e.Reads = []Read{{keys, t.Prove(trie.V1, keys...)}}
		if n == 0 {
			c.id = Identity{Genesis: hashing.Hash{1}, Shard: [32]byte{2}, StartHash: h.Hash(), StartNumber: h.Number}
		} else if n%3 == 0 {
			e.Evidence = Evidence{Justification, random(300)}
		}
		c.entries = append(c.entries, &e)
	}
	return c
}

func (c *testChain) open(t testing.TB, m store.FS, opts Options) *Archive {
	t.Helper()
	opts.FS = m
	a, err := Open(dir, c.id, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

func (c *testChain) fill(t testing.TB, a *Archive) {
	t.Helper()
	for _, e := range c.entries {
		if err := a.Append(e); err != nil {
			t.Fatal(err)
		}
	}
}

// sorted makes entries comparable: nodes of proofs of the state before come
// back in another order.
func sorted(e *Entry) *Entry {
	out := *e
	out.Before = nil
	for _, r := range e.Before {
		set := map[string]bool{}
		for _, n := range r.Proof {
			set[string(n)] = true
		}
		if len(set) != len(r.Proof) {
			panic("a node twice")
		}
		total := hashing.Hash{}
		for n := range set {
			for i, b := range hashing.Blake2b256([]byte(n)) {
				total[i] ^= b
			}
		}
		out.Before = append(out.Before, Read{r.Keys, [][]byte{total[:]}})
	}
	return &out
}

func same(a, b *Entry) bool { return reflect.DeepEqual(sorted(a), sorted(b)) }

// check compares what the archive has with the chain; missing are expected to
// be damaged or not there.
func (c *testChain) check(t testing.TB, a *Archive, missing ...header.Number) {
	t.Helper()
	lost := map[header.Number]bool{}
	for _, n := range missing {
		lost[n] = true
	}
	for i, want := range c.entries {
		n := c.id.StartNumber + header.Number(i)
		got, err := a.Get(n)
		if lost[n] {
			if err == nil {
				t.Errorf("block %d is there", n)
			}
			continue
		}
		if err != nil {
			t.Errorf("block %d: %v", n, err)
		} else if !same(got, want) {
			t.Errorf("block %d came back changed", n)
		}
	}
}

func noDamage(t testing.TB) func(error) {
	return func(err error) { t.Errorf("damage: %v", err) }
}

func TestArchive(t *testing.T) {
	c := newTestChain(80, 1)
	for _, opts := range []Options{{}, {SegmentBytes: 40_000}} {
		m := &store.MemFS{}
		a := c.open(t, m, opts)
		if _, ok := a.Last(); ok {
			t.Error("an empty archive has a last block")
		}
		c.fill(t, a)
		c.check(t, a)
		if _, err := a.Get(c.id.StartNumber + 80); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		if _, err := a.Get(0); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		if _, err := Open(dir, c.id, Options{FS: m}); !errors.Is(err, store.ErrLocked) {
			t.Errorf("opened twice: %v", err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if a.Append(c.entries[0]) == nil || a.Has(8) {
			t.Error("a closed archive works")
		}
		other := c.id
		other.Shard[0]++
		if _, err := Open(dir, other, Options{FS: m}); !errors.Is(err, ErrOther) {
			t.Errorf("archive of another shard: %v", err)
		}
		// Again, with index and without.
		for _, keep := range []bool{true, false} {
			if !keep {
				m.SetContent(filepath.Join(dir, indexName), nil)
			}
			a = c.open(t, m, opts)
			c.check(t, a)
			if last, _ := a.Last(); last != c.id.StartNumber+79 || a.Blocks() != 80 || len(a.Damage()) > 0 || a.Dropped() != 0 {
				t.Errorf("last %d, %d blocks, damage %v, dropped %d", last, a.Blocks(), a.Damage(), a.Dropped())
			}
			s, err := a.Verify(t.Context(), noDamage(t))
			if err != nil || s.Blocks != 80 || len(s.Gaps) > 0 || s.From != c.id.StartNumber || s.To != c.id.StartNumber+79 {
				t.Errorf("%+v, %v", s, err)
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestOrder: blocks may come in any order and again, and may be missing.
func TestOrder(t *testing.T) {
	c := newTestChain(40, 0)
	m := &store.MemFS{}
	a := c.open(t, m, Options{SegmentBytes: 30_000})
	order := rand.New(rand.NewPCG(1, 2)).Perm(40)
	var missing []header.Number
	for _, i := range order {
		if i%7 == 3 {
			missing = append(missing, c.id.StartNumber+header.Number(i))
			continue
		}
		for range 1 + i%2 {
			if err := a.Append(c.entries[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.check(t, a, missing...)
	gaps, err := a.Missing(100)
	if err != nil || len(gaps) != len(missing) || gaps[0] != (Range{c.id.StartNumber + 3, c.id.StartNumber + 3}) {
		t.Errorf("%v, %v; missing are %v", gaps, err, missing)
	}
	if int(a.Blocks()) != 40-len(missing) {
		t.Errorf("%d blocks", a.Blocks())
	}
	early := header.Header{Number: c.id.StartNumber - 1}
	if a.Append(&Entry{Header: early.AppendSCALE(nil)}) == nil {
		t.Error("took a block before the start")
	}
	if a.Append(&Entry{Header: []byte{1}}) == nil {
		t.Error("took half a header")
	}
}

// TestPowerCut cuts the power at every operation that changes something, and
// checks that what was acknowledged is there and that the archive goes on.
func TestPowerCut(t *testing.T) {
	c := newTestChain(9, 0)
	for point := 0; ; point++ {
		done := false
		for seed := range uint64(4) {
			m, ops := &store.MemFS{}, 0
			m.Before = func(string, string) store.Fault {
				if ops++; ops > point {
					return store.PowerCut
				}
				return store.Works
			}
			acked := 0
			if a, err := Open(dir, c.id, Options{FS: m, SegmentBytes: 8_000}); err == nil {
				for _, e := range c.entries {
					if a.Append(e) != nil {
						break
					}
					acked++
				}
				a.Close()
			}
			done = ops <= point
			after := m.Crash(rand.New(rand.NewPCG(seed, uint64(point))))
			a, err := Open(dir, c.id, Options{FS: after, SegmentBytes: 8_000})
			if err != nil {
				t.Fatalf("point %d seed %d: %v", point, seed, err)
			}
			for i := range acked {
				if got, err := a.Get(c.id.StartNumber + header.Number(i)); err != nil || !same(got, c.entries[i]) {
					t.Fatalf("point %d seed %d: block %d of %d: %v", point, seed, i, acked, err)
				}
			}
			for i := acked; i < len(c.entries); i++ { // what was half done is there or not, and never wrong
				got, err := a.Get(c.id.StartNumber + header.Number(i))
				if err == nil && !same(got, c.entries[i]) {
					t.Fatalf("point %d seed %d: block %d is wrong", point, seed, i)
				}
			}
			c.fill(t, a)
			c.check(t, a)
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			a = c.open(t, after, Options{SegmentBytes: 8_000})
			c.check(t, a)
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if done {
			break
		}
	}
}

// TestFaults has single operations fail, as on a full disk: what was there stays,
// and the archive takes the block when there is room again.
func TestFaults(t *testing.T) {
	c := newTestChain(8, 0)
	for _, fault := range []store.Fault{store.FailsBefore, store.FailsAfter, store.FailsHalf, store.SyncLoses} {
		for point := 0; ; point++ {
			m, ops, armed := &store.MemFS{}, 0, false
			a := c.open(t, m, Options{SegmentBytes: 8_000})
			m.Before = func(string, string) store.Fault {
				if ops++; armed && ops == point+1 {
					return fault
				}
				return store.Works
			}
			armed, ops = true, 0
			for i, e := range c.entries {
				err := a.Append(e)
				if err == nil {
					continue
				}
				if !errors.Is(err, ErrFull) || !errors.Is(err, store.ErrFault) {
					t.Fatalf("fault %d at %d: %v", fault, point, err)
				}
				for j := range i {
					if got, err := a.Get(c.id.StartNumber + header.Number(j)); err != nil || !same(got, c.entries[j]) {
						t.Fatalf("fault %d at %d: block %d after failure at %d: %v", fault, point, j, i, err)
					}
				}
				if err := a.Append(e); err != nil {
					t.Fatalf("fault %d at %d: again: %v", fault, point, err)
				}
			}
			armed = false
			used := ops
			c.check(t, a)
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			m.SetContent(filepath.Join(dir, indexName), nil)
			a = c.open(t, m, Options{SegmentBytes: 8_000})
			c.check(t, a)
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			if used <= point {
				break
			}
		}
	}
}

// TestLostPages has a sync of several blocks fail for good: what the system
// forgot is written again with the next sync, although it says that it was.
func TestLostPages(t *testing.T) {
	c := newTestChain(8, 0)
	m := &store.MemFS{}
	a := c.open(t, m, Options{})
	for i, e := range c.entries {
		if err := a.Write(e); err != nil {
			t.Fatal(err)
		}
		if i == 5 {
			m.Before = func(op, _ string) store.Fault {
				if op == "sync" {
					return store.SyncLoses
				}
				return store.Works
			}
			for range 2 {
				if err := a.Sync(); !errors.Is(err, ErrFull) {
					t.Fatalf("got %v, want ErrFull", err)
				}
			}
			m.Before = nil
		}
	}
	if err := a.Sync(); err != nil {
		t.Fatal(err)
	}
	after := m.Crash(rand.New(rand.NewPCG(1, 1)))
	after.SetContent(filepath.Join(dir, indexName), nil) // it may lie, and is made anew
	half := filepath.Join(dir, codePrefix+"00"+newSuffix)
	after.SetContent(half, []byte{1})
	c.check(t, c.open(t, after, Options{}))
	if after.Content(half) != nil {
		t.Error("what a crash left half written stays")
	}
}

// TestDamage flips, cuts and removes: the damage is named, with file, offset
// and block; nothing else is lost, and the block is taken again.
func TestDamage(t *testing.T) {
	c := newTestChain(100, 0)
	good := &store.MemFS{}
	a := c.open(t, good, Options{SegmentBytes: 60_000})
	c.fill(t, a)
	places := map[header.Number]place{}
	if err := a.index.scan(func(n header.Number, p place, _ bool) { places[n] = p }); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	path := func(p place) string { return filepath.Join(dir, segmentName(p.segment)) }
	for _, keepIndex := range []bool{true, false} {
		for n := c.id.StartNumber; n < c.id.StartNumber+100; n += 13 {
			for _, at := range []uint32{0, 5, 9, 20, 31, frameHeaderSize, places[n].length - 1} {
				m := good.Clone()
				p := places[n]
				b := m.Content(path(p))
				b[p.offset+at] ^= 0x10
				m.SetContent(path(p), b)
				if !keepIndex {
					m.SetContent(filepath.Join(dir, indexName), nil)
				}
				a := c.open(t, m, Options{SegmentBytes: 60_000})
				_, err := a.Get(n)
				var damage *DamageError
				switch {
				case errors.As(err, &damage):
					if damage.File != segmentName(p.segment) || damage.Offset != int64(p.offset) || damage.Number != n ||
						!strings.Contains(err.Error(), fmt.Sprintf("%s is damaged at byte %d (block %d)", damage.File, damage.Offset, n)) {
						t.Errorf("block %d at %d: %v", n, at, err)
					}
				case errors.Is(err, ErrNotFound) && (len(a.Damage()) == 1 && a.Damage()[0].Offset == int64(p.offset) || a.Dropped() > 0):
				default:
					t.Errorf("block %d at %d: %v, %v", n, at, err, a.Damage())
				}
				lost := 0
				for i, e := range c.entries {
					if got, err := a.Get(c.id.StartNumber + header.Number(i)); err != nil {
						lost++
					} else if !same(got, e) {
						t.Errorf("block %d came back changed", i)
					}
				}
				if lost > refDistance {
					t.Errorf("block %d: %d blocks lost", n, lost)
				}
				c.fill(t, a)
				c.check(t, a)
				if err := a.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}

	first, last := places[c.id.StartNumber], places[c.id.StartNumber+99]
	if last.segment < 3 {
		t.Fatalf("%d segments", last.segment)
	}
	t.Run("segment gone", func(t *testing.T) {
		m := good.Clone()
		m.SetContent(path(first), nil)
		a := c.open(t, m, Options{})
		if _, err := a.Get(c.id.StartNumber); err == nil || !strings.Contains(err.Error(), "segment-00000001 is damaged at byte") {
			t.Error(err)
		}
		c.fill(t, a)
		c.check(t, a)
	})
	t.Run("segment header", func(t *testing.T) {
		m := good.Clone()
		b := m.Content(path(first))
		b[20]++
		m.SetContent(path(first), b)
		a := c.open(t, m, Options{})
		if len(a.Damage()) != 1 || a.Damage()[0].File != "segment-00000001" {
			t.Error(a.Damage())
		}
		c.check(t, a)
	})
	t.Run("torn tail", func(t *testing.T) {
		m := good.Clone()
		m.SetContent(path(last), append(m.Content(path(last)), 1, 2, 3))
		a := c.open(t, m, Options{})
		if a.Dropped() != 3 {
			t.Errorf("dropped %d", a.Dropped())
		}
		c.check(t, a)
	})
	t.Run("tail cut", func(t *testing.T) {
		m := good.Clone()
		m.SetContent(path(last), m.Content(path(last))[:last.offset+10])
		a := c.open(t, m, Options{})
		c.check(t, a, c.id.StartNumber+99)
		if n, _ := a.Last(); n != c.id.StartNumber+98 || a.Dropped() != 10 {
			t.Errorf("last %d, dropped %d", n, a.Dropped())
		}
	})
	t.Run("index", func(t *testing.T) {
		b := good.Content(filepath.Join(dir, indexName))
		swapped := append([]byte{}, b...)
		copy(swapped[fileHeaderSize:], b[fileHeaderSize+slotSize:fileHeaderSize+2*slotSize])
		for _, b := range [][]byte{swapped, b[:50], {}, b[:len(b)-20], append([]byte{9}, b[1:]...)} {
			m := good.Clone()
			m.SetContent(filepath.Join(dir, indexName), b)
			a := c.open(t, m, Options{})
			if len(b)+20 == len(swapped) { // it still fits, and lacks the last: they are in the last segment
				c.check(t, a)
			} else if a.Blocks() != 100 {
				t.Errorf("%d blocks", a.Blocks())
			}
			c.check(t, a)
			a.Close()
		}
	})
	t.Run("code", func(t *testing.T) {
		m := good.Clone()
		var name string
		for _, e := range c.entries[4].Before[0].Proof {
			if len(e) >= bigNode {
				name = filepath.Join(dir, codeName(hashing.Blake2b256(e)))
			}
		}
		for _, b := range [][]byte{append(m.Content(name)[1:], 7), {}, nil} {
			m.SetContent(name, b)
			a := c.open(t, m, Options{})
			c.check(t, a, c.id.StartNumber+4)
			if _, err := a.Get(c.id.StartNumber + 4); !errors.As(err, new(*DamageError)) {
				t.Error(err)
			}
			c.fill(t, a)
			c.check(t, a)
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func export(t testing.TB, a *Archive) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := a.Export(t.Context(), &out, noDamage(t)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestExportImport(t *testing.T) {
	c := newTestChain(60, 1)
	a := c.open(t, &store.MemFS{}, Options{})
	c.fill(t, a)
	file := export(t, a)
	take := func(b *Archive, file []byte) (int64, error) {
		r, err := NewReader(bytes.NewReader(file))
		if err != nil {
			return 0, err
		}
		return b.Import(t.Context(), r)
	}
	b := c.open(t, &store.MemFS{}, Options{SegmentBytes: 20_000})
	if n, err := take(b, file); err != nil || n != 60 {
		t.Fatalf("%d, %v", n, err)
	}
	c.check(t, b)
	if n, err := take(b, file); err != nil || n != 0 {
		t.Errorf("again: %d, %v", n, err)
	}
	if !bytes.Equal(export(t, b), file) {
		t.Error("the export of the import differs")
	}

	// Cut anywhere it is an error, and what came before it counts.
	for _, cut := range []int{0, 5, fileHeaderSize, fileHeaderSize + 10, len(file) / 2, len(file) - 1} {
		b := c.open(t, &store.MemFS{}, Options{})
		if n, err := take(b, file[:cut]); !errors.Is(err, ErrMalformed) || n == 60 && cut < len(file)-100 {
			t.Errorf("cut at %d: %d, %v", cut, n, err)
		}
	}
	flipped := append([]byte{}, file...)
	flipped[len(file)/2] ^= 1
	if _, err := take(c.open(t, &store.MemFS{}, Options{}), flipped); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}

	// Lies that have right checksums.
	lies := map[string]func(*testChain){
		"body":         func(l *testChain) { l.entries[9].Extrinsics[1][50]++ },
		"dropped body": func(l *testChain) { l.entries[9].Extrinsics = l.entries[9].Extrinsics[:1] },
		"proof":        func(l *testChain) { p := l.entries[9].Reads[0].Proof; p[len(p)/2][3]++ },
		"padded proof": func(l *testChain) { p := &l.entries[9].Reads[0]; p.Proof = append(p.Proof, []byte{1, 2, 3}) },
		"no proof":     func(l *testChain) { l.entries[9].Reads = nil },
		"header":       func(l *testChain) { l.entries[9].Header[40]++ },
		"other fork":   func(l *testChain) { l.entries[9] = newTestChain(10, 1).forked(9) },
		"code": func(l *testChain) {
			b := l.entries[4].Before[0].Proof
			b[len(b)-1] = append([]byte{}, b[len(b)-1][1:]...)
		},
		"start":         func(l *testChain) { l.entries[0].Header[3]++ },
		"start, a body": func(l *testChain) { l.entries[0].Extrinsics = [][]byte{{4, 1}} },
		"gap":           func(l *testChain) { l.entries = append(l.entries[:9], l.entries[10:]...) },
	}
	for name, lie := range lies {
		l := newTestChain(20, 1)
		l.id = c.id
		lie(l)
		from := l.open(t, &store.MemFS{}, Options{})
		l.fill(t, from)
		if s, err := from.Verify(t.Context(), func(error) {}); err != nil || s.Damaged == 0 && len(s.Gaps) == 0 {
			t.Errorf("%s: Verify says %+v, %v", name, s, err)
		}
		b := c.open(t, &store.MemFS{}, Options{})
		if n, err := take(b, export(t, from)); !errors.Is(err, ErrNotLinked) || n > 9 {
			t.Errorf("%s: took %d, %v", name, n, err)
		}
	}
	other := newTestChain(3, 2)
	from := other.open(t, &store.MemFS{}, Options{})
	other.fill(t, from)
	if _, err := take(b, export(t, from)); !errors.Is(err, ErrOther) {
		t.Error(err)
	}
}

// forked returns another block than block i with the same parent.
func (c *testChain) forked(i int) *Entry {
	e := *c.entries[i]
	h, err := e.DecodeHeader()
	if err != nil {
		panic(err)
	}
	h.ParentHash[0]++
	e.Header = h.AppendSCALE(nil)
	return &e
}

// TestExportDamaged: what is damaged is left out and named.
func TestExportDamaged(t *testing.T) {
	c := newTestChain(10, 0)
	m := &store.MemFS{}
	a := c.open(t, m, Options{})
	c.fill(t, a)
	p, _, err := a.index.get(c.id.StartNumber + 5)
	if err != nil {
		t.Fatal(err)
	}
	b := m.Content(filepath.Join(dir, segmentName(1)))
	b[p.offset+frameHeaderSize+3]++
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	m.SetContent(filepath.Join(dir, segmentName(1)), b)
	a = c.open(t, m, Options{})
	// Open reads the last segment, so it knows.
	if len(a.Damage()) != 1 || a.Damage()[0].Offset != int64(p.offset) {
		t.Errorf("%v", a.Damage())
	}
	n, err := a.Export(t.Context(), io.Discard, func(error) {})
	if err != nil || n != 9 && n != 10 {
		t.Errorf("%d, %v", n, err)
	}
}

// TestSize measures what a block takes on disk, for docs/operating.md.
func TestSize(t *testing.T) {
	for _, test := range []struct {
		name        string
		busy        int
		least, most float64
	}{{"empty", 0, 500, 6_000}, {"10 calls of 600 bytes", 10, 6_500, 15_000}} {
		c := newTestChain(300, test.busy)
		m := &store.MemFS{}
		a := c.open(t, m, Options{})
		c.fill(t, a)
		var plain int64
		for _, e := range c.entries {
			raw, _, err := e.encode()
			if err != nil {
				t.Fatal(err)
			}
			plain += int64(len(raw))
		}
		per := float64(a.size) / 300
		t.Logf("%s: %.0f bytes a block, %.0f before differences", test.name, per, float64(plain)/300)
		if per < test.least || per > test.most {
			t.Errorf("%s: %.0f bytes a block", test.name, per)
		}
	}
}

// TestItemsInAll: what an entry holds is bounded in all, not list by list.
func TestItemsInAll(t *testing.T) {
	encoded := func(reads, items int) []byte {
		e := &Entry{Header: make([]byte, 100)}
		for range reads {
			e.Reads = append(e.Reads, Read{Proof: make([][]byte, items)})
		}
		raw, _, _ := e.encode()
		return raw
	}
	none := func(hashing.Hash) ([]byte, error) { return nil, nil }
	if _, err := Decode(encoded(4, maxItems/4), none); err != nil {
		t.Error(err)
	}
	if _, err := Decode(encoded(5, maxItems/4), none); !errors.Is(err, ErrMalformed) {
		t.Error("too many items were read:", err)
	}
}
