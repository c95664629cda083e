package enclave

import (
	"fmt"
	"reflect"
	"sync"
	"testing"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
	"github.com/offchain-worker/sdk/substrate/system"
)

// Types of the runtime of the tests on nested calls, as real metadata has them.
type (
	anyCall    struct{ scale []byte }
	opaqueCall struct {
		Length scale.CompactU32 `metadata:"_"`
		Call   anyCall          `metadata:"_"`
	}
	dispatchResult struct {
		_   scale.Enum
		Ok  *struct{}             `scale:"0"`
		Err *system.DispatchError `scale:"1"`
	}
	weightV2  struct{ RefTime, ProofSize scale.CompactU64 }
	timepoint struct{ Height, Index uint32 }
)

func (anyCall) MetadataOuter() string         { return "RuntimeCall" }
func (c anyCall) AppendSCALE(b []byte) []byte { return append(b, c.scale...) }
func (c *anyCall) DecodeSCALE(*scale.Decoder) { panic("not used") }
func (dispatchResult) MetadataPath() []string { return []string{"Result"} }
func (opaqueCall) MetadataPath() []string {
	return []string{"frame_support", "traits", "misc", "WrapperKeepOpaque"}
}

var badOrigin = system.DispatchError{BadOrigin: &struct{}{}}

func result(ok bool) dispatchResult {
	if ok {
		return dispatchResult{Ok: &struct{}{}}
	}
	return dispatchResult{Err: &badOrigin}
}

func variants(first uint8, list ...any) (out []metadata.VariantSpec) {
	for i := 0; i < len(list); i += 2 {
		v := metadata.VariantSpec{Name: list[i].(string), Index: first + uint8(i/2)}
		if t := reflect.TypeOf(list[i+1]); t != nil {
			fields, err := metadata.StructFields(t)
			if err != nil {
				panic(err)
			}
			v.Fields = fields
		}
		out = append(out, v)
	}
	return out
}

// Arguments of dispatchers, and of calls that only look like some.
type (
	batchArgs      struct{ Calls []anyCall }
	derivativeArgs struct {
		Index uint16
		Call  anyCall
	}
	dispatchAsArgs struct {
		AsOrigin [2]byte
		Call     anyCall
	}
	withWeightArgs struct {
		Call   anyCall
		Weight weightV2
	}
	ifElseArgs struct{ Main, Fallback anyCall }
	proxyArgs  struct {
		Real keyring.MultiAddress
		Type *uint8 `metadata:"force_proxy_type"`
		Call anyCall
	}
	proxyAnnouncedArgs struct {
		Delegate, Real keyring.MultiAddress
		Type           *uint8 `metadata:"force_proxy_type"`
		Call           anyCall
	}
	threshold1Args struct {
		Others []keyring.AccountID
		Call   anyCall
	}
	asMultiArgs struct {
		Threshold uint16
		Others    []keyring.AccountID
		When      *timepoint
		Call      anyCall
		MaxWeight weightV2
	}
	asMultiOpaqueArgs struct {
		Threshold uint16
		Others    []keyring.AccountID
		When      *timepoint
		Call      opaqueCall
		Store     bool
		MaxWeight uint64
	}
	callArgs   struct{ Call anyCall }
	sudoAsArgs struct {
		Who  keyring.MultiAddress
		Call anyCall
	}
	scheduleArgs struct {
		When     uint32
		Periodic *timepoint
		Priority uint8
		Call     anyCall
	}
	burnArgs struct {
		Value     scale.CompactU128
		KeepAlive bool
	}
	interruptedEvent struct {
		Index uint32
		Error system.DispatchError
	}
	errorEvent       struct{ Error system.DispatchError }
	resultEvent      struct{ Result dispatchResult }
	newMultisigEvent struct {
		Approving, Multisig keyring.AccountID
		CallHash            [32]byte
	}
	multisigEvent struct {
		Approving keyring.AccountID
		When      timepoint
		Multisig  keyring.AccountID
		CallHash  [32]byte
		Result    dispatchResult
	}
	transferEvent struct {
		From, To keyring.AccountID
		Amount   scale.U128
	}
)

// nestedRuntime is metadata of a runtime with all that dispatches other calls.
// Indexes are unusual on purpose: names decide.
func nestedRuntime(opaqueMultisig bool) *metadata.Metadata {
	asMulti := any(asMultiArgs{})
	if opaqueMultisig {
		asMulti = asMultiOpaqueArgs{}
	}
	b := metadata.NewBuilder("nested_runtime")
	for _, p := range []metadata.PalletSpec{
		{Name: "System", Index: 3, Calls: variants(7, "remark", struct{ Remark []byte }{}),
			Events: variants(0, "ExtrinsicSuccess", struct{ Info system.DispatchInfo }{}, "ExtrinsicFailed", struct {
				Error system.DispatchError
				Info  system.DispatchInfo
			}{}, "CodeUpdated", nil),
			Storage: []metadata.StorageSpec{{Name: "Events", Value: reflect.TypeFor[[]system.EventRecord](), Default: []byte{0}}}},
		{Name: "Timestamp", Index: 4, Calls: variants(0, "set", struct{ Now scale.CompactU64 }{})},
		{Name: "Balances", Index: 5, Calls: variants(0, "burn", burnArgs{}), Events: variants(2, "Transfer", transferEvent{}, "Withdraw", struct {
			Who    keyring.AccountID
			Amount scale.U128
		}{})},
		{Name: "Utility", Index: 40, Calls: variants(3, "batch", batchArgs{}, "as_derivative", derivativeArgs{}, "batch_all", batchArgs{}, "dispatch_as", dispatchAsArgs{},
			"force_batch", batchArgs{}, "with_weight", withWeightArgs{}, "if_else", ifElseArgs{}, "dispatch_as_fallible", dispatchAsArgs{}),
			Events: variants(1, "BatchInterrupted", interruptedEvent{}, "BatchCompleted", nil, "BatchCompletedWithErrors", nil, "ItemCompleted", nil,
				"ItemFailed", errorEvent{}, "DispatchedAs", resultEvent{}, "IfElseMainSuccess", nil, "IfElseFallbackCalled", errorEvent{})},
		{Name: "Proxy", Index: 41, Calls: variants(0, "proxy", proxyArgs{}, "proxy_announced", proxyAnnouncedArgs{}), Events: variants(0, "ProxyExecuted", resultEvent{})},
		{Name: "Multisig", Index: 42, Calls: variants(0, "as_multi_threshold_1", threshold1Args{}, "as_multi", asMulti, "approve_as_multi", struct{ Hash [32]byte }{}),
			Events: variants(5, "NewMultisig", newMultisigEvent{}, "MultisigExecuted", multisigEvent{})},
		{Name: "Sudo", Index: 43, Calls: variants(1, "sudo", callArgs{}, "sudo_unchecked_weight", withWeightArgs{}, "sudo_as", sudoAsArgs{}),
			Events: variants(0, "Sudid", resultEvent{}, "SudoAsDone", resultEvent{})},
		{Name: "Scheduler", Index: 44, Calls: variants(0, "schedule", scheduleArgs{}), Events: variants(0, "Dispatched", resultEvent{})},
		{Name: "Council", Index: 45, Calls: variants(0, "execute", callArgs{}, "close", nil), Events: variants(0, "MemberExecuted", resultEvent{})},
		{Name: "Teerex", Index: 50, Calls: variants(0, "register_sgx_enclave", integritee.RegisterSgxEnclaveArgs{}), Events: variants(0, "AddedSgxEnclave", integritee.EventAddedSgxEnclave{})},
		{Name: "EnclaveBridge", Index: 54, Calls: variants(9, "invoke", integritee.InvokeArgs{}, "confirm_processed_parentchain_block", integritee.ConfirmArgs{},
			"shield_funds", integritee.ShieldFundsArgs{}, "unshield_funds", integritee.UnshieldFundsArgs{}),
			Events: variants(11, "IndirectInvocationRegistered", integritee.EventIndirectInvocationRegistered{}, "ShieldFunds", integritee.EventShieldFunds{},
				"UnshieldedFunds", integritee.EventUnshieldedFunds{}, "ProcessedParentchainBlock", integritee.EventProcessedParentchainBlock{}),
			Storage: []metadata.StorageSpec{{Name: "ExecutedUnshieldCalls", Hashers: []hashing.StorageHasher{hashing.Blake2_128Concat},
				Keys: []reflect.Type{reflect.TypeFor[hashing.Hash]()}, Value: reflect.TypeFor[uint64](), Default: make([]byte, 8)}}},
	} {
		if err := b.AddPallet(p); err != nil {
			panic(err)
		}
	}
	m, err := b.Build(metadata.ExtrinsicSpec{Extensions: []metadata.ExtensionSpec{
		{Identifier: "CheckSpecVersion", Additional: reflect.TypeFor[uint32]()},
		{Identifier: "CheckTxVersion", Additional: reflect.TypeFor[uint32]()},
		{Identifier: "CheckGenesis", Additional: reflect.TypeFor[hashing.Hash]()},
		{Identifier: "CheckMortality", Type: reflect.TypeFor[extrinsic.Era](), Additional: reflect.TypeFor[hashing.Hash]()},
		{Identifier: "CheckNonce", Type: reflect.TypeFor[scale.CompactU32]()},
		{Identifier: "ChargeTransactionPayment", Type: reflect.TypeFor[scale.CompactU128]()},
	}})
	if err != nil {
		panic(err)
	}
	return m
}

var (
	newMultisigRuntime = sync.OnceValue(func() *metadata.Metadata { return nestedRuntime(false) })
	oldMultisigRuntime = sync.OnceValue(func() *metadata.Metadata { return nestedRuntime(true) })
)

// simCall is a call of a naive executor, which knows how FRAME dispatches and
// nothing of how its events are read.
type simCall struct {
	name   string // of the pallet's call
	id     int    // distinguishes ciphertexts and call hashes
	shard  integritee.ShardID
	fails  bool // by itself: wrong origin, filtered, too many
	inside []*simCall
	// approved says that as_multi is the last approval; reports that
	// as_multi_threshold_1 deposits an event.
	approved, reports bool
	raw               []byte // of a call that the executor does not know
}

func (c *simCall) String() string {
	s := c.name
	if c.name == "invoke" || c.name == "unshield_funds" {
		s += fmt.Sprint(" ", c.id)
	}
	if c.fails {
		s += "!"
	}
	if c.approved {
		s += "+"
	}
	if len(c.inside) > 0 {
		s += fmt.Sprint(c.inside)
	}
	return s
}

// simEvent is an event with the call that deposited it.
type simEvent struct {
	event
	by *simCall
}

// simState is what unshield_funds remembers, copied on write.
type simState map[int]bool

func (c *simCall) payment() *Payout {
	// Few distinct amounts, so that payments are alike.
	return &Payout{Beneficiary: keyring.AccountID{1}, Amount: amount(uint64(c.id % 2)), CallHash: hashing.Hash{byte(c.id), byte(c.id >> 8), 7}}
}

// run executes a call in a storage layer of its own: it returns the state
// and the events that stay, or ok = false and nothing of either.
func (c *simCall) run(w *world, s simState) (_ simState, events []simEvent, ok bool) {
	if c.fails {
		return s, nil, false
	}
	deposit := func(pallet, name string, fields any) {
		if fields == nil {
			fields = struct{}{}
		}
		events = append(events, simEvent{event{pallet, name, fields}, c})
	}
	// call dispatches a call inside; its events come before what is deposited next.
	call := func(inside *simCall) bool {
		next, inner, ok := inside.run(w, s)
		if ok {
			s, events = next, append(events, inner...)
		}
		return ok
	}
	switch c.name {
	case "remark":
		deposit("System", "CodeUpdated", nil) // any event without meaning
	case "burn", "schedule", "confirm_processed_parentchain_block":
	case "invoke":
		deposit(bridgePallet, "IndirectInvocationRegistered", integritee.EventIndirectInvocationRegistered{Shard: c.shard})
	case "shield_funds":
		deposit("Balances", "Transfer", transferEvent{w.user.AccountID(), c.shard.BondingAccount(), amount(5)})
		deposit(bridgePallet, "ShieldFunds", integritee.EventShieldFunds{Shard: c.shard, Amount: amount(5)})
	case "unshield_funds":
		if !s[c.id] {
			next := simState{c.id: true}
			for id := range s {
				next[id] = true
			}
			s = next
			p := c.payment()
			deposit(bridgePallet, "UnshieldedFunds", integritee.EventUnshieldedFunds{Shard: c.shard, Beneficiary: p.Beneficiary, Amount: p.Amount})
		}
	case "batch":
		for i, inside := range c.inside {
			if !call(inside) {
				deposit("Utility", "BatchInterrupted", interruptedEvent{uint32(i), badOrigin})
				return s, events, true
			}
			deposit("Utility", "ItemCompleted", nil)
		}
		deposit("Utility", "BatchCompleted", nil)
	case "batch_all":
		before := s
		for _, inside := range c.inside {
			if !call(inside) {
				return before, nil, false
			}
			deposit("Utility", "ItemCompleted", nil)
		}
		deposit("Utility", "BatchCompleted", nil)
	case "force_batch":
		end := "BatchCompleted"
		for _, inside := range c.inside {
			if call(inside) {
				deposit("Utility", "ItemCompleted", nil)
			} else {
				deposit("Utility", "ItemFailed", errorEvent{badOrigin})
				end = "BatchCompletedWithErrors"
			}
		}
		deposit("Utility", end, nil)
	case "as_derivative", "with_weight":
		return c.inside[0].run(w, s)
	case "as_multi_threshold_1":
		if !call(c.inside[0]) {
			return s, nil, false
		}
		if c.reports {
			deposit("Multisig", "MultisigExecuted", multisigEvent{CallHash: hashing.Blake2b256(c.inside[0].encode(w)), Result: result(true)})
		}
	case "dispatch_as":
		deposit("Utility", "DispatchedAs", resultEvent{result(call(c.inside[0]))})
	case "dispatch_as_fallible":
		if !call(c.inside[0]) {
			return s, nil, false
		}
		deposit("Utility", "DispatchedAs", resultEvent{result(true)})
	case "proxy", "proxy_announced":
		deposit("Balances", "Withdraw", struct {
			Who    keyring.AccountID
			Amount scale.U128
		}{})
		deposit("Proxy", "ProxyExecuted", resultEvent{result(call(c.inside[0]))})
	case "as_multi":
		if c.approved {
			deposit("Multisig", "MultisigExecuted", multisigEvent{CallHash: hashing.Blake2b256(c.inside[0].encode(w)), Result: result(call(c.inside[0]))})
		} else {
			deposit("Multisig", "NewMultisig", newMultisigEvent{})
		}
	case "sudo", "sudo_unchecked_weight":
		deposit("Sudo", "Sudid", resultEvent{result(call(c.inside[0]))})
	case "sudo_as":
		deposit("Sudo", "SudoAsDone", resultEvent{result(call(c.inside[0]))})
	case "if_else":
		if call(c.inside[0]) {
			deposit("Utility", "IfElseMainSuccess", nil)
		} else if call(c.inside[1]) {
			deposit("Utility", "IfElseFallbackCalled", errorEvent{badOrigin})
		} else {
			return s, nil, false
		}
	case "execute":
		deposit("Council", "MemberExecuted", resultEvent{result(call(c.inside[0]))})
	default:
		panic(c.name)
	}
	return s, events, true
}

// encode returns the call as it stands in an extrinsic.
func (c *simCall) encode(w *world) []byte {
	var inside []anyCall
	for _, i := range c.inside {
		inside = append(inside, anyCall{i.encode(w)})
	}
	someone := keyring.AddressOf(w.user.AccountID())
	switch c.name {
	case "raw":
		return c.raw
	case "remark":
		return w.call("System", c.name, fmt.Appendf(nil, "remark %d", c.id))
	case "burn":
		return w.call("Balances", c.name, burnArgs{})
	case "invoke":
		return w.call(bridgePallet, c.name, integritee.InvokeArgs{Request: integritee.Request{Shard: c.shard, Cyphertext: fmt.Appendf(nil, "ciphertext %d", c.id)}})
	case "shield_funds":
		return w.call(bridgePallet, c.name, integritee.ShieldFundsArgs{Shard: c.shard, Amount: amount(5)})
	case "unshield_funds":
		p := c.payment()
		return w.call(bridgePallet, c.name, integritee.UnshieldFundsArgs{Shard: c.shard, Beneficiary: p.Beneficiary, Amount: p.Amount, CallHash: p.CallHash})
	case "confirm_processed_parentchain_block":
		return w.call(bridgePallet, c.name, integritee.ConfirmArgs{Shard: c.shard})
	case "batch", "batch_all", "force_batch":
		return w.call("Utility", c.name, batchArgs{inside})
	case "as_derivative":
		return w.call("Utility", c.name, derivativeArgs{7, inside[0]})
	case "with_weight":
		return w.call("Utility", c.name, withWeightArgs{Call: inside[0]})
	case "dispatch_as", "dispatch_as_fallible":
		return w.call("Utility", c.name, dispatchAsArgs{Call: inside[0]})
	case "if_else":
		return w.call("Utility", c.name, ifElseArgs{inside[0], inside[1]})
	case "proxy":
		return w.call("Proxy", c.name, proxyArgs{Real: someone, Call: inside[0]})
	case "proxy_announced":
		return w.call("Proxy", c.name, proxyAnnouncedArgs{Delegate: someone, Real: someone, Call: inside[0]})
	case "as_multi_threshold_1":
		return w.call("Multisig", c.name, threshold1Args{[]keyring.AccountID{{1}}, inside[0]})
	case "as_multi":
		if w.meta == oldMultisigRuntime() {
			return w.call("Multisig", c.name, asMultiOpaqueArgs{Threshold: 2, Call: opaqueCall{scale.CompactU32(len(inside[0].scale)), inside[0]}})
		}
		return w.call("Multisig", c.name, asMultiArgs{Threshold: 2, Call: inside[0]})
	case "sudo":
		return w.call("Sudo", c.name, callArgs{inside[0]})
	case "sudo_unchecked_weight":
		return w.call("Sudo", c.name, withWeightArgs{Call: inside[0]})
	case "sudo_as":
		return w.call("Sudo", c.name, sudoAsArgs{someone, inside[0]})
	case "schedule":
		return w.call("Scheduler", c.name, scheduleArgs{When: 9, Call: inside[0]})
	case "execute":
		return w.call("Council", c.name, callArgs{inside[0]})
	}
	panic(c.name)
}

// addSim adds an extrinsic with the call, and the events of its execution. It
// returns these and the position of the first.
func (b *builder) addSim(c *simCall, s simState) (_ simState, at uint32, events []simEvent) {
	b.w.t.Helper()
	return b.addSimAs(b.w.sign(b.w.user, c.encode(b.w)), c, s)
}

// addSimAs is addSim with the extrinsic given.
func (b *builder) addSimAs(raw []byte, c *simCall, s simState) (_ simState, at uint32, events []simEvent) {
	b.w.t.Helper()
	b.add(raw)
	index := b.index - 1
	phase := system.Phase{ApplyExtrinsic: &index}
	b.deposit(phase, event{"Balances", "Withdraw", struct {
		Who    keyring.AccountID
		Amount scale.U128
	}{}})
	at = b.records
	s, events, ok := c.run(b.w, s)
	for _, e := range events {
		b.deposit(phase, e.event)
	}
	if ok {
		b.deposit(phase, success)
	} else {
		b.deposit(phase, failed)
	}
	return s, at, events
}

func newNestedWorld(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	return newWorldOf(t, newMultisigRuntime(), change...)
}
