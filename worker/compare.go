package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// errRootsDiffer is wrapped by trouble about the roots of workers.
var errRootsDiffer = errors.New("another worker of the shard has other roots")

// firstFound is what is logged with the first block whose roots differ.
const firstFound = "alarm: the roots of another worker differ from this block on"

// maxCompared bounds the accounts that are kept track of. More than ten of a
// shard cannot confirm or publish.
const maxCompared = 4 * maxSigners

// Divergence is that another worker has published other roots: one of the two
// is wrong, or both are.
type Divergence struct {
	Account   keyring.AccountID `json:"account"`   // of the other worker; this one's own, if it published others itself
	Published header.Number     `json:"published"` // the block whose roots it has published
	// First is the first block whose roots differ, nil until it is found. If
	// AtOrBefore is set they differ in the oldest block that both keep, First.
	First      *header.Number `json:"first,omitempty"`
	AtOrBefore bool           `json:"atOrBefore,omitempty"`
	State      bool           `json:"state"`    // state roots differ in First
	Receipts   bool           `json:"receipts"` // receipts roots differ in First
}

// comparer looks after what other workers publish. It finds out about
// differences; what the state is, it does not decide.
type comparer struct {
	w *Worker

	mu    sync.Mutex // guards what follows
	found []*Divergence
	// same are the last blocks of which an account has published the same roots as
	// this worker's, ascending.
	same map[keyring.AccountID][]header.Number
}

// sameKept is how many blocks are kept in mind for an account: workers publish at
// different times, and at intervals of which one divides the other.
const sameKept = 8

// agreed returns the last block from a given one on of which own has published the
// roots, 0 for none, and the other accounts that have published the same of a block
// that own has, with the last such block.
func (c *comparer) agreed(own keyring.AccountID, from header.Number) (n header.Number, others map[keyring.AccountID]header.Number) {
	c.mu.Lock()
	defer c.mu.Unlock()
	others = map[keyring.AccountID]header.Number{}
	for _, block := range c.same[own] {
		if block < from {
			continue
		}
		n = block
		for account, blocks := range c.same {
			if account != own && slices.Contains(blocks, block) {
				others[account] = block
			}
		}
	}
	return n, others
}

// divergences returns copies of what is known.
func (c *comparer) divergences() (out []Divergence) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.found {
		out = append(out, *d)
	}
	return out
}

// run works until ctx ends.
func (c *comparer) run(ctx context.Context) {
	tick := time.NewTicker(locateEvery)
	defer tick.Stop()
	for {
		list, changed := c.w.published.takeRoots()
		for i := range list {
			c.note(&list[i])
		}
		if len(list) == 0 {
			select {
			case <-changed:
				continue
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
		for _, d := range c.divergences() {
			if d.First == nil && d.Account != c.w.account.AccountID() {
				c.locate(ctx, d)
			}
		}
	}
}

// note takes one publication in the order of the chain.
func (c *comparer) note(p *enclave.Published) {
	c.w.metrics.comparisons.WithLabelValues(verdictName(p.Verdict)).Inc()
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.Verdict == enclave.VerdictSame {
		c.noteSame(p)
	}
	at := slices.IndexFunc(c.found, func(d *Divergence) bool { return d.Account == p.Signer })
	switch {
	case p.Verdict == enclave.VerdictUnknown:
		c.w.log.Info("published roots cannot be compared: this worker does not keep its own of that block, or began behind it",
			"account", p.Signer, "number", p.Number)
	case p.Verdict == enclave.VerdictDiffers && at < 0 && len(c.found) < maxCompared:
		c.found = append(c.found, &Divergence{Account: p.Signer, Published: p.Number})
		c.tell()
	case p.Verdict == enclave.VerdictSame && at >= 0 && p.Number > c.found[at].Published:
		// The history says that all before are the same, too: one of the two has
		// done everything again.
		c.w.log.Info("a worker publishes the same roots as this one again", "account", p.Signer, "number", p.Number)
		c.found = slices.Delete(c.found, at, at+1)
		c.tell()
	}
}

// noteSame takes note of roots that are this worker's. Callers hold mu.
func (c *comparer) noteSame(p *enclave.Published) {
	blocks := c.same[p.Signer]
	switch n := len(blocks); {
	case n > 0 && blocks[n-1] >= p.Number, n == 0 && len(c.same) >= maxCompared:
		return
	case n == sameKept:
		blocks = slices.Delete(blocks, 0, 1)
	}
	if c.same == nil {
		c.same = map[keyring.AccountID][]header.Number{}
	}
	c.same[p.Signer] = append(blocks, p.Number)
}

// tell brings the health up to date. Callers hold mu.
func (c *comparer) tell() {
	if len(c.found) == 0 {
		c.w.health.well("roots")
		return
	}
	d := c.found[0]
	err := fmt.Errorf("%w: %v, published for block %d", errRootsDiffer, d.Account, d.Published)
	if d.Account == c.w.account.AccountID() {
		err = fmt.Errorf("%w: this worker itself published others of block %d before its state was built again", errRootsDiffer, d.Published)
	}
	c.w.health.trouble("roots", err)
}

// locate asks a worker for its roots and finds the first block in which they
// differ. If it does not answer, another attempt is made later.
func (c *comparer) locate(ctx context.Context, d Divergence) {
	found, err := func() (Diff, error) {
		p, err := c.w.dialPeer(ctx, d.Account, c.w.core.Load().View().Fingerprint())
		if err != nil {
			return Diff{}, err
		}
		defer p.close()
		return p.diff(ctx, d.Published)
	}()
	log := c.w.log
	switch {
	case ctx.Err() != nil:
		return
	case errors.Is(err, errNotAppraised):
		log.Warn("roots that differ are not those of a worker of the shard", "account", d.Account, "error", err)
		c.forget(d.Account)
		return
	case errors.Is(err, errNoDifference):
		log.Debug("a worker that published other roots has the same now", "account", d.Account)
		return
	case err != nil && found.Account.IsZero():
		log.Warn("where the roots begin to differ is not known, will ask again", "account", d.Account, "error", err)
		return
	case err != nil:
		log.Warn("which keys of the state differ is not known", "account", d.Account, "error", err)
	}
	first := &found.Block
	c.mu.Lock()
	for _, known := range c.found {
		if known.Account == d.Account {
			known.First, known.AtOrBefore, known.State, known.Receipts = first, found.AtOrBefore, found.State, found.Receipts
		}
	}
	c.mu.Unlock()
	for _, k := range found.Keys {
		log.Error("alarm: a key of the state differs", "account", d.Account, "number", found.Block, "item", k.Item, "keyed_hash", k.Key, "what", k.What)
	}
	log.Error(firstFound, "account", d.Account, "number", found.Block, "or_before", found.AtOrBefore,
		"state_differs", found.State, "receipts_differ", found.Receipts, "keys", found.Total)
}

// forget takes back what was said of an account.
func (c *comparer) forget(account keyring.AccountID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found = slices.DeleteFunc(c.found, func(d *Divergence) bool { return d.Account == account })
	c.tell()
}

func verdictName(v enclave.Verdict) string {
	for _, known := range v.SCALEVariants() {
		if known.Index == uint8(v) {
			return known.Name
		}
	}
	return "unknown"
}
