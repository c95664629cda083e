// Package gencode writes runtimes: small WebAssembly modules that answer
// Core_version and the Metadata calls from their data. The dev chain, whose
// runtime is Go, puts one under `:code`, so that workers learn its version and
// metadata in the way that they learn those of real chains (package
// runtimecode), and other Substrate tools can, too. Start with [Generate].
//
// The modules are encoded here byte by byte, without any tool, and depend on
// the arguments alone. They cannot execute blocks.
//
// Source: WebAssembly core specification 1.0, section 5; w3f polkadot-spec
// (runtime API); sp-version (custom sections).
package gencode

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/system"
)

const (
	pageSize = 1 << 16
	// dataBase is where the data begin in memory. Below it runtimes have their
	// stack.
	dataBase = 1 << 16
	// maxData bounds the data, far above what metadata need.
	maxData = 32 << 20
	// minCore is the version of the API Core from which on RuntimeVersion has
	// all of its fields.
	minCore = 4
)

// Generate returns a runtime that says of itself what it is given. The bytes
// depend on nothing else. metadataByVersion holds encoded metadata, which
// starts with "meta", by version; 14 is required, since Metadata_metadata
// returns it. version must list the runtime API Core in version 4 or later, as
// its encoding depends on that.
//
// The answers of the generated functions are those of a runtime: an argument of
// Metadata_metadata_at_version that is no u32 traps.
func Generate(version system.RuntimeVersion, metadataByVersion map[uint32][]byte) ([]byte, error) {
	encoded, bare, apis, err := encodeVersion(version)
	if err != nil {
		return nil, err
	}
	versions := slices.Sorted(maps.Keys(metadataByVersion))
	if !slices.Contains(versions, 14) {
		return nil, errors.New("gencode: metadata of version 14 is required")
	}
	var d data
	coreVersion := d.add(encoded)
	list := d.add(scale.MustMarshal(versions))
	none := d.add([]byte{0})
	var some []region
	var plain region
	for _, v := range versions {
		m := metadataByVersion[v]
		if len(m) < 5 || string(m[:4]) != "meta" || uint32(m[4]) != v {
			return nil, fmt.Errorf("gencode: metadata of version %d do not say that they are", v)
		}
		r := d.add(scale.AppendBytes([]byte{1}, m))
		some = append(some, r)
		if v == 14 {
			plain = region{r.address + 1, r.size - 1} // without the Some
		}
		if len(d.bytes) > maxData {
			return nil, fmt.Errorf("gencode: over %d bytes of metadata", maxData)
		}
	}
	heapBase := (dataBase + uint32(len(d.bytes)) + 7) &^ 7

	functions := []function{
		{"Core_version", answer(coreVersion)},
		{"Metadata_metadata", answer(plain)},
		{"Metadata_metadata_at_version", atVersion(versions, some, none)},
		{"Metadata_metadata_versions", answer(list)},
	}
	var types, exports, codes [][]byte
	for i, f := range functions {
		types = append(types, []byte{0})
		exports = append(exports, append(appendName(nil, f.name), kindFunction, byte(i)))
		codes = append(codes, appendBytes(nil, append([]byte{0 /* no locals */}, append(f.code, opEnd)...)))
	}
	exports = append(exports, append(appendName(nil, "__heap_base"), kindGlobal, 0))
	memory := append(appendName(appendName(nil, "env"), "memory"), kindMemory, 0 /* no maximum */)

	out := []byte{0, 'a', 's', 'm', 1, 0, 0, 0}
	out = section(out, 1, []byte{0x60, 2, i32, i32, 1, i64}) // the type of entry points
	out = section(out, 2, appendU32(memory, heapBase/pageSize+1))
	out = section(out, 3, types...)
	out = section(out, 6, append(constant([]byte{i32, 0 /* immutable */}, heapBase), opEnd))
	out = section(out, 7, exports...)
	out = section(out, 10, codes...)
	out = section(out, 11, appendBytes(append(constant([]byte{0 /* memory */}, dataBase), opEnd), d.bytes))
	return custom(custom(out, "runtime_version", bare), "runtime_apis", apis), nil
}

// encodeVersion returns the answer of Core_version, and what stands in the
// custom sections: the same without APIs, and the APIs without their number.
func encodeVersion(v system.RuntimeVersion) (full, bare, apis []byte, err error) {
	core := hashing.Blake2b64([]byte("Core"))
	known := false
	for _, a := range v.APIs {
		known = known || a.ID == core && a.Version >= minCore
		apis = scale.AppendU32(append(apis, a.ID[:]...), a.Version)
	}
	if !known {
		return nil, nil, nil, fmt.Errorf("gencode: the runtime API Core of version %d or later is missing", minCore)
	}
	if full, err = scale.Marshal(v); err != nil {
		return nil, nil, nil, err
	}
	v.APIs = nil
	bare, err = scale.Marshal(v)
	return full, bare, apis, err
}

// region is a part of the memory.
type region struct{ address, size uint32 }

// data collects what lies in memory from dataBase on.
type data struct{ bytes []byte }

func (d *data) add(b []byte) region {
	r := region{dataBase + uint32(len(d.bytes)), uint32(len(b))}
	d.bytes = append(d.bytes, b...)
	return r
}

// function is an exported function of type (i32, i32) -> i64.
type function struct {
	name string
	code []byte
}

const (
	i32 = 0x7f
	i64 = 0x7e

	kindFunction = 0
	kindMemory   = 2
	kindGlobal   = 3

	opUnreachable = 0x00
	opIf          = 0x04
	opEnd         = 0x0b
	opReturn      = 0x0f
	opLocalGet    = 0x20
	opI32Load     = 0x28
	opI32Const    = 0x41
	opI64Const    = 0x42
	opI32Eq       = 0x46
	opI32Ne       = 0x47
	emptyType     = 0x40
)

// answer is code that returns a region: its length in the upper half, its
// address in the lower.
func answer(r region) []byte {
	return appendSigned([]byte{opI64Const}, int64(r.size)<<32|int64(r.address))
}

// atVersion is code that reads its argument, a u32, and returns the region of
// that version, or none.
func atVersion(versions []uint32, some []region, none region) []byte {
	code := []byte{opLocalGet, 1, opI32Const, 4, opI32Ne, opIf, emptyType, opUnreachable, opEnd}
	for i, v := range versions {
		code = append(code, opLocalGet, 0, opI32Load, 0 /* any alignment */, 0 /* offset */)
		code = append(constant(code, v), opI32Eq, opIf, emptyType)
		code = append(append(code, answer(some[i])...), opReturn, opEnd)
	}
	return append(code, answer(none)...)
}

// constant appends an i32.const.
func constant(b []byte, v uint32) []byte { return appendSigned(append(b, opI32Const), int64(int32(v))) }

func section(b []byte, id byte, items ...[]byte) []byte {
	content := appendU32(nil, uint32(len(items)))
	for _, i := range items {
		content = append(content, i...)
	}
	return appendBytes(append(b, id), content)
}

func custom(b []byte, name string, content []byte) []byte {
	return appendBytes(append(b, 0), append(appendName(nil, name), content...))
}

func appendU32(b []byte, v uint32) []byte { return binary.AppendUvarint(b, uint64(v)) }

func appendName(b []byte, s string) []byte { return appendBytes(b, []byte(s)) }

func appendBytes(b, v []byte) []byte { return append(appendU32(b, uint32(len(v))), v...) }

// appendSigned appends v in signed LEB128.
func appendSigned(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}
