package parentchain

import (
	"context"
	"fmt"

	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// words asks for the values themselves, of a node that proves nothing; see
// Options.InsecureWord.
func (c *Client) words(ctx context.Context, keys [][]byte, at hashing.Hash) ([][]byte, error) {
	values := make([]trie.ProofValue, len(keys))
	for i, key := range keys {
		value, present, err := c.Storage(ctx, key, at)
		if err != nil {
			return nil, fmt.Errorf("block %s: %w", at, err)
		}
		values[i] = trie.ProofValue{Value: value, Present: present}
	}
	return lightclient.EncodeWords(keys, values), nil
}

// believeGenesis is for a header whose hash is not the one that was asked for.
// The hash of block 0 of some development nodes is made up, and those give it
// out for any hash that they do not know: the error is ErrNotFound then.
func (c *Client) believeGenesis(ctx context.Context, h *header.Header, hash hashing.Hash) error {
	if !c.opts.InsecureWord || h.Number != 0 {
		return fmt.Errorf("%w: the header of %s has hash %s", ErrNonsense, hash, h.Hash())
	}
	genesis, err := c.BlockHash(ctx, 0)
	if err != nil {
		return err
	}
	if genesis != hash {
		return fmt.Errorf("block %s: %w", hash, ErrNotFound)
	}
	return nil
}
