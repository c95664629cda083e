package grandpa

import (
	"fmt"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/header"
)

// The items of GRANDPA's log in a digest that change the authority set. There
// are others (3 OnDisabled, 4 Pause, 5 Resume); they change no set.
const (
	logScheduledChange = 1
	logForcedChange    = 2
)

// Change is a change of the authority set that a header announces.
type Change struct {
	Next   []Authority
	Delay  header.Number // blocks after the announcing one; the last block of the old set
	Median header.Number // forced changes only: the last block finalized before, as the chain saw it
}

// ScheduledChange returns the change that h's digest announces, nil if there
// is none. Of several, the first counts, but a forced one takes precedence
// over scheduled ones. The error wraps ErrMalformed or ErrAuthorities; nodes
// would not import such a block.
func ScheduledChange(h *header.Header) (change *Change, forced bool, err error) {
	for _, item := range h.Digest {
		if item.Kind != header.DigestConsensus || item.Engine != header.EngineGrandpa || len(item.Data) == 0 {
			continue
		}
		kind := item.Data[0]
		if kind != logForcedChange && (kind != logScheduledChange || change != nil) {
			continue
		}
		c, err := decodeChange(item.Data)
		if err != nil {
			return nil, false, fmt.Errorf("block %d: %w", h.Number, err)
		}
		if kind == logForcedChange {
			return c, true, nil
		}
		change = c
	}
	return change, false, nil
}

func decodeChange(b []byte) (*Change, error) {
	var c Change
	d := scale.NewDecoder(b)
	if d.U8() == logForcedChange {
		c.Median = header.Number(d.U32())
	}
	d.Decode(&c.Next)
	c.Delay = header.Number(d.U32())
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("%w: authority set change: %w", ErrMalformed, err)
	}
	if err := CheckAuthorities(c.Next); err != nil {
		return nil, err
	}
	return &c, nil
}

// DigestItem returns the digest item that announces c as a scheduled change.
func (c *Change) DigestItem() header.DigestItem {
	return item(c.appendTo([]byte{logScheduledChange}))
}

// ForcedDigestItem returns the digest item that announces c as a forced change.
func (c *Change) ForcedDigestItem() header.DigestItem {
	return item(c.appendTo(scale.AppendU32([]byte{logForcedChange}, uint32(c.Median))))
}

func item(data []byte) header.DigestItem {
	return header.DigestItem{Kind: header.DigestConsensus, Engine: header.EngineGrandpa, Data: data}
}

func (c *Change) appendTo(b []byte) []byte {
	b = append(b, scale.MustMarshal(c.Next)...)
	return scale.AppendU32(b, uint32(c.Delay))
}
