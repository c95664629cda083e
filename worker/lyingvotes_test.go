package worker

import (
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/header"
)

var (
	fewVotes   = refused("grandpa.ErrThreshold", grandpa.ErrThreshold)
	strangers  = refused("grandpa.ErrVoter", grandpa.ErrVoter)
	signatures = refused("grandpa.ErrSignature", grandpa.ErrSignature)
	redundant  = refused("grandpa.ErrDuplicate", grandpa.ErrDuplicate)
	noAncestry = refused("grandpa.ErrAncestry", grandpa.ErrAncestry)
	otherVotes = refused("grandpa.ErrTarget", grandpa.ErrTarget)
	unused     = refused("grandpa.ErrUnusedHeader", grandpa.ErrUnusedHeader)
	malformed  = refused("grandpa.ErrMalformed", grandpa.ErrMalformed)
)

// fork is an attack by a block that is on no chain, with these votes for it.
func fork(name, lie string, want refusal, votes devchain.Ballot, change ...func(*forgery, *grandpa.Justification)) chainAttack {
	return chainAttack{attack{name, lie, want}, func(s *scene, f *forgery) {
		f.Header.StateRoot[0] ^= 1
		f.rehash()
		f.vote(s, votes, change...)
	}}
}

// vote gives a forged block a justification.
func (f *forgery) vote(s *scene, votes devchain.Ballot, change ...func(*forgery, *grandpa.Justification)) {
	raw, err := s.chain.Votes(&f.Block, votes)
	if err != nil {
		s.t.Error(err)
		return
	}
	j, err := grandpa.DecodeJustification(raw)
	if err != nil {
		s.t.Error(err)
		return
	}
	for _, c := range change {
		c(f, j)
	}
	f.Justification = j.AppendSCALE(nil)
}

// justified is an attack by another justification of the true block.
func justified(name, lie string, want refusal, change func(s *scene, f *forgery, j *grandpa.Justification)) chainAttack {
	return chainAttack{attack{name, lie, want}, func(s *scene, f *forgery) {
		f.vote(s, devchain.Ballot{}, func(f *forgery, j *grandpa.Justification) { change(s, f, j) })
	}}
}

func ptr[T any](v T) *T { return &v }

func voteAttacks() []chainAttack {
	return []chainAttack{
		fork("forked header, no votes", "serves a block of his own with an empty justification", fewVotes, devchain.Ballot{Authorities: []int{}},
			func(_ *forgery, j *grandpa.Justification) { j.Precommits = nil }),
		fork("forked header, too few votes", "has two of four authorities vote for a block of his own", fewVotes, devchain.Ballot{Authorities: []int{0, 1}}),
		fork("forked header, one authority many times", "counts one authority's vote three times", redundant, devchain.Ballot{Authorities: []int{0, 0, 0}}),
		fork("forked header, votes of strangers", "has accounts vote that are no authorities", strangers, devchain.Ballot{Authorities: []int{5, 6, 7}}),
		fork("forked header, forged signatures", "serves signatures that do not verify", signatures, devchain.Ballot{Forged: true}),
		fork("forked header, votes of the next set", "has votes signed for a set that is not in force yet", signatures, devchain.Ballot{SetID: ptr[uint64](1)}),
		fork("forked header, votes of another round", "states another round than the one signed", signatures, devchain.Ballot{},
			func(_ *forgery, j *grandpa.Justification) { j.Round++ }),
		fork("votes for another block", "serves the true block's justification with a block of his own", byTarget, devchain.Ballot{},
			func(f *forgery, j *grandpa.Justification) { *j = *decodeJustification(f.real.Justification) }),
		fork("target exchanged", "writes another target over votes for the true block", otherVotes, devchain.Ballot{},
			func(f *forgery, j *grandpa.Justification) {
				*j = *decodeJustification(f.real.Justification)
				j.TargetHash = f.Hash
			}),
		fork("equivocations counted twice", "counts two authorities that voted for two blocks as four", fewVotes, devchain.Ballot{Authorities: []int{0, 1}},
			func(f *forgery, j *grandpa.Justification) {
				child := header.Header{ParentHash: f.Hash, Number: f.Header.Number + 1}
				for _, p := range j.Precommits[:2] {
					p.TargetHash, p.TargetNumber = child.Hash(), child.Number
					j.Precommits = append(j.Precommits, p)
				}
				j.VotesAncestries = []header.Header{child}
			}),
		justified("unused header", "adds a header to a true justification", unused, func(_ *scene, f *forgery, j *grandpa.Justification) {
			j.VotesAncestries = append(j.VotesAncestries, f.Header)
		}),
		justified("missing ancestry", "says that votes are for a descendant, and does not show that it is one", noAncestry, func(_ *scene, _ *forgery, j *grandpa.Justification) {
			j.Precommits[3].TargetNumber++
			j.Precommits[3].TargetHash[0] ^= 1
		}),
		justified("vote dropped below the threshold", "leaves out all votes but two", fewVotes, func(_ *scene, _ *forgery, j *grandpa.Justification) {
			j.Precommits = j.Precommits[:2]
		}),
		justified("one signature flipped", "flips a bit of one signature of enough", signatures, func(_ *scene, _ *forgery, j *grandpa.Justification) {
			j.Precommits[1].Signature[7] ^= 1
		}),
		justified("justification of the block before", "serves an older justification", byTarget, func(s *scene, f *forgery, j *grandpa.Justification) {
			*j = *decodeJustification(s.chain.Block(f.Header.Number - 1).Justification)
		}),
		{attack{"malformed justification", "cuts the end of a justification off", malformed}, func(_ *scene, f *forgery) {
			f.Justification = f.Justification[:len(f.Justification)-3]
		}},
		{attack{"padded justification", "adds bytes to a justification", malformed}, func(_ *scene, f *forgery) {
			f.Justification = append(append([]byte{}, f.Justification...), 0)
		}},
		{attack{"votes for another chain", "serves a block of a chain with other authorities' votes", strangers}, func(s *scene, f *forgery) {
			f.Header.StateRoot[2] ^= 1
			f.rehash()
			f.vote(s, devchain.Ballot{Authorities: []int{8, 9, 10, 11}})
		}},
		{attack{"finality proof with too few votes", "withholds the justification and proves finality with two of four votes", fewVotes}, func(s *scene, f *forgery) {
			f.vote(s, devchain.Ballot{Authorities: []int{2, 3}})
			f.withhold = true
		}},
		{attack{"finality proof that does not link", "proves a later block of his own final, with headers that do not lead to it", byLink}, func(s *scene, f *forgery) {
			f.withhold = true
			later := header.Header{Number: f.Header.Number + 1, ParentHash: s.chain.Genesis()}
			f.finality = &grandpa.FinalityProof{Block: later.Hash(), Justification: f.Justification, UnknownHeaders: []header.Header{later}}
		}},
		{attack{"finality proof for another block", "proves a later true block final by the votes for this one", byTarget}, func(_ *scene, f *forgery) {
			f.withhold = true
			later := header.Header{Number: f.Header.Number + 1, ParentHash: f.Hash}
			f.finality = &grandpa.FinalityProof{Block: later.Hash(), Justification: f.Justification, UnknownHeaders: []header.Header{later}}
		}},
		{attack{"swapped authority change", "announces authorities of his own in a header", byTarget}, func(s *scene, f *forgery) {
			f.Header.Digest = append(f.Header.Digest, changeTo(s, 9))
			f.rehash()
		}},
		{attack{"swapped authority change, votes of the new set", "announces authorities of his own, and has them vote", strangers}, func(s *scene, f *forgery) {
			f.Header.Digest = append(f.Header.Digest, changeTo(s, 9))
			f.rehash()
			f.vote(s, devchain.Ballot{Authorities: []int{9}})
		}},
	}
}

// changeTo is the digest item of a change of authorities.
func changeTo(s *scene, authority int) header.DigestItem {
	raw, err := s.chain.Votes(s.chain.Best(), devchain.Ballot{Authorities: []int{authority}})
	if err != nil {
		panic(err)
	}
	change := grandpa.Change{Next: []grandpa.Authority{{ID: decodeJustification(raw).Precommits[0].ID, Weight: 1}}}
	return change.DigestItem()
}

func decodeJustification(raw []byte) *grandpa.Justification {
	j, err := grandpa.DecodeJustification(raw)
	if err != nil {
		panic(err)
	}
	return j
}
