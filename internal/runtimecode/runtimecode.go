// Package runtimecode executes the proven value of `:code` for the two things
// that the core must know of a parentchain's runtime and can believe from
// nobody else: its version and its metadata (RULES 26). Start with [Execute];
// package gencode makes modules that answer it, for the dev chain.
//
// What is trusted: nothing but wazero's interpreter. The blob has been proven
// to be the chain's, which says nothing of its being harmless, so everything
// that it can use up is bounded, deterministically, by [Limits]: its size
// before and after decompression, its memory, and the number of instructions
// that it executes. The module is taken apart and put together again before
// wazero sees it (see rewrite.go), so no length in it makes wazero allocate
// what the bytes do not cover. The same blob and limits give the same result
// on every machine; only a cancelled context depends on time, and that is an
// error, never another result. wazero's compiler is never used, and no
// compiled code is kept, read or written.
//
// The host functions are those that the calls need: allocator, hashing, reads
// of a state that is empty (the result is cached by code hash, so it must not
// depend on a state), logs, which are dropped. All others are linked to a stub
// that ends the call and names itself. A runtime cannot read a clock, a file or
// a socket, and cannot execute blocks here.
//
// Tried (2026-11) on eight runtimes of public repositories, of 2021 to 2025: five
// of Integritee's chain specs, a shell parachain, a minimal template, Westend.
// Version and metadata (14, and 15 where offered) equal those that
// @polkadot-api/wasm-executor 0.2.3 gets, and System.Version in the metadata;
// that of Integritee Paseo equals what a node of the chain answered. Westend,
// the largest, takes 41 million instructions and, on two shared cores, 0.4 s,
// 166 MB allocated, 65 MB in use. TestRealRuntimes repeats this.
//
// Source: w3f polkadot-spec (host API, runtime API), sp-maybe-compressed-blob,
// sp-version, sc-allocator (freeing_bump), sp-metadata-ir.
package runtimecode

import (
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/system"
)

// Errors of Execute, to be tested with errors.Is. A context's own error is
// returned as it is.
var (
	// ErrMalformed means bytes that are no runtime: not zstd, not WebAssembly,
	// an entry point that is missing or of another type, an answer that does
	// not decode.
	ErrMalformed = errors.New("malformed runtime code")
	// ErrUnsupported means a runtime that uses what the executor does not
	// offer: a WebAssembly feature that Substrate's own executor switches off,
	// or a metadata version that package metadata does not read.
	ErrUnsupported = errors.New("unsupported runtime code")
	// ErrLimit means that one of the Limits was reached.
	ErrLimit = errors.New("runtime code exceeds a limit")
	// ErrTrap means that the runtime ended a call by itself, by a panic, or
	// called a host function that is not offered (MissingFunctionError).
	ErrTrap = errors.New("the runtime trapped")
)

// MissingFunctionError says which host function the runtime called that the
// executor does not offer. It is an ErrTrap.
type MissingFunctionError struct{ Module, Name string }

func (e *MissingFunctionError) Error() string {
	return "the runtime called " + e.Module + "." + e.Name + ", which is not offered here"
}

// Is makes the error an ErrTrap.
func (e *MissingFunctionError) Is(target error) bool { return target == ErrTrap }

// Limits bound an execution. The zero value means the defaults.
type Limits struct {
	// CodeSize is the size of the WebAssembly module in bytes, after
	// decompression. Default 50 MiB, as Substrate's CODE_BLOB_BOMB_LIMIT.
	CodeSize int
	// MemoryPages is the linear memory in pages of 64 KiB. Default 2048
	// (128 MiB).
	MemoryPages uint32
	// Instructions is how many WebAssembly instructions all calls together
	// may execute; host functions count by the bytes that they go through.
	// Default 1,000,000,000, which is 24 times what Westend's metadata takes.
	Instructions int64
}

// Runtime is what the code says of itself.
type Runtime struct {
	// CodeHash is the BLAKE2b-256 hash of the value of `:code` as it stands
	// in the state (compressed, if it is): the key to cache the rest by.
	CodeHash hashing.Hash
	Version  system.RuntimeVersion
	// Metadata starts with "meta"; metadata.Decode reads it. It is V14 where
	// the runtime offers that, else the highest version that package metadata
	// reads.
	Metadata []byte
}

// The defaults of Limits.
const (
	defaultCodeSize     = 50 << 20
	defaultMemoryPages  = 2048
	defaultInstructions = 1_000_000_000
)

// withDefaults returns the limits with each zero replaced.
func (l Limits) withDefaults() (Limits, error) {
	if l.CodeSize == 0 {
		l.CodeSize = defaultCodeSize
	}
	if l.MemoryPages == 0 {
		l.MemoryPages = defaultMemoryPages
	}
	if l.Instructions == 0 {
		l.Instructions = defaultInstructions
	}
	// The size of a memory of 65,536 pages does not fit 32 bits.
	if l.CodeSize < 0 || l.MemoryPages > 1<<16-1 || l.Instructions < 0 {
		return Limits{}, fmt.Errorf("runtimecode: limits out of range: %+v", l)
	}
	return l, nil
}
