// Package sim is the simulated platform, for development: it protects nothing.
//
// Its evidence is signed by a key that is derived from a published name, so
// that whoever reads this source can make any evidence he likes; only the
// insecure-dev policy accepts it. Its sealing key lies in a plain file beside
// what it seals. Its measurement is a name (RULES 3), not the binary: a
// rebuild keeps shard and state.
//
// Start with [Open]; [Verifier] checks the evidence.
package sim

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/tee"
)

// Labels of what is hashed and signed here.
const (
	labelMeasurement = "ocw/sim/measurement/1"
	labelPlatformKey = "ocw/sim/platform-key/1"
	labelQuote       = "ocw/sim/quote/1"
)

// SealFile is the name of the file that stands for the hardware's sealing key.
const SealFile = "sim_platform_key.bin"

// Warning is what a program that uses this platform has to show.
const Warning = "SIMULATED TEE: nothing is protected. Whoever reads this machine's disk or memory reads every key, call and balance. For development only."

// Measurement returns the measurement of a name: BLAKE2b-256 of a label and
// the name.
func Measurement(name string) tee.Measurement {
	return tee.Measurement(hashing.Blake2b256(scale.AppendString(nil, labelMeasurement), scale.AppendString(nil, name)))
}

// platformKey signs all simulated evidence. Everybody can derive it.
func platformKey() ed25519.PrivateKey {
	seed := hashing.Blake2b256([]byte(labelPlatformKey))
	return ed25519.NewKeyFromSeed(seed[:])
}

// Platform is a simulated platform. It is safe for concurrent use.
type Platform struct {
	measurement tee.Measurement
	key         ed25519.PrivateKey
	secret      [32]byte
}

var _ tee.Platform = (*Platform)(nil)

// New returns a platform with a sealing secret in memory; seals are lost with
// the secret.
func New(name string, secret [32]byte) *Platform {
	return &Platform{measurement: Measurement(name), key: platformKey(), secret: secret}
}

// Open returns a platform whose sealing secret lies in the folder dir, which
// must exist; a missing secret is made. It logs the warning.
func Open(dir, name string, log *slog.Logger) (*Platform, error) {
	log.Warn(Warning, "measurement", Measurement(name))
	path := filepath.Join(dir, SealFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		b = make([]byte, 32)
		rand.Read(b)
		err = store.WriteFile(store.OS, path, b)
	}
	if err != nil {
		return nil, fmt.Errorf("simulated platform: %w", err)
	}
	if len(b) != 32 {
		return nil, fmt.Errorf("simulated platform: %s has %d bytes instead of 32", path, len(b))
	}
	return New(name, [32]byte(b)), nil
}

// Kind returns tee.Sim.
func (p *Platform) Kind() tee.Kind { return tee.Sim }

// Measurement returns the measurement of the platform's name.
func (p *Platform) Measurement() tee.Measurement { return p.measurement }

// Attest returns evidence for rd: measurement 32 ‖ report data 64 ‖ ed25519
// signature 64.
func (p *Platform) Attest(rd tee.ReportData) (tee.Evidence, error) {
	quote := append(append([]byte(nil), p.measurement[:]...), rd[:]...)
	return tee.Evidence{Kind: tee.Sim, Quote: append(quote, ed25519.Sign(p.key, signed(quote))...), Aux: []byte{}}, nil
}

func signed(quote []byte) []byte { return append([]byte(labelQuote), quote...) }

// SealingKey returns the key for a label, which depends on measurement and
// secret.
func (p *Platform) SealingKey(label string) ([32]byte, error) {
	return tee.DeriveSealingKey(tee.Sim, p.secret[:], p.measurement, label)
}

// Verifier checks simulated evidence. Its claims always say debug.
type Verifier struct{}

var _ tee.Verifier = Verifier{}

// Kind returns tee.Sim.
func (Verifier) Kind() tee.Kind { return tee.Sim }

// Verify checks the signature of the simulated platform key.
func (Verifier) Verify(e tee.Evidence) (*tee.Claims, error) {
	if e.Kind != tee.Sim || len(e.Quote) != 32+64+ed25519.SignatureSize || len(e.Aux) != 0 {
		return nil, fmt.Errorf("%w: not of the simulated format", tee.ErrNotGenuine)
	}
	quote, sig := e.Quote[:96], e.Quote[96:]
	if !ed25519.Verify(platformKey().Public().(ed25519.PublicKey), signed(quote), sig) {
		return nil, fmt.Errorf("%w: bad signature", tee.ErrNotGenuine)
	}
	return &tee.Claims{Kind: tee.Sim, Measurement: tee.Measurement(quote[:32]), Debug: true, ReportData: tee.ReportData(quote[32:])}, nil
}
