package runtime

import (
	"reflect"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/system"
)

// Sudo is the pallet Sudo, index 5: one account may do everything. Unlike in
// FRAME it pays for it.
type Sudo struct {
	Key pallet.Value[keyring.AccountID] `pallet:"optional"`
}

// The events of Sudo.
type (
	Sudid      struct{ SudoResult DispatchResult }
	KeyChanged struct {
		Old *keyring.AccountID `metadata:"old,Option<T::AccountId>"`
		New keyring.AccountID
	}
	KeyRemoved struct{}
	SudoAsDone struct{ SudoResult DispatchResult }
)

var errRequireSudo = pallet.NewError(0, "RequireSudo", "Sender must be the Sudo account.")

func (s *Sudo) declare() pallet.Declaration {
	return pallet.Declaration{
		Name: "Sudo", Index: 5, Module: s, Context: reflect.TypeFor[*Context](),
		CallIndex: indexes(map[string]uint8{"Sudo": 0, "SudoUncheckedWeight": 1, "SetKey": 2, "SudoAs": 3, "RemoveKey": 4}),
		Events: []pallet.EventDecl{
			{Index: 0, Prototype: Sudid{}, Docs: []string{"A sudo call just took place."}},
			{Index: 1, Prototype: KeyChanged{}, Docs: []string{"The sudo key has been updated."}},
			{Index: 2, Prototype: KeyRemoved{}, Docs: []string{"The key was permanently removed."}},
			{Index: 3, Prototype: SudoAsDone{}, Docs: []string{"A sudo_as call just took place."}},
		},
		Errors: []*pallet.Error{errRequireSudo},
	}
}

// ensure returns an error unless the sender is root or holds the key.
func (s *Sudo) ensure(ctx *Context) error {
	who, root, err := ctx.signedOrRoot()
	if err != nil || root {
		return err
	}
	if key, ok := s.Key.Lookup(ctx); !ok || key != who {
		return errRequireSudo
	}
	return nil
}

// Sudo runs a call as root. It succeeds whatever becomes of the call.
func (s *Sudo) Sudo(ctx *Context, args struct {
	Call RuntimeCall `metadata:"call,Box<<T as Config>::RuntimeCall>"`
}) error {
	return s.sudo(ctx, &args.Call)
}

// SudoUncheckedWeight is Sudo: weights are ignored here.
func (s *Sudo) SudoUncheckedWeight(ctx *Context, args struct {
	Call   RuntimeCall `metadata:"call,Box<<T as Config>::RuntimeCall>"`
	Weight system.Weight
}) error {
	return s.sudo(ctx, &args.Call)
}

func (s *Sudo) sudo(ctx *Context, call *RuntimeCall) error {
	if err := s.ensure(ctx); err != nil {
		return err
	}
	err := ctx.dispatchUnfiltered(Root(), call)
	ctx.deposit(Sudid{ctx.result(err)})
	return nil
}

// SetKey hands the key to another account.
func (s *Sudo) SetKey(ctx *Context, args struct {
	New keyring.MultiAddress `metadata:"new,AccountIdLookupOf<T>"`
}) error {
	if err := s.ensure(ctx); err != nil {
		return err
	}
	who, err := lookup(args.New)
	if err != nil {
		return err
	}
	event := KeyChanged{New: who}
	if old, ok := s.Key.Lookup(ctx); ok {
		event.Old = &old
	}
	s.Key.Set(ctx, who)
	ctx.deposit(event)
	return nil
}

// SudoAs runs a call on behalf of any account.
func (s *Sudo) SudoAs(ctx *Context, args struct {
	Who  keyring.MultiAddress `metadata:"who,AccountIdLookupOf<T>"`
	Call RuntimeCall          `metadata:"call,Box<<T as Config>::RuntimeCall>"`
}) error {
	if err := s.ensure(ctx); err != nil {
		return err
	}
	who, err := lookup(args.Who)
	if err != nil {
		return err
	}
	err = ctx.dispatchUnfiltered(Signed(who), &args.Call)
	ctx.deposit(SudoAsDone{ctx.result(err)})
	return nil
}

// RemoveKey removes the key for good.
func (s *Sudo) RemoveKey(ctx *Context) error {
	if err := s.ensure(ctx); err != nil {
		return err
	}
	s.Key.Delete(ctx)
	ctx.deposit(KeyRemoved{})
	return nil
}
