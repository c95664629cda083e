package grandpa

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/header"
)

func TestScheduledChange(t *testing.T) {
	_, authorities := newKeys(3)
	one := &Change{Next: authorities[:1]}
	two := &Change{Next: authorities[1:], Delay: 7}
	forced := &Change{Next: authorities, Delay: 2, Median: 1 << 20}
	grandpa := func(data ...byte) header.DigestItem { return item(data) }
	otherEngine := one.DigestItem()
	otherEngine.Engine = [4]byte{'B', 'A', 'B', 'E'}
	seal := one.DigestItem()
	seal.Kind = header.DigestSeal

	tests := []struct {
		name   string
		digest []header.DigestItem
		want   *Change
		forced bool
		err    error
	}{
		{name: "no digest"},
		{name: "other items", digest: []header.DigestItem{otherEngine, seal, grandpa(3, 0, 0, 0, 0, 0, 0, 0, 0), grandpa(4, 1, 0, 0, 0), grandpa(9, 9), grandpa()}},
		{name: "scheduled", digest: []header.DigestItem{otherEngine, one.DigestItem()}, want: one},
		{name: "the first counts", digest: []header.DigestItem{two.DigestItem(), one.DigestItem()}, want: two},
		{name: "forced", digest: []header.DigestItem{forced.ForcedDigestItem()}, want: forced, forced: true},
		{name: "forced before scheduled", digest: []header.DigestItem{one.DigestItem(), forced.ForcedDigestItem()}, want: forced, forced: true},
		{name: "nobody", digest: []header.DigestItem{(&Change{}).DigestItem()}, err: ErrAuthorities},
		{name: "no weight", digest: []header.DigestItem{(&Change{Next: []Authority{{}}}).DigestItem()}, err: ErrAuthorities},
		{name: "cut", digest: []header.DigestItem{grandpa(1, 4, 0)}, err: ErrMalformed},
		{name: "trailing", digest: []header.DigestItem{grandpa(append(one.DigestItem().Data, 0)...)}, err: ErrMalformed},
		{name: "forced is cut", digest: []header.DigestItem{grandpa(2, 0)}, err: ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := &header.Header{Number: 3, Digest: tt.digest}
			got, isForced, err := ScheduledChange(h)
			if !errors.Is(err, tt.err) || isForced != tt.forced {
				t.Errorf("forced %v, %v", isForced, err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestDigestItemBytes pins the layout: index, compact count, key and weight,
// delay as four bytes.
func TestDigestItemBytes(t *testing.T) {
	c := &Change{Next: []Authority{{ID: [32]byte{1, 31: 2}, Weight: 3}}, Delay: 4, Median: 5}
	body := slices.Concat([]byte{4, 1}, make([]byte, 30), []byte{2, 3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0})
	if got, want := c.DigestItem().Data, append([]byte{1}, body...); !bytes.Equal(got, want) {
		t.Errorf("scheduled %x, want %x", got, want)
	}
	if got, want := c.ForcedDigestItem().Data, append([]byte{2, 5, 0, 0, 0}, body...); !bytes.Equal(got, want) {
		t.Errorf("forced %x, want %x", got, want)
	}
}

func TestFinalityProof(t *testing.T) {
	blocks := chain(&header.Header{}, 3, 0)
	want := &FinalityProof{Block: blocks[2].Hash(), Justification: []byte{1, 2}, UnknownHeaders: headers(blocks...)}
	raw := want.AppendSCALE(nil)
	got, err := DecodeFinalityProof(raw)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for i := range raw {
		if got, err := DecodeFinalityProof(raw[:i]); !errors.Is(err, ErrMalformed) || got != nil {
			t.Errorf("cut at %d: %v, %v", i, got, err)
		}
	}
	if _, err := DecodeFinalityProof(append(raw, 0)); !errors.Is(err, scale.ErrTrailing) {
		t.Error("trailing byte:", err)
	}
	many := slices.Concat(make([]byte, 33), scale.AppendCompact(nil, MaxUnknownHeaders+1), make([]byte, minHeaderSize*(MaxUnknownHeaders+1)))
	if _, err := DecodeFinalityProof(many); !errors.Is(err, ErrMalformed) {
		t.Error("too many headers:", err)
	}
}

func FuzzFinalityProof(f *testing.F) {
	blocks := chain(&header.Header{}, 2, 0)
	_, authorities := newKeys(2)
	blocks[1].Digest = append(blocks[1].Digest, (&Change{Next: authorities}).DigestItem(), (&Change{Next: authorities}).ForcedDigestItem())
	f.Add((&FinalityProof{Block: blocks[1].Hash(), Justification: []byte{1}, UnknownHeaders: headers(blocks...)}).AppendSCALE(nil))
	f.Add(new(FinalityProof).AppendSCALE(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodeFinalityProof(b)
		if err != nil {
			if p != nil || !errors.Is(err, ErrMalformed) {
				t.Fatal(p, err)
			}
			return
		}
		if got := p.AppendSCALE(nil); !bytes.Equal(got, b) {
			t.Errorf("%x encodes again as %x", b, got)
		}
		for i := range p.UnknownHeaders {
			if c, forced, err := ScheduledChange(&p.UnknownHeaders[i]); err == nil && c != nil && !forced && len(c.Next) == 0 {
				t.Error("an empty set")
			}
		}
	})
}
