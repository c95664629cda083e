package runtime

import (
	"reflect"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/header"
)

// Grandpa is the pallet Grandpa, index 24. Its calls (reports of equivocation)
// are left out.
type Grandpa struct {
	State         pallet.Value[StoredState]
	PendingChange pallet.Value[StoredPendingChange] `pallet:"optional"`
	NextForced    pallet.Value[header.Number]       `pallet:"optional"`
	Stalled       pallet.Value[StalledAt]           `pallet:"optional"`
	CurrentSetID  pallet.Value[uint64]              `pallet:"name=CurrentSetId"`
	SetIDSession  pallet.Map[uint64, uint32]        `pallet:"name=SetIdSession,hasher=Twox64Concat,optional"`
	Authorities   pallet.Value[[]Authority]
}

// AuthorityID is an ed25519 public key.
type AuthorityID [32]byte

// MetadataPath is the type's path in runtime metadata.
func (AuthorityID) MetadataPath() []string {
	return []string{"sp_consensus_grandpa", "app", "Public"}
}

// Authority is a voter with its weight.
type Authority struct {
	ID     AuthorityID `metadata:"_,AuthorityId"`
	Weight uint64      `metadata:"_,AuthorityWeight"`
}

// StoredState is the state of finality.
type StoredState struct {
	_             scale.Enum
	Live          *struct{}     `scale:"0"`
	PendingPause  *PendingPause `scale:"1"`
	Paused        *struct{}     `scale:"2"`
	PendingResume *PendingPause `scale:"3"`
}

// MetadataPath is the type's path in runtime metadata.
func (StoredState) MetadataPath() []string { return []string{"pallet_grandpa", "StoredState"} }

// StorageDefault is Live.
func (StoredState) StorageDefault() StoredState { return StoredState{Live: &struct{}{}} }

// PendingPause is when finality pauses or resumes.
type PendingPause struct{ ScheduledAt, Delay header.Number }

// StoredPendingChange is an announced change of the authorities.
type StoredPendingChange struct {
	ScheduledAt     header.Number
	Delay           header.Number
	NextAuthorities []Authority
	Forced          *header.Number
}

// MetadataPath is the type's path in runtime metadata.
func (StoredPendingChange) MetadataPath() []string {
	return []string{"pallet_grandpa", "StoredPendingChange"}
}

// StalledAt is the value of Grandpa.Stalled.
type StalledAt struct {
	Delay  header.Number `metadata:"_"`
	Median header.Number `metadata:"_"`
}

// The events of Grandpa.
type (
	NewAuthorities struct{ AuthoritySet []Authority }
	Paused         struct{}
	Resumed        struct{}
)

var (
	errChangePending = pallet.NewError(2, "ChangePending", "Attempt to signal GRANDPA change with one already pending.")
	grandpaErrors    = []*pallet.Error{
		pallet.NewError(0, "PauseFailed", "Attempt to signal GRANDPA pause when the authority set isn't live (either paused or already pending pause)."),
		pallet.NewError(1, "ResumeFailed", "Attempt to signal GRANDPA resume when the authority set isn't paused (either live or already pending resume)."),
		errChangePending,
		pallet.NewError(3, "TooSoon", "Cannot signal forced change so soon after last."),
		pallet.NewError(4, "InvalidKeyOwnershipProof", "A key ownership proof provided as part of an equivocation report is invalid."),
		pallet.NewError(5, "InvalidEquivocationProof", "An equivocation proof provided as part of an equivocation report is invalid."),
		pallet.NewError(6, "DuplicateOffenceReport", "A given equivocation report is valid but already previously reported."),
	}
)

func (g *Grandpa) declare() pallet.Declaration {
	return pallet.Declaration{
		Name: "Grandpa", Index: 24, Module: g, Context: reflect.TypeFor[*Context](),
		Events: []pallet.EventDecl{
			{Index: 0, Prototype: NewAuthorities{}, Docs: []string{"New authority set has been applied."}},
			{Index: 1, Prototype: Paused{}, Docs: []string{"Current authority set has been paused."}},
			{Index: 2, Prototype: Resumed{}, Docs: []string{"Current authority set has been resumed."}},
		},
		Errors: grandpaErrors,
		Constants: []pallet.Constant{
			{Name: "MaxAuthorities", Value: uint32(32), Doc: "Max Authorities in use"},
			{Name: "MaxNominators", Value: uint32(0), Doc: "The maximum number of nominators for each validator."},
			{Name: "MaxSetIdSessionEntries", Value: uint64(0), Doc: "The maximum number of entries to keep in the set id to session index mapping."},
		},
	}
}

// scheduleChange announces a change of the authorities that takes effect delay
// blocks after this one. As in FRAME the set id counts up here already.
func (g *Grandpa) scheduleChange(ctx *Context, next []Authority, delay header.Number) error {
	if g.PendingChange.Exists(ctx) {
		return errChangePending
	}
	g.PendingChange.Set(ctx, StoredPendingChange{ScheduledAt: ctx.number(), Delay: delay, NextAuthorities: next})
	g.CurrentSetID.Set(ctx, g.CurrentSetID.Get(ctx)+1)
	return nil
}

// ScheduleAuthorities announces a change of the authorities in the block. It
// fails if one is pending. The chain must be one with GRANDPA.
func (x *Execution) ScheduleAuthorities(next []Authority, delay header.Number) error {
	return x.rt.Grandpa.scheduleChange(x.ctx, next, delay)
}

// finalize announces and enacts changes at the end of a block, and reports
// whether it enacted one.
func (g *Grandpa) finalize(ctx *Context, system *System) bool {
	p, ok := g.PendingChange.Lookup(ctx)
	if !ok {
		return false
	}
	if p.ScheduledAt == ctx.number() {
		change := grandpa.Change{Next: Authorities(p.NextAuthorities), Delay: p.Delay}
		system.depositLog(ctx, change.DigestItem())
	}
	if ctx.number() != p.ScheduledAt+p.Delay {
		return false
	}
	g.Authorities.Set(ctx, p.NextAuthorities)
	ctx.deposit(NewAuthorities{p.NextAuthorities})
	g.PendingChange.Delete(ctx)
	return true
}

// Authorities converts to the form of package grandpa.
func Authorities(list []Authority) []grandpa.Authority {
	out := make([]grandpa.Authority, len(list))
	for i, a := range list {
		out[i] = grandpa.Authority{ID: a.ID, Weight: a.Weight}
	}
	return out
}

// FromAuthorities converts from the form of package grandpa.
func FromAuthorities(list []grandpa.Authority) []Authority {
	out := make([]Authority, len(list))
	for i, a := range list {
		out[i] = Authority{ID: a.ID, Weight: a.Weight}
	}
	return out
}
