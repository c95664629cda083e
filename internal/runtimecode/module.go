package runtimecode

import (
	"bytes"
	"fmt"
)

// wasmMagic is the magic number and version of the WebAssembly binary format.
var wasmMagic = []byte{0, 'a', 's', 'm', 1, 0, 0, 0}

// Bounds of a module's parts. They are far above what runtimes have (in the
// largest of those tried, Westend of 2024, 2,150 functions in the table, frames
// of 106 slots, 0.9 million instructions that can be reached) and keep what
// wazero makes of a module below 400 MB. A stack has at most 2,000 frames, by
// wazero.
const (
	maxTypes        = 1 << 16
	maxFunctions    = 1 << 18
	maxTable        = 1 << 18
	maxGlobals      = 1 << 12
	maxArity        = 256     // parameters, and results, of a type
	maxFrame        = 1 << 12 // parameters, locals and operands of a function
	maxNesting      = 1 << 13 // blocks in blocks
	maxInstructions = 1 << 22 // of all functions that can be reached, labels of br_table included
)

// Section ids of the binary format.
const (
	sectionCustom = iota
	sectionType
	sectionImport
	sectionFunction
	sectionTable
	sectionMemory
	sectionGlobal
	sectionExport
	sectionStart
	sectionElement
	sectionCode
	sectionData
)

// Value types, and the kinds of imports and exports.
const (
	i32 = 0x7f
	i64 = 0x7e
	f32 = 0x7d
	f64 = 0x7c

	funcref   = 0x70
	emptyType = 0x40

	kindFunction = 0
	kindTable    = 1
	kindMemory   = 2
	kindGlobal   = 3
)

// module is a WebAssembly module of the features that Substrate's executor
// knows: version 1.0, sign extension, saturating float conversion; with nothing
// but functions and a memory imported. Custom sections are gone. What is kept
// as bytes has been read over and is well formed.
type module struct {
	types     []funcType
	imports   []imported
	functions []uint32 // type of each function that is not imported
	bodies    [][]byte // their locals and code, one for each
	table     []byte   // section as it is
	memory    *memoryType
	imported  bool // the memory is
	globals   int
	global    []byte // globals as they are, without their number
	exports   map[string]export
	elements  []byte   // section as it is
	targets   []uint32 // the functions in it, which are what call_indirect can call
	data      []byte   // section as it is
}

type funcType struct{ params, results []byte }

// key tells types apart.
func (t funcType) key() string { return string(t.params) + ">" + string(t.results) }

// imported is an imported function.
type imported struct {
	module, name string
	typ          uint32
}

type memoryType struct {
	min, max uint32 // pages
	bounded  bool   // has a maximum
}

type export struct {
	kind  byte
	index uint32
}

// typeOf is the type of function i, imported ones first.
func (m *module) typeOf(i uint32) (funcType, bool) {
	imports := uint32(len(m.imports))
	switch {
	case i < imports:
		return m.types[m.imports[i].typ], true
	case i-imports < uint32(len(m.functions)):
		return m.types[m.functions[i-imports]], true
	}
	return funcType{}, false
}

// parse reads a module. It shares the memory of b.
func parse(b []byte) (*module, error) {
	if !bytes.HasPrefix(b, wasmMagic) {
		return nil, fmt.Errorf("%w: no WebAssembly module of version 1", ErrMalformed)
	}
	m := &module{exports: make(map[string]export)}
	last := byte(0)
	for r := (&reader{b: b, off: len(wasmMagic)}); r.left() > 0; {
		id := r.byte()
		body := r.bytes()
		if r.err != nil {
			return nil, r.err
		}
		if id == sectionCustom {
			continue
		}
		if id <= last {
			return nil, fmt.Errorf("%w: section %d after section %d", ErrMalformed, id, last)
		}
		last = id
		s := &reader{b: body}
		m.section(id, s)
		if err := s.finish("the last item"); err != nil {
			return nil, fmt.Errorf("section %d: %w", id, err)
		}
	}
	switch {
	case len(m.functions) != len(m.bodies):
		return nil, fmt.Errorf("%w: %d functions, %d bodies", ErrMalformed, len(m.functions), len(m.bodies))
	case m.memory == nil:
		return nil, fmt.Errorf("%w: no memory", ErrMalformed)
	}
	return m, nil
}

func (m *module) section(id byte, r *reader) {
	switch id {
	case sectionType:
		for range m.limited(r, "types", 3, maxTypes) {
			m.types = append(m.types, r.funcType())
		}
	case sectionImport:
		for range r.count("imports", 4) {
			m.readImport(r)
		}
	case sectionFunction:
		for range m.limited(r, "functions", 1, maxFunctions) {
			m.functions = append(m.functions, m.typeIndex(r))
		}
	case sectionTable:
		if r.count("tables", 3) > 1 {
			r.unsupported("several tables")
		}
		if r.left() > 0 {
			if r.byte() != funcref {
				r.fail("table of another type than functions")
			}
			if t := r.limits(); t.min > maxTable {
				r.limit("table", t.min, maxTable)
			}
		}
		m.table = r.b
	case sectionMemory:
		if r.count("memories", 2) > 0 {
			m.setMemory(r)
		}
	case sectionGlobal:
		m.globals = m.limited(r, "globals", 5, maxGlobals)
		start := r.off
		for range m.globals {
			r.valueType()
			if r.byte() > 1 {
				r.fail("mutability of a global")
			}
			r.constant()
		}
		m.global = r.b[start:r.off]
	case sectionExport:
		for range r.count("exports", 3) {
			name := r.name()
			e := export{r.byte(), r.u32()}
			if _, twice := m.exports[name]; twice || e.kind > kindGlobal {
				r.fail("export %.40q twice or of kind %d", name, e.kind)
			}
			if r.err != nil {
				return
			}
			m.exports[name] = e
		}
	case sectionStart:
		r.unsupported("a start function")
	case sectionElement:
		for range r.count("segments", 5) {
			if r.u32() != 0 {
				r.unsupported("a passive element segment")
			}
			r.constant()
			for range m.limited(r, "elements", 1, maxTable) {
				if m.targets = append(m.targets, r.u32()); len(m.targets) > maxTable {
					r.limit("elements", uint32(len(m.targets)), maxTable)
				}
			}
		}
		m.elements = r.b
	case sectionCode:
		for range m.limited(r, "bodies", 3, maxFunctions) {
			m.bodies = append(m.bodies, r.bytes())
		}
	case sectionData:
		for range r.count("segments", 5) {
			if r.u32() != 0 {
				r.unsupported("a passive data segment")
			}
			r.constant()
			r.bytes()
		}
		m.data = r.b
	default:
		r.unsupported(fmt.Sprintf("section %d", id))
	}
}

func (m *module) limited(r *reader, what string, min, max int) int {
	n := r.count(what, min)
	if n > max {
		r.limit(what, uint32(n), uint32(max))
		return 0
	}
	return n
}

func (m *module) readImport(r *reader) {
	from, name := r.name(), r.name()
	switch kind := r.byte(); kind {
	case kindFunction:
		m.imports = append(m.imports, imported{from, name, m.typeIndex(r)})
		if len(m.imports) > maxFunctions {
			r.limit("imports", uint32(len(m.imports)), maxFunctions)
		}
	case kindMemory:
		m.setMemory(r)
		m.imported = true
	default:
		r.unsupported(fmt.Sprintf("import %.40q of kind %d", name, kind))
	}
}

func (m *module) setMemory(r *reader) {
	l := r.limits()
	if m.memory != nil {
		r.fail("several memories")
	}
	if l.min > 1<<16 || l.bounded && l.max > 1<<16 {
		r.fail("memory over 4 GiB")
	}
	m.memory = &l
}

func (m *module) typeIndex(r *reader) uint32 {
	i := r.u32()
	if int64(i) >= int64(len(m.types)) {
		r.fail("type %d of %d", i, len(m.types))
		return 0
	}
	return i
}

// unsupported ends reading with ErrUnsupported.
func (r *reader) unsupported(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrUnsupported, what)
		r.off = len(r.b)
	}
}

// limit ends reading with ErrLimit.
func (r *reader) limit(what string, have, most uint32) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %d %s, at most %d", ErrLimit, have, what, most)
		r.off = len(r.b)
	}
}

func (r *reader) valueType() byte {
	t := r.byte()
	if t < f64 || t > i32 {
		r.unsupported(fmt.Sprintf("value type %#x", t))
	}
	return t
}

func (r *reader) funcType() (t funcType) {
	if r.byte() != 0x60 {
		r.fail("no function type")
	}
	for _, list := range []*[]byte{&t.params, &t.results} {
		n := r.count("values", 1)
		if n > maxArity {
			r.limit("values", uint32(n), maxArity)
			return funcType{}
		}
		start := r.off
		for range n {
			r.valueType()
		}
		*list = r.b[start:r.off]
	}
	if len(t.results) > 1 {
		r.unsupported("several results")
	}
	return t
}

func (r *reader) limits() (l memoryType) {
	switch flags := r.byte(); flags {
	case 0:
		l.min = r.u32()
	case 1:
		l.bounded = true
		if l.min, l.max = r.u32(), r.u32(); l.max < l.min {
			r.fail("maximum %d below minimum %d", l.max, l.min)
		}
	default:
		r.unsupported(fmt.Sprintf("limits of kind %d", flags))
	}
	return l
}

// constant reads over a constant expression. Which type it must have, wazero
// checks.
func (r *reader) constant() {
	switch op := r.byte(); op {
	case opI32Const:
		r.signed(32)
	case opI64Const:
		r.signed(64)
	case opF32Const:
		r.take(4)
	case opF64Const:
		r.take(8)
	case opGlobalGet:
		r.u32()
	default:
		r.unsupported(fmt.Sprintf("instruction %#x in a constant expression", op))
	}
	if r.byte() != opEnd {
		r.fail("a constant expression of several instructions")
	}
}
