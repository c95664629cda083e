package gencode_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/internal/runtimecode"
	"github.com/offchain-worker/sdk/internal/runtimecode/gencode"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/system"
)

func version() system.RuntimeVersion {
	return system.RuntimeVersion{
		SpecName: "generated", ImplName: "generated-impl", AuthoringVersion: 1, SpecVersion: 7, ImplVersion: 2,
		APIs: []system.RuntimeAPI{
			{ID: hashing.Blake2b64([]byte("Core")), Version: 5},
			{ID: hashing.Blake2b64([]byte("Metadata")), Version: 2},
		},
		TransactionVersion: 3, SystemVersion: 1,
	}
}

func metadata(v byte, size int) []byte {
	return append([]byte{'m', 'e', 't', 'a', v}, bytes.Repeat([]byte{v}, size)...)
}

func TestGenerate(t *testing.T) {
	for name, sizes := range map[string][2]int{
		"small":          {0, 1},
		"a page":         {1<<16 - 100, 20},
		"a megabyte":     {1 << 20, 1<<20 + 1},
		"long and short": {1 << 22, 1 << 14},
	} {
		t.Run(name, func(t *testing.T) {
			all := map[uint32][]byte{14: metadata(14, sizes[0]), 15: metadata(15, sizes[1])}
			code, err := gencode.Generate(version(), all)
			if err != nil {
				t.Fatal(err)
			}
			again, err := gencode.Generate(version(), all)
			if err != nil || !bytes.Equal(code, again) {
				t.Error("the same arguments gave other bytes")
			}
			rt, err := runtimecode.Execute(context.Background(), code, runtimecode.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(version(), rt.Version); diff != "" {
				t.Error(diff)
			}
			if !bytes.Equal(rt.Metadata, all[14]) {
				t.Errorf("metadata of %d bytes are not the %d given", len(rt.Metadata), len(all[14]))
			}
			if rt.CodeHash != hashing.Blake2b256(code) {
				t.Error("code hash")
			}
		})
	}
}

// TestPinned notices when the generator writes other bytes than before: the
// dev chain's genesis hash depends on them.
func TestPinned(t *testing.T) {
	code, err := gencode.Generate(version(), map[uint32][]byte{14: metadata(14, 3), 15: metadata(15, 3)})
	if err != nil {
		t.Fatal(err)
	}
	const want = "68bcd4ee39fc00e7f399ad1705440098fbd690fde9e79093b567575ed3f77d73"
	if sum := sha256.Sum256(code); hex.EncodeToString(sum[:]) != want {
		t.Errorf("the module has SHA-256 %x, want %s:\n%s", sum, want, hex.Dump(code))
	}
}

func TestRefused(t *testing.T) {
	old := version()
	old.APIs = []system.RuntimeAPI{{ID: hashing.Blake2b64([]byte("Core")), Version: 3}}
	good := map[uint32][]byte{14: metadata(14, 3)}
	for name, c := range map[string]struct {
		version  system.RuntimeVersion
		metadata map[uint32][]byte
	}{
		"old core":       {old, good},
		"no APIs":        {system.RuntimeVersion{}, good},
		"no version 14":  {version(), map[uint32][]byte{15: metadata(15, 3)}},
		"other version":  {version(), map[uint32][]byte{14: metadata(15, 3)}},
		"no metadata":    {version(), map[uint32][]byte{14: metadata(14, 3), 15: nil}},
		"too much":       {version(), map[uint32][]byte{14: metadata(14, 32<<20)}},
		"length in them": {version(), map[uint32][]byte{14: append([]byte{20}, metadata(14, 0)...)}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := gencode.Generate(c.version, c.metadata); err == nil {
				t.Error("no error")
			}
		})
	}
}
