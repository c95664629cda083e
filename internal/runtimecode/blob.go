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
	// One block after the other into the result itself, so that the window
	// that a frame asks for costs nothing. The result is never longer than the
	// limit, whatever size the frame claims.
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(uint64(limit)))
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
