package runtime

import (
	"bytes"
	"reflect"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// MaxSilenceTime is the age in ms past which the pallet of 2022 itself removes
// a registration: 48 hours.
const MaxSilenceTime = 172_800_000

// LegacyTeerex is the pallet Teerex of 2022, index 50: registry, invocations,
// shielded funds and confirmations in one (P 3.7), built without verification
// of evidence, as development chains were.
type LegacyTeerex struct {
	EnclaveRegistry   pallet.Map[uint64, integritee.LegacyEnclave] `pallet:"optional"` // from 1 on, without holes
	EnclaveCount      pallet.Value[uint64]
	EnclaveIndex      pallet.Map[keyring.AccountID, uint64]
	ExecutedCalls     pallet.Map[hashing.Hash, uint64]
	AllowSGXDebugMode pallet.Value[bool]

	balances  *Balances
	timestamp *Timestamp
}

// ofItsTime gives a runtime with Options.Legacy the pallets of 2022 instead of
// today's.
func (r *Runtime) ofItsTime(list []pallet.Declaration) []pallet.Declaration {
	if !r.opts.Legacy {
		return list
	}
	r.LegacyTeerex.balances, r.LegacyTeerex.timestamp = &r.Balances, &r.Timestamp
	r.Timestamp.onSet = r.LegacyTeerex.onTimestampSet
	out := make([]pallet.Declaration, 0, len(list))
	for _, d := range list {
		switch d.Name {
		case "EnclaveBridge":
			continue
		case "Teerex":
			d = r.LegacyTeerex.declare()
		case "Balances":
			d.CallIndex = indexes(map[string]uint8{"Transfer": 0, "ForceTransfer": 2, "TransferKeepAlive": 3, "TransferAll": 4})
		}
		out = append(out, d)
	}
	return out
}

// Errors of the pallet that the dev chain can give.
var (
	errLegacyNotRegistered = pallet.NewError(5, "EnclaveIsNotRegistered", "The enclave is not registered.")
	errLegacyWrongBonding  = pallet.NewError(6, "WrongMrenclaveForBondingAccount", "The bonding account doesn't match the enclave.")
	errLegacyURLTooLong    = pallet.NewError(8, "EnclaveUrlTooLong", "The worker url is too long.")
	errLegacyReportTooLong = pallet.NewError(9, "RaReportTooLong", "The Remote Attestation report is too long.")
	errLegacyEmptyRegistry = pallet.NewError(10, "EmptyEnclaveRegistry", "No enclave is registered.")
)

func (t *LegacyTeerex) declare() pallet.Declaration {
	return pallet.Declaration{
		Name: "Teerex", Index: 50, Module: t, Context: reflect.TypeFor[*Context](),
		CallIndex: indexes(map[string]uint8{"RegisterEnclave": 0, "UnregisterEnclave": 1, "CallWorker": 2,
			"ConfirmProcessedParentchainBlock": 3, "ShieldFunds": 4, "UnshieldFunds": 5}),
		Events: []pallet.EventDecl{
			{Index: 0, Prototype: integritee.EventLegacyAddedEnclave{}, Name: "AddedEnclave"},
			{Index: 1, Prototype: integritee.EventLegacyRemovedEnclave{}, Name: "RemovedEnclave"},
			{Index: 2, Prototype: integritee.EventLegacyForwarded{}, Name: "Forwarded"},
			{Index: 3, Prototype: integritee.EventLegacyShieldFunds{}, Name: "ShieldFunds"},
			{Index: 4, Prototype: integritee.EventLegacyUnshieldedFunds{}, Name: "UnshieldedFunds"},
			{Index: 5, Prototype: integritee.EventLegacyProcessedParentchainBlock{}, Name: "ProcessedParentchainBlock"},
		},
		Errors: []*pallet.Error{
			pallet.NewError(0, "EnclaveSignerDecodeError", "Failed to decode enclave signer."),
			pallet.NewError(1, "SenderIsNotAttestedEnclave", "Sender does not match attested enclave in report."),
			pallet.NewError(2, "RemoteAttestationVerificationFailed", "Verifying RA report failed."),
			pallet.NewError(3, "RemoteAttestationTooOld", ""),
			pallet.NewError(4, "SgxModeNotAllowed", "The enclave cannot attest, because its building mode is not allowed."),
			errLegacyNotRegistered,
			errLegacyWrongBonding,
			pallet.NewError(7, "WrongMrenclaveForShard", "The shard doesn't match the enclave."),
			errLegacyURLTooLong,
			errLegacyReportTooLong,
			errLegacyEmptyRegistry,
		},
		Constants: []pallet.Constant{
			{Name: "MomentsPerDay", Value: uint64(86_400_000)},
			{Name: "MaxSilenceTime", Value: uint64(MaxSilenceTime)},
		},
	}
}

// RegisterEnclave registers the sender's enclave, or overwrites what it has
// registered. The first 32 bytes of the report are its measurement.
func (t *LegacyTeerex) RegisterEnclave(ctx *Context, args struct {
	RAReport  []byte `metadata:"ra_report,Vec<u8>"`
	WorkerURL []byte `metadata:"worker_url,Vec<u8>"`
}) error {
	who, err := ctx.signed()
	if err != nil {
		return err
	}
	switch {
	case len(args.RAReport) > integritee.MaxLegacyReportBytes:
		return errLegacyReportTooLong
	case len(args.WorkerURL) > integritee.MaxURLBytes:
		return errLegacyURLTooLong
	}
	enclave := integritee.LegacyEnclave{Pubkey: who, Timestamp: t.timestamp.Now.Get(ctx), URL: args.WorkerURL, SgxMode: integritee.SgxProduction}
	if len(args.RAReport) >= 32 {
		enclave.MrEnclave = [32]byte(args.RAReport)
	}
	index, ok := t.EnclaveIndex.Lookup(ctx, who)
	if !ok {
		index = t.EnclaveCount.Get(ctx) + 1
		t.EnclaveIndex.Set(ctx, who, index)
		t.EnclaveCount.Set(ctx, index)
	}
	t.EnclaveRegistry.Set(ctx, index, enclave)
	ctx.deposit(integritee.EventLegacyAddedEnclave{RegisteredBy: who, WorkerURL: args.WorkerURL})
	return nil
}

// UnregisterEnclave removes the sender's registration.
func (t *LegacyTeerex) UnregisterEnclave(ctx *Context) error {
	who, err := ctx.signed()
	if err != nil {
		return err
	}
	return t.remove(ctx, who)
}

// remove puts the last registration in the place of the removed one.
func (t *LegacyTeerex) remove(ctx *Context, who keyring.AccountID) error {
	index, ok := t.EnclaveIndex.Lookup(ctx, who)
	if !ok {
		return errLegacyNotRegistered
	}
	count := t.EnclaveCount.Get(ctx)
	last, ok := t.EnclaveRegistry.Lookup(ctx, count)
	if !ok {
		return errLegacyEmptyRegistry
	}
	t.EnclaveIndex.Delete(ctx, who)
	if index != count {
		t.EnclaveRegistry.Set(ctx, index, last)
		t.EnclaveIndex.Set(ctx, last.Pubkey, index)
	}
	t.EnclaveRegistry.Delete(ctx, count)
	t.EnclaveCount.Set(ctx, count-1)
	ctx.deposit(integritee.EventLegacyRemovedEnclave{Account: who})
	return nil
}

// onTimestampSet removes registrations that were not renewed in time.
func (t *LegacyTeerex) onTimestampSet(ctx *Context, now uint64) error {
	if now < MaxSilenceTime {
		return nil
	}
	var silent []keyring.AccountID
	for n := range t.EnclaveCount.Get(ctx) {
		if e := t.EnclaveRegistry.Get(ctx, n+1); e.Timestamp < now-MaxSilenceTime {
			silent = append(silent, e.Pubkey)
		}
	}
	for _, who := range silent {
		if err := t.remove(ctx, who); err != nil {
			return err
		}
	}
	return nil
}

// CallWorker puts an encrypted operation on the chain for the shard's workers.
func (t *LegacyTeerex) CallWorker(ctx *Context, args struct{ Request integritee.LegacyRequest }) error {
	if _, err := ctx.signed(); err != nil {
		return err
	}
	ctx.deposit(integritee.EventLegacyForwarded{Shard: args.Request.Shard})
	return nil
}

// ConfirmProcessedParentchainBlock records that an enclave has processed a block.
func (t *LegacyTeerex) ConfirmProcessedParentchainBlock(ctx *Context, args struct {
	BlockHash              hashing.Hash
	TrustedCallsMerkleRoot hashing.Hash
}) error {
	who, _, err := t.sender(ctx)
	if err != nil {
		return err
	}
	ctx.deposit(integritee.EventLegacyProcessedParentchainBlock{Signer: who, BlockHash: args.BlockHash, Root: args.TrustedCallsMerkleRoot})
	return nil
}

// ShieldFunds moves funds to a bonding account. Its Transfer event directly
// precedes its own, which says neither amount nor account.
func (t *LegacyTeerex) ShieldFunds(ctx *Context, args struct {
	IncognitoAccountEncrypted []byte            `metadata:"incognito_account_encrypted,Vec<u8>"`
	Amount                    scale.U128        `metadata:"amount,BalanceOf<T>"`
	BondingAccount            keyring.AccountID `metadata:"bonding_account,T::AccountId"`
}) error {
	who, err := ctx.signed()
	if err != nil {
		return err
	}
	if err := t.balances.transferCurrency(ctx, who, args.BondingAccount, args.Amount); err != nil {
		return err
	}
	ctx.deposit(integritee.EventLegacyShieldFunds{AccountEncrypted: args.IncognitoAccountEncrypted})
	return nil
}

// UnshieldFunds pays from the bonding account of the sender's measurement, once
// for each call hash; later ones are counted and succeed without effect.
func (t *LegacyTeerex) UnshieldFunds(ctx *Context, args struct {
	PublicAccount  keyring.AccountID `metadata:"public_account,T::AccountId"`
	Amount         scale.U128        `metadata:"amount,BalanceOf<T>"`
	BondingAccount keyring.AccountID `metadata:"bonding_account,T::AccountId"`
	CallHash       hashing.Hash
}) error {
	_, enclave, err := t.sender(ctx)
	if err != nil {
		return err
	}
	if !bytes.Equal(enclave.MrEnclave[:], args.BondingAccount[:]) {
		return errLegacyWrongBonding
	}
	count, seen := t.ExecutedCalls.Lookup(ctx, args.CallHash)
	if !seen {
		if err := t.balances.transferCurrency(ctx, args.BondingAccount, args.PublicAccount, args.Amount); err != nil {
			return err
		}
		ctx.deposit(integritee.EventLegacyUnshieldedFunds{PublicAccount: args.PublicAccount})
	}
	t.ExecutedCalls.Set(ctx, args.CallHash, count+1)
	return nil
}

// sender returns the registration of the call's sender.
func (t *LegacyTeerex) sender(ctx *Context) (who keyring.AccountID, e integritee.LegacyEnclave, err error) {
	if who, err = ctx.signed(); err != nil {
		return who, e, err
	}
	index, ok := t.EnclaveIndex.Lookup(ctx, who)
	if !ok {
		return who, e, errLegacyNotRegistered
	}
	if e, ok = t.EnclaveRegistry.Lookup(ctx, index); !ok {
		return who, e, errLegacyEmptyRegistry
	}
	return who, e, nil
}
