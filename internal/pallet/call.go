package pallet

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"sync"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// method is what calls and queries have in common.
type method struct {
	label  string // "Balances.transfer", for errors
	fn     reflect.Value
	ctx    reflect.Type
	params []reflect.Type // without the context

	skipped *sync.Pool // of what skip decodes into
}

// Args are decoded arguments. They belong to the call or query that decoded
// them and are used once, since the method may keep what is in them.
type Args struct {
	of     *method
	values []reflect.Value
}

// decode reads exactly the arguments.
func (m *method) decode(d *scale.Decoder) (Args, error) {
	a := Args{of: m, values: make([]reflect.Value, 1, 1+len(m.params))}
	for _, t := range m.params {
		v := reflect.New(t)
		d.Decode(v.Interface())
		a.values = append(a.values, v.Elem())
	}
	if err := d.Err(); err != nil {
		return Args{}, fmt.Errorf("%w: %s: %w", ErrArguments, m.label, err)
	}
	return a, nil
}

// skip reads over exactly the arguments, and so checks them. Nobody keeps what
// they are decoded into.
func (m *method) skip(d *scale.Decoder) error {
	values, _ := m.skipped.Get().(*[]reflect.Value)
	if values == nil {
		values = new([]reflect.Value)
		for _, t := range m.params {
			*values = append(*values, reflect.New(t))
		}
	}
	for _, v := range *values {
		d.Decode(v.Interface())
		v.Elem().SetZero()
	}
	m.skipped.Put(values)
	if err := d.Err(); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrArguments, m.label, err)
	}
	return nil
}

func (m *method) run(ctx any, a Args) []reflect.Value {
	if a.of != m {
		panic("pallet: " + m.label + " was given arguments that it did not decode")
	}
	c := reflect.ValueOf(ctx)
	if !c.IsValid() || !c.Type().AssignableTo(m.ctx) {
		panic(fmt.Sprintf("pallet: %s was given a context of type %T, not %v", m.label, ctx, m.ctx))
	}
	a.values[0] = c
	return m.fn.Call(a.values)
}

// Call is a call of a module. It may be used concurrently.
type Call struct {
	Name  string // in metadata: snake case
	Index uint8
	Args  []metadata.FieldSpec
	Docs  []string
	// Method is the name of the Go method.
	Method string

	method
}

// Decode reads exactly the call's arguments. The error is [ErrArguments].
func (c *Call) Decode(d *scale.Decoder) (Args, error) { return c.decode(d) }

// Skip reads over exactly the call's arguments. The error is [ErrArguments].
func (c *Call) Skip(d *scale.Decoder) error { return c.skip(d) }

// Params returns the types of the arguments; the caller must not change them.
func (c *Call) Params() []reflect.Type { return c.params }

// Run calls the method and returns its error. ctx must be of the declared
// type; panics of the method pass through.
func (c *Call) Run(ctx any, args Args) error {
	err, _ := c.run(ctx, args)[0].Interface().(error)
	return err
}

// Invoke is Decode and Run. What follows the arguments in the decoder is left
// to the caller.
func (c *Call) Invoke(ctx any, args *scale.Decoder) error {
	a, err := c.Decode(args)
	if err != nil {
		return err
	}
	return c.Run(ctx, a)
}

// Query is a query of a module. It may be used concurrently.
type Query struct {
	Name   string
	Index  uint8
	Args   []metadata.FieldSpec
	Result reflect.Type
	Docs   []string
	Method string

	method
}

// Decode reads exactly the query's arguments. The error is [ErrArguments].
func (q *Query) Decode(d *scale.Decoder) (Args, error) { return q.decode(d) }

// Skip reads over exactly the query's arguments. The error is [ErrArguments].
func (q *Query) Skip(d *scale.Decoder) error { return q.skip(d) }

// Params returns the types of the arguments; the caller must not change them.
func (q *Query) Params() []reflect.Type { return q.params }

// Run calls the method; the result is of type Result.
func (q *Query) Run(ctx any, args Args) (any, error) {
	out := q.run(ctx, args)
	err, _ := out[1].Interface().(error)
	return out[0].Interface(), err
}

// Invoke is Decode and Run.
func (q *Query) Invoke(ctx any, args *scale.Decoder) (any, error) {
	a, err := q.Decode(args)
	if err != nil {
		return nil, err
	}
	return q.Run(ctx, a)
}

var errorType = reflect.TypeFor[error]()

// methods finds calls and queries among the exported methods.
func (b *describer) methods() {
	t := b.module.Type()
	for i := range t.NumMethod() {
		m := t.Method(i)
		if m.Type.NumIn() < 2 {
			continue
		}
		switch m.Type.In(1) {
		case b.decl.Context:
			if index, ok := b.index(m.Name, b.decl.CallIndex); ok {
				b.call(m, index)
			}
		case b.decl.Query:
			if index, ok := b.index(m.Name, b.decl.QueryIndex); ok {
				b.query(m, index)
			}
		}
	}
	slices.SortFunc(b.out.Calls, func(x, y *Call) int { return int(x.Index) - int(y.Index) })
	slices.SortFunc(b.out.Queries, func(x, y *Query) int { return int(x.Index) - int(y.Index) })
}

func (b *describer) index(method string, of func(string) (uint8, bool)) (uint8, bool) {
	if of == nil {
		return 0, false
	}
	return of(method)
}

func (b *describer) call(m reflect.Method, index uint8) {
	if m.Type.NumOut() != 1 || m.Type.Out(0) != errorType {
		b.problem("method %v.%s takes a %v but does not return exactly error; change its results to (error)", b.module.Type(), m.Name, b.decl.Context)
		return
	}
	c := &Call{Name: metadata.SnakeCase(m.Name), Index: index, Method: m.Name}
	if !b.method(&c.method, m, &c.Args, &c.Docs) {
		return
	}
	if other := b.out.calls[index]; other != nil {
		b.problem("methods %s and %s of %v both have call index %d; give each its own", other.Method, m.Name, b.module.Type(), index)
		return
	}
	b.out.calls[index] = c
	b.out.Calls = append(b.out.Calls, c)
}

func (b *describer) query(m reflect.Method, index uint8) {
	if m.Type.NumOut() != 2 || m.Type.Out(1) != errorType {
		b.problem("method %v.%s takes a %v but does not return a value and error; change its results to (T, error)", b.module.Type(), m.Name, b.decl.Query)
		return
	}
	q := &Query{Name: metadata.SnakeCase(m.Name), Index: index, Method: m.Name, Result: m.Type.Out(0)}
	if err := scale.CheckType(q.Result); err != nil {
		b.problem("method %v.%s: its result %v cannot be encoded: %w", b.module.Type(), m.Name, q.Result, err)
		return
	}
	if !b.method(&q.method, m, &q.Args, &q.Docs) {
		return
	}
	if other := b.out.queries[index]; other != nil {
		b.problem("methods %s and %s of %v both have query index %d; give each its own", other.Method, m.Name, b.module.Type(), index)
		return
	}
	b.out.queries[index] = q
	b.out.Queries = append(b.out.Queries, q)
}

// method fills what calls and queries have in common.
func (b *describer) method(out *method, m reflect.Method, args *[]metadata.FieldSpec, docs *[]string) bool {
	place := fmt.Sprintf("method %v.%s", b.module.Type(), m.Name)
	if m.Type.IsVariadic() {
		b.problem("%s is variadic; take a slice instead", place)
		return false
	}
	*out = method{label: b.decl.Name + "." + metadata.SnakeCase(m.Name), fn: b.module.Method(m.Index), ctx: m.Type.In(1), skipped: new(sync.Pool)}
	ok := true
	for i := 2; i < m.Type.NumIn(); i++ {
		t := m.Type.In(i)
		if err := scale.CheckType(t); err != nil {
			b.problem("%s: parameter %d of type %v cannot be decoded: %w; use fixed-size integers, strings, byte slices, or structs, slices and arrays of such", place, i-1, t, err)
			ok = false
		}
		out.params = append(out.params, t)
	}
	var names []string
	if b.decl.Doc != nil {
		names, *docs = b.decl.Doc(m.Name)
	}
	if !ok {
		return false
	}
	if len(out.params) == 1 && out.params[0].Kind() == reflect.Struct && out.params[0].Name() == "" && !scale.IsEnum(out.params[0]) {
		fields, err := metadata.StructFields(out.params[0])
		if err != nil {
			b.problem("%s: %w", place, err)
			return false
		}
		*args = fields
		return true
	}
	for i, t := range out.params {
		name := "arg" + strconv.Itoa(i)
		if i < len(names) {
			name = metadata.SnakeCase(names[i])
		}
		*args = append(*args, metadata.FieldSpec{Name: name, Type: t})
	}
	return true
}
