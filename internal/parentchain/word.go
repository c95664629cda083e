package parentchain

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/scale"
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

// fee is the reply of payment_queryInfo: an object of most nodes, of chopsticks
// the runtime's answer in hex.
type fee struct{ text string }

// UnmarshalJSON reads either form.
func (f *fee) UnmarshalJSON(b []byte) error {
	var object struct {
		PartialFee string `json:"partialFee"`
	}
	if len(b) == 0 || b[0] != '"' {
		err := json.Unmarshal(b, &object)
		f.text = object.PartialFee
		return err
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	raw, err := unhex(text)
	if err != nil {
		return err
	}
	// RuntimeDispatchInfo: weight (two compacts), class, fee.
	var info struct {
		RefTime, ProofSize scale.CompactU64
		Class              uint8
		PartialFee         scale.U128
	}
	if err := scale.Unmarshal(raw, &info); err != nil {
		return fmt.Errorf("%w: dispatch info: %w", ErrNonsense, err)
	}
	f.text = info.PartialFee.String()
	return nil
}
