package enclave

import (
	"fmt"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// Limits of what is read of an extrinsic; one beyond them is not read at all.
// They decide which invocations are found, so they are part of every shard's
// history. No chain comes near: FRAME decodes calls to a depth of 256, and a
// block of 5 MiB has room for 13,000 encrypted invocations.
const (
	maxCallDepth = 256
	maxCalls     = 1 << 16
)

// callNode is a call of an extrinsic that matters: one of ours, or one that
// dispatches others.
type callNode struct {
	kind     callKind
	report   signalKind // of callReported
	invoke   *integritee.Request
	shield   *integritee.ShieldFundsArgs
	unshield *integritee.UnshieldFundsArgs

	// Of a dispatcher:
	count  int         // calls inside
	inside []innerCall // those that matter, by ascending position
	hash   hashing.Hash
	opaque []byte // the call inside, if a hash of it is needed
}

type innerCall struct {
	at   int
	node *callNode
}

// callHash is by what Multisig names the call inside.
func (n *callNode) callHash() hashing.Hash {
	if n.opaque != nil {
		n.hash, n.opaque = hashing.Blake2b256(n.opaque), nil
	}
	return n.hash
}

// foundCalls is what an extrinsic's call tree holds for us, dispatched or not.
type foundCalls struct {
	top    callKind                    // what the extrinsic's own call is
	now    uint64                      // of a top-level Timestamp.set
	shield *integritee.ShieldFundsArgs // of a top-level shield_funds
	root   *callNode                   // nil if nothing in the tree matters

	// All in the tree, depth first.
	invokes   []*integritee.Request
	shields   []*integritee.ShieldFundsArgs
	unshields []*integritee.UnshieldFundsArgs
	confirms  []*integritee.ConfirmArgs
}

// walk reads an extrinsic's call tree. An error means that the tree is not
// what the metadata says, and then nothing in it was found: the runtime would
// not have dispatched it either. Calls behind a length of their own, which the
// runtime decodes late, are the exception: they are unknown then.
func (r *runtimeInfo) walk(call []byte) (foundCalls, error) {
	t := treeReader{r: r}
	if len(call) < 2 {
		return t.foundCalls, scale.ErrShort
	}
	info := r.calls[[2]byte(call)]
	if info == nil {
		return t.foundCalls, nil // most extrinsics: nothing to look at
	}
	t.top = info.kind
	d := scale.NewDecoder(call)
	t.root = t.call(d, 0)
	if err := d.Finish(); err != nil {
		return foundCalls{}, fmt.Errorf("calls: %w", err)
	}
	return t.foundCalls, nil
}

type treeReader struct {
	foundCalls
	r     *runtimeInfo
	nodes int
}

// call reads one call; nil if it does not matter.
func (t *treeReader) call(d *scale.Decoder, depth int) *callNode {
	ahead := *d
	var index [2]byte
	ahead.Read(index[:])
	info := t.r.calls[index]
	if info == nil || info.kind == callUnknown {
		t.r.meta.Skip(d, t.r.meta.Outer.Call)
		if info == nil {
			return nil
		}
		return t.node(d, info.kind)
	}
	*d = ahead
	n := t.node(d, info.kind)
	switch info.kind {
	case callInvoke:
		var a integritee.InvokeArgs
		d.Decode(&a)
		n.invoke = &a.Request
		t.invokes = append(t.invokes, n.invoke)
	case callShield:
		n.shield = t.r.layout.decodeShield(d)
		if depth == 0 {
			t.shield = n.shield
		}
		t.shields = append(t.shields, n.shield)
	case callTimestamp:
		now := d.CompactU64()
		if depth == 0 {
			t.now = now
		}
	case callUnshield:
		n.unshield = t.r.layout.decodeUnshield(d)
		t.unshields = append(t.unshields, n.unshield)
	case callConfirm:
		t.confirms = append(t.confirms, t.r.layout.decodeConfirm(d))
	default:
		n.report = info.report
		t.dispatcher(d, n, info.args, depth+1)
	}
	return n
}

func (t *treeReader) node(d *scale.Decoder, kind callKind) *callNode {
	if t.nodes++; t.nodes > maxCalls {
		d.Fail(fmt.Errorf("%w: more than %d calls in one", scale.ErrInvalid, maxCalls))
	}
	return &callNode{kind: kind}
}

// dispatcher reads the arguments of a call that dispatches others.
func (t *treeReader) dispatcher(d *scale.Decoder, n *callNode, args []argInfo, depth int) {
	if depth > maxCallDepth {
		d.Fail(fmt.Errorf("calls: %w", scale.ErrDepth))
	}
	for _, a := range args {
		if d.Err() != nil {
			return
		}
		start := d.Offset()
		switch a.kind {
		case argOther:
			t.r.meta.Skip(d, a.typ)
		case argCall:
			n.add(t.call(d, depth))
			n.opaque = d.Since(start)
		case argCalls:
			for left := d.Length(2); left > 0 && d.Err() == nil; left-- {
				n.add(t.call(d, depth))
			}
		case argOpaque:
			n.opaque = d.BytesNoCopy()
			inner := scale.NewDecoder(n.opaque)
			call := t.call(inner, depth)
			if inner.Finish() != nil {
				call = t.node(d, callUnknown)
			}
			n.add(call)
		}
	}
}

func (n *callNode) add(inside *callNode) {
	if inside != nil {
		n.inside = append(n.inside, innerCall{n.count, inside})
	}
	n.count++
}

// at returns the call at a position, nil if it does not matter.
func (n *callNode) at(i int) *callNode {
	for _, c := range n.inside {
		if c.at == i {
			return c.node
		}
	}
	return nil
}
