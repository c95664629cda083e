package runtimecode

import (
	"bytes"
	"errors"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// seeds are modules that come far.
func seeds(t testing.TB) [][]byte {
	return [][]byte{
		generated(t, 14, 15),
		tree(5),
		answering(map[string][]byte{coreVersion: versionBytes(), metadataCall: opaque(meta(14))}),
		answering(map[string][]byte{coreVersion: versionBytes(), metadataCall: opaque(meta(15)), metadataVersions: {4, 14, 0, 0, 0}, metadataAtVersion: some(meta(14))}),
		assembly{table: []uint32{1, 2}, data: []byte("data"), functions: []function{{code: ops(opLoop, emptyType, opEnd)}, {code: ops(0x01)}},
			imports: []function{{name: "ext_allocator_malloc_version_1", typ: mallocOf}, {name: "ext_hashing_twox_64_version_1", typ: pureOf}}}.
			with(i32Const(9), callTo(0), ops(0x1a), dataRef(4), callTo(1), ops(0x1a), callIndirect(), dataRef(4)).bytes(),
	}
}

// FuzzExecute has anything as a module: it ends with an answer or an error of
// the kinds declared, twice the same, and what was rewritten is what rewrite
// promises.
func FuzzExecute(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	limits := Limits{CodeSize: 1 << 20, MemoryPages: 32, Instructions: 1 << 14}
	f.Fuzz(func(t *testing.T, code []byte) {
		rt, err := Execute(t.Context(), code, limits)
		if (rt == nil) == (err == nil) {
			t.Fatalf("%+v, %v", rt, err)
		}
		if err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrLimit) && !errors.Is(err, ErrTrap) {
			t.Errorf("error of no kind: %v", err)
		}
		if _, again := Execute(t.Context(), code, limits); (again == nil) != (err == nil) || err != nil && again.Error() != err.Error() {
			t.Errorf("once %v, then %v", err, again)
		}
		m, err := parse(code)
		if err != nil {
			return
		}
		out, err := m.rewrite([]string{coreVersion, metadataCall}, 32, 1<<14)
		if err != nil {
			return
		}
		checkRewritten(t, m, out, 32)
	})
}

// FuzzScan has anything as a function's code.
func FuzzScan(f *testing.F) {
	f.Add([]byte{0, opUnreachable, opEnd})
	f.Add([]byte{1, 2, i64, opLocalGet, 3, 0x1a, opEnd})
	f.Add(append([]byte{0}, append(callIndirect(), opBlock, i32, opBr, 0, opElse, opEnd, opEnd)...))
	f.Add([]byte{0, opLoop, emptyType, opLocalGet, 0, opBrTable, 2, 0, 1, 0, opEnd, opEnd})
	m, err := parse(assembly{}.with().bytes())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		b, err := m.scan(0, code)
		if (b == nil) == (err == nil) {
			t.Fatalf("%+v, %v", b, err)
		}
		if b == nil {
			return
		}
		var paid int64
		last := 0
		for _, c := range b.charges {
			if c.offset < last || c.offset > len(code) || c.cost < 0 {
				t.Errorf("charge %+v after offset %d", c, last)
			}
			last = c.offset
			paid += c.cost
		}
		if paid < 1 || paid > int64(b.size) || b.size > len(code) || b.frame > maxFrame {
			t.Errorf("%d paid for %d instructions in %d bytes, %d slots", paid, b.size, len(code), b.frame)
		}
		// What is written instead can be read again.
		changed := *m
		changed.bodies = [][]byte{code}
		section := &reader{b: changed.codeSection([]*body{b})}
		if section.u32() != 1 {
			t.Fatal("bodies")
		}
		if again, err := m.scan(0, section.bytes()); err != nil && b.frame+2 <= maxFrame && !errors.Is(err, ErrLimit) || err == nil && len(again.charges) != len(b.charges) {
			t.Errorf("rewritten: %v", err)
		}
	})
}

// FuzzDecompress has anything as a blob.
func FuzzDecompress(f *testing.F) {
	const limit = 1 << 16
	f.Add(generated(f, 14))
	f.Add(compressed(f, generated(f, 14)))
	f.Add(compressed(f, make([]byte, limit)))
	f.Add(compressed(f, make([]byte, limit+1)))
	f.Add(compressedMagic)
	f.Fuzz(func(t *testing.T, code []byte) {
		out, err := decompress(code, limit)
		if len(out) > limit || err != nil && out != nil {
			t.Fatalf("%d bytes, %v", len(out), err)
		}
		if err != nil && !errors.Is(err, ErrLimit) && !errors.Is(err, ErrMalformed) {
			t.Errorf("error of no kind: %v", err)
		}
		if !bytes.HasPrefix(code, compressedMagic) && err == nil && !bytes.Equal(out, code) {
			t.Error("a plain module was changed")
		}
	})
}

func TestDecompress(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<12) // 64 KiB
	frames := append(compressed(t, big[:100]), compressed(t, big)[len(compressedMagic):]...)
	flipped := compressed(t, big)
	flipped[len(flipped)-1] ^= 1 // of the checksum
	claims := append(bytes.Clone(compressedMagic), 0x28, 0xb5, 0x2f, 0xfd, 0xe0 /* 8 bytes of size, one segment */, 0, 0, 0, 0, 0, 0, 0, 0x40)
	var window bytes.Buffer
	e, err := zstd.NewWriter(&window, zstd.WithWindowSize(1<<27), zstd.WithSingleSegment(false))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Write(big); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		in   []byte
		want []byte
		err  error
	}{
		"plain":               {in: big, want: big},
		"plain, too long":     {in: append(bytes.Clone(big), 0), err: ErrLimit},
		"packed":              {in: compressed(t, big), want: big},
		"packed, too long":    {in: compressed(t, append(bytes.Clone(big), 0)), err: ErrLimit},
		"two frames":          {in: frames, err: ErrLimit},
		"window of 128 MiB":   {in: append(bytes.Clone(compressedMagic), window.Bytes()...), want: big},
		"a size of exabytes":  {in: claims, err: ErrLimit},
		"nothing packed":      {in: compressedMagic},
		"cut":                 {in: compressed(t, big)[:40], err: ErrMalformed},
		"checksum":            {in: flipped, err: ErrMalformed},
		"bytes after":         {in: append(compressed(t, big), 1, 2, 3, 4), err: ErrMalformed},
		"not zstd":            {in: append(bytes.Clone(compressedMagic), wasmMagic...), err: ErrMalformed},
		"twice packed is one": {in: compressed(t, compressed(t, big)), want: compressed(t, big)},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := decompress(c.in, 1<<16)
			if !errors.Is(err, c.err) || !bytes.Equal(out, c.want) {
				t.Errorf("%d bytes, %v; want %d bytes, %v", len(out), err, len(c.want), c.err)
			}
		})
	}
}
