package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/metadata"
	"github.com/offchain-worker/sdk/substrate/system"
)

// Hash is a 32-byte hash; its text form is 0x and hex.
type Hash = hashing.Hash

// chainCallTimeout bounds one request to the node: metadata of a large runtime
// on a slow line is the longest.
const chainCallTimeout = 60 * time.Second

// Chain is a connection to a parentchain node, made again when it is lost. It
// is safe for concurrent use. What the node says is not verified.
type Chain struct {
	node    *parentchain.Client
	genesis Hash

	mu       sync.Mutex // guards runtimes; never held across I/O
	runtimes map[uint32]*runtime
}

// runtime is one version of the chain's logic.
type runtime struct {
	version parentchain.RuntimeVersion
	meta    *metadata.Metadata
}

// DialChain connects to a node (ws:// or wss://host:port). The error wraps
// [ErrUnavailable] if nobody answers there.
func DialChain(ctx context.Context, url string) (*Chain, error) {
	if _, err := parentchain.ParseURLs(url); err != nil {
		return nil, fmt.Errorf("client: parentchain node: %w", err)
	}
	c := &Chain{
		node:     parentchain.New(url, rpcclient.Options{CallTimeout: chainCallTimeout}),
		runtimes: make(map[uint32]*runtime),
	}
	var err error
	if c.genesis, err = c.node.BlockHash(ctx, 0); err != nil {
		c.node.Close()
		return nil, c.nodeError(err)
	}
	return c, nil
}

// Close ends the connection.
func (c *Chain) Close() error { return c.node.Close() }

// URL returns the address that was dialled.
func (c *Chain) URL() string { return c.node.URL() }

// Genesis returns the hash of block 0, which names the chain.
func (c *Chain) Genesis() Hash { return c.genesis }

// nodeError gives an error of the node's client the kind that ours have.
func (c *Chain) nodeError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, parentchain.ErrUnavailable):
		return unreachable("parentchain node", c.URL(), err)
	case errors.Is(err, parentchain.ErrNonsense):
		return fmt.Errorf("%w: parentchain node %s: %w", ErrProtocol, rpcclient.Redact(c.URL()), err)
	}
	return err
}

// runtimeAt returns the runtime that executes the block after at; the zero
// hash means the best block.
func (c *Chain) runtimeAt(ctx context.Context, at Hash) (*runtime, error) {
	v, err := c.node.RuntimeVersion(ctx, at)
	if err != nil {
		return nil, c.nodeError(err)
	}
	c.mu.Lock()
	r := c.runtimes[v.SpecVersion]
	c.mu.Unlock()
	if r != nil {
		return r, nil
	}
	raw, err := c.node.Metadata(ctx, at)
	if err != nil {
		return nil, c.nodeError(err)
	}
	meta, err := metadata.Decode(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: metadata of runtime %d: %w", ErrProtocol, v.SpecVersion, err)
	}
	r = &runtime{v, meta}
	c.mu.Lock()
	c.runtimes[v.SpecVersion] = r
	c.mu.Unlock()
	return r, nil
}

// storage reads a map entry, or a plain value if there are no key parts, after
// the block at (zero: the best one), and decodes it into out. present is false
// if there is none.
func (c *Chain) storage(ctx context.Context, at Hash, out any, pallet, item string, parts ...[]byte) (present bool, err error) {
	r, err := c.runtimeAt(ctx, at)
	if err != nil {
		return false, err
	}
	entry, ok := r.meta.StorageEntry(pallet, item)
	if !ok {
		return false, missing(pallet, item)
	}
	key, err := entry.Key(parts...)
	if err != nil {
		return false, err
	}
	raw, present, err := c.node.Storage(ctx, key, at)
	if err != nil || !present {
		return false, c.nodeError(err)
	}
	if err := scale.Unmarshal(raw, out); err != nil {
		return false, fmt.Errorf("%w: %s.%s: %w", ErrProtocol, pallet, item, err)
	}
	return true, nil
}

func missing(pallet, item string) error {
	return fmt.Errorf("client: this parentchain has no %s.%s", pallet, item)
}

// AccountInfo is the nonce and balance of an account on the parentchain.
type AccountInfo = system.AccountInfo

// Account returns nonce and balance of an account after the best block; zero
// if it does not exist.
func (c *Chain) Account(ctx context.Context, who AccountID) (info AccountInfo, err error) {
	_, err = c.storage(ctx, Hash{}, &info, "System", "Account", who[:])
	return info, err
}

// ShardConfig returns the registered configuration of a shard after the best
// block, nil if there is none.
func (c *Chain) ShardConfig(ctx context.Context, shard ShardID) (*integritee.UpgradableShardConfig, error) {
	if legacy, err := c.Legacy(ctx); err != nil || legacy {
		return nil, err
	}
	var config integritee.UpgradableShardConfig
	present, err := c.storage(ctx, Hash{}, &config, "EnclaveBridge", "ShardConfigRegistry", shard[:])
	if err != nil || !present {
		return nil, err
	}
	return &config, nil
}

// ShardSigners returns the workers that have confirmed blocks of a shard, after the
// best block; none on chains of 2022.
func (c *Chain) ShardSigners(ctx context.Context, shard ShardID) (list []integritee.ShardSignerStatus, err error) {
	if legacy, err := c.Legacy(ctx); err != nil || legacy {
		return nil, err
	}
	_, err = c.storage(ctx, Hash{}, &list, "EnclaveBridge", "ShardStatus", shard[:])
	return list, err
}

// Enclave returns the registration of a sovereign enclave after the best
// block, nil if there is none. It makes Chain a [Registry].
func (c *Chain) Enclave(ctx context.Context, who AccountID) (*Enclave, error) {
	if legacy, err := c.Legacy(ctx); err != nil {
		return nil, err
	} else if legacy {
		return c.legacyEnclave(ctx, who)
	}
	var m integritee.MultiEnclave
	present, err := c.storage(ctx, Hash{}, &m, "Teerex", "SovereignEnclaves", who[:])
	if err != nil || !present {
		return nil, err
	}
	return enclaveOf(who, m, false)
}

// InForce returns the fingerprint of the program that a shard is to be run by after
// the best block: as configured, else the shard's own bytes.
func (c *Chain) InForce(ctx context.Context, shard ShardID) (Fingerprint, error) {
	config, err := c.ShardConfig(ctx, shard)
	if err != nil {
		return Fingerprint{}, err
	}
	best, err := c.node.Header(ctx, Hash{})
	if err != nil {
		return Fingerprint{}, c.nodeError(err)
	}
	return integritee.FingerprintAt(shard, config, best.Number+1), nil
}

// BlockHash returns the hash of a block; zero if the node does not have it.
func (c *Chain) BlockHash(ctx context.Context, n BlockNumber) (Hash, error) {
	h, err := c.node.BlockHash(ctx, n)
	if errors.Is(err, parentchain.ErrNotFound) {
		return Hash{}, nil
	}
	return h, c.nodeError(err)
}

// Finalized returns the number of the last final block.
func (c *Chain) Finalized(ctx context.Context) (BlockNumber, error) {
	h, err := c.node.FinalizedHeader(ctx)
	if err != nil {
		return 0, c.nodeError(err)
	}
	return h.Number, nil
}

// keysPerPage is how many storage keys are asked for at once; nodes refuse
// more than 1000.
const keysPerPage = 500

// Enclaves returns all registered enclaves after the best block, first the
// sovereign then the proxied ones, in the order of their storage keys.
func (c *Chain) Enclaves(ctx context.Context) ([]*Enclave, error) {
	at, err := c.node.Header(ctx, Hash{})
	if err != nil {
		return nil, c.nodeError(err)
	}
	r, err := c.runtimeAt(ctx, at.Hash())
	if err != nil {
		return nil, err
	}
	if isLegacy(r.meta) {
		return c.legacyEnclaves(ctx, at.Hash())
	}
	var list []*Enclave
	for _, item := range []string{"SovereignEnclaves", "ProxiedEnclaves"} {
		if _, ok := r.meta.StorageEntry("Teerex", item); !ok {
			return nil, missing("Teerex", item)
		}
		prefix := hashing.StoragePrefix(r.meta.Pallet("Teerex").Prefix, item)
		for start := []byte(nil); ; {
			keys, err := c.node.Keys(ctx, prefix, keysPerPage, start, at.Hash())
			if err != nil {
				return nil, c.nodeError(err)
			}
			for _, key := range keys {
				e, err := c.enclaveAt(ctx, at.Hash(), item, key, len(prefix))
				if err != nil {
					return nil, err
				}
				if e != nil {
					list = append(list, e)
				}
			}
			if len(keys) < keysPerPage {
				break
			}
			start = keys[len(keys)-1]
		}
	}
	return list, nil
}

// enclaveAt reads one entry of a Teerex map; both hash their keys with
// Blake2_128Concat, so the key itself stands after prefix and 16 bytes.
func (c *Chain) enclaveAt(ctx context.Context, at Hash, item string, key []byte, prefix int) (*Enclave, error) {
	malformed := func(err error) error { return fmt.Errorf("%w: Teerex.%s: %w", ErrProtocol, item, err) }
	if len(key) < prefix+16 {
		return nil, malformed(scale.ErrShort)
	}
	var who AccountID
	var address integritee.EnclaveInstanceAddress
	proxied := item == "ProxiedEnclaves"
	if proxied {
		if err := scale.Unmarshal(key[prefix+16:], &address); err != nil {
			return nil, malformed(err)
		}
		who = address.Registrar
	} else if err := scale.Unmarshal(key[prefix+16:], &who); err != nil {
		return nil, malformed(err)
	}
	raw, present, err := c.node.Storage(ctx, key, at)
	if err != nil || !present {
		return nil, c.nodeError(err)
	}
	var m integritee.MultiEnclave
	if err := scale.Unmarshal(raw, &m); err != nil {
		return nil, malformed(err)
	}
	e, err := enclaveOf(who, m, proxied)
	if err == nil && proxied {
		e.Signer = address.Signer
	}
	return e, err
}

// Call is an encoded call of the parentchain: pallet index, call index and
// arguments.
type Call []byte

// Compose encodes a call, looked up by name. args is a struct whose fields are
// the arguments in order, nil for none; their encoding is checked against the
// chain's metadata.
func (c *Chain) Compose(ctx context.Context, pallet, call string, args any) (Call, error) {
	r, err := c.runtimeAt(ctx, Hash{})
	if err != nil {
		return nil, err
	}
	return r.compose(pallet, call, args)
}

func (r *runtime) compose(pallet, call string, args any) (encoded Call, err error) {
	index, ok := r.meta.CallIndex(pallet, call)
	if !ok {
		return nil, missing(pallet, call)
	}
	encoded = index[:]
	if args != nil {
		if encoded, err = scale.Append(encoded, args); err != nil {
			return nil, err
		}
	}
	_, variant, ok := r.meta.Call(index)
	if !ok {
		return nil, missing(pallet, call)
	}
	d := scale.NewDecoder(encoded[2:])
	for _, f := range variant.Fields {
		r.meta.Skip(d, f.Type)
	}
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("client: %s.%s takes other arguments on this parentchain: %w", pallet, call, err)
	}
	return encoded, nil
}

// NamedValue is a field of an event.
type NamedValue = metadata.NamedValue

// Event is an event of a block.
type Event struct {
	metadata.EventRecord
	meta *metadata.Metadata
}

// Fields decodes the event's fields for display.
func (e Event) Fields() ([]NamedValue, error) { return e.meta.EventFields(e.EventRecord) }

// Is reports whether the event is the one of these names.
func (e Event) Is(pallet, name string) bool { return e.Pallet == pallet && e.Name == name }

// Events returns the events of a block in order.
func (c *Chain) Events(ctx context.Context, block Hash) ([]Event, error) {
	h, err := c.node.Header(ctx, block)
	if err != nil {
		return nil, c.nodeError(err)
	}
	// The block's events were written by the runtime that executed it, which
	// is the one in the state of its parent.
	r, err := c.runtimeAt(ctx, h.ParentHash)
	if err != nil {
		return nil, err
	}
	entry, ok := r.meta.StorageEntry("System", "Events")
	if !ok {
		return nil, missing("System", "Events")
	}
	key, err := entry.Key()
	if err != nil {
		return nil, err
	}
	raw, present, err := c.node.Storage(ctx, key, block)
	if err != nil || !present {
		return nil, c.nodeError(err)
	}
	records, err := r.meta.DecodeEvents(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: events of block %v: %w", ErrProtocol, block, err)
	}
	events := make([]Event, len(records))
	for i, rec := range records {
		events[i] = Event{rec, r.meta}
	}
	return events, nil
}
