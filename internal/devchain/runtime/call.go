package runtime

import (
	"fmt"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// maxCallDepth is how deep calls may be nested in calls, the outermost included.
// Substrate counts boxes and vectors and allows as many (MAX_EXTRINSIC_DEPTH).
const maxCallDepth = 256

// RuntimeCall is a decoded call of any pallet, as an argument of calls that
// dispatch others. It can be dispatched once, since the callee may keep the
// arguments.
type RuntimeCall struct {
	raw  []byte // pallet index, call index, arguments
	call *pallet.Call
	args pallet.Args
}

// MetadataOuter names the type in metadata.
func (RuntimeCall) MetadataOuter() string { return "RuntimeCall" }

// AppendSCALE appends the bytes.
func (c RuntimeCall) AppendSCALE(b []byte) []byte { return append(b, c.raw...) }

// callContext is the context of a Decoder that reads calls: the runtime, whose
// indexes decide on their layout.
type callContext struct {
	rt    *Runtime
	input []byte // of the Decoder
	depth int    // calls around this one
}

// decoder returns a Decoder that can read calls.
func (r *Runtime) decoder(b []byte, depth int) *scale.Decoder {
	d := scale.NewDecoder(b)
	d.SetContext(&callContext{r, b, depth})
	return d
}

// DecodeSCALE reads a call with its arguments. The Decoder must come from a
// Runtime.
func (c *RuntimeCall) DecodeSCALE(d *scale.Decoder) {
	ctx, ok := d.Context().(*callContext)
	switch {
	case d.Err() != nil:
		return
	case !ok:
		d.Fail(fmt.Errorf("%w: a call cannot be read without its runtime", scale.ErrInvalid))
		return
	case ctx.depth >= maxCallDepth:
		d.Fail(fmt.Errorf("%w: %d calls in each other", scale.ErrDepth, ctx.depth+1))
		return
	}
	// A Decoder of its own, so that the nesting of arguments does not add up.
	inner := ctx.rt.decoder(ctx.input[d.Offset():], ctx.depth+1)
	index := [2]byte{inner.U8(), inner.U8()}
	if inner.Err() == nil {
		if c.call = ctx.rt.callOf(index); c.call == nil {
			inner.Fail(fmt.Errorf("%w: no call %d of pallet %d", scale.ErrInvalid, index[1], index[0]))
		} else if args, err := c.call.Decode(inner); err != nil {
			inner.Fail(err)
		} else {
			c.args = args
		}
	}
	c.raw = d.Fixed(inner.Offset())
	d.Fail(inner.Err())
}

// decodeCall reads a call that takes up all of b.
func (r *Runtime) decodeCall(b []byte) (*RuntimeCall, error) {
	c, d := new(RuntimeCall), r.decoder(b, 0)
	c.DecodeSCALE(d)
	if err := d.Finish(); err != nil {
		return nil, err
	}
	return c, nil
}

// callOf returns the call of an index, nil if there is none.
func (r *Runtime) callOf(index [2]byte) *pallet.Call {
	if p := r.byIndex[index[0]]; p != nil {
		return p.Call(index[1])
	}
	return nil
}

// hash is how pallets name a call.
func (c *RuntimeCall) hash() hashing.Hash { return hashing.Blake2b256(c.raw) }

// is reports whether the call is one of a pallet's, by name; without names,
// whether it is any of them.
func (r *Runtime) is(c *RuntimeCall, pallet string, names ...string) bool {
	p := r.byIndex[c.raw[0]]
	if p.Name != pallet {
		return false
	}
	for _, n := range names {
		if c.call.Name == n {
			return true
		}
	}
	return len(names) == 0
}

// dispatch runs a call on behalf of an origin, if its filters let the call
// through. As in FRAME every call has a storage layer of its own: a call that
// fails leaves neither writes nor events.
func (c *Context) dispatch(o Origin, call *RuntimeCall) error {
	if !o.allows(call) {
		return errCallFiltered
	}
	return c.dispatchUnfiltered(o, call)
}

// dispatchUnfiltered is dispatch whatever the filters say.
func (c *Context) dispatchUnfiltered(o Origin, call *RuntimeCall) error {
	outer := c.origin
	defer func() { c.origin = outer }()
	c.origin = o
	return c.nested(func() error { return call.call.Run(c, call.args) })
}
