package devchain

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// DefaultParaID is the parachain of a Pair that names none.
const DefaultParaID runtime.ParaID = 2000

// PairConfig says which relay chain and parachain to open. The zero value is the
// built-in pair in memory.
type PairConfig struct {
	// Relay and Para are the two chains; BasePath of them is not used. Para's
	// Authorities, FinalityLag and finality have no meaning: the relay chain decides.
	Relay, Para Config
	ID          runtime.ParaID // 0 is DefaultParaID
	BasePath    string         // folder for both; "" keeps everything in memory
	// Late leaves the parachain out of the relay chain's genesis: it has no head
	// until ForceHead.
	Late bool
}

// Pair is a relay chain and a parachain: two chains, each with an RPC of its
// own. A block of the parachain is final as soon as the relay chain has
// finalized a block whose state has it, or a descendant, as the parachain's head.
//
// By default each relay block includes the best block of the parachain, if that
// is new. It is safe for concurrent use.
type Pair struct {
	Relay, Para *Chain
	ID          runtime.ParaID

	mu   sync.Mutex
	held bool
}

// link is what binds a chain to the other one of a Pair. Its functions may be
// called under the chain's locks, so they take locks of the other chain only,
// final all of them and the others mu only.
type link struct {
	id         runtime.ParaID               // of this parachain
	paras      []runtime.IncludedHead       // at genesis of this relay chain
	validation func(parent *Block) []byte   // the parachain's inherent, nil if there is none
	inclusion  func(parent *Block) [][]byte // the relay chain's, if there is a head to include
	due        func() bool                  // a block is to be made though no extrinsic is there
	changed    func()                       // the best block is another
	final      func(b *Block)               // the last final block is this one
}

// OpenPair creates the two chains, or loads them from PairConfig.BasePath.
func OpenPair(cfg PairConfig) (*Pair, error) {
	p := &Pair{ID: cfg.ID}
	if p.ID == 0 {
		p.ID = DefaultParaID
	}
	cfg.Relay.Runtime.Role, cfg.Para.Runtime.Role = runtime.Relay, runtime.Para
	cfg.Relay.BasePath, cfg.Para.BasePath = "", ""
	if cfg.BasePath != "" {
		cfg.Relay.BasePath, cfg.Para.BasePath = filepath.Join(cfg.BasePath, "relay"), filepath.Join(cfg.BasePath, "para")
	}
	var err error
	p.Para, err = openLinked(cfg.Para, &link{id: p.ID,
		validation: p.validation,
		inclusion:  func(*Block) [][]byte { return nil },
		due:        func() bool { return false },
		changed: func() {
			if p.Relay != nil {
				p.Relay.signal()
			}
		},
		final: func(*Block) {},
	})
	if err != nil {
		return nil, err
	}
	l := &link{
		validation: func(*Block) []byte { return nil },
		inclusion:  p.inclusion,
		due:        func() bool { return p.next(p.Relay.Best()) != nil },
		changed:    func() {},
		final:      p.follow,
	}
	if !cfg.Late {
		l.paras = []runtime.IncludedHead{{Para: p.ID, Head: HeadData(p.Para.Block(0))}}
	}
	if p.Relay, err = openLinked(cfg.Relay, l); err != nil {
		return nil, errors.Join(err, p.Para.Close())
	}
	p.follow(p.Relay.Final())
	p.Relay.signal()
	return p, nil
}

// Run makes blocks of both chains until ctx ends or one is closed.
func (p *Pair) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.Relay.Run(ctx) })
	g.Go(func() error { return p.Para.Run(ctx) })
	return g.Wait()
}

// Close closes both chains.
func (p *Pair) Close() error { return errors.Join(p.Relay.Close(), p.Para.Close()) }

// Seal makes a block of the parachain and then one of the relay chain, which by
// default includes and finalizes it. It returns the former.
func (p *Pair) Seal(ctx context.Context) (*Block, error) {
	hash, err := p.Para.Seal(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := p.Relay.Seal(ctx); err != nil {
		return nil, err
	}
	return p.Para.BlockByHash(hash), nil
}

// HoldInclusion stops (true) relay blocks from including the parachain by
// themselves, or lets them go on (false). Include works all the same.
func (p *Pair) HoldInclusion(hold bool) {
	p.mu.Lock()
	p.held = hold
	p.mu.Unlock()
	p.Relay.signal()
}

// Include makes a relay block that includes a block of the parachain, of any
// fork, or with nil none. Blocks before it are included with it. As with
// candidates of a real parachain it must descend from the present head.
func (p *Pair) Include(ctx context.Context, b *Block) (*Block, error) {
	if b == nil {
		return p.sealRelay(ctx, [][]byte{})
	}
	if head := p.Head(p.Relay.Best()); head == nil || b.Number() <= head.Number() || !p.Para.descends(b, head) {
		return nil, fmt.Errorf("devchain: block %d does not descend from the head of parachain %d", b.Number(), p.ID)
	}
	return p.IncludeData(ctx, HeadData(b))
}

// IncludeData is Include for any head, which nobody checks.
func (p *Pair) IncludeData(ctx context.Context, head []byte) (*Block, error) {
	return p.sealRelay(ctx, [][]byte{p.Inclusion(head)})
}

func (p *Pair) sealRelay(ctx context.Context, inherents [][]byte) (*Block, error) {
	hash, err := p.Relay.seal(ctx, opening{inherents: inherents})
	if err != nil {
		return nil, err
	}
	return p.Relay.BlockByHash(hash), nil
}

// HeadData returns what the relay chain holds of a block of the parachain.
func HeadData(b *Block) []byte { return b.Header.AppendSCALE(nil) }

// Inclusion returns the extrinsic by which a relay block includes a head. It is
// the first one in a body for [Chain.Fork] of the relay chain.
func (p *Pair) Inclusion(head []byte) []byte {
	return p.Relay.Best().rt.InclusionInherent(runtime.IncludedHead{Para: p.ID, Head: head})
}

// Head returns the block that is the parachain's head in the state of a relay
// block, nil if there is none or the parachain does not know it.
func (p *Pair) Head(relay *Block) *Block {
	if data, ok := relay.rt.Head(relay.State, p.ID); ok {
		return p.Para.BlockByHash(hashing.Blake2b256(data))
	}
	return nil
}

// ForceHead submits to the relay chain, signed by //Alice, what its governance
// can do: Sudo.sudo(Paras.force_set_current_head). The result is the extrinsic's
// hash. The parachain follows only what it knows and what descends from its last
// final block.
func (p *Pair) ForceHead(head []byte) (hashing.Hash, error) {
	args := scale.AppendBytes(scale.AppendU32(nil, uint32(p.ID)), head)
	return p.Relay.sudo("Paras", "force_set_current_head", args)
}

// RemoveHead submits to the relay chain, signed by //Alice, a removal of the
// parachain's head, as when its lease is over. The result is the extrinsic's hash.
func (p *Pair) RemoveHead() (hashing.Hash, error) {
	key := p.Relay.Best().rt.Paras.Heads.Key(p.ID)
	return p.Relay.sudo("System", "kill_storage", scale.MustMarshal([][]byte{key}))
}

// next returns the block that the relay block after parent includes by itself,
// nil if there is none.
func (p *Pair) next(parent *Block) *Block {
	p.mu.Lock()
	held := p.held
	p.mu.Unlock()
	if held {
		return nil
	}
	head, best := p.Head(parent), p.Para.Best()
	if head == nil || best.Number() <= head.Number() || !p.Para.descends(best, head) {
		return nil
	}
	return best
}

// inclusion is the relay chain's link.inclusion.
func (p *Pair) inclusion(parent *Block) [][]byte {
	if b := p.next(parent); b != nil {
		return [][]byte{p.Inclusion(HeadData(b))}
	}
	return nil
}

// maxPovSize is what a relay chain allows, as in Polkadot.
const maxPovSize = 5 << 20

// validation is the parachain's link.validation.
func (p *Pair) validation(parent *Block) []byte {
	relay := p.Relay.Best()
	return parent.rt.ValidationInherent(runtime.PersistedValidationData{ParentHead: HeadData(parent),
		RelayParentNumber:      max(relay.Number(), parent.rt.LastRelayBlock(parent.State)), // a folder may have lost relay blocks
		RelayParentStorageRoot: relay.Header.StateRoot, MaxPovSize: maxPovSize})
}

// follow finalizes what a final relay block includes.
func (p *Pair) follow(relay *Block) {
	data, ok := relay.rt.Head(relay.State, p.ID)
	if !ok {
		return
	}
	log := p.Para.cfg.Logger
	b := p.Para.BlockByHash(hashing.Blake2b256(data))
	if b == nil {
		log.Warn("the relay chain has a head that this parachain does not know", "relay block", relay.Number())
		return
	}
	if err := p.Para.finalizeHead(b); err != nil {
		log.Warn("the relay chain has a head that this parachain cannot follow", "relay block", relay.Number(), "err", err)
	}
}

// finalizeHead makes a block and all before it final, and their chain the best
// one.
func (c *Chain) finalizeHead(b *Block) error {
	c.sealing.Lock()
	defer c.sealing.Unlock()
	if err := c.failure(); err != nil {
		return err
	}
	if final := c.Final(); b.Number() < final.Number() || !c.descends(b, final) {
		return fmt.Errorf("block %d %s does not descend from block %d %s, which is final", b.Number(), b.Hash, final.Number(), final.Hash)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.final == b.Number() {
		return nil
	}
	if !c.onBest(b) {
		c.switchTo(b)
	}
	c.markFinal(b)
	c.notify()
	return nil
}
