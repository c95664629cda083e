package runtime

import (
	"errors"

	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// Valid is what the pool needs to know of a valid extrinsic.
type Valid struct {
	Signer       keyring.AccountID
	Nonce        uint32
	AccountNonce uint32        // Nonce or less; the extrinsics between must come first
	Priority     uint64        // higher goes first
	Death        header.Number // first block that cannot hold it
	Longevity    uint64        // blocks until then
}

// Validate checks a signed extrinsic for the block after at. A nonce that is
// too high is valid. Errors are as for [Execution.Apply].
func (r *Runtime) Validate(at Block, raw []byte) (*Valid, error) {
	t, err := r.decode(raw)
	if err != nil {
		return nil, err
	}
	if t.Signed == nil {
		return nil, UnknownNoValidator
	}
	if len(raw) > NormalLength {
		return nil, InvalidExhausts
	}
	number := at.Number + 1
	// The hash of the block itself enters the state with the next block.
	x := &Execution{rt: r}
	x.ctx = &Context{rt: r, kv: state.NewOverlay(at.State), block: x}
	r.System.BlockHash.Set(x.ctx, at.Number, at.Hash)
	who, _, err := r.check(x.ctx, t, len(raw), number, true)
	if err != nil {
		return nil, err
	}
	v := &Valid{Signer: who, Nonce: t.Signed.Nonce, AccountNonce: r.System.Account.Get(x.ctx, who).Nonce,
		Priority: priority(t.Signed.Tip, len(raw)), Death: t.Signed.Era.Death(number), Longevity: ^uint64(0)}
	if !t.Signed.Era.IsImmortal() {
		v.Longevity = uint64(v.Death - number)
	}
	return v, nil
}

// TransactionSource is where an extrinsic comes from.
type TransactionSource uint8

// SCALEVariants lists the sources.
func (TransactionSource) SCALEVariants() []scale.Variant {
	return []scale.Variant{{Index: 0, Name: "InBlock"}, {Index: 1, Name: "Local"}, {Index: 2, Name: "External"}}
}

// MetadataPath is the type's path in runtime metadata.
func (TransactionSource) MetadataPath() []string {
	return []string{"sp_runtime", "transaction_validity", "TransactionSource"}
}

// TransactionValidity is the answer of validate_transaction.
type TransactionValidity struct {
	_   scale.Enum
	Ok  *ValidTransaction         `scale:"0"`
	Err *TransactionValidityError `scale:"1"`
}

// MetadataPath is the type's path in runtime metadata.
func (TransactionValidity) MetadataPath() []string { return []string{"Result"} }

// ValidTransaction is the good case of TransactionValidity. Tags are what
// orders extrinsics in the pool: here account and nonce.
type ValidTransaction struct {
	Priority  uint64
	Requires  [][]byte
	Provides  [][]byte
	Longevity uint64
	Propagate bool
}

// MetadataPath is the type's path in runtime metadata.
func (ValidTransaction) MetadataPath() []string {
	return []string{"sp_runtime", "transaction_validity", "ValidTransaction"}
}

// TransactionValidityError is the bad case of TransactionValidity.
type TransactionValidityError struct {
	_       scale.Enum
	Invalid *InvalidTransaction `scale:"0"`
	Unknown *UnknownTransaction `scale:"1"`
}

// MetadataPath is the type's path in runtime metadata.
func (TransactionValidityError) MetadataPath() []string {
	return []string{"sp_runtime", "transaction_validity", "TransactionValidityError"}
}

// InvalidTransaction is the code of an [Invalid].
type InvalidTransaction uint8

// SCALEVariants lists the codes that need no details.
func (InvalidTransaction) SCALEVariants() []scale.Variant {
	return []scale.Variant{{Index: 0, Name: "Call"}, {Index: 1, Name: "Payment"}, {Index: 2, Name: "Future"}, {Index: 3, Name: "Stale"},
		{Index: 4, Name: "BadProof"}, {Index: 5, Name: "AncientBirthBlock"}, {Index: 6, Name: "ExhaustsResources"}, {Index: 8, Name: "BadMandatory"},
		{Index: 9, Name: "MandatoryValidation"}, {Index: 10, Name: "BadSigner"}}
}

// MetadataPath is the type's path in runtime metadata.
func (InvalidTransaction) MetadataPath() []string {
	return []string{"sp_runtime", "transaction_validity", "InvalidTransaction"}
}

// UnknownTransaction is the code of an [Invalid] whose Unknown is set.
type UnknownTransaction uint8

// SCALEVariants lists the codes that need no details.
func (UnknownTransaction) SCALEVariants() []scale.Variant {
	return []scale.Variant{{Index: 0, Name: "CannotLookup"}, {Index: 1, Name: "NoUnsignedValidator"}}
}

// MetadataPath is the type's path in runtime metadata.
func (UnknownTransaction) MetadataPath() []string {
	return []string{"sp_runtime", "transaction_validity", "UnknownTransaction"}
}

// tag is what an extrinsic provides and the next one of its signer requires.
func tag(who keyring.AccountID, nonce uint32) []byte { return scale.AppendU32(who[:], nonce) }

func (r *Runtime) validity(v *Valid, err error) (any, error) {
	var bad *Invalid
	switch {
	case errors.As(err, &bad):
		e := new(TransactionValidityError)
		if bad.Unknown {
			code := UnknownTransaction(bad.Code)
			e.Unknown = &code
		} else {
			code := InvalidTransaction(bad.Code)
			e.Invalid = &code
		}
		return TransactionValidity{Err: e}, nil
	case err != nil:
		return nil, err
	}
	ok := &ValidTransaction{Priority: v.Priority, Provides: [][]byte{tag(v.Signer, v.Nonce)}, Longevity: v.Longevity, Propagate: true}
	if v.Nonce > v.AccountNonce {
		ok.Requires = [][]byte{tag(v.Signer, v.Nonce-1)}
	}
	return TransactionValidity{Ok: ok}, nil
}
