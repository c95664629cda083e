package runtimecode

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/system"
)

// compressed returns a blob as chains have it.
func compressed(t testing.TB, b []byte) []byte {
	t.Helper()
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	return e.EncodeAll(b, bytes.Clone(compressedMagic))
}

func TestExecuteCompressed(t *testing.T) {
	plain := generated(t, 14, 15)
	packed := compressed(t, plain)
	a, err := Execute(t.Context(), plain, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := Execute(t.Context(), packed, Limits{CodeSize: len(plain)})
	if err != nil {
		t.Fatal(err)
	}
	if a.CodeHash == b.CodeHash {
		t.Error("the code hash is of the module, not of the value of :code")
	}
	b.CodeHash = a.CodeHash
	if diff := cmp.Diff(a, b); diff != "" {
		t.Error(diff)
	}
}

func meta(v byte) []byte { return []byte{'m', 'e', 't', 'a', v, 1, 2, 3} }

func some(b []byte) []byte { return scale.AppendBytes([]byte{1}, b) }

func opaque(b []byte) []byte { return scale.AppendBytes(nil, b) }

func TestMetadataChoice(t *testing.T) {
	versions := func(v ...uint32) []byte { return scale.MustMarshal(v) }
	for name, c := range map[string]struct {
		answers map[string][]byte
		want    []byte
		err     error
		text    string
	}{
		"14 without being asked":    {answers: map[string][]byte{metadataCall: opaque(meta(14))}, want: meta(14)},
		"14 though others":          {answers: map[string][]byte{metadataCall: opaque(meta(14)), metadataVersions: versions(15)}, want: meta(14)},
		"14 by request":             {answers: map[string][]byte{metadataCall: opaque(meta(15)), metadataVersions: versions(15, 14), metadataAtVersion: some(meta(14))}, want: meta(14)},
		"16 over 15":                {answers: map[string][]byte{metadataCall: opaque(meta(15)), metadataVersions: versions(15, 16, 17), metadataAtVersion: some(meta(16))}, want: meta(16)},
		"15 as it is":               {answers: map[string][]byte{metadataCall: opaque(meta(15)), metadataVersions: versions(15, math.MaxUint32)}, want: meta(15)},
		"15, no other call":         {answers: map[string][]byte{metadataCall: opaque(meta(15))}, want: meta(15)},
		"too old":                   {answers: map[string][]byte{metadataCall: opaque(meta(13))}, err: ErrUnsupported, text: "version 13"},
		"too new":                   {answers: map[string][]byte{metadataCall: opaque(meta(17)), metadataVersions: versions(17, 18)}, err: ErrUnsupported, text: "version 17"},
		"no metadata":               {answers: map[string][]byte{metadataCall: opaque([]byte("mete\x0e"))}, err: ErrMalformed},
		"bytes after metadata":      {answers: map[string][]byte{metadataCall: append(opaque(meta(14)), 0)}, err: ErrMalformed},
		"nothing":                   {answers: map[string][]byte{metadataCall: nil}, err: ErrMalformed},
		"no such call":              {answers: nil, err: ErrMalformed, text: metadataCall},
		"offered and withheld":      {answers: map[string][]byte{metadataCall: opaque(meta(17)), metadataVersions: versions(15), metadataAtVersion: {0}}, err: ErrMalformed},
		"another than offered":      {answers: map[string][]byte{metadataCall: opaque(meta(17)), metadataVersions: versions(15), metadataAtVersion: some(meta(14))}, err: ErrMalformed},
		"offered by a missing call": {answers: map[string][]byte{metadataCall: opaque(meta(17)), metadataVersions: versions(15)}, err: ErrMalformed, text: metadataAtVersion},
		"no list of versions":       {answers: map[string][]byte{metadataCall: opaque(meta(17)), metadataVersions: {4}}, err: ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			answers := map[string][]byte{coreVersion: versionBytes()}
			for k, v := range c.answers {
				answers[k] = v
			}
			rt, err := Execute(t.Context(), answering(answers), Limits{})
			if !errors.Is(err, c.err) || err != nil && !strings.Contains(err.Error(), c.text) {
				t.Fatalf("error %v, want %v with %q", err, c.err, c.text)
			}
			if err == nil && !bytes.Equal(rt.Metadata, c.want) {
				t.Errorf("got %x, want %x", rt.Metadata, c.want)
			}
		})
	}
}

// TestLoops shows that nothing that a runtime does goes on for ever or uses up
// the machine, without a clock: each ends by a limit, after the same number of
// instructions every time.
func TestLoops(t *testing.T) {
	loop := append(append(ops(opLoop, emptyType), opBr, 0), opEnd, opUnreachable)
	malloc := assembly{imports: []function{{name: "ext_allocator_malloc_version_1", typ: mallocOf}}}
	for name, c := range map[string]struct {
		code []byte
		err  error
		text string
	}{
		"loop":           {assembly{}.with(loop).bytes(), ErrLimit, "instructions"},
		"loop in a loop": {assembly{}.with(ops(opLoop, emptyType, opLoop, emptyType, opBr, 1, opEnd, opEnd, opUnreachable)).bytes(), ErrLimit, "instructions"},
		"loop by br_if": {assembly{}.with(ops(opLoop, emptyType), i32Const(1), ops(0x0d, 0, opEnd, opUnreachable)).bytes(),
			ErrLimit, "instructions"},
		"loop by br_table": {assembly{}.with(ops(opLoop, emptyType, opLocalGet, 0, opBrTable, 1, 0, 0, opEnd, opUnreachable)).bytes(),
			ErrLimit, "instructions"},
		// wazero ends what is deeper than 2,000 frames.
		"recursion": {assembly{functions: []function{{code: callTo(1)}}}.with(callTo(1), i64Const(0)).bytes(), ErrTrap, "stack overflow"},
		// 2^40 calls in a tree of depth 40, without any loop.
		"tree of calls": {tree(40), ErrLimit, "instructions"},
		"wide tree of indirect calls": {assembly{table: []uint32{1}, functions: []function{{code: callIndirect(), locals: nil}}}.
			with(callIndirect(), i64Const(0)).bytes(), ErrTrap, "stack overflow"},
		"memory by malloc": {malloc.with(ops(opLoop, emptyType), i32Const(1<<20), callTo(0), ops(0x1a, opBr, 0, opEnd, opUnreachable)).bytes(),
			ErrLimit, "no memory"},
		"one big malloc":  {malloc.with(i32Const(1<<25+1), callTo(0), ops(opUnreachable)).bytes(), ErrLimit, "allocation"},
		"negative malloc": {malloc.with(i32Const(-1), callTo(0), ops(opUnreachable)).bytes(), ErrLimit, "allocation"},
		"memory by memory.grow": {assembly{}.with(ops(opLoop, emptyType), i32Const(1), ops(0x40, 0, 0x1a, opBr, 0, opEnd, opUnreachable)).bytes(),
			ErrLimit, "instructions"},
		"hashing": {assembly{imports: []function{{name: "ext_hashing_blake2_256_version_1", typ: pureOf}}}.
			with(ops(opLoop, emptyType), i64Const(1<<48), callTo(0), ops(0x1a, opBr, 0, opEnd, opUnreachable)).bytes(), ErrLimit, ""},
		"answer outside":        {assembly{}.with(i64Const(1<<48 | 2*pageSize - 1)).bytes(), ErrMalformed, "outside"},
		"memory from the start": {assembly{pages: 20000}.with(i64Const(0)).bytes(), ErrLimit, "pages"},
		"heap outside":          {assembly{heapBase: 2*pageSize + 1}.with(i64Const(0)).bytes(), ErrMalformed, "heap"},
		"heap at the end":       {assembly{heapBase: -1}.with(i64Const(0)).bytes(), ErrMalformed, "heap"},
	} {
		t.Run(name, func(t *testing.T) {
			limits := Limits{MemoryPages: 64, Instructions: 1 << 20}
			_, err := Execute(t.Context(), c.code, limits)
			if !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.text) {
				t.Fatalf("error %v, want %v with %q", err, c.err, c.text)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("a stack trace: %v", err)
			}
			if _, again := Execute(t.Context(), c.code, limits); again == nil || again.Error() != err.Error() {
				t.Errorf("once %v, then %v", err, again)
			}
		})
	}
}

func callIndirect() []byte {
	return append(append(i32Const(0), opCallIndirect), 1, 0)
}

// tree returns a runtime whose function i calls function i+1 twice.
func tree(depth int) []byte {
	var a assembly
	for i := range depth {
		var f function
		if i < depth-1 {
			f.code = append(callTo(uint32(i+2)), callTo(uint32(i+2))...)
		}
		a.functions = append(a.functions, f)
	}
	return a.with(callTo(1), i64Const(0)).bytes()
}

// TestInstructionsPaid compares what is paid with a count by hand.
func TestInstructionsPaid(t *testing.T) {
	const n = 1000 // rounds of a loop
	f := function{name: coreVersion, typ: entryType, locals: []byte{1, 1, i32}}
	for _, c := range [][]byte{
		i32Const(n), ops(0x21, 2), // 2
		ops(opBlock, emptyType, opLoop, emptyType), // 2; the loop pays for what follows
		ops(opLocalGet, 2, 0x45, 0x0d, 1),          // 3
		ops(opLocalGet, 2), i32Const(1), ops(0x6b, 0x21, 2),
		callTo(1),               // 1
		ops(opBr, 0, opEnd),     // 2
		ops(opEnd), i64Const(0), // 2, and the last end
	} {
		f.code = append(f.code, c...)
	}
	x, err := testExecutor(t, assembly{functions: []function{f, {code: ops(0x01, 0x01)}}}.bytes(), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	before := x.fuel
	if _, err := x.call(t.Context(), coreVersion, nil); err != nil {
		t.Fatal(err)
	}
	// Every round pays for the whole of the loop's body and for the function
	// called; the last leaves before it.
	want := int64(2 + 2 + 3 + (n+1)*(3+4+1+2) + n*3)
	if got := before - x.fuel; got != want {
		t.Errorf("paid %d, want %d", got, want)
	}
}

func TestTraps(t *testing.T) {
	log := assembly{
		imports: []function{{name: "ext_logging_log_version_1", typ: funcType{[]byte{i32, i64, i64}, nil}}},
		data:    []byte("panicked at\n\x1b[31m'no'"),
	}
	panics := assembly{imports: []function{{name: "ext_panic_handler_abort_on_panic_version_1", typ: funcType{[]byte{i64}, nil}}}, data: log.data}
	for name, c := range map[string]struct {
		code []byte
		text string
	}{
		"unreachable":       {assembly{}.with(ops(opUnreachable)).bytes(), "unreachable"},
		"division by zero":  {assembly{}.with(i64Const(1), i64Const(0), ops(0x80)).bytes(), "divide by zero"},
		"outside of memory": {assembly{}.with(i32Const(-1), ops(opI32Load, 0, 0, 0x1a), i64Const(0)).bytes(), "out of bounds"},
		"said before":       {log.with(i32Const(1), dataRef(0), dataRef(len(log.data)), callTo(0), ops(opUnreachable)).bytes(), `(it said: "panicked at  [31m'no'")`},
		"panic handler":     {panics.with(dataRef(len(log.data)), callTo(0), i64Const(0)).bytes(), "panicked at"},
		"pointer outside":   {panics.with(i64Const(1<<40|math.MaxUint32), callTo(0), i64Const(0)).bytes(), "256 bytes at 0xffffffff"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Execute(t.Context(), c.code, Limits{})
			if !errors.Is(err, ErrTrap) || !strings.Contains(err.Error(), c.text) || !strings.Contains(err.Error(), coreVersion) {
				t.Errorf("error %v, want a trap of %s with %q", err, coreVersion, c.text)
			}
		})
	}
}

// TestMissingFunctions: what is not offered may be imported, but not called.
func TestMissingFunctions(t *testing.T) {
	for name, f := range map[string]function{
		"unknown":       {name: "ext_future_version_1", typ: noType},
		"not offered":   {name: "ext_storage_set_version_1", typ: noType},
		"other type":    {name: "ext_allocator_malloc_version_1", typ: noType},
		"other module":  {name: "ext_logging_max_level_version_1", typ: noType, imports: "wasi"},
		"without names": {name: "", typ: noType, imports: ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := assembly{imports: []function{f}}
			_, err := Execute(t.Context(), a.with(callTo(0), i64Const(0)).bytes(), Limits{})
			var missing *MissingFunctionError
			if !errors.As(err, &missing) || !errors.Is(err, ErrTrap) || missing.Name != f.name {
				t.Errorf("error %v, want that %s is missing", err, f.name)
			}
			x, err := testExecutor(t, a.with(i64Const(0)).bytes(), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := x.call(t.Context(), coreVersion, nil); err != nil {
				t.Errorf("not called, and: %v", err)
			}
		})
	}
}

func TestContext(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Execute(cancelled, generated(t, 14), Limits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	forever := assembly{}.with(ops(opLoop, emptyType, opBr, 0, opEnd, opUnreachable)).bytes()
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := Execute(short, forever, Limits{Instructions: math.MaxInt64}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("cancelled within: %v", err)
	}
}

func TestLimitsOutOfRange(t *testing.T) {
	for _, l := range []Limits{{CodeSize: -1}, {MemoryPages: 1 << 16}, {Instructions: -1}} {
		if _, err := Execute(t.Context(), generated(t, 14), l); err == nil {
			t.Errorf("%+v: no error", l)
		}
	}
}

// TestFreshInstances: a call finds nothing that the one before it has left.
func TestFreshInstances(t *testing.T) {
	// Returns the byte at 1024 as the length of its answer, and counts it up.
	code := assembly{}.with(
		i32Const(dataAt), i32Const(dataAt), ops(opI32Load, 0, 0), i32Const(1), ops(0x6a, 0x36, 0, 0),
		i32Const(dataAt), ops(opI32Load, 0, 0, 0xad /* i64.extend_i32_u */), i64Const(32), ops(0x86 /* i64.shl */)).bytes()
	x, err := testExecutor(t, code, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		b, err := x.call(t.Context(), coreVersion, nil)
		if err != nil || len(b) != 1 {
			t.Fatalf("answer %x, %v; want one byte", b, err)
		}
	}
}

func TestDecodeVersion(t *testing.T) {
	head := scale.MustMarshal(struct {
		Spec, Impl              string
		Authoring, Spec2, Impl2 uint32
	}{"spec", "impl", 1, 2, 3})
	api := func(core uint32) []byte {
		return scale.MustMarshal([]system.RuntimeAPI{{ID: [8]byte{1}, Version: 9}, {ID: coreID, Version: core}})
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	want := system.RuntimeVersion{SpecName: "spec", ImplName: "impl", AuthoringVersion: 1, SpecVersion: 2, ImplVersion: 3}
	for name, c := range map[string]struct {
		in          []byte
		transaction uint32
		system      uint8
		bad         bool
	}{
		"no core":           {in: join(head, []byte{0}), transaction: 1},
		"core 2":            {in: join(head, api(2)), transaction: 1},
		"core 3":            {in: join(head, api(3), []byte{7, 0, 0, 0}), transaction: 7},
		"core 4":            {in: join(head, api(4), []byte{7, 0, 0, 0, 1}), transaction: 7, system: 1},
		"core 5":            {in: join(head, api(5), []byte{7, 0, 0, 0, 1}), transaction: 7, system: 1},
		"core 6, more":      {in: join(head, api(6), []byte{7, 0, 0, 0, 1, 99}), transaction: 7, system: 1},
		"core 5, more":      {in: join(head, api(5), []byte{7, 0, 0, 0, 1, 99}), bad: true},
		"core 4, less":      {in: join(head, api(4), []byte{7, 0, 0, 0}), bad: true},
		"core 2, as core 3": {in: join(head, api(2), []byte{7, 0, 0, 0}), bad: true},
		"nothing":           {bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := decodeVersion(c.in)
			if c.bad {
				if !errors.Is(err, ErrMalformed) {
					t.Errorf("error %v, want %v", err, ErrMalformed)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := want
			want.APIs, want.TransactionVersion, want.SystemVersion = v.APIs, c.transaction, c.system
			if diff := cmp.Diff(want, v); diff != "" {
				t.Error(diff)
			}
		})
	}
}
