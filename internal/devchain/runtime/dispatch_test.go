package runtime

import (
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
	"github.com/offchain-worker/sdk/substrate/system"
)

type raw []byte // encoded already

func (r raw) AppendSCALE(b []byte) []byte { return append(b, r...) }
func (r *raw) DecodeSCALE(d *scale.Decoder) {
	*r = d.Rest()
}

func calls(list ...[]byte) raw {
	b := scale.AppendCompact(nil, uint64(len(list)))
	for _, c := range list {
		b = append(b, c...)
	}
	return b
}

// inner makes a block of one extrinsic and returns the names of the events
// between the fee's Withdraw and TransactionFeePaid, with the outcome.
func (w *world) inner(who *keyring.Pair, call []byte) string {
	w.Helper()
	all := strings.TrimPrefix(w.one(w.sign(who, call)), "Balances.Withdraw ")
	return strings.Replace(all, "TransactionPayment.TransactionFeePaid ", "", 1)
}

func (w *world) shield(amount uint64) []byte {
	return w.call("EnclaveBridge", "shield_funds", [32]byte{9}, []byte{1, 2, 3}, scale.NewU128(amount*Unit))
}

func (w *world) invoke() []byte {
	return w.call("EnclaveBridge", "invoke", [32]byte{9}, []byte("x"))
}

func address(p *keyring.Pair) keyring.MultiAddress { return keyring.AddressOf(p.AccountID()) }

const shielded = "Balances.Transfer EnclaveBridge.ShieldFunds"

func TestUtility(t *testing.T) {
	w := newWorld(t)
	alice, bob := key(t, "//Alice"), key(t, "//Bob")
	// The bonding account exists from here on.
	if got := w.inner(bob, w.shield(1)); got != "System.NewAccount Balances.Endowed "+shielded+" System.ExtrinsicSuccess" {
		t.Fatal(got)
	}
	bad := w.shield(5000)
	half := w.call("Utility", "batch_all", calls(w.invoke(), bad)) // its first call is undone
	for _, c := range []struct {
		name string
		call []byte
		want string
	}{
		{"batch", w.call("Utility", "batch", calls(w.invoke(), w.shield(1))),
			"EnclaveBridge.IndirectInvocationRegistered Utility.ItemCompleted " + shielded + " Utility.ItemCompleted Utility.BatchCompleted System.ExtrinsicSuccess"},
		{"empty batch", w.call("Utility", "batch", calls()), "Utility.BatchCompleted System.ExtrinsicSuccess"},
		{"interrupted batch", w.call("Utility", "batch", calls(w.invoke(), bad, w.invoke())),
			"EnclaveBridge.IndirectInvocationRegistered Utility.ItemCompleted Utility.BatchInterrupted System.ExtrinsicSuccess"},
		{"batch_all", w.call("Utility", "batch_all", calls(w.invoke(), w.invoke())),
			"EnclaveBridge.IndirectInvocationRegistered Utility.ItemCompleted EnclaveBridge.IndirectInvocationRegistered Utility.ItemCompleted Utility.BatchCompleted System.ExtrinsicSuccess"},
		{"failed batch_all", half, "System.ExtrinsicFailed"},
		{"batch_all in batch_all", w.call("Utility", "batch_all", calls(w.call("Utility", "batch_all", calls()))), "System.ExtrinsicFailed"},
		{"batch in batch_all", w.call("Utility", "batch_all", calls(w.call("Utility", "batch", calls(bad)))),
			"Utility.BatchInterrupted Utility.ItemCompleted Utility.BatchCompleted System.ExtrinsicSuccess"},
		{"force_batch", w.call("Utility", "force_batch", calls(half, w.invoke())),
			"Utility.ItemFailed EnclaveBridge.IndirectInvocationRegistered Utility.ItemCompleted Utility.BatchCompletedWithErrors System.ExtrinsicSuccess"},
		{"as_derivative", w.call("Utility", "as_derivative", uint16(7), raw(w.invoke())), "EnclaveBridge.IndirectInvocationRegistered System.ExtrinsicSuccess"},
		{"dispatch_as without root", w.call("Utility", "dispatch_as", Root().caller(), raw(w.invoke())), "System.ExtrinsicFailed"},
		{"with_weight without root", w.call("Utility", "with_weight", raw(w.invoke()), system.Weight{}), "System.ExtrinsicFailed"},
	} {
		if got := w.inner(bob, c.call); got != c.want {
			t.Errorf("%s: %s\nwant %s", c.name, got, c.want)
		}
	}
	// Each call runs on behalf of the origin that it should have.
	derived := Derivative(bob.AccountID(), 7)
	if got := w.run(alice, w.call("Balances", "transfer_allow_death", keyring.AddressOf(derived), units(10))); got != "" {
		t.Fatal(got)
	}
	w.inner(bob, w.call("Utility", "as_derivative", uint16(7), raw(w.shield(4))))
	if free, _ := w.account(derived); free != scale.NewU128(6*Unit) {
		t.Errorf("the derivative account has %s", free)
	}
	sudo := func(call []byte) []byte { return w.call("Sudo", "sudo", raw(call)) }
	for _, c := range [][2]string{
		{string(w.call("Utility", "dispatch_as", Signed(bob.AccountID()).caller(), raw(w.shield(1)))), shielded + " Utility.DispatchedAs Sudo.Sudid System.ExtrinsicSuccess"},
		{string(w.call("Utility", "dispatch_as", Signed(bob.AccountID()).caller(), raw(bad))), "Utility.DispatchedAs Sudo.Sudid System.ExtrinsicSuccess"},
		{string(w.call("Utility", "with_weight", raw(w.call("System", "remark", []byte{})), system.Weight{})), "Sudo.Sudid System.ExtrinsicSuccess"},
		{string(w.call("Utility", "batch_all", calls(w.call("Utility", "batch_all", calls())))), "Utility.BatchCompleted Utility.ItemCompleted Utility.BatchCompleted Sudo.Sudid System.ExtrinsicSuccess"},
	} {
		if got := w.inner(alice, sudo([]byte(c[0]))); got != c[1] {
			t.Errorf("%s\nwant %s", got, c[1])
		}
	}
}

// TestNesting: calls may be nested as deep as in Substrate, and no deeper.
func TestNesting(t *testing.T) {
	w := newWorld(t)
	bob := key(t, "//Bob")
	nest := func(depth int) []byte {
		c := w.invoke()
		for range depth - 1 {
			c = w.call("Utility", "batch", calls(c))
		}
		return c
	}
	events := w.block(w.sign(bob, nest(maxCallDepth)))
	if find(events, "EnclaveBridge.IndirectInvocationRegistered") == nil || find(events, "Utility.BatchInterrupted") != nil {
		t.Error("the innermost call did not run")
	}
	if _, err := w.rt.Validate(w.at(), w.sign(bob, nest(maxCallDepth+1))); invalid(err) != "undecodable" {
		t.Errorf("one deeper: %v", err)
	}
	for _, bad := range [][]byte{{9, 0, 4, 54}, {9, 0, 4, 54, 99}, {9, 0, 8, 0, 0, 0}, {9, 0, 0xff, 0xff, 0xff, 0xff}} {
		if _, err := w.rt.Validate(w.at(), w.sign(bob, bad)); invalid(err) != "undecodable" {
			t.Errorf("%x: %v", bad, err)
		}
	}
}

func TestSudo(t *testing.T) {
	w := newWorld(t)
	alice, bob := key(t, "//Alice"), key(t, "//Bob")
	for _, c := range []struct {
		who        *keyring.Pair
		call       []byte
		want, fail string
	}{
		{bob, w.call("Sudo", "sudo", raw(w.invoke())), "System.ExtrinsicFailed", "RequireSudo"},
		{alice, w.call("Sudo", "sudo", raw(w.invoke())), "Sudo.Sudid System.ExtrinsicSuccess", ""}, // BadOrigin within
		{alice, w.call("Sudo", "sudo_as", address(bob), raw(w.invoke())), "EnclaveBridge.IndirectInvocationRegistered Sudo.SudoAsDone System.ExtrinsicSuccess", ""},
		{alice, w.call("Sudo", "sudo_unchecked_weight", raw(w.call("System", "kill_storage", [][]byte{})), system.Weight{}), "Sudo.Sudid System.ExtrinsicSuccess", ""},
		{alice, w.call("Sudo", "set_key", address(bob)), "Sudo.KeyChanged System.ExtrinsicSuccess", ""},
		{alice, w.call("Sudo", "remove_key"), "System.ExtrinsicFailed", "RequireSudo"},
		{bob, w.call("Sudo", "remove_key"), "Sudo.KeyRemoved System.ExtrinsicSuccess", ""},
		{bob, w.call("Sudo", "remove_key"), "System.ExtrinsicFailed", "RequireSudo"},
	} {
		fork := *w
		if got := fork.run(c.who, c.call); got != c.fail {
			t.Errorf("%x: %q, want %q", c.call, got, c.fail)
		}
		if got := w.inner(c.who, c.call); got != c.want {
			t.Errorf("%x: %s\nwant %s", c.call, got, c.want)
		}
	}
}

func TestProxy(t *testing.T) {
	w := newWorld(t)
	alice, bob, charlie := key(t, "//Alice"), key(t, "//Bob"), key(t, "//Charlie")
	add := func(who *keyring.Pair, typ ProxyType, delay uint32) []byte {
		return w.call("Proxy", "add_proxy", address(who), typ, delay)
	}
	proxy := func(real *keyring.Pair, force *ProxyType, call []byte) []byte {
		return w.call("Proxy", "proxy", address(real), force, raw(call))
	}
	w.inner(bob, w.shield(1))
	typ := ProxyNonTransfer
	transfer := w.call("Balances", "transfer_allow_death", address(charlie), units(1))
	const executed, ok, failed = "Proxy.ProxyExecuted System.ExtrinsicSuccess", " System.ExtrinsicSuccess", "System.ExtrinsicFailed"
	announced := w.shield(3)
	hash := (&RuntimeCall{raw: announced}).hash()
	for i, c := range []struct {
		who  *keyring.Pair
		call []byte
		want string
	}{
		{bob, proxy(alice, nil, w.invoke()), failed},
		{alice, add(alice, ProxyAny, 0), failed},
		{alice, add(bob, ProxyNonTransfer, 0), "Balances.Reserved Proxy.ProxyAdded" + ok},
		{alice, add(bob, ProxyNonTransfer, 0), failed},
		{bob, proxy(alice, &typ, w.shield(2)), shielded + " " + executed},
		{bob, proxy(alice, nil, transfer), executed}, // filtered
		{bob, proxy(alice, nil, w.call("Utility", "batch", calls(w.invoke(), transfer))),
			"EnclaveBridge.IndirectInvocationRegistered Utility.ItemCompleted Utility.BatchInterrupted " + executed},
		{bob, proxy(alice, nil, add(charlie, ProxyAny, 0)), executed},         // more than it has
		{bob, proxy(alice, nil, w.call("Proxy", "remove_proxies")), executed}, // likewise
		{bob, proxy(alice, nil, add(charlie, ProxyCancel, 0)), "Balances.Reserved Proxy.ProxyAdded " + executed},
		{charlie, proxy(alice, nil, w.invoke()), executed},
		{alice, w.call("Proxy", "remove_proxy", address(charlie), ProxyCancel, uint32(0)), "Balances.Unreserved Proxy.ProxyRemoved" + ok},
		{alice, w.call("Proxy", "remove_proxy", address(charlie), ProxyCancel, uint32(0)), failed},
		{alice, add(charlie, ProxyAny, 2), "Balances.Reserved Proxy.ProxyAdded" + ok},
		{charlie, proxy(alice, nil, w.invoke()), failed},
		{charlie, w.call("Proxy", "announce", address(alice), hash), "Balances.Reserved Proxy.Announced" + ok},
		{bob, w.call("Proxy", "proxy_announced", address(charlie), address(alice), (*ProxyType)(nil), raw(announced)), failed}, // too early
		{bob, w.call("Proxy", "proxy_announced", address(charlie), address(alice), (*ProxyType)(nil), raw(announced)), "Balances.Unreserved " + shielded + " " + executed},
		{charlie, w.call("Proxy", "announce", address(alice), hash), "Balances.Reserved Proxy.Announced" + ok},
		{alice, w.call("Proxy", "reject_announcement", address(charlie), hash), "Balances.Unreserved" + ok},
		{charlie, w.call("Proxy", "remove_announcement", address(alice), hash), failed},
		{alice, w.call("Proxy", "remove_proxies"), "Balances.Unreserved" + ok},
	} {
		if got := w.inner(c.who, c.call); got != c.want {
			t.Errorf("%d: %s\nwant %s", i, got, c.want)
		}
	}
	for _, who := range []*keyring.Pair{alice, charlie} {
		if a := w.rt.System.Account.Get(w.read(), who.AccountID()); !a.Data.Reserved.IsZero() || a.Consumers != 0 {
			t.Errorf("still reserved: %+v", a)
		}
	}
}

func TestMultisig(t *testing.T) {
	w := newWorld(t)
	alice, bob, charlie := key(t, "//Alice"), key(t, "//Bob"), key(t, "//Charlie")
	all := []keyring.AccountID{alice.AccountID(), bob.AccountID(), charlie.AccountID()}
	others := func(who *keyring.Pair) (out []keyring.AccountID) {
		for _, a := range all {
			if a != who.AccountID() {
				out = append(out, a)
			}
		}
		if compareAccounts(out[0], out[1]) > 0 {
			out[0], out[1] = out[1], out[0]
		}
		return out
	}
	// As polkadot.js computes them: createKeyMulti([Alice, Bob, Charlie], 2).
	account := MultisigAccount(2, all...)
	if got := account.String(); got != "5DjYJStmdZ2rcqXbXGX7TW85JsrW6uG4y9MUcLq2BoPMpRA7" {
		t.Errorf("multisig account %s", got)
	}
	w.run(alice, w.call("Balances", "transfer_allow_death", keyring.AddressOf(account), units(50)))
	call := w.shield(2)
	hash := (&RuntimeCall{raw: call}).hash()
	as := func(who *keyring.Pair, at *Timepoint, threshold uint16) []byte {
		return w.call("Multisig", "as_multi", threshold, others(who), at, raw(call), system.Weight{})
	}
	approve := func(who *keyring.Pair, at *Timepoint, threshold uint16) []byte {
		return w.call("Multisig", "approve_as_multi", threshold, others(who), at, hash, system.Weight{})
	}
	const ok = " System.ExtrinsicSuccess"
	for i, c := range []struct {
		who  *keyring.Pair
		call []byte
		want string // an error, or events
	}{
		{alice, w.call("Multisig", "as_multi_threshold_1", others(alice), raw(w.invoke())), "EnclaveBridge.IndirectInvocationRegistered" + ok},
		{alice, w.call("Multisig", "as_multi_threshold_1", []keyring.AccountID{}, raw(w.invoke())), "TooFewSignatories"},
		{alice, w.call("Multisig", "as_multi_threshold_1", all[:1], raw(w.invoke())), "SenderInSignatories"},
		{alice, as(alice, nil, 1), "MinimumThreshold"},
		{alice, as(alice, &Timepoint{1, 1}, 2), "UnexpectedTimepoint"},
		{alice, as(alice, nil, 2), "Balances.Reserved Multisig.NewMultisig" + ok}, // block 7
		{bob, as(bob, nil, 2), "NoTimepoint"},
		{bob, as(bob, &Timepoint{6, 1}, 2), "WrongTimepoint"},
		{alice, as(alice, &Timepoint{7, 1}, 2), "AlreadyApproved"},
		{bob, approve(bob, &Timepoint{7, 1}, 2), "Multisig.MultisigApproval" + ok},
		{charlie, as(charlie, &Timepoint{7, 1}, 2), "Balances.Unreserved System.NewAccount Balances.Endowed " + shielded + " Multisig.MultisigExecuted" + ok},
		{bob, approve(bob, nil, 3), "Balances.Reserved Multisig.NewMultisig" + ok}, // block 13
		{alice, w.call("Multisig", "cancel_as_multi", uint16(3), others(alice), Timepoint{13, 1}, hash), "NotOwner"},
		{bob, w.call("Multisig", "cancel_as_multi", uint16(3), others(bob), Timepoint{13, 1}, hash), "Balances.Unreserved Multisig.MultisigCancelled" + ok},
		{bob, w.call("Multisig", "cancel_as_multi", uint16(3), others(bob), Timepoint{13, 1}, hash), "NotFound"},
	} {
		fork := *w
		got := fork.run(c.who, c.call)
		if events := w.inner(c.who, c.call); got == "" {
			got = events
		}
		if got != c.want {
			t.Errorf("%d: %s\nwant %s", i, got, c.want)
		}
	}
	if free, _ := w.account(account); free != scale.NewU128(48*Unit) {
		t.Errorf("the multisig account has %s", free)
	}
}

// TestScheduler: a scheduled call runs before all extrinsics of its block.
func TestScheduler(t *testing.T) {
	w := newWorld(t)
	bob := key(t, "//Bob")
	w.run(bob, w.shield(1))
	asBob := func(call []byte) raw {
		return w.call("Utility", "dispatch_as", Signed(bob.AccountID()).caller(), raw(call))
	}
	none, name := (*Period)(nil), TaskName{7}
	if got := w.run(bob, w.call("Scheduler", "schedule", uint32(9), none, uint8(1), asBob(w.shield(1)))); got != "BadOrigin" {
		t.Errorf("without root: %s", got)
	}
	for _, c := range []struct{ call, want []byte }{
		{call: w.call("Scheduler", "schedule", uint32(9), none, uint8(1), asBob(w.shield(1)))},
		{call: w.call("Scheduler", "schedule", uint32(9), &Period{2, 2}, uint8(0), asBob(w.shield(5000)))},
		{call: w.call("Scheduler", "schedule", uint32(4), none, uint8(0), asBob(w.invoke())), want: []byte("TargetBlockNumberInPast")},
		{call: w.call("Scheduler", "schedule_named", name, uint32(9), none, uint8(0), asBob(w.invoke()))},
		{call: w.call("Scheduler", "schedule_named_after", name, uint32(9), none, uint8(0), asBob(w.invoke())), want: []byte("FailedToSchedule")},
		{call: w.call("Scheduler", "cancel_named", name)},
	} {
		if got := w.root(c.call); got != string(c.want) {
			t.Errorf("%x: %s, want %s", c.call, got, c.want)
		}
	}
	var got []string
	for w.best < 12 {
		for _, e := range w.block() {
			if e.Phase.Kind == metadata.Initialization {
				got = append(got, e.Pallet+"."+e.Name)
			}
		}
		if len(got) > 0 && got[len(got)-1] != "|" {
			got = append(got, "|")
		}
	}
	const want = "Utility.DispatchedAs Scheduler.Dispatched Scheduler.Scheduled " + shielded + " Utility.DispatchedAs Scheduler.Dispatched | Utility.DispatchedAs Scheduler.Dispatched |"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("%s\nwant %s", s, want)
	}
}
