package sample

import (
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
)

// MaxProxies is how many session proxies an account may have.
const MaxProxies = 10

// Errors of the module SessionProxy.
var (
	ErrSelfProxy         = stf.NewError(0, "SelfProxyForbidden", "an account cannot be its own proxy")
	ErrTooManyProxies    = stf.NewError(1, "TooManyProxies", "the account has ten proxies already")
	ErrAllowanceExceeded = stf.NewError(2, "AllowanceExceeded", "the proxy may not spend that much")
)

// SessionProxyRole is what a session proxy may do. The zero value is no role.
type SessionProxyRole struct {
	_                 scale.Enum
	ReadBalance       *struct{}    `scale:"0"`
	ReadAny           *struct{}    `scale:"1"`
	NonTransfer       *struct{}    `scale:"2"`
	Any               *struct{}    `scale:"3"`
	TransferAllowance *stf.Balance `scale:"4"`
}

// SessionProxyCredentials describe a session proxy: its role, until when it has
// it (ms since 1970, nil for ever), and the seed of its key, by which a wallet
// finds it again.
type SessionProxyCredentials struct {
	Role   SessionProxyRole
	Expiry *uint64
	Seed   [32]byte
}

// AccountInfoAndSessionProxies is the answer of account_info_and_session_proxies.
type AccountInfoAndSessionProxies struct {
	AccountInfo    AccountInfo
	SessionProxies []SessionProxyCredentials
}

// AccountEssentials is the answer of account_essentials. Assets are empty.
type AccountEssentials struct {
	AccountInfo    AccountInfo
	SessionProxies []SessionProxyCredentials
	AssetBalances  []AssetBalance
}

// SessionProxies lets other keys act for an account, within their role, until
// they expire and up to their allowance.
type SessionProxies struct {
	// Proxies by account and proxy.
	Proxies stf.DoubleMap[stf.AccountID, stf.AccountID, SessionProxy] `pallet:"name=SessionProxies,optional"`

	balances *Balances
	notes    *Notes
}

// SessionProxy is what an account has allowed a proxy, and the deposit for it.
type SessionProxy struct {
	Credentials SessionProxyCredentials
	Deposit     stf.Balance
}

// AddSessionProxy allows or changes a proxy. A deposit is reserved for each.
func (s *SessionProxies) AddSessionProxy(ctx stf.Call, delegate stf.AccountID, credentials SessionProxyCredentials) error {
	owner := ctx.Sender()
	if owner == delegate {
		return ErrSelfProxy
	}
	p, known := s.Proxies.Lookup(ctx, owner, delegate)
	if !known {
		count := 0
		for range s.Proxies.Prefix(ctx, owner) {
			count++
		}
		if count >= MaxProxies {
			return ErrTooManyProxies
		}
		p.Deposit = unitParts(ctx.Genesis(), 1000)
		if err := s.balances.Reserve(ctx, owner, p.Deposit); err != nil {
			return err
		}
	}
	p.Credentials = credentials
	s.Proxies.Set(ctx, owner, delegate, p)
	return s.notes.record(ctx, owner)
}

// AccountInfoAndSessionProxies answers like AccountEssentials without assets.
func (s *SessionProxies) AccountInfoAndSessionProxies(q stf.Query, who stf.AccountID) (AccountInfoAndSessionProxies, error) {
	info, err := s.balances.AccountInfo(q, who)
	out := AccountInfoAndSessionProxies{AccountInfo: info}
	for _, p := range s.Proxies.Prefix(q, who) {
		out.SessionProxies = append(out.SessionProxies, p.Credentials)
	}
	return out, err
}

// AccountEssentials answers with all that a wallet shows first.
func (s *SessionProxies) AccountEssentials(q stf.Query, who stf.AccountID) (AccountEssentials, error) {
	all, err := s.AccountInfoAndSessionProxies(q, who)
	return AccountEssentials{AccountInfo: all.AccountInfo, SessionProxies: all.SessionProxies}, err
}

// role returns what a proxy may do at this time; nothing if it has expired.
func (s *SessionProxies) role(q stf.Query, owner, delegate stf.AccountID) SessionProxyRole {
	c := s.Proxies.Get(q, owner, delegate).Credentials
	if c.Expiry != nil && stf.Moment(*c.Expiry) <= q.Now() {
		return SessionProxyRole{}
	}
	return c.Role
}

// mayCall admits the calls of a role. How much one with an allowance spends is
// checked where it is spent.
func (s *SessionProxies) mayCall(q stf.Query, c stf.DecodedCall, delegate stf.AccountID) bool {
	role := s.role(q, c.Sender, delegate)
	switch c.Name {
	case "Balances.noop", "Notes.send_note", "GuessTheNumber.set_winnings", "GuessTheNumber.push_by_one_day", "GuessTheNumber.guess":
		return role.Any != nil || role.NonTransfer != nil || role.TransferAllowance != nil
	case "Balances.balance_transfer", "Balances.balance_transfer_with_note", "Balances.balance_unshield_through_enclave_bridge_pallet":
		return role.Any != nil || role.TransferAllowance != nil
	}
	return role.Any != nil
}

// mayRead admits the getters of a role. Receipts are for those who make calls:
// who asks must know the call.
func (s *SessionProxies) mayRead(q stf.Query, owner, delegate stf.AccountID, getter string) bool {
	role := s.role(q, owner, delegate)
	return role.Any != nil || role.NonTransfer != nil || role.ReadAny != nil ||
		role.ReadBalance != nil && getter == "Balances.account_info" || role.TransferAllowance != nil && getter == ""
}

// spend takes what a call costs its sender from the allowance of the proxy that
// signed it, if it has one.
func (s *SessionProxies) spend(ctx stf.Call, amount stf.Balance) error {
	delegate, ok := ctx.Delegate()
	if !ok {
		return nil
	}
	p := s.Proxies.Get(ctx, ctx.Sender(), delegate)
	if p.Credentials.Role.TransferAllowance == nil {
		return nil
	}
	left, ok := p.Credentials.Role.TransferAllowance.Sub(amount)
	if !ok {
		return ErrAllowanceExceeded
	}
	p.Credentials.Role.TransferAllowance = &left
	s.Proxies.Set(ctx, ctx.Sender(), delegate, p)
	return nil
}
