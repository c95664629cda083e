package worker

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
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

// ErrSealed means that a sealed file does not open: another program, another
// machine, or a damaged file.
var ErrSealed = errors.New("worker: sealed file does not open")

// dataDir is the folder of one worker.
type dataDir struct {
	path string
	lock io.Closer
}

// openDataDir makes the folder if needed and takes it for this process.
func openDataDir(path string) (*dataDir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	lock, err := store.OS.Lock(filepath.Join(path, instanceLock))
	if err != nil {
		return nil, fmt.Errorf("data folder %s: %w", path, err)
	}
	return &dataDir{path: path, lock: lock}, nil
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
	return writeFile(d.file(name...), aead.Seal([]byte(sealMagic), nil, plain, []byte(sealMagic)))
}

// unseal reads what seal wrote. A missing file is fs.ErrNotExist.
func (d *dataDir) unseal(p tee.Platform, name ...string) ([]byte, error) {
	b, err := os.ReadFile(d.file(name...))
	if err != nil {
		return nil, err
	}
	aead, err := sealer(p, name)
	if err != nil {
		return nil, err
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
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// writeFile replaces a file in one step and makes that durable.
func writeFile(path string, b []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var suffix [8]byte
	rand.Read(suffix[:])
	f, err := os.OpenFile(fmt.Sprintf("%s.new-%x", path, suffix), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return store.OS.SyncDir(dir)
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
