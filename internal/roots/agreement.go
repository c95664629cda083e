package roots

import (
	"bytes"
	"maps"
	"slices"

	"github.com/offchain-worker/sdk/substrate/keyring"
)

// Agreement counts the workers that have published the same roots of one block:
// as many as are wanted have to, and nobody may have published others. In which
// order they have does not matter.
type Agreement struct {
	want   Publication
	needed int
	self   keyring.AccountID
	agree  map[keyring.AccountID]bool
	other  *Publication
	by     keyring.AccountID
}

// NewAgreement returns an agreement about roots that needs k distinct workers,
// at least one. What self has published adds nothing to it, but may contradict.
func NewAgreement(want Publication, k int, self keyring.AccountID) *Agreement {
	return &Agreement{want: want, needed: max(k, 1), self: self, agree: map[keyring.AccountID]bool{}}
}

// Add takes what a signer has published, as a final block proves. The caller has
// checked what makes the signer a worker of the shard (RULES 20): that the
// fingerprint in force published it, and the signer's evidence. What is about
// other blocks is ignored.
func (a *Agreement) Add(signer keyring.AccountID, p Publication) {
	switch {
	case p.Number != a.want.Number || a.other != nil:
	case p != a.want:
		a.other, a.by = &p, signer
	case signer != a.self && len(a.agree) < a.needed: // as many as are needed bound it
		a.agree[signer] = true
	}
}

// Reached reports whether enough workers have published these roots and none has
// published others. It may become false again, and then stays so.
func (a *Agreement) Reached() bool { return a.other == nil && len(a.agree) >= a.needed }

// Contradicted returns what was published of the block that is not the same, and
// by whom: then it is not known who is right.
func (a *Agreement) Contradicted() (p Publication, by keyring.AccountID, ok bool) {
	if a.other == nil {
		return p, by, false
	}
	return *a.other, a.by, true
}

// Signers returns those that agree, ascending, as many as are needed.
func (a *Agreement) Signers() []keyring.AccountID {
	return slices.SortedFunc(maps.Keys(a.agree), func(x, y keyring.AccountID) int { return bytes.Compare(x[:], y[:]) })
}
