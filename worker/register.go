package worker

import (
	"context"
	"fmt"
	"math/big"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
	"github.com/offchain-worker/sdk/substrate/system"
	"github.com/offchain-worker/sdk/substrate/trie"
)

func enclaveKey(who keyring.AccountID) []byte {
	return hashing.Blake2_128Concat.AppendKey(hashing.StoragePrefix("Teerex", "SovereignEnclaves"), who[:])
}

func shardStatusKey(s integritee.ShardID) []byte {
	return hashing.Blake2_128Concat.AppendKey(hashing.StoragePrefix("EnclaveBridge", "ShardStatus"), s[:])
}

func shardConfigKey(s integritee.ShardID) []byte {
	return hashing.Blake2_128Concat.AppendKey(hashing.StoragePrefix("EnclaveBridge", "ShardConfigRegistry"), s[:])
}

// fund waits until the account can pay for registration and a long time of
// confirmations (P 5.3: less than a tenth missing is left alone). With
// Config.Dev //Alice pays.
func (w *Worker) fund(ctx context.Context) error {
	return w.health.retry(ctx, "funding", func(ctx context.Context) error { return w.keepFunds(ctx, 90) })
}

// keepFunds is for an account that should have at least a percentage of what
// is needed: with Config.Dev //Alice fills it up, else the error says what to do.
func (w *Worker) keepFunds(ctx context.Context, percent int64) error {
	rt, err := w.runtimes.get(ctx)
	if err != nil {
		return err
	}
	needed, err := w.neededFunds(ctx, rt)
	if err != nil {
		return err
	}
	return w.topUp(ctx, rt, w.account.AccountID(), needed, percent, w.metrics.balance)
}

// topUp is keepFunds for any account.
func (w *Worker) topUp(ctx context.Context, rt *enclave.Runtime, who keyring.AccountID, needed *big.Int, percent int64, gauge *prometheus.GaugeVec) error {
	values, _, err := w.chain.prove(ctx, accountKey(who))
	if err != nil {
		return err
	}
	var info system.AccountInfo
	if _, err := decodeProven(values[0], &info); err != nil {
		return err
	}
	free := info.Data.Free.Big()
	if needed.Sign() > 0 {
		ratio, _ := new(big.Rat).SetFrac(free, needed).Float64()
		gauge.WithLabelValues().Set(ratio)
	}
	if new(big.Int).Mul(free, big.NewInt(100)).Cmp(new(big.Int).Mul(needed, big.NewInt(percent))) > 0 {
		return nil
	}
	amount, err := scale.ParseU128(new(big.Int).Sub(needed, free).String())
	if err != nil {
		return fmt.Errorf("the parentchain wants an absurd amount of fees: %w", err)
	}
	if !w.cfg.Dev {
		return fmt.Errorf("account %s lacks %s planck for fees: transfer them to it", who, amount)
	}
	w.log.Info("//Alice pays for fees", "account", who, "planck", amount)
	return w.fundFromAlice(ctx, rt, who, amount, needed)
}

func (w *Worker) fundFromAlice(ctx context.Context, rt *enclave.Runtime, who keyring.AccountID, amount scale.U128, needed *big.Int) error {
	alice, err := keyring.FromURI(keyring.Sr25519, "//Alice")
	if err != nil {
		return err
	}
	call, err := transferCall(rt.Metadata(), who, amount)
	if err != nil {
		return err
	}
	s := *w.sender
	s.pair = alice
	return s.transact(ctx, rt, call, func(v []trie.ProofValue) (bool, error) {
		var info system.AccountInfo
		_, err := decodeProven(v[0], &info)
		// Fees of an extrinsic of ours may have gone off meanwhile.
		enough := new(big.Int).Div(needed, big.NewInt(2))
		return err == nil && info.Data.Free.Big().Cmp(enough) >= 0, err
	}, accountKey(who))
}

func transferCall(m *metadata.Metadata, to keyring.AccountID, amount scale.U128) ([]byte, error) {
	name := "transfer_allow_death"
	if _, ok := m.CallIndex("Balances", name); !ok {
		name = "transfer" // runtimes before 2023
	}
	return encodeCall(m, "Balances", name, keyring.AddressOf(to), scale.CompactU128(amount))
}

// neededFunds computes what an account should have (P 5.3): existential
// deposit, the cost of a proxy and 500 transfers (where the chain has the
// proxy pallet), 1000 transfers, and five registrations.
func (w *Worker) neededFunds(ctx context.Context, rt *enclave.Runtime) (*big.Int, error) {
	fee := w.fee(ctx, rt)
	transfer, err := fee(transferCall(rt.Metadata(), w.account.AccountID(), scale.U128{Lo: 1}))
	if err != nil {
		return nil, err
	}
	register, err := fee(registerCall(rt.Metadata(), make([]byte, integritee.MaxProofBytes), make([]byte, integritee.MaxURLBytes), integritee.DcapAttestation()))
	if err != nil {
		return nil, err
	}
	deposit := existentialDeposit(rt)
	sum := new(big.Int).Set(deposit)
	times := func(n int64, v *big.Int) { sum.Add(sum, new(big.Int).Mul(big.NewInt(n), v)) }
	base, hasProxy := constant(rt, "Proxy", "ProxyDepositBase")
	if factor, ok := constant(rt, "Proxy", "ProxyDepositFactor"); ok && hasProxy {
		sum.Add(sum, base)
		times(10, factor)
		times(500, transfer)
		sum.Add(sum, deposit)
	}
	times(1000, transfer)
	times(5, register)
	return sum, nil
}

// fee returns a function that asks what a call costs.
func (w *Worker) fee(ctx context.Context, rt *enclave.Runtime) func(call []byte, err error) (*big.Int, error) {
	return func(call []byte, err error) (*big.Int, error) {
		if err != nil {
			return nil, err
		}
		x, err := w.sender.specimen(rt, call)
		if err != nil {
			return nil, err
		}
		text, err := w.node.QueryFee(ctx, x.raw)
		if err != nil {
			return nil, err
		}
		v, err := scale.ParseU128(text)
		if err != nil {
			return nil, fmt.Errorf("fee %q: %w", text, err)
		}
		return v.Big(), nil
	}
}

// constant returns a constant amount of a runtime.
func constant(rt *enclave.Runtime, pallet, name string) (*big.Int, bool) {
	b, ok := rt.Metadata().Constant(pallet, name)
	var v scale.U128
	if !ok || scale.Unmarshal(b, &v) != nil {
		return new(big.Int), false
	}
	return v.Big(), true
}

func existentialDeposit(rt *enclave.Runtime) *big.Int {
	deposit, _ := constant(rt, "Balances", "ExistentialDeposit")
	return deposit
}
