package sample

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/balances"
	"github.com/offchain-worker/sdk/stf/shardinfo"
	"github.com/offchain-worker/sdk/stf/stftest"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

const (
	one      = 1_000_000_000_000 // the unit, 12 decimals
	fee      = one / 100
	maxIndex = 256
)

var alice, bob, carol = stftest.Account("alice"), stftest.Account("bob"), stftest.Account("carol")

func u(v uint64) stf.Balance { return scale.NewU128(v) }

func newApp(t testing.TB) *stf.App {
	t.Helper()
	app, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return app
}

// world is a shard on which amounts are given without fees or dust.
type world struct {
	*stftest.Shard
	t *testing.T
}

func newWorld(t *testing.T) world { return world{stftest.New(t, newApp(t)), t} }

// TestEndowed: accounts have what they were given before the first block, and
// less than an account may have is refused.
func TestEndowed(t *testing.T) {
	for amount, want := range map[uint64]bool{one: true, 499: false} {
		app, err := NewEndowed(func(yield func(stf.AccountID, stf.Balance) bool) {
			_ = yield(alice, u(one)) && yield(bob, u(amount))
		})
		if err != nil {
			t.Fatal(err)
		}
		o := state.NewOverlay(state.New([32]byte{1}).Snapshot())
		if err := app.Genesis(o, stf.Env{EnclaveAccount: carol}); (err == nil) != want {
			t.Errorf("endowed with %d: %v", amount, err)
			continue
		}
		if !want {
			continue
		}
		if n := len(o.Changes()); n != 4 { // three accounts and the issuance
			t.Errorf("%d values", n)
		}
	}
}

// give credits exactly amount by a shielding that is a little larger.
func (w world) give(who stf.AccountID, amount uint64) {
	w.t.Helper()
	before := w.free(who)
	for gross := amount + amount/570; ; gross-- {
		if credit := gross - gross/571; credit == amount {
			if r := w.Shield(who, u(gross)); !r.Outcome.OK() {
				w.t.Fatalf("shielding %d: %v", gross, r.Outcome)
			}
			break
		} else if credit < amount {
			w.t.Fatalf("no shielding credits %d", amount)
		}
	}
	if got := w.free(who); got != before+amount {
		w.t.Fatalf("gave %d, have %d", amount, got-before)
	}
}

func (w world) info(who stf.AccountID) (info AccountInfo) {
	w.t.Helper()
	w.Trusted(GetterAccountInfo(who), &info)
	return info
}

func (w world) free(who stf.AccountID) uint64 {
	w.t.Helper()
	f := w.info(who).Data.Free
	if f.Hi != 0 {
		w.t.Fatalf("balance %v is too large for this test", f)
	}
	return f.Lo
}

func (w world) issuance() (total stf.Balance) {
	w.t.Helper()
	w.Public(GetterTotalIssuance(), &total)
	return total
}

func moduleError(module uint8, e *stf.Error) stf.Outcome {
	return stf.Outcome{Code: stf.ModuleError, Module: module, Error: e.Code}
}

var success = stf.Outcome{Code: stf.Success}

// TestRules goes through the rules of P 1.5 one by one. Each case starts with
// the given balances and tells the outcome, what the accounts have afterwards,
// the sender's nonce and how much was burned.
func TestRules(t *testing.T) {
	shard := stftest.New(t, newApp(t)).Env.Shard
	big := bytes.Repeat([]byte("n"), 5000)
	for _, c := range []struct {
		name       string
		alice, bob uint64 // before
		call       []byte
		want       stf.Outcome
		after      [2]uint64
		fee        uint64 // to the enclave account
		gone       uint64 // burned or unshielded
		nonce      uint32
	}{
		{"noop", one, 0, Noop(alice), success, [2]uint64{one - fee, 0}, fee, 0, 1},
		{"noop, poor", fee - 1, 0, Noop(alice), stf.Outcome{Code: stf.FeeUnpaid}, [2]uint64{fee - 1, 0}, 0, 0, 0},
		{"noop without account", 0, 0, Noop(alice), stf.Outcome{Code: stf.FeeUnpaid}, [2]uint64{0, 0}, 0, 0, 0},
		{"noop for the last planck", fee, 0, Noop(alice), success, [2]uint64{0, 0}, fee, 0, 1},
		{"the fee leaves dust", fee + 499, 0, Noop(alice), success, [2]uint64{0, 0}, fee, 499, 1},
		{"the fee leaves the existential deposit", fee + 500, 0, Noop(alice), success, [2]uint64{500, 0}, fee, 0, 1},

		{"transfer", one, one, BalanceTransfer(alice, bob, u(7)), success, [2]uint64{one - fee - 7, one + 7}, fee, 0, 1},
		{"transfer of nothing", one, 0, BalanceTransfer(alice, bob, u(0)), success, [2]uint64{one - fee, 0}, fee, 0, 1},
		{"transfer of all", one, 0, BalanceTransfer(alice, bob, u(one-fee)), success, [2]uint64{0, one - fee}, fee, 0, 1},
		{"transfer that leaves dust", one, 0, BalanceTransfer(alice, bob, u(one-fee-499)), success, [2]uint64{0, one - fee - 499}, fee, 499, 1},
		{"transfer that leaves the deposit", one, 0, BalanceTransfer(alice, bob, u(one-fee-500)), success, [2]uint64{500, one - fee - 500}, fee, 0, 1},
		{"transfer of too much", one, 0, BalanceTransfer(alice, bob, u(one-fee+1)), moduleError(1, balances.ErrInsufficientBalance), [2]uint64{one - fee, 0}, fee, 0, 1},
		{"transfer of the maximum", one, 0, BalanceTransfer(alice, bob, scale.MaxU128), moduleError(1, balances.ErrInsufficientBalance), [2]uint64{one - fee, 0}, fee, 0, 1},
		{"transfer of too little", one, 0, BalanceTransfer(alice, bob, u(499)), moduleError(1, balances.ErrExistentialDeposit), [2]uint64{one - fee, 0}, fee, 0, 1},
		{"transfer of just enough", one, 0, BalanceTransfer(alice, bob, u(500)), success, [2]uint64{one - fee - 500, 500}, fee, 0, 1},
		{"transfer of little to an account", one, 500, BalanceTransfer(alice, bob, u(1)), success, [2]uint64{one - fee - 1, 501}, fee, 0, 1},
		{"transfer to oneself", one, 0, BalanceTransfer(alice, alice, u(one-fee)), success, [2]uint64{one - fee, 0}, fee, 0, 1},
		{"transfer to oneself of too much", one, 0, BalanceTransfer(alice, alice, u(one)), moduleError(1, balances.ErrInsufficientBalance), [2]uint64{one - fee, 0}, fee, 0, 1},
		{"the fee makes it too much", one, 0, BalanceTransfer(alice, bob, u(one)), moduleError(1, balances.ErrInsufficientBalance), [2]uint64{one - fee, 0}, fee, 0, 1},
		{"nothing left after the fee", fee, 0, BalanceTransfer(alice, bob, u(500)), moduleError(1, balances.ErrInsufficientBalance), [2]uint64{0, 0}, fee, 0, 1},

		{"empty note", one, one, balanceTransferWithNote(alice, bob, u(7), nil), success, [2]uint64{one - fee - 7, one + 7}, fee, 0, 1},
		{"note", one, one, balanceTransferWithNote(alice, bob, u(7), []byte("hello")), success, [2]uint64{one - fee - 5*one/10_000 - 7, one + 7}, fee + 5*one/10_000, 0, 1},
		{"longest note", one, one, balanceTransferWithNote(alice, bob, u(7), big[:MaxNoteLen]), success, [2]uint64{one - fee - MaxNoteLen*one/10_000 - 7, one + 7}, fee + MaxNoteLen*one/10_000, 0, 1},
		{"note too long", one, one, balanceTransferWithNote(alice, bob, u(7), big[:MaxNoteLen+1]), moduleError(3, ErrNoteTooLong),
			[2]uint64{one - fee - (MaxNoteLen+1)*one/10_000, one}, fee + (MaxNoteLen+1)*one/10_000, 0, 1},
		{"note that the fee cannot cover", one / 2, 0, balanceTransferWithNote(alice, bob, u(7), big), stf.Outcome{Code: stf.FeeUnpaid}, [2]uint64{one / 2, 0}, 0, 0, 0},

		{"unshield", one, 0, BalanceUnshield(alice, carol, u(7), shard), success, [2]uint64{one - 3*fee - 7, 0}, 3 * fee, 7, 1},
		{"unshield of all", one, 0, BalanceUnshield(alice, carol, u(one-3*fee), shard), success, [2]uint64{0, 0}, 3 * fee, one - 3*fee, 1},
		{"unshield that leaves dust", one, 0, BalanceUnshield(alice, carol, u(one-3*fee-1), shard), success, [2]uint64{0, 0}, 3 * fee, one - 3*fee, 1},
		{"unshield of nothing", one, 0, BalanceUnshield(alice, carol, u(0), shard), success, [2]uint64{one - 3*fee, 0}, 3 * fee, 0, 1},
		{"unshield of too much", one, 0, BalanceUnshield(alice, carol, u(one-3*fee+1), shard), moduleError(1, balances.ErrInsufficientBalance), [2]uint64{one - 3*fee, 0}, 3 * fee, 0, 1},
		{"unshield for another shard", one, 0, BalanceUnshield(alice, carol, u(7), [32]byte{9}), moduleError(1, ErrWrongShard), [2]uint64{one - 3*fee, 0}, 3 * fee, 0, 1},
		{"unshield, poor", 3*fee - 1, 0, BalanceUnshield(alice, carol, u(7), shard), stf.Outcome{Code: stf.FeeUnpaid}, [2]uint64{3*fee - 1, 0}, 0, 0, 0},

		{"shield by a user", one, 0, balanceShield(alice, alice, u(one)), moduleError(1, ErrEnclaveOnly), [2]uint64{one, 0}, 0, 0, 1},
		{"time by a user", one, 0, timestampSet(alice, 1, shardinfo.Integritee), moduleError(2, shardinfo.ErrEnclaveOnly), [2]uint64{one, 0}, 0, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			for who, amount := range map[stf.AccountID]uint64{alice: c.alice, bob: c.bob} {
				if amount > 0 {
					w.give(who, amount)
				}
			}
			enclave, before := w.free(w.Env.EnclaveAccount), w.issuance()
			r := w.Call(c.call)
			if r.Outcome != c.want {
				t.Errorf("outcome %v (%v), want %v", r.Outcome, r.Err, c.want)
			}
			if got := [2]uint64{w.free(alice), w.free(bob)}; got != c.after {
				t.Errorf("balances %d, want %d", got, c.after)
			}
			if got := w.free(w.Env.EnclaveAccount) - enclave; got != c.fee {
				t.Errorf("fee %d, want %d", got, c.fee)
			}
			if gone, _ := before.Sub(w.issuance()); gone != u(c.gone) {
				t.Errorf("issuance fell by %v, want %d", gone, c.gone)
			}
			if n := w.info(alice).Nonce; n != c.nonce {
				t.Errorf("nonce %d, want %d", n, c.nonce)
			}
			unshield := c.call[0] == 7 && c.want.OK()
			if (len(r.Effects) == 1) != unshield || len(r.Effects) > 1 {
				t.Errorf("effects %v", r.Effects)
			}
			if unshield {
				amount := scale.NewDecoder(c.call[65:]).U128()
				hash := w.Receipts()[len(w.Receipts())-1].OperationHash
				if got, want := *r.Effects[0].Unshield, (stf.Unshield{Beneficiary: carol, Amount: amount, CallHash: *hash, From: alice}); got != want {
					t.Errorf("effect %+v, want %+v", got, want)
				}
			}
		})
	}
}

// TestGiveBack: an unshield that cannot be paid comes back in full, but for the
// fee of the attempt.
func TestGiveBack(t *testing.T) {
	w := newWorld(t)
	w.Shield(alice, u(571*one))
	before, issuance := w.free(alice), w.issuance()
	r := w.Call(BalanceUnshield(alice, carol, u(7*one), w.Env.Shard))
	if !r.Outcome.OK() || len(r.Effects) != 1 {
		t.Fatal(r)
	}
	r = w.Refund(*r.Effects[0].Unshield)
	if r.Outcome.Code != stf.Returned || len(r.Events) != 1 || len(r.Effects) != 0 {
		t.Fatalf("refund: %+v", r)
	}
	if got := w.free(alice); got != before-3*one/100 {
		t.Errorf("alice has %d, had %d", got, before)
	}
	if w.issuance() != issuance {
		t.Errorf("issuance %v, was %v", w.issuance(), issuance)
	}
	// What is too little for an account that has ended stays outside.
	if r := w.Refund(stf.Unshield{From: stftest.Account("nobody"), Amount: u(499)}); r.Outcome.Code != stf.NotReturned || len(r.Events) != 0 {
		t.Errorf("refund below the existential deposit: %+v", r)
	}
}

func TestEnclaveCalls(t *testing.T) {
	w := newWorld(t)
	enclave := w.Env.EnclaveAccount
	if r := w.Call(balanceShield(enclave, alice, u(571_000))); !r.Outcome.OK() {
		t.Fatal(r.Outcome)
	}
	if got := [2]uint64{w.free(alice), w.free(enclave)}; got != [2]uint64{570_000, 2_000} {
		t.Errorf("balances %d", got)
	}
	if r := w.Call(timestampSet(enclave, 77, shardinfo.Integritee)); !r.Outcome.OK() {
		t.Fatal(r.Outcome)
	}
	var info shardinfo.ParentchainsInfo
	w.Public(getterParentchainsInfo(), &info)
	if *info.Integritee.Now != 77 {
		t.Errorf("time %d", *info.Integritee.Now)
	}
	if r := w.Call(timestampSet(enclave, 77, shardinfo.TargetA)); r.Outcome != moduleError(2, shardinfo.ErrParentchainNotServed) {
		t.Error(r.Outcome)
	}
	if n := w.info(enclave).Nonce; n != 3 {
		t.Errorf("nonce %d", n)
	}
}

// TestShielding: the skim, the enclave account itself, and amounts that
// cannot be credited (P 7.4).
func TestShielding(t *testing.T) {
	for _, c := range []struct {
		amount     stf.Balance
		want       stf.Outcome
		alice, fee uint64
	}{
		{u(6 * one), success, 6*one - 6*one/571, 6 * one / 571},
		{u(571), success, 570, 1},
		{u(570), success, 570, 0},
		{u(500), success, 500, 0},
		{u(499), moduleError(1, balances.ErrExistentialDeposit), 0, 0},
		{u(1), moduleError(1, balances.ErrExistentialDeposit), 0, 0},
		{u(0), moduleError(1, balances.ErrExistentialDeposit), 0, 0},
		{scale.MaxU128, moduleError(1, balances.ErrOverflow), 0, 0},
	} {
		w := newWorld(t)
		r := w.Shield(alice, c.amount)
		if r.Outcome != c.want || w.free(alice) != c.alice || w.free(w.Env.EnclaveAccount) != 1000+c.fee || w.issuance() != u(1000+c.alice+c.fee) {
			t.Errorf("%v: %v, alice %d, enclave %d, issuance %v", c.amount, r.Outcome, w.free(alice), w.free(w.Env.EnclaveAccount), w.issuance())
		}
	}
	w := newWorld(t)
	w.Shield(w.Env.EnclaveAccount, u(571))
	if w.free(w.Env.EnclaveAccount) != 1571 {
		t.Errorf("enclave has %d", w.free(w.Env.EnclaveAccount))
	}
	nearly, _ := scale.MaxU128.Sub(u(1000))
	if r := w.Shield(alice, nearly); r.Outcome != moduleError(1, balances.ErrOverflow) || w.issuance() != u(1571) {
		t.Errorf("above the maximum of all balances: %v, issuance %v", r.Outcome, w.issuance())
	}
}

// TestReapedAccountKeepsItsNonce: or else whoever kept the old ciphertexts
// could run them again on the next deposit.
func TestReapedAccountKeepsItsNonce(t *testing.T) {
	w := newWorld(t)
	w.give(alice, one)
	all := BalanceTransfer(alice, bob, u(one-fee))
	c, _ := w.Decode(all)
	op := stf.Operation{Call: c, CallHash: stf.Hash{1}}
	if r := w.Execute(op); !r.Outcome.OK() {
		t.Fatal(r.Outcome)
	}
	if i := w.info(alice); i.Nonce != 1 || i.Providers != 0 || !i.Data.Free.IsZero() {
		t.Errorf("reaped account: %+v", i)
	}
	w.NextBlock()
	w.give(alice, one)
	if r := w.Execute(op); r.Outcome.Code != stf.BadNonce {
		t.Errorf("an old call ran again: %v", r.Outcome)
	}
}

func TestMaintenance(t *testing.T) {
	w := newWorld(t)
	w.give(alice, one)
	shardInfo := func() (i shardinfo.ShardInfo) { w.Public(getterShardInfo(), &i); return i }
	if i := shardInfo(); i.Config != nil || i.ConfigUpdatedAt != nil || i.Status != nil || i.Mode != shardinfo.Normal {
		t.Errorf("without configuration: %+v", i)
	}
	at := stf.BlockNumber(4)
	w.Env.ShardConfig = &integritee.UpgradableShardConfig{
		ActiveConfig:   integritee.ShardConfig{EnclaveFingerprint: integritee.Fingerprint{1}},
		PendingUpgrade: &integritee.ShardConfig{EnclaveFingerprint: integritee.Fingerprint{1}, MaintenanceMode: true}, UpgradeAt: &at,
	}
	for block := stf.BlockNumber(2); block <= 5; block++ {
		w.NextBlock()
		i, want := shardInfo(), shardinfo.Normal
		r := w.Call(Noop(alice))
		if block >= at {
			want = shardinfo.MaintenanceOngoing
			if r.Outcome != moduleError(1, ErrMaintenance) {
				t.Errorf("block %d: %v", block, r.Outcome)
			}
		} else if !r.Outcome.OK() {
			t.Errorf("block %d: %v", block, r.Outcome)
		}
		if i.Mode != want || *i.ConfigUpdatedAt != 2 || i.Config.ActiveConfig.EnclaveFingerprint != (integritee.Fingerprint{1}) {
			t.Errorf("block %d: %+v", block, i)
		}
	}
	if n := w.info(alice).Nonce; n != 4 {
		t.Errorf("nonce %d: fee and nonce stay in maintenance", n)
	}
	if r := w.Shield(alice, u(one)); !r.Outcome.OK() {
		t.Errorf("shielding in maintenance: %v", r.Outcome)
	}
	if r := w.Call(timestampSet(w.Env.EnclaveAccount, 5, shardinfo.Integritee)); !r.Outcome.OK() {
		t.Errorf("time in maintenance: %v", r.Outcome)
	}
	w.Env.ShardConfig = &integritee.UpgradableShardConfig{ActiveConfig: integritee.ShardConfig{EnclaveFingerprint: integritee.Fingerprint{2}}}
	w.NextBlock()
	if i := shardInfo(); i.Mode != shardinfo.Normal || *i.ConfigUpdatedAt != 6 {
		t.Errorf("after maintenance: %+v", i)
	}
}

// TestUnknownCalls: the app knows the indexes of P 1.3 and no others, and an
// unknown index is told from broken bytes.
func TestUnknownCalls(t *testing.T) {
	app := newApp(t)
	known := map[int]bool{}
	for _, i := range []int{0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 20, 30, 42, 43, 44, 45, 46, 50, 90, 91, 92, 93, 255} {
		known[i] = true
	}
	for i := range maxIndex {
		d := scale.NewDecoder(append([]byte{byte(i)}, make([]byte, 400)...))
		c := app.DecodeCall(d)
		if unknown := errors.Is(d.Err(), stf.ErrUnknownCall); known[i] == unknown || unknown && c.Name != "" {
			t.Errorf("index %d: %q %v", i, c.Name, d.Err())
		}
	}
	for _, b := range [][]byte{{}, {2}, BalanceTransfer(alice, bob, u(1))[:80], {5, 255, 255}} {
		d := scale.NewDecoder(b)
		if app.DecodeCall(d); d.Err() == nil || errors.Is(d.Err(), stf.ErrUnknownCall) {
			t.Errorf("%x: %v", b, d.Err())
		}
	}
}

// TestWire compares the bytes of calls and getters with those of P 1.3 and 1.6.
func TestWire(t *testing.T) {
	a, b := stf.AccountID(bytes.Repeat([]byte{0xaa}, 32)), stf.AccountID(bytes.Repeat([]byte{0xbb}, 32))
	aa, bb, amount := strings.Repeat("aa", 32), strings.Repeat("bb", 32), "04030201000000000000000000000000"
	shard := strings.Repeat("cc", 32)
	usdc := AssetID(20)
	app := newApp(t)
	for _, c := range []struct {
		name string
		got  []byte
		want string
		kind int // 0 call, 1 trusted getter, 2 public getter
	}{
		{"Balances.noop", Noop(a), "00" + aa, 0},
		{"Parentchain.timestamp_set", timestampSet(a, 0x0102, shardinfo.TargetB), "01" + aa + "0201000000000000" + "02", 0},
		{"Balances.balance_transfer", BalanceTransfer(a, b, u(0x01020304)), "02" + aa + bb + amount, 0},
		{"Balances.balance_transfer_with_note", balanceTransferWithNote(a, b, u(0x01020304), []byte("hi")), "05" + aa + bb + amount + "08" + "6869", 0},
		{"Balances.balance_shield_through_enclave_bridge_pallet", balanceShield(a, b, u(0x01020304)), "06" + aa + bb + amount, 0},
		{"Balances.balance_unshield_through_enclave_bridge_pallet", BalanceUnshield(a, b, u(0x01020304), [32]byte(bytes.Repeat([]byte{0xcc}, 32))), "07" + aa + bb + amount + shard, 0},
		{"account_info", GetterAccountInfo(a), "00" + aa, 1},
		{"account_essentials", getterAccountEssentials(a), "02" + aa, 1},
		{"some_value", GetterSomeValue(), "00", 2},
		{"total_issuance", GetterTotalIssuance(), "01", 2},
		{"undistributed_fees", getterUndistributedFees(nil), "0200", 2},
		{"undistributed_fees of an asset", getterUndistributedFees(&usdc), "020114", 2},
		{"parentchains_info", getterParentchainsInfo(), "0a", 2},
		{"shard_info", getterShardInfo(), "0c", 2},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s is %s, want %s", c.name, got, c.want)
		}
		d := scale.NewDecoder(c.got)
		switch c.kind {
		case 0:
			call := app.DecodeCall(d)
			if call.Name != c.name || call.Sender != a || !bytes.Equal(call.Raw, c.got) {
				t.Errorf("%s decodes to %+v", c.name, call)
			}
		case 1:
			app.SkipTrustedGetter(d)
			if who, err := app.GetterOwner(c.got); who != a || err != nil {
				t.Errorf("%s: owner %v %v", c.name, who, err)
			}
		case 2:
			app.SkipPublicGetter(d)
		}
		if err := d.Finish(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestGetterVector reads the signed getter of P 1.6, made by the original's
// users.
func TestGetterVector(t *testing.T) {
	raw, err := hex.DecodeString("01000648fa130f901e5572e075db41da1ef1884a9d0acae9e964ff3f406651d7413c0001c0e043e931689c9ff51a883c587baeab43d77cdf701085238af124441b293f0e6784c982d82b517b4795d7bf643ab67be5bcf58242ca7e33898c382cb0ef3383")
	if err != nil {
		t.Fatal(err)
	}
	app := newApp(t)
	d := scale.NewDecoder(raw)
	g := integritee.DecodeGetter(d, app.SkipPublicGetter, app.SkipTrustedGetter)
	if err := d.Finish(); err != nil {
		t.Fatal(err)
	}
	owner, err := app.GetterOwner(g.Trusted.Getter)
	if err != nil || !g.Trusted.Verify(owner, integritee.ShardID{}) {
		t.Fatalf("owner %v: %v", owner, err)
	}
	w := newWorld(t)
	value, some, err := app.Query(w.State(), w.Env, g)
	if err != nil || !some || hex.EncodeToString(value) != strings.Repeat("00", 79)+"80" {
		t.Errorf("the info of an account that does not exist is %x %v %v", value, some, err)
	}
}

// TestAnswers compares the bytes of answers with the layouts of P 1.6.
func TestAnswers(t *testing.T) {
	w := newWorld(t)
	w.give(alice, one)
	w.Call(Noop(alice))
	app := newApp(t)
	public := func(getter []byte) string {
		value, some, err := app.Query(w.State(), w.Env, integritee.Getter{Public: getter})
		if !some || err != nil {
			t.Fatal(err)
		}
		return hex.EncodeToString(value)
	}
	trusted := func(getter []byte) string {
		value, some, err := app.Query(w.State(), w.Env, integritee.Getter{Trusted: &integritee.TrustedGetterSigned{Getter: getter}})
		if !some || err != nil {
			t.Fatal(err)
		}
		return hex.EncodeToString(value)
	}
	zero16 := strings.Repeat("00", 16)
	info := "01000000" + "00000000" + "01000000" + "00000000" + le128(one-fee) + zero16 + zero16 + strings.Repeat("00", 15) + "80"
	now, genesis := le64(uint64(stftest.Start)), hex.EncodeToString(w.Env.Genesis[:])
	usdt := AssetID(10)
	total, _ := scale.NewU128(one).Add(u(1000 + one/570))
	for _, c := range []struct{ name, got, want string }{
		{"account_info", trusted(GetterAccountInfo(alice)), info},
		{"account_essentials", trusted(getterAccountEssentials(alice)), info + "00" + "00"},
		{"some_value", public(GetterSomeValue()), "2a000000"},
		{"total_issuance", public(GetterTotalIssuance()), hex.EncodeToString(scale.AppendU128(nil, total))},
		{"undistributed_fees of an asset", public(getterUndistributedFees(&usdt)), zero16},
		{"parentchains_info", public(getterParentchainsInfo()), "00" + "01" + genesis + "0101000000" + "01" + now + "0101000000" + "01" + now + "01" + "0000000000" + "02" + "0000000000" + "00"},
		{"shard_info", public(getterShardInfo()), "00" + "00" + "00" + "01"},
	} {
		if c.got != c.want {
			t.Errorf("%s is\n%s, want\n%s", c.name, c.got, c.want)
		}
	}
	for _, bad := range [][]byte{{2, 1, 99}, {3}, {13}, {2}, {50}, {50, 1}} {
		if v, some, err := app.Query(w.State(), w.Env, integritee.Getter{Public: bad}); err == nil || some || v != nil {
			t.Errorf("public getter %x is answered: %x", bad, v)
		}
	}
}

func le64(v uint64) string  { return hex.EncodeToString(scale.AppendU64(nil, v)) }
func le128(v uint64) string { return hex.EncodeToString(scale.AppendU128(nil, u(v))) }

// TestUndistributedFees: never above the truth, at most ten fees below it, the
// same for all who ask in a block, and not always the same.
func TestUndistributedFees(t *testing.T) {
	w := newWorld(t)
	ask := func() (v stf.Balance) { w.Public(getterUndistributedFees(nil), &v); return v }
	if v := ask(); v.Lo > 1000 {
		t.Errorf("%v of 1000", v)
	}
	w.Shield(w.Env.EnclaveAccount, u(100*one))
	answers := map[stf.Balance]bool{}
	for range 200 {
		truth, v := w.free(w.Env.EnclaveAccount), ask()
		if v.Lo > truth || v.Lo+10*fee <= truth {
			t.Fatalf("%v of %d", v, truth)
		}
		if ask() != v {
			t.Fatal("asked again, another answer")
		}
		answers[v] = true
		w.NextBlock()
	}
	if len(answers) < 100 {
		t.Errorf("%d answers in 200 blocks", len(answers))
	}
}

func TestUnitOfTenDecimals(t *testing.T) {
	w := newWorld(t)
	w.give(alice, one)
	w.Env.Genesis = must(hashing.ParseHash("0x91b171bb158e2d3848fa23a9f1c25182fb8e20313b2c1eb49219da7a70ce90c3"))
	w.Call(Noop(alice))
	if got := w.free(alice); got != one-1e8 {
		t.Errorf("noop cost %d", one-got)
	}
	c, _ := w.Decode(balanceTransferWithNote(alice, bob, u(1), make([]byte, 3)))
	if f := Fee(w.Env.Genesis, c); f != u(1e8+3e6) {
		t.Errorf("transfer with note costs %v", f)
	}
}

func TestEventsInReceipts(t *testing.T) {
	w := newWorld(t)
	r := w.Shield(alice, u(571*one))
	event := func(index byte, v any) [][]byte { return [][]byte{append([]byte{1, index}, scale.MustMarshal(v)...)} }
	if !r.Outcome.OK() || len(r.Events) != 0 || r.Gas != 0 {
		t.Errorf("whoever pays a shielding learns %+v", r)
	}
	r = w.Call(BalanceTransfer(alice, bob, u(one)))
	if diff := cmp.Diff(event(0, balances.Transfer{From: alice, To: bob, Amount: u(one)}), r.Events); diff != "" {
		t.Error(diff)
	}
	r = w.Call(BalanceUnshield(alice, bob, u(one), w.Env.Shard))
	if diff := cmp.Diff(event(1, balances.Unshielded{From: alice, Beneficiary: bob, Amount: u(one)}), r.Events); diff != "" {
		t.Error(diff)
	}
	if r = w.Call(BalanceTransfer(alice, bob, scale.MaxU128)); len(r.Events) != 0 {
		t.Errorf("a failed transfer tells %x", r.Events)
	}
}

// TestShieldingTellsNothing: who pays a shielding can have copied somebody
// else's encrypted beneficiary. What he gets to see must not depend on that
// account.
func TestShieldingTellsNothing(t *testing.T) {
	for _, amount := range []uint64{0, 1, 499, 500, 501, 571, 1000, one} {
		w := newWorld(t)
		if !w.Shield(alice, u(one)).Outcome.OK() { // bob's account does not exist
			t.Fatal("not shielded")
		}
		was := w.free(alice)
		rich, poor := w.Shield(alice, u(amount)), w.Shield(bob, u(amount))
		if rich.Outcome != poor.Outcome || rich.Gas != poor.Gas || len(rich.Events)+len(poor.Events) != 0 {
			t.Errorf("%d: %+v to an account that exists, %+v to another", amount, rich, poor)
		}
		if !rich.Outcome.OK() && w.free(alice) != was {
			t.Errorf("%d: credited by a refused shielding", amount)
		}
	}
}

func TestReasonsAndMetadata(t *testing.T) {
	app := newApp(t)
	if got := app.Reason(moduleError(1, balances.ErrInsufficientBalance)); got != "Balances.InsufficientBalance: the account has less than the amount" {
		t.Error(got)
	}
	if got := app.Reason(moduleError(77, balances.ErrInsufficientBalance)); got == "" {
		t.Error("no reason for an unknown module")
	}
	m, err := metadata.Decode(app.Metadata())
	if err != nil {
		t.Fatal(err)
	}
	// Every call reads as its metadata says.
	for _, raw := range [][]byte{Noop(alice), timestampSet(alice, 1, shardinfo.Integritee), BalanceTransfer(alice, bob, u(1)), balanceTransferWithNote(alice, bob, u(1), []byte("note")),
		balanceShield(alice, bob, u(1)), BalanceUnshield(alice, bob, u(1), [32]byte{}), sendNote(alice, bob, []byte("note")),
		addSessionProxy(alice, bob, SessionProxyCredentials{Role: roleAny})} {
		c := app.DecodeCall(scale.NewDecoder(raw))
		module, name, _ := strings.Cut(c.Name, ".")
		index, ok := m.CallIndex(module, name)
		if !ok || index[1] != raw[0] {
			t.Errorf("%s has index %v", c.Name, index)
			continue
		}
		_, v, _ := m.Call(index)
		d := scale.NewDecoder(raw[1:])
		for _, f := range v.Fields {
			m.Skip(d, f.Type)
		}
		if err := d.Finish(); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	ed, ok := m.Constant("Balances", "ExistentialDeposit")
	if !ok || hex.EncodeToString(ed) != le128(500) {
		t.Errorf("existential deposit %x", ed)
	}
}

func ExampleBalanceTransfer() {
	from, to := stf.AccountID{1}, stf.AccountID{2}
	call := BalanceTransfer(from, to, scale.NewU128(1_000))
	fmt.Println(len(call), call[0])
	// Output: 81 2
}
