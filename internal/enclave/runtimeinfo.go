package enclave

import (
	"errors"

	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// callKind is a call that the core understands.
type callKind uint8

const (
	callOther callKind = iota // of no interest, or only stored for later
	callInvoke
	callShield
	callTimestamp
	callUnshield
	callConfirm

	// Calls that dispatch other calls. What an execution of them deposits, says
	// matcher.ran.
	callBatch
	callBatchAll
	callForceBatch
	callPass       // as_derivative, with_weight: nothing but the call inside
	callThreshold1 // as_multi_threshold_1: the same, newer ones report
	callReported   // dispatch_as, proxy, sudo: an event tells the result
	callMulti      // as_multi: reports if it was the last approval
	callIfElse
	callUnknown // takes calls as arguments and may or may not dispatch them
)

// signalKind is an event that tells which calls of an extrinsic ran.
type signalKind uint8

const (
	signalNone signalKind = iota
	signalInvoked
	signalPaid
	signalShielded // legacy only: else the event says all
	signalItemCompleted
	signalItemFailed
	signalBatchInterrupted
	signalBatchCompleted
	signalBatchCompletedWithErrors
	signalDispatchedAs
	signalIfElseMain
	signalIfElseFallback
	signalProxyExecuted
	signalMultisigExecuted
	signalSudid
	signalSudoAsDone
)

// signalShape is what an event must look like to be understood.
type signalShape uint8

const (
	shapeAny    signalShape = iota
	shapeIndex              // begins with a u32
	shapeResult             // a Result
	shapeMulti              // three fields, a hash, a Result
)

var signalNames = []struct {
	pallet, event string
	kind          signalKind
	shape         signalShape
}{
	{"Utility", "ItemCompleted", signalItemCompleted, shapeAny},
	{"Utility", "ItemFailed", signalItemFailed, shapeAny},
	{"Utility", "BatchInterrupted", signalBatchInterrupted, shapeIndex},
	{"Utility", "BatchCompleted", signalBatchCompleted, shapeAny},
	{"Utility", "BatchCompletedWithErrors", signalBatchCompletedWithErrors, shapeAny},
	{"Utility", "DispatchedAs", signalDispatchedAs, shapeResult},
	{"Utility", "IfElseMainSuccess", signalIfElseMain, shapeAny},
	{"Utility", "IfElseFallbackCalled", signalIfElseFallback, shapeAny},
	{"Proxy", "ProxyExecuted", signalProxyExecuted, shapeResult},
	{"Multisig", "MultisigExecuted", signalMultisigExecuted, shapeMulti},
	{"Sudo", "Sudid", signalSudid, shapeResult},
	{"Sudo", "SudoAsDone", signalSudoAsDone, shapeResult},
}

// dispatcherNames are the calls that dispatch others in a way that is known.
// Each needs the events by which its executions can be told apart; in a runtime
// without them it is unknown.
var dispatcherNames = []struct {
	pallet, call string
	kind         callKind
	calls        int // arguments that are calls
	needs        []signalKind
}{
	{"Utility", "batch", callBatch, 1, []signalKind{signalItemCompleted, signalBatchInterrupted, signalBatchCompleted}},
	{"Utility", "batch_all", callBatchAll, 1, []signalKind{signalItemCompleted, signalBatchCompleted}},
	{"Utility", "force_batch", callForceBatch, 1, []signalKind{signalItemCompleted, signalItemFailed, signalBatchCompleted, signalBatchCompletedWithErrors}},
	{"Utility", "as_derivative", callPass, 1, nil},
	{"Utility", "with_weight", callPass, 1, nil},
	{"Utility", "dispatch_as", callReported, 1, []signalKind{signalDispatchedAs}},
	{"Utility", "dispatch_as_fallible", callReported, 1, []signalKind{signalDispatchedAs}},
	{"Utility", "if_else", callIfElse, 2, []signalKind{signalIfElseMain, signalIfElseFallback}},
	{"Proxy", "proxy", callReported, 1, []signalKind{signalProxyExecuted}},
	{"Proxy", "proxy_announced", callReported, 1, []signalKind{signalProxyExecuted}},
	{"Multisig", "as_multi_threshold_1", callThreshold1, 1, []signalKind{signalMultisigExecuted}},
	{"Multisig", "as_multi", callMulti, 1, []signalKind{signalMultisigExecuted}},
	{"Sudo", "sudo", callReported, 1, []signalKind{signalSudid}},
	{"Sudo", "sudo_unchecked_weight", callReported, 1, []signalKind{signalSudid}},
	{"Sudo", "sudo_as", callReported, 1, []signalKind{signalSudoAsDone}},
}

// storingNames are calls that keep a call for a later block and dispatch
// nothing themselves.
var storingNames = [][2]string{
	{"Scheduler", "schedule"}, {"Scheduler", "schedule_named"}, {"Scheduler", "schedule_after"}, {"Scheduler", "schedule_named_after"},
}

// argKind says whether an argument of a call is, or holds, calls.
type argKind uint8

const (
	argOther  argKind = iota
	argCall           // a RuntimeCall, boxed or not
	argCalls          // Vec<RuntimeCall>
	argOpaque         // a RuntimeCall behind its length, which the chain decodes only when it runs
)

type argInfo struct {
	kind argKind
	typ  metadata.TypeID
}

// callInfo is a call that the core looks at.
type callInfo struct {
	kind   callKind
	report signalKind // of callReported
	args   []argInfo  // of a dispatcher
}

// signalInfo is an event that the core looks at.
type signalInfo struct {
	kind  signalKind
	shape signalShape
	lead  []metadata.TypeID // of shapeMulti: the types before the hash
}

// runtimeInfo is a runtime's metadata with what the core looks for in it.
type runtimeInfo struct {
	specVersion uint32
	meta        *metadata.Metadata
	layout      *layout
	calls       map[[2]byte]*callInfo
	signals     map[[2]byte]*signalInfo
	chain       *stf.ChainRuntime // for what the app reads
}

// newRuntimeInfo looks calls and events up. A runtime without the pallets is
// fine: it just holds nothing for us.
func newRuntimeInfo(specVersion uint32, m *metadata.Metadata) (*runtimeInfo, error) {
	if m == nil {
		return nil, errors.New("enclave: no metadata given")
	}
	r := &runtimeInfo{specVersion: specVersion, meta: m, layout: layoutOf(m), calls: map[[2]byte]*callInfo{}, signals: map[[2]byte]*signalInfo{}, chain: stf.NewChainRuntime(m)}
	known := map[signalKind]bool{}
	for _, s := range signalNames {
		if index, ok := m.EventIndex(s.pallet, s.event); ok {
			if info := r.signal(index, s.kind, s.shape); info != nil {
				r.signals[index], known[s.kind] = info, true
			}
		}
	}
	for event, kind := range map[eventKind]signalKind{eventInvoked: signalInvoked, eventPaid: signalPaid, eventShielded: signalShielded} {
		name := r.layout.events[event]
		if index, ok := m.EventIndex(name[0], name[1]); ok && (kind != signalShielded || r.layout.legacy) {
			r.signals[index] = &signalInfo{kind: kind}
		}
	}
	r.findDispatchers(known)
	for kind, name := range r.layout.calls {
		if index, ok := m.CallIndex(name[0], name[1]); ok {
			r.calls[index] = &callInfo{kind: kind}
		}
	}
	return r, nil
}

// signal returns how to read an event, nil if it does not look as expected.
func (r *runtimeInfo) signal(index [2]byte, kind signalKind, shape signalShape) *signalInfo {
	_, v, _ := r.meta.Event(index)
	info := &signalInfo{kind: kind, shape: shape}
	switch shape {
	case shapeIndex:
		if len(v.Fields) == 0 || !r.isPrimitive(v.Fields[0].Type, metadata.U32) {
			return nil
		}
	case shapeResult:
		if len(v.Fields) != 1 || !r.isResult(v.Fields[0].Type) {
			return nil
		}
	case shapeMulti:
		if len(v.Fields) != 5 || !r.isHash(v.Fields[3].Type) || !r.isResult(v.Fields[4].Type) {
			return nil
		}
		for _, f := range v.Fields[:3] {
			info.lead = append(info.lead, f.Type)
		}
	}
	return info
}

func (r *runtimeInfo) isPrimitive(id metadata.TypeID, p metadata.Primitive) bool {
	t := r.meta.Type(id)
	return t.Kind == metadata.KindPrimitive && t.Primitive == p
}

func (r *runtimeInfo) isResult(id metadata.TypeID) bool {
	t := r.meta.Type(id)
	return t.Kind == metadata.KindVariant && t.Name() == "Result" && len(t.Variants) == 2 &&
		t.Variants[0].Name == "Ok" && t.Variants[0].Index == 0 && t.Variants[1].Name == "Err" && t.Variants[1].Index == 1
}

func (r *runtimeInfo) isHash(id metadata.TypeID) bool {
	t := r.meta.Type(id)
	return t.Kind == metadata.KindArray && t.Len == uint32(len(hashing.Hash{})) && r.isPrimitive(t.Elem, metadata.U8)
}

// findDispatchers fills in the calls that take calls: those whose events are
// understood by name, all others as unknown.
func (r *runtimeInfo) findDispatchers(known map[signalKind]bool) {
	holding := r.typesHoldingCalls()
	for i := range r.meta.Pallets {
		p := &r.meta.Pallets[i]
		for _, v := range r.meta.Variants(p.Calls) {
			for _, f := range v.Fields {
				if holding[f.Type] {
					r.calls[[2]byte{p.Index, v.Index}] = &callInfo{kind: callUnknown, args: []argInfo{}}
				}
			}
		}
	}
	for _, name := range storingNames {
		if index, ok := r.meta.CallIndex(name[0], name[1]); ok {
			delete(r.calls, index)
		}
	}
	for _, d := range dispatcherNames {
		index, ok := r.meta.CallIndex(d.pallet, d.call)
		if !ok || r.calls[index] == nil {
			continue
		}
		for _, s := range d.needs {
			ok = ok && known[s]
		}
		_, v, _ := r.meta.Call(index)
		info := &callInfo{kind: d.kind}
		if d.kind == callReported {
			info.report = d.needs[0]
		}
		calls := 0
		for _, f := range v.Fields {
			kind := r.argKind(f.Type)
			info.args = append(info.args, argInfo{kind, f.Type})
			isBatch := d.kind == callBatch || d.kind == callBatchAll || d.kind == callForceBatch
			switch {
			case kind == argOther:
				ok = ok && !holding[f.Type]
			case (kind == argCalls) != isBatch:
				ok = false
			default:
				calls++
			}
		}
		if ok && calls == d.calls {
			r.calls[index] = info
		}
	}
}

// argKind unwraps structs of one field until calls or something else is found.
func (r *runtimeInfo) argKind(id metadata.TypeID) argKind {
	call := r.meta.Outer.Call
	for range 16 { // real ones have one or two
		if id == call {
			return argCall
		}
		t := r.meta.Type(id)
		switch {
		case t.Kind == metadata.KindSequence && t.Elem == call:
			return argCalls
		case t.Kind == metadata.KindComposite && len(t.Fields) == 1:
			id = t.Fields[0].Type
		case t.Kind == metadata.KindTuple && len(t.Tuple) == 1:
			id = t.Tuple[0]
		case t.Kind == metadata.KindComposite && len(t.Fields) == 2 && t.Fields[1].Type == call &&
			r.meta.Type(t.Fields[0].Type).Kind == metadata.KindCompact:
			return argOpaque // WrapperKeepOpaque, which metadata describes so
		default:
			return argOther
		}
	}
	return argOther
}

// typesHoldingCalls returns the types of which RuntimeCall is a part or a
// parameter. Bounded is left out: it is the form in which calls are stored.
func (r *runtimeInfo) typesHoldingCalls() map[metadata.TypeID]bool {
	users := map[metadata.TypeID][]metadata.TypeID{}
	for i := range r.meta.Types {
		t := &r.meta.Types[i]
		use := func(part metadata.TypeID) { users[part] = append(users[part], t.ID) }
		if t.Name() == "Bounded" {
			continue
		}
		for _, p := range t.Params {
			if p.Type != nil {
				use(*p.Type)
			}
		}
		for _, f := range t.Fields {
			use(f.Type)
		}
		for _, v := range t.Variants {
			for _, f := range v.Fields {
				use(f.Type)
			}
		}
		for _, part := range t.Tuple {
			use(part)
		}
		switch t.Kind {
		case metadata.KindSequence, metadata.KindArray:
			use(t.Elem)
		}
	}
	holding := map[metadata.TypeID]bool{r.meta.Outer.Call: true}
	for next := []metadata.TypeID{r.meta.Outer.Call}; len(next) > 0; {
		id := next[0]
		next = next[1:]
		for _, user := range users[id] {
			if !holding[user] {
				holding[user] = true
				next = append(next, user)
			}
		}
	}
	return holding
}
