package inspect

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/internal/usage"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// Why an answer that verifies is not the one that is wanted.
var (
	errAccount = errors.New("signed by another account")
	errRoot    = errors.New("against another root")
)

// expected is what the command line says of an answer.
type expected struct {
	account, state, receipts string
}

func answerCommand() *cobra.Command {
	var asJSON bool
	var want expected
	cmd := prepare(&cobra.Command{
		Use:   "answer FILE",
		Short: "Verify a worker's signed answer or receipt, with its proofs",
		Long: `Verify the answer to a getter, or the receipt of an operation, that
integritee-cli has saved with --proof, without asking anybody: the signature of
the worker's account under the roots of a block, and that entries or receipt are
what these roots commit to. FILE is - for the standard input.

Who signed is printed: whether that account is a worker of the shard, the chain
says (Teerex.SovereignEnclaves). --account refuses others. What workers publish
on the chain (EnclaveBridge.PublishedHash at the block) can be given with
--state-root and --receipts-root, which then must be the ones here: so many
workers, and the chain, stand behind the proof.

That a key is absent is never proven: an answer without value, and what was not
among the entries, stands on the signature alone.

Exits 0 if all that is there verifies, 1 if not, 2 on wrong usage.`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			raw, err := readFile(cmd, args[0])
			if err != nil {
				return err
			}
			v, err := judgeAnswer(raw, want)
			if err != nil {
				return &usage.Error{Err: fmt.Errorf("%w\nusage: %s", err, cmd.UseLine())}
			}
			print := v.print
			if asJSON {
				print = func(w io.Writer) error { return printJSON(w, v) }
			}
			if err := print(cmd.OutOrStdout()); err != nil {
				return err
			}
			if !v.Verified {
				return fmt.Errorf("%s: not verified", args[0])
			}
			return nil
		},
	})
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print the verdict as JSON")
	f.StringVar(&want.account, "account", "", "the `account` that must have signed")
	f.StringVar(&want.state, "state-root", "", "the published state root of the block, in `hex`")
	f.StringVar(&want.receipts, "receipts-root", "", "the published receipts root of the block, in `hex`")
	return cmd
}

// answerVerdict is the result; its JSON form is the output of --json.
type answerVerdict struct {
	Verified bool `json:"verified"`
	// What the file says, absent if it is unusable.
	Roots   *roots.Roots       `json:"roots,omitempty"`
	Account *keyring.AccountID `json:"account,omitempty"`
	// Of an answer:
	Getter  *roots.Bytes `json:"getter,omitempty"`
	Value   *roots.Bytes `json:"value,omitempty"` // absent: none
	Entries []entryJSON  `json:"entries,omitempty"`
	// Of a receipt; only if it is verified:
	Receipt *receiptJSON `json:"receipt,omitempty"`
	Error   *reason      `json:"error,omitempty"` // absent if verified
}

type entryJSON struct {
	Key   roots.Bytes `json:"key"`
	Value roots.Bytes `json:"value"`
}

type receiptJSON struct {
	Block         uint32             `json:"block"`
	Index         uint32             `json:"index"`
	OperationHash *hashing.Hash      `json:"operationHash,omitempty"`
	Sender        *keyring.AccountID `json:"sender,omitempty"`
	Outcome       string             `json:"outcome"`
	Success       bool               `json:"success"`
	Reason        string             `json:"reason"`
	Gas           uint64             `json:"gas"`
	Events        []roots.Bytes      `json:"events"`
}

// answerCodes names the errors.
var answerCodes = []struct {
	err  error
	code string
}{
	{roots.ErrSignature, "signature"},
	{roots.ErrProof, "proof"},
	{errAccount, "account"},
	{errRoot, "root"},
	{roots.ErrMalformed, "file"},
}

func answerReason(err error) *reason {
	for _, c := range answerCodes {
		if errors.Is(err, c.err) {
			return &reason{c.code, err.Error()}
		}
	}
	return &reason{"refused", err.Error()}
}

// judgeAnswer verifies a file. The error is about what is expected of it.
func judgeAnswer(raw []byte, want expected) (v answerVerdict, err error) {
	var account *keyring.AccountID
	if want.account != "" {
		a, err := keyring.ParseAccountID(want.account)
		if err != nil {
			return v, fmt.Errorf("--account: %w", err)
		}
		account = &a
	}
	var published [2]*hashing.Hash
	for i, text := range []string{want.state, want.receipts} {
		if text == "" {
			continue
		}
		b, err := decodeHex(text)
		if err != nil || len(b) != 32 {
			return v, errors.New("a root is 32 bytes in hex")
		}
		h := hashing.Hash(b)
		published[i] = &h
	}
	f, err := roots.ReadFile(raw)
	if err != nil {
		return answerVerdict{Error: answerReason(err)}, nil
	}
	var r *roots.Roots
	if a := f.Answer; a != nil {
		r, v.Account = &a.Roots, &a.Account
		v.Getter, v.Value = &a.Getter, a.Value
		for _, e := range a.Entries {
			v.Entries = append(v.Entries, entryJSON{e.Key, e.Value})
		}
		err = a.Verify()
	} else {
		r, v.Account = &f.Receipt.Roots, &f.Receipt.Account
		var receipt *stf.Receipt
		if receipt, err = f.Receipt.Verify(); err == nil {
			v.Receipt = newReceiptJSON(receipt)
		}
	}
	v.Roots = r
	switch {
	case err != nil:
	case account != nil && *account != *v.Account:
		err = fmt.Errorf("%w: %v, not %v", errAccount, *v.Account, *account)
	case published[0] != nil && *published[0] != r.State:
		err = fmt.Errorf("%w: state root %v, published is %v", errRoot, r.State, *published[0])
	case published[1] != nil && *published[1] != r.Receipts:
		err = fmt.Errorf("%w: receipts root %v, published is %v", errRoot, r.Receipts, *published[1])
	}
	if err != nil {
		v.Error = answerReason(err)
	}
	v.Verified = err == nil
	return v, nil
}

func newReceiptJSON(r *stf.Receipt) *receiptJSON {
	out := &receiptJSON{Block: uint32(r.Block), Index: r.Index, OperationHash: r.OperationHash, Sender: r.Sender,
		Outcome: r.Outcome.String(), Success: r.Outcome.OK(), Reason: r.Outcome.Code.Reason(), Gas: r.Gas, Events: []roots.Bytes{}}
	for _, e := range r.Events {
		out.Events = append(out.Events, e)
	}
	return out
}

func (v answerVerdict) print(w io.Writer) error {
	var err error
	line := func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(w, format+"\n", args...)
		}
	}
	hex := func(b roots.Bytes) string { t, _ := b.MarshalText(); return string(t) }
	switch {
	case v.Verified:
		line("verified: signed by %v", *v.Account)
	case v.Account != nil:
		line("NOT verified; it claims to be signed by %v", *v.Account)
	default:
		line("nothing is verified")
	}
	if r := v.Roots; r != nil {
		line("  shard          %v", r.Shard)
		line("  block          %d %v", r.Number, r.Block)
		if r.Time > 0 && r.Time < 1<<48 {
			line("  time           %s", time.UnixMilli(int64(r.Time)).UTC().Format(time.RFC3339))
		}
		line("  state root     %v", r.State)
		line("  receipts root  %v", r.Receipts)
	}
	if v.Getter != nil {
		line("  getter         %s", hex(*v.Getter))
		if v.Value != nil {
			line("  value          %s", hex(*v.Value))
		} else {
			line("  value          none")
		}
		for _, e := range v.Entries {
			line("  entry          %s = %s", hex(e.Key), hex(e.Value))
		}
	}
	if r := v.Receipt; r != nil {
		line("  operation      block %d, event %d", r.Block, r.Index)
		if r.OperationHash != nil {
			line("  hash           %v", *r.OperationHash)
		}
		line("  outcome        %s: %s", r.Outcome, r.Reason)
		line("  gas            %d, events %d", r.Gas, len(r.Events))
	}
	if v.Error != nil {
		line("  reason         %s: %s", v.Error.Code, printable(v.Error.Message))
	}
	return err
}
