package worker

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/internal/approval"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/keybackup"
	"github.com/offchain-worker/sdk/internal/verifiers"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/tee"
)

// How a shard's keys outlive all its workers. Parts of them are encrypted to
// people's age keys, whom the shard's upgrade keys have named (approval.Backup),
// since a worker's host chooses its command line and must not choose who gets the
// keys. To restore them, a worker without keys has its enclave make an age key, and
// vouches for it by evidence; each of enough people verifies that, and encrypts his
// part to this key (ocw backup give). Where parts come from proves nothing about
// what they hold: the keys that come out count once the parentchain says that they
// are the shard's (obtainKeys).

// backupCommand has the worker's side of it. The worker does not run meanwhile.
func backupCommand(app *stf.App, f *flags) *cobra.Command {
	root := &cobra.Command{Use: "backup", Short: "Split the shard's keys among people, or restore them from their parts", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("a subcommand is needed: create, request or restore")
		}}
	add := func(c *cobra.Command) *cobra.Command {
		c.Flags().Bool("help", false, "print this help")
		root.AddCommand(c)
		return c
	}

	var recipients, out string
	create := add(&cobra.Command{Use: "create --recipients FILE --out FOLDER", Args: cobra.NoArgs,
		Short: "Write the shard's keys in parts, each encrypted to an age key that the upgrade keys have approved",
		RunE: fail(func(cmd *cobra.Command, _ []string) error {
			return f.withDir(app, cmd, func(d *dataDir, p *attestation) error {
				files, err := createBackup(d, p, recipients)
				if err != nil {
					return err
				}
				return writeParts(cmd, out, files)
			})
		})})
	create.Flags().StringVar(&recipients, "recipients", "", "`file` with the approved list (ocw approve backup)")
	create.Flags().StringVar(&out, "out", "", "`folder` for the parts, which must not be there yet")
	requireFlags(create, "recipients", "out")

	var trustFile, requestFile string
	request := add(&cobra.Command{Use: "request --trust-config FILE --out FILE", Args: cobra.NoArgs,
		Short: "Write what the holders of the parts need to give them to this worker's enclave",
		RunE: fail(func(cmd *cobra.Command, _ []string) error {
			return f.withHeldDir(app, cmd, func(d *dataDir, p *attestation) error {
				r, err := requestParts(d, p, trustFile)
				if err != nil {
					return err
				}
				b, err := json.MarshalIndent(r, "", "  ")
				if err != nil {
					return err
				}
				return output(cmd, requestFile, append(b, '\n'))
			})
		})})
	request.Flags().StringVar(&trustFile, "trust-config", "", "`file` with the shard's trust config")
	request.Flags().StringVar(&requestFile, "out", "", "`file` for the request")
	requireFlags(request, "trust-config", "out")

	add(&cobra.Command{Use: "restore FILE…", Args: cobra.MinimumNArgs(1),
		Short: "Restore the shard's keys from parts that were given to this worker's enclave",
		RunE: func(cmd *cobra.Command, args []string) error {
			return fail(func(cmd *cobra.Command, _ []string) error {
				return f.withHeldDir(app, cmd, func(d *dataDir, p *attestation) error {
					h, err := restoreParts(d, p, args)
					if err != nil {
						return err
					}
					fmt.Fprintf(cmd.ErrOrStderr(), "keys with hash %v are restored: run uses them if the parentchain says that they are the shard's\n", h.Keys)
					return nil
				})
			})(cmd, args)
		}})
	return root
}

func requireFlags(c *cobra.Command, names ...string) {
	for _, n := range names {
		if err := c.MarkFlagRequired(n); err != nil {
			panic(err) // a flag that is not there
		}
	}
}

// errDestroyedFirst is why there is no backup without the keys of epoch 0: nothing
// else in it is under the hash by which the parentchain says that keys are the
// shard's, and nobody could replay the state with it.
var errDestroyedFirst = errors.New("the keys of epoch 0 are destroyed, without which a backup brings back neither the state nor keys that can be known as the shard's: " +
	"have a worker join one of the shard's instead")

// createBackup returns the encrypted parts of the keys for those whom the upgrade
// keys have named.
func createBackup(d *dataDir, p tee.Platform, recipients string) ([][]byte, error) {
	own, err := loadKeys(d, p)
	if err != nil {
		return nil, err
	}
	if own == nil || own.status != keysConfirmed {
		return nil, errors.New("this worker does not have the shard's keys")
	}
	raw, err := d.unseal(p, chainDir, trustFile)
	if err != nil {
		return nil, fmt.Errorf("trust config: %w", err)
	}
	trust, err := enclave.DecodeTrustConfig(raw)
	if err != nil {
		return nil, err
	}
	if trust.Hash() != own.trust {
		return nil, errOtherTrust
	}
	list, err := approvedRecipients(recipients, &trust)
	if err != nil {
		return nil, err
	}
	to, err := keybackup.ParseRecipients(list.Recipients)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", recipients, err)
	}
	ring := own.ring.Load()
	if ring.Destroyed(epoch.ID{}) {
		return nil, errDestroyedFirst
	}
	material, newest := ring.Encode(), ring.Newest()
	defer clear(material)
	return keybackup.Split(keybackup.Header{TrustConfig: own.trust, Shard: trust.Shard, Epoch: newest.Epoch, Keys: newest.Hash(),
		Threshold: uint8(min(list.Threshold, 255))}, material, to, rand.Reader)
}

// approvedRecipients reads a list that the upgrade keys have signed.
func approvedRecipients(path string, trust *enclave.TrustConfig) (*approval.Backup, error) {
	file, err := verifiers.Approval(path)
	if err != nil {
		return nil, err
	}
	if file.Backup == nil {
		return nil, fmt.Errorf("%s: it does not say who may hold a backup", path)
	}
	if _, err := file.Check(trust); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return file.Backup, nil
}

// writeParts writes share-1.age, share-2.age… into a new folder.
func writeParts(cmd *cobra.Command, dir string, files [][]byte) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for i, b := range files {
		name := filepath.Join(dir, fmt.Sprintf("share-%d.age", i+1))
		if err := os.WriteFile(name, b, 0o600); err != nil {
			return err
		}
		fmt.Fprintln(cmd.ErrOrStderr(), "written:", name)
	}
	return nil
}

// restoreFile holds the age key to which parts are given, sealed.
const restoreFile = "restore_key_sealed.bin"

// restoring is what the file holds of an age key to which is given what was lost.
type restoring struct {
	Version  uint8        // 1
	Trust    hashing.Hash // hash of the trust config that the request names
	Identity string       // AGE-SECRET-KEY-PQ-1…
}

// requestParts returns a request for the parts of a shard's keys.
func requestParts(d *dataDir, p tee.Platform, trustFile string) (*keybackup.Request, error) {
	trust, err := readTrustConfig(trustFile)
	if err != nil {
		return nil, err
	}
	own, err := loadKeys(d, p)
	if err != nil {
		return nil, err
	}
	if own != nil {
		return nil, fmt.Errorf("this worker has keys already (%s)", d.file(materialFile))
	}
	account, _, err := loadAccount(d, p)
	if err != nil {
		return nil, err
	}
	key, err := requestKey(d, p, restoreFile, trust.Hash())
	if err != nil {
		return nil, err
	}
	r := &keybackup.Request{Account: account.AccountID(), TrustConfig: trust, Recipient: key.Recipient()}
	return r, r.Attest(p)
}

// requestKey returns the age key in a file, to which is given what a worker of the
// shard with this trust config has lost. It is the same until that is restored.
func requestKey(d *dataDir, p tee.Platform, file string, trust hashing.Hash) (*age.HybridIdentity, error) {
	key, of, err := loadRestoring(d, p, file)
	if err == nil && of == trust || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if key, err = age.GenerateHybridIdentity(); err != nil {
		return nil, err
	}
	b := scale.MustMarshal(restoring{Version: 1, Trust: trust, Identity: key.String()})
	defer clear(b)
	return key, d.seal(p, b, file)
}

// loadRestoring returns the age key in a file, and the trust config that it is for.
func loadRestoring(d *dataDir, p tee.Platform, file string) (key *age.HybridIdentity, trust hashing.Hash, err error) {
	b, err := d.unseal(p, file)
	if err != nil {
		return nil, trust, err
	}
	defer clear(b)
	var r restoring
	if err := scale.Unmarshal(b, &r); err != nil || r.Version != 1 {
		return nil, trust, fmt.Errorf("%s: %w: unknown format", d.file(file), ErrSealed)
	}
	if key, err = age.ParseHybridIdentity(r.Identity); err != nil {
		return nil, trust, fmt.Errorf("%s: %w", d.file(file), ErrSealed)
	}
	return key, r.Trust, nil
}

// restoreParts seals the keys that parts bring back. They are not the shard's
// before the parentchain says so.
func restoreParts(d *dataDir, p tee.Platform, names []string) (h keybackup.Header, err error) {
	key, trust, err := loadRestoring(d, p, restoreFile)
	if errors.Is(err, fs.ErrNotExist) {
		return h, errors.New("this worker has not asked for parts: backup request comes first")
	}
	if err != nil {
		return h, err
	}
	if exists(d.file(materialFile)) {
		return h, fmt.Errorf("this worker has keys already (%s)", d.file(materialFile))
	}
	var shares []*keybackup.Share
	for _, name := range names {
		b, err := verifiers.ReadFile(name, keybackup.MaxFile)
		if err != nil {
			return h, err
		}
		s, err := keybackup.Open(b, key)
		if err != nil {
			return h, fmt.Errorf("%s: %w", name, err)
		}
		defer clear(s.Value[:])
		shares = append(shares, s)
	}
	h, encoded, err := keybackup.Combine(shares)
	if err != nil {
		return h, err
	}
	defer clear(encoded)
	if h.TrustConfig != trust {
		return h, fmt.Errorf("the parts are of the shard with trust config %v, the request was for %v", h.TrustConfig, trust)
	}
	ring, err := enclave.DecodeKeyRing(encoded)
	if err != nil {
		return h, err
	}
	if ring.Newest().Hash() != h.Keys {
		return h, errors.New("the keys are not those that the parts name")
	}
	if ring.Destroyed(epoch.ID{}) {
		return h, errDestroyedFirst
	}
	if err := saveKeys(d, p, newOwnKeys(keysRestored, h.TrustConfig, ring)); err != nil {
		return h, err
	}
	return h, d.remove(restoreFile)
}
