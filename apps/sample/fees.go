package sample

import (
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// tenDecimals lists the parentchains whose unit has 10 decimals, by genesis
// hash; all others are taken to have 12 (as the original's chain specs).
var tenDecimals = map[stf.Hash]bool{
	must(hashing.ParseHash("0x77afd6190f1554ad45fd0d31aee62aacc33c6db0ea801129acb813f913e0764f")): true, // Paseo
	must(hashing.ParseHash("0xd6eec26135305a8ad257a20d003357284c8aa03d0bdb2b357ab0a22371e11ef2")): true, // Asset Hub Paseo
	must(hashing.ParseHash("0x91b171bb158e2d3848fa23a9f1c25182fb8e20313b2c1eb49219da7a70ce90c3")): true, // Polkadot
	must(hashing.ParseHash("0x68d56f15f85d3136970ec16946040bc1752654e906147f7e43e9d539d7c3de2f")): true, // Asset Hub Polkadot
}

// unitParts returns so many ten thousandths of the parentchain's unit, in planck.
func unitParts(genesis stf.Hash, n uint64) stf.Balance {
	unit := uint64(1e12)
	if tenDecimals[genesis] {
		unit = 1e10
	}
	amount, _ := scale.NewU128(unit / 10_000).Mul64(n)
	return amount
}

// textAt is where the text of a transfer with a note begins in its arguments: each
// byte costs one more.
var textAt = map[string]int{
	"Balances.balance_transfer_with_note":   32 + 16,
	"Unsupported.assets_transfer_with_note": 32 + 1 + 16,
}

// Fee returns what a call costs its sender on a chain, in planck: its price is in
// [unitParts].
func Fee(genesis stf.Hash, c stf.DecodedCall) stf.Balance {
	price := c.Price
	if at, ok := textAt[c.Name]; ok {
		d := scale.NewDecoder(c.Args)
		d.Fixed(at)
		price += uint64(d.Length(1))
	}
	return unitParts(genesis, price)
}

// fee moves a call's fee to the enclave account. Who signs for the sender pays
// it from his allowance, else he could spend more than that by fees.
func (b *Balances) fee(ctx stf.Call, c stf.DecodedCall) error {
	fee := Fee(ctx.Genesis(), c)
	if err := b.proxies.spend(ctx, fee); err != nil {
		return err
	}
	return b.Transfer(ctx, ctx.Sender(), ctx.EnclaveAccount(), fee)
}
