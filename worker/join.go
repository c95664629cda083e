package worker

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/erase"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/trie"
	"github.com/offchain-worker/sdk/tee/ratls"
)

// How a worker comes to the keys of its shard (P 5.2 step 8), all by proven
// finalized state after its own registration:
//
//	no trace of the shard  before registering: make keys (candidates) and seal
//	                       them; then update_shard_config, publish the hash of
//	                       the candidates (RULES 5), and look whose is the first
//	ours is the first      our candidates are the shard's keys
//	another's is           candidates are deleted; the keys come from a signer of
//	                       the shard, and have to be those whose hash is the first
//
// What is registered before the keys are known to be the shard's is for the
// purpose join and names no keys; afterwards the worker shows evidence, and where
// it registers by quote registers, for the purpose serve, with the keys (RULES 6).
// Clients accept nothing else.
//
// A worker without candidates whose account is registered already had keys and
// lost them: it never makes new ones. Neither does one for a shard that is
// configured, but it waits until somebody has published keys. All this is decided
// at the node's finalized head only, and not while the node says that it is
// syncing or has no peers.
//
// So of several that start at once exactly one makes the keys, whatever the
// moment at which others are killed, and a worker never makes keys for a shard
// that somebody else has. Keys that were confirmed once are the shard's; if the
// chain knows no publication (of a shard of an older version, or of a chain that
// began anew) the worker that has them publishes them.
//
// In the layout of 2022 nothing can be published: there the order in which the
// signers are registered decides.

// peerTimeout bounds asking one peer for its address.
const peerTimeout = 10 * time.Second

// errOtherKeys means a worker that has other keys than the shard's.
var errOtherKeys = errors.New("its keys are not those that were published as the shard's")

// maxSigners is how many signers the pallet keeps per shard; it evicts none.
const maxSigners = integritee.MaxShardSigners

// shardState is what the chain says of the shard.
type shardState struct {
	signers    []integritee.ShardSignerStatus
	config     *integritee.UpgradableShardConfig
	registered bool // this worker's account, with whatever program
	legacy     bool // layout of 2022
	at         verified
}

func (w *Worker) shardState(ctx context.Context) (s shardState, err error) {
	at, ok := w.chain.latest()
	if !ok {
		return s, errors.New("no block verified yet")
	}
	own, values, err := w.lookup(ctx, at, w.account.AccountID(), shardStatusKey(w.shard), shardConfigKey(w.shard))
	if err != nil {
		return s, err
	}
	s.at, s.registered = at, own != nil
	if s.legacy, err = w.legacy(ctx); err != nil {
		return s, err
	}
	if s.legacy {
		s.signers, err = w.legacySigners(ctx, at)
		return s, err
	}
	if _, err := decodeProven(values[0], &s.signers); err != nil {
		return s, fmt.Errorf("shard status: %w", err)
	}
	s.config, err = shardConfig(values[1])
	return s, err
}

// shardConfig returns the proven configuration of a shard, nil if there is none.
func shardConfig(v trie.ProofValue) (*integritee.UpgradableShardConfig, error) {
	c := new(integritee.UpgradableShardConfig)
	ok, err := decodeProven(v, c)
	switch {
	case err != nil:
		return nil, fmt.Errorf("shard configuration: %w", err)
	case !ok:
		return nil, nil
	}
	return c, nil
}

// current waits until the verified chain is at the node's finalized head and
// the node does not say that it is behind.
func (w *Worker) current(ctx context.Context) error {
	return w.health.retry(ctx, "parentchain", func(ctx context.Context) error {
		var node struct {
			IsSyncing       bool   `json:"isSyncing"`
			Peers           uint64 `json:"peers"`
			ShouldHavePeers bool   `json:"shouldHavePeers"`
		}
		if err := w.node.Call(ctx, "system_health", nil, &node); err != nil {
			return err
		}
		if node.IsSyncing || node.ShouldHavePeers && node.Peers == 0 {
			return errSyncing
		}
		head, err := w.node.FinalizedHeader(ctx)
		if err == nil && head.Number > 0 {
			_, err = w.chain.waitPast(ctx, head.Number-1)
		}
		return err
	})
}

// prepareKeys makes and seals candidates for a shard of which there is no
// trace, before the account is registered: that it is registered means from
// then on that it had keys.
func (w *Worker) prepareKeys(ctx context.Context, own *ownKeys) (*ownKeys, error) {
	if err := w.current(ctx); err != nil || own != nil {
		return own, err
	}
	err := w.health.retry(ctx, "keys", func(ctx context.Context) error {
		s, err := w.shardState(ctx)
		if err != nil || s.registered || s.config != nil || len(s.signers) > 0 {
			return err
		}
		k, err := newKeys(w.trustHash)
		if err == nil {
			err = saveKeys(w.dir, w.platform, k)
		}
		if err == nil {
			own = k
			w.log.Info("made the keys of a new shard", "shard", w.shard)
		}
		return err
	})
	return own, err
}

// obtainKeys returns the keys of the shard once they are known to be the
// shard's, and sealed. The account is registered.
func (w *Worker) obtainKeys(ctx context.Context, own *ownKeys) (*ownKeys, error) {
	err := w.health.retry(ctx, "keys", func(ctx context.Context) (err error) {
		if err := w.current(ctx); err != nil {
			return err
		}
		s, won, ours, err := w.elect(ctx, own)
		if err != nil {
			return err
		}
		if ours {
			own.status = keysConfirmed
			return saveKeys(w.dir, w.platform, own)
		}
		if own != nil && own.status == keysRestored {
			return fatal("the restored keys in %s are not those of shard %s: %v", w.dir.file(materialFile), w.shard, won)
		}
		if own != nil {
			// Another came first, and whatever becomes of it, ours are not the shard's keys.
			if err := w.dir.remove(materialFile); err != nil {
				return fatal("the keys made for nothing: %w", err)
			}
			w.log.Info("the keys of another worker are the shard's: those made here are deleted", "shard", w.shard)
			own = nil
		}
		k, err := w.join(ctx, s, won)
		if err == nil {
			own = k
		}
		return err
	})
	return own, err
}

// elect finds out whose keys are the shard's, and whether that are own candidates,
// which are published if nobody's are the shard's yet. The claim is nil on chains
// that know none.
func (w *Worker) elect(ctx context.Context, own *ownKeys) (s shardState, won *claim, ours bool, err error) {
	if s, err = w.checkedState(ctx); err != nil {
		return s, nil, false, err
	}
	if s.legacy {
		if len(s.signers) == 0 {
			return s, nil, false, fmt.Errorf("account %s has lost its registration: start this worker again, which registers it", w.account.AccountID())
		}
		return s, nil, own != nil && s.signers[0].Signer == w.account.AccountID(), nil
	}
	if won, err = w.election.result(ctx); err != nil {
		return s, nil, false, err
	}
	if won == nil && own == nil {
		return s, nil, false, w.noKeys(s)
	}
	if won == nil && own.status == keysRestored {
		return s, nil, false, fmt.Errorf("nobody has published the keys of shard %s yet, and restored ones are never made known as a shard's: "+
			"whoever has made them has to (start it again)", w.shard)
	}
	if won == nil && s.config == nil {
		if err = w.claimShard(ctx); err == nil {
			s, err = w.checkedState(ctx) // it may have become another program's
		}
		if err != nil {
			return s, nil, false, err
		}
	}
	if won == nil {
		if won, err = w.publishKeys(ctx, own, w.election.result); err == nil {
			s, err = w.checkedState(ctx)
		}
		if err != nil {
			return s, nil, false, err
		}
	}
	return s, won, own != nil && own.are(won), nil
}

// checkedState is shardState of a shard that is not another program's.
func (w *Worker) checkedState(ctx context.Context) (shardState, error) {
	s, err := w.shardState(ctx)
	if err == nil {
		err = w.checkShardConfig(s)
	}
	return s, err
}

// are reports whether these are the keys that a claim is of.
func (k *ownKeys) are(won *claim) bool {
	hash, ok := k.first()
	return ok && hash == won.Keys
}

// checkShardConfig refuses a shard that others configured for another program.
func (w *Worker) checkShardConfig(s shardState) error {
	if own := w.fingerprint(); s.legacy && w.shard != integritee.ShardID(own) {
		return fatal("a shard of this chain (pallet Teerex of 2022) is the fingerprint of its program: this one is %s, not %s. Leave the shard out", own, w.shard)
	}
	if s.config == nil {
		return nil
	}
	own := w.fingerprint()
	if f := integritee.FingerprintAt(w.shard, s.config, s.at.header.Number+1); f != own && !w.approvals.has(f) {
		return fatal("shard %s is configured on chain for the program (fingerprint) %s, this one is %s: "+
			"somebody else uses this shard, or the upgrade keys have to approve that program (--approvals). Run that program, or choose another shard", w.shard, f, own)
	}
	return nil
}

// noKeys says why a worker without candidates makes none for a shard whose keys
// are nobody's yet.
func (w *Worker) noKeys(s shardState) error {
	if s.config == nil && len(s.signers) == 0 {
		return fmt.Errorf("account %s was registered before, but its key material (%s) is gone, and the shard has no other worker: "+
			"restore the file, or use another data folder", w.account.AccountID(), w.dir.file(materialFile))
	}
	who := "a worker that was removed"
	if len(s.signers) > 0 {
		who = "worker " + s.signers[0].Signer.String()
	}
	return fmt.Errorf("shard %s was begun by %s, and nobody has published its keys yet: whoever has made them has to (start it again). "+
		"If they are lost, choose another shard", w.shard, who)
}

// claimData is by what a claim of this shard's keys is known.
func (w *Worker) claimData() []byte { return enclave.ClaimData(w.shard, w.trustHash) }

// publishKeys publishes the hash of own keys, which are sealed, and returns whose
// are the shard's then.
func (w *Worker) publishKeys(ctx context.Context, own *ownKeys, result func(context.Context) (*claim, error)) (won *claim, err error) {
	w.health.setPhase("publishing the keys' hash")
	public, ok := own.ring.Load().Public(0)
	if !ok {
		return nil, fatal("nobody has published the keys of shard %s, and this worker does not have those of its first epoch any more", w.shard)
	}
	rt, err := w.runtimes.get(ctx)
	if err != nil {
		return nil, err
	}
	values, at, err := w.chain.prove(ctx, shardStatusKey(integritee.ShardID(w.fingerprint())), shardConfigKey(w.shard))
	if err != nil {
		return nil, err
	}
	config, err := shardConfig(values[1])
	if err != nil {
		return nil, err
	}
	if f := integritee.FingerprintAt(w.shard, config, at.header.Number+1); f != w.fingerprint() {
		return nil, fmt.Errorf("nobody has published the keys of shard %s yet, and what this worker publishes does not count: the program in force is %s, "+
			"this one is %s. A worker of that program has to", w.shard, f, w.fingerprint())
	}
	remark, err := takesNoMore(values[0], w.account.AccountID())
	if err != nil {
		return nil, err
	}
	call, err := enclave.ClaimCall(rt.Metadata(), w.claimData(), public.Hash(), remark)
	if err != nil {
		return nil, err
	}
	w.log.Info("publishes the hash of the keys that it has made", "shard", w.shard, "keys", public.Hash(), "remark", remark)
	err = w.sender.transact(ctx, rt, call, func([]trie.ProofValue) (bool, error) {
		won, err = result(ctx)
		return won != nil, err
	})
	return won, err
}

// claimShard writes the shard's configuration, unless somebody is faster. The
// candidates are sealed.
func (w *Worker) claimShard(ctx context.Context) error {
	w.health.setPhase("creating the shard")
	rt, err := w.runtimes.get(ctx)
	if err != nil {
		return err
	}
	call, err := encodeCall(rt.Metadata(), "EnclaveBridge", "update_shard_config", integritee.UpdateShardConfigArgs{
		Shard: w.shard, Config: integritee.ShardConfig{EnclaveFingerprint: integritee.Fingerprint(w.platform.Measurement())}})
	if err != nil {
		return err
	}
	return w.sender.transact(ctx, rt, call, func(v []trie.ProofValue) (bool, error) {
		return v[0].Present, nil
	}, shardConfigKey(w.shard))
}

// reclaimShard creates the shard on a chain that shows no trace of it, for a
// worker that has its keys already: a development chain that began anew, with
// the same block 0. No keys are made; if somebody else is faster, compareKeys
// finds that the keys differ.
func (w *Worker) reclaimShard(ctx context.Context) error {
	if err := w.current(ctx); err != nil {
		return err
	}
	return w.health.retry(ctx, "keys", func(ctx context.Context) error {
		s, err := w.shardState(ctx)
		if err != nil || s.legacy || s.config != nil || len(s.signers) > 0 {
			return err
		}
		return w.claimShard(ctx)
	})
}

// join obtains the keys that were published from a signer of the shard, the most
// recently active first. On success they are sealed. On chains without claims won
// is nil.
func (w *Worker) join(ctx context.Context, s shardState, won *claim) (*ownKeys, error) {
	w.health.setPhase("joining the shard")
	peers := s.others(w.account.AccountID())
	if len(peers) == 0 && len(s.signers) == 0 {
		return nil, fmt.Errorf("%v, and the chain knows no worker any more that has them: one that has them must confirm a block. "+
			"If they are lost, the shard's state can never be read again: choose another shard", won)
	}
	if len(peers) == 0 {
		return nil, fatal("this worker was the only one of shard %s and its key material (%s) is gone: the shard's state can never "+
			"be read again. Restore the file, or choose another shard (%v)", w.shard, w.dir.file(materialFile), won)
	}
	if len(s.signers) >= maxSigners-1 && len(peers) == len(s.signers) {
		w.log.Warn("the shard has room for ten signers only and evicts none: this worker may not be able to confirm blocks",
			"signers", len(s.signers))
	}
	var errs []error
	for _, p := range peers {
		k, err := w.requestKeys(ctx, p.Signer, won)
		if err == nil {
			return k, saveKeys(w.dir, w.platform, k)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		errs = append(errs, fmt.Errorf("worker %s: %w", p.Signer, err))
	}
	return nil, fmt.Errorf("no worker of the shard gave its keys (%v; if all that have them are lost, choose another shard): %w", won, errors.Join(errs...))
}

// others returns the signers of the shard but this one, the most recently active
// first.
func (s *shardState) others(self keyring.AccountID) []integritee.ShardSignerStatus {
	peers := slices.DeleteFunc(slices.Clone(s.signers), func(p integritee.ShardSignerStatus) bool { return p.Signer == self })
	slices.SortStableFunc(peers, func(a, b integritee.ShardSignerStatus) int { return cmp.Compare(b.LastActivity, a.LastActivity) })
	return peers
}

// requestKeys obtains the keys of a shard from one peer.
func (w *Worker) requestKeys(ctx context.Context, peer keyring.AccountID, won *claim) (*ownKeys, error) {
	ring, err := w.requestRing(ctx, peer)
	if err != nil {
		return nil, err
	}
	k := newOwnKeys(keysConfirmed, w.trustHash, ring)
	if won != nil && !k.are(won) {
		return nil, fmt.Errorf("%w: %v", errOtherKeys, won)
	}
	return k, nil
}

// requestRing obtains the keys of all epochs that a peer has.
func (w *Worker) requestRing(ctx context.Context, peer keyring.AccountID) (*enclave.KeyRing, error) {
	addr, err := w.muRaAddress(ctx, peer)
	if err != nil {
		return nil, err
	}
	got, err := ratls.Request(ctx, addr, peer, w.self, w.terms())
	if err != nil {
		return nil, err
	}
	defer clear(got.Payload)
	if err := w.authorize(ctx, got.Peer); err != nil {
		return nil, err
	}
	var ring *enclave.KeyRing
	erase.Do(func() { ring, err = enclave.DecodeKeyRing(got.Payload) })
	if err != nil {
		return nil, err
	}
	if ring.Bound().Hash() != got.Keys {
		return nil, errors.New("the keys are not those that its evidence vouches for")
	}
	w.log.Info("obtained the keys of the shard", "shard", w.shard, "from", peer, "epochs", ring.Len(), "newest", ring.Newest().Epoch)
	return ring, nil
}

// muRaAddress asks a registered worker where it hands out keys. The answer
// needs no proof: whoever answers there has to prove who he is.
func (w *Worker) muRaAddress(ctx context.Context, peer keyring.AccountID) (string, error) {
	e, _, err := w.enrolled(ctx, peer)
	if err != nil {
		return "", err
	}
	if e == nil || e.url == "" {
		return "", errors.New("it is not registered any more, or without URL")
	}
	ctx, stop := context.WithTimeout(ctx, peerTimeout)
	defer stop()
	c, err := rpcclient.Dial(ctx, e.url, rpcclient.Options{TLS: &tls.Config{InsecureSkipVerify: true}, ReadLimit: 1 << 20})
	if err != nil {
		return "", err
	}
	defer c.Close()
	var text string
	if err := c.Call(ctx, "author_getMuRaUrl", nil, &text); err != nil {
		return "", err
	}
	v, err := integritee.ParseReturnValue(text)
	if err == nil {
		err = v.Err()
	}
	if err != nil {
		return "", err
	}
	d := scale.NewDecoder(v.Value)
	addr := d.String()
	return addr, d.Finish()
}

// terms is what this worker asks of the other side of a hand-over: the same
// trust config and shard, and what the policy says of program and platform.
func (w *Worker) terms() ratls.Terms {
	return ratls.Terms{TrustConfig: w.trustHash, Shard: w.shard, Policy: w.platform.policy, Approved: w.approvals.measurements,
		Verifiers: w.platform.verifiers, Recent: w.chain.recentBlock, CheckRecent: w.chain.checkRecent}
}

// provider hands the keys to peers that are registered, by the proven state.
func (w *Worker) provider() *ratls.Provider {
	return &ratls.Provider{Self: w.self, Terms: w.terms(), Log: w.log,
		PublicKeys: func() (hashing.Hash, error) {
			if ring := w.ring.Load(); ring != nil {
				return ring.Bound().Hash(), nil
			}
			return hashing.Hash{}, ratls.ErrNoKeys
		},
		Material: func() ([]byte, hashing.Hash, error) {
			ring := w.ring.Load()
			return ring.Encode(), ring.Bound().Hash(), nil
		},
		Authorize: w.authorize, Snapshot: w.sharedSnapshot}
}

// maxRegistrationAge is how long ago a peer may have registered: workers do it
// again after less than renewAfter.
const maxRegistrationAge = renewAfter * 3 / 2

// errUnreadable is what peers are told while the parentchain cannot be read.
var errUnreadable = errors.New("the parentchain cannot be read now")

// authorize looks at how the other side of a hand-over, whose evidence is accepted,
// is registered by the proven state. The error is what it may be told.
func (w *Worker) authorize(ctx context.Context, peer ratls.Peer) error {
	at, ok := w.chain.latest()
	if !ok {
		return errUnreadable
	}
	e, values, err := w.lookup(ctx, at, peer.Account, timestampKey)
	var now uint64
	if err == nil {
		_, err = decodeProven(values[0], &now)
	}
	if err != nil {
		return errUnreadable
	}
	refuse := func(reason ratls.Reason, format string, args ...any) error {
		return &ratls.Refusal{Reason: reason, Detail: fmt.Sprintf(format, args...)}
	}
	switch {
	case e == nil:
		return refuse(ratls.ReasonPeer, "not in the enclave registry at block %d", at.header.Number)
	case e.fingerprint != integritee.Fingerprint(peer.Claims.Measurement):
		return refuse(ratls.ReasonPeer, "registered with another fingerprint")
	case e.attested && (e.status == integritee.SgxInvalid || e.status == integritee.SgxGroupRevoked):
		return refuse(ratls.ReasonRevoked, "at block %d its status is %d", at.header.Number, e.status)
	case now > e.timestamp && now-e.timestamp > uint64(maxRegistrationAge.Milliseconds()):
		return refuse(ratls.ReasonExpired, "%s before block %d, at most %s are accepted", time.Duration(now-e.timestamp)*time.Millisecond, at.header.Number, maxRegistrationAge)
	}
	return nil
}

// compareKeys compares keys that were confirmed before with those that were
// published first: a worker whose keys are not the shard's must not go on. If none
// were, own ones are published.
func (w *Worker) compareKeys(ctx context.Context, own *ownKeys) error {
	if legacy, err := w.legacy(ctx); err != nil {
		return err
	} else if legacy {
		return w.checkPeerKeys(ctx, own)
	}
	won, err := w.election.sync(ctx)
	if err == nil && won == nil {
		won, err = w.publishKeys(ctx, own, w.election.sync)
	}
	if err != nil {
		return err
	}
	if own.are(won) {
		return nil
	}
	return fatal("the keys in %s are not those of shard %s: %v. Move the file away and let this worker join", w.dir.file(materialFile), w.shard, won)
}

// checkPeerKeys compares own keys with those that the first signer of the
// shard attests to, if that is somebody else who can be asked: a worker whose
// keys are not the shard's must not go on. A peer that does not answer proves
// nothing. It is for chains on which keys cannot be published.
func (w *Worker) checkPeerKeys(ctx context.Context, own *ownKeys) error {
	s, err := w.shardState(ctx)
	if err != nil || len(s.signers) == 0 || s.signers[0].Signer == w.account.AccountID() {
		return err
	}
	first := s.signers[0].Signer
	theirs, err := w.peerKeys(ctx, first)
	if err != nil {
		w.log.Warn("cannot compare keys with the first worker of the shard", "account", first, "error", err)
		return nil
	}
	if theirs != own.ring.Load().Bound().Hash() {
		return fatal("the keys in %s are not those of shard %s: its first worker %s has others. Move the file away and let this worker join",
			w.dir.file(materialFile), w.shard, first)
	}
	return nil
}

// peerKeys returns the hash of the public keys that a worker attests to.
func (w *Worker) peerKeys(ctx context.Context, peer keyring.AccountID) (hashing.Hash, error) {
	addr, err := w.muRaAddress(ctx, peer)
	if err != nil {
		return hashing.Hash{}, err
	}
	st, err := ratls.Probe(ctx, addr, peer, w.self, w.terms())
	if err != nil {
		return hashing.Hash{}, err
	}
	if st.Binding.Keys.IsZero() {
		return hashing.Hash{}, errors.New("it has no keys yet, or has not compared them")
	}
	return st.Binding.Keys, nil
}
