package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/offchain-worker/sdk/internal/binding"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/metadata"
	"github.com/offchain-worker/sdk/substrate/trie"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	"github.com/offchain-worker/sdk/tee/ratls"
)

const (
	// renewAfter is the age at which a registration is renewed, less a random
	// part of up to renewJitter, so that workers that began together do not stay
	// so. Past 48 hours anybody may remove it.
	renewAfter  = 24 * time.Hour
	renewJitter = 3 * time.Hour
	// registrationEvery is how many blocks may pass between looks at the own
	// registration.
	registrationEvery = 10
)

// Why a registration is sent, for the log and a metric.
const (
	reasonNone       = "none"       // there is none: the first, or it was removed
	reasonChanged    = "changed"    // URL, program, keys or TLS key are others
	reasonAge        = "age"        // it is due
	reasonCollateral = "collateral" // Intel has published something new about this machine
)

var registrationReasons = []string{reasonNone, reasonChanged, reasonAge, reasonCollateral}

// Errors about parentchains and platforms that do not go together.
var (
	errNoQuotes  = errors.New("--skip-ra is needed: the parentchain takes evidence of SGX only (--tee sgx)")
	errOldPallet = errors.New("--skip-ra is needed: the parentchain's pallet Teerex is of 2022 and takes no quotes")
)

// registrar keeps this worker in the chain's registry of enclaves. It is used by
// one goroutine at a time: first by live, then by the submitter, and by the follower
// while that waits for keys.
//
// Without Config.SkipRA a quote is registered, made for the account, keys and TLS
// key of this process. Clients compare its report data with what the binding
// document tells of it.
type registrar struct {
	w  *Worker
	mu sync.Mutex // held by who uses it
	// made is for what the last quote was made that was sent; nil for none.
	made *made
	// used is the collateral that was known then.
	used *dcap.Collateral
	// refused is collateral that the chain has refused: without it the worker
	// registers with what the chain has.
	refused *dcap.Collateral
	age     time.Duration // at which to renew
	// proven is the block in whose state live has found the registration.
	proven header.Number
}

func newRegistrar(w *Worker) *registrar { return &registrar{w: w, age: renewalAge()} }

func renewalAge() time.Duration { return renewAfter - time.Duration(rand.Int64N(int64(renewJitter))) }

// byQuote reports whether the worker registers with a quote.
func (r *registrar) byQuote() bool { return !r.w.cfg.SkipRA }

// registered is what the proven state says that matters for registration.
type registered struct {
	own  *enrolled // nil if it is not registered
	now  uint64    // time of the block, in ms
	qe   integritee.SgxQuotingEnclave
	info integritee.SgxTcbInfoOnChain // of the own platform
}

var (
	timestampKey = hashing.StoragePrefix("Timestamp", "Now")
	quotingKey   = hashing.StoragePrefix("Teerex", "SgxQuotingEnclaveRegistry")
	tcbInfoMap   = hashing.StoragePrefix("Teerex", "SgxTcbInfo")
)

// look reads the state after a verified block.
func (r *registrar) look(ctx context.Context, at verified) (s registered, err error) {
	keys := [][]byte{timestampKey}
	into := []any{&s.now}
	if r.byQuote() {
		if legacy, err := r.w.legacy(ctx); err != nil {
			return s, err
		} else if legacy {
			return s, fatal("%w", errOldPallet)
		}
		fmspc := r.w.platform.own.FMSPC
		keys = append(keys, quotingKey, hashing.Blake2_128Concat.AppendKey(tcbInfoMap, fmspc[:]))
		into = append(into, &s.qe, &s.info)
	}
	own, values, err := r.w.lookup(ctx, at, r.w.account.AccountID(), keys...)
	if err != nil {
		return s, err
	}
	s.own = own
	for i, v := range into {
		if _, err := decodeProven(values[i], v); err != nil {
			return s, err
		}
	}
	return s, nil
}

// enough reports whether the worker is registered as far as other workers and the
// pallets care: with this program, URL and method.
func (r *registrar) enough(s registered) bool {
	w := r.w
	return s.own != nil && s.own.url == w.urls.trusted && s.own.fingerprint == w.fingerprint() && (s.own.attested || !r.byQuote())
}

// due says why the worker has to be registered again, "" if it is as it should be.
func (r *registrar) due(s registered) string {
	switch {
	case s.own == nil:
		return reasonNone
	case !r.enough(s), r.byQuote() && !r.current(s):
		return reasonChanged
	case r.aged(s):
		return reasonAge
	case r.byQuote() && r.used != r.w.platform.collateral():
		return reasonCollateral
	}
	return ""
}

// aged reports whether it is time to renew a registration.
func (r *registrar) aged(s registered) bool {
	return s.now > s.own.timestamp && s.now-s.own.timestamp > uint64(r.age.Milliseconds())
}

// current tells whether what is registered was made for what the worker has now,
// and has clients know for what.
func (r *registrar) current(s registered) bool {
	if r.made == nil || s.own.reportData != r.made.ReportData(r.w.account.AccountID()) {
		return false
	}
	r.w.registrations.Store(&[]binding.Registration{r.made.registration})
	return !r.outdated()
}

// outdated reports whether the worker has other keys than those for which the last
// quote was made.
func (r *registrar) outdated() bool {
	if r.made == nil {
		return false
	}
	now, _ := r.w.bind(r.made.Purpose)
	return now.Keys != r.made.Keys
}

// made is for what a quote was made.
type made struct {
	tee.Binding
	registration binding.Registration // the same in the form in which clients are told
}

// step is an extrinsic that registration needs, or one about the next epoch.
type step struct {
	epoch  *epoch.Message // about the next epoch, without what is below name and call; else nil
	name   string
	reason string // one of registrationReasons for the enclave itself, else ""
	call   []byte
	done   func(registered) bool
	failed func() // is called once it came into a block and failed; may be nil
}

// step returns what to send next, nil if the worker is registered as it should
// be.
func (r *registrar) step(rt *enclave.Runtime, s registered) (*step, error) {
	reason := r.due(s)
	if reason == "" {
		return nil, nil
	}
	if r.byQuote() {
		if x, err := r.collateralStep(rt.Metadata(), s); x != nil || err != nil {
			return x, err
		}
	}
	return r.enclaveStep(rt.Metadata(), s, reason)
}

// enclaveStep makes new evidence, where it is asked for, and registers it.
func (r *registrar) enclaveStep(m *metadata.Metadata, s registered, reason string) (_ *step, err error) {
	w := r.w
	x := &step{name: "registration", reason: reason}
	r.age = renewalAge()
	if r.byQuote() {
		made, proof, err := r.prove()
		if err != nil {
			return nil, err
		}
		r.made, r.used = made, w.platform.collateral()
		// Which of the two the chain has, clients see there.
		told := []binding.Registration{made.registration}
		if before := w.registrations.Load(); before != nil {
			told = append((*before)[:1:1], told...)
		}
		w.registrations.Store(&told)
		x.done = func(s registered) bool {
			return s.own != nil && s.own.reportData == made.ReportData(w.account.AccountID())
		}
		x.call, err = registerCall(m, proof, []byte(w.urls.trusted), integritee.DcapAttestation())
		return x, err
	}
	before := uint64(0)
	if r.enough(s) {
		before = s.own.timestamp
	}
	x.done = func(s registered) bool { return r.enough(s) && s.own.timestamp > before }
	measurement := w.platform.Measurement()
	x.call, err = registerCall(m, measurement[:], []byte(w.urls.trusted), integritee.SkipAttestation())
	return x, err
}

// prove makes a quote for what the worker has now, in the form that the pallet
// takes, and says for what.
func (r *registrar) prove() (*made, []byte, error) {
	w := r.w
	purpose := tee.PurposeJoin
	if w.ring.Load() != nil {
		purpose = tee.PurposeServe
	}
	b, epochs := w.bind(purpose)
	b.TLSKey = ratls.TLSKeyHash(w.certificate.Load().Leaf)
	evidence, err := w.platform.Attest(b.ReportData(w.account.AccountID()))
	if err != nil {
		return nil, nil, err
	}
	proof, err := proofOf(evidence.Quote)
	return &made{b, binding.NewRegistration(&b, epochs)}, proof, err
}

// proofOf returns a quote as the pallet takes it: up to 5000 bytes, its
// certificates with line feeds.
func proofOf(quote []byte) ([]byte, error) {
	proof, err := dcap.Trim(quote)
	if err == nil && (len(proof) > integritee.MaxProofBytes || strings.Contains(string(proof), "-----\r\n")) {
		proof, err = dcap.Compact(proof)
	}
	if err == nil && len(proof) > integritee.MaxProofBytes {
		err = fmt.Errorf("this machine's quotes have %d bytes without what can be left out, and the parentchain takes %d", len(proof), integritee.MaxProofBytes)
	}
	return proof, err
}

// collateralStep registers what the chain has not or has only older of Intel's
// statements on the quoting enclave and this platform. Without any of its own the
// worker relies on what the chain has.
func (r *registrar) collateralStep(m *metadata.Metadata, s registered) (*step, error) {
	w := r.w
	c := w.platform.collateral()
	missing := func(what string) error {
		return fmt.Errorf("the parentchain does not know %s, and this worker has nothing that it could hand in: --collateral or --pccs is needed", what)
	}
	what := [2]string{"Intel's quoting enclave", "platforms of the family " + w.platform.own.FMSPC.String()}
	if c == nil || c == r.refused {
		switch {
		case s.qe.IssueDate == 0:
			return nil, missing(what[0])
		case s.info.IssueDate == 0:
			return nil, missing(what[1])
		}
		return nil, nil
	}
	identity, err := dcap.DecodeQEIdentity(c.QEIdentity)
	if err != nil {
		return nil, err
	}
	info, err := dcap.DecodeTCBInfo(c.TCBInfo)
	if err != nil {
		return nil, err
	}
	infoChain, identityChain, err := c.Chains(w.platform.root)
	if err != nil {
		return nil, err
	}
	for i, part := range []struct {
		call        string
		issue, next time.Time
		has         func(registered) uint64
		args        any
	}{
		{"register_quoting_enclave", identity.IssueDate, identity.NextUpdate, func(s registered) uint64 { return s.qe.IssueDate },
			integritee.RegisterQuotingEnclaveArgs{EnclaveIdentity: c.QEIdentity, Signature: c.QEIdentitySignature, CertificateChain: identityChain}},
		{"register_tcb_info", info.IssueDate, info.NextUpdate, func(s registered) uint64 { return s.info.IssueDate },
			integritee.RegisterTcbInfoArgs{TcbInfo: c.TCBInfo, Signature: c.TCBInfoSignature, CertificateChain: infoChain}},
	} {
		issue := uint64(part.issue.UnixMilli())
		have := part.has(s)
		switch inTime := issue < s.now && s.now < uint64(part.next.UnixMilli()); {
		case have >= issue:
			continue
		case !inTime && have != 0:
			continue // the chain would refuse it, and has another
		case !inTime:
			return nil, fmt.Errorf("%w; what it has is for the time from %s to %s, the parentchain's is %s", missing(what[i]),
				part.issue.Format(time.RFC3339), part.next.Format(time.RFC3339), time.UnixMilli(int64(s.now)).UTC().Format(time.RFC3339))
		}
		call, err := encodeCall(m, "Teerex", part.call, part.args)
		if err != nil {
			return nil, err
		}
		x := &step{name: strings.ReplaceAll(part.call, "_", " "), call: call, done: func(s registered) bool { return part.has(s) >= issue }}
		if have != 0 {
			x.failed = func() { r.refused = c }
		}
		return x, nil
	}
	return nil, nil
}

// register makes sure, by the proven state, that the account is funded and
// registered: as it should be, or, loosely, so that other workers take it for one.
func (r *registrar) register(ctx context.Context, loosely bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.w
	return w.health.retry(ctx, "registration", func(ctx context.Context) error {
		for {
			s, at, err := r.latest(ctx)
			if err != nil {
				return err
			}
			if r.due(s) == "" || loosely && r.enough(s) && !r.aged(s) {
				r.proven = at.header.Number
				w.metrics.registered.Set(1)
				return nil
			}
			if err := w.fund(ctx); err != nil {
				return err
			}
			select {
			case <-w.ready:
			default:
				w.health.setPhase("registering")
			}
			if err := r.advance(ctx); err != nil {
				return err
			}
		}
	})
}

// latest is look after the last verified block.
func (r *registrar) latest(ctx context.Context) (registered, verified, error) {
	at, ok := r.w.chain.latest()
	if !ok {
		return registered{}, at, errors.New("no block verified yet")
	}
	s, err := r.look(ctx, at)
	return s, at, err
}

// advance sends one step and waits for its effect.
func (r *registrar) advance(ctx context.Context) error {
	w := r.w
	rt, err := w.runtimes.get(ctx)
	if err != nil {
		return err
	}
	s, _, err := r.latest(ctx)
	if err != nil {
		return err
	}
	x, err := r.step(rt, s)
	if x == nil || err != nil {
		return err
	}
	err = w.sender.transact(ctx, rt, x.call, func([]trie.ProofValue) (bool, error) {
		s, _, err := r.latest(ctx)
		return err == nil && x.done(s), err
	})
	if err != nil {
		if x.failed != nil && ctx.Err() == nil {
			x.failed()
		}
		return fmt.Errorf("%s: %w", x.name, err)
	}
	r.sent(x)
	w.log.Info("registered", "what", x.name, "account", w.account.AccountID(), "url", w.urls.trusted)
	return nil
}

// sent counts a step.
func (r *registrar) sent(x *step) {
	if x.reason != "" {
		r.w.metrics.registrations.WithLabelValues(x.reason).Inc()
	}
}
