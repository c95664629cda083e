package sample

import (
	"encoding/hex"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
)

// tenDecimals lists the parentchains whose unit has 10 decimals, by genesis
// hash; all others are taken to have 12 (as the original's chain specs).
var tenDecimals = map[stf.Hash]bool{
	genesis("77afd6190f1554ad45fd0d31aee62aacc33c6db0ea801129acb813f913e0764f"): true, // Paseo
	genesis("d6eec26135305a8ad257a20d003357284c8aa03d0bdb2b357ab0a22371e11ef2"): true, // Asset Hub Paseo
	genesis("91b171bb158e2d3848fa23a9f1c25182fb8e20313b2c1eb49219da7a70ce90c3"): true, // Polkadot
	genesis("68d56f15f85d3136970ec16946040bc1752654e906147f7e43e9d539d7c3de2f"): true, // Asset Hub Polkadot
}

func genesis(digits string) (h stf.Hash) {
	if _, err := hex.Decode(h[:], []byte(digits)); err != nil {
		panic("sample: " + err.Error())
	}
	return h
}

// unit returns the parentchain's unit in planck.
func unit(genesis stf.Hash) uint64 {
	if tenDecimals[genesis] {
		return 1e10
	}
	return 1e12
}

func transferFee(genesis stf.Hash) stf.Balance { return scale.NewU128(unit(genesis) / 100) }

func proxyDeposit(genesis stf.Hash) stf.Balance { return scale.NewU128(unit(genesis) / 10) }

// Fee returns what a call (SCALE(TrustedCall)) costs its sender on a chain, in
// planck: a hundredth of a unit, three for an unshield, ten for a guess, and for
// a note with a transfer a ten thousandth per byte besides. What only the
// enclave, the game master or a maintainer may do is free.
func Fee(genesis stf.Hash, call []byte) stf.Balance {
	if len(call) < 1 {
		return stf.Balance{}
	}
	fee := transferFee(genesis)
	switch call[0] {
	case callNoop, callBalanceTransfer, callSendNote, callAddSessionProxy, callAssetsTransfer,
		callEvmWithdraw, callEvmCall, callEvmCreate, callEvmCreate2:
	case callBalanceTransferWithNote:
		d := scale.NewDecoder(call)
		d.Fixed(1 + 32 + 32 + 16)
		fee = fee.SaturatingAdd(noteFee(genesis, d))
	case callAssetsTransferWithNote:
		d := scale.NewDecoder(call)
		d.Fixed(1 + 32 + 32 + 1 + 16)
		fee = fee.SaturatingAdd(noteFee(genesis, d))
	case callBalanceUnshield, callBalanceUnshieldThroughBridge, callAssetsUnshield:
		fee, _ = fee.Mul64(3)
	case callGuessTheNumber:
		if len(call) < 2 || call[1] != guessGuess {
			return stf.Balance{}
		}
		fee, _ = fee.Mul64(10)
	default:
		return stf.Balance{}
	}
	return fee
}

// noteFee returns what the text costs that comes next.
func noteFee(genesis stf.Hash, d *scale.Decoder) stf.Balance {
	fee, _ := scale.NewU128(unit(genesis) / 10_000).Mul64(uint64(d.Length(1)))
	return fee
}

// fee moves a call's fee to the enclave account. Who signs for the sender pays
// it from his allowance, else he could spend more than that by fees.
func (b *Balances) fee(ctx stf.Call, c stf.DecodedCall) error {
	fee := Fee(ctx.Genesis(), c.Raw)
	if err := b.proxies.spend(ctx, fee); err != nil {
		return err
	}
	return b.transfer(ctx, ctx.Sender(), ctx.EnclaveAccount(), fee)
}
