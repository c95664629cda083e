package stf

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// Description says for programs what an app has, and how its bytes are made. A
// type is named by its id in Types, whose forms are those of scale-info.
type Description struct {
	App     string              `json:"app"`
	Flat    bool                `json:"flat"`   // paths of one byte
	Legacy  bool                `json:"legacy"` // operations and getters of the form of 2022
	Modules []ModuleDescription `json:"modules"`
	Types   []TypeDescription   `json:"types"`

	meta *metadata.Metadata
}

// ModuleDescription describes a module.
type ModuleDescription struct {
	Name    string               `json:"name"`
	Index   uint8                `json:"index"`
	Docs    []string             `json:"docs,omitempty"`
	Calls   []MethodDescription  `json:"calls,omitempty"`
	Getters []MethodDescription  `json:"getters,omitempty"`
	Events  []VariantDescription `json:"events,omitempty"`
	Errors  []VariantDescription `json:"errors,omitempty"`
}

// MethodDescription describes a call, whose bytes are path, sender and
// arguments, or a getter, whose bytes are path and arguments.
type MethodDescription struct {
	Name   string             `json:"name"`
	Path   string             `json:"path"` // 0x and hex
	Docs   []string           `json:"docs,omitempty"`
	Args   []FieldDescription `json:"args"`             // the first is a call's sender, a getter's owner unless it is public
	Since  BlockNumber        `json:"since,omitempty"`  // of a call: the block from which on it is there
	Result *metadata.TypeID   `json:"result,omitempty"` // of a getter
	Public bool               `json:"public,omitempty"`
	Proven bool               `json:"provable,omitempty"`
}

// FieldDescription describes an argument or a field; Name is "" in tuples.
type FieldDescription struct {
	Name string          `json:"name,omitempty"`
	Type metadata.TypeID `json:"type"`
}

// VariantDescription describes an event, an error, or a variant of an enum.
type VariantDescription struct {
	Name   string             `json:"name"`
	Index  uint8              `json:"index"`
	Docs   []string           `json:"docs,omitempty"`
	Fields []FieldDescription `json:"fields,omitempty"`
}

// TypeDescription describes a type. Kind is composite, variant, sequence, array,
// tuple, primitive or compact, and says which fields are set.
type TypeDescription struct {
	ID        metadata.TypeID      `json:"id"`
	Path      string               `json:"path,omitempty"`
	Kind      string               `json:"kind"`
	Fields    []FieldDescription   `json:"fields,omitempty"`   // composite
	Variants  []VariantDescription `json:"variants,omitempty"` // variant
	Elem      *metadata.TypeID     `json:"elem,omitempty"`     // sequence, array, compact
	Len       uint32               `json:"len,omitempty"`      // array
	Tuple     []metadata.TypeID    `json:"tuple,omitempty"`
	Primitive string               `json:"primitive,omitempty"` // bool, str, u8 to u256, i8 to i256
}

// Describe describes the app.
func (a *App) Describe() (*Description, error) { return Describe(a.metadata[1]) }

// Describe reads the description of an app out of its metadata, V15. The error
// says that it is no metadata of an app.
func Describe(v15 []byte) (*Description, error) {
	m, err := metadata.Decode(v15)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(m.Custom, func(c metadata.Custom) bool { return c.Name == customName })
	if i < 0 {
		return nil, fmt.Errorf("stf: %w: metadata of an app, V15, has a custom value %s", metadata.ErrNotFound, customName)
	}
	var info appInfo
	if err := scale.Unmarshal(m.Custom[i].Value, &info); err != nil {
		return nil, fmt.Errorf("stf: custom value %s: %w", customName, err)
	}
	d := &Description{App: info.Name, Flat: info.Flat, Legacy: info.Legacy, meta: m}
	for i := range m.Pallets {
		p := &m.Pallets[i]
		out := ModuleDescription{Name: p.Name, Index: p.Index, Docs: p.Docs, Events: variants(m.Variants(p.Event)), Errors: variants(m.Variants(p.Error))}
		for _, v := range m.Variants(p.Calls) {
			for _, c := range info.Calls {
				if c.Module == p.Name && c.Call == v.Name {
					out.Calls = append(out.Calls, MethodDescription{Name: v.Name, Path: fmt.Sprintf("%#x", c.Path), Docs: v.Docs, Args: fields(v.Fields), Since: BlockNumber(c.Since)})
				}
			}
		}
		for _, api := range m.APIs {
			for _, f := range api.Methods {
				for _, g := range info.Getters {
					if api.Name != p.Name || g.Module != p.Name || g.Getter != f.Name {
						continue
					}
					get := MethodDescription{Name: f.Name, Path: fmt.Sprintf("%#x", g.Path), Docs: f.Docs, Args: []FieldDescription{}, Result: &f.Output, Public: g.Public, Proven: g.Provable}
					for _, in := range f.Inputs {
						get.Args = append(get.Args, FieldDescription{in.Name, in.Type})
					}
					out.Getters = append(out.Getters, get)
				}
			}
		}
		d.Modules = append(d.Modules, out)
	}
	for i := range m.Types {
		d.Types = append(d.Types, typeDescription(&m.Types[i]))
	}
	return d, nil
}

func fields(list []metadata.Field) []FieldDescription {
	out := []FieldDescription{}
	for _, f := range list {
		out = append(out, FieldDescription{f.Name, f.Type})
	}
	return out
}

func variants(list []metadata.Variant) (out []VariantDescription) {
	for _, v := range list {
		out = append(out, VariantDescription{v.Name, v.Index, v.Docs, fields(v.Fields)})
	}
	return out
}

var kindNames = map[metadata.Kind]string{metadata.KindComposite: "composite", metadata.KindVariant: "variant", metadata.KindSequence: "sequence",
	metadata.KindArray: "array", metadata.KindTuple: "tuple", metadata.KindPrimitive: "primitive", metadata.KindCompact: "compact", metadata.KindBitSequence: "bitsequence"}

func typeDescription(t *metadata.Type) TypeDescription {
	out := TypeDescription{ID: t.ID, Path: t.PathString(), Kind: kindNames[t.Kind]}
	switch t.Kind {
	case metadata.KindComposite:
		out.Fields = fields(t.Fields)
	case metadata.KindVariant:
		out.Variants = variants(t.Variants)
	case metadata.KindSequence, metadata.KindArray, metadata.KindCompact:
		out.Elem, out.Len = &t.Elem, t.Len
	case metadata.KindTuple:
		out.Tuple = t.Tuple
	case metadata.KindPrimitive:
		out.Primitive = t.Primitive.String()
	}
	return out
}

// find returns a call or getter by a name like "Counter.increment".
func (d *Description) find(name string, of func(*ModuleDescription) []MethodDescription) (*MethodDescription, []byte, error) {
	var have []string
	for i := range d.Modules {
		m := &d.Modules[i]
		for j := range of(m) {
			x := &of(m)[j]
			full := m.Name + "." + x.Name
			if !named(full, name) {
				have = append(have, full)
				continue
			}
			var path []byte
			if _, err := fmt.Sscanf(x.Path, "0x%x", &path); err != nil {
				return nil, nil, fmt.Errorf("stf: path of %s: %w", full, err)
			}
			return x, path, nil
		}
	}
	return nil, nil, fmt.Errorf("stf: the app %s has no %q; it has %s", d.App, name, strings.Join(have, ", "))
}

// EncodeCall encodes a call (SCALE(TrustedCall)) of sender by the description
// alone. args is a JSON object by the names of the arguments, or an array of
// them, without the sender; the forms of values are those of
// [metadata.Metadata.AppendJSON]. It works for what [Describe] has returned.
func (d *Description) EncodeCall(name string, sender AccountID, args []byte) ([]byte, error) {
	c, path, err := d.find(name, func(m *ModuleDescription) []MethodDescription { return m.Calls })
	if err != nil {
		return nil, err
	}
	return d.arguments(append(path, sender[:]...), name, c.Args[min(1, len(c.Args)):], args)
}

// EncodeGetter encodes a getter like [Description.EncodeCall]. Of one that is not
// public, owner is the first argument and is not among args.
func (d *Description) EncodeGetter(name string, owner AccountID, args []byte) (g GetterBytes, err error) {
	x, path, err := d.find(name, func(m *ModuleDescription) []MethodDescription { return m.Getters })
	if err != nil {
		return g, err
	}
	list := x.Args
	if !x.Public {
		path, list = append(path, owner[:]...), x.Args[min(1, len(x.Args)):]
		g.Owner = owner
	}
	if g.Bytes, err = d.arguments(path, name, list, args); err != nil {
		return GetterBytes{}, err
	}
	g.Public = x.Public
	return g, nil
}

// DecodeAnswer writes the answer of a getter as JSON.
func (d *Description) DecodeAnswer(name string, value []byte) ([]byte, error) {
	x, _, err := d.find(name, func(m *ModuleDescription) []MethodDescription { return m.Getters })
	if err != nil {
		return nil, err
	}
	dec := scale.NewDecoder(value)
	v := d.meta.DecodeValue(dec, *x.Result)
	if err := dec.Finish(); err != nil {
		return nil, fmt.Errorf("stf: answer of %s: %w", name, err)
	}
	return json.Marshal(v)
}

func (d *Description) arguments(to []byte, name string, list []FieldDescription, args []byte) (_ []byte, err error) {
	var items []json.RawMessage
	var members map[string]json.RawMessage
	if json.Unmarshal(args, &items) != nil && json.Unmarshal(args, &members) != nil || len(items)+len(members) != len(list) {
		return nil, fmt.Errorf("stf: %s takes an object with %s, or an array of %d", name, argumentNames(list), len(list))
	}
	for i, f := range list {
		item := members[f.Name]
		if members == nil {
			item = items[i]
		}
		if item == nil {
			return nil, fmt.Errorf("stf: argument %s of %s is missing", f.Name, name)
		}
		if to, err = d.meta.AppendJSON(to, f.Type, item); err != nil {
			return nil, fmt.Errorf("stf: argument %s of %s: %w", f.Name, name, err)
		}
	}
	return to, nil
}

func argumentNames(list []FieldDescription) string {
	var names []string
	for _, f := range list {
		names = append(names, f.Name)
	}
	return "[" + strings.Join(names, ", ") + "]"
}

// Metadata is what the description was read from.
func (d *Description) Metadata() *metadata.Metadata { return d.meta }

// ErrNoNonce means an app that does not tell its users their nonce.
var ErrNoNonce = errors.New("stf: no module of the app has a getter Nonce(q stf.Query, who stf.AccountID) (uint32, error) { return q.Nonce(who), nil }, which is needed to make calls; add it")

// NonceGetter returns the getter that answers what an account's next call must
// carry, and how that is read from the answer. It is nonce of any module, a getter
// of the owner alone that answers an u32, or else account_info with a field nonce,
// as Substrate has it. The error is [ErrNoNonce].
func (d *Description) NonceGetter(who AccountID) (g GetterBytes, read func(answer []byte) (uint32, error), err error) {
	for _, name := range []string{"nonce", "account_info"} {
		for i := range d.Modules {
			for _, x := range d.Modules[i].Getters {
				if x.Name != name || x.Public || len(x.Args) != 1 || !d.tellsNonce(*x.Result) {
					continue
				}
				g, err = d.EncodeGetter(d.Modules[i].Name+"."+name, who, []byte("[]"))
				return g, func(answer []byte) (uint32, error) { return d.nonceIn(*x.Result, answer) }, err
			}
		}
	}
	return g, nil, ErrNoNonce
}

// tellsNonce reports whether answers of a type are a nonce, or have one.
func (d *Description) tellsNonce(id metadata.TypeID) bool {
	isU32 := func(id metadata.TypeID) bool {
		t := d.meta.Type(id)
		return t != nil && t.Kind == metadata.KindPrimitive && t.Primitive == metadata.U32
	}
	t := d.meta.Type(id)
	return isU32(id) || t != nil && t.Kind == metadata.KindComposite &&
		slices.ContainsFunc(t.Fields, func(f metadata.Field) bool { return f.Name == "nonce" && isU32(f.Type) })
}

func (d *Description) nonceIn(id metadata.TypeID, answer []byte) (uint32, error) {
	dec := scale.NewDecoder(answer)
	v := d.meta.DecodeValue(dec, id)
	if err := dec.Finish(); err != nil {
		return 0, fmt.Errorf("stf: answer with a nonce: %w", err)
	}
	if of, ok := v.Field("nonce"); ok {
		v = of
	}
	n, _ := v.V.(uint32)
	return n, nil
}
