package worker

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/internal/harden"
	"github.com/offchain-worker/sdk/internal/verifiers"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/ratls"
)

// selftestFile holds what a former selftest has sealed.
const selftestFile = "selftest_sealed.bin"

// Results of a check.
const (
	selftestOK   = "ok"
	selftestWarn = "warn"
	selftestFail = "fail"
)

// check is one thing that selftest has tried.
type check struct {
	Name   string `json:"name"`
	Result string `json:"result"`
	Note   string `json:"note"`
}

// selftest tries on the machine itself what a worker needs of its platform.
type selftest struct {
	d      *dataDir
	p      *attestation
	checks []check
}

var errSelftest = errors.New("the selftest failed")

// try notes how a check ended, and tells whether those that build on it can go on.
func (s *selftest) try(name string, f func() (note string, err error)) bool {
	note, err := f()
	c := check{name, selftestOK, note}
	if err != nil {
		c.Result, c.Note = selftestFail, strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	s.checks = append(s.checks, c)
	return err == nil
}

func selftestCommand(app *stf.App, f *flags) *cobra.Command {
	var policy string
	var asJSON bool
	c := &cobra.Command{Use: "selftest", Args: cobra.NoArgs,
		Short: "Try what a worker needs of its platform: evidence, sealing, a key hand-over to itself",
		Long: `Try on this machine what a worker needs of its platform, and report each thing:
evidence that vouches for what it should, that is genuine and accepted by the
policy, fits on the parentchain and is made anew each time; sealing keys that stay
the same, also since the last selftest in this folder (run it again after a restart
of the machine and after updates of its firmware); a key hand-over to itself.

It asks nobody but a PCCS. Exits 0 if nothing failed, else 1.`,
		RunE: fail(func(cmd *cobra.Command, _ []string) error {
			f.attestation.Policy = policy
			return f.withHeldDir(app, cmd, func(d *dataDir, p *attestation) error {
				s := &selftest{d: d, p: p}
				s.run(cmd.Context())
				return s.print(cmd, asJSON)
			})
		})}
	c.Flags().StringVar(&policy, "policy", "", "JSON `file` with the policy for the evidence (default: this program on this kind of platform)")
	c.Flags().BoolVar(&asJSON, "json", false, "print the checks as JSON")
	return c
}

func (s *selftest) print(cmd *cobra.Command, asJSON bool) error {
	failed := false
	for _, c := range s.checks {
		failed = failed || c.Result == selftestFail
	}
	out := cmd.OutOrStdout()
	if asJSON {
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(s.checks); err != nil {
			return err
		}
	} else {
		for _, c := range s.checks {
			fmt.Fprintf(out, "%-4s  %-34s %s\n", c.Result, c.Name, c.Note)
		}
	}
	if failed {
		return errSelftest
	}
	return nil
}

func (s *selftest) run(ctx context.Context) {
	s.checks = append(s.checks, check{"platform", selftestOK, fmt.Sprintf("%s, program %s", s.p.Kind(), s.p.Measurement())})
	s.try("collateral", func() (string, error) { return s.collateral(ctx) })
	if s.evidence() {
		s.try("key hand-over to itself", func() (string, error) { return s.handOver(ctx) })
	}
	s.sealing()
	for _, m := range harden.Process() {
		result := selftestOK
		if !m.OK {
			result = selftestWarn
		}
		s.checks = append(s.checks, check{m.Name, result, m.Note})
	}
}

// collateral gets what Intel or AMD says of this machine, where there is somebody to ask.
func (s *selftest) collateral(ctx context.Context) (string, error) {
	switch {
	case s.p.amd != nil:
		name := verifiers.CRLName(s.p.amd.Line, s.p.amd.VLEK)
		if s.p.crl() == nil {
			return "", fmt.Errorf("there is no CRL for this machine's reports: --collateral with %s is needed", name)
		}
		return name, nil
	case s.p.own == nil:
		return "not needed beside this platform's evidence", nil
	case s.p.fetch:
		c, err := s.p.store.Fetch(ctx, *s.p.own)
		if err != nil {
			return "", fmt.Errorf("%s: %w", s.p.own, err)
		}
		s.p.use(c)
		return "fetched for " + s.p.own.String(), nil
	case s.p.collateral() == nil:
		return "", fmt.Errorf("nothing is known about %s: --collateral or --pccs is needed", s.p.own)
	}
	return "known for " + s.p.own.String(), nil
}

// evidence makes evidence twice and judges it, and tells whether it was genuine.
func (s *selftest) evidence() bool {
	var rd [2]tee.ReportData
	var evidence [2]tee.Evidence
	made := s.try("evidence", func() (string, error) {
		began := time.Now()
		for i := range evidence {
			rand.Read(rd[i][:])
			var err error
			if evidence[i], err = s.p.Attest(rd[i]); err != nil {
				return "", err
			}
		}
		if bytes.Equal(evidence[0].Quote, evidence[1].Quote) {
			return "", errors.New("it is the same for different data")
		}
		return fmt.Sprintf("%d bytes, and %d of collateral, %v", len(evidence[0].Quote), len(evidence[0].Aux), (time.Since(began) / 2).Round(100*time.Microsecond)), nil
	})
	if !made {
		return false
	}
	var claims *tee.Claims
	genuine := s.try("evidence is genuine", func() (string, error) {
		for i, e := range evidence {
			c, err := tee.Verify(e, s.p.verifiers...)
			switch {
			case err != nil:
				return "", err
			case c.ReportData != rd[i]:
				return "", errors.New("it vouches for other data")
			case c.Measurement != s.p.Measurement():
				return "", fmt.Errorf("it is of program %s", c.Measurement)
			}
			claims = c
		}
		return "and vouches for this program and for what it was given", nil
	})
	if !genuine {
		return false
	}
	s.try("evidence is accepted", func() (string, error) {
		if err := s.p.policy.AppraisePlatform(claims); err != nil {
			return "", err
		}
		return tcbNote(claims), nil
	})
	if s.p.Kind() == tee.SGX {
		s.try("quote fits on the parentchain", func() (string, error) {
			proof, err := proofOf(evidence[0].Quote)
			return fmt.Sprintf("%d bytes", len(proof)), err
		})
	}
	return true
}

// tcbNote says what is known of the machine's firmware.
func tcbNote(c *tee.Claims) string {
	if c.TCB == nil {
		return "by the policy"
	}
	if c.SNP != nil {
		return fmt.Sprintf("versions %+v", c.SNP.Reported)
	}
	return fmt.Sprintf("TCB %s, advisories %v", c.TCB.Status, c.TCB.Advisories)
}

// sealing compares sealing keys with themselves, and with those of the last time.
func (s *selftest) sealing() {
	ok := s.try("sealing keys", func() (string, error) {
		a, err := s.p.SealingKey("selftest/a")
		if err != nil {
			return "", err
		}
		again, err := s.p.SealingKey("selftest/a")
		if err != nil {
			return "", err
		}
		b, err := s.p.SealingKey("selftest/b")
		switch {
		case err != nil:
			return "", err
		case a != again:
			return "", errors.New("the key of a label is another at the second time")
		case a == b || a == [32]byte{}:
			return "", errors.New("the keys of two labels are the same")
		}
		return "the same each time, another for each label", nil
	})
	if !ok {
		return
	}
	s.try("sealed by the last selftest", func() (string, error) {
		b, err := s.d.unseal(s.p, selftestFile)
		var when time.Time
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return "", fmt.Errorf("%w: this program or machine is another, or its firmware was updated. The same happens to a worker's keys", err)
		default:
			if err := when.UnmarshalText(b); err != nil {
				return "", err
			}
		}
		now, err := time.Now().UTC().Truncate(time.Second).MarshalText()
		if err == nil {
			err = s.d.seal(s.p, now, selftestFile)
		}
		if when.IsZero() {
			return "nothing yet: run it again after a restart of the machine", err
		}
		return "opened, from " + when.Format(time.RFC3339), err
	})
}

// handOver hands key material to itself over a real socket.
func (s *selftest) handOver(ctx context.Context) (string, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	self := func() (ratls.Self, error) {
		var seed [32]byte
		rand.Read(seed[:])
		pair, err := keyring.FromSeed(keyring.Ed25519, seed)
		if err != nil {
			return ratls.Self{}, err
		}
		key, err := ratls.NewTLSKey()
		return ratls.Self{Account: pair, TLSKey: key, Platform: s.p}, err
	}
	giver, err := self()
	if err != nil {
		return "", err
	}
	taker, err := self()
	if err != nil {
		return "", err
	}
	terms := ratls.Terms{TrustConfig: hashing.Hash{1}, Shard: s.p.Measurement(), Policy: s.p.policy, Verifiers: s.p.verifiers,
		Recent: func() (hashing.Hash, header.Number) { return hashing.Hash{2}, 1 }, CheckRecent: func(hashing.Hash, header.Number) error { return nil }}
	secret := make([]byte, 1900)
	rand.Read(secret)
	p := &ratls.Provider{Self: giver, Terms: terms, Log: slog.New(slog.DiscardHandler), PublicKeys: func() (hashing.Hash, error) { return hashing.Hash{3}, nil },
		Material:  func() ([]byte, hashing.Hash, error) { return bytes.Clone(secret), hashing.Hash{3}, nil },
		Authorize: func(context.Context, ratls.Peer) error { return nil }}
	go func() { _ = p.Serve(ctx, l) }()
	got, err := ratls.Request(ctx, l.Addr().String(), giver.Account.AccountID(), taker, terms)
	switch {
	case err != nil:
		return "", err
	case !bytes.Equal(got.Payload, secret) || got.Keys != (hashing.Hash{3}):
		return "", errors.New("something else came over")
	}
	return "evidence of both sides was verified", nil
}
