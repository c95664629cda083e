package runtimecode

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/experimental/wazerotest"
	"pgregory.net/rapid"
)

// fuelTank is the instruction counter of a host without a runtime.
type fuelTank uint64

func (f *fuelTank) Get() uint64  { return uint64(*f) }
func (f *fuelTank) Set(v uint64) { *f = fuelTank(v) }

// testHost is a host on a memory without a runtime.
func testHost(t testing.TB, fuel int64) *host {
	t.Helper()
	m := wazerotest.NewMemory(2 * pageSize)
	m.Max = 8
	a, err := newAllocator(m, 1<<12)
	if err != nil {
		t.Fatal(err)
	}
	tank := fuelTank(fuel)
	return &host{memory: m, fuel: &tank, alloc: a}
}

// dirt stands in the upper half of arguments of type i32, where wazero's
// compiler leaves what was there.
const dirt = 0xdead_beef << 32

// invoke calls a host function as wazero does.
func (h *host) invoke(name string, args ...uint64) (result uint64, err error) {
	f := hostFunctions[name]
	stack := make([]uint64, max(len(args), len(f.results), 1))
	copy(stack, args)
	for i, p := range f.params {
		if p == i32 {
			stack[i] |= dirt
		}
	}
	defer func() {
		if v := recover(); v != nil {
			err = v.(error)
		}
	}()
	f.call(h, stack)
	return stack[0], nil
}

// put writes b into memory and returns its pointer with length.
func (h *host) put(t testing.TB, b []byte) uint64 {
	t.Helper()
	const at = 64
	if !h.memory.Write(at, b) {
		t.Fatal("no memory")
	}
	return uint64(len(b))<<32 | at
}

// TestHashing has published values: those of the empty input and of "abc" of
// BLAKE2, SHA-2, Keccak and XXH64.
func TestHashing(t *testing.T) {
	for name, want := range map[string][2]string{
		"blake2_128": {"cae66941d9efbd404e4d88758ea67670", "cf4ab791c62b8d2b2109c90275287816"},
		"blake2_256": {"0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8", "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"},
		"keccak_256": {"c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"},
		"keccak_512": {"0eab42de4c3ceb9235fc91acffe746b29c29a8c366b7c60e4e67c466f36a4304c00fa9caf9d87976ba469bcbe06713b435f091ef2769fb160cdab33d3670680e",
			"18587dc2ea106b9a1563e32b3312421ca164c7f1f07bc922a9c83d77cea3a1e5d0c69910739025372dc14ac9642629379540c17e2a65b19d77aa511a9d00bb96"},
		"sha2_256": {"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		"twox_64":  {"99e9d85137db46ef", "990977adf52cbc44"},
		"twox_128": {"99e9d85137db46ef4bbea33613baafd5", "990977adf52cbc440889329981caa9be"},
	} {
		for i, input := range []string{"", "abc"} {
			h := testHost(t, 10000)
			result, err := h.invoke("ext_hashing_"+name+"_version_1", h.put(t, []byte(input)))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got, _ := h.memory.Read(uint32(result), uint32(len(want[i])/2))
			if hex.EncodeToString(got) != want[i] {
				t.Errorf("%s(%q) = %x, want %s", name, input, got, want[i])
			}
			if result>>32 != 0 {
				t.Errorf("%s: dirty result %#x", name, result)
			}
		}
	}
}

// TestStorageIsEmpty: reads find nothing, and nothing can be written.
func TestStorageIsEmpty(t *testing.T) {
	h := testHost(t, 10000)
	key := h.put(t, []byte(":code"))
	for name, args := range map[string][]uint64{
		"ext_storage_get_version_1":      {key},
		"ext_storage_next_key_version_1": {key},
		"ext_storage_read_version_1":     {key, 100<<32 | 200, 0},
	} {
		result, err := h.invoke(name, args...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if b, _ := h.memory.Read(uint32(result), uint32(result>>32)); !bytes.Equal(b, []byte{0}) {
			t.Errorf("%s: %x, want None", name, b)
		}
	}
	if found, err := h.invoke("ext_storage_exists_version_1", key); err != nil || found != 0 {
		t.Errorf("exists: %d, %v", found, err)
	}
	for name := range hostFunctions {
		for _, word := range []string{"set", "put", "clear", "append", "kill", "root", "offchain", "crypto", "generate"} {
			if strings.Contains(name, "_"+word) {
				t.Errorf("%s is offered", name)
			}
		}
	}
}

func TestHostRefuses(t *testing.T) {
	h := testHost(t, 1<<40)
	for name, c := range map[string]struct {
		function string
		args     []uint64
		err      error
	}{
		"bytes outside":      {"ext_hashing_twox_64_version_1", []uint64{8<<32 | 2*pageSize - 4}, ErrTrap},
		"bytes over the end": {"ext_hashing_twox_64_version_1", []uint64{math.MaxUint32<<32 | 8}, ErrTrap},
		"free of nothing":    {"ext_allocator_free_version_1", []uint64{0}, ErrTrap},
		"free of the heap":   {"ext_allocator_free_version_1", []uint64{1<<12 + 8}, ErrTrap},
		"too large":          {"ext_allocator_malloc_version_1", []uint64{1<<25 + 1}, ErrLimit},
		"log outside":        {"ext_logging_log_version_1", []uint64{1, 0, 1<<63 | 1}, ErrTrap},
	} {
		if _, err := h.invoke(c.function, c.args...); !errors.Is(err, c.err) {
			t.Errorf("%s: error %v, want %v", name, err, c.err)
		}
	}
	poor := testHost(t, 3)
	if _, err := poor.invoke("ext_hashing_twox_64_version_1", poor.put(t, make([]byte, 4))); !errors.Is(err, ErrLimit) {
		t.Errorf("four bytes for three instructions: %v", err)
	}
}

// TestSaid: what a runtime says gets into an error, bounded and printable.
func TestSaid(t *testing.T) {
	h := testHost(t, 1<<40)
	if _, err := h.invoke("ext_misc_print_utf8_version_1", h.put(t, bytes.Repeat([]byte("\xff\x00a\n\u200b"), 1000))); err != nil {
		t.Fatal(err)
	}
	if len(h.said) > 1000 || strings.ContainsAny(h.said, "\n\x00\u200b") {
		t.Errorf("said %q", h.said)
	}
}

// TestAllocator compares the allocator with a naive record of what is handed
// out: blocks do not overlap, keep what is written to them, lie in the heap.
func TestAllocator(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		h := testHost(t, 0)
		type live struct {
			address, size uint32
			mark          byte
		}
		var blocks []live
		for step := range rapid.IntRange(1, 60).Draw(r, "steps") {
			if len(blocks) > 0 && rapid.Bool().Draw(r, "free") {
				i := rapid.IntRange(0, len(blocks)-1).Draw(r, "which")
				if err := h.alloc.release(blocks[i].address); err != nil {
					r.Fatal(err)
				}
				if err := h.alloc.release(blocks[i].address); err == nil {
					r.Fatal("freed twice")
				}
				blocks = slices.Delete(blocks, i, i+1)
				continue
			}
			size := rapid.OneOf(rapid.Uint32Range(0, 64), rapid.Uint32Range(0, pageSize)).Draw(r, "size")
			address, err := h.alloc.malloc(size)
			if errors.Is(err, ErrLimit) {
				continue // 8 pages are full
			}
			if err != nil {
				r.Fatal(err)
			}
			b := live{address, size, byte(step)}
			if address%8 != 0 || address < 1<<12 || uint64(address)+uint64(size) > uint64(h.memory.Size()) {
				r.Fatalf("block at %#x of %d bytes", address, size)
			}
			for _, o := range blocks {
				if address < o.address+max(o.size, 1) && o.address < address+max(size, 1) {
					r.Fatalf("%+v overlaps %+v", b, o)
				}
			}
			h.memory.Write(address, bytes.Repeat([]byte{b.mark}, int(size)))
			blocks = append(blocks, b)
		}
		for _, b := range blocks {
			if got, _ := h.memory.Read(b.address, b.size); !bytes.Equal(got, bytes.Repeat([]byte{b.mark}, int(b.size))) {
				r.Fatalf("block %+v was changed", b)
			}
		}
	})
}

// TestAllocatorReuses: a freed block is the next of its size.
func TestAllocatorReuses(t *testing.T) {
	h := testHost(t, 0)
	a, _ := h.alloc.malloc(100)
	b, _ := h.alloc.malloc(100)
	if err := errors.Join(h.alloc.release(a), h.alloc.release(b)); err != nil {
		t.Fatal(err)
	}
	other, _ := h.alloc.malloc(10)
	c, _ := h.alloc.malloc(128)
	d, _ := h.alloc.malloc(65)
	if c != b || d != a || other == a || other == b {
		t.Errorf("freed %#x and %#x, got %#x, %#x; of another size %#x", a, b, c, d, other)
	}
}

// TestAllocatorBrokenHeaders: headers are the runtime's to write.
func TestAllocatorBrokenHeaders(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		h := testHost(t, 0)
		var addresses []uint32
		for range 4 {
			a, err := h.alloc.malloc(24)
			if err != nil {
				r.Fatal(err)
			}
			addresses = append(addresses, a)
		}
		if err := h.alloc.release(addresses[1]); err != nil {
			r.Fatal(err)
		}
		for range 8 {
			at := rapid.SampledFrom(addresses).Draw(r, "block")
			value := rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 1<<13), rapid.Uint64Range(inUse, inUse+64)).Draw(r, "header")
			h.memory.Write(at-headerLen, binary.LittleEndian.AppendUint64(nil, value))
			// Anything goes but a panic or a block outside of the memory.
			_ = h.alloc.release(rapid.SampledFrom(addresses).Draw(r, "freed"))
			if a, err := h.alloc.malloc(24); err == nil {
				if _, ok := h.memory.Read(a, 24); !ok {
					r.Fatalf("block at %#x", a)
				}
			}
		}
	})
}
