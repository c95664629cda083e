package runtime

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/substrate/metadata"
)

func newRuntime(t testing.TB) *Runtime {
	t.Helper()
	r, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// vector reads a file of ../shared/vectors beside the repository.
func vector(t *testing.T, name string) []byte {
	t.Helper()
	file := filepath.Join("..", "..", "..", "..", "shared", "vectors", "metadata", name)
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%s is missing", file)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// polkadotName names a type as polkadot.js does.
func polkadotName(m *metadata.Metadata, id metadata.TypeID) string {
	t := m.Type(id)
	switch t.Name() {
	case "Option":
		return "Option<" + polkadotName(m, t.Variants[1].Fields[0].Type) + ">"
	case "H256", "AccountId32":
		return t.Name()
	case "BoundedVec", "WeakBoundedVec":
		return polkadotName(m, t.Fields[0].Type)
	}
	if len(t.Path) > 0 {
		var b strings.Builder
		for _, part := range t.Path {
			for _, word := range strings.Split(part, "_") {
				b.WriteString(strings.ToUpper(word[:1]) + word[1:])
			}
		}
		return b.String()
	}
	switch t.Kind {
	case metadata.KindPrimitive:
		return t.Primitive.String()
	case metadata.KindSequence:
		if e := m.Type(t.Elem); e.Kind == metadata.KindPrimitive && e.Primitive == metadata.U8 {
			return "Bytes"
		}
		return "Vec<" + polkadotName(m, t.Elem) + ">"
	case metadata.KindArray:
		return fmt.Sprintf("[%s;%d]", polkadotName(m, t.Elem), t.Len)
	case metadata.KindCompact:
		return "Compact<" + polkadotName(m, t.Elem) + ">"
	}
	return fmt.Sprintf("kind %d", t.Kind)
}

type fieldJSON struct{ Name, Type string }

type variantJSON struct {
	Index  uint8
	Name   string
	Args   []fieldJSON
	Fields []fieldJSON
}

type palletJSON struct {
	Index                 uint8
	Prefix                string
	Calls, Events, Errors []variantJSON
	Storage               []struct {
		Name, Modifier, Key, Value, Fallback string
		Hashers                              []string
	}
	Constants []struct{ Name, Type, Value string }
}

// TestTeePallets compares Teerex and EnclaveBridge with what polkadot.js decoded
// from the metadata of a real chain, down to every type that they use.
func TestTeePallets(t *testing.T) {
	var want struct {
		Detail map[string]palletJSON
		Types  []struct {
			Name, Path string
			Struct     []json.RawMessage
			Enum       []json.RawMessage
		}
	}
	if err := json.Unmarshal(vector(t, "integritee-kusama-560-tee-pallets.json"), &want); err != nil {
		t.Fatal(err)
	}
	m := newRuntime(t).Metadata
	used := map[string]metadata.TypeID{}
	var use func(id metadata.TypeID) string
	use = func(id metadata.TypeID) string {
		name := polkadotName(m, id)
		if _, ok := used[name]; ok {
			return name
		}
		used[name] = id
		typ := m.Type(id)
		for _, f := range typ.Fields {
			use(f.Type)
		}
		for _, v := range typ.Variants {
			for _, f := range v.Fields {
				use(f.Type)
			}
		}
		if typ.Kind == metadata.KindSequence || typ.Kind == metadata.KindArray {
			use(typ.Elem)
		}
		return name
	}
	fields := func(list []metadata.Field) []fieldJSON {
		out := []fieldJSON{}
		for _, f := range list {
			out = append(out, fieldJSON{f.Name, use(f.Type)})
		}
		return out
	}
	for _, name := range []string{"Teerex", "EnclaveBridge"} {
		p := m.Pallet(name)
		got := palletJSON{Index: p.Index, Prefix: p.Prefix}
		for _, v := range m.Type(*p.Calls).Variants {
			got.Calls = append(got.Calls, variantJSON{Index: v.Index, Name: v.Name, Args: fields(v.Fields)})
		}
		for _, v := range m.Type(*p.Event).Variants {
			got.Events = append(got.Events, variantJSON{Index: v.Index, Name: v.Name, Fields: fields(v.Fields)})
		}
		for _, v := range m.Type(*p.Error).Variants {
			got.Errors = append(got.Errors, variantJSON{Index: v.Index, Name: v.Name})
		}
		for _, s := range p.Storage {
			item := want.Detail[name].Storage[0]
			item.Name, item.Modifier, item.Key, item.Hashers = s.Name, []string{"Optional", "Default"}[s.Modifier], "", nil
			item.Value, item.Fallback = use(s.ValueType), "0x"+hex.EncodeToString(s.Default)
			if len(s.Hashers) > 0 {
				item.Key = use(s.KeyType)
			}
			for _, h := range s.Hashers {
				item.Hashers = append(item.Hashers, h.String())
			}
			got.Storage = append(got.Storage, item)
		}
		for _, c := range p.Constants {
			item := want.Detail["Teerex"].Constants[0]
			v := uint64(0)
			for i, b := range c.Value {
				v |= uint64(b) << (8 * i)
			}
			item.Name, item.Type, item.Value = c.Name, use(c.Type), commas(v)
			got.Constants = append(got.Constants, item)
		}
		if d := cmp.Diff(want.Detail[name], got, cmp.Transformer("empty", func(s []fieldJSON) []fieldJSON { return append([]fieldJSON{}, s...) }),
			cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Constants" }, cmp.Transformer("some", func(s []struct{ Name, Type, Value string }) []string {
				out := []string{}
				for _, c := range s {
					out = append(out, fmt.Sprint(c))
				}
				return out
			}))); d != "" {
			t.Errorf("%s differs from the real one (-real +ours):\n%s", name, d)
		}
	}
	// The types, wherever they are in the list of the real ones.
	checked := 0
	for _, w := range want.Types {
		id, ok := used[w.Name]
		if !ok || strings.HasPrefix(w.Name, "Option<") || w.Name == "Bytes" || strings.HasPrefix(w.Name, "Vec<") {
			continue
		}
		checked++
		typ := m.Type(id)
		if got := typ.PathString(); got != w.Path {
			t.Errorf("%s has path %s, want %s", w.Name, got, w.Path)
		}
		var got, real []string
		for _, f := range typ.Fields {
			got = append(got, f.Name+":"+polkadotName(m, f.Type))
		}
		for _, v := range typ.Variants {
			s := fmt.Sprint(v.Index, " ", v.Name)
			for _, f := range v.Fields {
				s += " " + f.Name + ":" + polkadotName(m, f.Type)
			}
			got = append(got, s)
		}
		for _, raw := range w.Struct {
			var f [3]string
			if err := json.Unmarshal(raw, &f); err != nil {
				t.Fatal(err)
			}
			real = append(real, f[0]+":"+f[1])
		}
		for _, raw := range w.Enum {
			var v []json.RawMessage
			var index uint8
			var name string
			var fields [][2]string
			if err := errors.Join(json.Unmarshal(raw, &v), json.Unmarshal(v[0], &index), json.Unmarshal(v[1], &name), json.Unmarshal(v[2], &fields)); err != nil {
				t.Fatal(err)
			}
			s := fmt.Sprint(index, " ", name)
			for _, f := range fields {
				s += " " + f[0] + ":" + f[1]
			}
			real = append(real, s)
		}
		if d := cmp.Diff(real, got); d != "" {
			t.Errorf("%s differs from the real one (-real +ours):\n%s", w.Name, d)
		}
	}
	if checked < 20 {
		t.Errorf("only %d types compared", checked)
	}
}

// commas writes a number as polkadot.js does for people.
func commas(v uint64) string {
	s := fmt.Sprint(v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// TestFramePallets checks that what we have of the pallets of the SDK is what a
// real chain has under the same index: calls, events, errors, storage, constants
// and transaction extensions.
func TestFramePallets(t *testing.T) {
	real, err := metadata.Decode(vector(t, "integritee-kusama-560-v15.scale"))
	if err != nil {
		t.Fatal(err)
	}
	ours := newRuntime(t).Metadata
	c := comparer{ours, real, map[[2]metadata.TypeID]bool{}}
	for _, p := range ours.Pallets {
		q := real.Pallet(p.Name)
		if p.Name == "Grandpa" { // not on a parachain
			continue
		}
		if p.Name == "Sudo" && q != nil { // 5 on the solo chain, whose index is ours
			q.Index = 5
		}
		if q == nil || q.Index != p.Index || q.Prefix != p.Prefix {
			t.Errorf("pallet %s is %+v on the real chain", p.Name, q)
			continue
		}
		for what, ids := range map[string][2]*metadata.TypeID{"call": {p.Calls, q.Calls}, "event": {p.Event, q.Event}, "error": {p.Error, q.Error}} {
			if ids[0] == nil {
				continue
			}
			for _, v := range ours.Type(*ids[0]).Variants {
				if v.Name == "OtherSgxVerifyError" { // has details there; never given here
					continue
				}
				if err := c.variant(v, real.Type(*ids[1]).Variants); err != nil {
					t.Errorf("%s: %s %s: %v", p.Name, what, v.Name, err)
				}
			}
		}
		for _, s := range p.Storage {
			i := slices.IndexFunc(q.Storage, func(e metadata.StorageEntry) bool { return e.Name == s.Name })
			if i < 0 {
				t.Errorf("%s: no storage item %s", p.Name, s.Name)
				continue
			}
			r := q.Storage[i]
			if s.Modifier != r.Modifier || !slices.Equal(s.Hashers, r.Hashers) || hex.EncodeToString(s.Default) != hex.EncodeToString(r.Default) {
				t.Errorf("%s.%s: modifier %d, hashers %v, default %x; want %d, %v, %x", p.Name, s.Name, s.Modifier, s.Hashers, s.Default, r.Modifier, r.Hashers, r.Default)
			}
			if err := c.same(s.ValueType, r.ValueType); err != nil {
				t.Errorf("%s.%s: %v", p.Name, s.Name, err)
			}
			if len(s.Hashers) > 0 {
				if err := c.same(s.KeyType, r.KeyType); err != nil {
					t.Errorf("%s.%s: key: %v", p.Name, s.Name, err)
				}
			}
		}
		for _, k := range p.Constants {
			i := slices.IndexFunc(q.Constants, func(e metadata.Constant) bool { return e.Name == k.Name })
			if i < 0 {
				t.Errorf("%s: no constant %s", p.Name, k.Name)
			} else if err := c.same(k.Type, q.Constants[i].Type); err != nil {
				t.Errorf("%s: constant %s: %v", p.Name, k.Name, err)
			}
		}
	}
	if len(ours.Extrinsic.Extensions) != len(real.Extrinsic.Extensions) {
		t.Fatalf("%d extensions, want %d", len(ours.Extrinsic.Extensions), len(real.Extrinsic.Extensions))
	}
	for i, e := range ours.Extrinsic.Extensions {
		r := real.Extrinsic.Extensions[i]
		if e.Identifier != r.Identifier {
			t.Errorf("extension %d is %s, want %s", i, e.Identifier, r.Identifier)
		}
		if err := errors.Join(c.same(e.Type, r.Type), c.same(e.Additional, r.Additional)); err != nil {
			t.Errorf("extension %s: %v", e.Identifier, err)
		}
	}
	for _, ids := range [][2]metadata.TypeID{{ours.Extrinsic.Address, real.Extrinsic.Address}, {ours.Extrinsic.Signature, real.Extrinsic.Signature}} {
		if err := c.same(ids[0], ids[1]); err != nil {
			t.Error(err)
		}
	}
}

// comparer compares types of two metadata by what they encode, and by names of
// fields and variants.
type comparer struct {
	ours, real *metadata.Metadata
	seen       map[[2]metadata.TypeID]bool
}

// bare unwraps types that are only a name for another, and unit types.
func bare(m *metadata.Metadata, id metadata.TypeID) *metadata.Type {
	for {
		t := m.Type(id)
		switch {
		case t.Kind == metadata.KindComposite && len(t.Fields) == 1 && t.Fields[0].Name == "":
			id = t.Fields[0].Type
		case t.Kind == metadata.KindTuple && len(t.Tuple) == 1:
			id = t.Tuple[0]
		default:
			return t
		}
	}
}

func (c comparer) same(a, b metadata.TypeID) error {
	if c.seen[[2]metadata.TypeID{a, b}] {
		return nil
	}
	c.seen[[2]metadata.TypeID{a, b}] = true
	x, y := bare(c.ours, a), bare(c.real, b)
	if (x.Name() == "RuntimeEvent" || x.Name() == "RuntimeCall") && x.Name() == y.Name() {
		return nil // the pallets differ
	}
	describe := func(t *metadata.Type) string { return fmt.Sprintf("kind %d %s", t.Kind, t.PathString()) }
	empty := func(t *metadata.Type) bool {
		return t.Kind == metadata.KindTuple && len(t.Tuple) == 0 || t.Kind == metadata.KindComposite && len(t.Fields) == 0
	}
	if empty(x) && empty(y) {
		return nil
	}
	if x.Kind != y.Kind {
		return fmt.Errorf("is %s, want %s", describe(x), describe(y))
	}
	if len(x.Path) > 0 && len(y.Path) > 0 && x.Name() != y.Name() {
		return fmt.Errorf("is %s, want %s", describe(x), describe(y))
	}
	switch x.Kind {
	case metadata.KindComposite:
		return c.fields(x.Fields, y.Fields)
	case metadata.KindVariant:
		for _, v := range x.Variants {
			if err := c.variant(v, y.Variants); err != nil {
				return fmt.Errorf("%s: %s: %w", x.Name(), v.Name, err)
			}
		}
	case metadata.KindSequence, metadata.KindCompact, metadata.KindArray:
		if x.Len != y.Len {
			return fmt.Errorf("length %d, want %d", x.Len, y.Len)
		}
		return c.same(x.Elem, y.Elem)
	case metadata.KindTuple:
		if len(x.Tuple) != len(y.Tuple) {
			return fmt.Errorf("tuple of %d, want %d", len(x.Tuple), len(y.Tuple))
		}
		for i := range x.Tuple {
			if err := c.same(x.Tuple[i], y.Tuple[i]); err != nil {
				return err
			}
		}
	case metadata.KindPrimitive:
		if x.Primitive != y.Primitive {
			return fmt.Errorf("is %s, want %s", x.Primitive, y.Primitive)
		}
	}
	return nil
}

func (c comparer) variant(v metadata.Variant, list []metadata.Variant) error {
	for _, w := range list {
		if w.Index == v.Index {
			if w.Name != v.Name {
				return fmt.Errorf("index %d is %s", v.Index, w.Name)
			}
			return c.fields(v.Fields, w.Fields)
		}
	}
	return fmt.Errorf("no index %d", v.Index)
}

func (c comparer) fields(a, b []metadata.Field) error {
	if len(a) != len(b) {
		return fmt.Errorf("%d fields, want %d", len(a), len(b))
	}
	for i := range a {
		if a[i].Name != b[i].Name {
			return fmt.Errorf("field %d is %q, want %q", i, a[i].Name, b[i].Name)
		}
		if err := c.same(a[i].Type, b[i].Type); err != nil {
			return fmt.Errorf("field %s: %w", a[i].Name, err)
		}
	}
	return nil
}

// TestMetadataVersions checks that both offered versions decode to the same.
func TestMetadataVersions(t *testing.T) {
	r := newRuntime(t)
	for _, v := range []uint8{14, 15} {
		m, err := metadata.Decode(r.MetadataBytes(v))
		if err != nil || m.Version != v {
			t.Fatalf("version %d: %v", v, err)
		}
		if index, ok := m.CallIndex("EnclaveBridge", "invoke"); !ok || index != [2]byte{54, 0} {
			t.Errorf("version %d: invoke is %v", v, index)
		}
		if v == 15 && len(m.APIs) != len(runtimeAPIs) {
			t.Errorf("%d runtime APIs, want %d", len(m.APIs), len(runtimeAPIs))
		}
	}
	if r.MetadataBytes(16) != nil {
		t.Error("version 16 offered")
	}
}
