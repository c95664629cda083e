// Package random rolls dice of its own.
package random

import (
	"crypto/ed25519"
	crand "crypto/rand"
	"hash/maphash"
	"math/rand"
	randv2 "math/rand/v2"

	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

type Dice struct {
	Last stf.Value[uint64]
}

func (d *Dice) Roll(ctx stf.Call) error {
	d.Last.Set(ctx, rand.Uint64()) // want `random: rand.Uint64 is seeded by this machine; take randomness from the context`
	return nil
}

func (d *Dice) Roll2(ctx stf.Call) error {
	d.Last.Set(ctx, randv2.Uint64()) // want `random: rand.Uint64`
	return nil
}

func (d *Dice) Roll3(ctx stf.Call) error {
	var b [8]byte
	if _, err := crand.Read(b[:]); err != nil { // want `random: rand.Read draws random bytes`
		return err
	}
	_, _, err := ed25519.GenerateKey(crand.Reader) // want `random: ed25519.GenerateKey` `random: rand.Reader`
	return err
}

func (d *Dice) Hash(q stf.Query) (uint64, error) {
	return maphash.String(maphash.MakeSeed(), "x"), nil // want `random: maphash.String` `random: maphash.MakeSeed`
}

func (d *Dice) Words(ctx stf.Call) error {
	_, err := keyring.NewMnemonic(12) // want `random: keyring.NewMnemonic draws random bytes`
	return err
}

func (d *Dice) Sign(ctx stf.Call) error {
	pair, err := keyring.FromSeed(keyring.Sr25519, [32]byte{})
	if err != nil {
		return err
	}
	_ = pair.Sign(nil) // want `random: an sr25519 signature draws random bytes`
	return nil
}
