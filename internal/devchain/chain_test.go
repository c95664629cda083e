package devchain

import "testing"

func TestGenesis(t *testing.T) {
	t.Log(GenesisHash())
}
