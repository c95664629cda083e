package runtimecode

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"unicode"

	"github.com/tetratelabs/wazero/api"
	"golang.org/x/crypto/sha3"

	"github.com/offchain-worker/sdk/substrate/hashing"
)

// host is what a runtime finds around itself during one call. It belongs to
// that call.
type host struct {
	memory api.Memory
	fuel   counter
	alloc  *allocator
	said   string // the last message of the runtime, for its trap
}

// counter is the global that counts instructions down.
type counter interface {
	Get() uint64
	Set(uint64)
}

// stop is what host functions panic with; wazero unwinds the call and returns
// it as the error. The runtime cannot catch it.
func stop(format string, args ...any) { panic(fmt.Errorf(format, args...)) }

// spend pays for work on n bytes.
func (h *host) spend(n uint32) {
	left := int64(h.fuel.Get()) - int64(n)
	h.fuel.Set(uint64(left))
	if left < 0 {
		panic(errFuel)
	}
}

func (h *host) read(address, size uint32) []byte {
	h.spend(size)
	b, ok := h.memory.Read(address, size)
	if !ok {
		stop("%w: it names %d bytes at %#x", ErrTrap, size, address)
	}
	return b
}

// slice reads what a pointer with length names. The bytes change with the
// memory.
func (h *host) slice(pointer uint64) []byte { return h.read(uint32(pointer), uint32(pointer>>32)) }

// store puts bytes into new memory.
func (h *host) store(b []byte) uint32 {
	h.spend(uint32(len(b)))
	address, err := h.alloc.malloc(uint32(len(b)))
	if err != nil {
		panic(err)
	}
	if !h.memory.Write(address, b) {
		stop("%w: no memory at %#x", ErrTrap, address)
	}
	return address
}

// say keeps a message of the runtime, which most likely is the reason for a
// trap that follows.
func (h *host) say(b []byte) {
	const most = 200
	h.said = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, string(b[:min(len(b), most)]))
}

// hostFunction is a function that is offered. What it does with stack is as
// wazero says: arguments in, results out. Arguments of type i32 may have dirty
// upper bits, so they are read by api.DecodeU32 only.
type hostFunction struct {
	params, results []byte
	call            func(h *host, stack []uint64)
}

// hashFunction offers a hash of fixed length: pointer with length in, pointer
// out.
func hashFunction[H any](sum func([]byte) H, bytes func(H) []byte) hostFunction {
	return hostFunction{[]byte{i64}, []byte{i32}, func(h *host, stack []uint64) {
		stack[0] = api.EncodeU32(h.store(bytes(sum(h.slice(stack[0])))))
	}}
}

// nothing is a function whose work has no effect here.
func nothing(params ...byte) hostFunction {
	return hostFunction{params, nil, func(*host, []uint64) {}}
}

// absent answers that the state, which is empty, has no such key.
var absent = hostFunction{[]byte{i64}, []byte{i64}, func(h *host, stack []uint64) {
	h.slice(stack[0])
	stack[0] = h.packed([]byte{0}) // None
}}

// packed stores bytes and returns their pointer with length.
func (h *host) packed(b []byte) uint64 {
	return uint64(len(b))<<32 | uint64(h.store(b))
}

// hostFunctions are the functions offered to runtimes, all of module env.
// Whatever else a runtime imports is linked to a stub that traps. Storage is
// empty and cannot be written: answers are kept by code hash, so they must not
// come from a state.
var hostFunctions = map[string]hostFunction{
	"ext_allocator_malloc_version_1": {[]byte{i32}, []byte{i32}, func(h *host, stack []uint64) {
		address, err := h.alloc.malloc(api.DecodeU32(stack[0]))
		if err != nil {
			panic(err)
		}
		stack[0] = api.EncodeU32(address)
	}},
	"ext_allocator_free_version_1": {[]byte{i32}, nil, func(h *host, stack []uint64) {
		if err := h.alloc.release(api.DecodeU32(stack[0])); err != nil {
			panic(err)
		}
	}},

	"ext_hashing_blake2_128_version_1": hashFunction(hashing.Blake2b128, func(h [16]byte) []byte { return h[:] }),
	"ext_hashing_blake2_256_version_1": hashFunction(blake2b256, func(h hashing.Hash) []byte { return h[:] }),
	"ext_hashing_keccak_256_version_1": hashFunction(keccak256, func(h hashing.Hash) []byte { return h[:] }),
	"ext_hashing_keccak_512_version_1": hashFunction(keccak512, func(h []byte) []byte { return h }),
	"ext_hashing_sha2_256_version_1":   hashFunction(sha256.Sum256, func(h [32]byte) []byte { return h[:] }),
	"ext_hashing_twox_64_version_1":    hashFunction(hashing.Twox64, func(h [8]byte) []byte { return h[:] }),
	"ext_hashing_twox_128_version_1":   hashFunction(hashing.Twox128, func(h [16]byte) []byte { return h[:] }),
	"ext_hashing_twox_256_version_1":   hashFunction(hashing.Twox256, func(h hashing.Hash) []byte { return h[:] }),

	"ext_storage_get_version_1":      absent,
	"ext_storage_next_key_version_1": absent,
	"ext_storage_read_version_1": {[]byte{i64, i64, i32}, []byte{i64}, func(h *host, stack []uint64) {
		h.slice(stack[0])
		stack[0] = h.packed([]byte{0}) // None
	}},
	"ext_storage_exists_version_1": {[]byte{i64}, []byte{i32}, func(h *host, stack []uint64) {
		h.slice(stack[0])
		stack[0] = 0
	}},
	// Transactions around nothing.
	"ext_storage_start_transaction_version_1":    nothing(),
	"ext_storage_commit_transaction_version_1":   nothing(),
	"ext_storage_rollback_transaction_version_1": nothing(),
	// No proof is being recorded.
	"ext_storage_proof_size_storage_proof_size_version_1": {nil, []byte{i64}, func(_ *host, stack []uint64) {
		stack[0] = 1<<64 - 1
	}},

	"ext_logging_max_level_version_1": {nil, []byte{i32}, func(_ *host, stack []uint64) {
		stack[0] = 0 // off
	}},
	"ext_logging_log_version_1": {[]byte{i32, i64, i64}, nil, func(h *host, stack []uint64) {
		h.say(h.slice(stack[2]))
	}},
	"ext_misc_print_utf8_version_1": {[]byte{i64}, nil, func(h *host, stack []uint64) {
		h.say(h.slice(stack[0]))
	}},
	"ext_misc_print_hex_version_1": nothing(i64),
	"ext_misc_print_num_version_1": nothing(i64),
	"ext_panic_handler_abort_on_panic_version_1": {[]byte{i64}, nil, func(h *host, stack []uint64) {
		h.say(h.slice(stack[0]))
		stop("%w: panic", ErrTrap)
	}},
}

func blake2b256(b []byte) hashing.Hash { return hashing.Blake2b256(b) }

func keccak256(b []byte) hashing.Hash { return hashing.Keccak256(b) }

func keccak512(b []byte) []byte {
	d := sha3.NewLegacyKeccak512()
	d.Write(b)
	return d.Sum(nil)
}

// link returns the Go function for an import of type t: the one offered, or a
// stub that names the import. An import that has another type than the function
// offered is none that we know.
func link(i imported, t funcType) api.GoModuleFunc {
	f, ok := hostFunctions[i.name]
	if !ok || i.module != "env" || string(f.params) != string(t.params) || string(f.results) != string(t.results) {
		missing := &MissingFunctionError{Module: i.module, Name: i.name}
		return func(context.Context, api.Module, []uint64) { panic(missing) }
	}
	return func(ctx context.Context, _ api.Module, stack []uint64) { f.call(hostOf(ctx), stack) }
}

type hostKey struct{}

// hostOf returns the host of the call that ctx belongs to. The context is the
// one thing that wazero hands through to host functions, which are made once
// for all calls.
func hostOf(ctx context.Context) *host { return ctx.Value(hostKey{}).(*host) }
