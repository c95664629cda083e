// Package main has a getter that writes. TestWritingGetterDoesNotCompile
// builds it and wants that to fail.
package main

import "github.com/offchain-worker/sdk/stf"

type counter struct{ Total stf.Value[uint64] }

// Get must not be able to do this.
func (c *counter) Get(q stf.Query) (uint64, error) {
	c.Total.Set(q, 1)
	return 1, nil
}

func main() { _ = new(counter).Get }
