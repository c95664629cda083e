package tee

import (
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// Purpose says what evidence was made for, so that evidence for one purpose
// is worth nothing for another. The numbers are part of report data.
type Purpose uint8

// The purposes.
const (
	PurposeJoin    Purpose = 1 // TLS certificate of a worker that has no keys yet
	PurposeServe   Purpose = 2 // TLS certificate of a worker that has the keys
	PurposeRequest Purpose = 3 // asks for key material
	PurposeProvide Purpose = 4 // hands out key material
	PurposeAsk     Purpose = 5 // asks for a snapshot of the state
	PurposeShare   Purpose = 6 // hands out a snapshot of the state
	PurposeRestore Purpose = 7 // asks for the parts of a backup of key material
	PurposeAccount Purpose = 8 // asks for the account that other workers keep
)

// String returns the name.
func (p Purpose) String() string {
	switch p {
	case PurposeJoin:
		return "join"
	case PurposeServe:
		return "serve"
	case PurposeRequest:
		return "request"
	case PurposeProvide:
		return "provide"
	case PurposeAsk:
		return "ask"
	case PurposeShare:
		return "share"
	case PurposeRestore:
		return "restore"
	case PurposeAccount:
		return "account"
	}
	return "none"
}

// labelBinding separates the hash in report data from every other hash.
const labelBinding = "ocw/report-data/1"

// Binding is everything that evidence vouches for besides the account. Its
// SCALE encoding is the fields in order.
type Binding struct {
	Purpose     Purpose
	TrustConfig hashing.Hash // hash of the trust config (RULES 1)
	Shard       [32]byte
	Keys        hashing.Hash  // hash over all current and next public keys; zero if the worker has none
	TLSKey      hashing.Hash  // BLAKE2b-256 of the DER of the TLS key's SubjectPublicKeyInfo
	Block       hashing.Hash  // a recent finalized block
	BlockNumber header.Number // its number
	Session     hashing.Hash  // hash over nonces and TLS exporter; zero outside a session
}

// ReportData returns account ‖ BLAKE2b-256(label ‖ SCALE(binding)), the layout
// that the Teerex pallet needs: the first half is the account that registers.
func (b Binding) ReportData(account keyring.AccountID) (rd ReportData) {
	h := hashing.Blake2b256(scale.AppendString(nil, labelBinding), scale.MustMarshal(b))
	copy(rd[:32], account[:])
	copy(rd[32:], h[:])
	return rd
}
