package tsclient

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// form is a type in TypeScript: how it is written, and the codec of its bytes.
type form struct{ written, codec string }

// body is the form of a type that gets a name. members are those of an object.
type body struct {
	form
	members []string
}

// named is a type that is declared in the generated file.
type named struct {
	form
	declaration string
	done        bool // whether codec is declared; another type refers to it lazily until then
}

// types makes forms of the types of a registry.
type types struct {
	registry []metadata.Type
	ids      map[reflect.Type]metadata.TypeID
	named    map[metadata.TypeID]*named
	used     map[string]bool // names
	order    []*named
}

// taken are names that the generated file uses for something else.
var taken = []string{"App", "AppEvent", "AbortSignal", "Promise", "Uint8Array", "app", "connect", "decode", "encode", "ocw"}

// newTypes registers everything that methods and events of an app have.
func newTypes(d *stf.Declaration) (*types, error) {
	t := &types{ids: map[reflect.Type]metadata.TypeID{}, named: map[metadata.TypeID]*named{}, used: map[string]bool{}}
	for _, name := range taken {
		t.used[name] = true
	}
	b := metadata.NewBuilder("app")
	add := func(where string, r reflect.Type) error {
		id, err := b.Type(r)
		if err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		t.ids[r] = id
		return nil
	}
	for _, m := range d.Modules {
		for _, list := range [][]stf.MethodDeclaration{m.Calls, m.Owned, m.Public} {
			for _, x := range list {
				for _, a := range x.Args {
					if err := add(m.Name+"."+x.Name, a.Type); err != nil {
						return nil, err
					}
				}
				if x.Result != nil {
					if err := add(m.Name+"."+x.Name, x.Result); err != nil {
						return nil, err
					}
				}
			}
		}
		for _, e := range m.Events {
			for _, f := range e.Fields {
				if err := add(m.Name+"."+e.Name, f.Type); err != nil {
					return nil, err
				}
			}
		}
	}
	md, err := b.Build(metadata.ExtrinsicSpec{})
	if err != nil {
		return nil, err
	}
	t.registry = md.Types
	return t, nil
}

// of returns the form of a Go type that was registered.
func (t *types) of(r reflect.Type) (form, error) { return t.form(t.ids[r]) }

// wellKnown are forms of paths.
var wellKnown = map[string]form{
	"sp_core::crypto::AccountId32": {"ocw.AccountId", "ocw.account"},
}

var primitives = map[metadata.Primitive]form{
	metadata.Bool: {"boolean", "ocw.bool"}, metadata.Str: {"string", "ocw.text"},
	metadata.U8: {"number", "ocw.u8"}, metadata.U16: {"number", "ocw.u16"}, metadata.U32: {"number", "ocw.u32"},
	metadata.U64: {"bigint", "ocw.u64"}, metadata.U128: {"bigint", "ocw.u128"},
	metadata.I8: {"number", "ocw.i8"}, metadata.I16: {"number", "ocw.i16"}, metadata.I32: {"number", "ocw.i32"}, metadata.I64: {"bigint", "ocw.i64"},
}

func (t *types) form(id metadata.TypeID) (form, error) {
	if int(id) >= len(t.registry) {
		return form{}, fmt.Errorf("type %d is not registered", id)
	}
	if n := t.named[id]; n != nil {
		if n.done {
			return n.form, nil
		}
		return form{n.written, "ocw.lazy(() => " + n.codec + ")"}, nil
	}
	x := &t.registry[id]
	if f, ok := wellKnown[x.PathString()]; ok {
		return f, nil
	}
	switch x.Kind {
	case metadata.KindPrimitive:
		if f, ok := primitives[x.Primitive]; ok {
			return f, nil
		}
		return form{}, fmt.Errorf("TypeScript has no form of %v", x.Primitive)
	case metadata.KindCompact:
		return form{"bigint", "ocw.compact"}, nil
	case metadata.KindSequence, metadata.KindArray:
		return t.list(x)
	case metadata.KindTuple:
		return t.tuple(x.Tuple)
	case metadata.KindComposite:
		if len(x.Fields) == 1 && x.Fields[0].Name == "" {
			return t.form(x.Fields[0].Type)
		}
		return t.declare(x, func() (body, error) { return t.fields(x.Fields) })
	case metadata.KindVariant:
		if x.PathString() == "Option" {
			return t.option(x)
		}
		return t.declare(x, func() (body, error) { return t.variants(x.Variants) })
	}
	return form{}, fmt.Errorf("TypeScript has no form of %s", x.PathString())
}

func (t *types) list(x *metadata.Type) (form, error) {
	bytes := t.registry[x.Elem].Kind == metadata.KindPrimitive && t.registry[x.Elem].Primitive == metadata.U8
	switch {
	case bytes && x.Kind == metadata.KindSequence:
		return form{"Uint8Array", "ocw.bytes"}, nil
	case bytes:
		return form{"ocw.Hex", fmt.Sprintf("ocw.fixed(%d)", x.Len)}, nil
	}
	e, err := t.form(x.Elem)
	written := e.written + "[]"
	if strings.ContainsAny(e.written, "| ") {
		written = "(" + e.written + ")[]"
	}
	if x.Kind == metadata.KindArray {
		return form{written, fmt.Sprintf("ocw.array(%s, %d)", e.codec, x.Len)}, err
	}
	return form{written, "ocw.vec(" + e.codec + ")"}, err
}

func (t *types) option(x *metadata.Type) (form, error) {
	inner := x.Variants[1].Fields[0].Type
	if t.registry[inner].PathString() == "Option" {
		return form{}, fmt.Errorf("an option of an option has no form in TypeScript, where both would be null: put a struct between")
	}
	f, err := t.form(inner)
	return form{f.written + " | null", "ocw.option(" + f.codec + ")"}, err
}

func (t *types) tuple(ids []metadata.TypeID) (form, error) {
	if len(ids) == 0 {
		return form{"null", "ocw.unit"}, nil
	}
	var written, codecs []string
	for _, id := range ids {
		f, err := t.form(id)
		if err != nil {
			return form{}, err
		}
		written, codecs = append(written, f.written), append(codecs, f.codec)
	}
	list := "[" + strings.Join(written, ", ") + "]"
	return form{list, "ocw.tuple<" + list + ">(" + strings.Join(codecs, ", ") + ")"}, nil
}

// fields makes the form of named fields, or of a tuple if they have no names.
func (t *types) fields(fields []metadata.Field) (body, error) {
	var written, codecs []string
	for i, f := range fields {
		if f.Name == "" {
			ids := make([]metadata.TypeID, len(fields))
			for i := range fields {
				ids[i] = fields[i].Type
			}
			f, err := t.tuple(ids)
			return body{form: f}, err
		}
		x, err := t.form(f.Type)
		if err != nil {
			return body{}, fmt.Errorf("%s: %w", f.Name, err)
		}
		name := camel(f.Name)
		if slices.ContainsFunc(fields[:i], func(o metadata.Field) bool { return camel(o.Name) == name }) {
			return body{}, fmt.Errorf("two fields are %s in TypeScript; rename one", name)
		}
		written, codecs = append(written, name+": "+x.written), append(codecs, name+": "+x.codec)
	}
	if len(fields) == 0 {
		return body{form: form{"null", "ocw.unit"}}, nil
	}
	return body{form{"{ " + strings.Join(written, "; ") + " }", "ocw.struct<" + self + ">({ " + strings.Join(codecs, ", ") + " })"}, written}, nil
}

func (t *types) variants(list []metadata.Variant) (body, error) {
	var written, codecs []string
	if !slices.ContainsFunc(list, func(v metadata.Variant) bool { return len(v.Fields) > 0 }) {
		for _, v := range list {
			name := strconv.Quote(v.Name)
			written, codecs = append(written, name), append(codecs, fmt.Sprintf("%s: %d", name, v.Index))
		}
		union := strings.Join(written, " | ")
		return body{form: form{union, "ocw.names<" + self + ">({ " + strings.Join(codecs, ", ") + " })"}}, nil
	}
	for _, v := range list {
		name := strconv.Quote(v.Name)
		if len(v.Fields) == 0 {
			written, codecs = append(written, "{ type: "+name+" }"), append(codecs, fmt.Sprintf("%s: [%d, null]", name, v.Index))
			continue
		}
		var f form
		var err error
		if len(v.Fields) == 1 && v.Fields[0].Name == "" {
			f, err = t.form(v.Fields[0].Type)
		} else {
			f, err = inline(t.fields(v.Fields))
		}
		if err != nil {
			return body{}, fmt.Errorf("%s: %w", v.Name, err)
		}
		written = append(written, "{ type: "+name+"; value: "+f.written+" }")
		codecs = append(codecs, fmt.Sprintf("%s: [%d, %s]", name, v.Index, f.codec))
	}
	union := strings.Join(written, " | ")
	return body{form: form{union, "ocw.variants<" + self + ">({ " + strings.Join(codecs, ", ") + " })"}}, nil
}

// declare gives a type a name in the file. Types without one are written out
// where they are used.
func (t *types) declare(x *metadata.Type, make func() (body, error)) (form, error) {
	if x.Name() == "" {
		return inline(make())
	}
	name := t.name(x.Name())
	n := &named{form: form{name, t.name(lowerFirst(name) + "Codec")}}
	t.named[x.ID] = n
	b, err := make()
	if err != nil {
		return form{}, fmt.Errorf("%s: %w", x.Name(), err)
	}
	t.add(n, b, x.Docs)
	return n.form, nil
}

// add writes the declaration of a type.
func (t *types) add(n *named, b body, docs []string) {
	declaration := "export type " + n.written + " = " + b.written + ";"
	if len(b.members) > 0 {
		declaration = "export interface " + n.written + " {\n  " + strings.Join(b.members, ";\n  ") + ";\n}"
	}
	n.declaration = fmt.Sprintf("%s%s\nexport const %s: ocw.Codec<%s> = %s;\n", comment("", docs), declaration, n.codec, n.written, strings.ReplaceAll(b.codec, self, n.written))
	n.done = true
	t.order = append(t.order, n)
}

// self stands for the type itself in the codec that a body makes: its name, or
// what it is where it has none.
const self = "\x00"

func inline(b body, err error) (form, error) {
	return form{b.written, strings.ReplaceAll(b.codec, self, b.written)}, err
}

// name returns a name for a type that no other has.
func (t *types) name(want string) string {
	want = identifier(want)
	name := want
	for i := 2; t.used[name]; i++ {
		name = want + strconv.Itoa(i)
	}
	t.used[name] = true
	return name
}
