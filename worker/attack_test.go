//go:build unix

package worker

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
	"github.com/offchain-worker/sdk/tee/ratls"
	"github.com/offchain-worker/sdk/tee/sim"
)

// revokedSerial is that of a machine's certificate which Intel has revoked.
var revokedSerial = big.NewInt(666)

// target is a worker in a process of its own, on a machine of a synthetic Intel,
// which has the keys of a shard.
type target struct {
	n         *network
	machine   *machine
	trust     enclave.TrustConfig
	approvals string // its folder
	rpc       *rpcclient.Client
	account   keyring.AccountID
	addr      string // of its key hand-over
	log       lockedText
}

func newTarget(t *testing.T) *target {
	t.Helper()
	p := &target{approvals: t.TempDir()}
	p.machine = newMachineAt(t, tee.SGX, time.Now(), "target", func(k *dcaptest.Kit) {
		k.PCKCRL.RevokedCertificateEntries = append(k.PCKCRL.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: revokedSerial, RevocationTime: k.PCKCRL.ThisUpdate})
	})
	n := newNetwork(t, devchain.Config{Runtime: runtime.Options{DCAPRoot: string(p.machine.kit.Root().Raw)}})
	n.id = integritee.ShardID(p.machine.measurement())
	p.n = n
	p.trust = withUpgradeKeys(enclave.DevTrustConfig(n.chain.Genesis(), n.id, n.app.Name()))
	for range recentBlocks + 10 { // so that block 1 is old
		if _, err := n.chain.Seal(n.ctx); err != nil {
			t.Fatal(err)
		}
	}
	files := t.TempDir()
	host, port, _ := strings.Cut(strings.TrimPrefix(n.url, "ws://"), ":")
	cmd := exec.Command(os.Args[0], append(p.machine.args(), "-u", "ws://"+host, "-p", port, "-d", t.TempDir(), "-P", "0", "-r", "0", "-h", "0",
		"--log-format", "json", "--collateral", p.machine.collateral(t), "run", n.id.String(), "--dev",
		"--policy", writeJSON(t, filepath.Join(files, "policy.json"), p.machine.policy()), "--trust-config", writeJSON(t, filepath.Join(files, "trust.json"), p.trust), "--approvals", p.approvals)...)
	cmd.Env = append(os.Environ(), workerEnv+"=")
	process := n.launch(cmd, func(_, line string) { fmt.Fprintln(&p.log, line) })
	t.Cleanup(process.kill)
	var url string
	select {
	case url = <-process.url:
	case <-n.ctx.Done():
		t.Fatal(p.log.String())
	}
	var err error
	if p.rpc, err = rpcclient.Dial(n.ctx, url, rpcclient.Options{TLS: insecureTLS()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.rpc.Close() })
	p.until("it does not run", func() bool { return p.status().Phase == "running" })
	raw, err := value(p.rpc, "author_getMuRaUrl")
	if err != nil {
		t.Fatal(err)
	}
	d := scale.NewDecoder(raw)
	p.account, p.addr = p.status().Account, d.String()
	if err := d.Finish(); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *target) status() (s Status) {
	p.n.t.Helper()
	if err := p.rpc.Call(p.n.ctx, "ocw_status", nil, &s); err != nil {
		p.n.t.Fatal(err)
	}
	return s
}

func (p *target) until(what string, holds func() bool) {
	p.n.t.Helper()
	for !holds() {
		if p.n.ctx.Err() != nil {
			p.n.t.Fatalf("%s: %s", what, p.log.String())
		}
		time.Sleep(5 * time.Millisecond) // processes are polled
	}
}

// terms are those that the target has; what it shows is accepted.
func (p *target) terms() ratls.Terms {
	now := p.status()
	return ratls.Terms{TrustConfig: p.trust.Hash(), Shard: p.n.id, Policy: p.machine.policy(),
		Verifiers:   []tee.Verifier{&dcap.Verifier{TEE: tee.SGX, Root: p.machine.kit.Root(), Now: time.Now}},
		Recent:      func() (hashing.Hash, header.Number) { return now.Hash, now.Number },
		CheckRecent: func(hashing.Hash, header.Number) error { return nil }}
}

// ask asks the target for the keys.
func (p *target) ask(who ratls.Self, terms ratls.Terms) error {
	m, err := ratls.Request(p.n.ctx, p.addr, p.account, who, terms)
	if err != nil {
		return err
	}
	if _, err := enclave.DecodeKeyRing(m.Payload); err != nil {
		return err
	}
	return nil
}

// enclave is one on a machine of the same Intel, but for what change does.
func (p *target) enclave(name string, change func(*dcaptest.Kit)) ratls.Self {
	t := p.n.t.(*testing.T)
	t.Helper()
	m := newMachineAt(t, tee.SGX, p.machine.at, name, change)
	a := Attestation{Platform: "sgx", DCAPRoot: m.root, gramine: m.files, Collateral: m.collateral(t)}
	platform, err := a.open(t.TempDir(), name, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { platform.close() })
	return p.self(name, platform)
}

func (p *target) self(name string, platform tee.Platform) ratls.Self {
	p.n.t.Helper()
	account, err := keyring.FromURI(keyring.Ed25519, "//"+strings.ReplaceAll(name, " ", ""))
	key, err2 := ratls.NewTLSKey()
	if err := errors.Join(err, err2); err != nil {
		p.n.t.Fatal(err)
	}
	return ratls.Self{Account: account, TLSKey: key, Platform: platform}
}

// enroll writes registrations into the chain's registry, by its root, and waits
// until the target knows them.
func (p *target) enroll(list map[keyring.AccountID]integritee.SgxEnclave) {
	p.n.t.Helper()
	type item struct{ Key, Value []byte }
	var args struct{ Items []item }
	for who, e := range list {
		args.Items = append(args.Items, item{enclaveKey(who), scale.MustMarshal(integritee.MultiEnclave{Sgx: &e})})
	}
	p.n.send(alice, p.n.nextIndex(alice.AccountID()), "Sudo", "sudo", struct{ Call rawCall }{p.n.call("System", "set_storage", args)})
	p.untilBlock()
}

// untilBlock waits until the target has the last block of the chain.
func (p *target) untilBlock() {
	p.n.t.Helper()
	last := p.n.chain.Best().Number()
	p.until("it does not follow", func() bool { return p.status().Number >= last })
}

// recording keeps what evidence its platform has made.
type recording struct {
	tee.Platform
	made []tee.Evidence
}

func (r *recording) Attest(rd tee.ReportData) (tee.Evidence, error) {
	e, err := r.Platform.Attest(rd)
	r.made = append(r.made, e)
	return e, err
}

// showing makes evidence, but shows other's the nth time.
type showing struct {
	tee.Platform
	nth    int
	others tee.Evidence
	shown  int
}

func (s *showing) Attest(rd tee.ReportData) (tee.Evidence, error) {
	if s.shown++; s.shown == s.nth {
		return s.others, nil
	}
	return s.Platform.Attest(rd)
}

// eavesdropper is a verifier that keeps what it is shown.
type eavesdropper struct {
	tee.Verifier
	mu  sync.Mutex
	saw []tee.Evidence
}

func (e *eavesdropper) Verify(x tee.Evidence) (*tee.Claims, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.saw = append(e.saw, x)
	return e.Verifier.Verify(x)
}

// trap has a victim connect to a man in the middle, who has a TLS key and an
// enclave of his own, and returns what evidence the victim shows him: that of its
// certificate, and that for the session with him.
func (p *target) trap(man, victim ratls.Self) []tee.Evidence {
	p.n.t.Helper()
	terms := p.terms()
	spy := &eavesdropper{Verifier: terms.Verifiers[0]}
	listening := terms
	listening.Verifiers = []tee.Verifier{spy}
	provider := &ratls.Provider{Self: man, Terms: listening, Log: slog.New(slog.DiscardHandler),
		PublicKeys: func() (hashing.Hash, error) { return hashing.Hash{1}, nil },
		Material:   func() ([]byte, hashing.Hash, error) { return []byte("nothing"), hashing.Hash{1}, nil },
		Authorize:  func(context.Context, ratls.Peer) error { return nil }}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.n.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(p.n.ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- provider.Serve(ctx, ln) }()
	_, err = ratls.Request(p.n.ctx, ln.Addr().String(), man.Account.AccountID(), victim, terms)
	stop()
	if err := errors.Join(err, <-done); err != nil || len(spy.saw) != 2 {
		p.n.t.Fatalf("%v; the man saw %d", err, len(spy.saw))
	}
	return spy.saw
}

// TestProvisioningAttacks: a worker in a process of its own hands the keys of a
// shard to nobody but registered workers of the shard with an accepted program on
// an accepted machine, and tells and logs why not.
func TestProvisioningAttacks(t *testing.T) {
	t.Parallel()
	p := newTarget(t)
	n := p.n
	program := func(name string) func(*dcaptest.Kit) {
		return func(k *dcaptest.Kit) { k.SGX.MREnclave = sha256.Sum256([]byte(name)) }
	}
	measurement := func(name string) tee.Measurement { return sha256.Sum256([]byte(name)) }
	own := p.machine.measurement()

	honest, stranger := p.enclave("honest", nil), p.enclave("stranger", nil)
	foreign, few, approved := p.enclave("foreign", program("foreign")), p.enclave("few", program("few")), p.enclave("approved", program("approved"))
	renamed, old, revoked := p.self("renamed", honest.Platform), p.self("old", honest.Platform), p.self("revoked", honest.Platform)
	man := p.self("man", honest.Platform)
	now := uint64(time.Now().UnixMilli())
	registered := func(m tee.Measurement) integritee.SgxEnclave {
		return integritee.SgxEnclave{MrEnclave: m, Timestamp: now, BuildMode: integritee.SgxProduction, AttestationMethod: integritee.SkipAttestation()}
	}
	late, bad := registered(own), registered(own)
	late.Timestamp -= uint64((maxRegistrationAge + time.Minute).Milliseconds())
	bad.AttestationMethod, bad.Status = integritee.DcapAttestation(), integritee.SgxGroupRevoked
	p.enroll(map[keyring.AccountID]integritee.SgxEnclave{
		honest.Account.AccountID(): registered(own), man.Account.AccountID(): registered(own),
		renamed.Account.AccountID(): registered(measurement("another")), old.Account.AccountID(): late, revoked.Account.AccountID(): bad,
		foreign.Account.AccountID(): registered(measurement("foreign")), few.Account.AccountID(): registered(measurement("few")), approved.Account.AccountID(): registered(measurement("approved"))})
	approve(t, &p.trust, p.approvals, "few", measurement("few"), upgradeKeys[0])
	approve(t, &p.trust, p.approvals, "approved", measurement("approved"), upgradeKeys[1:]...)

	with := func(change func(*ratls.Terms)) ratls.Terms {
		terms := p.terms()
		change(&terms)
		return terms
	}
	plain := func(who ratls.Self) func() error { return func() error { return p.ask(who, p.terms()) } }
	for _, c := range []struct {
		name   string
		attack func() error
		want   ratls.Reason // 0: TLS refuses
		log    string       // what else the audit log says
	}{
		{"downgraded TLS", func() error {
			conn, err := tls.Dial("tcp", p.addr, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
			if err == nil {
				conn.Close()
			}
			return err
		}, 0, "client offered only unsupported versions"},
		{"no evidence", func() error { return p.greet(honest.Bare()) }, ratls.ReasonNoEvidence, ""},
		{"simulated evidence", plain(p.self("simulated", sim.New(n.app.Name(), [32]byte{1}))), ratls.ReasonKind, "sim"},
		{"other trust config, for a forged checkpoint", func() error {
			forged := p.trust
			forged.StartNumber, forged.StartHash, forged.StartAuthoritySetHash = 1, hashing.Hash{1}, hashing.Hash{2}
			return p.greet(honest.Certificate(p.joins(func(b *tee.Binding) { b.TrustConfig = forged.Hash() })))
		}, ratls.ReasonTrustConfig, ""},
		{"wrong shard", func() error { return p.greet(honest.Certificate(p.joins(func(b *tee.Binding) { b.Shard[0]++ }))) }, ratls.ReasonShard, ""},
		{"evidence for another purpose", func() error {
			return p.greet(honest.Certificate(p.joins(func(b *tee.Binding) { b.Purpose = tee.PurposeServe })))
		}, ratls.ReasonPurpose, ""},
		{"wrong measurement", plain(foreign), ratls.ReasonMeasurement, measurement("foreign").String()},
		{"squatted shard configuration", func() error {
			n.send(alice, n.nextIndex(alice.AccountID()), "Sudo", "sudo", struct{ Call rawCall }{n.call("EnclaveBridge", "update_shard_config", integritee.UpdateShardConfigArgs{
				Shard: n.id, Config: integritee.ShardConfig{EnclaveFingerprint: integritee.Fingerprint(measurement("foreign"))}, EnactmentDelay: 1 << 20})})
			p.untilBlock()
			return p.ask(foreign, p.terms())
		}, ratls.ReasonMeasurement, ""},
		{"too few upgrade signatures", plain(few), ratls.ReasonMeasurement, "too few upgrade keys have signed: 1 of 2 needed"},
		{"debug", plain(p.enclave("debug", func(k *dcaptest.Kit) { k.SGX.Attributes[0] |= 2 })), ratls.ReasonDebug, ""},
		{"out of date", plain(p.enclave("out of date", func(k *dcaptest.Kit) { k.PCK.PCESVN-- })), ratls.ReasonPlatform, ""},
		{"revoked machine", plain(p.enclave("revoked machine", func(k *dcaptest.Kit) { k.PCKCert.SerialNumber = revokedSerial })), ratls.ReasonNotGenuine, "revoked"},
		{"stale", func() error {
			return p.ask(honest, with(func(x *ratls.Terms) {
				x.Recent = func() (hashing.Hash, header.Number) { return n.chain.Block(1).Hash, 1 }
			}))
		}, ratls.ReasonStale, "block 1 is older than block"},
		{"of another fork", func() error {
			return p.ask(honest, with(func(x *ratls.Terms) {
				number := n.chain.Best().Number() - 5
				x.Recent = func() (hashing.Hash, header.Number) { return hashing.Hash{1}, number }
			}))
		}, ratls.ReasonStale, ""},
		{"unregistered", plain(stranger), ratls.ReasonPeer, "not in the enclave registry at block"},
		{"registered with another measurement", plain(renamed), ratls.ReasonPeer, "registered with another fingerprint"},
		{"registered long ago", plain(old), ratls.ReasonExpired, "at most 36h0m0s are accepted"},
		{"registration revoked", plain(revoked), ratls.ReasonRevoked, "its status is 3"},
		{"replayed", func() error {
			record := &recording{Platform: stranger.Platform}
			first := stranger
			first.Platform = record
			if err := p.ask(first, p.terms()); !errors.Is(err, ratls.ReasonPeer) || len(record.made) != 2 {
				return fmt.Errorf("the first session: %w", err)
			}
			again := honest
			again.Account, again.Platform = stranger.Account, &showing{Platform: honest.Platform, nth: 2, others: record.made[1]}
			return p.ask(again, p.terms())
		}, ratls.ReasonSession, stranger.Account.AccountID().String()},
		{"relayed, as the own certificate's", func() error {
			x := man
			x.Platform = &showing{Platform: man.Platform, nth: 1, others: p.trap(man, honest)[0]}
			return p.ask(x, p.terms())
		}, ratls.ReasonSession, ""},
		{"relayed, within a session of an own TLS key", func() error {
			x := man
			x.Platform = &showing{Platform: man.Platform, nth: 2, others: p.trap(man, honest)[1]}
			return p.ask(x, p.terms())
		}, ratls.ReasonSession, man.Account.AccountID().String()},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.attack()
			var refusal *ratls.Refusal
			switch {
			case err == nil:
				t.Fatal("it has the keys")
			case c.want == 0 && !strings.Contains(err.Error(), "protocol version not supported"):
				t.Errorf("%v", err)
			case c.want != 0 && (!errors.Is(err, c.want) || !errors.As(err, &refusal) || !refusal.Remote):
				t.Errorf("got %v, want a refusal for %v", err, c.want)
			}
			for _, text := range []string{"key hand-over refused: " + c.want.Error(), c.log} {
				if c.want == 0 {
					text = c.log
				}
				p.until("the audit log has no "+text, func() bool { return strings.Contains(p.log.String(), text) })
			}
		})
	}
	if strings.Contains(p.log.String(), "handed over") {
		t.Error("it says that it has handed over the keys")
	}

	// Who is honest gets them; so does a program that enough keys have signed.
	for _, who := range []ratls.Self{honest, approved} {
		if err := p.ask(who, p.terms()); err != nil {
			t.Errorf("%s: %v", who.Account, err)
		}
		p.until("it is not in the audit log", func() bool {
			return strings.Contains(p.log.String(), `"handed over to another worker","what":"key material","account":"`+who.Account.AccountID().String())
		})
	}
}

// joins is the binding of a certificate with which somebody may ask for keys, but
// for what change does.
func (p *target) joins(change func(*tee.Binding)) tee.Binding {
	now := p.status()
	b := tee.Binding{Purpose: tee.PurposeJoin, TrustConfig: p.trust.Hash(), Shard: p.n.id, Block: now.Hash, BlockNumber: now.Number}
	change(&b)
	return b
}

// greet connects with a certificate, whatever the target shows, and returns its
// answer to the first message, which is a refusal.
func (p *target) greet(cert tls.Certificate, err error) error {
	if err != nil {
		return err
	}
	conn, err := tls.Dial("tcp", p.addr, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{cert}})
	if err != nil {
		return err
	}
	defer conn.Close()
	hello := append([]byte{1, 0, 0, 0, 35, 2, 0, 0}, make([]byte, 32)...) // kind, length; version, what, nonce
	var head [5]byte
	if _, err := conn.Write(hello); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[1:]))
	if _, err := io.ReadFull(conn, body); err != nil || head[0] != 5 || len(body) == 0 {
		return fmt.Errorf("an answer of kind %d, %w", head[0], err)
	}
	return &ratls.Refusal{Reason: ratls.Reason(body[0]), Remote: true}
}
