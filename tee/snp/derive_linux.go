package snp

import (
	"github.com/google/go-sev-guest/client"
)

// deriveKey asks the firmware through /dev/sev-guest.
func deriveKey() (key [32]byte, err error) {
	d, err := client.OpenDevice()
	if err != nil {
		return key, err
	}
	defer d.Close()
	return deriveFrom(d)
}

// deriveFrom binds the key to the chip and to what the guest was launched as.
func deriveFrom(d client.Device) (key [32]byte, err error) {
	r, err := client.GetDerivedKeyAcknowledgingItsLimitations(d, &client.SnpDerivedKeyReq{
		UseVCEK:          true,
		GuestFieldSelect: client.GuestFieldSelect{Measurement: true, GuestPolicy: true, FamilyID: true, ImageID: true},
	})
	if err != nil {
		return key, err
	}
	copy(key[:], r.Data[:])
	clear(r.Data[:])
	return key, nil
}
