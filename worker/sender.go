package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
	"github.com/offchain-worker/sdk/substrate/system"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// eraPeriod is how many blocks an extrinsic lives: long enough for a slow
// chain, short enough to send again soon after a loss.
const eraPeriod = 64

// resubmitAfter is when the same bytes are handed to the node again, in case
// its pool lost them.
const resubmitAfter = 10 * time.Second

// encodeCall returns pallet index, call index and arguments.
func encodeCall(m *metadata.Metadata, pallet, call string, args ...any) ([]byte, error) {
	index, ok := m.CallIndex(pallet, call)
	if !ok {
		return nil, fmt.Errorf("the parentchain has no call %s.%s", pallet, call)
	}
	b := index[:]
	for _, a := range args {
		var err error
		if b, err = scale.Append(b, a); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// sender signs and submits extrinsics of one account.
type sender struct {
	node     *parentchain.Client
	chain    *chain
	runtimes *runtimes
	genesis  hashing.Hash
	pair     *keyring.Pair
	again    time.Duration // after which the same bytes are handed to the node again
}

// signed is an extrinsic with what decides its life.
type signed struct {
	raw   []byte
	hash  hashing.Hash
	nonce uint32
	death header.Number // the first block that cannot include it
	spec  uint32        // version of the runtime that it is signed for
}

// sign makes an extrinsic, anchored at the last verified block.
func (s *sender) sign(rt *enclave.Runtime, call []byte, nonce uint32) (*signed, error) {
	at, ok := s.chain.latest()
	if !ok {
		return nil, errors.New("no block verified yet")
	}
	return s.signAt(rt, call, nonce, at)
}

// signAt makes an extrinsic, anchored at a block.
func (s *sender) signAt(rt *enclave.Runtime, call []byte, nonce uint32, at verified) (*signed, error) {
	era := extrinsic.NewMortal(eraPeriod, at.header.Number)
	v := rt.Version()
	raw, err := extrinsic.SignV4(call, s.pair, extrinsic.SignParams{Meta: rt.Metadata(), Genesis: s.genesis,
		SpecVersion: v.SpecVersion, TxVersion: v.TransactionVersion, Nonce: nonce, Era: era, EraHash: at.hash})
	if err != nil {
		return nil, err
	}
	return &signed{raw: raw, hash: extrinsic.Hash(raw), nonce: nonce, death: era.Death(at.header.Number), spec: v.SpecVersion}, nil
}

// specimen makes an extrinsic of which only the fee is asked, signed by nobody
// whose signature counts: the node could put it on the chain.
func (s *sender) specimen(rt *enclave.Runtime, call []byte) (*signed, error) {
	nobody, err := keyring.FromSeed(keyring.Ed25519, [32]byte{})
	if err != nil {
		return nil, err
	}
	other := *s
	other.pair = nobody
	return other.sign(rt, call, 0)
}

// submit hands an extrinsic to the node. That its pool has it already is fine.
func (s *sender) submit(ctx context.Context, x *signed) error {
	_, err := s.node.SubmitExtrinsic(ctx, x.raw)
	var reply *rpcclient.Error
	if errors.As(err, &reply) && reply.Code == codeAlreadyImported {
		return nil
	}
	return err
}

// resubmit hands the same bytes to all endpoints: the one that took them may
// have lost them, or never meant to pass them on.
func (s *sender) resubmit(ctx context.Context, x *signed) error {
	err := s.node.Broadcast(ctx, x.raw)
	var reply *rpcclient.Error
	if errors.As(err, &reply) && reply.Code == codeAlreadyImported {
		return nil
	}
	return err
}

// codeAlreadyImported is the error of author_submitExtrinsic for an extrinsic
// that is in the pool.
const codeAlreadyImported = 1013

// account returns the proven state of the sender's account.
func (s *sender) account(ctx context.Context) (system.AccountInfo, verified, error) {
	var info system.AccountInfo
	values, at, err := s.chain.prove(ctx, accountKey(s.pair.AccountID()))
	if err == nil {
		_, err = decodeProven(values[0], &info)
	}
	return info, at, err
}

func accountKey(who keyring.AccountID) []byte {
	return hashing.Blake2_128Concat.AppendKey(hashing.StoragePrefix("System", "Account"), who[:])
}

// transact sends a call and waits until done finds its effect in the proven
// values of keys. It returns an error if the node refuses the extrinsic, if it
// came into a block without that effect, or if it did not come into one. That
// no answer came says nothing: it is on its way, then, until its era is over.
func (s *sender) transact(ctx context.Context, rt *enclave.Runtime, call []byte, done func(values []trie.ProofValue) (bool, error), keys ...[]byte) error {
	nonce, err := s.node.AccountNextIndex(ctx, s.pair.AccountID())
	if err != nil {
		return err
	}
	anchor, _ := s.chain.latest() // before the submission, so that no block after it is missed
	x, err := s.sign(rt, call, nonce)
	if err != nil {
		return err
	}
	sent := time.Now()
	if err := s.submit(ctx, x); isReply(err) {
		return err
	} else if err != nil {
		sent = time.Time{}
	}
	keys = append([][]byte{accountKey(s.pair.AccountID())}, keys...)
	for last := anchor.header.Number; ; {
		if time.Since(sent) >= s.again { // the pool may have lost it
			sent = time.Now()
			_ = s.resubmit(ctx, x) // what is wrong shows when its era is over
		}
		waiting, stop := context.WithTimeout(ctx, s.again)
		_, err := s.chain.waitPast(waiting, last)
		stop()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			continue
		}
		values, at, err := s.chain.prove(ctx, keys...)
		if err != nil {
			// Not a reason to send another extrinsic while this one is on its way.
			if err := sleep(ctx, time.Second); err != nil {
				return err
			}
			continue
		}
		last = at.header.Number
		ok, err := done(values[1:])
		if ok || err != nil {
			return err
		}
		var info system.AccountInfo
		if _, err := decodeProven(values[0], &info); err != nil {
			return err
		}
		if info.Nonce > nonce {
			return s.explain(ctx, rt, x, anchor.header.Number, last)
		}
		if s.runtimes.outdated(ctx, at, x) {
			return fmt.Errorf("extrinsic %s is signed for a runtime that was replaced after block %d", x.hash, last)
		}
		if last >= x.death {
			return fmt.Errorf("extrinsic %s did not come into a block until block %d", x.hash, last)
		}
	}
}

// explain says why an extrinsic whose nonce is used up had no effect, from
// what the node says: it is for people only.
func (s *sender) explain(ctx context.Context, rt *enclave.Runtime, x *signed, from, to header.Number) error {
	for n := from + 1; n <= to; n++ {
		hash, err := s.node.BlockHash(ctx, n)
		if err != nil {
			return err
		}
		b, err := s.node.Block(ctx, hash)
		if err != nil {
			return err
		}
		for i, raw := range b.Extrinsics {
			if extrinsic.Hash(raw) != x.hash {
				continue
			}
			events, _, err := s.node.Storage(ctx, hashing.StoragePrefix("System", "Events"), hash)
			if err != nil {
				return err
			}
			return fmt.Errorf("extrinsic %s failed in block %d: %s", x.hash, n, failureOf(rt.Metadata(), events, uint32(i)))
		}
	}
	return fmt.Errorf("extrinsic %s was replaced by another one of the same nonce", x.hash)
}

// failureOf finds the dispatch error of an extrinsic in a block's events.
func failureOf(m *metadata.Metadata, raw []byte, index uint32) string {
	events, err := m.DecodeEvents(raw)
	if err != nil {
		return "its events cannot be decoded"
	}
	for _, e := range events {
		if e.Phase.Kind == metadata.ApplyExtrinsic && e.Phase.Extrinsic == index && e.Pallet == "System" && e.Name == "ExtrinsicFailed" {
			return dispatchError(m, e.Data)
		}
	}
	return "no effect, although it succeeded"
}

// dispatchError names the error in the data of System.ExtrinsicFailed.
func dispatchError(m *metadata.Metadata, data []byte) string {
	var e system.DispatchError
	d := scale.NewDecoder(data)
	d.Decode(&e)
	if d.Err() != nil {
		return fmt.Sprintf("dispatch error %x", data[:min(len(data), 8)])
	}
	if e.Module != nil {
		if pallet, name, ok := m.ErrorName(e.Module.Index, e.Module.Code[0]); ok {
			return pallet + "." + name
		}
	}
	return e.Error()
}
