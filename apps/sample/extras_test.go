package sample

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/balances"
	"github.com/offchain-worker/sdk/stf/stftest"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

var (
	roleAny         = SessionProxyRole{Any: new(struct{})}
	roleNonTransfer = SessionProxyRole{NonTransfer: new(struct{})}
	roleReadAny     = SessionProxyRole{ReadAny: new(struct{})}
	roleReadBalance = SessionProxyRole{ReadBalance: new(struct{})}
)

func allowance(amount uint64) SessionProxyRole {
	v := u(amount)
	return SessionProxyRole{TransferAllowance: &v}
}

func (w world) notes(who stf.AccountID, bucket uint32) (notes []TimestampedTrustedNote) {
	w.t.Helper()
	w.Trusted(getterNotesFor(who, bucket), &notes)
	return notes
}

func TestNotes(t *testing.T) {
	w := newWorld(t)
	var none BucketRange
	if w.Public(getterNoteBucketsInfo(), &none); none != (BucketRange{}) {
		t.Errorf("%+v before the first note", none)
	}
	w.Shield(alice, u(9*one))
	calls := [][]byte{
		balanceShield(w.Env.EnclaveAccount, alice, u(9*one)), // what the framework did
		BalanceTransfer(alice, bob, u(one)),
		sendNote(alice, bob, []byte("hello")),
		balanceTransferWithNote(alice, alice, u(1), []byte("me")),
		BalanceUnshield(alice, carol, u(5), w.Env.Shard),
	}
	for _, c := range calls[1:] {
		if r := w.Call(c); !r.Outcome.OK() {
			t.Fatalf("%v: %v", r.Outcome, r.Err)
		}
	}
	// What fails, or says nothing of interest, is not noted.
	w.Call(Noop(alice))
	w.Call(BalanceTransfer(alice, bob, scale.MaxU128))
	if r := w.Call(sendNote(alice, bob, make([]byte, maxNoteSize))); r.Outcome != moduleError(3, ErrNoteTooLong) {
		t.Errorf("a note that is too long: %v", r.Outcome)
	}
	noted := func(list []TimestampedTrustedNote) (out [][]byte) {
		for _, n := range list {
			if n.Timestamp != w.Env.Now || n.Version != 1 || n.Note.SuccessfulTrustedCall == nil {
				t.Errorf("note %+v", n)
				continue
			}
			out = append(out, *n.Note.SuccessfulTrustedCall)
		}
		return out
	}
	for who, want := range map[stf.AccountID][][]byte{alice: calls, bob: calls[1:3], carol: calls[4:]} {
		if diff := cmp.Diff(want, noted(w.notes(who, 0))); diff != "" {
			t.Errorf("notes of %x: %s", who[:2], diff)
		}
	}
	// The bytes of P 1.6: Vec of timestamp, version, kind, call.
	raw := scale.AppendBytes(append(scale.AppendU64([]byte{4}, uint64(w.Env.Now)), 1, 0, 0), calls[4])
	if got := scale.MustMarshal(w.notes(carol, 0)); !bytes.Equal(got, raw) {
		t.Errorf("%x, want %x", got, raw)
	}
}

// TestNoteBuckets: buckets fill up, the oldest goes when there are too many
// bytes, and nothing of it stays in the state.
func TestNoteBuckets(t *testing.T) {
	w := newWorld(t)
	w.Shield(alice, scale.NewU128(1<<62))
	text := make([]byte, MaxNoteLen)
	perBucket := maxBucketSize / maxNoteSize // a note of the longest text takes just as much
	n := 0
	info := func() (r BucketRange) { w.Public(getterNoteBucketsInfo(), &r); return r }
	for info().First == nil || info().First.Index == 0 {
		for range perBucket {
			if r := w.Call(balanceTransferWithNote(alice, bob, u(500), text)); !r.Outcome.OK() {
				t.Fatal(r.Outcome, r.Err)
			}
			n++
		}
		w.NextBlock()
		if n > 110*perBucket {
			t.Fatal("no bucket was ever purged")
		}
	}
	r := info()
	if r.Last.Bytes > maxBucketSize || r.Last.EndsAt < r.Last.BeginsAt {
		t.Errorf("%+v %+v", r.First, r.Last)
	}
	if kept := uint64(r.Last.Index-r.First.Index+1) * maxBucketSize; kept > maxTotalSize+maxBucketSize {
		t.Errorf("%d bytes are kept", kept)
	}
	if got := w.notes(bob, r.First.Index-1); len(got) != 0 {
		t.Errorf("the purged bucket still has %d notes", len(got))
	}
	if got := w.notes(bob, r.First.Index); len(got) != perBucket {
		t.Errorf("the first bucket has %d notes", len(got))
	}
}

// as makes a call that delegate has signed for its sender.
func (w world) as(delegate stf.AccountID, call []byte) stf.Outcome {
	w.t.Helper()
	c, ok := w.Decode(call)
	if !ok {
		w.t.Fatalf("%x is no call", call)
	}
	return w.Execute(stf.Operation{Call: c, Nonce: w.Nonce(c.Sender), Delegate: &delegate, CallHash: hashing.Blake2b256(call, delegate[:], scale.AppendU32(nil, w.Nonce(c.Sender)))}).Outcome
}

func TestSessionProxyRoles(t *testing.T) {
	refused := stf.Outcome{Code: stf.NotAuthorized}
	calls := func(w world) map[string][]byte {
		return map[string][]byte{
			"noop": Noop(alice), "note": sendNote(alice, bob, nil), "guess": guessTheNumberGuess(alice, 5),
			"transfer": BalanceTransfer(alice, bob, u(one)), "with note": balanceTransferWithNote(alice, bob, u(one), nil),
			"unshield": BalanceUnshield(alice, bob, u(one), w.Env.Shard),
			"proxy":    addSessionProxy(alice, carol, SessionProxyCredentials{Role: roleAny}),
		}
	}
	harmless := []string{"noop", "note", "guess"}
	spending := append([]string{"transfer", "with note", "unshield"}, harmless...)
	for name, c := range map[string]struct {
		role    *SessionProxyRole
		expiry  uint64 // in blocks from now, 0 for never
		may     []string
		getters [3]bool // balance, essentials, receipts
	}{
		"no proxy":       {},
		"any":            {&roleAny, 0, append([]string{"proxy"}, spending...), [3]bool{true, true, true}},
		"no transfers":   {&roleNonTransfer, 0, harmless, [3]bool{true, true, true}},
		"reads anything": {&roleReadAny, 0, nil, [3]bool{true, true, true}},
		"reads balances": {&roleReadBalance, 0, nil, [3]bool{true, false, false}},
		"allowance":      {ptr(allowance(100 * one)), 0, spending, [3]bool{false, false, true}},
		"not yet over":   {&roleAny, 9, append([]string{"proxy"}, spending...), [3]bool{true, true, true}},
		"expired":        {&roleAny, 1, nil, [3]bool{}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Shield(alice, u(100*one))
			if c.role != nil {
				credentials := SessionProxyCredentials{Role: *c.role}
				if c.expiry > 0 {
					at := uint64(w.Env.Now) + c.expiry*uint64(stftest.BlockTime)
					credentials.Expiry = &at
				}
				if r := w.Call(addSessionProxy(alice, bob, credentials)); !r.Outcome.OK() {
					t.Fatal(r.Outcome, r.Err)
				}
			}
			w.NextBlock()
			app := newApp(t)
			for kind, call := range calls(w) {
				want := refused
				if slices.Contains(c.may, kind) {
					want = success
				}
				if got := w.as(bob, call); got != want {
					t.Errorf("%s: %v, want %v", kind, got, want)
				}
			}
			for i, getter := range [][]byte{GetterAccountInfo(alice), getterAccountEssentials(alice)} {
				g := integritee.Getter{Trusted: &integritee.TrustedGetterSigned{Getter: getter, Delegate: &bob}}
				if _, some, err := app.Query(w.State(), w.Env, g); some != c.getters[i] || err != nil {
					t.Errorf("getter %d: %v %v", i, some, err)
				}
			}
			if may := app.MayRead(w.State(), w.Env, alice, bob); may != c.getters[2] {
				t.Errorf("may read receipts: %v", may)
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }

// TestAllowance: what a proxy spends, fees included, never exceeds what it was
// allowed, and what fails costs the fee only.
func TestAllowance(t *testing.T) {
	w := newWorld(t)
	w.Shield(alice, u(100*one))
	w.Call(addSessionProxy(alice, bob, SessionProxyCredentials{Role: allowance(3 * one)}))
	before := w.free(alice)
	for _, c := range []struct {
		call []byte
		want stf.Outcome
	}{
		{BalanceTransfer(alice, carol, u(2*one)), success},
		{BalanceTransfer(alice, carol, u(one)), moduleError(4, ErrAllowanceExceeded)},
		{BalanceUnshield(alice, carol, u(one), w.Env.Shard), moduleError(4, ErrAllowanceExceeded)},
		{BalanceTransfer(alice, carol, u(one-6*fee)), success}, // all that is left
		{Noop(alice), stf.Outcome{Code: stf.FeeUnpaid}},
	} {
		if got := w.as(bob, c.call); got != c.want {
			t.Errorf("%v, want %v", got, c.want)
		}
	}
	if spent := before - w.free(alice); spent != 3*one {
		t.Errorf("the proxy spent %d of %d", spent, uint64(3*one))
	}
	var e AccountEssentials
	if w.Trusted(getterAccountEssentials(alice), &e); *e.SessionProxies[0].Role.TransferAllowance != (stf.Balance{}) {
		t.Errorf("left: %v", e.SessionProxies[0])
	}
	// Its owner is not bound by it.
	if r := w.Call(BalanceTransfer(alice, carol, u(5*one))); !r.Outcome.OK() {
		t.Error(r.Outcome)
	}
}

func TestAddSessionProxy(t *testing.T) {
	w := newWorld(t)
	w.give(alice, 2*one)
	c := SessionProxyCredentials{Role: roleAny, Seed: [32]byte{7}}
	deposit := uint64(one / 10)
	if r := w.Call(addSessionProxy(alice, alice, c)); r.Outcome != moduleError(4, ErrSelfProxy) {
		t.Error(r.Outcome)
	}
	for i := range MaxProxies {
		if r := w.Call(addSessionProxy(alice, stf.AccountID{byte(i + 1)}, c)); !r.Outcome.OK() {
			t.Fatal(i, r.Outcome, r.Err)
		}
	}
	if r := w.Call(addSessionProxy(alice, bob, c)); r.Outcome != moduleError(4, ErrTooManyProxies) {
		t.Error(r.Outcome)
	}
	c.Role = roleReadAny
	if r := w.Call(addSessionProxy(alice, stf.AccountID{1}, c)); !r.Outcome.OK() { // changes it, for no deposit
		t.Error(r.Outcome)
	}
	info := w.info(alice)
	if info.Data.Reserved != u(MaxProxies*deposit) || info.Data.Free != u(2*one-MaxProxies*deposit-13*fee) {
		t.Errorf("%+v", info.Data)
	}
	var all AccountInfoAndSessionProxies
	w.Trusted(append([]byte{1}, alice[:]...), &all)
	if len(all.SessionProxies) != MaxProxies || all.AccountInfo != info {
		t.Errorf("%+v", all)
	}
	count := 0
	for _, p := range all.SessionProxies {
		if p.Role.ReadAny != nil {
			count++
		}
	}
	if count != 1 {
		t.Errorf("%d proxies were changed", count)
	}
	// The deposit needs funds, and outlives what can be spent.
	w.give(bob, deposit)
	if r := w.Call(addSessionProxy(bob, alice, c)); r.Outcome != moduleError(1, balances.ErrInsufficientBalance) {
		t.Error(r.Outcome)
	}
	if r := w.Call(BalanceTransfer(alice, carol, u(info.Data.Free.Lo-fee))); !r.Outcome.OK() {
		t.Error(r.Outcome)
	}
	if data := w.info(alice).Data; data.Reserved != u(MaxProxies*deposit) || !data.Free.IsZero() {
		t.Errorf("%+v", data)
	}
}

// TestGuessTheNumber plays two rounds.
func TestGuessTheNumber(t *testing.T) {
	w := newWorld(t)
	info := func() (i GuessTheNumberInfo) { w.Public(getterGuessTheNumberInfo(), &i); return i }
	attempts := func(who stf.AccountID) (n uint8) { w.Trusted(getterGuessAttempts(who), &n); return n }
	today := stftest.Start - stftest.Start%day
	first := info()
	if first.NextRoundTimestamp != today+roundDuration || len(first.LastWinners) != 0 || first.LastLuckyNumber != nil || first.LastWinningDistance != nil {
		t.Errorf("%+v", first)
	}
	for _, who := range []stf.AccountID{alice, bob, carol} {
		w.Shield(who, u(100*one))
	}
	w.Shield(first.Account, u(one))
	if r := w.Call(guessTheNumberSetWinnings(alice, u(1))); r.Outcome != moduleError(5, ErrNotGameMaster) {
		t.Error(r.Outcome)
	}
	if r := w.Call(guessTheNumberPushByOneDay(alice)); r.Outcome != moduleError(5, ErrNotGameMaster) {
		t.Error(r.Outcome)
	}
	w.Call(guessTheNumberSetWinnings(GameMaster, u(one/2)))
	w.Call(guessTheNumberPushByOneDay(GameMaster))
	if i := info(); i.Winnings != u(one/2) || i.NextRoundTimestamp != first.NextRoundTimestamp+day {
		t.Errorf("%+v", i)
	}
	before := w.free(alice)
	for i := range maxAttempts {
		if r := w.Call(guessTheNumberGuess(alice, uint32(i)*1000)); !r.Outcome.OK() {
			t.Fatal(r.Outcome, r.Err)
		}
	}
	if r := w.Call(guessTheNumberGuess(alice, 1)); r.Outcome != moduleError(5, ErrTooManyAttempts) {
		t.Error(r.Outcome)
	}
	if cost := before - w.free(alice); cost != 11*one/10 || attempts(alice) != maxAttempts || attempts(bob) != 0 {
		t.Errorf("cost %d, %d attempts", cost, attempts(alice))
	}
	w.Call(guessTheNumberGuess(bob, ^uint32(0)))
	for i := range uint32(maxAttempts) {
		w.Call(guessTheNumberGuess(carol, i*1000)) // as well as alice
	}
	rich := w.free(alice)
	end := func() {
		t.Helper()
		w.Env.Now = info().NextRoundTimestamp + 1
		if err := newApp(t).BeginBlock(w.State(), w.Env); err != nil {
			t.Fatal(err)
		}
	}
	end()
	i := info()
	if i.LastLuckyNumber == nil || *i.LastLuckyNumber >= luckyNumbers || i.LastWinningDistance == nil || *i.LastWinningDistance > 1000 {
		t.Fatalf("%+v", i)
	}
	if !slices.Equal(i.LastWinners, []stf.AccountID{alice, carol}) || w.free(alice) != rich+one/4 {
		t.Errorf("winners %v, alice won %d", i.LastWinners, w.free(alice)-rich)
	}
	if i.NextRoundTimestamp != first.NextRoundTimestamp+day+roundDuration || attempts(alice) != 0 {
		t.Errorf("%+v, %d attempts", i, attempts(alice))
	}
	end()
	if i := info(); len(i.LastWinners) != 0 || *i.LastWinningDistance != ^uint32(0) {
		t.Errorf("a round without guesses: %+v", i)
	}
}

// TestUnsupported: the calls that make no sense here decode and end in an error
// of their own, after their fee.
func TestUnsupported(t *testing.T) {
	w := newWorld(t)
	w.Shield(alice, u(100*one))
	amount, usdt := scale.AppendU128(nil, u(1)), byte(10)
	call := func(index byte, rest ...[]byte) []byte {
		return slices.Concat(append([][]byte{accounts(index, alice)}, rest...)...)
	}
	address, word, none := make([]byte, 20), make([]byte, 32), []byte{0}
	gas := scale.AppendU64(nil, 7)
	access := slices.Concat([]byte{4}, address, []byte{4}, word)
	evm := slices.Concat(scale.AppendBytes(nil, []byte("code")), word, gas, word, none, append([]byte{1}, word...), access)
	for name, c := range map[string]struct {
		call []byte
		err  *stf.Error
		fee  uint64
	}{
		"balance_unshield": {call(3, bob[:], amount, word), ErrNoVault, 3 * fee},
		"balance_shield":   {call(4, bob[:], amount, none), ErrNoVault, 0},
		"note_bloat":       {call(10, make([]byte, 4)), ErrNoBenchmark, 0},
		"waste_time":       {call(11, make([]byte, 4)), ErrNoBenchmark, 0},
		"spam_extrinsics":  {call(12, make([]byte, 4), none), ErrNoBenchmark, 0},
		"assets_transfer":  {call(42, bob[:], []byte{usdt}, amount), ErrNoAssets, fee},
		"assets_unshield":  {call(43, bob[:], []byte{usdt}, amount, word), ErrNoAssets, 3 * fee},
		"assets_shield":    {call(44, bob[:], []byte{usdt}, amount, none), ErrNoAssets, 0},
		"assets with note": {call(45, bob[:], []byte{usdt}, amount, []byte("\x0cabc")), ErrNoAssets, fee + 3*one/10_000},
		"force_unshield":   {call(46, bob[:], []byte{1, usdt}), ErrNoVault, 0},
		"evm_withdraw":     {call(90, address, amount), ErrNoEVM, fee},
		"evm_call":         {call(91, address, address, evm), ErrNoEVM, fee},
		"evm_create":       {call(92, address, evm), ErrNoEVM, fee},
		"evm_create2":      {call(93, address, scale.AppendBytes(nil, nil), word, evm[5:]), ErrNoEVM, fee},
		"set_balance":      {call(255, bob[:], amount, amount), ErrNoRoot, 0},
	} {
		before := w.free(alice)
		if r := w.Call(c.call); r.Outcome != moduleError(6, c.err) {
			t.Errorf("%s: %v", name, r.Outcome)
		}
		if cost := before - w.free(alice); cost != c.fee {
			t.Errorf("%s cost %d", name, cost)
		}
	}
	var balance stf.Balance
	if w.Trusted(append(accounts(40, alice), usdt), &balance); !balance.IsZero() {
		t.Error(balance)
	}
	if w.Public([]byte{40, usdt}, &balance); !balance.IsZero() {
		t.Error(balance)
	}
}
