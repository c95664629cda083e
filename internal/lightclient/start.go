package lightclient

import (
	"fmt"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// Start is a trusted block with the authority set that finalizes the block
// after it.
type Start struct {
	Header      header.Header
	Authorities []grandpa.Authority
	SetID       uint64
}

// oldAuthoritiesKey is where runtimes before 2024 kept the authority set,
// after a version byte.
var oldAuthoritiesKey = []byte(":grandpa_authorities")

// StartKeys returns the storage keys whose read proof at the start block,
// which has this number, VerifyStart needs.
func StartKeys(number header.Number) [][]byte {
	keys := [][]byte{hashing.StoragePrefix("Grandpa", "Authorities"), oldAuthoritiesKey}
	if number > 0 {
		keys = append(keys, hashing.StoragePrefix("Grandpa", "CurrentSetId"), hashing.StoragePrefix("Grandpa", "PendingChange"))
	}
	return keys
}

// VerifyStart checks that h has the trusted hash (of the genesis or of a
// checkpoint) and that proof, a read proof of StartKeys at h, gives the
// authority set. At block 0 the set id is 0. [Checkpoint.Verify] also checks
// what else a trust config says.
//
// Errors wrap ErrStart, or ErrCheckpoint if the state of the trusted block
// itself is unfit: it has no authority set, or a change of it is pending, so
// that storage tells the id of the next set, not of the one in force.
func VerifyStart(trusted hashing.Hash, h *header.Header, proof [][]byte) (Start, error) {
	h, err := checkHeader(trusted, h)
	if err != nil {
		return Start{}, err
	}
	values, err := trie.Verify(h.StateRoot, proof, StartKeys(h.Number)...)
	if err != nil {
		return Start{}, fmt.Errorf("%w: block %d: %w", ErrStart, h.Number, err)
	}
	s := Start{Header: *h}
	if s.Authorities, err = decodeAuthorities(values[0], values[1]); err != nil {
		return Start{}, fmt.Errorf("%w: authority set at block %d: %w", ErrCheckpoint, h.Number, err)
	}
	if h.Number == 0 {
		return s, nil
	}
	if values[3].Present {
		return Start{}, fmt.Errorf("%w: a change of the authority set is pending at block %d: choose an earlier or later block", ErrCheckpoint, h.Number)
	}
	if values[2].Present { // absent means the default, 0
		if err := scale.Unmarshal(values[2].Value, &s.SetID); err != nil {
			return Start{}, fmt.Errorf("%w: set id at block %d: %w", ErrCheckpoint, h.Number, err)
		}
	}
	return s, nil
}

// checkHeader checks that h has the trusted hash and returns what the hashed
// bytes say.
func checkHeader(trusted hashing.Hash, h *header.Header) (*header.Header, error) {
	raw := h.AppendSCALE(nil)
	if got := hashing.Blake2b256(raw); got != trusted {
		return nil, fmt.Errorf("%w: header %d has hash %v, trusted is %v", ErrStart, h.Number, got, trusted)
	}
	h, err := header.Decode(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStart, err)
	}
	return h, nil
}

func decodeAuthorities(pallet, old trie.ProofValue) (authorities []grandpa.Authority, err error) {
	switch {
	case pallet.Present:
		err = scale.Unmarshal(pallet.Value, &authorities)
	case old.Present:
		if len(old.Value) == 0 || old.Value[0] != 1 {
			return nil, fmt.Errorf("%w: unknown version", scale.ErrInvalid)
		}
		err = scale.Unmarshal(old.Value[1:], &authorities)
	}
	if err != nil {
		return nil, err
	}
	return authorities, grandpa.CheckAuthorities(authorities)
}

// authoritySetLabel separates the hash of an authority set from all others.
const authoritySetLabel = "ocw/authority-set/1"

// AuthoritySetHash identifies an authority set in a trust config: BLAKE2b-256
// of a label, the set id and the authorities in their order.
func AuthoritySetHash(setID uint64, authorities []grandpa.Authority) hashing.Hash {
	return hashing.Blake2b256([]byte(authoritySetLabel), scale.AppendU64(nil, setID), scale.MustMarshal(authorities))
}
