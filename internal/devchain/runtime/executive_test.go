package runtime

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

func units(n uint64) scale.CompactU128 { return scale.CompactU128(scale.NewU128(n * Unit)) }

func TestTransfer(t *testing.T) {
	w := newWorld(t)
	alice, bob := key(t, "//Alice"), key(t, "//Bob")
	raw := w.sign(alice, w.call("Balances", "transfer_keep_alive", keyring.AddressOf(bob.AccountID()), units(7)),
		func(p *extrinsic.SignParams) { p.Tip = scale.NewU128(5) })
	if got := w.one(raw); got != "Balances.Withdraw Balances.Transfer TransactionPayment.TransactionFeePaid System.ExtrinsicSuccess" {
		t.Errorf("events %s", got)
	}
	fee := uint64(BaseFee + ByteFee*len(raw) + 5)
	if free, nonce := w.account(alice.AccountID()); free != scale.NewU128(993*Unit-fee) || nonce != 1 {
		t.Errorf("alice has %s, nonce %d", free, nonce)
	}
	if free, _ := w.account(bob.AccountID()); free != scale.NewU128(1007*Unit) {
		t.Errorf("bob has %s", free)
	}
	if total := w.rt.Balances.TotalIssuance.Get(w.read()); total != scale.NewU128(3000*Unit-fee) {
		t.Errorf("total issuance %s", total)
	}
}

// TestFailedCall: a call that fails leaves nonce and fee and nothing else.
func TestFailedCall(t *testing.T) {
	w := newWorld(t)
	alice := key(t, "//Alice")
	raw := w.sign(alice, w.call("Balances", "transfer_allow_death", keyring.AddressOf(key(t, "//Bob").AccountID()), units(5000)))
	before := w.state
	events := w.block(raw)
	if got := names(events, 1); got != "Balances.Withdraw TransactionPayment.TransactionFeePaid System.ExtrinsicFailed" {
		t.Errorf("events %s", got)
	}
	if e := find(events, "System.ExtrinsicFailed"); !bytes.HasPrefix(e.Data, []byte{7, 0}) { // Token(FundsUnavailable)
		t.Errorf("error %x", e.Data)
	}
	for _, who := range []string{"//Bob", "//Charlie"} {
		k := w.rt.System.Account.Key(key(t, who).AccountID())
		was, _ := before.Get(k)
		is, _ := w.state.Get(k)
		if !bytes.Equal(was, is) {
			t.Errorf("%s changed", who)
		}
	}
	if _, nonce := w.account(alice.AccountID()); nonce != 1 {
		t.Errorf("nonce %d", nonce)
	}
}

func TestInvalid(t *testing.T) {
	w := newWorld(t)
	for range 5 {
		w.block()
	}
	alice := key(t, "//Alice")
	remark := w.call("System", "remark", []byte("x"))
	good := w.sign(alice, remark)
	body := func(b ...byte) []byte { return append(scale.AppendCompact(nil, uint64(len(b))), b...) }
	flip := func(at int) []byte {
		b := bytes.Clone(good)
		b[at] ^= 1
		return b
	}
	poor := key(t, "//Poor")
	ed, err := keyring.FromURI(keyring.Ed25519, "//Alice")
	if err != nil {
		t.Fatal(err)
	}
	// Signed by Bob in Alice's name.
	forged := bytes.Clone(w.sign(key(t, "//Bob"), remark))
	who := alice.AccountID()
	copy(forged[4:], who[:])
	withMode := bytes.Replace(good, append([]byte{0, 0, 0, 0}, remark...), append([]byte{0, 0, 0, 1}, remark...), 1)

	for _, test := range []struct {
		name string
		raw  []byte
		want string
	}{
		{"signature", flip(60), InvalidBadProof.Why},
		{"forged", forged, InvalidBadProof.Why},
		{"call", flip(len(good) - 1), InvalidBadProof.Why},
		{"genesis", w.sign(alice, remark, func(p *extrinsic.SignParams) { p.Genesis = hashing.Hash{1} }), InvalidBadProof.Why},
		{"spec version", w.sign(alice, remark, func(p *extrinsic.SignParams) { p.SpecVersion++ }), InvalidBadProof.Why},
		{"tx version", w.sign(alice, remark, func(p *extrinsic.SignParams) { p.TxVersion++ }), InvalidBadProof.Why},
		{"era hash", w.sign(alice, remark, func(p *extrinsic.SignParams) { p.Era, p.EraHash = extrinsic.NewMortal(64, 3), hashOf(4) }), InvalidBadProof.Why},
		{"era to come", w.sign(alice, remark, func(p *extrinsic.SignParams) { p.Era, p.EraHash = extrinsic.NewMortal(64, 40), hashOf(3) }), InvalidAncientBirth.Why},
		{"no account", w.sign(poor, remark), InvalidPayment.Why},
		{"other scheme", w.sign(ed, remark), InvalidPayment.Why}, // another account
		{"tip", w.sign(alice, remark, func(p *extrinsic.SignParams) { p.Tip = scale.NewU128(1000 * Unit) }), InvalidPayment.Why},
		{"tip overflows", w.sign(alice, remark, func(p *extrinsic.SignParams) { p.Tip = scale.MaxU128 }), InvalidPayment.Why},
		{"last nonce", w.sign(alice, remark, nonce(math.MaxUint32)), InvalidStale.Why},
		{"metadata hash", withMode, UnknownCannotLookup.Why},
		{"timestamp signed", w.sign(alice, w.call("Timestamp", "set", scale.CompactU64(w.now))), InvalidMandatory.Why},
		{"bare remark", body(append([]byte{5}, remark...)...), UnknownNoValidator.Why},
		{"bare remark v4", body(append([]byte{4}, remark...)...), UnknownNoValidator.Why},
		{"second timestamp", w.rt.TimestampInherent(w.now + 1), InvalidBadMandatory.Why},
		{"no pallet", w.sign(alice, []byte{99, 0}), "undecodable"},
		{"no call", w.sign(alice, []byte{10, 99}), "undecodable"},
		{"short call", w.sign(alice, remark[:len(remark)-1]), "undecodable"},
		{"long call", w.sign(alice, append(bytes.Clone(remark), 0)), "undecodable"},
		{"empty", nil, "undecodable"},
		{"length", good[:len(good)-1], "undecodable"},
		{"kind", append(bytes.Clone(good[:2]), append([]byte{0x85}, good[3:]...)...), "undecodable"},
		{"general", body(append([]byte{0x45, 0, 0, 0, 0, 0}, remark...)...), UnknownNoValidator.Why},
		{"garbage", body(bytes.Repeat([]byte{0xff}, 100)...), "undecodable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := w.begin()
			before := x.ctx.kv.Changes()
			_, err := x.Apply(test.raw)
			if got := invalid(err); got != test.want {
				t.Errorf("Apply: %s, want %s", got, test.want)
			}
			if len(x.ctx.kv.Changes()) != len(before) || x.count != 1 || len(x.events) != 1 {
				t.Error("the block changed")
			}
			if test.name == "second timestamp" {
				return // not for the pool
			}
			if _, err := w.rt.Validate(w.at(), test.raw); invalid(err) != test.want {
				t.Errorf("Validate: %v, want %s", err, test.want)
			}
		})
	}
	if _, err := w.begin().Apply(w.sign(alice, remark, nonce(3))); invalid(err) != InvalidFuture.Why {
		t.Errorf("future: %v", err)
	}
	v, err := w.rt.Validate(w.at(), w.sign(alice, remark, nonce(3)))
	if err != nil || v.Nonce != 3 || v.AccountNonce != 0 || v.Longevity != math.MaxUint64 {
		t.Errorf("Validate of a future one: %+v, %v", v, err)
	}
	w.one(good)
	if _, err := w.begin().Apply(good); invalid(err) != InvalidStale.Why {
		t.Errorf("stale: %v", err)
	}
}

// TestEra: a mortal extrinsic is valid from its birth to the block before its
// death, and its birth must be among the hashes that the state keeps.
func TestEra(t *testing.T) {
	w := newWorld(t)
	alice := key(t, "//Alice")
	for w.best < 10 {
		w.block()
	}
	raw := w.sign(alice, w.call("System", "remark", []byte{}), func(p *extrinsic.SignParams) {
		p.Era = extrinsic.NewMortal(8, w.best)
		p.EraHash = hashOf(w.best)
	})
	v, err := w.rt.Validate(w.at(), raw)
	if err != nil || v.Death != 18 || v.Longevity != 7 {
		t.Fatalf("valid until %+v, %v", v, err)
	}
	for w.best < 20 {
		_, err := w.begin().Apply(raw)
		// The last block that may hold it is 17.
		if number := w.best + 1; (err == nil) != (number < 18) {
			t.Errorf("in block %d: %v", number, err)
		}
		w.block()
	}
}

func TestBlockHashes(t *testing.T) {
	w := newWorld(t)
	for w.best < BlockHashCount+3 {
		w.block()
	}
	kept := map[header.Number]bool{0: true}
	for n := range w.rt.System.BlockHash.All(w.read()) {
		kept[n] = true
	}
	// The last block wrote the hash of its parent.
	if len(kept) != BlockHashCount+1 || kept[1] || kept[2] || !kept[3] || !kept[w.best-1] || kept[w.best] {
		t.Errorf("%d hashes; 2: %v, 3: %v", len(kept), kept[2], kept[3])
	}
	if got := w.rt.System.BlockHash.Get(w.read(), 0); got != hashOf(0) {
		t.Errorf("genesis is %s", got)
	}
}

func TestInherent(t *testing.T) {
	for _, v4 := range []bool{false, true} {
		w := newWorld(t, Options{BareV4: v4})
		raw := w.rt.TimestampInherent(w.now)
		if want := map[bool]byte{false: 5, true: 4}[v4]; raw[1] != want {
			t.Errorf("first byte %#x, want %#x", raw[1], want)
		}
		events := w.block()
		if len(events) != 1 || events[0].Name != "ExtrinsicSuccess" {
			t.Errorf("events %v", events)
		}
		if got := w.rt.Timestamp.Now.Get(w.read()); got != w.now-1000 {
			t.Errorf("now %d", got)
		}
		for _, ts := range []uint64{0, w.now - 1000} { // not after the last one
			if _, err := w.rt.Begin(w.state, w.best+1, hashOf(w.best), nil).Apply(w.rt.TimestampInherent(ts)); invalid(err) != InvalidBadMandatory.Why {
				t.Errorf("timestamp %d: %v", ts, err)
			}
		}
		if min := w.rt.MinTimestamp(w.state); min != w.now-999 {
			t.Errorf("MinTimestamp %d", min)
		}
		x := w.rt.Begin(w.state, w.best+1, hashOf(w.best), nil)
		if _, err := x.Apply(w.sign(key(t, "//Alice"), w.call("System", "remark", []byte{}))); err == nil {
			t.Error("extrinsic before the timestamp")
		}
		if _, err := x.Finish(); err == nil {
			t.Error("block without timestamp")
		}
	}
}

func TestBlockLimits(t *testing.T) {
	w := newWorld(t)
	alice, bob := key(t, "//Alice"), key(t, "//Bob")
	x := w.begin()
	big := strings.Repeat("x", NormalLength/2-200)
	if _, err := x.Apply(w.sign(alice, w.call("System", "remark", big))); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Apply(w.sign(alice, w.call("System", "remark", big), nonce(1))); err != nil {
		t.Fatal(err)
	}
	events := len(x.events)
	if _, err := x.Apply(w.sign(bob, w.call("System", "remark", big))); invalid(err) != InvalidExhausts.Why || len(x.events) != events {
		t.Errorf("third: %v", err)
	}
	// What is small still fits, and Bob's nonce was not used.
	if _, err := x.Apply(w.sign(bob, w.call("System", "remark", ""))); err != nil {
		t.Errorf("small: %v", err)
	}
	w.finish(x)
	huge := w.sign(alice, w.call("System", "remark", strings.Repeat("x", NormalLength)))
	if _, err := w.rt.Validate(w.at(), huge); invalid(err) != InvalidExhausts.Why {
		t.Errorf("pool: %v", err)
	}

	x = w.begin()
	x.weight.Normal = normalWeight - extrinsicWeight
	if _, err := x.Apply(w.sign(alice, w.call("System", "remark", ""))); err != nil {
		t.Errorf("last weight: %v", err)
	}
	if _, err := x.Apply(w.sign(bob, w.call("System", "remark", ""))); invalid(err) != InvalidExhausts.Why {
		t.Errorf("weight: %v", err)
	}
}

func TestExistentialDeposit(t *testing.T) {
	w := newWorld(t)
	alice, dave := key(t, "//Alice"), key(t, "//Dave")
	to := func(p *keyring.Pair) keyring.MultiAddress { return keyring.AddressOf(p.AccountID()) }
	amount := func(n uint64) scale.CompactU128 { return scale.CompactU128(scale.NewU128(n)) }

	if got := w.run(alice, w.call("Balances", "transfer_allow_death", to(dave), amount(ExistentialDeposit-1))); got != "Token: BelowMinimum" {
		t.Errorf("too little: %s", got)
	}
	if got := w.one(w.sign(alice, w.call("Balances", "transfer_allow_death", to(dave), amount(3*ExistentialDeposit)))); !strings.Contains(got, "Balances.Withdraw System.NewAccount Balances.Endowed Balances.Transfer Tr") {
		t.Errorf("new account: %s", got)
	}
	if got := w.run(dave, w.call("Balances", "transfer_keep_alive", to(alice), amount(2*ExistentialDeposit))); got != "Token: NotExpendable" {
		t.Errorf("keep alive: %s", got)
	}
	if _, nonce := w.account(dave.AccountID()); nonce != 1 {
		t.Errorf("nonce %d", nonce)
	}
	// Leaves less than the deposit: the rest is dust, and the nonce is gone.
	total := w.rt.Balances.TotalIssuance.Get(w.read())
	raw := w.sign(dave, w.call("Balances", "transfer_allow_death", to(alice), amount(2*ExistentialDeposit)))
	if got := w.one(raw); got != "Balances.Withdraw System.KilledAccount Balances.DustLost Balances.Transfer TransactionPayment.TransactionFeePaid System.ExtrinsicSuccess" {
		t.Errorf("reaped: %s", got)
	}
	if w.rt.System.Account.Contains(w.read(), dave.AccountID()) {
		t.Error("account stays")
	}
	burned, _ := total.Sub(w.rt.Balances.TotalIssuance.Get(w.read()))
	if !burned.Less(scale.NewU128(ExistentialDeposit)) || burned.Less(Fee(len(raw))) {
		t.Errorf("issuance fell by %s", burned)
	}
	// A fee may not kill.
	w.run(alice, w.call("Balances", "transfer_allow_death", to(dave), amount(ExistentialDeposit+BaseFee)))
	if _, err := w.begin().Apply(w.sign(dave, w.call("System", "remark", ""))); invalid(err) != InvalidPayment.Why {
		t.Errorf("fee: %v", err)
	}
	// To oneself: nothing happens.
	if got := w.one(w.sign(alice, w.call("Balances", "transfer_allow_death", to(alice), amount(5)))); strings.Contains(got, "Transfer ") {
		t.Errorf("to oneself: %s", got)
	}
	charlie := key(t, "//Charlie")
	if got := w.run(charlie, w.call("Balances", "transfer_all", to(alice), true)); got != "" {
		t.Errorf("transfer all: %s", got)
	}
	if free, _ := w.account(charlie.AccountID()); free != scale.NewU128(ExistentialDeposit) {
		t.Errorf("charlie keeps %s", free)
	}
	sum := scale.U128{}
	for _, a := range w.rt.System.Account.All(w.read()) {
		sum = sum.SaturatingAdd(a.Data.Free)
	}
	if total := w.rt.Balances.TotalIssuance.Get(w.read()); total != sum {
		t.Errorf("total issuance %s, sum %s", total, sum)
	}
}

func TestRootCalls(t *testing.T) {
	w := newWorld(t)
	alice, bob := key(t, "//Alice"), key(t, "//Bob")
	to := func(p *keyring.Pair) keyring.MultiAddress { return keyring.AddressOf(p.AccountID()) }
	calls := map[string][]byte{
		"force_transfer":     w.call("Balances", "force_transfer", to(bob), to(alice), units(1)),
		"force_set_balance":  w.call("Balances", "force_set_balance", to(bob), units(5)),
		"set_storage":        w.call("System", "set_storage", []KeyValue{{[]byte("k"), []byte("v")}}),
		"kill_storage":       w.call("System", "kill_storage", [][]byte{[]byte("k")}),
		"set_security_flags": w.call("Teerex", "set_security_flags", false, false),
	}
	for name, call := range calls {
		if got := w.run(alice, call); got != "BadOrigin" {
			t.Errorf("%s signed: %s", name, got)
		}
	}
	for _, name := range []string{"force_transfer", "force_set_balance", "set_storage", "set_security_flags"} {
		if got := w.root(calls[name]); got != "" {
			t.Errorf("%s by root: %s", name, got)
		}
	}
	if free, _ := w.account(bob.AccountID()); free != scale.NewU128(5*Unit) {
		t.Errorf("bob has %s", free)
	}
	if v, _ := w.state.Get([]byte("k")); string(v) != "v" {
		t.Errorf("storage %q", v)
	}
	if got := w.root(calls["kill_storage"]); got != "" {
		t.Error(got)
	}
	if _, ok := w.state.Get([]byte("k")); ok {
		t.Error("storage stays")
	}
	other := keyring.MultiAddress{Address20: &[20]byte{1}}
	if got := w.run(alice, w.call("Balances", "transfer_allow_death", other, units(1))); got != "CannotLookup" {
		t.Errorf("address of 20 bytes: %s", got)
	}
}

func TestPriority(t *testing.T) {
	if a, b := priority(scale.U128{}, 200), priority(scale.NewU128(1), 200); a == 0 || b != 2*a {
		t.Errorf("%d, %d", a, b)
	}
	if got := priority(scale.MaxU128, 200); got != math.MaxUint64 {
		t.Errorf("largest tip: %d", got)
	}
	if priority(scale.U128{}, 200) <= priority(scale.U128{}, 1<<20) {
		t.Error("long extrinsics go first")
	}
}

func TestGrandpaChange(t *testing.T) {
	w := newWorld(t)
	next := []Authority{{ID: AuthorityID{2}, Weight: 1}}
	schedule := func(delay header.Number) *Result {
		x := w.begin()
		if err := w.rt.Grandpa.scheduleChange(x.ctx, next, delay); err != nil {
			t.Fatal(err)
		}
		if err := w.rt.Grandpa.scheduleChange(x.ctx, next, delay); err != errChangePending {
			t.Errorf("second change: %v", err)
		}
		r, err := x.Finish()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := schedule(0)
	if !r.NewAuthorities || len(r.Digest) != 1 || r.Digest[0].Engine != header.EngineGrandpa {
		t.Errorf("no delay: %+v", r.Digest)
	}
	r = schedule(2)
	if r.NewAuthorities || len(r.Digest) != 1 {
		t.Errorf("delay 2: %+v", r)
	}
	x := w.begin()
	if err := w.rt.Grandpa.scheduleChange(x.ctx, next, 2); err != nil {
		t.Fatal(err)
	}
	w.finish(x)
	for i := range 2 {
		x := w.begin()
		if got := x.rt.Grandpa.Authorities.Get(w.read()); got[0].ID != (AuthorityID{1}) {
			t.Errorf("authorities changed early: %v", got)
		}
		events := w.finish(x)
		if enacted := find(events, "Grandpa.NewAuthorities") != nil; enacted != (i == 1) {
			t.Errorf("block %d: enacted %v", i, enacted)
		}
	}
	if got := w.rt.Grandpa.Authorities.Get(w.read()); got[0].ID != (AuthorityID{2}) || w.rt.Grandpa.CurrentSetID.Get(w.read()) != 1 {
		t.Errorf("authorities %v", got)
	}
}

// FuzzApply: whatever is put into a block, nothing panics, and what is refused
// changes nothing.
func FuzzApply(f *testing.F) {
	w := newWorld(f)
	w.block()
	f.Add(w.sign(key(f, "//Alice"), w.call("Balances", "transfer_all", keyring.AddressOf(keyring.AccountID{1}), false)))
	f.Add(w.sign(key(f, "//Bob"), w.call("EnclaveBridge", "publish_hash", hashing.Hash{}, []hashing.Hash{{1}}, []byte("data"))))
	f.Add(w.sign(key(f, "//Bob"), w.call("Utility", "batch_all", calls(w.invoke(), w.call("Utility", "as_derivative", uint16(1), raw(w.shield(1)))))))
	f.Add(w.sign(key(f, "//Alice"), w.call("Sudo", "sudo", raw(w.call("Scheduler", "schedule", uint32(9), &Period{1, 2}, uint8(0), raw(w.invoke()))))))
	f.Add(w.rt.TimestampInherent(w.now))
	f.Add([]byte{0x10, 4, 0, 0, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		w.TB = t
		for _, skip := range []bool{false, true} { // a replay does not check signatures
			x := w.begin()
			x.SkipSignatures = skip
			before := len(x.ctx.kv.Changes())
			if _, err := x.Apply(raw); err != nil && (x.count != 1 || len(x.ctx.kv.Changes()) != before) {
				t.Fatalf("%v changed the block", err)
			}
			if _, err := x.Finish(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
