package state

import (
	"sync"

	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// commitment is the commitment to one state. It is computed, or read, when it
// is first asked for, by whoever asks: execution asks after each block, so that
// little is ever behind, but after a restart the entries are there before it.
type commitment struct {
	once   sync.Once
	read   func() (kid, error) // how to have it, nil for the one that follows
	base   *commitment         // that of an earlier state, with these changes since
	behind []pending
	prfKey [32]byte

	root kid
	err  error
}

func (c *commitment) load() error {
	c.once.Do(func() {
		switch {
		case c.read != nil:
			c.root, c.err = c.read()
		case c.base != nil:
			if c.err = c.base.load(); c.err == nil {
				c.root = newCommitter(c.prfKey).apply(c.base.root, c.behind)
			}
		}
		c.read, c.base, c.behind = nil, nil, nil // which need not be kept
	})
	return c.err
}

// get returns the root. It panics if the commitment could not be read: the
// owner has been told by Load.
func (c *commitment) get() kid {
	if err := c.load(); err != nil {
		panic("state: use of a commitment that could not be read: " + err.Error())
	}
	return c.root
}

// commit returns the commitment to what s holds now.
func (s *State) commit() *commitment {
	if len(s.behind) == 0 {
		return s.base
	}
	if s.next == nil {
		s.next = &commitment{base: s.base, behind: s.behind[:len(s.behind):len(s.behind)], prfKey: s.base.prfKey}
	}
	return s.next
}

// Root returns the commitment to all entries. It panics if Load failed.
func (s *State) Root() hashing.Hash {
	c := s.commit()
	root := c.get()
	s.base, s.next, s.behind = c, nil, nil
	return root.root()
}

// Load has the commitment in memory, in good order. After [Restore] it takes a
// while, and what needs the commitment waits for it: Root, and of a Snapshot
// CommitmentParts too. Its error means that what was restored contradicts itself, and
// wraps [ErrRestore].
func (s *Snapshot) Load() error { return s.commitment.load() }

// Root returns the commitment to the snapshot's entries. It panics if Load
// failed.
func (s *Snapshot) Root() hashing.Hash {
	root := s.commitment.get()
	return root.root()
}

func (k *kid) root() hashing.Hash {
	if k.empty() {
		return trie.EmptyRoot
	}
	return k.hash
}
