package worker

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/tee"
)

// Files of the data folder. Where the Rust worker has a file of that meaning
// the name is the same.
const (
	accountFile  = "ed25519_key_sealed.bin" // seed of the account on the parentchain
	materialFile = "rsa3072_key_sealed.bin" // key material of the shard
	chainDir     = "integritee_lcdb"        // trust in the parentchain
	trustFile    = "db.bin"                 // in chainDir: the trust config
	shardsDir    = "shards"                 // one store per shard
	operatorLock = "worker.lock"            // made by people: keeps the worker from starting
	instanceLock = "worker.instance"        // held while a worker runs here
	chainGuard   = "integritee_lcdb.protect"
	shardsGuard  = "shards.protect"
)

// operatorLockPoll is how often worker.lock is looked for.
const operatorLockPoll = 5 * time.Second

// sealMagic starts sealed files; its end is the version of the format.
const sealMagic = "OCWSEAL\x01"

// maxSealed bounds a sealed file in bytes. The largest are runtimes, whose
// metadata has some hundred KB.
const maxSealed = 64 << 20

var (
	// ErrSealed means that a sealed file does not open: another program,
	// another machine, or a damaged file.
	ErrSealed = errors.New("worker: sealed file does not open")
	// errNewerFile means that a newer version of this program sealed a file.
	errNewerFile = errors.New("worker: written by a newer version")
)

// dataDir is the folder of one worker.
type dataDir struct {
	path string
	fs   store.FS
	lock io.Closer
}

// openDataDir makes the folder if needed, takes it for this process, and
// removes what a crash left half written.
func openDataDir(path string, fsys store.FS) (*dataDir, error) {
	if err := fsys.MkdirAll(path); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	lock, err := fsys.Lock(filepath.Join(path, instanceLock))
	if err != nil {
		return nil, fmt.Errorf("data folder %s: %w", path, err)
	}
	d := &dataDir{path: path, fs: fsys, lock: lock}
	for _, dir := range []string{path, d.file(chainDir), d.file(runtimesDir)} {
		if err := store.RemoveTemporary(fsys, dir); err != nil {
			return nil, errors.Join(fmt.Errorf("data folder: %w", err), lock.Close())
		}
	}
	return d, nil
}

func (d *dataDir) close() error { return d.lock.Close() }

func (d *dataDir) file(name ...string) string {
	return filepath.Join(append([]string{d.path}, name...)...)
}

func (d *dataDir) shard(s integritee.ShardID) string { return d.file(shardsDir, s.String()) }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// waitForOperator waits until nobody wants the worker to stay down.
func (d *dataDir) waitForOperator(ctx context.Context, log *slog.Logger) error {
	for first := true; exists(d.file(operatorLock)); first = false {
		if first {
			log.Warn("worker.lock keeps this worker from starting: remove it to go on", "file", d.file(operatorLock))
		}
		if err := sleep(ctx, operatorLockPoll); err != nil {
			return err
		}
	}
	return nil
}

// cleanReset removes state and light client, not keys, as --clean-reset of the
// Rust worker does. A guard file protects its folder.
func (d *dataDir) cleanReset(log *slog.Logger) error {
	for _, f := range []struct{ dir, guard string }{{chainDir, chainGuard}, {shardsDir, shardsGuard}} {
		if exists(d.file(f.guard)) {
			log.Warn("folder is protected from --clean-reset", "folder", f.dir, "guard", f.guard)
			continue
		}
		if err := os.RemoveAll(d.file(f.dir)); err != nil {
			return fmt.Errorf("clean reset: %w", err)
		}
	}
	return nil
}

// seal writes a file that only this program on this machine can open. It is
// durable when seal returns. The name is bound, so that one sealed file cannot
// be put in another's place; an older copy of the same file can, which is why
// whoever reads one compares it with the chain.
func (d *dataDir) seal(p tee.Platform, plain []byte, name ...string) error {
	aead, err := sealer(p, name)
	if err != nil {
		return err
	}
	return store.WriteFile(d.fs, d.file(name...), aead.Seal([]byte(sealMagic), nil, plain, []byte(sealMagic)))
}

// unseal reads what seal wrote. A missing file is fs.ErrNotExist.
func (d *dataDir) unseal(p tee.Platform, name ...string) ([]byte, error) {
	b, err := store.ReadFile(d.fs, d.file(name...), maxSealed)
	if err != nil {
		return nil, err
	}
	aead, err := sealer(p, name)
	if err != nil {
		return nil, err
	}
	if version := len(sealMagic) - 1; len(b) > version && string(b[:version]) == sealMagic[:version] && b[version] > sealMagic[version] {
		return nil, fmt.Errorf("%w: %s has format %d, this program knows %d", errNewerFile, d.file(name...), b[version], sealMagic[version])
	}
	if len(b) < len(sealMagic) || string(b[:len(sealMagic)]) != sealMagic {
		return nil, fmt.Errorf("%w: %s is not of a known format", ErrSealed, d.file(name...))
	}
	plain, err := aead.Open(nil, nil, b[len(sealMagic):], []byte(sealMagic))
	if err != nil {
		return nil, fmt.Errorf("%w: %s was sealed by another program (measurement) or machine, or is damaged", ErrSealed, d.file(name...))
	}
	return plain, nil
}

func sealer(p tee.Platform, name []string) (cipher.AEAD, error) {
	key, err := p.SealingKey("ocw/worker/file/1/" + filepath.ToSlash(filepath.Join(name...)))
	if err != nil {
		return nil, fmt.Errorf("sealing key: %w", err)
	}
	return store.RandomNonce(key), nil
}

// remove removes a file for good; it may be gone already.
func (d *dataDir) remove(name ...string) error {
	path := d.file(name...)
	if err := d.fs.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.fs.SyncDir(filepath.Dir(path))
}

// sleep waits, or returns the error of ctx when that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
