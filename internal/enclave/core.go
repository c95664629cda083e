package enclave

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"

	"github.com/offchain-worker/sdk/internal/enclave/internal/envelope"
	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// Defaults of Config.
const (
	// DefaultConfirmInterval makes about one confirmation per hour on a chain
	// of 6 s blocks.
	DefaultConfirmInterval = 600
	// DefaultReceiptBlocks keeps receipts for about a week of 6 s blocks.
	DefaultReceiptBlocks = 100_800
	// DefaultReceiptBytes is room for some 800,000 receipts without events.
	DefaultReceiptBytes = 256 << 20
)

// Config is what a core is made of. Only App, Trust and Keys decide the state;
// the rest concerns this worker alone.
type Config struct {
	App   *stf.App
	Trust TrustConfig
	// Keys has the shard's root seed, and the shielding key of one epoch, if that is
	// not for Epoch to give. It is kept as long as the core.
	Keys *KeyMaterial
	// Epoch returns the keys of a further epoch, nil as long as there are none: the
	// core does not go on without them, and keeps those that are accepted. Nil has none.
	Epoch func(epoch.ID) *KeyMaterial
	// Fingerprint is this enclave's measurement. A block at which the shard's
	// configuration names another one, not approved either, is refused.
	Fingerprint integritee.Fingerprint
	// Approved tells of a further measurement whether this enclave may accept its
	// signatures and envelopes because the upgrade keys said so; nil for none. No
	// byte depends on it, only whether the enclave goes on.
	Approved func(integritee.Fingerprint) bool
	// Account is this worker's account on the parentchain; zero for a core
	// that never confirms.
	Account keyring.AccountID
	// ConfirmAll confirms every block.
	ConfirmAll bool
	// ConfirmInterval confirms, as a sign of life, blocks whose number it
	// divides; default DefaultConfirmInterval.
	ConfirmInterval uint32
	// PublishInterval has the roots of blocks whose number it divides published
	// on the parentchain; 0 publishes none. It must be a power of two, so that
	// workers with different ones have blocks in common (RULES 20).
	PublishInterval uint32
	// ReceiptBlocks is for how many blocks receipts, and the roots to prove them
	// against, are kept; default DefaultReceiptBlocks.
	ReceiptBlocks uint32
	// ReceiptBytes is how much memory receipts may take, about; default
	// DefaultReceiptBytes. If that is less than those of ReceiptBlocks need, the
	// oldest blocks' go earlier. The last block's are kept whatever they take.
	ReceiptBytes uint64
	// Parallelism bounds the goroutines that decrypt; default GOMAXPROCS.
	Parallelism int
	// Watch is called when a stage of a block begins, and what it returns when
	// that ends: the core has no clock. Nil measures nothing.
	Watch func(Stage) func()
	// Witness is asked for a function by each goroutine that runs code of the app
	// for a block: it is called before each step, and with the zero Step after the
	// last. So what the process died of is known where Go cannot recover: a stack
	// that overflows, memory that runs out. Nil tells nobody.
	Witness func() func(Step)
	// Careful is a block up to which nothing is opened before its turn, nor two
	// calls at a time: the process has died there, and only one step may be the
	// one. No byte depends on it.
	Careful header.Number
	// Envelope is for simulations, which can make one; nil, as everywhere else,
	// has keys open ciphertexts.
	Envelope *envelope.None
}

// opener is all that the core knows of encryption: it opens a ciphertext that is
// no longer than so many chunks of RSA. Longer ones are [shielding.ErrTooLong],
// all else that fails is [shielding.ErrUndecryptable].
type opener interface {
	Open(ciphertext []byte, maxChunks int, where shielding.Binding) ([]byte, error)
}

// check fills in defaults and reports every problem.
func (cfg *Config) check() error {
	var all []error
	if cfg.App == nil {
		all = append(all, errors.New("no app"))
	} else if cfg.App.Name() != cfg.Trust.App {
		all = append(all, fmt.Errorf("the app is %q, the trust config wants %q", cfg.App.Name(), cfg.Trust.App))
	}
	if cfg.Keys == nil || cfg.Keys.Shielding == nil && cfg.Epoch == nil {
		all = append(all, errors.New("no key material"))
	}
	if err := cfg.Trust.Check(); err != nil {
		all = append(all, err)
	}
	if err := checkInterval(cfg.PublishInterval); err != nil {
		all = append(all, err)
	}
	if cfg.ConfirmInterval == 0 {
		cfg.ConfirmInterval = DefaultConfirmInterval
	}
	if cfg.ReceiptBlocks == 0 {
		cfg.ReceiptBlocks = DefaultReceiptBlocks
	}
	if cfg.ReceiptBytes == 0 {
		cfg.ReceiptBytes = DefaultReceiptBytes
	}
	if cfg.Parallelism <= 0 {
		cfg.Parallelism = runtime.GOMAXPROCS(0)
	}
	if len(all) > 0 {
		return fmt.Errorf("%w: %w", ErrFatal, errors.Join(all...))
	}
	return nil
}

// Start is the block whose state is the first one of the shard.
type Start struct {
	// Header of the trusted start block.
	Header header.Header
	// Proof is a read proof of RequiredKeys at the start block.
	Proof [][]byte
	// LightClient is the state of a light client at the start block.
	LightClient lightclient.State
}

// tip is what a core knows after a block, beside the private state. It is part
// of snapshots.
type tip struct {
	Number      header.Number
	Hash        hashing.Hash
	ParentHash  hashing.Hash
	ChainRoot   hashing.Hash  // state root of the parentchain after this block
	CodeHash    *hashing.Hash // of the code that executes the next block; nil until proven
	Now         stf.Moment
	ShardConfig *integritee.UpgradableShardConfig // after this block
	StateRoot   hashing.Hash
	Registered  *header.Number // block of the account's first registration
	LightClient lightclient.State
}

// Core executes blocks. Its methods belong to one goroutine, except View.
type Core struct {
	cfg       Config
	trustHash hashing.Hash
	opened    map[epoch.ID]opener // made of keys, of the epochs accepted lately
	epochs    epoch.State         // as the state has it
	appSecret [32]byte
	fees      keyring.AccountID // the enclave account
	tip       tip
	state     *state.State
	outbox    outbox
	receipts  receiptIndex
	history   rootsHistory
	recent    recentChanges
	runtime   *Runtime // nil until UseRuntime
	view      atomic.Pointer[View]
	// loading says that the state root has not been checked since Restore.
	loading bool
	// shardAccount is the shard's account on the parentchain.
	shardAccount keyring.AccountID
	// step tells Config.Witness what the block that has its turn does.
	step func(Step)
	// everyBlock is what the app reads of the parentchain in the next block,
	// whatever that holds.
	everyBlock *stf.Declared
}

// New returns a core at the start block, with the app's genesis state. The
// error wraps ErrFatal.
func New(cfg Config, start Start) (*Core, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	config, err := checkStart(&cfg.Trust, &start)
	if err != nil {
		return nil, fmt.Errorf("%w: start block: %w", ErrFatal, err)
	}
	c := newCore(cfg, tip{
		Number:      start.Header.Number,
		Hash:        cfg.Trust.StartHash,
		ParentHash:  start.Header.ParentHash,
		ChainRoot:   start.Header.StateRoot,
		ShardConfig: config,
		LightClient: start.LightClient,
	})
	o := state.NewOverlay(c.state.Snapshot())
	if err := c.cfg.App.Genesis(o, c.env(&c.tip, config)); err != nil {
		return nil, fmt.Errorf("%w: genesis of the app: %w", ErrFatal, err)
	}
	c.state.Apply(c.tip.Number, o.Changes())
	c.tip.StateRoot = c.state.Root()
	c.history.begin(c.tip.Number, blockRoots{Block: c.tip.Hash, State: c.tip.StateRoot, Receipts: trie.EmptyRoot},
		roots.StartHistory(cfg.Trust.Shard, c.tip.Hash, c.tip.StateRoot))
	c.publish()
	return c, nil
}

func newCore(cfg Config, t tip) *Core {
	return &Core{
		cfg:       cfg,
		trustHash: cfg.Trust.Hash(),
		opened:    map[epoch.ID]opener{},
		appSecret: cfg.Keys.prf(labelPRFApp),
		fees:      cfg.Keys.EnclaveAccount(),
		tip:       t,
		state:     state.New(cfg.Keys.prf(labelPRFState)),
		receipts:  newReceiptIndex(cfg.ReceiptBlocks, cfg.ReceiptBytes),
		history:   rootsHistory{keep: cfg.ReceiptBlocks},

		shardAccount: cfg.Keys.ShardAccount().AccountID(),
	}
}

// checkStart checks the start block against the trust config and returns the
// shard's configuration in its state.
func checkStart(t *TrustConfig, s *Start) (*integritee.UpgradableShardConfig, error) {
	hash := s.Header.Hash()
	trust := t.LightClient()
	if trust.InsecureWord && t.StartNumber == 0 {
		hash = t.StartHash // which such a node may have made up
	}
	if s.Header.Number != t.StartNumber || hash != t.StartHash {
		return nil, fmt.Errorf("the trust config starts at block %d %v, this is %d %v", t.StartNumber, t.StartHash, s.Header.Number, hash)
	}
	if err := trust.Check(s.LightClient); err != nil {
		return nil, err
	}
	values, err := trust.Values(s.Header.StateRoot, s.Proof, RequiredKeys(t.Shard, s.Header.Number)...)
	if err != nil {
		return nil, err
	}
	return decodeShardConfig(values[0].Value, values[0].Present)
}

func decodeShardConfig(value []byte, present bool) (*integritee.UpgradableShardConfig, error) {
	if !present {
		return nil, nil
	}
	config := new(integritee.UpgradableShardConfig)
	if err := scale.Unmarshal(value, config); err != nil {
		return nil, fmt.Errorf("EnclaveBridge.ShardConfigRegistry has an unknown layout: %w", err)
	}
	return config, nil
}

// shardConfigKey is the storage key of EnclaveBridge.ShardConfigRegistry[shard].
func shardConfigKey(shard integritee.ShardID) []byte {
	return hashing.Blake2_128Concat.AppendKey(hashing.StoragePrefix(bridgePallet, "ShardConfigRegistry"), shard[:])
}

// RequiredKeys returns the storage keys of which values must be proven at the
// start block, for New. At later blocks they depend on the state:
// [Core.RequiredKeys].
func RequiredKeys(shard integritee.ShardID, _ header.Number) [][]byte {
	return [][]byte{shardConfigKey(shard)}
}

// LightClient returns the light client's state at the last adopted block.
func (c *Core) LightClient() lightclient.State { return c.tip.LightClient }

// View returns the present view. It may be called by any goroutine.
func (c *Core) View() *View { return c.view.Load() }

// Pending returns what is owed to the parentchain and may be sent, in the
// order in which it should be. An entry leaves only by a block that proves it
// done, or impossible.
func (c *Core) Pending() []Effect { return c.outbox.ready() }

// Registered returns the block in which the worker's account was first seen to
// register with Teerex. Only later blocks are confirmed.
func (c *Core) Registered() (header.Number, bool) {
	if c.tip.Registered == nil {
		return 0, false
	}
	return *c.tip.Registered, true
}

// nextFingerprint returns the fingerprint in force at the next block, or a
// *FingerprintError if this enclave must not execute it (RULES 2). As long as
// a shard has no configuration, what is in force is its own name, which need
// not be anybody's measurement: no worker is asked to stop by that (decision
// 5), but signatures must be for it.
func (c *Core) nextFingerprint() (integritee.Fingerprint, error) {
	n := c.tip.Number + 1
	f := integritee.FingerprintAt(c.cfg.Trust.Shard, c.tip.ShardConfig, n)
	if c.tip.ShardConfig != nil && f != c.cfg.Fingerprint && (c.cfg.Approved == nil || !c.cfg.Approved(f)) {
		return f, &FingerprintError{Block: n, InForce: f, Own: c.cfg.Fingerprint}
	}
	return f, nil
}

// env is what the app sees of block t; config is the shard's configuration in
// the state of its parent.
func (c *Core) env(t *tip, config *integritee.UpgradableShardConfig) stf.Env {
	return stf.Env{
		Shard:          c.cfg.Trust.Shard,
		Genesis:        c.cfg.Trust.Genesis,
		Number:         t.Number,
		Hash:           t.Hash,
		ParentHash:     t.ParentHash,
		Now:            t.Now,
		EnclaveAccount: c.fees,
		ShardAccount:   c.shardAccount,
		Secret:         c.appSecret,
		ShardConfig:    config,
	}
}

// publish makes the present state the one that getters see.
func (c *Core) publish() {
	c.epochs = c.cfg.App.Epochs(c.state.Snapshot())
	next := c.tip
	next.Number++
	c.everyBlock = c.cfg.App.DeclareEveryBlock(c.env(&next, c.tip.ShardConfig))
	c.view.Store(&View{
		app:         c.cfg.App,
		env:         c.env(&c.tip, c.tip.ShardConfig),
		state:       c.state.Snapshot(),
		root:        c.tip.StateRoot,
		receipts:    c.receipts.snapshot(),
		history:     c.history,
		recent:      c.recent.blocks,
		required:    c.requiredKeys(),
		epochs:      c.epochs,
		fingerprint: integritee.FingerprintAt(c.cfg.Trust.Shard, c.tip.ShardConfig, c.tip.Number+1),
	})
}

// Format writes a placeholder: a core holds secrets.
func (c *Core) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "enclave.Core(block %d)", c.tip.Number)
}

// LogValue returns the block number: a core holds secrets.
func (c *Core) LogValue() slog.Value { return slog.Uint64Value(uint64(c.tip.Number)) }
