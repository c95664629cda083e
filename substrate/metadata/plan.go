package metadata

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/offchain-worker/sdk/scale"
)

// MaxDepth bounds the nesting of enums, structs and sequences in a value. FRAME
// decodes calls with a limit of 256 that counts sequences and boxes only; the
// larger number makes sure that whatever a chain accepts can be read here.
const MaxDepth = 2048

// maxNesting bounds the nesting of structs and tuples in one another without an
// enum or sequence between them. Real metadata stays below 20.
const maxNesting = 256

// tooLarge stands for sizes that no input can have.
const tooLarge = 1 << 30

type op uint8

const (
	opUnset   op = iota
	opFixed      // n bytes, all of them valid
	opBool       // 0 or 1
	opChar       // u32 that is a Unicode scalar
	opStr        // UTF-8
	opOptBool    // 0, 1 or 2
	opCompact    // compact integer of at most n bits
	opSteps      // steps, one after the other
	opVariant    // index, then its steps
	opSeq        // length, then values of elem
	opArray      // n values of elem
	opBits       // length in bits, then store words of n bytes
	opInvalid    // has no encoding
	opVisiting
)

// plan says how to read over a value of a type. Adjacent fixed parts are merged
// and empty ones are left out, so that every step that is not opFixed uses up
// at least one byte: reading is linear in the input, not in the type.
type plan struct {
	op       op
	height   int // structs, tuples and arrays in one another, this one included
	n        int
	elem     int // position of the element type
	steps    []step
	variants []*variantPlan // by index, nil where there is none
}

// step reads over n bytes if plan is -1, else over a value of the type at that
// position.
type step struct{ n, plan int }

type variantPlan struct {
	steps []step
	*Variant
}

var errSelf = fmt.Errorf("%w: a struct contains itself or is nested too deep", ErrMalformed)

func (m *Metadata) compilePlans() error {
	m.plans = make([]plan, len(m.Types))
	for i := range m.Types {
		if err := m.compile(i, 0); err != nil {
			return err
		}
	}
	return m.compileVariants()
}

// compile makes the plan of a type; it follows structs, tuples and arrays, whose
// plans depend on their parts, but not enums and sequences, which may be
// recursive.
func (m *Metadata) compile(pos, depth int) error {
	p, t := &m.plans[pos], &m.Types[pos]
	switch {
	case p.op == opVisiting || depth > maxNesting:
		return errSelf
	case p.op != opUnset:
		return nil
	}
	p.op = opVisiting
	var err error
	switch t.Kind {
	case KindComposite:
		if t.Name() == "OptionBool" && len(t.Path) == 1 {
			p.op = opOptBool
			return nil
		}
		ids := make([]TypeID, len(t.Fields))
		for i := range t.Fields {
			ids[i] = t.Fields[i].Type
		}
		err = m.compileParts(p, ids, depth)
	case KindTuple:
		err = m.compileParts(p, t.Tuple, depth)
	case KindArray:
		elem := m.position(t.Elem)
		if err := m.compile(elem, depth+1); err != nil {
			return err
		}
		p.elem, p.height = elem, m.plans[elem].height+1
		switch e := &m.plans[elem]; {
		case e.op == opFixed:
			p.op, p.n = opFixed, int(min(int64(e.n)*int64(t.Len), tooLarge))
		case t.Len == 0:
			p.op = opFixed
		default:
			p.op, p.n = opArray, int(min(t.Len, tooLarge))
		}
	case KindVariant:
		p.op = opVariant
	case KindSequence:
		p.op, p.elem = opSeq, m.position(t.Elem)
	case KindPrimitive:
		switch t.Primitive {
		case Bool:
			p.op = opBool
		case Char:
			p.op = opChar
		case Str:
			p.op = opStr
		default:
			p.op, p.n = opFixed, primitiveSize(t.Primitive)
		}
	case KindCompact:
		m.compileCompact(p, t)
	case KindBitSequence:
		p.op = opInvalid
		if s := m.Type(t.Elem); s.Kind == KindPrimitive && s.Primitive >= U8 && s.Primitive <= U64 && m.bitOrder(t) >= 0 {
			p.op, p.n = opBits, primitiveSize(s.Primitive)
		}
	}
	if err == nil && p.height > maxNesting {
		return errSelf
	}
	return err
}

// compileParts makes the plan of a struct or tuple.
func (m *Metadata) compileParts(p *plan, ids []TypeID, depth int) error {
	steps, err := m.stepsOf(ids, depth)
	for _, id := range ids {
		p.height = max(p.height, m.plans[m.position(id)].height+1)
	}
	switch {
	case err != nil:
		return err
	case len(steps) == 0:
		p.op = opFixed
	case len(steps) == 1 && steps[0].plan < 0:
		p.op, p.n = opFixed, steps[0].n
	default:
		p.op, p.steps = opSteps, steps
	}
	return nil
}

func (m *Metadata) stepsOf(ids []TypeID, depth int) ([]step, error) {
	var steps []step
	for _, id := range ids {
		pos := m.position(id)
		if err := m.compile(pos, depth+1); err != nil {
			return nil, err
		}
		e := &m.plans[pos]
		switch last := len(steps) - 1; {
		case e.op != opFixed:
			steps = append(steps, step{plan: pos})
		case e.n == 0:
		case last >= 0 && steps[last].plan < 0:
			steps[last].n = min(steps[last].n+e.n, tooLarge)
		default:
			steps = append(steps, step{n: e.n, plan: -1})
		}
	}
	return steps, nil
}

// compileVariants fills in the enums, once the plans of all structs are there.
func (m *Metadata) compileVariants() error {
	for pos := range m.plans {
		p := &m.plans[pos]
		if p.op != opVariant {
			continue
		}
		list := m.Types[pos].Variants
		for i := range list {
			v := &variantPlan{Variant: &list[i]}
			ids := make([]TypeID, len(v.Fields))
			for j := range v.Fields {
				ids[j] = v.Fields[j].Type
			}
			var err error
			if v.steps, err = m.stepsOf(ids, 0); err != nil {
				return err
			}
			for len(p.variants) <= int(v.Index) {
				p.variants = append(p.variants, nil)
			}
			if p.variants[v.Index] != nil {
				return fmt.Errorf("%w: type %d has two variants of index %d", ErrMalformed, m.Types[pos].ID, v.Index)
			}
			p.variants[v.Index] = v
		}
	}
	return nil
}

// compileCompact unwraps newtypes until an unsigned integer or nothing.
func (m *Metadata) compileCompact(p *plan, t *Type) {
	inner := m.compactInner(t)
	switch {
	case inner == nil:
		p.op = opInvalid
	case inner.Kind == KindPrimitive:
		p.op, p.n = opCompact, 8*primitiveSize(inner.Primitive)
	default:
		p.op = opFixed // Compact<()> takes no bytes
	}
}

// compactInner returns the integer in a Compact or an empty tuple or struct; nil
// if it is something else.
func (m *Metadata) compactInner(t *Type) *Type {
	t = m.Type(t.Elem)
	for range maxNesting {
		switch {
		case t.Kind == KindPrimitive && t.Primitive >= U8 && t.Primitive <= U128:
			return t
		case t.Kind == KindComposite && len(t.Fields) == 1:
			t = m.Type(t.Fields[0].Type)
		case t.Kind == KindTuple && len(t.Tuple) == 1:
			t = m.Type(t.Tuple[0])
		case t.Kind == KindComposite && len(t.Fields) == 0, t.Kind == KindTuple && len(t.Tuple) == 0:
			return t
		default:
			return nil
		}
	}
	return nil
}

// bitOrder returns 0 for the least significant bit first, 1 for the most, -1 if
// the type does not say.
func (m *Metadata) bitOrder(t *Type) int {
	switch m.Type(t.Order).Name() {
	case "Lsb0":
		return 0
	case "Msb0":
		return 1
	}
	return -1
}

// primitiveSize is the size of an integer in bytes.
func primitiveSize(p Primitive) int {
	switch p {
	case U8, I8:
		return 1
	case U16, I16:
		return 2
	case U32, I32:
		return 4
	case U64, I64:
		return 8
	case U128, I128:
		return 16
	case U256, I256:
		return 32
	}
	return 0
}

// Errors of Skip are made once, so that it does not allocate.
var (
	errDepth    = fmt.Errorf("metadata: %w", scale.ErrDepth)
	errVariant  = fmt.Errorf("metadata: %w: unknown variant", scale.ErrInvalid)
	errBool     = fmt.Errorf("metadata: %w: bool", scale.ErrInvalid)
	errChar     = fmt.Errorf("metadata: %w: char", scale.ErrInvalid)
	errUTF8     = fmt.Errorf("metadata: %w: string is not UTF-8", scale.ErrInvalid)
	errCompact  = fmt.Errorf("metadata: %w: compact integer exceeds its type", scale.ErrInvalid)
	errBits     = fmt.Errorf("metadata: %w: bit sequence too long", scale.ErrInvalid)
	errNoType   = fmt.Errorf("%w: type", ErrNotFound)
	errNoValues = errors.New("metadata: the type has no encoding that is known")
)

// Skip reads over a value of type t. It accepts what DecodeValue does (and
// values that are too large for that), and allocates nothing but errors. Time is
// bounded by the bytes that are left. Errors are recorded in d, as by its own
// methods.
func (m *Metadata) Skip(d *scale.Decoder, t TypeID) {
	pos := m.position(t)
	if pos < 0 {
		d.Fail(errNoType)
		return
	}
	m.skip(d, pos, 0)
}

func (m *Metadata) skip(d *scale.Decoder, pos, depth int) {
	p := &m.plans[pos]
	if depth > MaxDepth {
		d.Fail(errDepth)
		return
	}
	switch p.op {
	case opFixed:
		d.Fixed(p.n)
	case opBool:
		if d.U8() > 1 {
			d.Fail(errBool)
		}
	case opOptBool:
		if d.U8() > 2 {
			d.Fail(errBool)
		}
	case opChar:
		readChar(d)
	case opStr:
		if !utf8.Valid(d.BytesNoCopy()) {
			d.Fail(errUTF8)
		}
	case opCompact:
		readCompact(d, p.n)
	case opSteps:
		m.skipSteps(d, p.steps, depth+1)
	case opVariant:
		if v := p.read(d); v != nil {
			m.skipSteps(d, v.steps, depth+1)
		}
	case opSeq:
		if e := &m.plans[p.elem]; e.op == opFixed {
			skipMany(d, uint64(d.CompactU32()), e.n)
			return
		}
		for n := d.Length(1); n > 0 && d.Err() == nil; n-- {
			m.skip(d, p.elem, depth+1)
		}
	case opArray:
		for n := p.n; n > 0 && d.Err() == nil; n-- {
			m.skip(d, p.elem, depth+1)
		}
	case opBits:
		readBits(d, p.n)
	default:
		d.Fail(errNoValues)
	}
}

func (m *Metadata) skipSteps(d *scale.Decoder, steps []step, depth int) {
	for _, s := range steps {
		if d.Err() != nil {
			return
		}
		if s.plan < 0 {
			d.Fixed(s.n)
		} else {
			m.skip(d, s.plan, depth)
		}
	}
}

// read reads the index of an enum; nil on error.
func (p *plan) read(d *scale.Decoder) *variantPlan {
	i := int(d.U8())
	if d.Err() != nil {
		return nil
	}
	if i >= len(p.variants) || p.variants[i] == nil {
		d.Fail(errVariant)
		return nil
	}
	return p.variants[i]
}

// skipMany reads over n items of size bytes.
func skipMany(d *scale.Decoder, n uint64, size int) {
	if size > 0 && n > uint64(d.Remaining()/size) {
		d.Fail(fmt.Errorf("metadata: %w: sequence of %d items in %d bytes", scale.ErrShort, n, d.Remaining()))
		return
	}
	d.Fixed(int(n) * size)
}

func readChar(d *scale.Decoder) rune {
	c := d.U32()
	if c > utf8.MaxRune || !utf8.ValidRune(rune(c)) {
		d.Fail(errChar)
		return 0
	}
	return rune(c)
}

func readCompact(d *scale.Decoder, bits int) scale.U128 {
	v := d.CompactU128()
	if bits < 64 && (v.Hi != 0 || v.Lo>>bits != 0) || bits == 64 && v.Hi != 0 {
		d.Fail(errCompact)
		return scale.U128{}
	}
	return v
}

// readBits reads a bit sequence with store words of size bytes.
func readBits(d *scale.Decoder, size int) (raw []byte, bits int) {
	bits = int(d.CompactU32())
	if bits > 0x1fff_ffff {
		d.Fail(errBits)
		return nil, 0
	}
	words := (bits + 8*size - 1) / (8 * size)
	raw = d.Fixed(words * size)
	if d.Err() != nil {
		return nil, 0
	}
	return raw, bits
}
