package grandpa

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// Errors of Justification.Verify; all but ErrAuthorities wrap ErrNotFinal.
var (
	// ErrNotFinal is the kind of every error that a justification causes.
	ErrNotFinal = errors.New("grandpa: not proven final")
	// ErrVoter means a vote by somebody who is not in the authority set.
	ErrVoter = fmt.Errorf("%w: vote by a stranger", ErrNotFinal)
	// ErrSignature means a vote whose signature is not valid for this round
	// and set.
	ErrSignature = fmt.Errorf("%w: bad signature", ErrNotFinal)
	// ErrDuplicate means a vote that occurs twice, or a third vote of one
	// voter.
	ErrDuplicate = fmt.Errorf("%w: redundant vote", ErrNotFinal)
	// ErrAncestry means that the headers do not link a vote to the lowest
	// block voted for.
	ErrAncestry = fmt.Errorf("%w: vote not linked", ErrNotFinal)
	// ErrUnusedHeader means a header that links nothing, or occurs twice.
	ErrUnusedHeader = fmt.Errorf("%w: unused header", ErrNotFinal)
	// ErrThreshold means that the votes weigh too little.
	ErrThreshold = fmt.Errorf("%w: too few votes", ErrNotFinal)
	// ErrTarget means that the votes finalize another block than the target.
	ErrTarget = fmt.Errorf("%w: votes are for another block", ErrNotFinal)

	// ErrAuthorities means that an authority set has no weight, or a weight
	// that no chain can have: zero for one voter, or 2^64 and more in all.
	ErrAuthorities = errors.New("grandpa: unusable authority set")
)

// CheckAuthorities reports whether a chain can have this authority set; the
// error wraps ErrAuthorities.
func CheckAuthorities(authorities []Authority) error {
	_, err := newVoterSet(authorities)
	return err
}

// Threshold returns the weight of an authority set and the weight of votes
// that finalizes a block: more than two thirds of it. The error wraps
// ErrAuthorities.
func Threshold(authorities []Authority) (total, threshold uint64, err error) {
	s, err := newVoterSet(authorities)
	if err != nil {
		return 0, 0, err
	}
	return s.total, s.threshold, nil
}

type voterSet struct {
	weights   map[[32]byte]uint64
	total     uint64
	threshold uint64
}

func newVoterSet(authorities []Authority) (*voterSet, error) {
	if len(authorities) == 0 {
		return nil, fmt.Errorf("%w: empty", ErrAuthorities)
	}
	s := &voterSet{weights: make(map[[32]byte]uint64, len(authorities))}
	var total uint64
	for i, a := range authorities {
		if a.Weight == 0 || total+a.Weight < total {
			return nil, fmt.Errorf("%w: weight %d of authority %d", ErrAuthorities, a.Weight, i)
		}
		total += a.Weight
		s.weights[a.ID] += a.Weight // a key that is listed twice has both weights
	}
	s.total, s.threshold = total, total-(total-1)/3
	return s, nil
}

// Verify reports whether j proves its target final under the authority set;
// nil means that it does. The caller compares the target with the block that
// it wants to finalize.
//
// The rules are Substrate's, and stricter where it is lenient without need:
// votes by strangers and redundant ones are refused, not skipped. A voter
// with two different votes (an equivocator) counts once, for every block, as
// in Substrate. More than a third of such weight could make two blocks final;
// then neither is accepted.
func (j *Justification) Verify(setID uint64, authorities []Authority) error {
	voters, err := newVoterSet(authorities)
	if err != nil {
		return err
	}
	if err := j.checkVotes(voters); err != nil {
		return err
	}
	return j.checkSignatures(setID) // last, since it costs the most
}

// checkVotes checks all but the signatures.
func (j *Justification) checkVotes(voters *voterSet) error {
	if len(j.Precommits) == 0 {
		return ErrThreshold
	}
	equivocated, err := j.checkVoters(voters)
	if err != nil {
		return err
	}
	blocks, err := j.linkVotes()
	if err != nil {
		return err
	}
	return j.checkGHOST(voters, equivocated, blocks)
}

// checkVoters returns, for each voter, whether it equivocated.
func (j *Justification) checkVoters(voters *voterSet) (equivocated map[[32]byte]bool, err error) {
	votes := make(map[[32]byte][]int, len(j.Precommits))
	equivocated = make(map[[32]byte]bool)
	for i, p := range j.Precommits {
		if voters.weights[p.ID] == 0 {
			return nil, fmt.Errorf("%w: %#x", ErrVoter, p.ID)
		}
		// A second signature of the same vote is an equivocation too, as in
		// Substrate: an honest voter signs once.
		earlier := votes[p.ID]
		if len(earlier) > 1 || len(earlier) == 1 && j.Precommits[earlier[0]] == p {
			return nil, fmt.Errorf("%w: of %#x", ErrDuplicate, p.ID)
		}
		votes[p.ID] = append(earlier, i)
		equivocated[p.ID] = len(earlier) == 1
	}
	return equivocated, nil
}

// block is one block of the tree that the votes span.
type block struct {
	hash   hashing.Hash
	number header.Number
	parent hashing.Hash // zero for the base
	weight uint64       // of single votes for it or a descendant
	voted  bool         // it or a descendant has the first vote of somebody
}

// linkVotes returns the blocks that were voted for and their ancestors down
// to the base, the lowest block voted for; higher blocks come first. All
// votes reach the base through the headers, and all headers are needed.
func (j *Justification) linkVotes() ([]*block, error) {
	headers := make(map[hashing.Hash]*header.Header, len(j.VotesAncestries))
	for i := range j.VotesAncestries {
		h := &j.VotesAncestries[i]
		hash := h.Hash()
		if headers[hash] != nil {
			return nil, fmt.Errorf("%w: %v occurs twice", ErrUnusedHeader, hash)
		}
		headers[hash] = h
	}
	lowest := slices.MinFunc(j.Precommits, func(a, b SignedPrecommit) int { return cmp.Compare(a.TargetNumber, b.TargetNumber) })
	base := &block{hash: lowest.TargetHash, number: lowest.TargetNumber}
	blocks := []*block{base}
	visited := make(map[hashing.Hash]*block, len(headers)+1)
	visited[base.hash] = base
	for _, p := range j.Precommits {
		// The numbers are signed and hashed too, so they have to agree.
		hash, number := p.TargetHash, p.TargetNumber
		for {
			if known := visited[hash]; known != nil {
				if known.number != number {
					return nil, fmt.Errorf("%w: block %v has number %d, not %d", ErrAncestry, hash, known.number, number)
				}
				break
			}
			h := headers[hash]
			if h == nil || h.Number != number || number <= base.number {
				return nil, fmt.Errorf("%w: no header %d %v", ErrAncestry, number, hash)
			}
			b := &block{hash: hash, number: number, parent: h.ParentHash}
			visited[hash] = b
			blocks = append(blocks, b)
			hash, number = h.ParentHash, number-1
		}
	}
	if len(visited) != len(headers)+1 { // all but the base came from a header
		return nil, ErrUnusedHeader
	}
	slices.SortStableFunc(blocks, func(a, b *block) int { return cmp.Compare(b.number, a.number) })
	return blocks, nil
}

// checkGHOST checks that the highest block to which enough weight voted, for
// it or for a descendant, is the target. blocks is from linkVotes.
func (j *Justification) checkGHOST(voters *voterSet, equivocated map[[32]byte]bool, blocks []*block) error {
	tree := make(map[hashing.Hash]*block, len(blocks))
	for _, b := range blocks {
		tree[b.hash] = b
	}
	var everywhere uint64 // weight of equivocators, who count for every block
	counted := make(map[[32]byte]bool, len(j.Precommits))
	for _, p := range j.Precommits {
		if counted[p.ID] {
			continue // an equivocator's second vote
		}
		counted[p.ID] = true
		tree[p.TargetHash].voted = true
		if equivocated[p.ID] {
			everywhere += voters.weights[p.ID]
		} else {
			tree[p.TargetHash].weight += voters.weights[p.ID]
		}
	}
	var ghost, last *block
	for _, b := range blocks { // higher blocks first, so weights are complete
		if parent := tree[b.parent]; parent != nil {
			parent.weight += b.weight
			parent.voted = parent.voted || b.voted
		}
		if !b.voted || b.weight+everywhere < voters.threshold {
			continue
		}
		// Blocks with enough weight form a tree down from the base; it is a
		// path unless two of them have one number.
		if ghost == nil {
			ghost = b
		} else if b.number == last.number {
			return fmt.Errorf("%w: two blocks %d have enough votes", ErrTarget, b.number)
		}
		last = b
	}
	switch {
	case ghost == nil:
		return ErrThreshold
	case ghost.hash != j.TargetHash || ghost.number != j.TargetNumber:
		return fmt.Errorf("%w: %d %v", ErrTarget, ghost.number, ghost.hash)
	}
	return nil
}

// batchLabel separates the seed of batch verification from all other hashes.
const batchLabel = "ocw/grandpa/batch/1"

var zip215 = &ed25519.Options{Verify: ed25519.VerifyOptionsZIP_215}

// checkSignatures verifies all votes in one batch. Its coefficients come from
// a hash of everything that is verified, so that the result is a function of
// the input; finding a set of bad signatures that passes takes about 2^128
// tries, as with random coefficients.
func (j *Justification) checkSignatures(setID uint64) error {
	votes := Justification{Round: j.Round, Precommits: j.Precommits}
	seed := hashing.Blake2b256([]byte(batchLabel), scale.AppendU64(nil, setID), votes.AppendSCALE(nil))
	batch := ed25519.NewBatchVerifierWithCapacity(len(j.Precommits))
	var message []byte
	for i := range j.Precommits {
		p := &j.Precommits[i]
		message = appendMessage(message[:0], j.Round, setID, p.TargetHash, p.TargetNumber)
		batch.AddWithOptions(p.ID[:], message, p.Signature[:], zip215)
	}
	ok, valid := batch.Verify(rand.NewChaCha8(seed))
	if !ok {
		return fmt.Errorf("%w: of %#x", ErrSignature, j.Precommits[slices.Index(valid, false)].ID)
	}
	return nil
}
