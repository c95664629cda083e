package shielding

import (
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"math/rand/v2"
	"testing"
)

// lowOrder are all encodings of points of low order, RFC 7748 section 6.1: zero,
// one, the two of order eight, minus one, and those of them below 19 plus p; the
// highest bit of each does not count.
var lowOrder = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

// TestExchange compares the exchange with crypto/ecdh's: whether an envelope opens,
// and to what, is the same on all workers.
func TestExchange(t *testing.T) {
	check := func(secret, public [32]byte) (refused bool) {
		t.Helper()
		reference, err := ecdh.X25519().NewPrivateKey(secret[:])
		if err != nil {
			t.Fatal(err)
		}
		remote, err := ecdh.X25519().NewPublicKey(public[:])
		if err != nil {
			t.Fatal(err)
		}
		e := &exchanger{reference.PublicKey(), secret}
		got, gotErr := e.ECDH(remote)
		want, wantErr := reference.ECDH(remote)
		if !bytes.Equal(got, want) || (gotErr == nil) != (wantErr == nil) {
			t.Errorf("secret %x, public %x: got %x, %v, want %x, %v", secret, public, got, gotErr, want, wantErr)
		}
		return gotErr != nil
	}
	r := rand.NewChaCha8([32]byte{1})
	var secret, public [32]byte
	for range 1000 {
		r.Read(secret[:])
		r.Read(public[:]) // on the curve or on its twist
		if check(secret, public) {
			t.Errorf("%x is refused", public)
		}
	}
	for _, text := range lowOrder {
		if _, err := hex.Decode(public[:], []byte(text)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if !check(secret, public) {
				t.Errorf("%x is accepted", public)
			}
			public[31] ^= 0x80
		}
	}
	// Not canonical, but of no low order.
	for low := byte(0xef); low != 0; low++ {
		public = [32]byte(bytes.Repeat([]byte{0xff}, 32))
		public[0], public[31] = low, 0x7f
		check(secret, public)
	}

	other, err := ecdh.P256().GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&exchanger{secret: secret}).ECDH(other.PublicKey()); err == nil {
		t.Error("a key of another curve is taken")
	}
}
