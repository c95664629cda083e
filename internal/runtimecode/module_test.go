package runtimecode

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"pgregory.net/rapid"
)

// raw puts a module together out of sections.
func raw(sections ...[]byte) []byte {
	return append(bytes.Clone(wasmMagic), bytes.Join(sections, nil)...)
}

func sec(id byte, content ...byte) []byte { return appendBytes([]byte{id}, content) }

// huge is 2^32-1 in LEB128.
var huge = []byte{0xff, 0xff, 0xff, 0xff, 0x0f}

func TestParseRefuses(t *testing.T) {
	memory := sec(sectionMemory, 1, 0, 1)
	function := []byte{0x60, 0, 0}
	for name, c := range map[string]struct {
		in   []byte
		err  error
		text string
	}{
		"nothing":             {nil, ErrMalformed, "no WebAssembly"},
		"component":           {[]byte{0, 'a', 's', 'm', 0x0d, 0, 1, 0}, ErrMalformed, "no WebAssembly"},
		"no memory":           {raw(), ErrMalformed, "no memory"},
		"section cut":         {raw([]byte{1, 5, 0}), ErrMalformed, ""},
		"section too long":    {raw(append([]byte{1}, huge...)), ErrMalformed, ""},
		"length over 32 bits": {raw([]byte{1, 0xff, 0xff, 0xff, 0xff, 0x1f}), ErrMalformed, "32 bits"},
		"sections swapped":    {raw(memory, sec(sectionType, 0)), ErrMalformed, "section 1 after section 5"},
		"section twice":       {raw(memory, memory), ErrMalformed, "section 5 after section 5"},
		"bytes in a section":  {raw(sec(sectionMemory, 1, 0, 1, 0)), ErrMalformed, "after the last item"},
		"tags":                {raw(memory, sec(13, 0)), ErrUnsupported, "section 13"},
		"data count":          {raw(memory, sec(12, 0)), ErrUnsupported, "section 12"},
		"start":               {raw(memory, sec(sectionStart, 0)), ErrUnsupported, "start"},
		"two memories":        {raw(sec(sectionMemory, 2, 0, 1, 0, 1)), ErrMalformed, "after"},
		"shared memory":       {raw(sec(sectionMemory, 1, 3, 1, 1)), ErrUnsupported, "limits"},
		"memory over 4 GiB":   {raw(sec(sectionMemory, 1, 0, 0x81, 0x80, 0x04)), ErrMalformed, "4 GiB"},
		"memory max < min":    {raw(sec(sectionMemory, 1, 1, 2, 1)), ErrMalformed, "below"},
		"two tables":          {raw(sec(sectionTable, 2, funcref, 0, 1, funcref, 0, 1), memory), ErrUnsupported, "tables"},
		"huge table":          {raw(sec(sectionTable, append([]byte{1, funcref, 0}, huge...)...), memory), ErrLimit, "table"},
		"table of externref":  {raw(sec(sectionTable, 1, 0x6f, 0, 1), memory), ErrMalformed, "table"},
		"types that are not":  {raw(sec(sectionType, huge...), memory), ErrMalformed, "types in 0 bytes"},
		"globals that are no": {raw(memory, sec(sectionGlobal, huge...)), ErrMalformed, "globals in 0 bytes"},
		"vector type":         {raw(sec(sectionType, 1, 0x60, 1, 0x7b, 0), memory), ErrUnsupported, "value type 0x7b"},
		"several results":     {raw(sec(sectionType, 1, 0x60, 0, 2, i32, i32), memory), ErrUnsupported, "results"},
		"many parameters":     {raw(sec(sectionType, append(appendU32([]byte{1, 0x60}, 300), bytes.Repeat([]byte{i32}, 301)...)...), memory), ErrLimit, "values"},
		"imported global":     {raw(sec(sectionImport, 1, 1, 'm', 1, 'g', kindGlobal, i32, 0), memory), ErrUnsupported, "import"},
		"unknown type":        {raw(sec(sectionType, append([]byte{1}, function...)...), sec(sectionFunction, 1, 1), memory), ErrMalformed, "type 1 of 1"},
		"name is not UTF-8":   {raw(sec(sectionImport, 1, 1, 0xff, 1, 'g', kindMemory, 0, 1)), ErrMalformed, "UTF-8"},
		"no body":             {raw(sec(sectionType, append([]byte{1}, function...)...), sec(sectionFunction, 1, 0), memory), ErrMalformed, "1 functions, 0 bodies"},
		"export twice":        {raw(memory, sec(sectionExport, 2, 1, 'a', 2, 0, 1, 'a', 2, 0)), ErrMalformed, "export"},
		"passive data":        {raw(memory, sec(sectionData, 1, 1, 3, 0, 0, 0)), ErrUnsupported, "passive"},
		"extended constant":   {raw(memory, sec(sectionGlobal, 1, i32, 0, opI32Const, 1, opI32Const, 1, 0x6a, opEnd)), ErrMalformed, "several instructions"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(c.in)
			if !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("error %v, want %v with %q", err, c.err, c.text)
			}
		})
	}
}

func TestScanRefuses(t *testing.T) {
	entry := func(code ...byte) assembly { return assembly{}.with(code) }
	locals := assembly{functions: []function{{name: coreVersion, typ: entryType, locals: append(append([]byte{1}, huge...), i64)}}}
	for name, c := range map[string]struct {
		in   assembly
		err  error
		text string
	}{
		"vector instruction":    {entry(0xfd, 0), ErrUnsupported, "0xfd"},
		"memory.copy":           {entry(opSaturating, 10, 0, 0), ErrUnsupported, "0xfc"},
		"memory.size of 1":      {entry(0x3f, 1), ErrMalformed, "memory"},
		"tail call":             {entry(0x12, 0), ErrUnsupported, "0x12"},
		"end too early":         {entry(opEnd), ErrMalformed, "after the code"},
		"end missing":           {entry(opBlock, emptyType), ErrMalformed, "unexpected end"},
		"call of nothing":       {entry(opCall, 99), ErrMalformed, "function 99"},
		"call of no type":       {entry(opCallIndirect, 99, 0), ErrMalformed, "type 99"},
		"labels that are not":   {entry(append([]byte{opBrTable}, huge...)...), ErrMalformed, "labels"},
		"constant too long":     {entry(opI32Const, 0x80, 0x80, 0x80, 0x80, 0x10), ErrMalformed, "32 bits"},
		"too many locals":       {locals, ErrLimit, "locals"},
		"operands":              {entry(bytes.Repeat(i32Const(0), maxFrame+1)...), ErrLimit, "slots"},
		"operands in a block":   {entry(append(ops(opBlock, emptyType), bytes.Repeat(ops(opLocalGet, 0), maxFrame+1)...)...), ErrMalformed, "end"},
		"nesting":               {entry(bytes.Repeat(ops(opBlock, emptyType), maxNesting)...), ErrLimit, "nested"},
		"block of a type index": {entry(opBlock, 0), ErrUnsupported, "value type"},
		"instructions":          {entry(bytes.Repeat(ops(0x01), maxInstructions)...), ErrLimit, "instructions"},
		"entry is a global":     {assembly{}, ErrMalformed, "no such function"},
		// Valid for scan, not for wazero.
		"no result":     {entry(), ErrMalformed, ""},
		"no such label": {entry(opBr, 7), ErrMalformed, ""},
		"other operand": {entry(opLocalGet, 0), ErrMalformed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Execute(t.Context(), c.in.bytes(), Limits{})
			if !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("error %v, want %v with %q", err, c.err, c.text)
			}
		})
	}
}

// TestUnreachedFunctions: what no entry point reaches is not even looked at.
func TestUnreachedFunctions(t *testing.T) {
	a := assembly{table: []uint32{2}, functions: []function{
		{code: ops(0xfd, 0)}, // reached by nothing
		{code: ops(0x01)},    // in the table, of a type that is called
		{code: ops(0xfd, 1), name: "Core_execute_block"},
	}}
	x, err := testExecutor(t, a.with(callIndirect(), i64Const(0)).bytes(), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.call(t.Context(), coreVersion, nil); err != nil {
		t.Error(err)
	}
	a.table[0] = 1
	if _, err := testExecutor(t, a.with(callIndirect(), i64Const(0)).bytes(), Limits{}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("reached by way of the table: %v", err)
	}
}

// TestRewriteIsModule: what the rewriter writes, it can read, and it has what
// it is meant to have.
func TestRewriteIsModule(t *testing.T) {
	for name, a := range map[string]assembly{
		"imported memory": assembly{}.with(i64Const(0)),
		"own memory":      assembly{memory: true}.with(i64Const(0)),
		"all": assembly{table: []uint32{1, 2}, data: []byte("data"), functions: []function{{code: ops(opLoop, emptyType, opEnd)}},
			imports: []function{{name: "ext_allocator_malloc_version_1", typ: mallocOf}}}.with(i64Const(0)),
	} {
		t.Run(name, func(t *testing.T) {
			m, err := parse(a.bytes())
			if err != nil {
				t.Fatal(err)
			}
			out, err := m.rewrite([]string{coreVersion}, 77, 5)
			if err != nil {
				t.Fatal(err)
			}
			checkRewritten(t, m, out, 77)
		})
	}
}

// checkRewritten fails where out is not the module that m.rewrite promises.
func checkRewritten(t testing.TB, m *module, out []byte, maxPages uint32) {
	t.Helper()
	n, err := parse(out)
	if err != nil {
		t.Fatalf("rewritten: %v", err)
	}
	if n.imported || n.memory.max > maxPages || !n.memory.bounded || n.memory.min != m.memory.min {
		t.Errorf("memory %+v, imported %v", n.memory, n.imported)
	}
	if e := n.exports[memoryExport]; e.kind != kindMemory {
		t.Errorf("memory export %+v", e)
	}
	if e := n.exports[fuelExport]; e.kind != kindGlobal || int(e.index) != m.globals || n.globals != m.globals+1 {
		t.Errorf("fuel export %+v of %d globals", e, n.globals)
	}
	for name := range n.exports {
		if _, ok := m.exports[name]; !ok && name != memoryExport && name != fuelExport {
			t.Errorf("new export %s", name)
		}
	}
	if len(n.functions) != len(m.functions) || len(n.imports) != len(m.imports) || !bytes.Equal(n.data, m.data) || !bytes.Equal(n.elements, m.elements) {
		t.Error("functions, imports, data or elements changed")
	}
}

// TestRewriteKeepsMeaning runs random programs with and without the rewriting:
// loops, branches, blocks and calls, all of which carry what the rewriter puts
// between the instructions.
func TestRewriteKeepsMeaning(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		a := assembly{memory: true, functions: []function{
			{name: coreVersion, typ: entryType, locals: []byte{1, 6, i64}, code: append(program(r, 3, 2), opLocalGet, 2)},
			{typ: toI64, locals: []byte{1, 8, i64}, code: append(program(r, 2, 0), opLocalGet, 2)},
		}}
		code := a.bytes()
		x, err := testExecutor(t, code, Limits{Instructions: 1 << 30})
		if err != nil {
			r.Fatalf("%v:\n%x", err, code)
		}
		run := func(rt wazero.Runtime, c wazero.CompiledModule) (uint64, error) {
			m, err := rt.InstantiateModule(context.Background(), c, wazero.NewModuleConfig().WithName(""))
			if err != nil {
				r.Fatal(err)
			}
			defer m.Close(context.Background())
			out, err := m.ExportedFunction(coreVersion).Call(context.Background(), 5, 7)
			if err != nil {
				return 0, err
			}
			return out[0], nil
		}
		plain := wazero.NewRuntimeWithConfig(context.Background(), wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(api.CoreFeaturesV1))
		defer plain.Close(context.Background())
		c, err := plain.CompileModule(context.Background(), code)
		if err != nil {
			r.Fatal(err)
		}
		want, wantErr := run(plain, c)
		got, gotErr := run(x.runtime, x.compiled)
		if got != want || (gotErr == nil) != (wantErr == nil) {
			r.Fatalf("%d, %v; without rewriting %d, %v", got, gotErr, want, wantErr)
		}
	})
}

// program returns random code that ends by itself and works on the i64 locals 2
// and 3. Loops count in locals of their own, one for each depth.
func program(r *rapid.T, depth int, callee uint32) []byte {
	var code []byte
	local := func() byte { return byte(rapid.IntRange(2, 3).Draw(r, "local")) }
	for range rapid.IntRange(1, 4).Draw(r, "statements") {
		kinds := 3
		if depth > 0 {
			kinds = 6
		}
		switch rapid.IntRange(0, kinds-1).Draw(r, "kind") {
		case 0: // x = constant
			code = append(append(code, i64Const(rapid.Int64().Draw(r, "value"))...), 0x21, local())
		case 1: // x = y op z
			op := rapid.SampledFrom([]byte{0x7c, 0x7d, 0x7e, 0x83, 0x84, 0x85, 0x89}).Draw(r, "op")
			code = append(code, opLocalGet, local(), opLocalGet, local(), op, 0x21, local())
		case 2: // x += f()
			if callee != 0 {
				code = append(append(append(code, opLocalGet, 2), callTo(1)...), 0x7c, 0x21, local())
			}
		case 3: // if
			code = append(code, opLocalGet, local(), 0x50, opIf, emptyType)
			code = append(append(code, program(r, depth-1, callee)...), opElse)
			code = append(append(code, program(r, depth-1, callee)...), opEnd)
		case 4: // a block that is left in its middle
			code = append(code, opBlock, emptyType)
			code = append(append(code, program(r, depth-1, callee)...), opLocalGet, local(), 0xa7, 0x0d, 0)
			code = append(append(code, program(r, depth-1, callee)...), opEnd)
		case 5: // a loop of at most 8 rounds
			counter := byte(4 + depth)
			code = append(code, opLoop, emptyType)
			code = append(code, program(r, depth-1, callee)...)
			code = append(append(append(code, opLocalGet, counter), i64Const(1)...), 0x7c, 0x22, counter)
			code = append(append(append(code, i64Const(7)...), 0x83, 0x50, 0x45), 0x0d, 0, opEnd)
		}
	}
	return code
}

func TestLEB128(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		v := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-200, 200), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, math.MinInt32, math.MaxInt32})).Draw(r, "v")
		d := &reader{b: appendSigned(nil, v)}
		if got := d.signed(64); got != v || d.finish("v") != nil {
			r.Fatalf("%d: %d, %v", v, got, d.err)
		}
		d = &reader{b: appendSigned(nil, v)}
		if got := d.signed(32); (v == int64(int32(v))) != (d.err == nil) || d.err == nil && got != v {
			r.Fatalf("%d in 32 bits: %d, %v", v, got, d.err)
		}
		u := uint32(v)
		d = &reader{b: appendU32(nil, u)}
		if got := d.u32(); got != u || d.finish("u") != nil {
			r.Fatalf("%d: %d, %v", u, got, d.err)
		}
	})
	for _, in := range [][]byte{{0x80}, {0xff, 0xff, 0xff, 0xff, 0x1f}, {0x80, 0x80, 0x80, 0x80, 0x80, 0}} {
		if d := (&reader{b: in}); d.u32() != 0 || d.err == nil {
			t.Errorf("%x is read as a u32", in)
		}
	}
	// Longer than needed is allowed, as WebAssembly says.
	if d := (&reader{b: []byte{0x83, 0x80, 0x00}}); d.u32() != 3 || d.err != nil {
		t.Error("padded number refused")
	}
}
