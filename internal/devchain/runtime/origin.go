package runtime

import (
	"slices"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/system"
)

// Origin says on whose behalf a call runs, and which calls it may run.
type Origin struct {
	kind    originKind
	who     keyring.AccountID
	filters []func(*RuntimeCall) bool // all must agree; root is above them
}

type originKind uint8

const (
	originNone originKind = iota
	originRoot
	originSigned
)

// Signed is the origin of an extrinsic that an account has signed.
func Signed(who keyring.AccountID) Origin { return Origin{kind: originSigned, who: who} }

// Root is the origin of the chain's own authority.
func Root() Origin { return Origin{kind: originRoot} }

// as is the same origin on behalf of another account: the filters stay.
func (o Origin) as(who keyring.AccountID) Origin {
	o.kind, o.who = originSigned, who
	return o
}

// filtered adds a filter.
func (o Origin) filtered(f func(*RuntimeCall) bool) Origin {
	o.filters = append(slices.Clip(o.filters), f)
	return o
}

// allows reports whether the filters let a call through.
func (o Origin) allows(c *RuntimeCall) bool {
	return o.kind == originRoot || !slices.ContainsFunc(o.filters, func(f func(*RuntimeCall) bool) bool { return !f(c) })
}

// OriginCaller is an origin as an argument or in storage.
type OriginCaller struct {
	_      scale.Enum
	System *RawOrigin `scale:"0" metadata:"system,frame_system::Origin<Runtime>"`
}

// MetadataPath is the type's path in runtime metadata.
func (OriginCaller) MetadataPath() []string { return []string{"ocw_dev_runtime", "OriginCaller"} }

// RawOrigin is an origin of the pallet System.
type RawOrigin struct {
	_      scale.Enum
	Root   *struct{}          `scale:"0"`
	Signed *keyring.AccountID `scale:"1" metadata:",AccountId"`
	None   *struct{}          `scale:"2"`
}

// MetadataPath is the type's path in runtime metadata.
func (RawOrigin) MetadataPath() []string {
	return []string{"frame_support", "dispatch", "RawOrigin"}
}

// caller returns the origin without its filters, as storage keeps it.
func (o Origin) caller() OriginCaller {
	switch o.kind {
	case originRoot:
		return OriginCaller{System: &RawOrigin{Root: &struct{}{}}}
	case originSigned:
		who := o.who
		return OriginCaller{System: &RawOrigin{Signed: &who}}
	}
	return OriginCaller{System: &RawOrigin{None: &struct{}{}}}
}

// origin is the reverse of caller.
func (c OriginCaller) origin() Origin {
	switch {
	case c.System != nil && c.System.Root != nil:
		return Root()
	case c.System != nil && c.System.Signed != nil:
		return Signed(*c.System.Signed)
	}
	return Origin{}
}

// DispatchResult is the outcome of a nested call in an event.
type DispatchResult struct {
	_   scale.Enum
	Ok  *unit                 `scale:"0"`
	Err *system.DispatchError `scale:"1"`
}

// unit is the payload of an Ok: a field, though an empty one.
type unit = struct {
	Unit struct{} `metadata:"_,()"`
}

// MetadataPath is the type's path in runtime metadata.
func (DispatchResult) MetadataPath() []string { return []string{"Result"} }

// result turns what a call returned into what events say of it.
func (c *Context) result(err error) DispatchResult {
	if err == nil {
		return DispatchResult{Ok: &unit{}}
	}
	e := c.rt.DispatchError(err)
	return DispatchResult{Err: &e}
}
