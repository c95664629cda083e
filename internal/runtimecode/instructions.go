package runtimecode

import "fmt"

// The instructions that are named here.
const (
	opUnreachable  = 0x00
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opLocalGet     = 0x20
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opI32Load      = 0x28
	opI32Const     = 0x41
	opI64Const     = 0x42
	opF32Const     = 0x43
	opF64Const     = 0x44
	opI32Eq        = 0x46
	opI64LtS       = 0x53
	opI64Sub       = 0x7d
	opSaturating   = 0xfc // followed by 0 to 7
)

// What follows an opcode.
const (
	immNone = iota + 1 // so that the zero value is an unknown opcode
	immIndex
	immMemory // alignment and offset
	immZero   // one byte, 0
	immI32
	immI64
	immF32
	immF64
	immBlock
	immTable
	immIndirect
)

// instruction is the form of an instruction and what it does to the height of
// the operand stack. Calls and the ends of blocks are not in the table.
type instruction struct{ imm, pops, pushes uint8 }

var instructions = func() (t [256]instruction) {
	set := func(from, to int, i instruction) {
		for op := from; op <= to; op++ {
			t[op] = i
		}
	}
	set(opUnreachable, 0x01, instruction{immNone, 0, 0}) // unreachable, nop
	set(opBlock, opLoop, instruction{immBlock, 0, 0})
	set(opIf, opIf, instruction{immBlock, 1, 0})
	set(opElse, opElse, instruction{immNone, 0, 0})
	set(opEnd, opEnd, instruction{immNone, 0, 0})
	set(opBr, opBr, instruction{immIndex, 0, 0})
	set(0x0d, 0x0d, instruction{immIndex, 1, 0}) // br_if
	set(opBrTable, opBrTable, instruction{immTable, 1, 0})
	set(opReturn, opReturn, instruction{immNone, 0, 0})
	set(opCall, opCall, instruction{immIndex, 0, 0})
	set(opCallIndirect, opCallIndirect, instruction{immIndirect, 1, 0})
	set(0x1a, 0x1a, instruction{immNone, 1, 0}) // drop
	set(0x1b, 0x1b, instruction{immNone, 3, 1}) // select
	set(opLocalGet, opLocalGet, instruction{immIndex, 0, 1})
	set(0x21, 0x21, instruction{immIndex, 1, 0}) // local.set
	set(0x22, 0x22, instruction{immIndex, 1, 1}) // local.tee
	set(opGlobalGet, opGlobalGet, instruction{immIndex, 0, 1})
	set(opGlobalSet, opGlobalSet, instruction{immIndex, 1, 0})
	set(opI32Load, 0x35, instruction{immMemory, 1, 1}) // loads
	set(0x36, 0x3e, instruction{immMemory, 2, 0})      // stores
	set(0x3f, 0x3f, instruction{immZero, 0, 1})        // memory.size
	set(0x40, 0x40, instruction{immZero, 1, 1})        // memory.grow
	set(opI32Const, opI32Const, instruction{immI32, 0, 1})
	set(opI64Const, opI64Const, instruction{immI64, 0, 1})
	set(opF32Const, opF32Const, instruction{immF32, 0, 1})
	set(opF64Const, opF64Const, instruction{immF64, 0, 1})
	set(0x45, 0x66, instruction{immNone, 2, 1}) // comparisons …
	set(0x45, 0x45, instruction{immNone, 1, 1}) // … but i32.eqz
	set(0x50, 0x50, instruction{immNone, 1, 1}) // and i64.eqz
	set(0x67, 0x69, instruction{immNone, 1, 1}) // clz, ctz, popcnt
	set(0x6a, 0x78, instruction{immNone, 2, 1})
	set(0x79, 0x7b, instruction{immNone, 1, 1}) // the same of i64
	set(0x7c, 0x8a, instruction{immNone, 2, 1})
	set(0x8b, 0x91, instruction{immNone, 1, 1}) // f32, one operand
	set(0x92, 0x98, instruction{immNone, 2, 1})
	set(0x99, 0x9f, instruction{immNone, 1, 1}) // f64, one operand
	set(0xa0, 0xa6, instruction{immNone, 2, 1})
	set(0xa7, 0xc4, instruction{immNone, 1, 1}) // conversions, sign extension
	return t
}()

// body is what one pass over a function finds out.
type body struct {
	charges  []charge
	calls    []uint32 // functions called directly
	indirect []uint32 // types called by way of the table
	frame    int      // parameters, locals and operands at most, in slots of 8 bytes
	size     int      // instructions and labels
}

// charge is a place where instructions are paid for before they run: the start
// of the function for those outside of loops, the start of a loop's body for
// those in it and in no loop within it. What is paid is thus at least what runs.
type charge struct {
	offset int // in the code, locals included
	cost   int64
}

// block is a block that is open.
type block struct {
	base    int // height of the operand stack below it
	results int
	charge  int // who pays for what is in it
}

// scan reads a function's locals and code. It finds the end of every
// instruction and an upper bound of the operand stack; that the code is valid,
// wazero checks.
func (m *module) scan(function uint32, code []byte) (*body, error) {
	typ := m.types[m.functions[function]]
	r := &reader{b: code}
	slots := len(typ.params)
	for range r.count("local groups", 2) {
		n := r.u32()
		if n > maxFrame || slots+int(n) > maxFrame {
			r.limit("locals", n, maxFrame)
		}
		slots += int(n)
		r.valueType()
	}
	s := &body{charges: []charge{{offset: r.off}}}
	blocks := []block{{results: len(typ.results)}}
	height, highest := 0, 0
	for len(blocks) > 0 && r.err == nil {
		top := &blocks[len(blocks)-1]
		op := r.byte()
		in := instructions[op]
		if op == opSaturating {
			if sub := r.u32(); sub <= 7 {
				in = instruction{immNone, 1, 1}
			}
		}
		pops, pushes := int(in.pops), int(in.pushes)
		s.charges[top.charge].cost++
		s.size++
		var results int
		switch in.imm {
		case immNone:
		case immIndex:
			if i := r.u32(); op == opCall {
				t, ok := m.typeOf(i)
				if !ok {
					r.fail("call of function %d", i)
				}
				s.calls = append(s.calls, i)
				pops, pushes = len(t.params), len(t.results)
			}
		case immMemory:
			r.u32()
			r.u32()
		case immZero:
			if r.byte() != 0 {
				r.fail("another memory than 0")
			}
		case immI32:
			r.signed(32)
		case immI64:
			r.signed(64)
		case immF32:
			r.take(4)
		case immF64:
			r.take(8)
		case immBlock:
			if t := r.byte(); t != emptyType {
				r.off--
				r.valueType()
				results = 1
			}
		case immTable:
			n := r.count("labels", 1)
			for range n + 1 {
				r.u32()
			}
			s.size += n
		case immIndirect:
			i := m.typeIndex(r)
			if r.byte() != 0 {
				r.fail("another table than 0")
			}
			if r.err == nil {
				s.indirect = append(s.indirect, i)
				pops, pushes = len(m.types[i].params)+1, len(m.types[i].results)
			}
		default:
			r.unsupported(fmt.Sprintf("instruction %#x", op))
		}

		if len(blocks) == maxNesting {
			r.limit("nested blocks", maxNesting, maxNesting-1)
		}
		height = max(height-pops, top.base) + pushes
		switch op {
		case opBlock, opIf:
			blocks = append(blocks, block{height, results, top.charge})
		case opLoop:
			blocks = append(blocks, block{height, results, len(s.charges)})
			s.charges = append(s.charges, charge{offset: r.off})
		case opElse, opUnreachable, opBr, opBrTable, opReturn:
			height = top.base // what follows is another branch, or never runs
		case opEnd:
			height = top.base + top.results
			blocks = blocks[:len(blocks)-1]
		}
		highest = max(highest, height)
	}
	if err := r.finish("the code"); err != nil {
		return nil, fmt.Errorf("function %d: %w", function, err)
	}
	if s.frame = slots + highest; s.frame > maxFrame {
		return nil, fmt.Errorf("%w: function %d needs %d slots, at most %d", ErrLimit, function, s.frame, maxFrame)
	}
	return s, nil
}
