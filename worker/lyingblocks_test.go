package worker

import (
	"bytes"
	"slices"

	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/trie"
)

var (
	byBody    = refused("lightclient.ErrExtrinsicsRoot", lightclient.ErrExtrinsicsRoot)
	byTarget  = refused("lightclient.ErrTarget", lightclient.ErrTarget)
	byLink    = refused("lightclient.ErrNotLinked", lightclient.ErrNotLinked)
	nonsense  = refused("parentchain.ErrNonsense", parentchain.ErrNonsense)
	notFound  = refused("parentchain.ErrNotFound", parentchain.ErrNotFound)
	notServed = refused("parentchain.ErrUnavailable", parentchain.ErrUnavailable)
)

// body is an attack by a forged body under a true header.
func body(name, lie string, change func(s *scene, x [][]byte) [][]byte) chainAttack {
	return chainAttack{attack{name, lie, byBody}, func(s *scene, f *forgery) { f.Extrinsics = change(s, f.Extrinsics) }}
}

// framed prefixes an extrinsic with its length.
func framed(x []byte) []byte { return scale.AppendBytes(nil, x) }

// unframed drops the length.
func unframed(x []byte) []byte { return scale.NewDecoder(x).Bytes() }

// last returns the position of the last extrinsic: the call for the shard.
func last(x [][]byte) int { return len(x) - 1 }

func blockAttacks() []chainAttack {
	return []chainAttack{
		body("forged extrinsic", "flips a bit of a call's ciphertext", func(_ *scene, x [][]byte) [][]byte {
			b := slices.Clone(x[last(x)])
			b[len(b)-1] ^= 1
			x[last(x)] = b
			return x
		}),
		body("forged sender", "flips a bit of who signed an extrinsic", func(_ *scene, x [][]byte) [][]byte {
			b := slices.Clone(x[last(x)])
			b[8] ^= 1
			x[last(x)] = b
			return x
		}),
		body("dropped extrinsic", "leaves a call out", func(_ *scene, x [][]byte) [][]byte { return x[:last(x)] }),
		body("empty body", "leaves all extrinsics out", func(*scene, [][]byte) [][]byte { return nil }),
		body("reordered extrinsics", "exchanges two", func(_ *scene, x [][]byte) [][]byte { slices.Reverse(x); return x }),
		body("duplicated extrinsic", "serves a call twice", func(_ *scene, x [][]byte) [][]byte { return append(x, x[last(x)]) }),
		body("truncated extrinsic", "cuts the end of a call off", func(_ *scene, x [][]byte) [][]byte {
			b := unframed(x[last(x)])
			x[last(x)] = framed(b[:len(b)-1])
			return x
		}),
		body("added extrinsic", "adds a call that is on no chain", func(s *scene, x [][]byte) [][]byte {
			return append(x, framed(append([]byte{5}, s.call("System", "remark", []byte("forged"))...)))
		}),
		body("replayed extrinsic", "adds a call of an earlier block", func(s *scene, x [][]byte) [][]byte {
			for n := s.chain.Best().Number() - 1; ; n-- {
				if b := s.chain.Block(n); len(b.Extrinsics) > len(x)-1 {
					return append(x, b.Extrinsics[last(b.Extrinsics)])
				}
			}
		}),
		body("body of another block", "serves the body of the block before", func(s *scene, _ [][]byte) [][]byte {
			return s.chain.Block(s.victim.Status().Number).Extrinsics
		}),
		body("time running backwards", "sets the timestamp of a block back", func(s *scene, x [][]byte) [][]byte {
			b := s.chain.Block(1)
			x[0] = b.Extrinsics[0]
			return x
		}),
		body("replayed confirmation", "serves a confirmation of an earlier block again, as if the new block were confirmed", func(s *scene, x [][]byte) [][]byte {
			index, _ := s.chain.Best().Runtime().Metadata.CallIndex("EnclaveBridge", "confirm_processed_parentchain_block")
			for n := s.chain.Best().Number(); n > 0; n-- {
				for _, raw := range s.chain.Block(n).Extrinsics {
					shard := s.shard()
					if bytes.Contains(raw, append(index[:], shard[:]...)) {
						return append(x, raw)
					}
				}
			}
			s.t.Error("no confirmation to replay")
			return x
		}),

		{attack{"wrong extrinsics root", "changes the root in the header, and the body with it", byTarget}, func(_ *scene, f *forgery) {
			f.Extrinsics = f.Extrinsics[:last(f.Extrinsics)]
			f.Header.ExtrinsicsRoot = trie.OrderedRoot(trie.V0, f.Extrinsics)
			f.rehash()
		}},
		{attack{"wrong state root", "changes the root in the header", byTarget}, func(_ *scene, f *forgery) {
			f.Header.StateRoot[0] ^= 1
			f.rehash()
		}},
		{attack{"wrong parent", "serves a header on another parent", byLink}, func(_ *scene, f *forgery) {
			f.Header.ParentHash[0] ^= 1
			f.rehash()
		}},
		{attack{"header of genesis as parent", "serves a header on block 0", byLink}, func(s *scene, f *forgery) {
			f.Header.ParentHash = s.chain.Genesis()
			f.rehash()
		}},
		{attack{"wrong number", "serves a header that leaves blocks out", nonsense}, func(_ *scene, f *forgery) {
			f.Header.Number += 10
			f.rehash()
		}},
		{attack{"digest dropped", "serves a header without its digest", byTarget}, func(_ *scene, f *forgery) {
			f.Header.Digest = nil
			f.Header.StateRoot[31] ^= 1
			f.rehash()
		}},
		{attack{"header of another hash", "serves a changed header under the true hash", nonsense}, func(_ *scene, f *forgery) {
			h := f.Header
			h.StateRoot = hashing.Hash{1}
			f.served = &h
		}},
		{attack{"an old block again", "serves the last committed block as the next one", nonsense}, func(s *scene, f *forgery) {
			b := s.chain.Block(s.victim.Status().Number)
			f.Header, f.Extrinsics, f.Justification, f.Hash = b.Header, b.Extrinsics, b.Justification, b.Hash
		}},
		{attack{"the block after the next", "leaves a block out", nonsense}, func(s *scene, f *forgery) {
			h := f.Header
			h.Number++
			h.ParentHash = f.Hash
			f.Header = h
			f.rehash()
		}},
	}
}
