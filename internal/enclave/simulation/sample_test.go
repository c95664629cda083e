package simulation

import (
	"fmt"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/shardinfo"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// sampleLogic is the sample app with a second implementation of its rules,
// which knows every balance.
type sampleLogic struct {
	compiled *stf.App
	genesis  stf.Hash
	users    []*keyring.Pair
	enclave  stf.AccountID
	balances map[stf.AccountID]stf.Balance // that can be spent
	reserved map[stf.AccountID]stf.Balance // as deposits for proxies
	proxies  map[[2]stf.AccountID]bool     // by account and proxy
}

var existentialDeposit = sample.ExistentialDeposit

func newSampleLogic() (*sampleLogic, error) {
	app, err := sample.New()
	return &sampleLogic{compiled: app, balances: map[stf.AccountID]stf.Balance{}, reserved: map[stf.AccountID]stf.Balance{},
		proxies: map[[2]stf.AccountID]bool{}}, err
}

func (s *sampleLogic) app() *stf.App { return s.compiled }

func (s *sampleLogic) attach(h *history) {
	s.genesis, s.users, s.enclave = h.chain.GenesisHash(), h.users, h.keys.EnclaveAccount()
	s.balances[s.enclave] = scale.NewU128(1000)
}

func (s *sampleLogic) call(d dice, who *keyring.Pair) []byte {
	id, to := who.AccountID(), pick(d, s.users).AccountID()
	amount := scale.NewU128(1_000_000 * uint64(d.n(20_000_000)))
	switch d.n(20) {
	case 0:
		return sample.Noop(id)
	case 1:
		return sample.BalanceTransfer(id, to, scale.MaxU128)
	case 2:
		return sample.BalanceTransfer(id, to, scale.NewU128(uint64(d.n(2_000_000_000)))) // of less than a deposit, too
	case 3:
		return sample.Call((*sample.Balances).BalanceTransferWithNote, id, to, amount, d.bytes(d.n(sample.MaxNoteLen+10)))
	case 4, 5:
		return s.payout(d, who)
	case 6:
		return sample.BalanceUnshield(id, to, amount, foreignShard)
	case 7: // what only the enclave may do
		if d.in(2) {
			return sample.Call((*shardinfo.Parentchain).TimestampSet, id, d.n(1000), shardinfo.Integritee)
		}
		return sample.Call((*sample.Balances).BalanceShieldThroughEnclaveBridgePallet, id, to, amount)
	case 8:
		return sample.Call((*sample.Notes).SendNote, id, to, d.bytes(d.n(450)))
	case 9:
		return sample.Call((*sample.GuessTheNumber).Guess, id, d.n(10_000))
	case 10:
		if d.in(8) {
			return sample.Call((*sample.SessionProxies).AddSessionProxy, id, to, sample.SessionProxyCredentials{Role: sample.SessionProxyRole{Any: &struct{}{}}})
		}
	}
	return sample.BalanceTransfer(id, to, amount)
}

func (s *sampleLogic) payout(d dice, who *keyring.Pair) []byte {
	return sample.BalanceUnshield(who.AccountID(), pick(d, s.users).AccountID(), scale.NewU128(1_000_000*uint64(d.n(20_000_000))), shard)
}

var ok = stf.Outcome{}

func moduleError(module, code uint8) stf.Outcome {
	return stf.Outcome{Code: stf.ModuleError, Module: module, Error: code}
}

// Errors of Balances by number.
const (
	insufficient = iota
	belowDeposit
	overflow
	enclaveOnly
	wrongShard
)

// What a note takes beside the text, with two bytes for its length, and may
// take.
const (
	sendNoteSize = 1 + 32 + 32 + 2 + 13
	maxNoteSize  = 512
)

var noteTooLong = moduleError(3, 0)

func (s *sampleLogic) expect(call []byte, who stf.AccountID) (paid bool, want []stf.Outcome) {
	if s.move(who, s.enclave, sample.Fee(s.genesis, s.compiled.DecodeCall(scale.NewDecoder(call)))) != ok {
		return false, nil
	}
	if call[0] == 50 { // a guess: how near it comes, nobody knows
		return true, append(codes(stf.Success), moduleError(5, 1), moduleError(5, 2))
	}
	return true, []stf.Outcome{s.execute(call, who)}
}

// mayCall reports whether a call's sender has allowed it to somebody.
func (s *sampleLogic) mayCall(owner, delegate stf.AccountID) bool {
	return s.proxies[[2]stf.AccountID{owner, delegate}]
}

func (s *sampleLogic) execute(call []byte, who stf.AccountID) stf.Outcome {
	d := scale.NewDecoder(call)
	index := d.U8()
	d.Fixed(32)
	var to stf.AccountID
	switch index {
	case 0:
		return ok
	case 1:
		return moduleError(2, 1)
	case 6:
		return moduleError(1, enclaveOnly)
	}
	d.Read(to[:])
	switch index {
	case 20:
		if len(d.Bytes()) > maxNoteSize-sendNoteSize {
			return noteTooLong
		}
		return ok
	case 30:
		return s.addProxy(who, to)
	}
	amount := d.U128()
	switch index {
	case 2:
		return s.move(who, to, amount)
	case 5:
		before, target := s.balances[who], s.balances[to]
		if o := s.move(who, to, amount); o != ok || len(d.Bytes()) <= sample.MaxNoteLen {
			return o
		}
		s.balances[who], s.balances[to] = before, target
		return noteTooLong
	}
	var named integritee.ShardID
	if d.Read(named[:]); named != shard {
		return moduleError(1, wrongShard)
	}
	left, enough := s.balances[who].Sub(amount)
	if !enough {
		return moduleError(1, insufficient)
	}
	s.put(who, left)
	return ok
}

func (s *sampleLogic) addProxy(owner, delegate stf.AccountID) stf.Outcome {
	key := [2]stf.AccountID{owner, delegate}
	if owner == delegate || s.proxies[key] {
		if owner == delegate {
			return moduleError(4, 0)
		}
		return ok
	}
	count := 0
	for k := range s.proxies {
		if k[0] == owner {
			count++
		}
	}
	deposit := scale.NewU128(100_000_000_000)
	left, enough := s.balances[owner].Sub(deposit)
	switch {
	case count >= sample.MaxProxies:
		return moduleError(4, 1)
	case !enough || left.Less(existentialDeposit):
		return moduleError(1, insufficient)
	}
	s.balances[owner], s.reserved[owner] = left, s.reserved[owner].SaturatingAdd(deposit)
	s.proxies[key] = true
	return ok
}

func (s *sampleLogic) move(from, to stf.AccountID, amount stf.Balance) stf.Outcome {
	if amount.IsZero() {
		return ok
	}
	left, enough := s.balances[from].Sub(amount)
	sum, fits := s.balances[to].Add(amount)
	switch {
	case !enough:
		return moduleError(1, insufficient)
	case !fits:
		return moduleError(1, overflow)
	case sum.Less(existentialDeposit):
		return moduleError(1, belowDeposit)
	case from == to:
		return ok
	}
	s.put(from, left)
	s.balances[to] = sum
	return ok
}

func (s *sampleLogic) put(who stf.AccountID, left stf.Balance) {
	if left.Less(existentialDeposit) && s.reserved[who].IsZero() { // burned
		left = stf.Balance{}
	}
	s.balances[who] = left
}

func (s *sampleLogic) shielded(who stf.AccountID, amount stf.Balance) stf.Code {
	fee, _ := amount.Div64(571)
	credit, _ := amount.Sub(fee)
	if credit.Less(existentialDeposit) {
		return stf.Invalid
	}
	s.balances[s.enclave] = s.balances[s.enclave].SaturatingAdd(fee)
	s.balances[who] = s.balances[who].SaturatingAdd(credit)
	return stf.Success
}

func (s *sampleLogic) returned(who stf.AccountID, amount stf.Balance) {
	s.balances[who] = s.balances[who].SaturatingAdd(amount)
}

// check compares every balance and their sum with the state.
func (s *sampleLogic) check(v *enclave.View) error {
	sum := s.balances[s.enclave]
	for _, u := range append(s.users[:len(s.users):len(s.users)], pair("//Payer")) {
		g := integritee.SignGetter(sample.GetterAccountInfo(u.AccountID()), u)
		value, some, err := v.Getter(integritee.Request{Shard: shard, Cyphertext: g.AppendSCALE(nil)})
		var info sample.AccountInfo
		if err == nil && some {
			err = scale.Unmarshal(value, &info)
		}
		want := s.balances[u.AccountID()]
		if err != nil || info.Data.Free != want || info.Data.Reserved != s.reserved[u.AccountID()] {
			return fmt.Errorf("account %v has %v, want %v (%v)", u.AccountID(), info.Data.Free, want, err)
		}
		sum = sum.SaturatingAdd(want).SaturatingAdd(s.reserved[u.AccountID()])
	}
	public := integritee.Getter{Public: sample.GetterTotalIssuance()}
	value, _, err := v.Getter(integritee.Request{Shard: shard, Cyphertext: public.AppendSCALE(nil)})
	var issuance stf.Balance
	if err == nil {
		err = scale.Unmarshal(value, &issuance)
	}
	if err != nil || issuance != sum {
		return fmt.Errorf("the balances are %v together, total issuance is %v (%v)", sum, issuance, err)
	}
	return nil
}
