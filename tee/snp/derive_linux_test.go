package snp

import (
	"testing"

	labi "github.com/google/go-sev-guest/client/linuxabi"
	sevtest "github.com/google/go-sev-guest/testing"
)

// TestDeriveFrom asks a device that knows one request only: the key of the chip,
// bound to launch digest, policy, family and image.
func TestDeriveFrom(t *testing.T) {
	request := &labi.SnpDerivedKeyReqABI{GuestFieldSelect: 1<<3 | 1<<2 | 1<<1 | 1<<0}
	want := labi.SnpDerivedKeyRespABI{Data: [32]byte{1, 31: 2}}
	d := &sevtest.Device{Keys: map[string][]byte{sevtest.DerivedKeyRequestToString(request): want.Data[:]}}
	if key, err := deriveFrom(d); err != nil || key != want.Data {
		t.Errorf("got %x, %v", key, err)
	}
	if key, err := deriveFrom(&sevtest.Device{}); err == nil || key != [32]byte{} {
		t.Errorf("got %x, %v", key, err)
	}
}
