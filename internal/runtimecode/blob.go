package runtimecode

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// compressedMagic is what compressed blobs begin with; zstd follows. Plain
// modules begin with wasmMagic.
// Source: sp-maybe-compressed-blob.
var compressedMagic = []byte{0x52, 0xbc, 0x53, 0x76, 0x46, 0xdb, 0x8e, 0x05}

// maxWindow is the largest window that the zstd library takes by itself, which
// is what a Substrate node has.
const maxWindow = 1 << 27

// decompress returns the module in a blob, which is at most limit bytes long.
// A module that was not compressed shares code's memory.
func decompress(code []byte, limit int) ([]byte, error) {
	packed, compressed := bytes.CutPrefix(code, compressedMagic)
	if !compressed {
		if len(code) > limit {
			return nil, fmt.Errorf("%w: %d bytes of code, at most %d", ErrLimit, len(code), limit)
		}
		return code, nil
	}
	var h zstd.Header
	if h.Decode(packed) == nil && h.HasFCS && h.FrameContentSize > uint64(limit) {
		return nil, fmt.Errorf("%w: the code says that it has %d bytes decompressed, at most %d", ErrLimit, h.FrameContentSize, limit)
	}
	// The decoder refuses windows over its limit of memory, so that must be at
	// least a window; it decodes into the result, so a window costs nothing.
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(max(uint64(limit), maxWindow)))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	defer d.Close()
	module, err := d.DecodeAll(packed, nil)
	switch {
	case errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded), len(module) > limit:
		return nil, fmt.Errorf("%w: the decompressed code has over %d bytes", ErrLimit, limit)
	case err != nil:
		return nil, fmt.Errorf("%w: zstd: %w", ErrMalformed, err)
	}
	return module, nil
}
