// Package doctor has the command that looks whether a machine, a node and a shard
// are fit for a worker.
package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/harden"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/tsm"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/sgx"
	"github.com/offchain-worker/sdk/tee/snp"
	"github.com/offchain-worker/sdk/tee/tdx"
)

// Level says what a finding means.
type Level string

// The levels.
const (
	OK   Level = "ok"
	Warn Level = "warn" // a worker runs, but
	Fail Level = "fail" // a worker does not run, or not as it should
)

// Finding is one thing that was looked at.
type Finding struct {
	Part  string `json:"part"`
	Level Level  `json:"level"`
	Text  string `json:"text"`
}

// report collects findings.
type report struct{ list []Finding }

func (r *report) add(part string, level Level, format string, args ...any) {
	r.list = append(r.list, Finding{part, level, fmt.Sprintf(format, args...)})
}

// errUnfit means that something has to be mended.
var errUnfit = errors.New("something has to be mended before a worker can run here")

// Command looks at this machine, and, where asked to, at a node and a shard.
func Command() *cobra.Command {
	var node, shard string
	var asJSON bool
	var timeout time.Duration
	var p platforms
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look whether this machine, a node and a shard are fit for a worker",
		Long: `Say which trusted execution environment is here, what protects the memory of a
process, and, with --node and --shard, whether the parentchain has what a worker
needs, who serves the shard, and how much room it has for more workers.

Exits 0 if a worker can run, with or without warnings, else 1.`,
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := context.WithTimeout(cmd.Context(), timeout)
			defer stop()
			r := new(report)
			p.look(r)
			for _, m := range harden.Process() {
				r.measure(m)
			}
			if node != "" {
				r.chain(ctx, node, shard)
			} else if shard != "" {
				return errors.New("--shard needs --node")
			}
			return r.print(cmd.OutOrStdout(), asJSON)
		},
	}
	f := cmd.Flags()
	f.StringVar(&node, "node", "", "`URL` of a node of the parentchain, to look at it too")
	f.StringVar(&shard, "shard", "", "the shard, in base58, to look at it too")
	f.BoolVar(&asJSON, "json", false, "print the findings as JSON")
	f.DurationVar(&timeout, "timeout", 30*time.Second, "give up after this time")
	return cmd
}

func (r *report) measure(m harden.Measure) {
	level := OK
	if !m.OK {
		level = Warn
	}
	r.add("process", level, "%s: %s", m.Name, m.Note)
}

// platforms opens the platforms; the folders are for tests.
type platforms struct{ gramine, tsm string }

// look names the platforms that are here.
func (p *platforms) look(r *report) {
	found := 0
	for _, x := range []struct {
		kind tee.Kind
		open func() (tee.Platform, error)
	}{
		{tee.SGX, func() (tee.Platform, error) { return sgx.Open(sgx.Config{Root: p.gramine}) }},
		{tee.SNP, func() (tee.Platform, error) { return snp.Open(snp.Config{Root: p.tsm}) }},
		{tee.TDX, func() (tee.Platform, error) { return tdx.Open(tdx.Config{Root: p.tsm}) }},
	} {
		platform, err := x.open()
		switch {
		case err == nil:
			found++
			r.add("platform", OK, "%s is here, this program is %s", x.kind, platform.Measurement())
			if c, ok := platform.(io.Closer); ok {
				_ = c.Close()
			}
		case errors.Is(err, sgx.ErrUnavailable) || errors.Is(err, tsm.ErrUnavailable):
			r.add("platform", OK, "%s is not here: %v", x.kind, err)
		default:
			found++
			r.add("platform", Fail, "%s is here and fails: %v", x.kind, err)
		}
	}
	if found == 0 {
		r.add("platform", Warn, "none of them: a worker runs on the simulated one only, which protects nothing")
	}
}

// nearlyFull is how many signers make a shard nearly full.
const nearlyFull = integritee.MaxShardSigners - 1

// chain looks at the parentchain.
func (r *report) chain(ctx context.Context, url, shard string) {
	const part = "parentchain"
	c, err := client.DialChain(ctx, url)
	if err != nil {
		r.add(part, Fail, "%v", err)
		return
	}
	defer c.Close()
	final, err := c.Finalized(ctx)
	if err != nil {
		r.add(part, Fail, "%v", err)
		return
	}
	r.add(part, OK, "genesis %s, final up to block %d", c.Genesis(), final)
	legacy, err := c.Legacy(ctx)
	if err != nil {
		r.add(part, Fail, "%v", err)
		return
	}
	enclaves, err := c.Enclaves(ctx)
	if err != nil {
		r.add(part, Fail, "its pallets are not those of a chain for workers: %v", err)
		return
	}
	r.add(part, OK, "%d enclaves are registered", len(enclaves))
	if legacy {
		r.add(part, Warn, "pallet Teerex of 2022: workers confirm and pay as then, and nothing of newer pallets is there")
	}
	if shard == "" {
		return
	}
	r.shard(ctx, c, shard, enclaves)
}

// shard looks at a shard.
func (r *report) shard(ctx context.Context, c *client.Chain, text string, enclaves []*client.Enclave) {
	const part = "shard"
	id, err := integritee.ParseShardID(text)
	if err != nil {
		r.add(part, Fail, "--shard: %v", err)
		return
	}
	program, err := c.InForce(ctx, id)
	if err != nil {
		r.add(part, Fail, "%v", err)
		return
	}
	signers, err := c.ShardSigners(ctx, id)
	if err != nil {
		r.add(part, Fail, "%v", err)
		return
	}
	r.add(part, OK, "its program is %s", program)
	registered := map[client.AccountID]bool{}
	serving := 0
	for _, e := range enclaves {
		registered[e.Account] = true
		if e.Fingerprint == program {
			serving++
		}
	}
	if serving == 0 {
		r.add(part, Warn, "nobody is registered with this program")
	} else {
		r.add(part, OK, "%d are registered with this program", serving)
	}
	level, note := OK, ""
	switch n := len(signers); {
	case n >= integritee.MaxShardSigners:
		level, note = Fail, ": full, and no signer is ever evicted, so that another worker can neither confirm nor pay"
	case n >= nearlyFull:
		level, note = Warn, ": nearly full, and no signer is ever evicted"
	}
	r.add(part, level, "%d of %d signers%s", len(signers), integritee.MaxShardSigners, note)
	for _, s := range signers {
		switch {
		case !registered[s.Signer]:
			r.add(part, Warn, "signer %s, last active in block %d, is not registered any more and keeps its place", s.Signer, s.LastActivity)
		case s.Fingerprint != program:
			r.add(part, Warn, "signer %s, last active in block %d, ran another program: %s", s.Signer, s.LastActivity, s.Fingerprint)
		default:
			r.add(part, OK, "signer %s, last active in block %d", s.Signer, s.LastActivity)
		}
	}
}

// print prints the findings; the error is errUnfit if one of them is a failure.
func (r *report) print(w io.Writer, asJSON bool) (err error) {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		err = e.Encode(r.list)
	} else {
		part := ""
		for _, f := range r.list {
			if f.Part != part {
				part = f.Part
				fmt.Fprintf(w, "%s\n", part)
			}
			// Errors of several reasons have several lines.
			fmt.Fprintf(w, "  %-4s  %s\n", f.Level, strings.ReplaceAll(f.Text, "\n", "\n        "))
		}
	}
	for _, f := range r.list {
		if f.Level == Fail && err == nil {
			err = errUnfit
		}
	}
	return err
}
