package hashing

import "fmt"

// StorageHasher names how the key of a storage map is hashed. The values are
// those of the metadata formats V14 to V16.
type StorageHasher uint8

// The storage hashers.
const (
	Blake2_128       StorageHasher = 0
	Blake2_256       StorageHasher = 1
	Blake2_128Concat StorageHasher = 2
	Twox128Hasher    StorageHasher = 3
	Twox256Hasher    StorageHasher = 4
	Twox64Concat     StorageHasher = 5
	Identity         StorageHasher = 6
)

var hasherNames = [...]string{"Blake2_128", "Blake2_256", "Blake2_128Concat", "Twox128", "Twox256", "Twox64Concat", "Identity"}

// String returns the name that metadata uses.
func (s StorageHasher) String() string {
	if int(s) < len(hasherNames) {
		return hasherNames[s]
	}
	return fmt.Sprintf("StorageHasher(%d)", uint8(s))
}

// Valid reports whether s is one of the seven hashers.
func (s StorageHasher) Valid() bool { return int(s) < len(hasherNames) }

// PrefixLen returns the bytes of hash that stand before the key, and whether
// the key itself follows (so that it can be read back).
func (s StorageHasher) PrefixLen() (n int, reversible bool) {
	switch s {
	case Blake2_128, Twox128Hasher:
		return 16, false
	case Blake2_256, Twox256Hasher:
		return 32, false
	case Blake2_128Concat:
		return 16, true
	case Twox64Concat:
		return 8, true
	}
	return 0, true
}

// AppendKey appends the hashed form of an encoded key part to dst. It panics
// on an invalid hasher.
func (s StorageHasher) AppendKey(dst, part []byte) []byte {
	n, reversible := s.PrefixLen()
	start := len(dst)
	dst = append(dst, make([]byte, n)...)
	s.PutPrefix(dst[start:], part)
	if reversible {
		dst = append(dst, part...)
	}
	return dst
}

// PutPrefix writes to dst, of the length that PrefixLen says, what stands before
// an encoded key part. It panics on an invalid hasher.
func (s StorageHasher) PutPrefix(dst, part []byte) {
	switch s {
	case Blake2_128, Blake2_128Concat:
		h := Blake2b128(part)
		copy(dst, h[:])
	case Blake2_256:
		h := Blake2b256(part)
		copy(dst, h[:])
	case Twox128Hasher, Twox256Hasher, Twox64Concat:
		twox(dst, part)
	case Identity:
	default:
		panic("hashing: invalid storage hasher")
	}
}

// StoragePrefix returns twox128(pallet) ++ twox128(item), 32 bytes: the key of
// a plain value and the prefix of a map's keys.
func StoragePrefix(pallet, item string) []byte {
	p, i := Twox128([]byte(pallet)), Twox128([]byte(item))
	return append(p[:], i[:]...)
}
