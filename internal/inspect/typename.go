package inspect

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/offchain-worker/sdk/substrate/metadata"
)

// Limits of type names. Metadata can nest types for ever, and tuples of tuples
// make names of exponential length; what goes beyond is named by its id.
const (
	maxTypeName  = 200 // bytes of a name
	maxTypeDepth = 8
)

// namer names types as polkadot.js does: structs and enums by their path in
// camel case, others by their content.
type namer struct {
	m     *metadata.Metadata
	names map[metadata.TypeID]string // of types that were named from depth 0
}

func newNamer(m *metadata.Metadata) *namer {
	return &namer{m, map[metadata.TypeID]string{}}
}

// typeName returns the name of a type. It is the same whatever was named before.
func (n *namer) typeName(id metadata.TypeID) string {
	s, ok := n.names[id]
	if !ok {
		budget := maxTypeName
		s = n.name(id, 0, &budget)
		n.names[id] = s
	}
	return s
}

// name returns the name of a type inside another. budget is what is left for
// the outermost name, so that the work is bounded by it.
func (n *namer) name(id metadata.TypeID, depth int, budget *int) string {
	t := n.m.Type(id)
	if t == nil || depth > maxTypeDepth || *budget <= 0 {
		*budget -= 8
		return fmt.Sprintf("Type%d", id)
	}
	s := n.own(t, depth, budget)
	if s == "" {
		s = fmt.Sprintf("Type%d", id)
	}
	return s
}

func (n *namer) own(t *metadata.Type, depth int, budget *int) string {
	inner := func(id metadata.TypeID) string { return n.name(id, depth+1, budget) }
	*budget -= 2 // brackets or commas
	switch t.PathString() {
	case "Option":
		if len(t.Variants) == 2 && len(t.Variants[1].Fields) == 1 {
			return "Option<" + inner(t.Variants[1].Fields[0].Type) + ">"
		}
	case "sp_core::crypto::AccountId32", "primitive_types::H160", "primitive_types::H256", "primitive_types::H512":
		return t.Name()
	case "frame_system::extensions::check_mortality::CheckMortality", "sp_runtime::generic::era::Era":
		return "Era"
	case "bounded_collections::bounded_vec::BoundedVec", "bounded_collections::weak_bounded_vec::WeakBoundedVec",
		"sp_core::bounded::bounded_vec::BoundedVec", "sp_core::bounded::weak_bounded_vec::WeakBoundedVec":
		if len(t.Fields) == 1 {
			return inner(t.Fields[0].Type)
		}
	}
	switch t.Kind {
	case metadata.KindPrimitive:
		*budget -= len(t.Primitive.String())
		return t.Primitive.String()
	case metadata.KindCompact:
		return "Compact<" + inner(t.Elem) + ">"
	case metadata.KindArray:
		return fmt.Sprintf("[%s;%d]", inner(t.Elem), t.Len)
	case metadata.KindSequence:
		if e := n.m.Type(t.Elem); e != nil && e.Kind == metadata.KindPrimitive && e.Primitive == metadata.U8 {
			return "Bytes"
		}
		return "Vec<" + inner(t.Elem) + ">"
	case metadata.KindBitSequence:
		return "BitVec"
	case metadata.KindTuple:
		if len(t.Tuple) == 0 {
			return "Null"
		}
		return "(" + n.list(t.Tuple, depth, budget) + ")"
	}
	s := camelPath(t.Path)
	*budget -= len(s)
	if len(t.Path) == 1 && len(t.Params) > 0 { // Result, BTreeMap and the like
		var params []metadata.TypeID
		for _, p := range t.Params {
			if p.Type != nil {
				params = append(params, *p.Type)
			}
		}
		s += "<" + n.list(params, depth, budget) + ">"
	}
	return s
}

func (n *namer) list(items []metadata.TypeID, depth int, budget *int) string {
	var parts []string
	for i, id := range items {
		if *budget <= 0 {
			parts = append(parts, fmt.Sprintf("%d more", len(items)-i))
			break
		}
		parts = append(parts, n.name(id, depth+1, budget))
	}
	return strings.Join(parts, ",")
}

// dropped are second parts of paths that names leave out.
var dropped = map[string]bool{"Generic": true, "Misc": true, "Pallet": true, "Traits": true, "Types": true}

// camelPath joins a path: teerex_primitives::SgxStatus is
// TeerexPrimitivesSgxStatus. A part that repeats the next one is left out.
func camelPath(path []string) string {
	var parts []string
	for i, part := range path {
		camel := camelCase(part)
		if i+1 < len(path) && (i == 1 && dropped[camel] || strings.EqualFold(camel, camelCase(path[i+1]))) {
			continue
		}
		parts = append(parts, camel)
	}
	s := strings.Join(parts, "")
	if len(s) > maxTypeName {
		s = strings.ToValidUTF8(s[:maxTypeName], "") + "…"
	}
	return s
}

func camelCase(s string) string {
	var b strings.Builder
	for _, word := range strings.Split(s, "_") {
		first, size := utf8.DecodeRuneInString(word)
		if size > 0 {
			b.WriteRune(unicode.ToUpper(first))
			b.WriteString(word[size:])
		}
	}
	return b.String()
}
