package scale

import "encoding/binary"

// AppendU16 appends v in 2 bytes, little-endian.
func AppendU16(b []byte, v uint16) []byte { return binary.LittleEndian.AppendUint16(b, v) }

// AppendU32 appends v in 4 bytes, little-endian.
func AppendU32(b []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(b, v) }

// AppendU64 appends v in 8 bytes, little-endian.
func AppendU64(b []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(b, v) }

// AppendU128 appends v in 16 bytes, little-endian.
func AppendU128(b []byte, v U128) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, v.Lo), v.Hi)
}

// AppendBool appends 0 or 1.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// AppendCompact appends v as a compact integer in its shortest form.
func AppendCompact(b []byte, v uint64) []byte { return AppendCompactU128(b, U128{Lo: v}) }

// AppendCompactU128 appends v as a compact integer in its shortest form.
func AppendCompactU128(b []byte, v U128) []byte {
	if v.Hi == 0 {
		switch {
		case v.Lo < 1<<6:
			return append(b, byte(v.Lo)<<2)
		case v.Lo < 1<<14:
			return AppendU16(b, uint16(v.Lo)<<2|1)
		case v.Lo < 1<<30:
			return AppendU32(b, uint32(v.Lo)<<2|2)
		}
	}
	le := AppendU128(make([]byte, 0, 16), v)
	n := 16
	for n > 4 && le[n-1] == 0 {
		n--
	}
	return append(append(b, byte(n-4)<<2|3), le[:n]...)
}

// AppendBytes appends v as Vec<u8>: compact length, then the bytes.
func AppendBytes(b, v []byte) []byte { return append(AppendCompact(b, uint64(len(v))), v...) }

// AppendString appends v as String, which is Vec<u8> of its UTF-8 bytes.
func AppendString(b []byte, v string) []byte { return append(AppendCompact(b, uint64(len(v))), v...) }
