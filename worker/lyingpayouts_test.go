package worker

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// owedPayout returns the payout that the deceived worker owes.
func (s *scene) owedPayout() *enclave.Payout {
	p, _ := s.victim.published.read()
	for _, e := range p.pending {
		if e.Payout != nil {
			return e.Payout
		}
	}
	s.t.Error("no payout is owed")
	return &enclave.Payout{}
}

func payoutAttacks() []chainAttack {
	return []chainAttack{
		forgedState("payout claimed but not made", "has the call hash of a payout count as used, so that nobody pays it"),
		{attack{"payout claimed by a forged extrinsic", "puts a payment that was never made into a block", byBody}, func(s *scene, f *forgery) {
			p := s.owedPayout()
			call := s.call("EnclaveBridge", "unshield_funds", integritee.UnshieldFundsArgs{Shard: s.shard(), Beneficiary: p.Beneficiary, Amount: p.Amount, CallHash: p.CallHash})
			f.Extrinsics = append(f.Extrinsics, framed(append([]byte{5}, call...)))
		}},
	}
}

func forgedState(name, lie string) chainAttack {
	return chainAttack{attack{name, lie, incomplete}, func(s *scene, f *forgery) {
		entry, ok := s.chain.Best().Runtime().Metadata.StorageEntry("EnclaveBridge", "ExecutedUnshieldCalls")
		if !ok {
			s.t.Error("no such storage item")
			return
		}
		hash := s.owedPayout().CallHash
		key, err := entry.Key(hash[:])
		if err != nil {
			s.t.Error(err)
			return
		}
		f.reading = f.reading.Set(key, scale.AppendU64(nil, 1))
	}}
}

// TestLyingPayouts has a host keep a worker's extrinsics back, so that a payout
// stays owed, and claim that it was made. It is paid when the host gives up.
func TestLyingPayouts(t *testing.T) {
	t.Parallel()
	s := newScene(t, devchain.Config{}, func(c *Config) { c.resubmit = 100 * time.Millisecond })
	s.quiet()
	s.session = s.network.session(s.victim)
	stopped(t, s.honest)
	s.alone = true
	keepBack := func(m string, _ json.RawMessage) any {
		if m == "author_submitExtrinsic" {
			return hashing.Hash{1}
		}
		return nil
	}
	s.always = &keepBack
	s.truth()
	bob, before := pair("//Bob"), s.chain.Best().Number()
	s.submit(bob, s.invocation(s.session, 0, sample.BalanceUnshield(alice.AccountID(), ferdie.AccountID(), amount(unit), s.shard())))
	s.until(s.victim, "the call is not executed", func() bool { return s.victim.Status().Number > before })
	for _, a := range payoutAttacks() {
		t.Run(a.name, func(t *testing.T) {
			f := s.forger(a.forge)
			s.attackWith(t, a.attack, func(m string, params json.RawMessage) any {
				if x := keepBack(m, params); x != nil {
					return x
				}
				return f.answer(m, params)
			}, func() { s.submit(bob, s.call("System", "remark", []byte("a block"))) })
		})
	}
	if got := len(s.events("EnclaveBridge", "UnshieldedFunds")); got != 0 {
		t.Errorf("%d payouts although nothing was let through", got)
	}
	s.owedPayout()
	s.always = nil
	s.truth()
	s.until(s.victim, "the payout is not made", func() bool { return s.victim.Status().Pending == 0 })
	if got := len(s.events("EnclaveBridge", "UnshieldedFunds")); got != 1 {
		t.Errorf("%d payouts", got)
	}
}

// codeAttacks are run by TestRestartAtUpgrade.
func codeAttacks() []attack {
	want := healthy("chain-unverified")
	return []attack{
		{"the old code", "proves the code of before an upgrade", want},
		{"flipped code", "flips a digit of the code", want},
		{"swapped code", "serves another runtime's code, with other metadata", want},
		{"truncated proof of the code", "leaves an item of the proof out", want},
		{"no code", "leaves the code out of its proof", want},
		{"padded proof of the code", "adds an item", want},
		{"an item of the proof of the code twice", "doubles an item", want},
		{"empty proof of the code", "proves nothing", want},
	}
}

// relayAttacks are run by TestLyingRelay and TestParaHeld.
func relayAttacks() []attack {
	return []attack{
		{"flipped head", "flips a bit of the proof of the parachain's head", healthy("relay-unverified")},
		{"no head", "serves no proof of the head", healthy("relay-unverified")},
		{"flipped relay header", "flips a bit of a relay header", healthy("relay-unverified")},
		{"another relay chain", "is of a relay chain with another genesis", healthy("relay-other")},
		{"proof of an earlier relay block", "proves the head of an earlier relay block", healthy("relay-unverified")},
		{"withheld relay headers", "serves no relay headers", healthy("relay")},
		{"stale relay head", "calls block 0 of the relay chain the last final one", healthy("behind")},
		{"relay connection lost", "hangs up", healthy("relay-unreachable")},
		{"a parachain block that is not included", "calls a block final that the relay chain has not included", healthy("relay-not-included")},
		{"a parachain block whose inclusion is not final", "calls a block final that only an unfinalized relay block includes", healthy("relay-not-included")},
	}
}
