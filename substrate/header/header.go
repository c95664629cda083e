// Package header has the block header of Substrate chains with 32-bit block
// numbers and BLAKE2b-256 hashes. Decoding says what the bytes say; whether a
// header belongs to a chain is for package lightclient to decide.
//
// Source: sp-runtime generic/header.rs and generic/digest.rs.
package header

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// Number is a block number. It is compact in a header and four little-endian
// bytes everywhere else (GRANDPA, storage keys, runtime API arguments).
type Number uint32

// Kinds of digest items. Other numbers are refused.
const (
	DigestOther                     = 0
	DigestConsensus                 = 4
	DigestSeal                      = 5
	DigestPreRuntime                = 6
	DigestRuntimeEnvironmentUpdated = 8
)

// EngineGrandpa is the consensus engine id of GRANDPA.
var EngineGrandpa = [4]byte{'F', 'R', 'N', 'K'}

// DigestItem is one entry of a header's digest. Engine is set for Consensus,
// Seal and PreRuntime; Data is empty for RuntimeEnvironmentUpdated.
type DigestItem struct {
	Kind   uint8
	Engine [4]byte
	Data   []byte
}

// AppendSCALE appends the item's encoding.
func (i DigestItem) AppendSCALE(b []byte) []byte {
	b = append(b, i.Kind)
	switch i.Kind {
	case DigestConsensus, DigestSeal, DigestPreRuntime:
		b = append(b, i.Engine[:]...)
	case DigestRuntimeEnvironmentUpdated:
		return b
	}
	return scale.AppendBytes(b, i.Data)
}

// DecodeSCALE reads one item.
func (i *DigestItem) DecodeSCALE(d *scale.Decoder) {
	*i = DigestItem{Kind: d.U8()}
	switch i.Kind {
	case DigestConsensus, DigestSeal, DigestPreRuntime:
		d.Read(i.Engine[:])
		i.Data = d.Bytes()
	case DigestOther:
		i.Data = d.Bytes()
	case DigestRuntimeEnvironmentUpdated:
	default:
		d.Fail(fmt.Errorf("%w: digest item %d", scale.ErrInvalid, i.Kind))
	}
}

// Header is a block header.
type Header struct {
	ParentHash     hashing.Hash
	Number         Number
	StateRoot      hashing.Hash
	ExtrinsicsRoot hashing.Hash
	Digest         []DigestItem
}

// AppendSCALE appends the header's encoding.
func (h Header) AppendSCALE(b []byte) []byte {
	b = append(b, h.ParentHash[:]...)
	b = scale.AppendCompact(b, uint64(h.Number))
	b = append(b, h.StateRoot[:]...)
	b = append(b, h.ExtrinsicsRoot[:]...)
	b = scale.AppendCompact(b, uint64(len(h.Digest)))
	for _, i := range h.Digest {
		b = i.AppendSCALE(b)
	}
	return b
}

// DecodeSCALE reads a header.
func (h *Header) DecodeSCALE(d *scale.Decoder) {
	*h = Header{}
	d.Read(h.ParentHash[:])
	h.Number = Number(d.CompactU32())
	d.Read(h.StateRoot[:])
	d.Read(h.ExtrinsicsRoot[:])
	for n := d.Length(1); n > 0 && d.Err() == nil; n-- {
		var i DigestItem
		i.DecodeSCALE(d)
		h.Digest = append(h.Digest, i)
	}
}

// Decode reads a header from exactly b.
func Decode(b []byte) (*Header, error) {
	var h Header
	d := scale.NewDecoder(b)
	h.DecodeSCALE(d)
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("decode header: %w", err)
	}
	return &h, nil
}

// Hash returns the block hash: BLAKE2b-256 of the header's encoding.
func (h *Header) Hash() hashing.Hash { return hashing.Blake2b256(h.AppendSCALE(nil)) }

// RuntimeUpdated reports whether the digest holds RuntimeEnvironmentUpdated:
// the block after this one is decoded with new metadata (RULES 18).
func (h *Header) RuntimeUpdated() bool {
	for _, i := range h.Digest {
		if i.Kind == DigestRuntimeEnvironmentUpdated {
			return true
		}
	}
	return false
}

type headerJSON struct {
	ParentHash     *hashing.Hash `json:"parentHash"`
	Number         string        `json:"number"`
	StateRoot      *hashing.Hash `json:"stateRoot"`
	ExtrinsicsRoot *hashing.Hash `json:"extrinsicsRoot"`
	Digest         *digestJSON   `json:"digest"`
}

type digestJSON struct {
	Logs []string `json:"logs"`
}

// MarshalJSON writes the form of the JSON-RPC API: the number as minimal hex,
// digest items as hex of their encoding.
func (h Header) MarshalJSON() ([]byte, error) {
	logs := []string{}
	for _, i := range h.Digest {
		logs = append(logs, "0x"+hex.EncodeToString(i.AppendSCALE(nil)))
	}
	return json.Marshal(headerJSON{&h.ParentHash, "0x" + strconv.FormatUint(uint64(h.Number), 16), &h.StateRoot, &h.ExtrinsicsRoot, &digestJSON{logs}})
}

// UnmarshalJSON reads the form of the JSON-RPC API. All fields must be there;
// a padded number is accepted.
func (h *Header) UnmarshalJSON(b []byte) error {
	var j headerJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	if j.ParentHash == nil || j.StateRoot == nil || j.ExtrinsicsRoot == nil || j.Digest == nil {
		return fmt.Errorf("header: %w: a field is missing", scale.ErrInvalid)
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(j.Number, "0x"), 16, 32)
	if err != nil {
		return fmt.Errorf("header: block number %q: %w", j.Number, scale.ErrInvalid)
	}
	out := Header{ParentHash: *j.ParentHash, Number: Number(n), StateRoot: *j.StateRoot, ExtrinsicsRoot: *j.ExtrinsicsRoot}
	for _, l := range j.Digest.Logs {
		raw, err := hex.DecodeString(strings.TrimPrefix(l, "0x"))
		if err != nil {
			return fmt.Errorf("header: digest item: %w", scale.ErrInvalid)
		}
		var i DigestItem
		if err := scale.Unmarshal(raw, &i); err != nil {
			return fmt.Errorf("header: digest item: %w", err)
		}
		out.Digest = append(out.Digest, i)
	}
	*h = out
	return nil
}
