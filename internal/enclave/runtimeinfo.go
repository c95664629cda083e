package enclave

import (
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// Pallets that are read, by name.
const (
	bridgePallet = "EnclaveBridge"
	teerexPallet = "Teerex"
	systemPallet = "System"
)

// callKind is a call that the core understands.
type callKind uint8

const (
	callOther callKind = iota
	callInvoke
	callShield
	callTimestamp
	callUnshield
	callConfirm
)

var callNames = map[callKind][2]string{
	callInvoke:    {bridgePallet, "invoke"},
	callShield:    {bridgePallet, "shield_funds"},
	callTimestamp: {"Timestamp", "set"},
	callUnshield:  {bridgePallet, "unshield_funds"},
	callConfirm:   {bridgePallet, "confirm_processed_parentchain_block"},
}

// runtimeInfo is a runtime's metadata with the calls found in it.
type runtimeInfo struct {
	specVersion uint32
	meta        *metadata.Metadata
	calls       map[[2]byte]callKind
}

// newRuntimeInfo looks the calls up. A runtime without the pallets is fine: it
// just holds nothing for us.
func newRuntimeInfo(specVersion uint32, m *metadata.Metadata) (*runtimeInfo, error) {
	if m == nil {
		return nil, errors.New("enclave: no metadata given")
	}
	r := &runtimeInfo{specVersion: specVersion, meta: m, calls: map[[2]byte]callKind{}}
	for kind, name := range callNames {
		if index, ok := m.CallIndex(name[0], name[1]); ok {
			r.calls[index] = kind
		}
	}
	return r, nil
}

// foundCalls are the calls that one extrinsic dispatches, as far as they
// matter here, each kind in order of dispatch.
type foundCalls struct {
	top       callKind // what the extrinsic's own call is
	now       uint64   // of the top-level Timestamp.set
	shield    *integritee.ShieldFundsArgs
	invokes   []integritee.Request
	unshields []integritee.UnshieldFundsArgs
	confirms  []integritee.ConfirmArgs
}

// walk finds the calls in an extrinsic's call tree. It looks at the top level
// only; calls inside others are to be added here, depth first, and the matching
// of calls with events will follow. Arguments that do not decode are an error:
// the runtime would not have dispatched them.
func (r *runtimeInfo) walk(call []byte) (foundCalls, error) {
	var f foundCalls
	if len(call) < 2 {
		return f, scale.ErrShort
	}
	f.top = r.calls[[2]byte(call)]
	args := call[2:]
	var err error
	switch f.top {
	case callInvoke:
		var a integritee.InvokeArgs
		err = scale.Unmarshal(args, &a)
		f.invokes = append(f.invokes, a.Request)
	case callShield:
		f.shield = new(integritee.ShieldFundsArgs)
		err = scale.Unmarshal(args, f.shield)
	case callTimestamp:
		var now scale.CompactU64
		err = scale.Unmarshal(args, &now)
		f.now = uint64(now)
	case callUnshield:
		var a integritee.UnshieldFundsArgs
		err = scale.Unmarshal(args, &a)
		f.unshields = append(f.unshields, a)
	case callConfirm:
		var a integritee.ConfirmArgs
		err = scale.Unmarshal(args, &a)
		f.confirms = append(f.confirms, a)
	}
	if err != nil {
		return foundCalls{}, fmt.Errorf("arguments of a call: %w", err)
	}
	return f, nil
}
