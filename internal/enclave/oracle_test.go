package enclave

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// Whoever copies a ciphertext from the chain, whole or in chunks, must learn
// nothing of what is inside.

func (w *world) receipt(hash hashing.Hash, who *keyring.Pair) *stf.Receipt {
	w.t.Helper()
	r, err := w.core.View().Receipt(stf.NewReceiptQuery(testShard, hash, who))
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// reading is what a receipt tells that is not public anyway.
type reading struct {
	None   bool
	Code   stf.Outcome
	Gas    uint64
	Events [][]byte
}

func (w *world) read(hash hashing.Hash, who *keyring.Pair) reading {
	r := w.receipt(hash, who)
	if r == nil {
		return reading{None: true}
	}
	if *r.OperationHash != hash || *r.Sender != who.AccountID() {
		w.t.Errorf("the receipt is of %v %v", r.OperationHash, r.Sender)
	}
	return reading{Code: r.Outcome, Gas: r.Gas, Events: r.Events}
}

// TestShieldingIsNoOracle shields small amounts to ciphertexts of somebody
// else: accounts with and without funds, and an operation.
func TestShieldingIsNoOracle(t *testing.T) {
	w := newWorld(t)
	victim, stranger, bob := pair(t, "//Victim"), pair(t, "//Stranger"), pair(t, "//Bob")
	w.fund(victim, 10*unit)
	rich, poor := victim.AccountID(), stranger.AccountID()
	ciphertexts := [][]byte{w.encrypt(rich[:]), w.encrypt(poor[:]), w.transfer(victim, bob, 12345, 0)}
	for _, planck := range []uint64{1, 400, 1000, unit} {
		b := w.block()
		for _, ct := range ciphertexts {
			b.shield(testShard, ct, planck)
		}
		b.run()
		want := w.read(hashing.Blake2b256(ciphertexts[0]), w.user)
		if want.None || len(want.Events) != 0 || want.Gas != 0 {
			t.Errorf("%d planck: %+v", planck, want)
		}
		for _, ct := range ciphertexts[1:] {
			if diff := cmp.Diff(want, w.read(hashing.Blake2b256(ct), w.user)); diff != "" {
				t.Errorf("%d planck: %s", planck, diff)
			}
		}
	}
	w.core.receipts.found.Scan(func(r *stf.Receipt) bool {
		for _, event := range r.Events {
			if *r.Sender == w.user.AccountID() || bytes.Contains(event, rich[:]) && *r.Sender != rich {
				t.Errorf("%v can read %x", *r.Sender, event)
			}
		}
		return true
	})
}

// TestInvocationIsNoOracle sends everything that can be wrong before and at
// the signature, with an operation of somebody else whole, alone, behind and
// between own chunks. All receipts must read alike.
func TestInvocationIsNoOracle(t *testing.T) {
	w := newWorld(t)
	victim, bob := pair(t, "//Victim"), pair(t, "//Bob")
	w.fund(victim, 10*unit)
	id, attacker := victim.AccountID(), w.user.AccountID()
	plain := top(victim, sample.BalanceTransfer(id, bob.AccountID(), amount(7<<16)), 0)
	op := w.encrypt(plain)

	// An unsigned transfer of the attacker with a note of n bytes: it decodes
	// depending on what follows.
	note := func(n int) []byte {
		head := sample.Call((*sample.Balances).BalanceTransferWithNote, attacker, id, amount(1), make([]byte, n))
		return append([]byte{integritee.TOPIndirectCall}, head[:len(head)-n]...)
	}
	tail := w.encrypt(make([]byte, 70))
	forged := slices.Clone(plain)
	forged[len(forged)-1] ^= 1
	direct := slices.Clone(plain)
	direct[0] = integritee.TOPDirectCall
	foreign := integritee.SignCall(sample.Noop(id), 0, testFingerprint, integritee.ShardID{9}, victim)
	full := append(note(300), make([]byte, 500)...)
	cases := map[string][]byte{
		"garbage":                  []byte("garbage"),
		"nothing":                  nil,
		"no operation":             w.encrypt([]byte("no operation")),
		"unknown call":             w.encrypt([]byte{integritee.TOPIndirectCall, 201}),
		"getter":                   w.encrypt([]byte{integritee.TOPGet, 0, 0}),
		"direct call":              w.encrypt(direct),
		"signature of another":     w.encrypt(forged),
		"another shard":            w.encrypt(foreign.IndirectCall()),
		"an account":               w.encrypt(id[:]),
		"whole, behind a chunk":    slices.Concat(w.encrypt(note(0)), op),
		"behind full chunk":        slices.Concat(w.encrypt(full[:shielding.MaxChunkPlaintext]), op),
		"between full and another": slices.Concat(w.encrypt(full[:shielding.MaxChunkPlaintext]), op, tail),
		"twice":                    slices.Concat(op, op),
	}
	for n := 60; n < 80; n++ { // the note ends inside the victim's amount
		ct := slices.Concat(w.encrypt(note(n)), op, tail)
		cases["splice "+string(rune('a'+n-60))] = ct
	}
	b := w.block()
	for _, ct := range cases {
		b.invoke(ct)
	}
	c := b.run()
	want := reading{Code: stf.Outcome{Code: stf.Invalid}}
	for name, ct := range cases {
		if diff := cmp.Diff(want, w.read(hashing.Blake2b256(ct), w.user)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for _, r := range c.Receipts {
		if *r.Sender != attacker {
			t.Errorf("a receipt under %v, who signed nothing", r.Sender)
		}
	}
	if w.receipt(integritee.OperationHash(forged), victim) != nil {
		t.Error("the victim is told of a forged call")
	}
	// The genuine operation, sent by the attacker, is the victim's alone.
	w.block().invoke(op).run()
	if r := w.receipt(integritee.OperationHash(plain), victim); r == nil || !r.Outcome.OK() {
		t.Errorf("the victim's own: %+v", r)
	}
	if r := w.receipt(hashing.Blake2b256(op), w.user); r != nil {
		t.Errorf("the attacker reads %+v", r)
	}
}

// TestShortChunksAreRefused: an account that begins with bytes of the
// attacker's choice and goes on with somebody else's would tell, by being
// credited, whether these are the ones of an account that he has.
func TestShortChunksAreRefused(t *testing.T) {
	w := newWorld(t)
	victim, own := pair(t, "//Victim").AccountID(), pair(t, "//Own").AccountID()
	victim[0] = own[31] // the guess is right
	ct := slices.Concat(w.encrypt(own[:31]), w.encrypt(victim[:]))
	c := w.block().shield(testShard, ct, unit).run()
	if got := outcomes(c); !slices.Equal(got, []stf.Code{stf.Refunded}) {
		t.Errorf("outcomes: %v", got)
	}
	if free := w.account(pair(t, "//Own")).Data.Free; !free.IsZero() {
		t.Errorf("credited %v", free)
	}
}

// TestPanicInPreparation: an operation on which decryption or verification
// panics fails, alone, on one core as on many, and an alarm names it.
func TestPanicInPreparation(t *testing.T) {
	for _, n := range []int{1, 4} {
		w := newWorld(t, func(c *Config) { c.Parallelism = n })
		alice, bob := pair(t, "//Alice"), pair(t, "//Bob")
		id := alice.AccountID()
		w.fund(alice, 10*unit)
		good := w.transfer(alice, bob, unit, 0)
		c := w.block().invoke(good).shield(testShard, w.encrypt(id[:]), unit).invoke([]byte("x")).seal()
		w.core.opened[epoch.ID{}] = &envelopes{rsa: new(shielding.PrivateKey)} // panics where it is used
		commit, err := w.core.Execute(c)
		if err != nil {
			t.Fatal(err)
		}
		if got := outcomes(commit); !slices.Equal(got, []stf.Code{stf.Invalid, stf.Refunded, stf.Invalid}) {
			t.Errorf("outcomes: %v", got)
		}
		hash := hashing.Blake2b256(good)
		if r := commit.Receipts[0]; *r.OperationHash != hash || *r.Sender != w.user.AccountID() {
			t.Errorf("the receipt is of %v %v", r.OperationHash, r.Sender)
		}
		var at []uint32
		for _, a := range commit.Alarms {
			if a.Kind == AlarmPanic {
				at = append(at, *a.Event)
			}
		}
		if want := []uint32{commit.Receipts[0].Index, commit.Receipts[1].Index}; !slices.Equal(at, want) {
			t.Errorf("alarms at events %d, want %d", at, want)
		}
	}
}
