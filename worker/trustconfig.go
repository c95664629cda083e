package worker

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/internal/trustconfig"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// trustConfigCommand writes the trust config of a shard that begins at a block
// of the connected chains. What nodes say of the block is taken on their word:
// who uses the file decides whether it is the block that he means.
func trustConfigCommand(app *stf.App, f *flags) *cobra.Command {
	var (
		finality          finalityFlags
		block, relayBlock string
		class             string
		upgradeKeys       []string
		threshold         uint32
	)
	cmd := &cobra.Command{
		Use:   "trust-config [SHARD]",
		Short: "Print a trust config for a shard (base58; default: the measurement) that begins at a block of the connected chain",
		Long: "Print a trust config for a shard that begins at a final block of the connected chain. All nodes that are given have to agree\n" +
			"on the block, and the authority set is proven in its state; that it is a block of the right chain is only their word.\n" +
			"Compare genesis and start hash with another source before a worker runs with it.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(app); err != nil {
				return err
			}
			c := Config{NodeURL: f.nodes()}
			finality.into(&c)
			t := enclave.TrustConfig{App: app.Name()}
			if len(args) == 0 {
				m, err := f.measurement(slog.New(slog.DiscardHandler))
				if err != nil {
					return err
				}
				t.Shard = integritee.ShardID(m)
			} else {
				var err error
				if t.Shard, err = integritee.ParseShardID(args[0]); err != nil {
					return fmt.Errorf("SHARD: %w", err)
				}
			}
			if err := t.Class.UnmarshalText([]byte(class)); err != nil {
				return fmt.Errorf("--class is %v or %v", enclave.InsecureDev, enclave.Production)
			}
			var err error
			if t.Upgrade, err = parseUpgradeKeys(upgradeKeys, threshold); err != nil {
				return err
			}
			_, err = parentchain.ParseURLs(c.NodeURL)
			if err != nil {
				err = fmt.Errorf("endpoints of the parentchain: %w", err)
			}
			at, err1 := parseBlock("--block", block)
			relayAt, err2 := parseBlock("--relay-block", relayBlock)
			if relayAt != nil && c.Parentchain != Para {
				err2 = errors.New("--relay-block has no effect without --parentchain para")
			}
			if err := errors.Join(err, c.checkRelay(), err1, err2); err != nil {
				return err
			}
			return fail(func(cmd *cobra.Command, _ []string) error {
				if err := checkpointTrust(cmd.Context(), &c, &t, at, relayAt); err != nil {
					return err
				}
				b, err := json.MarshalIndent(t, "", "  ")
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s\n", b)
				fmt.Fprintln(cmd.ErrOrStderr(), "This is what the given nodes say: compare the hashes with another source.")
				return nil
			})(cmd, args)
		},
	}
	o := cmd.Flags()
	finality.register(o)
	o.StringVar(&block, "block", "", "`number` of the block at which the shard begins, which must be final (default: the last one that is)")
	o.StringVar(&relayBlock, "relay-block", "", "`number` of the block of the relay chain at which to begin (default: the last final one)")
	o.StringVar(&class, "class", enclave.InsecureDev.String(), "insecure-dev, which the simulated TEE needs, or production")
	o.StringSliceVar(&upgradeKeys, "upgrade-key", nil, "`account` of a key that approves other programs (ocw approve), as address or 0x and hex; several, by repetition.\n"+
		"Without any there is no other program for the shard, ever")
	o.Uint32Var(&threshold, "upgrade-threshold", 0, "how `many` of them have to sign (default: all)")
	return cmd
}

// parseUpgradeKeys reads the accounts of upgrade keys.
func parseUpgradeKeys(accounts []string, threshold uint32) (u trustconfig.UpgradeKeys, err error) {
	u.Keys = []keyring.AccountID{} // none are [] in JSON
	for _, a := range accounts {
		k, err := keyring.ParseAccountID(a)
		if err != nil {
			return u, fmt.Errorf("--upgrade-key: %w", err)
		}
		u.Keys = append(u.Keys, k)
	}
	slices.SortFunc(u.Keys, func(a, b keyring.AccountID) int { return bytes.Compare(a[:], b[:]) })
	u.Threshold = cmp.Or(threshold, uint32(len(u.Keys)))
	return u, nil
}

// hint adds the remedy to the error of a chain without authorities of its own.
func hint(err error) error {
	if errors.Is(err, lightclient.ErrCheckpoint) && errors.Is(err, grandpa.ErrAuthorities) {
		return fmt.Errorf("%w (a parachain has none: --parentchain para)", err)
	}
	return err
}

// parseBlock reads a block number; nil if text is empty.
func parseBlock(flag, text string) (*header.Number, error) {
	if text == "" {
		return nil, nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("%s is not a block number", flag)
	}
	out := header.Number(n)
	return &out, nil
}

// checkpointTrust fills in where trust begins.
func checkpointTrust(ctx context.Context, c *Config, t *enclave.TrustConfig, at, relayAt *header.Number) error {
	nodes, end, err := dialAll(c.NodeURL)
	if err != nil {
		return err
	}
	defer end()
	if t.Genesis, err = agreed(ctx, nodes, 0); err != nil {
		return err
	}
	para := c.Parentchain == Para
	if t.StartNumber, t.StartHash, t.StartAuthoritySetHash, err = checkpoint(ctx, nodes, at, !para); err != nil {
		return hint(err)
	}
	if !para {
		return t.Check()
	}
	r := &enclave.RelayTrust{ParaID: c.ParaID}
	if r.ParaID == 0 {
		if r.ParaID, err = ownParaID(ctx, nodes[0], t.StartHash); err != nil {
			return err
		}
	}
	relays, end, err := dialAll(c.RelayURL)
	if err != nil {
		return err
	}
	defer end()
	if r.Genesis, err = agreed(ctx, relays, 0); err == nil {
		r.StartNumber, r.StartHash, r.StartAuthoritySetHash, err = checkpoint(ctx, relays, relayAt, true)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errRelay, err)
	}
	t.Relay = r
	return t.Check()
}

// dialAll returns a client for each URL of a list.
func dialAll(list string) (nodes []*parentchain.Client, end func(), err error) {
	urls, err := parentchain.ParseURLs(list)
	if err != nil {
		return nil, nil, err
	}
	for _, u := range urls {
		nodes = append(nodes, parentchain.New(u, rpcclient.Options{}))
	}
	return nodes, func() {
		for _, n := range nodes {
			n.Close()
		}
	}, nil
}

// agreed returns the hash of a block on which all nodes agree.
func agreed(ctx context.Context, nodes []*parentchain.Client, n header.Number) (hash hashing.Hash, err error) {
	for i, node := range nodes {
		h, err := node.BlockHash(ctx, n)
		if err != nil {
			return hash, fmt.Errorf("node %d: %w", i+1, err)
		}
		if i > 0 && h != hash {
			return hash, fmt.Errorf("the nodes do not agree on block %d: it is %s for node 1 and %s for node %d", n, hash, h, i+1)
		}
		hash = h
	}
	return hash, nil
}

// checkpoint returns a block that all nodes call final, and the hash of its
// authority set if there is one that does not follow from the block.
func checkpoint(ctx context.Context, nodes []*parentchain.Client, at *header.Number, ownFinality bool) (n header.Number, hash, set hashing.Hash, err error) {
	for i, node := range nodes {
		h, err := node.FinalizedHeader(ctx)
		if err != nil {
			return n, hash, set, fmt.Errorf("node %d: %w", i+1, err)
		}
		if i == 0 || h.Number < n {
			n = h.Number
		}
	}
	if at != nil {
		if *at > n {
			return n, hash, set, fmt.Errorf("block %d is not final yet, block %d is", *at, n)
		}
		n = *at
	}
	if hash, err = agreed(ctx, nodes, n); err != nil || !ownFinality || n == 0 {
		return n, hash, set, err
	}
	h, err := nodes[0].Header(ctx, hash)
	if err != nil {
		return n, hash, set, err
	}
	proof, err := nodes[0].ReadProof(ctx, lightclient.StartKeys(n), hash)
	if err != nil {
		return n, hash, set, err
	}
	s, err := lightclient.VerifyStart(hash, h, proof)
	if err == nil {
		set = lightclient.AuthoritySetHash(s.SetID, s.Authorities)
	}
	return n, hash, set, err
}
