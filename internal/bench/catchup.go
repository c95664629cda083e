package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/fabricate"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

const (
	catchUpCalls    = 20_000
	catchUpPerBlock = 100
)

// stage sets up a shard with one rich user, after one segment of blocks.
type stage struct {
	chain  *fabricate.Chain
	engine *engine
	keys   *enclave.KeyMaterial
	alice  *user
	dir    string
	// beneficiary of the n-th transfer.
	beneficiary func(n uint32) keyring.AccountID
}

func newStage(ctx context.Context, o *Options, name string) (*stage, error) {
	app, keys, err := sampleApp()
	if err != nil {
		return nil, err
	}
	// A thousand beneficiaries and some.
	return newStageOf(ctx, o, name, app, keys, func(n uint32) keyring.AccountID { return keyring.AccountID{byte(n), byte(n >> 8 & 3), 1} })
}

func newStageOf(ctx context.Context, o *Options, name string, app *stf.App, keys *enclave.KeyMaterial, beneficiary func(n uint32) keyring.AccountID) (_ *stage, err error) {
	s := &stage{keys: keys, beneficiary: beneficiary}
	if s.chain, err = fabricate.New(fabricate.Options{Authorities: sparseVoters, Accounts: sparseAccounts}); err != nil {
		return nil, err
	}
	if s.alice, err = newUser("//Alice"); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp(o.Dir, name+"-"); err != nil {
		return nil, err
	}
	if s.engine, err = newEngine(ctx, s.chain, app, keys, filepath.Join(s.dir, "store")); err != nil {
		os.RemoveAll(s.dir)
		return nil, err
	}
	id := s.alice.AccountID()
	deposit, err := seal(keys, shielding.RSA, id[:])
	if err == nil {
		err = s.run(1, 1, func(b *fabricate.Builder) { b.Shield(shard, deposit, scale.NewU128(1<<62)) })
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stage) close() {
	s.engine.close()
	os.RemoveAll(s.dir)
}

func (s *stage) segment(n int, fill func(*fabricate.Builder)) (*fabricate.Segment, error) {
	return s.chain.Segment(n, s.engine.core.RequiredKeys(s.engine.core.View().Number()+1), fill)
}

// run makes n blocks and processes them, in which so many operations are.
func (s *stage) run(n, operations int, fill func(*fabricate.Builder)) error {
	seg, err := s.segment(n, fill)
	if err != nil {
		return err
	}
	return s.process(seg, operations)
}

func (s *stage) process(seg *fabricate.Segment, operations int) error {
	got, err := s.engine.process(seg)
	if err == nil && got != operations {
		err = fmt.Errorf("%d operations were executed, want %d", got, operations)
	}
	return err
}

// decryptAll does the bare decryptions on all cores.
func decryptAll(key *shielding.PrivateKey, ciphertexts [][]byte) error {
	var next, failed atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(ciphertexts)); i = next.Add(1) - 1 {
				if _, err := key.Decrypt(ciphertexts[i], shielding.MaxChunks); err != nil {
					failed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := failed.Load(); n > 0 {
		return fmt.Errorf("%d ciphertexts were not decrypted", n)
	}
	return nil
}

// catchUpBench compares the rate of invocations, all included, with that of
// bare decryptions of the same ciphertexts. Each pair goes in short turns, so
// that both meet the same machine.
func catchUpBench(ctx context.Context, o *Options) ([]Result, error) {
	turns, blocks := 10, catchUpCalls/catchUpPerBlock/rounds/10
	if o.Quick {
		turns, blocks = 1, 1
	}
	s, err := newStage(ctx, o, "catchup")
	if err != nil {
		return nil, err
	}
	defer s.close()
	calls := float64(turns * blocks * catchUpPerBlock)
	var rates, bare, ratios []float64
	for i := range rounds {
		var whole, decrypt span
		for j := range turns {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			w, d, err := s.turn(blocks, (i+j)%2 == 0)
			if err != nil {
				return nil, err
			}
			whole, decrypt = whole.add(w), decrypt.add(d)
		}
		rates, bare = append(rates, calls/whole.wall.Seconds()), append(bare, calls/decrypt.wall.Seconds())
		ratios = append(ratios, decrypt.wall.Seconds()/whole.wall.Seconds())
		o.logf("catchup: %.0f calls, %.0f/s, bare decryption %.0f/s, ratio %.3f", calls, rates[i], bare[i], ratios[i])
	}
	ratio, base := median(ratios), median(bare)
	return []Result{{Name: "catchup", Value: median(rates), Unit: "invocations/s", Baseline: &base, Ratio: &ratio, goal: atLeast(0.90),
		note: "against bare RSA-3072 decryptions of the same ciphertexts"}}, nil
}

// transfers makes blocks full of them, in this envelope.
func (s *stage) transfers(e shielding.Envelope, blocks int) (*fabricate.Segment, [][]byte, error) {
	var ciphertexts [][]byte
	seg, err := s.segment(blocks, func(b *fabricate.Builder) {
		for range catchUpPerBlock {
			ct, err := s.alice.transfer(s.keys, e, s.beneficiary(s.alice.nonce), 1_000_000_000_000)
			b.Fail(err)
			ciphertexts = append(ciphertexts, ct)
			b.Invoke(shard, ct)
		}
	})
	return seg, ciphertexts, err
}

// turn makes blocks full of transfers, and measures a worker's work on them
// and the bare decryptions, either first.
func (s *stage) turn(blocks int, workerFirst bool) (whole, decrypt span, err error) {
	seg, ciphertexts, err := s.transfers(shielding.RSA, blocks)
	if err != nil {
		return whole, decrypt, err
	}
	work := func() error {
		whole, err = timed(func() error { return s.process(seg, len(ciphertexts)) })
		return err
	}
	if workerFirst {
		if err := work(); err != nil {
			return whole, decrypt, err
		}
	}
	decrypt, err = timed(func() error { return decryptAll(s.keys.Shielding, ciphertexts) })
	if err == nil && !workerFirst {
		err = work()
	}
	return whole, decrypt, err
}

// emptyBench does blocks in which nothing happens, each with its fsync.
func emptyBench(ctx context.Context, o *Options) ([]Result, error) {
	blocks := 256
	if o.Quick {
		blocks = 32
	}
	s, err := newStage(ctx, o, "empty-block")
	if err != nil {
		return nil, err
	}
	defer s.close()
	s.engine.group = 1
	took, err := best(rounds, func() (span, error) {
		seg, err := s.segment(blocks, func(*fabricate.Builder) {})
		if err != nil {
			return span{}, err
		}
		return timed(func() error { return s.process(seg, 0) })
	})
	if err != nil {
		return nil, err
	}
	return []Result{
		{Name: "empty-block", Value: 1e3 * took.wall.Seconds() / float64(blocks), Unit: "ms", goal: atMost(2), note: "verify, execute, roots, fsynced commit"},
		{Name: "empty-block-cpu", Value: 1e3 * took.cpu.Seconds() / float64(blocks), Unit: "CPU ms"},
	}, nil
}
