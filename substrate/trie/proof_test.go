package trie

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

type proofVector struct {
	Origin string  `json:"origin"`
	Root   string  `json:"root"`
	Key    string  `json:"key"`
	Value  *string `json:"value"`
	Proof  []string
}

func (v proofVector) decode(t testing.TB) (root hashing.Hash, proof [][]byte, key []byte) {
	t.Helper()
	for _, item := range v.Proof {
		proof = append(proof, unhex(t, item))
	}
	return hashing.Hash(unhex(t, v.Root)), proof, unhex(t, v.Key)
}

func proofVectors(t testing.TB) (out []proofVector) {
	t.Helper()
	raw, err := os.ReadFile("testdata/proofs.json")
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil || len(out) == 0 {
		t.Fatal("no proof vectors:", err)
	}
	return out
}

// TestVerifyVectors reads proofs of live chains and refuses them without any
// one of their items and with any of their bits flipped.
func TestVerifyVectors(t *testing.T) {
	for _, v := range proofVectors(t) {
		t.Run(v.Origin, func(t *testing.T) {
			root, proof, key := v.decode(t)
			got, err := Verify(root, proof, key)
			if err != nil {
				t.Fatal(err)
			}
			if got[0].Present != (v.Value != nil) || v.Value != nil && hex.EncodeToString(got[0].Value) != *v.Value {
				t.Errorf("value %x, present %v", got[0].Value, got[0].Present)
			}
			for i := range proof {
				if _, err := Verify(root, slices.Delete(slices.Clone(proof), i, i+1), key); !errors.Is(err, ErrIncomplete) {
					t.Errorf("without item %d: %v", i, err)
				}
				for bit := 0; bit < len(proof[i])*8; bit += 13 {
					tampered := slices.Clone(proof)
					tampered[i] = bytes.Clone(proof[i])
					tampered[i][bit/8] ^= 1 << (bit % 8)
					if _, err := Verify(root, tampered, key); !errors.Is(err, ErrProof) {
						t.Errorf("item %d, bit %d flipped: %v", i, bit, err)
					}
				}
			}
		})
	}
}

// TestProve proves present and absent keys of random tries and tampers with
// the proofs.
func TestProve(t *testing.T) {
	r := newRand(t)
	for range 300 {
		entries := randomEntries(r, r.IntN(60))
		tr := build(entries)
		all := slices.Sorted(maps.Keys(entries))
		var keys [][]byte
		for range 1 + r.IntN(4) {
			key := []byte{byte(r.IntN(256)), byte(r.IntN(4))}[:r.IntN(3)]
			if len(all) > 0 && r.IntN(4) > 0 {
				key = []byte(all[r.IntN(len(all))])
				if r.IntN(4) == 0 {
					key = append(key, byte(r.IntN(256)))
				}
			}
			keys = append(keys, key)
		}
		for _, v := range []Version{V0, V1} {
			root, proof := tr.Root(v), tr.Prove(v, keys...)
			r.Shuffle(len(proof), func(i, j int) { proof[i], proof[j] = proof[j], proof[i] })
			got, err := Verify(root, proof, keys...)
			if err != nil {
				t.Fatalf("V%d: %v\nkeys %x\nentries %x", v, err, keys, entries)
			}
			for i, key := range keys {
				want, present := entries[string(key)]
				if got[i].Present != present || !bytes.Equal(got[i].Value, want) || present == (got[i].Value == nil) {
					t.Fatalf("V%d: key %x: %+v, want %x", v, key, got[i], want)
				}
			}
			for i := range proof {
				if _, err := Verify(root, slices.Delete(slices.Clone(proof), i, i+1), keys...); !errors.Is(err, ErrIncomplete) {
					t.Fatalf("V%d: without item %d: %v", v, i, err)
				}
			}
			if _, err := Verify(root, append(slices.Clone(proof), []byte("more")), keys...); !errors.Is(err, ErrUnused) {
				t.Fatalf("padded: %v", err)
			}
			if _, err := Verify(root, append(slices.Clone(proof), bytes.Clone(proof[0])), keys...); !errors.Is(err, ErrDuplicate) {
				t.Fatalf("doubled: %v", err)
			}
			if _, err := Verify(root, proof); !errors.Is(err, ErrUnused) {
				t.Fatalf("for no key: %v", err)
			}
			// A proof for more keys than asked about is refused unless the
			// other paths are part of this one.
			if more := tr.Prove(v, append(slices.Clone(keys), []byte(pick(all)))...); len(more) > len(proof) {
				if _, err := Verify(root, more, keys...); !errors.Is(err, ErrUnused) {
					t.Fatalf("over-complete: %v", err)
				}
			}
		}
	}
}

func pick(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return all[len(all)/2]
}

// TestVerifyRefuses lists malformed nodes at the places where a trusted root
// or parent leads to them.
func TestVerifyRefuses(t *testing.T) {
	h32 := bytes.Repeat([]byte{7}, 32)
	short := []byte{0x41, 0x0a, 0x04, 0xbb} // a leaf of fewer than 32 bytes
	tests := []struct {
		name  string
		root  []byte
		more  [][]byte
		key   []byte
		wants error
	}{
		{"no bytes", []byte{}, nil, nil, ErrNode},
		{"empty trie and more", []byte{0, 0}, nil, nil, ErrNode},
		{"escape of a compact proof", []byte{1}, nil, nil, ErrNode},
		{"unknown kind", []byte{0x08, 0}, nil, nil, ErrNode},
		{"trailing byte", []byte{0x42, 0xaa, 0x04, 0xbb, 0}, nil, nil, ErrNode},
		{"value cut", []byte{0x42, 0xaa, 0x08, 0xbb}, nil, nil, ErrNode},
		{"partial key cut", []byte{0x44, 0xaa}, nil, nil, ErrNode},
		{"length without end", []byte{0x7f, 0xff}, nil, nil, ErrNode},
		{"padding of an odd key", []byte{0x41, 0x1a, 0x04, 0xbb}, nil, nil, ErrNode},
		{"value length not minimal", []byte{0x42, 0xaa, 0x05, 0x00, 0xbb}, nil, nil, ErrNode},
		{"branch without children", []byte{0xc0, 0, 0, 0x04, 0xbb}, nil, nil, ErrNode},
		{"branch of nothing", []byte{0x80, 0, 0}, nil, nil, ErrNode},
		{"branch with one child and no value", append([]byte{0x80, 1, 0, 0x80}, h32...), nil, nil, ErrNode},
		{"child of no bytes", append([]byte{0x80, 3, 0, 0, 0x80}, h32...), nil, nil, ErrNode},
		{"child of 33 bytes", append(append([]byte{0xc0, 1, 0, 0, 0x84}, h32...), 1), nil, nil, ErrNode},
		{"short node listed apart", append([]byte{0xc0, 1, 0, 0, 0x80}, sum(short)...), [][]byte{short}, []byte{0x0a}, ErrNode},
		{"short value listed apart", append([]byte{0x22, 0xaa}, sum([]byte{1})...), [][]byte{{1}}, []byte{0xaa}, ErrNode},
		{"inline child is garbage", []byte{0xc0, 1, 0, 0, 0x04, 0x01}, nil, []byte{0x0a}, ErrNode},
		{"empty trie as a child", []byte{0xc0, 1, 0, 0, 0x04, 0x00}, nil, []byte{0x0a}, ErrNode},
		{"node missing", append([]byte{0xc0, 1, 0, 0, 0x80}, h32...), nil, []byte{0x0a}, ErrIncomplete},
		{"value missing", append([]byte{0x22, 0xaa}, h32...), nil, []byte{0xaa}, ErrIncomplete},
		{"value not asked for", append([]byte{0x22, 0xaa}, sum(make([]byte, 33))...), [][]byte{make([]byte, 33)}, []byte{0xab}, ErrUnused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Verify(hashing.Blake2b256(tt.root), append([][]byte{tt.root}, tt.more...), tt.key)
			if !errors.Is(err, tt.wants) || !errors.Is(err, ErrProof) || got != nil {
				t.Errorf("got %v, %v; want %v", got, err, tt.wants)
			}
		})
	}
	if _, err := Verify(EmptyRoot, nil, []byte{1}); !errors.Is(err, ErrIncomplete) {
		t.Errorf("empty trie without its node: %v", err)
	}
	if got, err := Verify(EmptyRoot, [][]byte{{0}}, []byte{1}, nil); err != nil || got[0].Present || got[1].Present {
		t.Errorf("empty trie: %v, %v", got, err)
	}
}

// encodeDecoded writes a node of a proof back.
func encodeDecoded(n *decoded) []byte {
	branch, bitmap := false, uint16(0)
	for i, c := range n.children {
		if c != nil {
			branch, bitmap = true, bitmap|1<<i
		}
	}
	out := append(refHeader(branch, n.hasValue, n.valueHash != nil, n.nibbles), n.partial...)
	if branch {
		out = scale.AppendU16(out, bitmap)
	}
	if n.valueHash != nil {
		out = append(out, n.valueHash...)
	} else if n.hasValue {
		out = scale.AppendBytes(out, n.value)
	}
	for _, c := range n.children {
		if c != nil {
			out = scale.AppendBytes(out, c)
		}
	}
	return out
}

// FuzzNode checks that a node that is accepted has one encoding only.
func FuzzNode(f *testing.F) {
	for _, v := range proofVectors(f) {
		_, proof, _ := v.decode(f)
		for _, item := range proof {
			f.Add(item)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var n decoded
		if n.decode(b) == nil {
			if got := encodeDecoded(&n); !bytes.Equal(got, b) {
				t.Errorf("%x encodes again as %x", b, got)
			}
		}
	})
}

// FuzzVerify checks that a proof that is accepted is used whole: it is refused
// without its last item.
func FuzzVerify(f *testing.F) {
	for _, v := range proofVectors(f) {
		_, proof, key := v.decode(f)
		for i := range proof { // any item may be the one that the root names
			f.Add(scale.MustMarshal(append([][]byte{proof[i]}, proof...)), key)
		}
	}
	f.Fuzz(func(t *testing.T, encoded, key []byte) {
		var proof [][]byte
		if scale.Unmarshal(encoded, &proof) != nil || len(proof) == 0 {
			return
		}
		root, proof := hashing.Blake2b256(proof[0]), proof[1:]
		got, err := Verify(root, proof, key)
		if (err == nil) != (len(got) == 1) || err != nil && !errors.Is(err, ErrProof) {
			t.Fatalf("%v, %v", got, err)
		}
		if err == nil {
			if _, err := Verify(root, proof[:len(proof)-1], key); !errors.Is(err, ErrIncomplete) {
				t.Errorf("without the last item: %v", err)
			}
		}
	})
}
