package enclave

import (
	"bytes"
	"crypto/rand"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/lightclient/lightclienttest"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/system"
)

// TestStory is the first private call, at the level of blocks.
func TestStory(t *testing.T) {
	w := newWorld(t)
	alice, bob, ferdie := pair(t, "//AliceIncognito"), pair(t, "//Bob"), pair(t, "//Ferdie")
	w.fund(alice, 6*unit)
	shielded := uint64(6*unit - 6*unit/571)
	if got := w.account(alice).Data.Free; got != amount(shielded) {
		t.Fatalf("shielded: %v, want %d", got, shielded)
	}
	c := w.block().invoke(w.transfer(alice, bob, 2*unit, 0)).invoke(w.unshield(alice, ferdie, unit, 1)).run()
	if got := outcomes(c); !slices.Equal(got, []stf.Code{stf.Success, stf.Success}) {
		t.Fatalf("outcomes: %v", got)
	}
	a := w.account(alice)
	if want := shielded - 3*unit - unit/100 - 3*unit/100; a.Data.Free != amount(want) || a.Nonce != 2 {
		t.Errorf("alice: %v, nonce %d, want %d, 2", a.Data.Free, a.Nonce, want)
	}
	if got := w.account(bob).Data.Free; got != amount(2*unit) {
		t.Errorf("bob: %v", got)
	}
	pending := w.core.Pending()
	if len(pending) != 1 || pending[0].Payout == nil || pending[0].Payout.Amount != amount(unit) || pending[0].Payout.Beneficiary != ferdie.AccountID() {
		t.Fatalf("pending: %+v", pending)
	}
	// call_hash of the first unshield: hash of the signed call (RULES 21).
	// The receipt tells its reader the same operation by its own hash.
	if r := c.Receipts[1]; *r.Sender != alice.AccountID() || r.Index != 3 || r.Block != 2 {
		t.Errorf("receipt: %+v", r)
	}
}

// TestGarbage sends everything that must not stop a block (issue "first
// private call", must show), each between two calls that work.
func TestGarbage(t *testing.T) {
	w := newWorld(t)
	alice, bob := pair(t, "//Alice"), pair(t, "//Bob")
	w.fund(alice, 100*unit)
	good := sample.BalanceTransfer(alice.AccountID(), bob.AccountID(), amount(unit))
	random := make([]byte, 384)
	_, _ = rand.Read(random)
	random[0] = 0 // below the modulus
	otherKey, err := shielding.Generate()
	if err != nil {
		t.Fatal(err)
	}
	wrongKey, err := otherKey.Public().Encrypt(rand.Reader, top(alice, good, 1))
	if err != nil {
		t.Fatal(err)
	}
	chunks := func(n int) []byte {
		one := w.encrypt(bytes.Repeat([]byte{7}, shielding.MaxChunkPlaintext))
		return bytes.Repeat(one, n)
	}
	badSignature := integritee.SignCall(good, 1, testFingerprint, testShard, alice)
	badSignature.Signature.Bytes[5] ^= 1
	delegate := bob.AccountID()
	delegated := integritee.SignCall(good, 1, testFingerprint, testShard, bob)
	delegated.Delegate = &delegate
	truncated := top(alice, good, 1)
	truncated = truncated[:len(truncated)-1]
	direct := top(alice, good, 1)
	direct[0] = integritee.TOPDirectCall
	unknownCall := append([]byte{integritee.TOPIndirectCall, 201}, direct[2:]...)
	swapped := w.encrypt(append(top(alice, good, 1), bytes.Repeat([]byte{7}, 2*shielding.MaxChunkPlaintext-len(truncated)-1)...)) // two full chunks
	swapped = append(slices.Clone(swapped[384:768]), swapped[:384]...)

	cases := []struct {
		name       string
		ciphertext []byte
		want       stf.Code
	}{
		{"random bytes", random, stf.Undecryptable},
		{"above the modulus", bytes.Repeat([]byte{0xff}, 384), stf.Undecryptable},
		{"one byte", []byte{1}, stf.Undecryptable},
		{"a byte too long", append(w.encrypt(top(alice, good, 1)), 0), stf.Undecryptable},
		{"a byte too short", w.encrypt(top(alice, good, 1))[:383], stf.Undecryptable},
		{"nothing", nil, stf.Invalid},
		{"wrong key", wrongKey, stf.Undecryptable},
		{"encrypted garbage", w.encrypt([]byte("no operation at all")), stf.Invalid},
		{"encrypted nothing of a call", w.encrypt([]byte{integritee.TOPIndirectCall}), stf.Invalid},
		{"truncated operation", w.encrypt(truncated), stf.Invalid},
		{"chunks swapped", swapped, stf.Invalid},
		{"unknown call index", w.encrypt(unknownCall), stf.UnknownCall},
		{"unknown operation", w.encrypt(append([]byte{3}, direct[1:]...)), stf.Invalid},
		{"direct call", w.encrypt(direct), stf.WrongKind},
		{"getter", w.encrypt([]byte{integritee.TOPGet, 0, 0}), stf.WrongKind},
		{"wrong signature", w.encrypt(badSignature.IndirectCall()), stf.BadSignature},
		{"wrong signer", w.encrypt(top(bob, good, 1)), stf.BadSignature},
		{"wrong mrenclave", w.encrypt(integritee.SignCall(good, 1, integritee.Fingerprint{9}, testShard, alice).IndirectCall()), stf.BadSignature},
		{"signed for another shard", w.encrypt(integritee.SignCall(good, 1, testFingerprint, integritee.ShardID{9}, alice).IndirectCall()), stf.BadSignature},
		{"delegate without rights", w.encrypt(delegated.IndirectCall()), stf.NotAuthorized},
		{"nonce too high", w.encrypt(top(alice, good, 77)), stf.BadNonce},
		{"nonce too low", w.encrypt(top(alice, good, 0)), stf.BadNonce},
		{"fee unpaid", w.encrypt(top(pair(t, "//Poor"), sample.Noop(pair(t, "//Poor").AccountID()), 0)), stf.FeeUnpaid},
		{"3 MB of valid chunks", chunks(8192), stf.TooLong},
		{"17 chunks", chunks(17), stf.TooLong},
		{"16 chunks of sevens", chunks(16), stf.Invalid},
	}
	nonce := uint32(0)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := w.account(alice)
			commit := w.block().invoke(w.transfer(alice, bob, unit/10, nonce)).invoke(c.ciphertext).invoke(w.transfer(alice, bob, unit/10, nonce+1)).run()
			nonce += 2
			// What is wrong before the signature is known inside only.
			op := operation{ciphertext: c.ciphertext}
			inside := (&preparation{core: w.core, number: w.core.tip.Number + 1, fingerprint: testFingerprint, opener: newEnvelopes(testKeys())}).open(&op)
			want := []stf.Code{stf.Success, c.want, stf.Success}
			switch {
			case inside == stf.Success:
				if op.call == nil || *op.sender != op.call.Call.Sender {
					t.Errorf("operation %+v", op)
				}
			case inside != c.want || op.call != nil || op.hash != nil || op.sender != nil:
				t.Errorf("inside %v, call %v, hash %v, sender %v", inside, op.call, op.hash, op.sender)
			case inside != stf.TooLong:
				want[1] = stf.Invalid
			}
			if got := outcomes(commit); !slices.Equal(got, want) {
				t.Fatalf("outcomes %v, want %v", got, want)
			}
			if len(commit.Alarms) != 0 {
				t.Errorf("alarms: %+v", commit.Alarms)
			}
			spent, _ := before.Data.Free.Sub(w.account(alice).Data.Free)
			if spent != amount(2*unit/10+2*unit/100) {
				t.Errorf("alice paid %v", spent)
			}
			// All three are leaves, and the timestamp.
			if commit.Stats.Invocations != 3 {
				t.Errorf("stats: %+v", commit.Stats)
			}
		})
	}
}

// TestReplayIsRefused has somebody else send a ciphertext again that was
// refused before (RULES 12).
func TestReplayIsRefused(t *testing.T) {
	w := newWorld(t)
	alice, bob := pair(t, "//Alice"), pair(t, "//Bob")
	early := w.transfer(alice, bob, unit, 1) // nonce of the future
	w.fund(alice, 10*unit)
	if got := outcomes(w.block().invoke(early).run()); !slices.Equal(got, []stf.Code{stf.BadNonce}) {
		t.Fatal(got)
	}
	c := w.block().invoke(w.transfer(alice, bob, unit, 0)).invoke(early).run()
	if got := outcomes(c); !slices.Equal(got, []stf.Code{stf.Success, stf.FailedBefore}) {
		t.Fatal(got)
	}
}

func TestTrailingBytesAreIgnored(t *testing.T) {
	w := newWorld(t)
	alice, bob := pair(t, "//Alice"), pair(t, "//Bob")
	w.fund(alice, 10*unit)
	plain := top(alice, sample.BalanceTransfer(alice.AccountID(), bob.AccountID(), amount(unit)), 0)
	c := w.block().invoke(w.encrypt(append(slices.Clone(plain), "and more"...))).run()
	if got := outcomes(c); !slices.Equal(got, []stf.Code{stf.Success}) {
		t.Fatal(got)
	}
	if want := integritee.OperationHash(plain); *c.Receipts[0].OperationHash != want {
		t.Errorf("operation hash %v, want %v", c.Receipts[0].OperationHash, want)
	}
}

func TestOtherShardsAreLeavesOnly(t *testing.T) {
	w := newWorld(t)
	other := integritee.ShardID{0xee}
	id := w.user.AccountID()
	enc := w.encrypt(id[:])
	b := w.block().invokeFor(other, []byte("whatever")).shield(other, enc, unit).shield(other, bytes.Repeat(enc, 3), unit)
	now := w.now
	c := b.run()
	want := integritee.MerkleRoot(hashes(
		integritee.LeafTimestampSet(now),
		integritee.IndirectLeafInvoke(integritee.Request{Shard: other, Cyphertext: []byte("whatever")}),
		integritee.LeafShieldFunds(other, enc, amount(unit)),
	)) // not the one of three chunks
	if c.ConfirmationRoot != want {
		t.Errorf("root %v, want %v", c.ConfirmationRoot, want)
	}
	if len(c.Receipts) != 0 || c.Stats.OtherShards != 3 || c.Stats.Invocations != 0 {
		t.Errorf("receipts %d, stats %+v", len(c.Receipts), c.Stats)
	}
	if len(w.core.Pending()) != 0 {
		t.Errorf("pending: %v", w.core.Pending())
	}
}

// TestLeaves checks which extrinsics become leaves (RULES 14).
func TestLeaves(t *testing.T) {
	w := newWorld(t)
	alice := pair(t, "//Alice")
	id := alice.AccountID()
	enc, bad := w.encrypt(id[:]), w.encrypt([]byte("too short"))
	b := w.block()
	b.shield(testShard, enc, unit).shield(testShard, bad, unit).invoke([]byte("garbage"))
	failing := w.call(bridgePallet, "invoke", integritee.InvokeArgs{Request: integritee.Request{Shard: testShard, Cyphertext: []byte("x")}})
	b.signed(w.user, failing, failed)
	b.add([]byte{4, 0xff}, success) // no extrinsic at all
	now := w.now
	c := b.run()
	want := integritee.MerkleRoot(hashes(
		integritee.LeafTimestampSet(now),
		integritee.LeafShieldFunds(testShard, enc, amount(unit)),
		integritee.IndirectLeafInvoke(integritee.Request{Shard: testShard, Cyphertext: []byte("garbage")}),
	))
	if c.ConfirmationRoot != want {
		t.Errorf("root %v, want %v", c.ConfirmationRoot, want)
	}
	if c.Stats.Undecoded != 1 {
		t.Errorf("stats: %+v", c.Stats)
	}
	if got := outcomes(c); !slices.Equal(got, []stf.Code{stf.Success, stf.Refunded, stf.Invalid}) {
		t.Errorf("outcomes: %v", got)
	}
}

func TestShielding(t *testing.T) {
	id := func(w *world) []byte { a := pair(w.t, "//Alice").AccountID(); return w.encrypt(a[:]) }
	cases := []struct {
		name   string
		build  func(w *world, b *builder)
		want   stf.Code
		credit bool
		back   uint64 // refund to the user
		alarm  AlarmKind
	}{
		{"plain", func(w *world, b *builder) { b.shield(testShard, id(w), unit) }, stf.Success, true, 0, 0},
		{"trailing bytes", func(w *world, b *builder) {
			a := pair(w.t, "//Alice").AccountID()
			b.shield(testShard, w.encrypt(append(a[:], 1, 2, 3)), unit)
		}, stf.Success, true, 0, 0},
		{"undecryptable", func(w *world, b *builder) { b.shield(testShard, []byte("what?"), unit) }, stf.Refunded, false, unit - RefundCost, 0},
		{"17 chunks", func(w *world, b *builder) { b.shield(testShard, bytes.Repeat(id(w), 17), unit) }, stf.Refunded, false, unit - RefundCost, 0},
		{"undecryptable, at the minimum", func(w *world, b *builder) { b.shield(testShard, nil, RefundMinimum) }, stf.Refunded, false, RefundMinimum - RefundCost, 0},
		{"undecryptable, below the minimum", func(w *world, b *builder) { b.shield(testShard, nil, RefundMinimum-1) }, stf.NotCredited, false, 0, 0},
		{"less than an account may hold", func(w *world, b *builder) { b.shield(testShard, id(w), 3) }, stf.NotCredited, false, 0, 0},
		{"nothing", func(w *world, b *builder) {
			call := w.call(bridgePallet, "shield_funds", integritee.ShieldFundsArgs{Shard: testShard, AccountEncrypted: id(w)})
			b.signed(w.user, call, event{bridgePallet, "ShieldFunds", integritee.EventShieldFunds{Shard: testShard, EncryptedBeneficiary: id(w)}}, success)
		}, stf.NotCredited, false, 0, 0},
		{"from a scheduled call", func(w *world, b *builder) {
			for _, e := range b.shieldEvents(w.user.AccountID(), testShard, id(w), unit) {
				b.hook(e)
			}
		}, stf.Success, true, 0, 0},
		{"at the end of the block, as by a message of another chain", func(w *world, b *builder) {
			for _, e := range b.shieldEvents(w.user.AccountID(), testShard, id(w), unit) {
				b.deposit(system.Phase{Finalization: &struct{}{}}, e)
			}
		}, stf.Success, true, 0, 0},
		{"from a scheduled call, undecryptable", func(w *world, b *builder) {
			for _, e := range b.shieldEvents(w.user.AccountID(), testShard, nil, unit) {
				b.hook(e)
			}
		}, stf.Refunded, false, unit - RefundCost, 0},
		{"undecryptable, transfer with something between", func(w *world, b *builder) {
			events := b.shieldEvents(w.user.AccountID(), testShard, nil, unit)
			b.hook(events[0])
			b.hook(event{bridgePallet, "ShardConfigUpdated", integritee.EventShardConfigUpdated{}})
			b.hook(events[1])
		}, stf.NotCredited, false, 0, AlarmShieldSender},
		{"from a call that is not read, undecryptable", func(w *world, b *builder) {
			remark := w.call("System", "remark", []byte("batch"))
			b.signed(w.user, remark, append(b.shieldEvents(w.user.AccountID(), testShard, nil, unit), success)...)
		}, stf.Refunded, false, unit - RefundCost, 0},
		{"undecryptable, transfer of another amount", func(w *world, b *builder) {
			events := b.shieldEvents(w.user.AccountID(), testShard, nil, unit)
			events[0] = b.shieldEvents(w.user.AccountID(), testShard, nil, unit+1)[0]
			b.signed(w.user, w.call("System", "remark", []byte("")), append(events, success)...)
		}, stf.NotCredited, false, 0, AlarmShieldSender},
		{"undecryptable, transfer to another account", func(w *world, b *builder) {
			events := b.shieldEvents(w.user.AccountID(), testShard, nil, unit)
			events[0] = b.shieldEvents(w.user.AccountID(), integritee.ShardID{1}, nil, unit)[0]
			b.signed(w.user, w.call("System", "remark", []byte("")), append(events, success)...)
		}, stf.NotCredited, false, 0, AlarmShieldSender},
		{"undecryptable, transfer in another phase", func(w *world, b *builder) {
			events := b.shieldEvents(w.user.AccountID(), testShard, nil, unit)
			b.hook(events[0])
			b.signed(w.user, w.call("System", "remark", []byte("")), events[1], success)
		}, stf.NotCredited, false, 0, AlarmShieldSender},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			b := w.block()
			c.build(w, b)
			commit := b.run()
			if got := outcomes(commit); !slices.Equal(got, []stf.Code{c.want}) {
				t.Fatalf("outcome %v, want %v", got, c.want)
			}
			if credited := !w.account(pair(t, "//Alice")).Data.Free.IsZero(); credited != c.credit {
				t.Errorf("credited: %v", credited)
			}
			var back scale.U128
			for _, e := range w.core.Pending() {
				if e.Payout != nil {
					back = e.Payout.Amount
					if e.Payout.Beneficiary != w.user.AccountID() {
						t.Errorf("refund to %v", e.Payout.Beneficiary)
					}
				}
			}
			if back != amount(c.back) {
				t.Errorf("refund %v, want %d", back, c.back)
			}
			if c.alarm != 0 != (len(commit.Alarms) == 1) || c.alarm != 0 && commit.Alarms[0].Kind != c.alarm {
				t.Errorf("alarms: %+v", commit.Alarms)
			}
		})
	}
}

// TestMatching sends extrinsics whose invocations and events do not fit
// (RULES 9).
func TestMatching(t *testing.T) {
	other := integritee.ShardID{1}
	cases := []struct {
		name  string
		build func(w *world, b *builder, ct []byte)
		want  []stf.Code
		alarm AlarmKind
	}{
		{"two events for one call", func(w *world, b *builder, ct []byte) {
			b.signed(w.user, invokeCall(w, testShard, ct), invoked(testShard), invoked(testShard), success)
		}, []stf.Code{stf.NotMatched, stf.NotMatched}, AlarmNotMatched},
		{"event of another shard", func(w *world, b *builder, ct []byte) {
			b.signed(w.user, invokeCall(w, testShard, ct), invoked(other), success)
		}, nil, AlarmNotMatched},
		{"call of another shard", func(w *world, b *builder, ct []byte) {
			b.signed(w.user, invokeCall(w, other, ct), invoked(testShard), success)
		}, []stf.Code{stf.NotMatched}, AlarmNotMatched},
		{"no event", func(w *world, b *builder, ct []byte) {
			b.signed(w.user, invokeCall(w, testShard, ct), success)
		}, nil, AlarmNotMatched},
		{"failed", func(w *world, b *builder, ct []byte) {
			b.signed(w.user, invokeCall(w, testShard, ct), failed)
		}, nil, 0},
		{"inside a call that is not read", func(w *world, b *builder, ct []byte) {
			b.signed(w.user, w.call("System", "remark", ct), invoked(testShard), success)
		}, []stf.Code{stf.NoCiphertext}, AlarmNoCiphertext},
		{"undecodable extrinsic", func(w *world, b *builder, ct []byte) {
			b.add([]byte{8, 0x99, 1}, invoked(testShard), success)
		}, []stf.Code{stf.NoCiphertext}, AlarmNoCiphertext},
		{"arguments with a tail", func(w *world, b *builder, ct []byte) {
			b.signed(w.user, append(invokeCall(w, testShard, ct), 0), invoked(testShard), success)
		}, []stf.Code{stf.NoCiphertext}, AlarmNoCiphertext},
		{"scheduled", func(w *world, b *builder, ct []byte) {
			b.hook(invoked(testShard))
		}, []stf.Code{stf.NoCiphertext}, AlarmNoCiphertext},
		{"another shard, unmatched", func(w *world, b *builder, ct []byte) {
			b.signed(w.user, w.call("System", "remark", ct), invoked(other), success)
		}, nil, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			alice := pair(t, "//Alice")
			w.fund(alice, 10*unit)
			b := w.block()
			c.build(w, b, w.transfer(alice, w.user, unit, 0))
			// The next extrinsic of the same block runs all the same.
			want := append(slices.Clone(c.want), stf.Success)
			commit := b.invoke(w.transfer(alice, w.user, unit, 0)).run()
			if got := outcomes(commit); !slices.Equal(got, want) {
				t.Fatalf("outcomes %v, want %v", got, want)
			}
			if c.alarm != 0 != (len(commit.Alarms) == 1) || c.alarm != 0 && commit.Alarms[0].Kind != c.alarm {
				t.Errorf("alarms: %+v", commit.Alarms)
			}
		})
	}
}

func invokeCall(w *world, shard integritee.ShardID, ct []byte) []byte {
	return w.call(bridgePallet, "invoke", integritee.InvokeArgs{Request: integritee.Request{Shard: shard, Cyphertext: ct}})
}

// TestOrder mixes events of hooks, extrinsics and shieldings: receipts and
// execution follow the order of events.
func TestOrder(t *testing.T) {
	w := newWorld(t)
	alice, bob := pair(t, "//Alice"), pair(t, "//Bob")
	id := alice.AccountID()
	b := w.block()
	// The transfer spends what is shielded later in the block, and again.
	b.invoke(w.transfer(alice, bob, unit, 0))
	b.shield(testShard, w.encrypt(id[:]), 3*unit)
	b.invoke(w.encrypt(top(alice, sample.BalanceTransfer(id, bob.AccountID(), amount(unit/2)), 0)))
	c := b.run()
	if got := outcomes(c); !slices.Equal(got, []stf.Code{stf.FeeUnpaid, stf.Success, stf.Success}) {
		t.Fatal(got)
	}
	var at []uint32
	for _, r := range c.Receipts {
		at = append(at, r.Index)
	}
	if !slices.IsSorted(at) || at[0] != 1 {
		t.Errorf("event indexes: %v", at)
	}
}

func TestBlocksMustFollow(t *testing.T) {
	w := newWorld(t)
	first := w.block().seal()
	c, err := w.core.Execute(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.core.Adopt(c); err != nil {
		t.Fatal(err)
	}
	if err := w.core.Adopt(c); !errors.Is(err, ErrNotNext) {
		t.Errorf("adopted twice: %v", err)
	}
	if _, err := w.core.Execute(first); !errors.Is(err, ErrNotNext) {
		t.Errorf("executed twice: %v", err)
	}
	w.block().seal()
	third := w.block().seal()
	if _, err := w.core.Execute(third); !errors.Is(err, ErrNotNext) {
		t.Errorf("gap: %v", err)
	}
}

func TestTimeMustNotRunBackwards(t *testing.T) {
	w := newWorld(t)
	w.block().run()
	w.now -= 12_000
	if _, err := w.core.Execute(w.block().seal()); !errors.Is(err, ErrFatal) {
		t.Errorf("got %v, want ErrFatal", err)
	}
}

func TestBlockWithoutTime(t *testing.T) {
	w := newWorld(t)
	b := &builder{w: w}
	if c := b.run(); c.Now != 0 || w.core.View().Now() != 0 {
		t.Errorf("time %d before any is known", c.Now)
	}
	now := w.block().run().Now
	b = &builder{w: w}
	if c := b.run(); c.Now != now || now == 0 {
		t.Errorf("time %d, want that of the parent, %d", c.Now, now)
	}
	if c := (&builder{w: w}).run(); !c.ConfirmationRoot.IsZero() {
		t.Errorf("root of no leaves: %v", c.ConfirmationRoot)
	}
}

func TestEventsThatCannotBeDecoded(t *testing.T) {
	w := newWorld(t)
	b := w.block()
	b.events = append(b.events, 0xff, 0xff)
	if _, err := w.core.Execute(b.seal()); !errors.Is(err, ErrFatal) {
		t.Errorf("got %v, want ErrFatal", err)
	}
}

func TestFingerprintInForce(t *testing.T) {
	foreign := integritee.Fingerprint{0xaa}
	config := func(f integritee.Fingerprint, pending *integritee.Fingerprint, at header.Number) []byte {
		c := integritee.UpgradableShardConfig{ActiveConfig: integritee.ShardConfig{EnclaveFingerprint: f}}
		if pending != nil {
			c.PendingUpgrade = &integritee.ShardConfig{EnclaveFingerprint: *pending}
			c.UpgradeAt = &at
		}
		return scale.MustMarshal(c)
	}
	key := string(shardConfigKey(testShard))
	// Announced in block 1, in force at block 3.
	w := newWorld(t)
	alice := pair(t, "//Alice")
	b := w.block()
	b.block.Storage = map[string][]byte{key: config(testFingerprint, &foreign, 3)}
	b.run()
	w.fund(alice, unit)
	if got := w.core.View().Fingerprint(); got != foreign {
		t.Errorf("the view says %v for the next block", got)
	}
	_, err := w.core.Execute(w.block().seal())
	var f *FingerprintError
	if !errors.As(err, &f) || !errors.Is(err, ErrFatal) || f.Block != 3 || f.InForce != foreign || f.Own != testFingerprint {
		t.Fatalf("got %v", err)
	}
	// An enclave for which it was approved goes on, and checks signatures
	// against it.
	w2 := newWorld(t, func(c *Config) { c.Approved = func(f integritee.Fingerprint) bool { return f == foreign } })
	b = w2.block()
	b.block.Storage = map[string][]byte{key: config(foreign, nil, 0)}
	b.run()
	w2.fund(alice, unit)
	call := sample.Noop(alice.AccountID())
	c := w2.block().invoke(w2.encrypt(top(alice, call, 0))).
		invoke(w2.encrypt(integritee.SignCall(call, 0, foreign, testShard, alice).IndirectCall())).run()
	if got := outcomes(c); !slices.Equal(got, []stf.Code{stf.Invalid, stf.Success}) {
		t.Errorf("outcomes: %v", got)
	}
	if c.Fingerprint != foreign {
		t.Errorf("commit says %v was in force", c.Fingerprint)
	}
	// A shard without a configuration stops nobody, whatever its name is, but
	// signatures are checked against that name (decision 5).
	shard := integritee.ShardID{0x77}
	w3 := newWorld(t, func(c *Config) { c.Trust.Shard = shard })
	id := alice.AccountID()
	w3.block().shield(shard, w3.encrypt(id[:]), unit).run()
	c = w3.block().
		invokeFor(shard, w3.encrypt(integritee.SignCall(call, 0, testFingerprint, shard, alice).IndirectCall())).
		invokeFor(shard, w3.encrypt(integritee.SignCall(call, 0, integritee.Fingerprint(shard), shard, alice).IndirectCall())).run()
	if got := outcomes(c); !slices.Equal(got, []stf.Code{stf.Invalid, stf.Success}) {
		t.Errorf("without a configuration: %v", got)
	}
	b = w3.block()
	b.block.Storage = map[string][]byte{string(shardConfigKey(shard)): config(testFingerprint, nil, 0)}
	b.run()
	if got := w3.core.View().Fingerprint(); got != testFingerprint {
		t.Errorf("once there is a configuration, %v is in force", got)
	}
	// A layout that we do not know stops the worker.
	b = w2.block()
	b.block.Storage = map[string][]byte{key: {1, 2, 3}}
	if _, err := w2.core.Execute(b.seal()); !errors.Is(err, ErrFatal) {
		t.Errorf("unknown layout: %v", err)
	}
}

func TestMetadataMustBeGiven(t *testing.T) {
	w := newWorld(t)
	b := w.block()
	b.block.Digest = []header.DigestItem{{Kind: header.DigestRuntimeEnvironmentUpdated}}
	if c := b.run(); !c.NewRuntime || !w.core.NeedsRuntime() {
		t.Fatal("the new runtime went unseen")
	}
	next := w.block().seal()
	if _, err := w.core.Execute(next); !errors.Is(err, ErrNoRuntime) {
		t.Fatalf("got %v, want ErrNoRuntime", err)
	}
	if err := w.core.pretend(2, w.meta); err != nil {
		t.Fatal(err)
	}
	if _, err := w.core.Execute(next); err != nil {
		t.Fatal(err)
	}
	if err := w.core.pretend(3, nil); err == nil {
		t.Error("no metadata was accepted")
	}
}

func TestStartIsChecked(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*Config, *Start){
		"another header":       func(_ *Config, s *Start) { s.Header.StateRoot[0] ^= 1 },
		"another light client": func(_ *Config, s *Start) { s.LightClient.Hash[0] ^= 1 },
		"no proof":             func(_ *Config, s *Start) { s.Proof = nil },
		"another app":          func(c *Config, _ *Start) { c.Trust.App = "other" },
		"no app":               func(c *Config, _ *Start) { c.App = nil },
		"no keys":              func(c *Config, _ *Start) { c.Keys = nil },
		"another genesis":      func(c *Config, _ *Start) { c.Trust.Genesis[0] ^= 1; c.Trust.StartHash[0] ^= 1 },
		"a later start":        func(c *Config, _ *Start) { c.Trust.StartNumber = 5; c.Trust.StartHash[3] ^= 1 },
	} {
		cfg, start := w.cfg, w.start
		change(&cfg, &start)
		if _, err := New(cfg, start); !errors.Is(err, ErrFatal) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStartAtCheckpoint(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		w.block().run()
	}
	s := w.chain.At(3)
	start := w.chain.StartAt(3)
	cfg := w.cfg
	cfg.Trust.StartNumber, cfg.Trust.StartHash = 3, s.Hash
	cfg.Trust.StartAuthoritySetHash = authoritySetHash(start)
	lc := newLightClientState(start)
	c, err := New(cfg, Start{Header: s.Header, Proof: w.chain.Prove(3, RequiredKeys(testShard, 3)...), LightClient: lc})
	if err != nil {
		t.Fatal(err)
	}
	if c.View().Number() != 3 || c.View().StateRoot() == w.core.View().StateRoot() {
		t.Error("a shard that starts later is another one")
	}
	cfg.Trust.StartAuthoritySetHash[0] ^= 1
	if _, err := New(cfg, Start{Header: s.Header, Proof: w.chain.Prove(3, RequiredKeys(testShard, 3)...), LightClient: lc}); !errors.Is(err, ErrFatal) {
		t.Errorf("another authority set: %v", err)
	}
}

// TestParachain runs blocks whose finality is that of a relay chain: to the
// core they are blocks like any others.
func TestParachain(t *testing.T) {
	p := lightclienttest.NewParachain(t, lightclienttest.ParaOptions{ID: 2015})
	p.Include(0, lightclienttest.Block{})
	client := lightclient.NewPara(p.StartAt(0, 1))
	w := newWorld(t)
	w.cfg.Trust.Genesis, w.cfg.Trust.StartHash = p.Para.GenesisHash(), p.Para.GenesisHash()
	relay := p.Relay.Checkpoint(1)
	w.cfg.Trust.Relay = &RelayTrust{Genesis: p.Relay.GenesisHash(), ParaID: 2015, StartNumber: 1, StartHash: relay.Hash,
		StartAuthoritySetHash: relay.AuthoritySetHash}
	w.start = Start{Header: p.Para.At(0).Header, Proof: p.Para.Prove(0, RequiredKeys(testShard, 0)...), LightClient: client.State()}

	for name, change := range map[string]func(*TrustConfig){
		"another para id":     func(c *TrustConfig) { c.Relay.ParaID++ },
		"another relay block": func(c *TrustConfig) { c.Relay.StartHash[0]++ },
		"another relay set":   func(c *TrustConfig) { c.Relay.StartAuthoritySetHash[0]++ },
		"no relay chain":      func(c *TrustConfig) { c.Relay = nil },
	} {
		cfg := w.cfg
		r := *cfg.Trust.Relay
		cfg.Trust.Relay = &r
		change(&cfg.Trust)
		if _, err := New(cfg, w.start); !errors.Is(err, ErrFatal) || !errors.Is(err, lightclient.ErrCheckpoint) {
			t.Errorf("%s: %v", name, err)
		}
	}

	core := w.newCore()
	for range 3 {
		b := w.block()
		b.seal() // also puts it on a chain of its own, which does not matter
		commit, err := core.Execute(p.Next(client, b.block, core.RequiredKeys(core.View().Number()+1)...))
		if err != nil {
			t.Fatal(err)
		}
		if commit, err = DecodeCommit(commit.Encode()); err != nil {
			t.Fatal(err)
		}
		if err := core.Adopt(commit); err != nil {
			t.Fatal(err)
		}
	}
	var snapshot bytes.Buffer
	if err := core.SnapshotWriter()(&snapshot); err != nil {
		t.Fatal(err)
	}
	again, err := Restore(w.cfg, &snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(client.State(), again.LightClient(), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if _, err := lightclient.RestorePara(again.LightClient()); err != nil {
		t.Error(err)
	}
}

func TestCommitRoundTrip(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.ConfirmAll = true })
	alice := pair(t, "//Alice")
	w.block().register(w.worker).run()
	w.fund(alice, 10*unit)
	c := w.block().invoke(w.unshield(alice, w.user, unit, 0)).invoke([]byte{1}).run()
	got, err := DecodeCommit(c.Encode())
	if err != nil {
		t.Fatal(err)
	}
	want := *c
	want.made, want.next = nil, nil
	if diff := cmp.Diff(want.Encode(), got.Encode()); diff != "" {
		t.Error(diff)
	}
	if len(got.Changes) != len(c.Changes) || len(got.Added) != 2 || len(got.Receipts) != 2 {
		t.Errorf("%d changes, %d effects, %d receipts", len(got.Changes), len(got.Added), len(got.Receipts))
	}
	b := c.Encode()
	b[0]++
	if _, err := DecodeCommit(b); !errors.Is(err, ErrCommit) {
		t.Errorf("newer version: %v", err)
	}
}

// TestCommitKeepsEmptyValues: an empty value is not a deletion.
func TestCommitKeepsEmptyValues(t *testing.T) {
	c := &Commit{Changes: []state.Change{{Key: []byte{1}, Value: []byte{}}, {Key: []byte{2}}, {Key: []byte{3}, Value: []byte{4}}}}
	got, err := DecodeCommit(c.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.Changes, got.Changes); diff != "" {
		t.Error(diff)
	}
	c.Changes[0], c.Changes[1] = c.Changes[1], c.Changes[0]
	if _, err := DecodeCommit(c.Encode()); !errors.Is(err, ErrCommit) {
		t.Errorf("changes that are not sorted: %v", err)
	}
}
