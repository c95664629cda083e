package devchain

import (
	"fmt"

	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// The block log is a store of package store: one synced record for each block,
// so that a block that was announced is on the disk. The first record says
// which chain it is. States are not stored: the blocks are executed again, and
// their headers say whether the result is the same.

// logFormat is the first byte of every record.
const logFormat = 1

// logKey is no secret: the log is sealed because package store seals, and there
// is nothing to hide.
var logKey = [32]byte(hashing.Blake2b256([]byte("ocw dev chain: block log")))

// chainRecord is the first record.
type chainRecord struct {
	Genesis hashing.Hash
}

// blockRecord is every other record.
type blockRecord struct {
	Header        header.Header
	Extrinsics    [][]byte
	Justification []byte // of a block that has an earlier record too, if it became final later
}

func record(v any) []byte { return append([]byte{logFormat}, scale.MustMarshal(v)...) }

func encodeBlock(b *Block) []byte {
	return record(blockRecord{b.Header, b.Extrinsics, b.Justification})
}

func decodeRecord(raw []byte, v any) error {
	if len(raw) == 0 || raw[0] != logFormat {
		return fmt.Errorf("its format is not %d: it was written by another version of this program", logFormat)
	}
	return scale.Unmarshal(raw[1:], v)
}

// load opens the log and executes the blocks in it.
func (c *Chain) load() error {
	log, err := store.Open(c.cfg.BasePath, logKey, store.Options{FS: c.cfg.fs})
	if err != nil {
		return fmt.Errorf("devchain: open %s: %w", c.cfg.BasePath, err)
	}
	err = log.Replay(nil, func(position uint64, raw []byte) error {
		if position == 1 {
			return c.checkChain(raw)
		}
		return c.replay(raw)
	})
	if err == nil && log.Position() == 0 {
		err = log.Append(record(chainRecord{c.blocks[0].Hash}))
	}
	if err != nil {
		_ = log.Close() // the error that matters is err
		return fmt.Errorf("devchain: load %s: %w", c.cfg.BasePath, err)
	}
	if n := log.Dropped(); n > 0 {
		c.cfg.Logger.Warn("dropped the torn end of the block log", "bytes", n)
	}
	c.log = log
	return nil
}

func (c *Chain) checkChain(raw []byte) error {
	var r chainRecord
	if err := decodeRecord(raw, &r); err != nil {
		return fmt.Errorf("first record: %w", err)
	}
	if want := c.blocks[0].Hash; r.Genesis != want {
		return fmt.Errorf("the folder holds the chain of genesis %s, the configuration (or this version of the program) makes %s; use another folder, or delete this one", r.Genesis, want)
	}
	return nil
}

func (c *Chain) replay(raw []byte) error {
	var r blockRecord
	if err := decodeRecord(raw, &r); err != nil {
		return fmt.Errorf("block after %d: %w", c.Best().Number(), err)
	}
	if len(r.Justification) == 0 {
		r.Justification = nil
	}
	number := r.Header.Number
	if known := c.byHash[r.Header.Hash()]; known != nil { // it became final later
		if !c.onBest(known) || number <= c.final || r.Justification == nil || len(r.Extrinsics) > 0 {
			return fmt.Errorf("block %d is there twice", number)
		}
		final := *known
		final.Justification = r.Justification
		c.setFinal(&final)
		return nil
	}
	parent := c.byHash[r.Header.ParentHash]
	switch {
	case parent == nil || parent.Number()+1 != number:
		return fmt.Errorf("block %d does not follow any other", number)
	case !c.onBest(parent):
		// Of a fork, and so not final, unless it is to be the best chain.
		if r.Justification != nil {
			return fmt.Errorf("block %d of a fork is final", number)
		}
	case number <= c.final, r.Justification != nil && number != header.Number(len(c.blocks)):
		return fmt.Errorf("block %d comes after one that is final, or is final beside the best chain", number)
	}
	// What its author has put into the digest: the mark of a fork.
	var logs []header.DigestItem
	for _, l := range r.Header.Digest {
		if l.Kind == header.DigestOther {
			logs = append(logs, l)
			c.forks++
		}
	}
	x := parent.rt.Begin(parent.State, number, parent.Hash, logs)
	x.SkipSignatures = true // they were checked before the block was made
	// A change of authorities is not an extrinsic; the header tells of it.
	change, _, err := grandpa.ScheduledChange(&r.Header)
	if err != nil {
		return fmt.Errorf("block %d: %w", number, err)
	}
	if change != nil {
		if err := x.ScheduleAuthorities(runtime.FromAuthorities(change.Next), change.Delay); err != nil {
			return fmt.Errorf("block %d: %w", number, err)
		}
	}
	for i, xt := range r.Extrinsics {
		if _, err := x.Apply(xt); err != nil {
			return fmt.Errorf("block %d: extrinsic %d: %w", number, i, err)
		}
	}
	b, err := c.assemble(parent, x, r.Extrinsics)
	if err != nil {
		return fmt.Errorf("block %d: %w", number, err)
	}
	if stored := r.Header.Hash(); stored != b.Hash {
		return fmt.Errorf("block %d is %s in the folder and executes to %s: it was written by another version of this program; delete the folder", number, stored, b.Hash)
	}
	_, b.SetID = c.authorities(parent)
	b.Justification = r.Justification
	c.adopt(b, b.Justification != nil)
	return nil
}

// onBest reports whether a block is in the best chain.
func (c *Chain) onBest(b *Block) bool {
	n := b.Number()
	return n < header.Number(len(c.blocks)) && c.blocks[n].Hash == b.Hash
}
