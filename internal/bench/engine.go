package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/fabricate"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/pipeline"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/trie"
)

var (
	fingerprint = integritee.Fingerprint{0xbe, 0x9c}
	shard       = integritee.ShardID(fingerprint)
)

var storeKey = [32]byte{1}

// engine is a worker without node and network: light client, core and store.
type engine struct {
	lc   *lightclient.Client
	core *enclave.Core
	log  *store.Log
	keys *enclave.KeyMaterial
	cfg  enclave.Config
	dir  string // of the store
	// group is how many commits are stored at once: store.MaxGroup far behind
	// the chain, 1 near its head.
	group   int
	waiting [][]byte
}

// newEngine starts at block 0 of a chain, with a store in dir.
func newEngine(ctx context.Context, c *fabricate.Chain, app *stf.App, keys *enclave.KeyMaterial, dir string) (*engine, error) {
	start, err := c.LightStart()
	if err != nil {
		return nil, err
	}
	head := c.Start()
	cfg := enclave.Config{App: app, Trust: enclave.DevTrustConfig(head.Hash(), shard, app.Name()), Keys: keys, Fingerprint: fingerprint}
	e := &engine{lc: lightclient.New(start), keys: keys, cfg: cfg, dir: dir, group: store.MaxGroup}
	e.core, err = enclave.New(cfg, enclave.Start{Header: head, Proof: c.ProveStart(enclave.RequiredKeys(shard, 0)...), LightClient: e.lc.State()})
	if err != nil {
		return nil, err
	}
	if err := giveRuntime(ctx, e.core, c); err != nil {
		return nil, err
	}
	if e.log, err = store.Open(dir, storeKey, store.Options{}); err != nil {
		return nil, err
	}
	none := func(uint64, io.Reader) error { return errors.New("the store is not new") }
	if err := e.log.Replay(none, func(uint64, []byte) error { return errors.New("the store is not new") }); err != nil {
		return nil, errors.Join(err, e.log.Close())
	}
	return e, nil
}

func (e *engine) close() error { return e.log.Close() }

// upcoming is a verified block that waits for its turn.
type upcoming struct {
	block *lightclient.VerifiedBlock
	ahead *enclave.Ahead
}

// process does with a segment what a worker does, from the justification to
// the commit: all but fetching and JSON. It returns the commits' receipts.
func (e *engine) process(s *fabricate.Segment) (receipts int, err error) {
	final, err := e.lc.Finalize(s.Headers(), s.Justification)
	if err != nil {
		return 0, err
	}
	window := pipeline.New[upcoming](0)
	defer window.Close()
	next := 0
	for next < len(final) || window.Len() > 0 {
		for next < len(final) && !window.Full() {
			b := &s.Blocks[next]
			vb, err := final[next].Verify(trie.V0, b.Body, b.Proof, e.core.RequiredKeys(final[next].Number())...)
			if err != nil {
				return 0, err
			}
			ahead, size := e.core.LookAhead(vb), 0
			for _, x := range b.Body {
				size += len(x)
			}
			window.Put(upcoming{vb, ahead}, size, ahead.Pieces())
			next++
		}
		u, err := window.Take(context.Background()) // opening always ends
		if err != nil {
			return 0, err
		}
		n, err := e.block(u, next == len(final) && window.Len() == 0)
		if err != nil {
			return 0, err
		}
		receipts += n
	}
	return receipts, nil
}

// block executes and commits a block; the last one of a segment with all that
// waits. It returns how many receipts it has.
func (e *engine) block(u upcoming, last bool) (receipts int, err error) {
	prepared, err := e.core.PrepareAhead(u.block, u.ahead)
	if err != nil {
		return 0, err
	}
	commit, err := prepared.Execute(u.block)
	if err != nil {
		return 0, err
	}
	if e.waiting = append(e.waiting, commit.Encode()); len(e.waiting) >= e.group || last {
		if err := e.log.Append(e.waiting...); err != nil {
			return 0, err
		}
		e.waiting = nil
	}
	if err := e.core.Adopt(commit); err != nil {
		return 0, err
	}
	for j := range commit.Receipts {
		if o := commit.Receipts[j].Outcome; !o.OK() {
			return 0, fmt.Errorf("block %d: operation %d: %v", commit.Number, j, o)
		}
	}
	if len(commit.Alarms) > 0 {
		return 0, fmt.Errorf("block %d: %v", commit.Number, commit.Alarms)
	}
	if len(e.waiting) == 0 && e.log.Since() > e.log.SnapshotAt() {
		if err := e.log.Snapshot(e.core.SnapshotWriter()); err != nil {
			return 0, err
		}
	}
	return len(commit.Receipts), nil
}

// sampleApp returns the sample app with fresh key material.
func sampleApp() (*stf.App, *enclave.KeyMaterial, error) {
	app, err := sample.New()
	if err != nil {
		return nil, nil, err
	}
	key, err := shielding.Generate()
	if err != nil {
		return nil, nil, err
	}
	keys, err := enclave.NewKeyMaterial(key, rand.Reader)
	return app, keys, err
}

// user is somebody with an account in the shard.
type user struct {
	*keyring.Pair
	nonce uint32
}

func newUser(uri string) (*user, error) {
	p, err := keyring.FromURI(keyring.Sr25519, uri)
	return &user{Pair: p}, err
}

// seal encrypts to the shard.
func seal(keys *enclave.KeyMaterial, e shielding.Envelope, plain []byte) ([]byte, error) {
	if e == shielding.RSA {
		return keys.Shielding.Public().Encrypt(rand.Reader, plain)
	}
	return keys.Hybrid(e).Public().Seal(plain, shielding.Binding{Shard: shard, Fingerprint: fingerprint})
}

// transfer returns the ciphertext of the user's next transfer.
func (u *user) transfer(keys *enclave.KeyMaterial, e shielding.Envelope, to keyring.AccountID, amount uint64) ([]byte, error) {
	call := sample.BalanceTransfer(u.AccountID(), to, scale.NewU128(amount))
	top := integritee.SignCall(call, u.nonce, fingerprint, shard, u.Pair).IndirectCall()
	u.nonce++
	return seal(keys, e, top)
}
