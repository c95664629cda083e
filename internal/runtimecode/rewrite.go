package runtimecode

import "fmt"

// Names under which the rewritten module exports what the host needs.
const (
	memoryExport   = "memory"
	fuelExport     = "fuel"
	heapBaseExport = "__heap_base"
)

// rewrite returns a module that does what m does when one of the entry points
// is called, with these differences:
//
//   - The memory is its own, at most maxPages large, and exported. Runtimes
//     import it, and wazero's host modules cannot export one. Memories have an
//     index space of their own, so no other index shifts.
//   - A new global, the last, counts instructions down from fuel. Every
//     function and every loop body pays for its instructions before it runs
//     them and traps where the global falls below zero. This bounds the calls
//     without a clock.
//   - Functions that no entry point can reach are replaced by a trap: wazero
//     turns instructions into 56 bytes each, and most of a runtime is not
//     needed here.
//   - Of the exports only entry points and __heap_base are left.
func (m *module) rewrite(entries []string, maxPages uint32, fuel int64) ([]byte, error) {
	memory := *m.memory
	if memory.min > maxPages {
		return nil, fmt.Errorf("%w: the runtime begins with %d pages of memory, at most %d", ErrLimit, memory.min, maxPages)
	}
	if !memory.bounded || memory.max > maxPages {
		memory.max = maxPages
	}
	var exports []byte
	count := uint32(0)
	export := func(name string, kind byte, index uint32) {
		exports = appendU32(append(appendName(exports, name), kind), index)
		count++
	}
	export(memoryExport, kindMemory, 0)
	export(fuelExport, kindGlobal, uint32(m.globals))
	if e, ok := m.exports[heapBaseExport]; ok {
		export(heapBaseExport, e.kind, e.index)
	}
	var roots []uint32
	for _, name := range entries {
		e, ok := m.exports[name]
		if !ok {
			continue
		}
		if e.kind != kindFunction {
			return nil, fmt.Errorf("%w: %s is not a function", ErrMalformed, name)
		}
		export(name, kindFunction, e.index)
		roots = append(roots, e.index)
	}
	reached, err := m.reach(roots)
	if err != nil {
		return nil, err
	}

	out := append([]byte(nil), wasmMagic...)
	section := func(id byte, content []byte) {
		if content != nil {
			out = appendBytes(append(out, id), content)
		}
	}
	section(sectionType, m.typeSection())
	section(sectionImport, m.importSection())
	functions := appendU32(nil, uint32(len(m.functions)))
	for _, t := range m.functions {
		functions = appendU32(functions, t)
	}
	section(sectionFunction, functions)
	section(sectionTable, m.table)
	section(sectionMemory, appendU32(appendU32([]byte{1, 1}, memory.min), memory.max))
	globals := append(appendU32(nil, uint32(m.globals+1)), m.global...)
	globals = append(globals, i64, 1 /* mutable */, opI64Const)
	section(sectionGlobal, append(appendSigned(globals, fuel), opEnd))
	section(sectionExport, append(appendU32(nil, count), exports...))
	section(sectionElement, m.elements)
	section(sectionCode, m.codeSection(reached))
	section(sectionData, m.data)
	return out, nil
}

func (m *module) typeSection() []byte {
	out := appendU32(nil, uint32(len(m.types)))
	for _, t := range m.types {
		out = appendBytes(appendBytes(append(out, 0x60), t.params), t.results)
	}
	return out
}

func (m *module) importSection() []byte {
	out := appendU32(nil, uint32(len(m.imports)))
	for _, i := range m.imports {
		out = appendU32(append(appendName(appendName(out, i.module), i.name), kindFunction), i.typ)
	}
	return out
}

// reach returns what scan found in each function that can be reached from the
// roots, nil for the others.
func (m *module) reach(roots []uint32) ([]*body, error) {
	reached := make([]*body, len(m.bodies))
	var todo []uint32
	var failed error
	size := 0
	visit := func(function uint32) {
		i := int64(function) - int64(len(m.imports))
		if failed != nil || i < 0 || i < int64(len(m.bodies)) && reached[i] != nil {
			return
		}
		if i >= int64(len(m.bodies)) {
			failed = fmt.Errorf("%w: function %d", ErrMalformed, function)
			return
		}
		if reached[i], failed = m.scan(uint32(i), m.bodies[i]); failed != nil {
			return
		}
		if size += reached[i].size; size > maxInstructions {
			failed = fmt.Errorf("%w: over %d instructions in the code", ErrLimit, maxInstructions)
		}
		todo = append(todo, uint32(i))
	}
	// What a type can be called for. Types are told apart by what they are, not
	// by their index.
	targets := make(map[string][]uint32)
	for _, f := range m.targets {
		if t, ok := m.typeOf(f); ok {
			targets[t.key()] = append(targets[t.key()], f)
		}
	}
	for _, f := range roots {
		visit(f)
	}
	for len(todo) > 0 && failed == nil {
		b := reached[todo[len(todo)-1]]
		todo = todo[:len(todo)-1]
		for _, f := range b.calls {
			visit(f)
		}
		for _, t := range b.indirect {
			key := m.types[t].key()
			for _, f := range targets[key] {
				visit(f)
			}
			delete(targets, key)
		}
	}
	return reached, failed
}

// trapBody is the body of a function that only traps.
var trapBody = []byte{0 /* no locals */, opUnreachable, opEnd}

func (m *module) codeSection(reached []*body) []byte {
	size := 16
	for i, b := range reached {
		size += 8
		if b != nil {
			size += len(m.bodies[i]) + 32*len(b.charges)
		}
	}
	out := appendU32(make([]byte, 0, size), uint32(len(m.bodies)))
	var code []byte
	for i, b := range reached {
		if b == nil {
			out = appendBytes(out, trapBody)
			continue
		}
		code = code[:0]
		from := 0
		for _, c := range b.charges {
			code = append(code, m.bodies[i][from:c.offset]...)
			code = appendCharge(code, uint32(m.globals), c.cost)
			from = c.offset
		}
		out = appendBytes(out, append(code, m.bodies[i][from:]...))
	}
	return out
}

// appendCharge appends instructions that take cost from the global and trap
// where that makes it negative.
func appendCharge(b []byte, global uint32, cost int64) []byte {
	b = appendU32(append(b, opGlobalGet), global)
	b = append(appendSigned(append(b, opI64Const), cost), opI64Sub)
	b = appendU32(append(b, opGlobalSet), global)
	b = appendU32(append(b, opGlobalGet), global)
	b = append(appendSigned(append(b, opI64Const), 0), opI64LtS)
	return append(b, opIf, emptyType, opUnreachable, opEnd)
}
