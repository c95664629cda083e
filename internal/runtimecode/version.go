package runtimecode

import (
	"fmt"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/system"
)

// coreID is how the runtime API Core names itself in RuntimeVersion.APIs.
var coreID = hashing.Blake2b64([]byte("Core"))

// The versions of the runtime API Core that changed RuntimeVersion, and the
// last one known.
const (
	coreWithTransactionVersion = 3
	coreWithSystemVersion      = 4
	coreLast                   = 5
)

// decodeVersion decodes the answer of Core_version. Its fields depend on the
// version of the API Core in it: before 3 there is no transaction version
// (then 1), before 4 no system version (then 0).
//
// Source: sp-version, RuntimeVersion::decode_with_version_hint.
func decodeVersion(b []byte) (v system.RuntimeVersion, err error) {
	d := scale.NewDecoder(b)
	v.SpecName = d.String()
	v.ImplName = d.String()
	v.AuthoringVersion = d.U32()
	v.SpecVersion = d.U32()
	v.ImplVersion = d.U32()
	d.Decode(&v.APIs)
	core := uint32(0)
	for _, api := range v.APIs {
		if api.ID == coreID {
			core = api.Version
		}
	}
	v.TransactionVersion = 1
	if core >= coreWithTransactionVersion {
		v.TransactionVersion = d.U32()
	}
	if core >= coreWithSystemVersion {
		v.SystemVersion = d.U8()
	}
	if core > coreLast {
		d.Rest() // fields that later versions may have
	}
	if err := d.Finish(); err != nil {
		return system.RuntimeVersion{}, fmt.Errorf("%w: RuntimeVersion: %w", ErrMalformed, err)
	}
	return v, nil
}
