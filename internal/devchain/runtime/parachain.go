package runtime

import (
	"reflect"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// ParaID identifies a parachain on its relay chain.
type ParaID uint32

// MetadataPath is the type's path in runtime metadata.
func (ParaID) MetadataPath() []string {
	return []string{"polkadot_parachain_primitives", "primitives", "Id"}
}

// HeadData is what a relay chain knows of a block of a parachain: its header in
// SCALE.
type HeadData []byte

// MetadataPath is the type's path in runtime metadata.
func (HeadData) MetadataPath() []string {
	return []string{"polkadot_parachain_primitives", "primitives", "HeadData"}
}

// PersistedValidationData is what a relay chain says to the next block of a
// parachain.
type PersistedValidationData struct {
	ParentHead             HeadData
	RelayParentNumber      header.Number `metadata:"relay_parent_number,N"`
	RelayParentStorageRoot hashing.Hash  `metadata:"relay_parent_storage_root,H"`
	MaxPovSize             uint32
}

// MetadataPath is the type's path in runtime metadata.
func (PersistedValidationData) MetadataPath() []string {
	return []string{"polkadot_primitives", "v8", "PersistedValidationData"}
}

// StorageProof is a read proof of relay chain state.
type StorageProof struct {
	TrieNodes [][]byte `metadata:"trie_nodes,BTreeSet<Vec<u8>>"` // ascending
}

// MetadataPath is the type's path in runtime metadata.
func (StorageProof) MetadataPath() []string {
	return []string{"sp_trie", "storage_proof", "StorageProof"}
}

// InboundDownwardMessage is a message from the relay chain. There are none here.
type InboundDownwardMessage struct {
	SentAt header.Number `metadata:"sent_at,BlockNumber"`
	Msg    []byte        `metadata:"msg,DownwardMessage"`
}

// MetadataPath is the type's path in runtime metadata.
func (InboundDownwardMessage) MetadataPath() []string {
	return []string{"polkadot_core_primitives", "InboundDownwardMessage"}
}

// InboundHrmpMessage is a message from another parachain. There are none here.
type InboundHrmpMessage struct {
	SentAt header.Number `metadata:"sent_at,BlockNumber"`
	Data   []byte
}

// MetadataPath is the type's path in runtime metadata.
func (InboundHrmpMessage) MetadataPath() []string {
	return []string{"polkadot_core_primitives", "InboundHrmpMessage"}
}

// HorizontalMessages are those of one sender.
type HorizontalMessages struct {
	Sender   ParaID               `metadata:"_"`
	Messages []InboundHrmpMessage `metadata:"_"`
}

// ParachainInherentData is the argument of the inherent that opens every block
// of a parachain.
type ParachainInherentData struct {
	ValidationData     PersistedValidationData
	RelayChainState    StorageProof             `metadata:"relay_chain_state,sp_trie::StorageProof"`
	DownwardMessages   []InboundDownwardMessage `metadata:"downward_messages,Vec<InboundDownwardMessage>"`
	HorizontalMessages []HorizontalMessages     `metadata:"horizontal_messages,BTreeMap<ParaId, Vec<InboundHrmpMessage>>"`
}

// MetadataPath is the type's path in runtime metadata.
func (ParachainInherentData) MetadataPath() []string {
	return []string{"cumulus_primitives_parachain_inherent", "ParachainInherentData"}
}

// ParachainSystem is the pallet ParachainSystem, index 1, as far as blocks need
// it: no messages, no upgrades that the relay chain has to allow.
type ParachainSystem struct {
	ValidationData            pallet.Value[PersistedValidationData] `pallet:"optional"`
	LastRelayChainBlockNumber pallet.Value[header.Number]
}

// The events of ParachainSystem.
type (
	ValidationFunctionApplied struct{ RelayChainBlockNum header.Number }
)

func (p *ParachainSystem) declare() pallet.Declaration {
	return pallet.Declaration{
		Name: "ParachainSystem", Index: 1, Crate: "cumulus_pallet_parachain_system", Module: p, Context: reflect.TypeFor[*Context](),
		CallIndex: indexes(map[string]uint8{"SetValidationData": 0}),
		Events: []pallet.EventDecl{
			{Index: 1, Prototype: ValidationFunctionApplied{}, Docs: []string{"The validation function was applied as of the contained relay chain block number."}},
		},
		Errors: []*pallet.Error{
			pallet.NewError(3, "ValidationDataNotAvailable", "The inherent which supplies the host configuration did not run this block."),
		},
	}
}

// SetValidationData is the inherent that says on which relay block the block
// builds. As in Cumulus the relay chain cannot go back; two blocks may build on
// one relay block.
func (p *ParachainSystem) SetValidationData(ctx *Context, args struct{ Data ParachainInherentData }) error {
	if ctx.origin.kind != originNone {
		return errBadOrigin
	}
	v := args.Data.ValidationData
	if v.RelayParentNumber < p.LastRelayChainBlockNumber.Get(ctx) {
		return InvalidBadMandatory
	}
	p.ValidationData.Set(ctx, v)
	p.LastRelayChainBlockNumber.Set(ctx, v.RelayParentNumber)
	return nil
}

// LastRelayBlock returns the relay block on which the last block builds.
func (r *Runtime) LastRelayBlock(base pallet.ReadKV) header.Number {
	return r.ParachainSystem.LastRelayChainBlockNumber.Get(reader{base})
}

// ValidationInherent returns the extrinsic that must be the first of a
// parachain's block.
func (r *Runtime) ValidationInherent(v PersistedValidationData) []byte {
	return r.inherent(inherentValidation, scale.MustMarshal(ParachainInherentData{ValidationData: v}))
}

// ParachainInfo is the pallet ParachainInfo, index 4.
type ParachainInfo struct {
	ParachainID pallet.Value[ParaID] `pallet:"name=ParachainId,default=0x64000000"`
}

func (p *ParachainInfo) declare() pallet.Declaration {
	return pallet.Declaration{Name: "ParachainInfo", Index: 4, Crate: "staging_parachain_info", Module: p, Context: reflect.TypeFor[*Context]()}
}
