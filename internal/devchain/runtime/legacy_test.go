package runtime

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// legacyTable is the pallet Teerex of the branch sdk-v0.9.0-polkadot-v0.9.26 (P
// 3.7), in the form of palletTable. No metadata of such a chain is at
// hand; this is what the pallet's source declares.
const legacyTable = `pallet 50 Teerex
call 0 register_enclave(ra_report: Bytes, worker_url: Bytes)
call 1 unregister_enclave()
call 2 call_worker(request: TeerexPrimitivesRequest)
call 3 confirm_processed_parentchain_block(block_hash: H256, trusted_calls_merkle_root: H256)
call 4 shield_funds(incognito_account_encrypted: Bytes, amount: u128, bonding_account: AccountId32)
call 5 unshield_funds(public_account: AccountId32, amount: u128, bonding_account: AccountId32, call_hash: H256)
event 0 AddedEnclave(AccountId32, Bytes)
event 1 RemovedEnclave(AccountId32)
event 2 Forwarded(H256)
event 3 ShieldFunds(Bytes)
event 4 UnshieldedFunds(AccountId32)
event 5 ProcessedParentchainBlock(AccountId32, H256, H256)
error 0 EnclaveSignerDecodeError
error 1 SenderIsNotAttestedEnclave
error 2 RemoteAttestationVerificationFailed
error 3 RemoteAttestationTooOld
error 4 SgxModeNotAllowed
error 5 EnclaveIsNotRegistered
error 6 WrongMrenclaveForBondingAccount
error 7 WrongMrenclaveForShard
error 8 EnclaveUrlTooLong
error 9 RaReportTooLong
error 10 EmptyEnclaveRegistry
storage EnclaveRegistry: Blake2_128Concat(u64) -> Optional TeerexPrimitivesEnclave
storage EnclaveCount: -> Default u64
storage EnclaveIndex: Blake2_128Concat(AccountId32) -> Default u64
storage ExecutedCalls: Blake2_128Concat(H256) -> Default u64
storage AllowSGXDebugMode: -> Default bool
`

// palletTable writes a pallet of some metadata in lines.
func palletTable(m *metadata.Metadata, name string) string {
	p := m.Pallet(name)
	var b strings.Builder
	fmt.Fprintf(&b, "pallet %d %s\n", p.Index, p.Prefix)
	variants := func(what string, id *metadata.TypeID, brackets bool) {
		for _, v := range m.Type(*id).Variants {
			var fields []string
			for _, f := range v.Fields {
				text := polkadotName(m, f.Type)
				if f.Name != "" {
					text = f.Name + ": " + text
				}
				fields = append(fields, text)
			}
			fmt.Fprintf(&b, "%s %d %s", what, v.Index, v.Name)
			if brackets {
				fmt.Fprintf(&b, "(%s)", strings.Join(fields, ", "))
			}
			b.WriteByte('\n')
		}
	}
	variants("call", p.Calls, true)
	variants("event", p.Event, true)
	variants("error", p.Error, false)
	for _, e := range p.Storage {
		key := ""
		if len(e.Hashers) > 0 {
			key = fmt.Sprintf("%v(%s) ", e.Hashers[0], polkadotName(m, e.KeyType))
		}
		modifier := "Default"
		if e.Modifier == metadata.Optional {
			modifier = "Optional"
		}
		fmt.Fprintf(&b, "storage %s: %s-> %s %s\n", e.Name, key, modifier, polkadotName(m, e.ValueType))
	}
	return b.String()
}

func TestLegacyPallet(t *testing.T) {
	rt, err := New(Options{Legacy: true})
	if err != nil {
		t.Fatal(err)
	}
	m, err := metadata.Decode(rt.MetadataBytes(14))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(legacyTable, palletTable(m, "Teerex")); diff != "" {
		t.Error(diff)
	}
	if m.Pallet("EnclaveBridge") != nil {
		t.Error("has the pallet EnclaveBridge")
	}
	for name, want := range map[string]bool{"transfer": true, "transfer_allow_death": false, "transfer_keep_alive": true} {
		if _, ok := m.CallIndex("Balances", name); ok != want {
			t.Errorf("Balances.%s: %v", name, ok)
		}
	}
	if got, err := FromCode(rt.Code()); err != nil || !got.opts.Legacy || !got.opts.BareV4 || !got.opts.NoMetadataHash {
		t.Errorf("from its code: %v", err)
	}
}

func (w *world) registerLegacy(who *keyring.Pair, mr integritee.Fingerprint, url string) string {
	w.Helper()
	return w.run(who, w.call("Teerex", "register_enclave", mr[:], url))
}

// registry lists names by index, and checks that registry and index agree.
func (w *world) registry(pairs map[string]*keyring.Pair) (list []string) {
	w.Helper()
	t := &w.rt.LegacyTeerex
	count := t.EnclaveCount.Get(w.read())
	for n := range count + 1 {
		e, ok := t.EnclaveRegistry.Lookup(w.read(), n+1)
		if !ok {
			continue
		}
		for name, p := range pairs {
			if p.AccountID() == e.Pubkey {
				list = append(list, name)
			}
		}
		if got := t.EnclaveIndex.Get(w.read(), e.Pubkey); got != n+1 {
			w.Errorf("%v has index %d, stands at %d", e.Pubkey, got, n+1)
		}
	}
	if len(list) != int(count) {
		w.Errorf("%d entries, count %d", len(list), count)
	}
	return list
}

func TestLegacyRegistry(t *testing.T) {
	w := newWorld(t, Options{Legacy: true})
	pairs := map[string]*keyring.Pair{"alice": key(t, "//Alice"), "bob": key(t, "//Bob"), "charlie": key(t, "//Charlie")}
	for i, name := range []string{"alice", "bob", "charlie"} {
		if got := w.registerLegacy(pairs[name], mrA, "wss://"+name); got != "" {
			t.Fatal(got)
		}
		if i == 0 {
			w.now += MaxSilenceTime / 2
		}
	}
	e := w.rt.LegacyTeerex.EnclaveRegistry.Get(w.read(), 2)
	if e.MrEnclave != mrA || string(e.URL) != "wss://bob" || e.Timestamp == 0 || e.SgxMode != integritee.SgxProduction {
		t.Errorf("registered %+v", e)
	}
	check := func(want ...string) {
		t.Helper()
		if got := w.registry(pairs); !slices.Equal(got, want) {
			t.Errorf("registry %v, want %v", got, want)
		}
	}
	w.registerLegacy(pairs["bob"], mrB, "wss://b") // overwritten in its place
	if e := w.rt.LegacyTeerex.EnclaveRegistry.Get(w.read(), 2); e.MrEnclave != mrB {
		t.Error("not overwritten")
	}
	check("alice", "bob", "charlie")
	// Alice's is the oldest: the timestamp inherent of a later block removes it.
	w.now += MaxSilenceTime / 2
	if got := names(w.block(), 0); got != "Teerex.RemovedEnclave System.ExtrinsicSuccess" {
		t.Errorf("events of the inherent: %s", got)
	}
	check("charlie", "bob") // the last one takes the place
	for _, want := range []string{"", "EnclaveIsNotRegistered"} {
		if got := w.run(pairs["charlie"], w.call("Teerex", "unregister_enclave")); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	check("bob")
	for want, got := range map[string]string{
		"EnclaveUrlTooLong": w.registerLegacy(pairs["alice"], mrA, strings.Repeat("x", integritee.MaxURLBytes+1)),
		"RaReportTooLong":   w.run(pairs["alice"], w.call("Teerex", "register_enclave", bytes.Repeat([]byte{1}, integritee.MaxLegacyReportBytes+1), "")),
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestLegacyIsSolo(t *testing.T) {
	if _, err := New(Options{Legacy: true, Role: Para}); err == nil {
		t.Error("a parachain of 2022")
	}
}

// TestLegacyFunds: what is shielded, paid and confirmed, with the order of the
// events that the worker relies on.
func TestLegacyFunds(t *testing.T) {
	w := newWorld(t, Options{Legacy: true})
	alice, bob, charlie := key(t, "//Alice"), key(t, "//Bob"), key(t, "//Charlie")
	bonding := integritee.ShardID(mrA).BondingAccount()
	run := func(who *keyring.Pair, call []byte) string {
		t.Helper()
		return names(w.block(w.sign(who, call)), 1)
	}
	amount := scale.NewU128(5 * Unit)
	const ok = "System.ExtrinsicSuccess"
	trim := func(s string) string { // fees are the executive's business
		if i := strings.Index(s, "Teerex."); i >= 0 {
			if j := strings.Index(s, "Balances.Transfer "); j >= 0 && j < i {
				i = j
			}
			s = s[i:]
		}
		return strings.ReplaceAll(s, " Balances.Deposit TransactionPayment.TransactionFeePaid", "")
	}
	shield := w.call("Teerex", "shield_funds", []byte("ct"), amount, bonding)
	if got := trim(run(alice, shield)); !strings.HasPrefix(got, "Balances.Transfer Teerex.ShieldFunds") || !strings.HasSuffix(got, ok) {
		t.Errorf("shield_funds: %s", got)
	}
	if free, _ := w.account(bonding); free != amount {
		t.Errorf("bonding account holds %v", free)
	}
	if got := trim(run(alice, w.call("Teerex", "call_worker", integritee.Request{Shard: integritee.ShardID(mrA), Cyphertext: []byte{1}}))); !strings.HasPrefix(got, "Teerex.Forwarded") {
		t.Errorf("call_worker: %s", got)
	}
	pay := func(to keyring.AccountID, planck uint64, hash byte) []byte {
		return w.call("Teerex", "unshield_funds", to, scale.NewU128(planck), bonding, hashing.Hash{hash})
	}
	confirm := w.call("Teerex", "confirm_processed_parentchain_block", hashing.Hash{1}, hashing.Hash{2})
	for _, call := range [][]byte{pay(charlie.AccountID(), Unit, 1), confirm} {
		if got := w.run(bob, call); got != "EnclaveIsNotRegistered" {
			t.Error(got)
		}
	}
	w.registerLegacy(bob, mrB, "")
	if got := w.run(bob, pay(charlie.AccountID(), Unit, 1)); got != "WrongMrenclaveForBondingAccount" {
		t.Error(got)
	}
	w.registerLegacy(bob, mrA, "")
	before, _ := w.account(charlie.AccountID())
	for i, want := range []string{"Balances.Transfer Teerex.UnshieldedFunds", "System.ExtrinsicSuccess"} {
		if got := trim(run(bob, pay(charlie.AccountID(), Unit, 1))); !strings.Contains(got, want) || i == 1 && strings.Contains(got, "Unshielded") {
			t.Errorf("unshield_funds %d: %s", i, got)
		}
	}
	if after, _ := w.account(charlie.AccountID()); after != before.SaturatingAdd(scale.NewU128(Unit)) {
		t.Errorf("charlie has %v, had %v", after, before)
	}
	if n := w.rt.LegacyTeerex.ExecutedCalls.Get(w.read(), hashing.Hash{1}); n != 2 {
		t.Errorf("counted %d", n)
	}
	if got := w.run(bob, pay(charlie.AccountID(), 50*Unit, 2)); got == "" {
		t.Error("paid more than there is")
	}
	if got := trim(run(bob, confirm)); !strings.HasPrefix(got, "Teerex.ProcessedParentchainBlock") {
		t.Errorf("confirmation: %s", got)
	}
}
