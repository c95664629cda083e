package demo

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// The amounts of the story (P 6.3), in units of 10^-12.
const (
	unit        = 1_000_000_000_000
	shieldFee   = 6 * unit / 571 // skimmed off by shielding
	transferFee = unit / 100
	unshieldFee = unit / 100 * 3

	aliceAtEnd = 6*unit - shieldFee - 2*unit - transferFee - unit - unshieldFee
	bobAtEnd   = 2*unit - 4*unit/5 - 5*transferFee
	charlieEnd = 4 * unit / 5
)

// Options of the story.
type Options struct {
	Network NetworkConfig // Workers is set by Run
	Out     io.Writer     // where the steps are printed
	JSON    bool          // one JSON object per step
	Now     func() time.Time
}

// story is the state of one telling.
type story struct {
	*reporter
	net     *Network
	chain   *client.Chain
	workers [2]*client.Worker

	fingerprint client.Fingerprint
	shard       client.ShardID

	alice, ferdie         *keyring.Pair // on the parentchain
	aliceL2, bob, charlie *keyring.Pair // in the shard
}

// Run tells the story on a network of its own: shield, transfer and unshield
// against worker 1, transfers of which one must fail, everything read from
// worker 2, worker 2 killed and rebuilt from the chain, state roots compared.
// It returns nil only if every balance, nonce and root is right.
func Run(ctx context.Context, opt Options) error {
	s := &story{reporter: newReporter(opt.Out, opt.JSON, opt.Now)}
	root, err := s.tell(ctx, opt.Network)
	return s.summary(root, err)
}

func (s *story) tell(ctx context.Context, cfg NetworkConfig) (root string, err error) {
	cfg.Workers = 2
	steps := []struct {
		name string
		run  func(context.Context) (string, error)
	}{
		{"start a parentchain", func(ctx context.Context) (string, error) { return s.startChain(ctx, cfg) }},
		{"start worker 1: keys, registration, shard", s.startWorker(0)},
		{"start worker 2: keys from worker 1", s.startWorker(1)},
		{"list the workers on chain", s.listWorkers},
		{"Alice has nothing in the shard", s.expect(0, &s.aliceL2, 0, 0)},
		{"shield 6 UNIT from //Alice", s.shield},
		{"her balance, less the skim of 1/571", s.expect(0, &s.aliceL2, 6*unit-shieldFee, 0)},
		{"Bob has nothing", s.expect(0, &s.bob, 0, 0)},
		{"transfer 2 UNIT to Bob", s.transfer(&s.aliceL2, &s.bob, 2*unit, stf.Success)},
		{"Alice paid amount and fee", s.expect(0, &s.aliceL2, 6*unit-shieldFee-2*unit-transferFee, 1)},
		{"Bob has it", s.expect(0, &s.bob, 2*unit, 0)},
		{"unshield 1 UNIT to //Ferdie on the parentchain", s.unshield},
		{"Alice paid amount and fee", s.expect(0, &s.aliceL2, aliceAtEnd, 2)},
		{"Bob is unchanged", s.expect(0, &s.bob, 2*unit, 0)},
		{"Bob sends Charlie 0.2 UNIT", s.transfer(&s.bob, &s.charlie, unit/5, stf.Success)},
		{"again", s.transfer(&s.bob, &s.charlie, unit/5, stf.Success)},
		{"and again", s.transfer(&s.bob, &s.charlie, unit/5, stf.Success)},
		{"Bob's nonce is 3", s.expect(0, &s.bob, 2*unit-3*(unit/5+transferFee), 3)},
		{"Bob sends 2 UNIT, which must fail", s.transfer(&s.bob, &s.charlie, 2*unit, stf.ModuleError)},
		{"only fee and nonce of it stay", s.expect(0, &s.bob, 2*unit-3*unit/5-4*transferFee, 4)},
		{"the next call works", s.transfer(&s.bob, &s.charlie, unit/5, stf.Success)},
		{"worker 1: Alice", s.expect(0, &s.aliceL2, aliceAtEnd, 2)},
		{"worker 1: Bob", s.expect(0, &s.bob, bobAtEnd, 5)},
		{"worker 1: Charlie", s.expect(0, &s.charlie, charlieEnd, 0)},
		{"worker 2: Alice", s.expect(1, &s.aliceL2, aliceAtEnd, 2)},
		{"worker 2: Bob", s.expect(1, &s.bob, bobAtEnd, 5)},
		{"worker 2: Charlie", s.expect(1, &s.charlie, charlieEnd, 0)},
		{"both workers have one state root", s.compareRoots(&root)},
		{"kill worker 2, delete its state, keep its keys", s.killAndDelete},
		{"worker 2 rebuilds its state from the chain", s.startWorker(1)},
		{"rebuilt worker 2: Alice", s.expect(1, &s.aliceL2, aliceAtEnd, 2)},
		{"rebuilt worker 2: Bob", s.expect(1, &s.bob, bobAtEnd, 5)},
		{"rebuilt worker 2: Charlie", s.expect(1, &s.charlie, charlieEnd, 0)},
		{"both workers have one state root again", s.compareRoots(&root)},
	}
	defer func() { err = firstError(err, s.close()) }()
	for _, step := range steps {
		if err := s.step(step.name, func() (string, error) { return step.run(ctx) }); err != nil {
			return root, fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return root, nil
}

func (s *story) close() error {
	for _, w := range s.workers {
		if w != nil {
			w.Close()
		}
	}
	if s.chain != nil {
		s.chain.Close()
	}
	if s.net == nil {
		return nil
	}
	return s.net.Close()
}

func (s *story) startChain(ctx context.Context, cfg NetworkConfig) (_ string, err error) {
	if s.net, err = StartNetwork(ctx, cfg); err != nil {
		return "", err
	}
	if s.chain, err = client.DialChain(ctx, s.net.ChainURL); err != nil {
		return "", err
	}
	for _, k := range []struct {
		pair **keyring.Pair
		uri  string
	}{{&s.alice, "//Alice"}, {&s.ferdie, "//Ferdie"}, {&s.aliceL2, "//AliceIncognito"}} {
		if *k.pair, err = keyring.FromURI(keyring.Sr25519, k.uri); err != nil {
			return "", err
		}
	}
	for _, pair := range []**keyring.Pair{&s.bob, &s.charlie} {
		phrase, err := keyring.NewMnemonic(12)
		if err != nil {
			return "", err
		}
		if *pair, err = keyring.FromURI(keyring.Sr25519, phrase); err != nil {
			return "", err
		}
	}
	if s.net.RelayURL != "" {
		return fmt.Sprintf("parachain %s, relay chain %s", s.net.ChainURL, s.net.RelayURL), nil
	}
	return s.net.ChainURL, nil
}

func (s *story) startWorker(i int) func(context.Context) (string, error) {
	return func(ctx context.Context) (_ string, err error) {
		node := s.net.Workers[i]
		if err := node.Start(ctx); err != nil {
			return "", err
		}
		w, err := node.Dial(ctx, s.chain)
		if err != nil {
			return "", err
		}
		if s.workers[i] != nil {
			s.workers[i].Close()
		}
		s.workers[i] = w
		fingerprint, err := w.Fingerprint(ctx)
		if err != nil {
			return "", err
		}
		shard, err := w.Shard(ctx)
		if err != nil {
			return "", err
		}
		if i == 0 {
			s.fingerprint, s.shard = fingerprint, shard
		} else if fingerprint != s.fingerprint || shard != s.shard {
			return "", fmt.Errorf("fingerprint %s and shard %s differ from those of worker 1", fingerprint, shard)
		}
		if err := s.catchUp(ctx, i); err != nil {
			return "", err
		}
		return fmt.Sprintf("%s, shard %s", node.URL, shard), nil
	}
}

// catchUp waits until a worker has seen what worker 1 has, so that its answers are
// not stale.
func (s *story) catchUp(ctx context.Context, i int) error {
	if i == 0 {
		return nil
	}
	st, err := s.workers[0].Status(ctx)
	if err != nil {
		return err
	}
	return s.workers[i].AwaitBlock(ctx, st.Number)
}

func (s *story) listWorkers(ctx context.Context) (string, error) {
	list, err := s.chain.Enclaves(ctx)
	if err != nil {
		return "", err
	}
	for _, e := range list {
		if e.Fingerprint != s.fingerprint {
			return "", fmt.Errorf("enclave %s has fingerprint %s", e.Account, e.Fingerprint)
		}
	}
	if len(list) != len(s.workers) {
		return "", fmt.Errorf("%d enclaves registered, want %d", len(list), len(s.workers))
	}
	return fmt.Sprintf("%d enclaves, MRENCLAVE %s", len(list), s.fingerprint), nil
}

// expect compares free balance and nonce, as worker i answers them, exactly.
func (s *story) expect(i int, who **keyring.Pair, free uint64, nonce uint32) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		info, err := s.account(ctx, i, *who)
		if err != nil {
			return "", err
		}
		if info.Data.Free != scale.NewU128(free) || info.Nonce != nonce {
			return "", fmt.Errorf("balance %s and nonce %d, want %d and %d", info.Data.Free, info.Nonce, free, nonce)
		}
		return fmt.Sprintf("balance %d, nonce %d", free, nonce), nil
	}
}

func (s *story) account(ctx context.Context, i int, who *keyring.Pair) (info sample.AccountInfo, err error) {
	if err := s.catchUp(ctx, i); err != nil {
		return info, err
	}
	id := who.AccountID()
	value, some, err := s.workers[i].Ask(ctx, s.shard, client.Question{Getter: sample.GetterAccountInfo(id), Owner: id, Signer: who})
	if err != nil {
		return info, err
	}
	if !some {
		return info, fmt.Errorf("worker %d has no answer", i+1)
	}
	return info, scale.Unmarshal(value, &info)
}

func (s *story) session() *client.Session {
	return &client.Session{Chain: s.chain, Worker: s.workers[0]}
}

// outcome demands that an operation ended with the wanted code.
func outcome(o *client.Outcome, err error, want stf.Code) (string, error) {
	if err != nil {
		return "", err
	}
	if !o.Known() {
		return "", fmt.Errorf("the outcome is not known: %s", o.Unknown)
	}
	if o.Receipt.Outcome.Code != want {
		return "", fmt.Errorf("outcome %v, want %v", o.Receipt.Outcome, want)
	}
	return fmt.Sprintf("block %d: %s", o.Inclusion.Number, sample.Reason(o.Receipt.Outcome)), nil
}

func (s *story) shield(ctx context.Context) (string, error) {
	o, err := s.session().Shield(ctx, client.Shielding{Shard: s.shard, From: s.alice,
		Beneficiary: s.aliceL2.AccountID(), Amount: scale.NewU128(6 * unit)})
	return outcome(o, err, stf.Success)
}

func (s *story) invoke(ctx context.Context, from *keyring.Pair, call []byte) (*client.Outcome, error) {
	info, err := s.account(ctx, 0, from)
	if err != nil {
		return nil, err
	}
	return s.session().Invoke(ctx, client.Invocation{Shard: s.shard, Fingerprint: s.fingerprint, Call: call, Nonce: info.Nonce,
		Sender: from.AccountID(), Signer: from, Payer: s.alice})
}

func (s *story) transfer(from, to **keyring.Pair, amount uint64, want stf.Code) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		call := sample.BalanceTransfer((*from).AccountID(), (*to).AccountID(), scale.NewU128(amount))
		o, err := s.invoke(ctx, *from, call)
		return outcome(o, err, want)
	}
}

// unshield moves funds back and waits until they have arrived once.
func (s *story) unshield(ctx context.Context) (string, error) {
	before, err := s.chain.Account(ctx, s.ferdie.AccountID())
	if err != nil {
		return "", err
	}
	call := sample.BalanceUnshield(s.aliceL2.AccountID(), s.ferdie.AccountID(), scale.NewU128(unit), s.shard)
	o, err := s.invoke(ctx, s.aliceL2, call)
	result, err := outcome(o, err, stf.Success)
	if err != nil {
		return "", err
	}
	want, _ := before.Data.Free.Add(scale.NewU128(unit))
	for {
		after, err := s.chain.Account(ctx, s.ferdie.AccountID())
		if err != nil {
			return "", err
		}
		switch after.Data.Free.Cmp(want) {
		case 0:
			return result + ", paid to //Ferdie", nil
		case 1:
			return "", fmt.Errorf("//Ferdie has %s, want %s", after.Data.Free, want)
		}
		if err := s.net.Failed(); err != nil {
			return "", err
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (s *story) killAndDelete(context.Context) (string, error) {
	node := s.net.Workers[1]
	node.Kill()
	if err := node.RemoveState(); err != nil {
		return "", err
	}
	return "only its keys are left", nil
}

// compareRoots reads both state roots at one block and sets root.
func (s *story) compareRoots(root *string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		for {
			first, err := s.workers[0].Status(ctx)
			if err != nil {
				return "", err
			}
			second, err := s.workers[1].Status(ctx)
			if err != nil {
				return "", err
			}
			if first.Number != second.Number {
				continue // one of them was a block ahead
			}
			if first.Hash != second.Hash || first.StateRoot != second.StateRoot {
				return "", fmt.Errorf("at block %d worker 1 has %s, worker 2 has %s", first.Number, first.StateRoot, second.StateRoot)
			}
			*root = first.StateRoot.String()
			return fmt.Sprintf("block %d: %s", first.Number, first.StateRoot), nil
		}
	}
}
