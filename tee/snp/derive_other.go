//go:build !linux

package snp

import "errors"

func deriveKey() (key [32]byte, err error) {
	return key, errors.New("the firmware's device is one of Linux")
}
