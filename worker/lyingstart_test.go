package worker

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee/sim"
)

// startAttack is an attack by the disk that a worker starts from, or by its
// command line and files.
type startAttack struct {
	attack
	// prepare changes a copy of a worker's data folder, or its configuration.
	prepare func(t *testing.T, s *startScene, cfg *Config)
}

// heals says that the worker goes on by itself, and comes to the state of the others.
func (a startAttack) heals() bool {
	return a.want.name == damaged.name || a.want.name == rolledBack.name || a.want.name == unhurt.name
}

// startScene is a worker that was stopped, and another one's data folder.
type startScene struct {
	*network
	dir, other string // data folders
	older      string // the first one's, some blocks earlier
}

var (
	sealed        = refused("ErrSealed", ErrSealed)
	damaged       = refusedAs[*store.DamageError]("store.DamageError, healed by replay")
	rolledBack    = refused("errRolledBack, healed by replay", errRolledBack)
	unhurt        = refusal{"nothing, no harm comes of it", func(err error) bool { return err == nil }}
	otherSnapshot = refused("enclave.ErrSnapshot", enclave.ErrSnapshot)
	otherKey      = refused("store.ErrKey", store.ErrKey)
	otherTrust    = refused("errOtherTrust", errOtherTrust)
	wrongClass    = refused("errClass", errClass)
	notProduction = refused("errInsecure", errInsecure)
	badStart      = refused("lightclient.ErrCheckpoint", lightclient.ErrCheckpoint)
	invalidTrust  = refused("enclave.ErrTrustConfig", enclave.ErrTrustConfig)
)

// flipByte changes a byte of a file; negative positions count from the end.
func flipByte(t *testing.T, path string, at int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if at < 0 {
		at += len(b)
	}
	b[at] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func copyFolder(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

func removeAll(t *testing.T, path ...string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(path...)); err != nil {
		t.Fatal(err)
	}
}

// storeFile returns the largest file of the store whose name begins so.
func storeFile(t *testing.T, dir, begin string) string {
	t.Helper()
	var found string
	var size int64 = -1
	err := filepath.WalkDir(filepath.Join(dir, shardsDir), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasPrefix(d.Name(), begin) {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > size {
			found, size = path, info.Size()
		}
		return err
	})
	if err != nil || found == "" {
		t.Fatalf("no file %s in the store of %s: %v", begin, dir, err)
	}
	return found
}

// trusting starts a worker from a trust config of the host's.
func trusting(change func(s *startScene, t *enclave.TrustConfig)) func(*testing.T, *startScene, *Config) {
	return func(t *testing.T, s *startScene, cfg *Config) {
		trust := enclave.DevTrustConfig(s.chain.Genesis(), s.shard(), s.app.Name())
		change(s, &trust)
		b, err := json.Marshal(trust)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Dev, cfg.TrustConfig = false, filepath.Join(t.TempDir(), "trust.json")
		if err := os.WriteFile(cfg.TrustConfig, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// fresh has the worker start from an empty folder.
func fresh(prepare func(*testing.T, *startScene, *Config)) func(*testing.T, *startScene, *Config) {
	return func(t *testing.T, s *startScene, cfg *Config) {
		cfg.DataDir = t.TempDir()
		prepare(t, s, cfg)
	}
}

func startAttacks() []startAttack {
	file := func(name string, at int) func(*testing.T, *startScene, *Config) {
		return func(t *testing.T, _ *startScene, cfg *Config) { flipByte(t, filepath.Join(cfg.DataDir, name), at) }
	}
	others := func(name string) func(*testing.T, *startScene, *Config) {
		return func(t *testing.T, s *startScene, cfg *Config) {
			copyFile(t, filepath.Join(s.other, name), filepath.Join(cfg.DataDir, name))
		}
	}
	older := func(names ...string) func(*testing.T, *startScene, *Config) {
		return func(t *testing.T, s *startScene, cfg *Config) {
			for _, name := range names {
				to := filepath.Join(cfg.DataDir, name)
				removeAll(t, to)
				from := filepath.Join(s.older, name)
				if info, err := os.Stat(from); err != nil {
					t.Fatal(err)
				} else if !info.IsDir() {
					copyFile(t, from, to)
				} else if err := os.CopyFS(to, os.DirFS(from)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	remove := func(begin string) func(*testing.T, *startScene, *Config) {
		return func(t *testing.T, _ *startScene, cfg *Config) {
			if err := os.Remove(storeFile(t, cfg.DataDir, begin)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return []startAttack{
		{attack{"account key flipped", "flips a bit of the sealed account key", sealed}, file(accountFile, -1)},
		{attack{"account key of another worker", "puts another worker's account key in", sealed}, others(accountFile)},
		{attack{"key material flipped", "flips a bit of the shard's sealed keys", sealed}, file(materialFile, -20)},
		{attack{"key material of another worker", "puts another worker's sealed keys in", sealed}, others(materialFile)},
		{attack{"one sealed file for another", "puts the account key in the place of the shard's keys", sealed}, func(t *testing.T, _ *startScene, cfg *Config) {
			copyFile(t, filepath.Join(cfg.DataDir, accountFile), filepath.Join(cfg.DataDir, materialFile))
		}},
		{attack{"trust config flipped", "flips a bit of the sealed trust config", sealed}, file(filepath.Join(chainDir, trustFile), -3)},
		{attack{"another platform's sealing key", "gives the worker another platform", sealed}, others(sim.SealFile)},
		{attack{"log flipped", "flips a bit of a block in the store", damaged}, func(t *testing.T, _ *startScene, cfg *Config) {
			b, err := os.ReadFile(storeFile(t, cfg.DataDir, "log-"))
			if err != nil {
				t.Fatal(err)
			}
			flipByte(t, storeFile(t, cfg.DataDir, "log-"), len(b)/2)
		}},
		{attack{"snapshot flipped", "flips a bit of a snapshot", damaged}, func(t *testing.T, _ *startScene, cfg *Config) {
			flipByte(t, storeFile(t, cfg.DataDir, "snapshot-"), -30)
		}},
		{attack{"blocks cut out of the log", "cuts a piece out of the middle of the store", damaged}, func(t *testing.T, _ *startScene, cfg *Config) {
			path := storeFile(t, cfg.DataDir, "log-")
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b = slices.Concat(b[:len(b)/3], b[len(b)/2:])
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{attack{"blocks twice in the log", "appends blocks of the store once more", damaged}, func(t *testing.T, s *startScene, cfg *Config) {
			path := storeFile(t, cfg.DataDir, "log-")
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			old, err := os.ReadFile(storeFile(t, s.older, "log-"))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(b, old) || len(old) == len(b) {
				t.Fatal("the older log is no beginning of the log")
			}
			if err := os.WriteFile(path, append(b, b[len(old):]...), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{attack{"log removed", "removes the blocks since a snapshot", damaged}, remove("log-")},
		{attack{"snapshot removed", "removes the snapshot", damaged}, remove("snapshot-")},
		{attack{"format of the log changed", "has a file pass for one of a later version", damaged}, func(t *testing.T, _ *startScene, cfg *Config) {
			flipByte(t, storeFile(t, cfg.DataDir, "log-"), 9)
		}},
		{attack{"store rolled back", "puts an older copy of the store in its place", rolledBack}, older(shardsDir)},
		{attack{"data folder rolled back", "puts an older copy of the whole folder in its place", rolledBack},
			func(t *testing.T, s *startScene, cfg *Config) { cfg.DataDir = copyFolder(t, s.older) }},
		{attack{"sealed files rolled back", "puts older copies of account key, keys and trust config in their places", unhurt},
			older(accountFile, materialFile, chainDir)},
		{attack{"account key removed", "removes the account key, so that another account owes what the state says", otherSnapshot},
			func(t *testing.T, _ *startScene, cfg *Config) { removeAll(t, cfg.DataDir, accountFile) }},
		{attack{"key material removed", "removes the shard's keys", unhurt}, func(t *testing.T, _ *startScene, cfg *Config) { removeAll(t, cfg.DataDir, materialFile) }},
		{attack{"trust config removed", "removes the trust config", unhurt}, func(t *testing.T, _ *startScene, cfg *Config) { removeAll(t, cfg.DataDir, chainDir) }},
		{attack{"store removed", "removes the whole store", unhurt}, func(t *testing.T, _ *startScene, cfg *Config) { removeAll(t, cfg.DataDir, shardsDir) }},
		{attack{"store of another worker", "puts another worker's store in", otherKey}, func(t *testing.T, s *startScene, cfg *Config) {
			dir := filepath.Join(cfg.DataDir, shardsDir)
			removeAll(t, dir)
			if err := os.CopyFS(dir, os.DirFS(filepath.Join(s.other, shardsDir))); err != nil {
				t.Fatal(err)
			}
		}},
		{attack{"another genesis for the folder", "has the worker go on with a trust config of another chain", otherTrust},
			trusting(func(_ *startScene, t *enclave.TrustConfig) { t.Genesis, t.StartHash = hashing.Hash{9}, hashing.Hash{9} })},
		{attack{"another start block for the folder", "moves the start of trust of a folder that has a state", otherTrust},
			trusting(func(s *startScene, t *enclave.TrustConfig) {
				t.StartNumber, t.StartHash, t.StartAuthoritySetHash = 2, s.chain.Block(2).Hash, hashing.Hash{1}
			})},
		{attack{"upgrade keys of the host", "adds keys that may approve other programs", otherTrust},
			trusting(func(_ *startScene, t *enclave.TrustConfig) {
				t.Upgrade = enclave.UpgradeKeys{Threshold: 1, Keys: []keyring.AccountID{ferdie.AccountID()}}
			})},
		{attack{"insecure flag for the folder", "has a worker that demands proofs believe a node", notProduction},
			func(_ *testing.T, _ *startScene, cfg *Config) { cfg.InsecureTrustParentchainRPC = true }},
		{attack{"insecure flag in the trust config", "hides the flag in a file", notProduction},
			fresh(trusting(func(_ *startScene, t *enclave.TrustConfig) { t.Insecure = enclave.TrustParentchainRPC }))},
		{attack{"production on a simulated platform", "has simulated evidence pass for genuine", wrongClass},
			fresh(trusting(func(_ *startScene, t *enclave.TrustConfig) { t.Class = enclave.Production }))},
		{attack{"unknown flag in the trust config", "sets a flag of a later version", invalidTrust},
			fresh(trusting(func(_ *startScene, t *enclave.TrustConfig) { t.Insecure = 1 << 7 }))},
		{attack{"forged genesis", "starts a new worker on a chain that the node is not of", otherChain},
			fresh(trusting(func(_ *startScene, t *enclave.TrustConfig) { t.Genesis, t.StartHash = hashing.Hash{9}, hashing.Hash{9} }))},
		{attack{"forged checkpoint", "starts a new worker on a block that is on no chain", notFound},
			fresh(trusting(func(_ *startScene, t *enclave.TrustConfig) {
				t.StartNumber, t.StartHash, t.StartAuthoritySetHash = 3, hashing.Hash{3}, hashing.Hash{4}
			}))},
		{attack{"checkpoint with authorities of the host", "names an authority set that the block does not have", badStart},
			fresh(trusting(func(s *startScene, t *enclave.TrustConfig) {
				t.StartNumber, t.StartHash, t.StartAuthoritySetHash = 3, s.chain.Block(3).Hash, hashing.Hash{4}
			}))},
		{attack{"checkpoint of another number", "gives a true block another number", badStart},
			fresh(trusting(func(s *startScene, t *enclave.TrustConfig) {
				t.StartNumber, t.StartHash, t.StartAuthoritySetHash = 4, s.chain.Block(3).Hash, hashing.Hash{4}
			}))},
	}
}

// TestLyingStart starts a worker from what a host has changed. Where it can heal
// it does, names what was wrong, and comes to the others' state. Else it must
// end, or say that it is behind, with the right error, and must not run; the
// same worker goes on from its true folder. However often it starts from an old
// state, it confirms no block twice.
func TestLyingStart(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, devchain.Config{})
	s := &startScene{network: n, dir: t.TempDir(), other: t.TempDir()}
	w := n.start(n.config("1", s.dir))
	n.ready(w)
	second := n.start(n.config("2", s.other))
	n.ready(second)
	session := n.session(w)
	n.shield(session, alice.AccountID(), 50*unit)
	stopped(t, w)
	s.older = copyFolder(t, s.dir)
	w = n.start(n.config("1", s.dir))
	n.ready(w)
	session = n.session(w)
	for nonce := range uint32(3) {
		n.invoke(session, alice, nonce, sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), amount(unit)))
	}
	n.until(w, "its confirmations are not proven", func() bool { return w.Status().Pending == 0 })
	stopped(t, w)
	for _, a := range startAttacks() {
		t.Run(a.name, func(t *testing.T) {
			cfg := n.config("1", copyFolder(t, s.dir))
			errs := watchErrors(cfg.Logger)
			cfg.Logger = slogOf(errs)
			a.prepare(t, s, &cfg)
			before := hashFolder(t, filepath.Join(cfg.DataDir, shardsDir))
			w, err := Start(n.ctx, cfg)
			if err == nil && a.heals() {
				n.ready(w)
				n.sameState(second, w)
				stopped(t, w)
				for _, told := range []refusal{damaged, rolledBack} {
					if got := errs.find(told); (got != nil) != (told.name == a.want.name) {
						t.Errorf("of %s the log says %v", told.name, got)
					}
				}
				return
			}
			if err == nil {
				err = s.ends(w, errs, a.want)
			}
			if !a.want.is(err) {
				t.Errorf("got %v, want %s", err, a.want.name)
			}
			if after := hashFolder(t, filepath.Join(cfg.DataDir, shardsDir)); after != before {
				t.Error("the store was changed")
			}
		})
	}
	w = n.start(n.config("1", s.dir))
	n.ready(w)
	n.sameState(second, w)
	for number, times := range n.confirmations(w) {
		if times > 1 {
			t.Errorf("block %d was confirmed %d times", number, times)
		}
	}
}

// ends waits until a worker ends or logs an error as wanted, and stops it.
func (s *startScene) ends(w *Worker, errs *errorWatch, want refusal) error {
	for {
		errs.mu.Lock()
		i, changed := slices.IndexFunc(errs.errs, want.is), errs.changed
		var err error
		if i >= 0 {
			err = errs.errs[i]
		}
		errs.mu.Unlock()
		select {
		case <-w.Done():
			return w.Wait()
		default:
		}
		if err != nil {
			w.Stop()
			return err
		}
		select {
		case <-w.Done():
			return w.Wait()
		case <-w.Ready():
			w.Stop()
			return nil
		case <-changed:
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
	}
}
