package runtimecode

import (
	"fmt"

	"github.com/tetratelabs/wazero/api"
)

const pageSize = 1 << 16

// allocator hands out the memory above __heap_base, as Substrate's freeing-bump
// allocator does: sizes are powers of two, freed blocks go into one list for
// each size, and a header of 8 bytes stands before each block: for a block in
// use, its order and a mark; for a free one, the header of the next free one.
// The headers lie in the runtime's memory, so they are believed as little as
// the rest of it.
//
// Source: sc-allocator, freeing_bump.rs.
type allocator struct {
	memory api.Memory
	bump   uint32 // where never used memory begins
	base   uint32
	free   [orders]uint32 // the first free header of each order, 0 = none
}

const (
	orders    = 23      // 8 bytes to 32 MiB
	smallest  = 3       // log2 of the least block
	inUse     = 1 << 32 // in the header of a block in use
	headerLen = 8
)

func newAllocator(memory api.Memory, heapBase uint32) (*allocator, error) {
	aligned := uint64(heapBase+7) &^ 7
	if aligned < uint64(heapBase) || aligned > uint64(memory.Size()) {
		return nil, fmt.Errorf("%w: the heap begins at %#x", ErrMalformed, heapBase)
	}
	// 0 would be the null pointer, and ends the lists here.
	base := max(uint32(aligned), 8)
	return &allocator{memory: memory, bump: base, base: base}, nil
}

// malloc returns the address of a block of at least size bytes.
func (a *allocator) malloc(size uint32) (uint32, error) {
	order := 0
	for ; order < orders && uint32(1)<<(order+smallest) < size; order++ {
	}
	if order == orders {
		return 0, fmt.Errorf("%w: allocation of %d bytes", ErrLimit, size)
	}
	header := a.free[order]
	if header != 0 {
		h, err := a.header(header)
		if err != nil || h >= inUse {
			return 0, fmt.Errorf("%w: broken free list", ErrTrap)
		}
		a.free[order] = uint32(h)
	} else {
		need := uint64(a.bump) + headerLen + uint64(1)<<(order+smallest)
		if have := uint64(a.memory.Size()); need > have {
			// The size of a memory of 4 GiB does not fit its type, so the
			// limit of pages is lower (Limits.check).
			if _, ok := a.memory.Grow(uint32((need - have + pageSize - 1) / pageSize)); !ok {
				return 0, fmt.Errorf("%w: no memory for %d bytes", ErrLimit, size)
			}
		}
		header = a.bump
		a.bump = uint32(need)
	}
	if !a.memory.WriteUint64Le(header, inUse|uint64(order)) {
		return 0, fmt.Errorf("%w: no header at %#x", ErrTrap, header)
	}
	return header + headerLen, nil
}

// release gives the block at an address back.
func (a *allocator) release(address uint32) error {
	header := address - headerLen
	h, err := a.header(header)
	if err != nil {
		return err
	}
	order := h &^ inUse
	if h < inUse || order >= orders {
		return fmt.Errorf("%w: %#x is freed and was not allocated", ErrTrap, address)
	}
	a.memory.WriteUint64Le(header, uint64(a.free[order]))
	a.free[order] = header
	return nil
}

// header reads the header at an address, which must be one that a block can
// have.
func (a *allocator) header(address uint32) (uint64, error) {
	if address >= a.base && address <= a.bump-headerLen && address%8 == 0 {
		if h, ok := a.memory.ReadUint64Le(address); ok {
			return h, nil
		}
	}
	return 0, fmt.Errorf("%w: no block at %#x", ErrTrap, address+headerLen)
}
