// Package pool holds the extrinsics that wait for a block. An extrinsic is
// ready if its nonce is the next one of its signer, or follows ready ones;
// otherwise it is in the future.
//
// Start with [Pool.Add], take a [Selection] to build a block, and tell the pool
// what the block held with [Pool.Included], [Pool.Finalized] and [Pool.Advance].
//
// It is a state machine without I/O, used under its owner's lock. It trusts
// what the owner says of an extrinsic's validity; how many and how large they
// may be is bounded here.
package pool

import (
	"container/heap"
	"errors"
	"math"

	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// Errors of Add.
var (
	ErrKnown    = errors.New("pool: extrinsic is in the pool already")
	ErrPriority = errors.New("pool: another extrinsic of the same nonce has at least this priority")
	ErrFull     = errors.New("pool: full")
)

// Limits bounds the pool. When it is full, new extrinsics are refused and old
// ones stay.
type Limits struct {
	Ready, Future           int // extrinsics
	ReadyBytes, FutureBytes int
}

// DefaultLimits are those of Substrate nodes, with more bytes, since
// invocations are long.
var DefaultLimits = Limits{Ready: 8192, Future: 1024, ReadyBytes: 64 << 20, FutureBytes: 16 << 20}

// Watcher is told what becomes of an extrinsic. It must not block nor call the
// pool. Once it returns false it is not called again.
type Watcher func(Status) bool

// Tx is an extrinsic in the pool.
type Tx struct {
	Raw   []byte
	Hash  hashing.Hash
	Valid runtime.Valid

	seq      uint64 // order of arrival
	ready    bool
	told     bool // that it is ready
	watchers []Watcher
}

type signer struct {
	next uint32 // the nonce that the state expects
	txs  map[uint32]*Tx
}

// Pool holds extrinsics. It is not safe for concurrent use.
type Pool struct {
	limits  Limits
	signers map[keyring.AccountID]*signer
	byHash  map[hashing.Hash]*Tx
	seq     uint64
	ready   usage
	future  usage
	inBlock map[hashing.Hash][]*Tx // of blocks that are not final
}

type usage struct{ count, bytes int }

func (u *usage) add(tx *Tx, sign int) {
	u.count += sign
	u.bytes += sign * len(tx.Raw)
}

// New returns an empty pool.
func New(limits Limits) *Pool {
	return &Pool{limits: limits, signers: map[keyring.AccountID]*signer{}, byHash: map[hashing.Hash]*Tx{}, inBlock: map[hashing.Hash][]*Tx{}}
}

// Add takes an extrinsic whose validity at the best block is v. watch may be
// nil; it is told the first status before Add returns, and nothing if Add fails.
// An extrinsic of the same signer and nonce is replaced by one of higher
// priority.
func (p *Pool) Add(raw []byte, v runtime.Valid, watch Watcher) (*Tx, error) {
	hash := hashing.Blake2b256(raw)
	if p.byHash[hash] != nil {
		return nil, ErrKnown
	}
	s := p.signers[v.Signer]
	if s == nil {
		s = &signer{txs: map[uint32]*Tx{}}
	}
	old := s.txs[v.Nonce]
	if old != nil && v.Priority <= old.Valid.Priority {
		return nil, ErrPriority
	}
	tx := &Tx{Raw: raw, Hash: hash, Valid: v, seq: p.seq}
	if watch != nil {
		tx.watchers = []Watcher{watch}
	}
	// How it would be counted; what it replaces makes room.
	_, followsReady := s.readyAt(v.Nonce - 1)
	use, maxCount, maxBytes := &p.future, p.limits.Future, p.limits.FutureBytes
	if v.Nonce == v.AccountNonce || followsReady {
		use, maxCount, maxBytes = &p.ready, p.limits.Ready, p.limits.ReadyBytes
	}
	after := *use
	after.add(tx, 1)
	if old != nil {
		after.add(old, -1)
	}
	if after.count > maxCount || after.bytes > maxBytes {
		return nil, ErrFull
	}
	p.seq++
	if old != nil {
		p.remove(old, Status{Kind: Usurped, Hash: hash})
	}
	p.signers[v.Signer] = s
	s.next = v.AccountNonce
	s.txs[v.Nonce], p.byHash[hash] = tx, tx
	p.future.add(tx, 1)
	p.refresh(s)
	if !tx.ready {
		tx.tell(Status{Kind: Future})
	}
	return tx, nil
}

func (s *signer) readyAt(nonce uint32) (*Tx, bool) {
	tx := s.txs[nonce]
	return tx, tx != nil && tx.ready
}

// refresh recomputes which extrinsics of a signer are ready, and tells those
// that have become so.
func (p *Pool) refresh(s *signer) {
	end := s.next
	for s.txs[end] != nil {
		end++
	}
	for nonce, tx := range s.txs {
		ready := nonce >= s.next && nonce < end
		if ready == tx.ready {
			continue
		}
		tx.ready = ready
		if ready {
			p.future.add(tx, -1)
			p.ready.add(tx, 1)
		} else {
			p.ready.add(tx, -1)
			p.future.add(tx, 1)
			tx.told = false
			tx.tell(Status{Kind: Future})
		}
	}
	// In order of nonce, which a map is not.
	for nonce := s.next; nonce < end; nonce++ {
		if tx := s.txs[nonce]; !tx.told {
			tx.told = true
			tx.tell(Status{Kind: Ready})
		}
	}
}

// remove takes an extrinsic out and tells why, if there is a status to tell.
func (p *Pool) remove(tx *Tx, why Status) {
	s := p.signers[tx.Valid.Signer]
	delete(s.txs, tx.Valid.Nonce)
	delete(p.byHash, tx.Hash)
	if len(s.txs) == 0 {
		delete(p.signers, tx.Valid.Signer)
	}
	if tx.ready {
		p.ready.add(tx, -1)
	} else {
		p.future.add(tx, -1)
	}
	if why != (Status{}) {
		tx.tell(why)
	}
}

// Reject removes an extrinsic that turned out to be invalid; those that follow
// it are in the future again.
func (p *Pool) Reject(hash hashing.Hash) {
	if tx := p.byHash[hash]; tx != nil {
		s := p.signers[tx.Valid.Signer]
		p.remove(tx, Status{Kind: Invalid})
		p.refresh(s)
	}
}

// Included removes the extrinsics of a block that has become part of the best
// chain. Finalized or Retract must follow.
func (p *Pool) Included(block hashing.Hash, hashes []hashing.Hash) {
	for _, h := range hashes {
		if tx := p.byHash[h]; tx != nil {
			p.remove(tx, Status{})
			p.inBlock[block] = append(p.inBlock[block], tx)
			tx.tell(Status{Kind: InBlock, Hash: block})
		}
	}
}

// Finalized says that a block is final.
func (p *Pool) Finalized(block hashing.Hash) {
	for _, tx := range p.inBlock[block] {
		tx.tell(Status{Kind: Finalized, Hash: block})
	}
	delete(p.inBlock, block)
}

// Retract says that a block is no longer part of the best chain: its extrinsics
// are in the pool again, as far as there is room. Advance and Revalidate should
// follow.
func (p *Pool) Retract(block hashing.Hash) {
	for _, tx := range p.inBlock[block] {
		tx.tell(Status{Kind: Retracted, Hash: block})
		again, err := p.Add(tx.Raw, tx.Valid, nil)
		if err != nil {
			tx.tell(Status{Kind: Dropped})
			continue
		}
		again.watchers, again.told = tx.watchers, again.ready
		if again.ready {
			again.tell(Status{Kind: Ready})
		}
	}
	delete(p.inBlock, block)
}

// Advance tells the pool the state after a new block: best is its number, nonce
// returns an account's nonce. Extrinsics whose nonce was used by others or
// whose life has ended are removed as invalid.
func (p *Pool) Advance(best header.Number, nonce func(keyring.AccountID) uint32) {
	for who, s := range p.signers {
		s.next = nonce(who)
		for n, tx := range s.txs {
			if n < s.next || tx.Valid.Death <= best+1 && tx.Valid.Death != math.MaxUint32 {
				p.remove(tx, Status{Kind: Invalid})
			}
		}
		p.refresh(s)
	}
}

// Revalidate removes as invalid all extrinsics for which valid is false. It is
// for when the rules have changed.
func (p *Pool) Revalidate(valid func(raw []byte) bool) {
	for _, s := range p.signers {
		for _, tx := range s.txs {
			if !valid(tx.Raw) {
				p.remove(tx, Status{Kind: Invalid})
			}
		}
		p.refresh(s)
	}
}

// Len returns how many extrinsics are ready and in the future.
func (p *Pool) Len() (ready, future int) { return p.ready.count, p.future.count }

// NextNonce returns the nonce for a signer's next extrinsic, given that of the
// state: past those that are ready.
func (p *Pool) NextNonce(who keyring.AccountID, nonce uint32) uint32 {
	s := p.signers[who]
	for s != nil && s.txs[nonce] != nil {
		nonce++
	}
	return nonce
}

// Pending returns the ready extrinsics in the order in which a block would take
// them.
func (p *Pool) Pending() [][]byte {
	var out [][]byte
	for sel := p.Select(); ; sel.Take() {
		tx := sel.Next()
		if tx == nil {
			return out
		}
		out = append(out, tx.Raw)
	}
}

// Selection is a way through the ready extrinsics: by priority, then by arrival,
// each signer's by nonce. It is a snapshot: the pool may change meanwhile.
type Selection struct {
	heads  byPriority
	follow map[*Tx]*Tx
}

// Select returns a selection of everything that is ready.
func (p *Pool) Select() *Selection {
	sel := &Selection{follow: map[*Tx]*Tx{}}
	for _, s := range p.signers {
		first, ok := s.readyAt(s.next)
		if !ok {
			continue
		}
		sel.heads = append(sel.heads, first)
		for tx, n := first, s.next+1; ; n++ {
			next, ok := s.readyAt(n)
			if !ok {
				break
			}
			sel.follow[tx] = next
			tx = next
		}
	}
	heap.Init(&sel.heads)
	return sel
}

// Next returns the best extrinsic, nil if there is none left.
func (s *Selection) Next() *Tx {
	if len(s.heads) == 0 {
		return nil
	}
	return s.heads[0]
}

// Take passes on to what follows the extrinsic that Next returned.
func (s *Selection) Take() {
	tx := s.heads[0]
	if next := s.follow[tx]; next != nil {
		s.heads[0] = next
		heap.Fix(&s.heads, 0)
		return
	}
	s.Skip()
}

// Skip leaves out the extrinsic that Next returned and all that follow it.
func (s *Selection) Skip() { heap.Pop(&s.heads) }

type byPriority []*Tx

func (h byPriority) Len() int { return len(h) }
func (h byPriority) Less(i, j int) bool {
	if h[i].Valid.Priority != h[j].Valid.Priority {
		return h[i].Valid.Priority > h[j].Valid.Priority
	}
	return h[i].seq < h[j].seq
}
func (h byPriority) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *byPriority) Push(x any)   { *h = append(*h, x.(*Tx)) }
func (h *byPriority) Pop() any {
	old := *h
	tx := old[len(old)-1]
	*h = old[:len(old)-1]
	return tx
}
