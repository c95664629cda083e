package runtime

import (
	"cmp"
	"reflect"
	"slices"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// The deposits of Proxy in planck, and its limits, as the Integritee network
// has them.
const (
	ProxyDepositBase          = 20_008_000_000_000
	ProxyDepositFactor        = 33_000_000_000
	AnnouncementDepositFactor = 66_000_000_000
	maxProxies                = 32
	maxPending                = 32
)

// Proxy is the pallet Proxy, index 7: accounts that act for others. Pure proxies
// are left out.
type Proxy struct {
	Proxies       pallet.Map[keyring.AccountID, ProxyList]        `pallet:"hasher=Twox64Concat"`
	Announcements pallet.Map[keyring.AccountID, AnnouncementList] `pallet:"hasher=Twox64Concat"`

	balances *Balances
}

// ProxyList is who may act for an account, ascending, and the deposit for it.
type ProxyList struct {
	Definitions []ProxyDefinition `metadata:"_,BoundedVec<ProxyDefinition<T::AccountId, T::ProxyType, BlockNumberFor<T>>, T::MaxProxies>"`
	Deposit     scale.U128        `metadata:"_,BalanceOf<T>"`
}

// ProxyDefinition is an account that may act for another.
type ProxyDefinition struct {
	Delegate  keyring.AccountID `metadata:"delegate,AccountId"`
	ProxyType ProxyType
	Delay     header.Number `metadata:"delay,BlockNumber"` // blocks between announcement and call
}

// MetadataPath is the type's path in runtime metadata.
func (ProxyDefinition) MetadataPath() []string { return []string{"pallet_proxy", "ProxyDefinition"} }

func compareDefinitions(a, b ProxyDefinition) int {
	return cmp.Or(compareAccounts(a.Delegate, b.Delegate), cmp.Compare(a.ProxyType, b.ProxyType), cmp.Compare(a.Delay, b.Delay))
}

// AnnouncementList is what an account has announced, and the deposit for it.
type AnnouncementList struct {
	Pending []Announcement `metadata:"_,BoundedVec<Announcement<T::AccountId, CallHashOf<T>, BlockNumberFor<T>>, T::MaxPending>"`
	Deposit scale.U128     `metadata:"_,BalanceOf<T>"`
}

// Announcement is a call that a proxy is going to make.
type Announcement struct {
	Real     keyring.AccountID `metadata:"real,AccountId"`
	CallHash hashing.Hash      `metadata:"call_hash,Hash"`
	Height   header.Number     `metadata:"height,BlockNumber"`
}

// MetadataPath is the type's path in runtime metadata.
func (Announcement) MetadataPath() []string { return []string{"pallet_proxy", "Announcement"} }

// ProxyType says which calls a proxy may make.
type ProxyType uint8

// The types of proxies.
const (
	ProxyAny         ProxyType = iota // all
	ProxyNonTransfer                  // all but those of Balances
	ProxyGovernance                   // those of pallets that this chain does not have
	ProxyCancel                       // reject_announcement, and calls that run it
)

// SCALEVariants lists the types.
func (ProxyType) SCALEVariants() []scale.Variant {
	return []scale.Variant{{Index: 0, Name: "Any"}, {Index: 1, Name: "NonTransfer"}, {Index: 2, Name: "Governance"}, {Index: 3, Name: "CancelProxy"}}
}

// MetadataPath is the type's path in runtime metadata.
func (ProxyType) MetadataPath() []string { return []string{"ocw_dev_runtime", "ProxyType"} }

func (t ProxyType) allows(r *Runtime, c *RuntimeCall) bool {
	switch t {
	case ProxyAny:
		return true
	case ProxyNonTransfer:
		return !r.is(c, "Balances")
	case ProxyCancel:
		return r.is(c, "Proxy", "reject_announcement") || r.is(c, "Utility") || r.is(c, "Multisig")
	}
	return false
}

// includes reports whether the type may do all that another may.
func (t ProxyType) includes(u ProxyType) bool {
	return t == u || t == ProxyAny || t == ProxyNonTransfer && u != ProxyAny
}

// The events of Proxy.
type (
	ProxyExecuted struct{ Result DispatchResult }
	Announced     struct {
		Real, Proxy keyring.AccountID
		CallHash    hashing.Hash `metadata:"call_hash,CallHashOf<T>"`
	}
	ProxyAdded struct {
		Delegator, Delegatee keyring.AccountID
		ProxyType            ProxyType
		Delay                header.Number
	}
	ProxyRemoved struct {
		Delegator, Delegatee keyring.AccountID
		ProxyType            ProxyType
		Delay                header.Number
	}
)

var (
	errTooManyProxies = pallet.NewError(0, "TooMany", "There are too many proxies registered or too many announcements pending.")
	errProxyNotFound  = pallet.NewError(1, "NotFound", "Proxy registration not found.")
	errNotProxy       = pallet.NewError(2, "NotProxy", "Sender is not a proxy of the account to be proxied.")
	errDuplicate      = pallet.NewError(4, "Duplicate", "Account is already a proxy.")
	errUnannounced    = pallet.NewError(6, "Unannounced", "Announcement, if made at all, was made too recently.")
	errNoSelfProxy    = pallet.NewError(7, "NoSelfProxy", "Cannot add self as proxy.")
	proxyErrors       = []*pallet.Error{
		errTooManyProxies, errProxyNotFound, errNotProxy,
		pallet.NewError(3, "Unproxyable", "A call which is incompatible with the proxy type's filter was attempted."),
		errDuplicate,
		pallet.NewError(5, "NoPermission", "Call may not be made by proxy because it may escalate its privileges."),
		errUnannounced, errNoSelfProxy,
	}
)

func (p *Proxy) declare() pallet.Declaration {
	return pallet.Declaration{
		Name: "Proxy", Index: 7, Module: p, Context: reflect.TypeFor[*Context](),
		CallIndex: indexes(map[string]uint8{"Proxy": 0, "AddProxy": 1, "RemoveProxy": 2, "RemoveProxies": 3, "Announce": 6,
			"RemoveAnnouncement": 7, "RejectAnnouncement": 8, "ProxyAnnounced": 9}),
		Events: []pallet.EventDecl{
			{Index: 0, Prototype: ProxyExecuted{}, Docs: []string{"A proxy was executed correctly, with the given."}},
			{Index: 2, Prototype: Announced{}, Docs: []string{"An announcement was placed to make a call in the future."}},
			{Index: 3, Prototype: ProxyAdded{}, Docs: []string{"A proxy was added."}},
			{Index: 4, Prototype: ProxyRemoved{}, Docs: []string{"A proxy was removed."}},
		},
		Errors: proxyErrors,
		Constants: []pallet.Constant{
			{Name: "ProxyDepositBase", Value: scale.NewU128(ProxyDepositBase), Doc: "The base amount of currency needed to reserve for creating a proxy."},
			{Name: "ProxyDepositFactor", Value: scale.NewU128(ProxyDepositFactor), Doc: "The amount of currency needed per proxy added."},
			{Name: "MaxProxies", Value: uint32(maxProxies), Doc: "The maximum amount of proxies allowed for a single account."},
			{Name: "MaxPending", Value: uint32(maxPending), Doc: "The maximum amount of time-delayed announcements that are allowed to be pending."},
			{Name: "AnnouncementDepositBase", Value: scale.NewU128(ProxyDepositBase), Doc: "The base amount of currency needed to reserve for creating an announcement."},
			{Name: "AnnouncementDepositFactor", Value: scale.NewU128(AnnouncementDepositFactor), Doc: "The amount of currency needed per announcement made."},
		},
	}
}

// deposit is what n items cost.
func deposit(n int, factor uint64) balance {
	if n == 0 {
		return balance{}
	}
	return scale.NewU128(ProxyDepositBase + factor*uint64(n))
}

// find returns the first definition by which delegate may act for real.
func (p *Proxy) find(ctx *Context, real, delegate keyring.AccountID, force *ProxyType) (ProxyDefinition, error) {
	for _, d := range p.Proxies.Get(ctx, real).Definitions {
		if d.Delegate == delegate && (force == nil || d.ProxyType == *force) {
			return d, nil
		}
	}
	return ProxyDefinition{}, errNotProxy
}

// Proxy runs a call on behalf of an account that the sender may act for. It
// succeeds whatever becomes of the call.
func (p *Proxy) Proxy(ctx *Context, args struct {
	Real           keyring.MultiAddress `metadata:"real,AccountIdLookupOf<T>"`
	ForceProxyType *ProxyType           `metadata:"force_proxy_type,Option<T::ProxyType>"`
	Call           RuntimeCall          `metadata:"call,Box<<T as Config>::RuntimeCall>"`
}) error {
	who, real, err := ctx.signedFor(args.Real)
	if err != nil {
		return err
	}
	def, err := p.find(ctx, real, who, args.ForceProxyType)
	if err != nil {
		return err
	}
	if def.Delay != 0 {
		return errUnannounced
	}
	p.run(ctx, def, real, &args.Call)
	return nil
}

// run runs the call of a proxy, whose filter replaces those of the sender.
func (p *Proxy) run(ctx *Context, def ProxyDefinition, real keyring.AccountID, call *RuntimeCall) {
	origin := Signed(real).filtered(func(c *RuntimeCall) bool {
		switch {
		case ctx.rt.is(c, "Proxy", "add_proxy", "remove_proxy"):
			// Address, then type: not more than it has itself.
			d := scale.NewDecoder(c.raw[2:])
			var to keyring.MultiAddress
			var of ProxyType
			d.Decode(&to)
			d.Decode(&of)
			if d.Err() != nil || !def.ProxyType.includes(of) {
				return false
			}
		case ctx.rt.is(c, "Proxy", "remove_proxies") && def.ProxyType != ProxyAny:
			return false
		}
		return def.ProxyType.allows(ctx.rt, c)
	})
	err := ctx.dispatch(origin, call)
	ctx.deposit(ProxyExecuted{ctx.result(err)})
}

type proxyArgs = struct {
	Delegate  keyring.MultiAddress `metadata:"delegate,AccountIdLookupOf<T>"`
	ProxyType ProxyType            `metadata:"proxy_type,T::ProxyType"`
	Delay     header.Number        `metadata:"delay,BlockNumberFor<T>"`
}

// AddProxy lets another account act for the sender.
func (p *Proxy) AddProxy(ctx *Context, args proxyArgs) error {
	return p.change(ctx, args, func(list []ProxyDefinition, def ProxyDefinition) ([]ProxyDefinition, any, error) {
		if def.Delegate == ctx.origin.who {
			return nil, nil, errNoSelfProxy
		}
		i, found := slices.BinarySearchFunc(list, def, compareDefinitions)
		switch {
		case found:
			return nil, nil, errDuplicate
		case len(list) >= maxProxies:
			return nil, nil, errTooManyProxies
		}
		return slices.Insert(list, i, def), ProxyAdded{ctx.origin.who, def.Delegate, def.ProxyType, def.Delay}, nil
	})
}

// RemoveProxy ends what AddProxy began.
func (p *Proxy) RemoveProxy(ctx *Context, args proxyArgs) error {
	return p.change(ctx, args, func(list []ProxyDefinition, def ProxyDefinition) ([]ProxyDefinition, any, error) {
		i, found := slices.BinarySearchFunc(list, def, compareDefinitions)
		if !found {
			return nil, nil, errProxyNotFound
		}
		return slices.Delete(list, i, i+1), ProxyRemoved{ctx.origin.who, def.Delegate, def.ProxyType, def.Delay}, nil
	})
}

func (p *Proxy) change(ctx *Context, args proxyArgs, f func([]ProxyDefinition, ProxyDefinition) ([]ProxyDefinition, any, error)) error {
	who, delegate, err := ctx.signedFor(args.Delegate)
	if err != nil {
		return err
	}
	list := p.Proxies.Get(ctx, who)
	definitions, event, err := f(list.Definitions, ProxyDefinition{delegate, args.ProxyType, args.Delay})
	if err != nil {
		return err
	}
	sum := deposit(len(definitions), ProxyDepositFactor)
	if err := p.balances.reserveTo(ctx, who, list.Deposit, sum); err != nil {
		return err
	}
	if len(definitions) == 0 {
		p.Proxies.Delete(ctx, who)
	} else {
		p.Proxies.Set(ctx, who, ProxyList{definitions, sum})
	}
	ctx.deposit(event)
	return nil
}

// RemoveProxies removes all who may act for the sender.
func (p *Proxy) RemoveProxies(ctx *Context) error {
	who, err := ctx.signed()
	if err != nil {
		return err
	}
	sum := p.Proxies.Get(ctx, who).Deposit
	p.Proxies.Delete(ctx, who)
	p.balances.unreserve(ctx, who, sum)
	return nil
}

// Announce announces a call of a proxy with a delay.
func (p *Proxy) Announce(ctx *Context, args struct {
	Real     keyring.MultiAddress `metadata:"real,AccountIdLookupOf<T>"`
	CallHash hashing.Hash         `metadata:"call_hash,CallHashOf<T>"`
}) error {
	who, real, err := ctx.signedFor(args.Real)
	if err != nil {
		return err
	}
	if _, err := p.find(ctx, real, who, nil); err != nil {
		return err
	}
	list := p.Announcements.Get(ctx, who)
	if len(list.Pending) >= maxPending {
		return errTooManyProxies
	}
	list.Pending = append(list.Pending, Announcement{real, args.CallHash, ctx.number()})
	if err := p.setAnnouncements(ctx, who, list); err != nil {
		return err
	}
	ctx.deposit(Announced{real, who, args.CallHash})
	return nil
}

// setAnnouncements stores a list and adapts its deposit.
func (p *Proxy) setAnnouncements(ctx *Context, who keyring.AccountID, list AnnouncementList) error {
	sum := deposit(len(list.Pending), AnnouncementDepositFactor)
	if err := p.balances.reserveTo(ctx, who, list.Deposit, sum); err != nil {
		return err
	}
	if list.Deposit = sum; len(list.Pending) == 0 {
		p.Announcements.Delete(ctx, who)
	} else {
		p.Announcements.Set(ctx, who, list)
	}
	return nil
}

// removeAnnouncements removes those announcements of a delegate for which f is
// true; there must be one.
func (p *Proxy) removeAnnouncements(ctx *Context, delegate keyring.AccountID, f func(Announcement) bool) error {
	list := p.Announcements.Get(ctx, delegate)
	n := len(list.Pending)
	if list.Pending = slices.DeleteFunc(list.Pending, f); len(list.Pending) == n {
		return errProxyNotFound
	}
	return p.setAnnouncements(ctx, delegate, list)
}

// RemoveAnnouncement takes an announcement of the sender back.
func (p *Proxy) RemoveAnnouncement(ctx *Context, args struct {
	Real     keyring.MultiAddress `metadata:"real,AccountIdLookupOf<T>"`
	CallHash hashing.Hash         `metadata:"call_hash,CallHashOf<T>"`
}) error {
	who, real, err := ctx.signedFor(args.Real)
	if err != nil {
		return err
	}
	return p.removeAnnouncements(ctx, who, func(a Announcement) bool { return a.Real == real && a.CallHash == args.CallHash })
}

// RejectAnnouncement removes an announcement of a proxy of the sender.
func (p *Proxy) RejectAnnouncement(ctx *Context, args struct {
	Delegate keyring.MultiAddress `metadata:"delegate,AccountIdLookupOf<T>"`
	CallHash hashing.Hash         `metadata:"call_hash,CallHashOf<T>"`
}) error {
	who, delegate, err := ctx.signedFor(args.Delegate)
	if err != nil {
		return err
	}
	return p.removeAnnouncements(ctx, delegate, func(a Announcement) bool { return a.Real == who && a.CallHash == args.CallHash })
}

// ProxyAnnounced runs an announced call once its delay is over. Anybody may
// have it run.
func (p *Proxy) ProxyAnnounced(ctx *Context, args struct {
	Delegate       keyring.MultiAddress `metadata:"delegate,AccountIdLookupOf<T>"`
	Real           keyring.MultiAddress `metadata:"real,AccountIdLookupOf<T>"`
	ForceProxyType *ProxyType           `metadata:"force_proxy_type,Option<T::ProxyType>"`
	Call           RuntimeCall          `metadata:"call,Box<<T as Config>::RuntimeCall>"`
}) error {
	if _, err := ctx.signed(); err != nil {
		return err
	}
	delegate, err := lookup(args.Delegate)
	if err != nil {
		return err
	}
	real, err := lookup(args.Real)
	if err != nil {
		return err
	}
	def, err := p.find(ctx, real, delegate, args.ForceProxyType)
	if err != nil {
		return err
	}
	hash, now := args.Call.hash(), ctx.number()
	err = p.removeAnnouncements(ctx, delegate, func(a Announcement) bool {
		return a.Real == real && a.CallHash == hash && now-min(a.Height, now) >= def.Delay
	})
	if err != nil {
		return errUnannounced
	}
	p.run(ctx, def, real, &args.Call)
	return nil
}
