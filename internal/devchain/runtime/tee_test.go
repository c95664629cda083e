package runtime

import (
	"bytes"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

var (
	mrA, mrB = integritee.Fingerprint{0xaa}, integritee.Fingerprint{0xbb}
	shardA   = integritee.ShardID(mrA)
)

func (w *world) register(who *keyring.Pair, mr integritee.Fingerprint, url string, method integritee.SgxAttestationMethod) string {
	w.Helper()
	u := []byte(url)
	return w.run(who, w.call("Teerex", "register_sgx_enclave", mr[:], struct{ U *[]byte }{&u}, method))
}

func TestRegisterEnclave(t *testing.T) {
	w := newWorld(t)
	alice, bob := key(t, "//Alice"), key(t, "//Bob")
	if got := w.register(alice, mrA, "wss://a", integritee.SkipAttestation()); got != "" {
		t.Fatal(got)
	}
	m, ok := w.rt.Teerex.SovereignEnclaves.Lookup(w.read(), alice.AccountID())
	if !ok || m.Fingerprint() != mrA || m.Sgx.BuildMode != integritee.SgxProduction || m.Sgx.Status != integritee.SgxInvalid ||
		string(*m.Sgx.URL) != "wss://a" || m.Sgx.Timestamp != w.now-1000 || !bytes.Equal(m.Sgx.ReportData.D[:], append(alice.Public(), make([]byte, 32)...)) {
		t.Errorf("registered %+v", m.Sgx)
	}
	// A proof that is no measurement, and no URL.
	if got := w.run(bob, w.call("Teerex", "register_sgx_enclave", []byte{1}, struct{ U *[]byte }{}, integritee.SkipAttestation())); got != "" {
		t.Fatal(got)
	}
	if m := w.rt.Teerex.SovereignEnclaves.Get(w.read(), bob.AccountID()); m.Fingerprint() != (integritee.Fingerprint{}) || m.Sgx.URL != nil {
		t.Errorf("registered %+v", m.Sgx)
	}
	// Again: overwritten.
	w.register(alice, mrB, "", integritee.SkipAttestation())
	if m := w.rt.Teerex.SovereignEnclaves.Get(w.read(), alice.AccountID()); m.Fingerprint() != mrB {
		t.Error("not overwritten")
	}
	proxied := integritee.SgxAttestationMethod{Skip: &integritee.ProxiedMethod{Proxied: true}}
	if got := w.register(bob, mrB, "", proxied); got != "" {
		t.Fatal(got)
	}
	count := 0
	for a := range w.rt.Teerex.ProxiedEnclaves.All(w.read()) {
		count++
		if a.Fingerprint != mrB || a.Registrar != bob.AccountID() || a.Signer.Opaque == nil {
			t.Errorf("proxied %+v", a)
		}
	}
	if count != 1 {
		t.Errorf("%d proxied", count)
	}

	dcap := integritee.DcapAttestation()
	ias := integritee.SgxAttestationMethod{Ias: &struct{}{}}
	long := w.call("Teerex", "register_sgx_enclave", bytes.Repeat([]byte{1}, integritee.MaxProofBytes+1), struct{ U *[]byte }{}, integritee.SkipAttestation())
	for want, got := range map[string]string{
		"DcapQuoteDecodingError": w.register(alice, mrA, "", dcap),
		"NetscapeDecodingError":  w.register(alice, mrA, "", ias),
		"EnclaveUrlIsTooLong":    w.register(alice, mrA, strings.Repeat("x", integritee.MaxURLBytes+1), integritee.SkipAttestation()),
		"RaProofIsTooLong":       w.run(alice, long),
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := w.root(w.call("Teerex", "set_security_flags", false, false)); got != "" {
		t.Fatal(got)
	}
	if got := w.register(alice, mrA, "", integritee.SkipAttestation()); got != "SkippingAttestationIsNotAllowed" {
		t.Error(got)
	}
}

func TestUnregisterEnclave(t *testing.T) {
	w := newWorld(t)
	alice, bob := key(t, "//Alice"), key(t, "//Bob")
	w.register(alice, mrA, "", integritee.SkipAttestation())
	w.register(alice, mrA, "", integritee.SgxAttestationMethod{Skip: &integritee.ProxiedMethod{Proxied: true}})
	var address integritee.EnclaveInstanceAddress
	for a := range w.rt.Teerex.ProxiedEnclaves.All(w.read()) {
		address = a
	}
	sovereign := func(who *keyring.Pair) []byte {
		return w.call("Teerex", "unregister_sovereign_enclave", who.AccountID())
	}
	proxied := w.call("Teerex", "unregister_proxied_enclave", address)
	if got := w.run(bob, sovereign(bob)); got != "EnclaveIsNotRegistered" {
		t.Error(got)
	}
	for _, call := range [][]byte{sovereign(alice), proxied} {
		if got := w.run(bob, call); got != "UnregisterActiveEnclaveIsNotAllowed" {
			t.Error(got)
		}
	}
	w.now += MaxAttestationRenewalPeriod
	for _, call := range [][]byte{sovereign(alice), proxied} {
		if got := w.run(bob, call); got != "" {
			t.Error(got)
		}
		if got := w.run(bob, call); got != "EnclaveIsNotRegistered" {
			t.Error(got)
		}
	}
}

func TestShieldFunds(t *testing.T) {
	w := newWorld(t)
	alice := key(t, "//Alice")
	shield := func(n uint64) []byte {
		return w.sign(alice, w.call("EnclaveBridge", "shield_funds", shardA, []byte("account"), scale.NewU128(n)))
	}
	// The transfer directly precedes, whether or not it makes an account (RULES 13).
	for i, want := range []string{
		"Balances.Withdraw System.NewAccount Balances.Endowed Balances.Transfer EnclaveBridge.ShieldFunds TransactionPayment.TransactionFeePaid System.ExtrinsicSuccess",
		"Balances.Withdraw Balances.Transfer EnclaveBridge.ShieldFunds TransactionPayment.TransactionFeePaid System.ExtrinsicSuccess",
	} {
		if got := w.one(shield(Unit)); got != want {
			t.Errorf("shield %d: %s", i, got)
		}
	}
	if got := w.one(shield(0)); got != "Balances.Withdraw EnclaveBridge.ShieldFunds TransactionPayment.TransactionFeePaid System.ExtrinsicSuccess" {
		t.Errorf("nothing: %s", got)
	}
	if free, _ := w.account(shardA.BondingAccount()); free != scale.NewU128(2*Unit) {
		t.Errorf("bonding account has %s", free)
	}
	if got := w.run(alice, w.call("EnclaveBridge", "shield_funds", integritee.ShardID{9}, []byte{}, scale.NewU128(1))); got != "ExistentialDeposit" {
		t.Errorf("less than the deposit to a new shard: %s", got)
	}
	if got := w.run(alice, w.call("EnclaveBridge", "shield_funds", shardA, []byte{}, scale.NewU128(5000*Unit))); got != "Token: FundsUnavailable" {
		t.Errorf("too much: %s", got)
	}
}

// TestEnclaveAuthorization: who may confirm, unshield, publish and configure.
func TestEnclaveAuthorization(t *testing.T) {
	w := newWorld(t)
	alice, bob, charlie := key(t, "//Alice"), key(t, "//Bob"), key(t, "//Charlie")
	w.register(alice, mrA, "", integritee.SkipAttestation())
	w.register(bob, mrB, "", integritee.SkipAttestation())
	w.run(charlie, w.call("EnclaveBridge", "shield_funds", shardA, []byte{}, scale.NewU128(10*Unit)))

	confirm := w.call("EnclaveBridge", "confirm_processed_parentchain_block", shardA, hashing.Hash{1}, header.Number(1), hashing.Hash{2})
	unshield := w.call("EnclaveBridge", "unshield_funds", shardA, charlie.AccountID(), scale.NewU128(Unit), hashing.Hash{3})
	publish := w.call("EnclaveBridge", "publish_hash", hashing.Hash{4}, []hashing.Hash{{5}}, []byte("data"))
	config := func(mr integritee.Fingerprint, delay header.Number) []byte {
		return w.call("EnclaveBridge", "update_shard_config", shardA, integritee.ShardConfig{EnclaveFingerprint: mr}, delay)
	}
	for _, test := range []struct {
		name                string
		call                []byte
		alice, bob, charlie string
	}{
		// Without a configuration the fingerprint is the shard.
		{"confirm", confirm, "", "WrongFingerprintForShard", "EnclaveIsNotRegistered"},
		{"unshield", unshield, "", "WrongFingerprintForShard", "EnclaveIsNotRegistered"},
		{"publish", publish, "", "", "EnclaveIsNotRegistered"},
		{"configure", config(mrA, 0), "", "WrongFingerprintForShard", "EnclaveIsNotRegistered"},
	} {
		for who, want := range map[*keyring.Pair]string{bob: test.bob, charlie: test.charlie} {
			if test.name == "configure" && who == bob {
				continue // a shard without configuration is anybody's to create
			}
			if got := w.run(who, test.call); got != want {
				t.Errorf("%s: %q, want %q", test.name, got, want)
			}
		}
		if got := w.run(alice, test.call); got != test.alice {
			t.Errorf("%s: %q, want %q", test.name, got, test.alice)
		}
	}
	if got := w.run(bob, config(mrB, 0)); got != "WrongFingerprintForShard" {
		t.Errorf("foreign configuration: %q", got)
	}

	// An upgrade: pending first, then in force, and written at the next use.
	if got := w.run(alice, config(mrB, 3)); got != "" {
		t.Fatal(got)
	}
	at := w.best + 3
	c := w.rt.EnclaveBridge.ShardConfigRegistry.Get(w.read(), shardA)
	if c.ActiveConfig.EnclaveFingerprint != mrA || c.PendingUpgrade == nil || c.PendingUpgrade.EnclaveFingerprint != mrB || *c.UpgradeAt != at {
		t.Errorf("pending %+v", c)
	}
	for w.best+1 < at {
		if got := w.run(bob, confirm); got != "WrongFingerprintForShard" {
			t.Errorf("block %d: %q", w.best, got)
		}
	}
	if got := w.run(alice, confirm); got != "WrongFingerprintForShard" {
		t.Errorf("old enclave after the upgrade: %q", got)
	}
	if got := w.run(bob, confirm); got != "" {
		t.Errorf("new enclave after the upgrade: %q", got)
	}
	c = w.rt.EnclaveBridge.ShardConfigRegistry.Get(w.read(), shardA)
	if c.ActiveConfig.EnclaveFingerprint != mrB || c.PendingUpgrade != nil || c.UpgradeAt != nil {
		t.Errorf("after the upgrade %+v", c)
	}

	status := w.rt.EnclaveBridge.ShardStatus.Get(w.read(), shardA)
	if len(status) != 2 || status[0].Signer != alice.AccountID() || status[1] != (integritee.ShardSignerStatus{Signer: bob.AccountID(), Fingerprint: mrB, LastActivity: w.best}) {
		t.Errorf("status %+v", status)
	}
	if got := w.root(w.call("EnclaveBridge", "purge_enclave_from_shard_status", shardA, alice.AccountID())); got != "" {
		t.Error(got)
	}
	if status := w.rt.EnclaveBridge.ShardStatus.Get(w.read(), shardA); len(status) != 1 || status[0].Signer != bob.AccountID() {
		t.Errorf("purged %+v", status)
	}
	if got := w.root(w.call("EnclaveBridge", "purge_enclave_from_shard_status", integritee.ShardID{9}, alice.AccountID())); got != "ShardNotFound" {
		t.Error(got)
	}
	// Root may configure any shard.
	if got := w.root(w.call("EnclaveBridge", "update_shard_config", integritee.ShardID{7}, integritee.ShardConfig{EnclaveFingerprint: mrB}, ^header.Number(0))); got != "" {
		t.Error(got)
	}
	if got := w.root(w.call("EnclaveBridge", "update_shard_config", integritee.ShardID{7}, integritee.ShardConfig{EnclaveFingerprint: mrA}, ^header.Number(0))); got != "" {
		t.Error(got)
	}
	if c := w.rt.EnclaveBridge.ShardConfigRegistry.Get(w.read(), integritee.ShardID{7}); c.UpgradeAt == nil || *c.UpgradeAt != ^header.Number(0) {
		t.Errorf("delay overflowed: %+v", c)
	}
}

func TestUnshieldOnce(t *testing.T) {
	w := newWorld(t)
	alice, bob := key(t, "//Alice"), key(t, "//Bob")
	w.register(alice, mrA, "", integritee.SkipAttestation())
	w.register(bob, mrA, "", integritee.SkipAttestation())
	beneficiary := key(t, "//Charlie").AccountID()
	call := func(amount uint64, hash byte) []byte {
		return w.call("EnclaveBridge", "unshield_funds", shardA, beneficiary, scale.NewU128(amount), hashing.Hash{hash})
	}
	if got := w.run(alice, call(Unit, 1)); got != "Token: FundsUnavailable" {
		t.Errorf("empty vault: %q", got)
	}
	if w.rt.EnclaveBridge.ExecutedUnshieldCalls.Contains(w.read(), hashing.Hash{1}) {
		t.Error("a failed payout counts as executed")
	}
	w.run(bob, w.call("EnclaveBridge", "shield_funds", shardA, []byte{}, scale.NewU128(10*Unit)))
	if got := w.one(w.sign(alice, call(Unit, 1))); !strings.Contains(got, "Balances.Transfer EnclaveBridge.UnshieldedFunds") {
		t.Errorf("first: %s", got)
	}
	if got := w.one(w.sign(bob, call(Unit, 1))); got != "Balances.Withdraw TransactionPayment.TransactionFeePaid System.ExtrinsicSuccess" {
		t.Errorf("second: %s", got)
	}
	if n := w.rt.EnclaveBridge.ExecutedUnshieldCalls.Get(w.read(), hashing.Hash{1}); n != 2 {
		t.Errorf("counted %d", n)
	}
	if free, _ := w.account(shardA.BondingAccount()); free != scale.NewU128(9*Unit) {
		t.Errorf("vault has %s", free)
	}
	// A tombstone (RULES 22).
	if got := w.run(alice, call(0, 2)); got != "" {
		t.Errorf("amount 0: %q", got)
	}
}

func TestPublishHash(t *testing.T) {
	w := newWorld(t)
	alice := key(t, "//Alice")
	w.register(alice, mrA, "", integritee.SkipAttestation())
	publish := func(topics int, data int) []byte {
		return w.call("EnclaveBridge", "publish_hash", hashing.Hash{1}, make([]hashing.Hash, topics), make([]byte, data))
	}
	events := w.block(w.sign(alice, publish(1, 100)))
	e := find(events, "EnclaveBridge.PublishedHash")
	if e == nil || len(e.Topics) != 2 || e.Topics[1] != hashing.Hash(mrA) {
		t.Fatalf("event %+v", e)
	}
	places := w.rt.System.EventTopics.Get(w.read(), hashing.Hash(mrA))
	if len(places) != 1 || places[0].Block != w.best || int(places[0].Index) != len(events)-3 {
		t.Errorf("topic at %v", places)
	}
	w.block()
	if w.rt.System.EventTopics.Contains(w.read(), hashing.Hash(mrA)) {
		t.Error("topics of the last block stay")
	}
	if got := w.run(alice, publish(6, 0)); got != "TooManyTopics" {
		t.Error(got)
	}
	if got := w.run(alice, publish(5, 101)); got != "DataTooLong" {
		t.Error(got)
	}
}

// TestTooManyEnclaves: a shard takes ten signers and evicts none.
func TestTooManyEnclaves(t *testing.T) {
	w := newWorld(t)
	confirm := w.call("EnclaveBridge", "confirm_processed_parentchain_block", shardA, hashing.Hash{1}, header.Number(1), hashing.Hash{2})
	for i := range integritee.MaxShardSigners + 1 {
		who := key(t, "//Enclave//"+string(rune('a'+i)))
		w.run(key(t, "//Alice"), w.call("Balances", "transfer_keep_alive", keyring.AddressOf(who.AccountID()), units(1)))
		w.register(who, mrA, "", integritee.SkipAttestation())
		want := ""
		if i == integritee.MaxShardSigners {
			want = "TooManyEnclaves"
		}
		if got := w.run(who, confirm); got != want {
			t.Errorf("enclave %d: %q, want %q", i, got, want)
		}
	}
}
