package runtimecode

import (
	"maps"
	"slices"
	"testing"

	"github.com/offchain-worker/sdk/internal/runtimecode/gencode"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/system"
)

// assembly is a module to be put together by hand.
type assembly struct {
	imports   []function // functions of env
	functions []function // exported if they have a name
	table     []uint32   // functions in it
	data      []byte     // at dataAt
	heapBase  int64      // 0 = 65536
	pages     uint32     // 0 = 2
	memory    bool       // the memory is its own, not imported
}

type function struct {
	name    string
	typ     funcType
	locals  []byte // their groups with their number, nil = none
	code    []byte // without the last end
	imports string // module, "" = env
}

const dataAt = 1024

// The types that tests need.
var (
	noType   = funcType{}
	toI64    = funcType{nil, []byte{i64}}
	mallocOf = funcType{[]byte{i32}, []byte{i32}}
	pureOf   = funcType{[]byte{i64}, []byte{i32}}
)

// bytes returns the module.
func (a assembly) bytes() []byte {
	out := append([]byte(nil), wasmMagic...)
	section := func(id byte, items ...[]byte) {
		if len(items) == 0 {
			return
		}
		content := appendU32(nil, uint32(len(items)))
		for _, i := range items {
			content = append(content, i...)
		}
		out = appendBytes(append(out, id), content)
	}
	var types, imports, functions, codes, exports [][]byte
	index := func(t funcType) uint32 {
		types = append(types, appendBytes(appendBytes([]byte{0x60}, t.params), t.results))
		return uint32(len(types) - 1)
	}
	for _, f := range a.imports {
		from := f.imports
		if from == "" {
			from = "env"
		}
		imports = append(imports, appendU32(append(appendName(appendName(nil, from), f.name), kindFunction), index(f.typ)))
	}
	pages := a.pages
	if pages == 0 {
		pages = 2
	}
	memory := appendU32([]byte{0}, pages)
	var own [][]byte
	if a.memory {
		own = append(own, memory)
	} else {
		imports = append(imports, append(append(appendName(appendName(nil, "env"), "memory"), kindMemory), memory...))
	}
	for i, f := range a.functions {
		functions = append(functions, appendU32(nil, index(f.typ)))
		if f.name != "" {
			exports = append(exports, appendU32(append(appendName(nil, f.name), kindFunction), uint32(len(a.imports)+i)))
		}
		locals := f.locals
		if locals == nil {
			locals = []byte{0}
		}
		body := append(append([]byte(nil), locals...), f.code...)
		codes = append(codes, appendBytes(nil, append(body, opEnd)))
	}
	heapBase := a.heapBase
	if heapBase == 0 {
		heapBase = pageSize
	}
	exports = append(exports, append(appendName(nil, heapBaseExport), kindGlobal, 0))
	section(sectionType, types...)
	section(sectionImport, imports...)
	section(sectionFunction, functions...)
	if a.table != nil {
		section(sectionTable, appendU32([]byte{funcref, 0}, uint32(len(a.table))))
	}
	section(sectionMemory, own...)
	section(sectionGlobal, append(appendSigned([]byte{i32, 0, opI32Const}, heapBase), opEnd))
	section(sectionExport, exports...)
	if a.table != nil {
		elements := appendU32([]byte{0, opI32Const, 0, opEnd}, uint32(len(a.table)))
		for _, f := range a.table {
			elements = appendU32(elements, f)
		}
		section(sectionElement, elements)
	}
	section(sectionCode, codes...)
	if a.data != nil {
		section(sectionData, appendBytes(append(appendSigned([]byte{0, opI32Const}, dataAt), opEnd), a.data))
	}
	return out
}

// with returns the assembly with one entry point of the given code.
func (a assembly) with(code ...[]byte) assembly {
	f := function{name: coreVersion, typ: entryType}
	for _, c := range code {
		f.code = append(f.code, c...)
	}
	a.functions = append([]function{f}, a.functions...)
	return a
}

func i64Const(v int64) []byte { return appendSigned([]byte{opI64Const}, v) }
func i32Const(v int32) []byte { return appendSigned([]byte{opI32Const}, int64(v)) }
func callTo(f uint32) []byte  { return appendU32([]byte{opCall}, f) }
func dataRef(size int) []byte { return i64Const(int64(size)<<32 | dataAt) }
func ops(b ...byte) []byte    { return b }
func testExecutor(t testing.TB, code []byte, l Limits) (*executor, error) {
	t.Helper()
	l, err := l.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	m, err := parse(code)
	if err != nil {
		return nil, err
	}
	x, err := newExecutor(t.Context(), m, l)
	if err == nil {
		t.Cleanup(x.close)
	}
	return x, err
}

// generated is a runtime of package gencode.
func generated(t testing.TB, versions ...uint32) []byte {
	t.Helper()
	all := map[uint32][]byte{}
	for _, v := range versions {
		all[v] = append([]byte{'m', 'e', 't', 'a', byte(v)}, make([]byte, 5000)...)
	}
	code, err := gencode.Generate(system.RuntimeVersion{
		SpecName: "generated", ImplName: "generated", SpecVersion: 1,
		APIs: []system.RuntimeAPI{{ID: hashing.Blake2b64([]byte("Core")), Version: 5}}, TransactionVersion: 1, SystemVersion: 1,
	}, all)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// answering is a runtime with these answers.
func answering(answers map[string][]byte) []byte {
	var a assembly
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		b := answers[name]
		a.functions = append(a.functions, function{name: name, typ: entryType, code: i64Const(int64(len(b))<<32 | int64(dataAt+len(a.data)))})
		a.data = append(a.data, b...)
	}
	return a.bytes()
}

func versionBytes() []byte {
	return scale.MustMarshal(system.RuntimeVersion{SpecName: "x", APIs: []system.RuntimeAPI{{ID: coreID, Version: 4}}})
}
