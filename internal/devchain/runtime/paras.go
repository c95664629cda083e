package runtime

import (
	"reflect"
	"slices"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/header"
)

// Paras is the pallet Paras, index 56, of a relay chain: which parachains there
// are, and their last included blocks.
type Paras struct {
	Parachains        pallet.Value[[]ParaID]
	ParaLifecycles    pallet.Map[ParaID, ParaLifecycle] `pallet:"hasher=Twox64Concat,optional"`
	Heads             pallet.Map[ParaID, HeadData]      `pallet:"hasher=Twox64Concat,optional"`
	MostRecentContext pallet.Map[ParaID, header.Number] `pallet:"hasher=Twox64Concat,optional"`
}

// ParaLifecycle is where a parachain is between being registered and removed.
type ParaLifecycle uint8

// parachainLifecycle is the one that has a core for itself.
const parachainLifecycle ParaLifecycle = 2

// MetadataPath is the type's path in runtime metadata.
func (ParaLifecycle) MetadataPath() []string {
	return []string{"polkadot_runtime_parachains", "paras", "ParaLifecycle"}
}

// SCALEVariants lists the stages.
func (ParaLifecycle) SCALEVariants() []scale.Variant {
	return []scale.Variant{{Index: 0, Name: "Onboarding"}, {Index: 1, Name: "Parathread"}, {Index: 2, Name: "Parachain"},
		{Index: 3, Name: "UpgradingParathread"}, {Index: 4, Name: "DowngradingParachain"}, {Index: 5, Name: "OffboardingParathread"}, {Index: 6, Name: "OffboardingParachain"}}
}

// The events of Paras.
type (
	CurrentHeadUpdated struct {
		Para ParaID `metadata:"_"`
	}
	NewHeadNoted struct {
		Para ParaID `metadata:"_"`
	}
)

var errNotRegistered = pallet.NewError(0, "NotRegistered", "Para is not registered in our system.")

func (p *Paras) declare() pallet.Declaration {
	return pallet.Declaration{
		Name: "Paras", Index: 56, Crate: "polkadot_runtime_parachains", Module: p, Context: reflect.TypeFor[*Context](),
		CallIndex: indexes(map[string]uint8{"ForceSetCurrentHead": 1}),
		Events: []pallet.EventDecl{
			{Index: 1, Prototype: CurrentHeadUpdated{}, Docs: []string{"Current head has been updated for a Para."}},
			{Index: 3, Prototype: NewHeadNoted{}, Docs: []string{"A new head has been noted for a Para."}},
		},
		Errors: []*pallet.Error{errNotRegistered},
	}
}

// register adds a parachain with its first head.
func (p *Paras) register(ctx *Context, id ParaID, head HeadData) {
	p.Parachains.Set(ctx, append(p.Parachains.Get(ctx), id))
	p.ParaLifecycles.Set(ctx, id, parachainLifecycle)
	p.Heads.Set(ctx, id, head)
}

// ForceSetCurrentHead replaces the head of a parachain by any other, and so is
// how governance helps a parachain that is stuck; root only. Unlike in Polkadot
// it registers a parachain that is not there.
func (p *Paras) ForceSetCurrentHead(ctx *Context, args struct {
	Para    ParaID   `metadata:"para,ParaId"`
	NewHead HeadData `metadata:"new_head,HeadData"`
}) error {
	if err := ctx.root(); err != nil {
		return err
	}
	if slices.Contains(p.Parachains.Get(ctx), args.Para) {
		p.Heads.Set(ctx, args.Para, args.NewHead)
	} else {
		p.register(ctx, args.Para, args.NewHead)
	}
	ctx.deposit(CurrentHeadUpdated{args.Para})
	return nil
}

// ParaInherent is the pallet ParaInherent, index 54. In Polkadot its inherent
// carries signed statements of validators, which lead to the inclusion of blocks
// some relay blocks later; here it carries the heads.
type ParaInherent struct{ paras *Paras }

// IncludedHead is a block of a parachain that a relay block includes.
type IncludedHead struct {
	Para ParaID   `metadata:"para,ParaId"`
	Head HeadData `metadata:"head,HeadData"`
}

func (p *ParaInherent) declare() pallet.Declaration {
	return pallet.Declaration{
		Name: "ParaInherent", Index: 54, Crate: "ocw_dev_para_inherent", Module: p, Context: reflect.TypeFor[*Context](),
		CallIndex: indexes(map[string]uint8{"Enter": 0}),
	}
}

// Enter includes blocks of parachains. Nobody has validated them.
func (p *ParaInherent) Enter(ctx *Context, args struct {
	Data []IncludedHead `metadata:"data,Vec<IncludedHead>"`
}) error {
	if ctx.origin.kind != originNone {
		return errBadOrigin
	}
	registered := p.paras.Parachains.Get(ctx)
	for _, h := range args.Data {
		if !slices.Contains(registered, h.Para) {
			return errNotRegistered
		}
		p.paras.Heads.Set(ctx, h.Para, h.Head)
		p.paras.MostRecentContext.Set(ctx, h.Para, ctx.number()-1)
		ctx.deposit(NewHeadNoted{h.Para})
	}
	return nil
}

// InclusionInherent returns the extrinsic by which a relay block includes blocks
// of parachains. It follows the timestamp.
func (r *Runtime) InclusionInherent(heads ...IncludedHead) []byte {
	return r.inherent(inherentInclusion, scale.MustMarshal(heads))
}

// Head returns the head of a parachain in a relay chain's state.
func (r *Runtime) Head(base pallet.ReadKV, id ParaID) (HeadData, bool) {
	return r.Paras.Heads.Lookup(reader{base}, id)
}
