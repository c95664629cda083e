package grandpa

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// vectors is where real data from outside lies; see the README there.
const vectors = "../../../shared/vectors/grandpa"

func readVector(t testing.TB, name string) []byte {
	t.Helper()
	path := filepath.Join(vectors, name)
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("%s is absent", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type finneyVector struct {
	setID         uint64
	authorities   []Authority
	header        *header.Header
	justification []byte
}

func finney(t testing.TB) finneyVector {
	t.Helper()
	var v struct {
		SetID                                              uint64
		Authorities, HeaderScale, BlockHash, Justification string
		Header                                             header.Header
	}
	if err := json.Unmarshal(readVector(t, "bittensor-finney-9183744.json"), &v); err != nil {
		t.Fatal(err)
	}
	out := finneyVector{setID: v.SetID, justification: unhex(t, v.Justification)}
	if err := scale.Unmarshal(unhex(t, v.Authorities), &out.authorities); err != nil {
		t.Fatal(err)
	}
	var err error
	if out.header, err = header.Decode(unhex(t, v.HeaderScale)); err != nil {
		t.Fatal(err)
	}
	want, err := hashing.ParseHash(v.BlockHash)
	if err != nil || out.header.Hash() != want || v.Header.Hash() != want {
		t.Fatalf("header hashes to %v and %v, want %v", out.header.Hash(), v.Header.Hash(), want)
	}
	return out
}

// fiveVoters returns a justification of set 0 with, as its authority set, its
// five voters and one more.
func fiveVoters(t testing.TB) ([]byte, []Authority) {
	t.Helper()
	raw := readVector(t, "five-voters-302592-set0.bin")
	j, err := DecodeJustification(raw)
	if err != nil {
		t.Fatal(err)
	}
	authorities := []Authority{{Weight: 1}}
	for _, p := range j.Precommits {
		authorities = append(authorities, Authority{ID: p.ID, Weight: 1})
	}
	return raw, authorities
}

func TestVectorFinney(t *testing.T) {
	v := finney(t)
	j, err := DecodeJustification(v.justification)
	if err != nil {
		t.Fatal(err)
	}
	if j.TargetHash != v.header.Hash() || j.TargetNumber != v.header.Number {
		t.Errorf("target %d %v", j.TargetNumber, j.TargetHash)
	}
	if err := j.Verify(v.setID, v.authorities); err != nil {
		t.Fatal(err)
	}
	if got := j.AppendSCALE(nil); !bytes.Equal(got, v.justification) {
		t.Errorf("encodes again as %x", got)
	}

	tests := []struct {
		name   string
		change func(*Justification, *uint64, *[]Authority)
		want   error
	}{
		{"set id below", func(_ *Justification, id *uint64, _ *[]Authority) { *id-- }, ErrSignature},
		{"set id above", func(_ *Justification, id *uint64, _ *[]Authority) { *id++ }, ErrSignature},
		{"another round", func(j *Justification, _ *uint64, _ *[]Authority) { j.Round++ }, ErrSignature},
		{"no authorities", func(_ *Justification, _ *uint64, a *[]Authority) { *a = nil }, ErrAuthorities},
		{"a voter is no authority", func(_ *Justification, _ *uint64, a *[]Authority) {
			*a = slices.DeleteFunc(*a, func(a Authority) bool { return a.ID == j.Precommits[3].ID })
		}, ErrVoter},
		{"one vote too few", func(j *Justification, _ *uint64, _ *[]Authority) { j.Precommits = j.Precommits[1:14] }, ErrThreshold},
		{"14 of 21", func(_ *Justification, _ *uint64, a *[]Authority) {
			*a = append(*a, Authority{ID: [32]byte{1}, Weight: 1})
		}, ErrThreshold},
		{"an absent authority with weight", func(_ *Justification, _ *uint64, a *[]Authority) {
			*a = append(*a, Authority{ID: [32]byte{1}, Weight: 7})
		}, ErrThreshold},
		{"a vote twice", func(j *Justification, _ *uint64, _ *[]Authority) {
			j.Precommits = append(j.Precommits, j.Precommits[0])
		}, ErrDuplicate},
		{"a vote twice for one that is missing", func(j *Justification, _ *uint64, _ *[]Authority) { j.Precommits[1] = j.Precommits[0] }, ErrDuplicate},
		{"no votes", func(j *Justification, _ *uint64, _ *[]Authority) { j.Precommits = nil }, ErrThreshold},
		{"another target", func(j *Justification, _ *uint64, _ *[]Authority) { j.TargetHash[0]++ }, ErrTarget},
		{"another target number", func(j *Justification, _ *uint64, _ *[]Authority) { j.TargetNumber++ }, ErrTarget},
		{"the parent as target", func(j *Justification, _ *uint64, _ *[]Authority) {
			j.TargetHash, j.TargetNumber = v.header.ParentHash, j.TargetNumber-1
		}, ErrTarget},
		{"the header of the target", func(j *Justification, _ *uint64, _ *[]Authority) {
			j.VotesAncestries = []header.Header{*v.header}
		}, ErrUnusedHeader},
		{"swapped voters", func(j *Justification, _ *uint64, _ *[]Authority) {
			j.Precommits[0].ID, j.Precommits[1].ID = j.Precommits[1].ID, j.Precommits[0].ID
		}, ErrSignature},
		{"swapped signatures", func(j *Justification, _ *uint64, _ *[]Authority) {
			j.Precommits[0].Signature, j.Precommits[1].Signature = j.Precommits[1].Signature, j.Precommits[0].Signature
		}, ErrSignature},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			changed, _ := DecodeJustification(v.justification)
			setID, authorities := v.setID, slices.Clone(v.authorities)
			tt.change(changed, &setID, &authorities)
			if err := changed.Verify(setID, authorities); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	// The order of votes and of authorities means nothing.
	slices.Reverse(j.Precommits)
	slices.Reverse(v.authorities)
	if err := j.Verify(v.setID, v.authorities); err != nil {
		t.Error("reversed:", err)
	}
}

func TestVectorFiveVoters(t *testing.T) {
	raw, authorities := fiveVoters(t)
	j, err := DecodeJustification(raw)
	if err != nil {
		t.Fatal(err)
	}
	if j.TargetNumber != 302592 || len(j.Precommits) != 5 {
		t.Errorf("target %d, %d votes", j.TargetNumber, len(j.Precommits))
	}
	if err := j.Verify(0, authorities); err != nil {
		t.Error(err)
	}
	if err := j.Verify(0, append(authorities, Authority{ID: [32]byte{1}, Weight: 1}, Authority{ID: [32]byte{2}, Weight: 1})); !errors.Is(err, ErrThreshold) {
		t.Error("5 of 8:", err)
	}
}

// TestVectorMutations flips bits of real justifications, cuts them and adds to
// them; none may pass.
func TestVectorMutations(t *testing.T) {
	v := finney(t)
	five, fiveAuthorities := fiveVoters(t)
	for name, tt := range map[string]struct {
		raw         []byte
		setID       uint64
		authorities []Authority
	}{"finney": {v.justification, v.setID, v.authorities}, "five voters": {five, 0, fiveAuthorities}} {
		t.Run(name, func(t *testing.T) {
			refused := func(b []byte, what string, at int) {
				j, err := DecodeJustification(b)
				if err != nil {
					if !errors.Is(err, ErrMalformed) || j != nil {
						t.Errorf("%s %d: %v, %v", what, at, j, err)
					}
					return
				}
				if err := j.Verify(tt.setID, tt.authorities); !errors.Is(err, ErrNotFinal) {
					t.Errorf("%s %d: %v", what, at, err)
				}
			}
			for i := range tt.raw {
				b := bytes.Clone(tt.raw)
				b[i] ^= 1 << (i % 8)
				refused(b, "bit flipped in byte", i)
				if i%17 == 0 {
					refused(tt.raw[:i], "cut at", i)
					refused(slices.Insert(bytes.Clone(tt.raw), i, 0), "byte added at", i)
				}
			}
			refused(append(bytes.Clone(tt.raw), 0), "byte added at the end", 0)
		})
	}
}
