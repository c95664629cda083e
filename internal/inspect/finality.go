package inspect

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/usage"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// VerifyCommand returns the command verify with its subcommands.
func VerifyCommand() *cobra.Command {
	cmd := prepare(&cobra.Command{
		Use:   "verify answer|finality|quote FILE, or worker URL",
		Short: "Verify answers, finality proofs and quotes in files, and workers",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &usage.Error{Err: fmt.Errorf("verify what?\nusage: %s", cmd.UseLine())}
			}
			return &usage.Error{Err: fmt.Errorf("cannot verify %q\nusage: %s", args[0], cmd.UseLine())}
		},
	})
	cmd.AddCommand(answerCommand(), finalityCommand(), quoteCommand(), workerCommand())
	return cmd
}

func finalityCommand() *cobra.Command {
	var asJSON bool
	cmd := prepare(&cobra.Command{
		Use:   "finality FILE",
		Short: "Verify that a GRANDPA justification proves a block final",
		Long: `Verify that the justification in a JSON file proves the header in it final
under the authority set in it, as the worker's light client does. FILE is - for
the standard input. Its fields:

  authorities    hex of the SCALE encoded authority set, Vec<(AuthorityId, u64)>
  setId          number of the set
  header         the header as chain_getHeader returns it
  justification  hex of the SCALE encoded GrandpaJustification
  headerScale    optional: the SCALE encoded header, which must be the same
  blockHash      optional: the hash that the header must have

The authority set is taken as given: the verdict says that these authorities
finalized this block, not which chain they belong to.

Exits 0 if the block is final, 1 if that is not proven, 2 on wrong usage.`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			raw, err := readFile(cmd, args[0])
			if err != nil {
				return err
			}
			v := judge(raw)
			print := v.print
			if asJSON {
				print = v.printJSON
			}
			if err := print(cmd.OutOrStdout()); err != nil {
				return err
			}
			if !v.Final {
				return fmt.Errorf("%s: not proven final", args[0])
			}
			return nil
		},
	})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the verdict as JSON")
	return cmd
}

// errFile means a file that has not the form of a finality proof, or
// contradicts itself.
var errFile = errors.New("unusable file")

// finalityFile is the form of the file. Other fields are ignored.
type finalityFile struct {
	Authorities   *string        `json:"authorities"`
	SetID         *uint64        `json:"setId"`
	Header        *header.Header `json:"header"`
	Justification *string        `json:"justification"`
	HeaderScale   *string        `json:"headerScale"`
	BlockHash     *hashing.Hash  `json:"blockHash"`
}

// finalityProof is what a file holds.
type finalityProof struct {
	setID         uint64
	authorities   []grandpa.Authority
	header        *header.Header
	justification []byte
}

// decodeFinality reads a file; errors wrap errFile.
func decodeFinality(raw []byte) (*finalityProof, error) {
	var f finalityFile
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, fmt.Errorf("%w: %w", errFile, err)
	}
	for _, field := range []struct {
		name    string
		missing bool
	}{{"authorities", f.Authorities == nil}, {"setId", f.SetID == nil}, {"header", f.Header == nil}, {"justification", f.Justification == nil}} {
		if field.missing {
			return nil, fmt.Errorf("%w: field %q is missing", errFile, field.name)
		}
	}
	p := &finalityProof{setID: *f.SetID, header: f.Header}
	b, err := decodeHex(*f.Authorities)
	if err == nil {
		err = scale.Unmarshal(b, &p.authorities)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: authorities: %w", errFile, err)
	}
	if p.justification, err = decodeHex(*f.Justification); err != nil {
		return nil, fmt.Errorf("%w: justification: %w", errFile, err)
	}
	hash := p.header.Hash()
	if f.BlockHash != nil && *f.BlockHash != hash {
		return nil, fmt.Errorf("%w: the header has hash %v, not blockHash %v", errFile, hash, f.BlockHash)
	}
	if f.HeaderScale != nil {
		if b, err = decodeHex(*f.HeaderScale); err != nil {
			return nil, fmt.Errorf("%w: headerScale: %w", errFile, err)
		}
		if got := hashing.Blake2b256(b); got != hash {
			return nil, fmt.Errorf("%w: the header has hash %v, headerScale %v", errFile, hash, got)
		}
	}
	return p, nil
}

// verdict is the result; its JSON form is the output of --json.
type verdict struct {
	Final bool `json:"final"`
	// What the file claims; absent if it is unusable.
	*claim
	// How it was voted; absent if not final.
	*votes
	Error *reason `json:"error,omitempty"` // absent if final
}

type claim struct {
	Number      header.Number `json:"number"`
	Hash        hashing.Hash  `json:"hash"`
	SetID       uint64        `json:"setId"`
	Authorities int           `json:"authorities"`
}

type votes struct {
	Round       uint64 `json:"round"`
	Precommits  int    `json:"precommits"`
	Voters      int    `json:"voters"`      // less than precommits where voters equivocated
	Weight      uint64 `json:"weight"`      // of the voters
	TotalWeight uint64 `json:"totalWeight"` // of the set
	Threshold   uint64 `json:"threshold"`   // weight that finalizes
}

type reason struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// codes names the errors, the special before the general.
var codes = []struct {
	err  error
	code string
}{
	{errFile, "file"},
	{grandpa.ErrAuthorities, "authorities"},
	{grandpa.ErrMalformed, "malformed"},
	{lightclient.ErrTarget, "other-block"},
	{grandpa.ErrVoter, "stranger"},
	{grandpa.ErrSignature, "signature"},
	{grandpa.ErrDuplicate, "redundant-vote"},
	{grandpa.ErrAncestry, "vote-not-linked"},
	{grandpa.ErrUnusedHeader, "unused-header"},
	{grandpa.ErrThreshold, "too-few-votes"},
	{grandpa.ErrTarget, "votes-for-another-block"},
}

func newReason(err error) *reason {
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return &reason{c.code, err.Error()}
		}
	}
	return &reason{"refused", err.Error()}
}

// judge reads a file and verifies what it says.
func judge(raw []byte) verdict {
	p, err := decodeFinality(raw)
	if err != nil {
		return verdict{Error: newReason(err)}
	}
	v := verdict{claim: &claim{p.header.Number, p.header.Hash(), p.setID, len(p.authorities)}}
	if err := lightclient.VerifyJustification(p.header, p.justification, p.setID, p.authorities); err != nil {
		v.Error = newReason(err)
		return v
	}
	v.Final = true
	v.votes, err = countVotes(p)
	if err != nil {
		panic("inspect: a verified justification cannot be counted: " + err.Error())
	}
	return v
}

// countVotes sums up a verified justification.
func countVotes(p *finalityProof) (*votes, error) {
	j, err := grandpa.DecodeJustification(p.justification)
	if err != nil {
		return nil, err
	}
	v := &votes{Round: j.Round, Precommits: len(j.Precommits)}
	if v.TotalWeight, v.Threshold, err = grandpa.Threshold(p.authorities); err != nil {
		return nil, err
	}
	voted := make(map[[32]byte]bool, len(j.Precommits))
	for _, c := range j.Precommits {
		voted[c.ID] = true
	}
	v.Voters = len(voted)
	for _, a := range p.authorities {
		if voted[a.ID] {
			v.Weight += a.Weight
		}
	}
	return v, nil
}

func (v verdict) printJSON(w io.Writer) error { return printJSON(w, v) }

func (v verdict) print(w io.Writer) error {
	var err error
	line := func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(w, format+"\n", args...)
		}
	}
	switch {
	case v.Final:
		line("block %d %v is final", v.Number, v.Hash)
	case v.claim != nil:
		line("block %d %v is NOT proven final", v.Number, v.Hash)
	default:
		line("nothing is proven")
	}
	if v.claim != nil {
		line("  authority set  %d, of %d authorities", v.SetID, v.Authorities)
	}
	if v.votes != nil {
		line("  votes          %d by %d voters in round %d", v.Precommits, v.Voters, v.Round)
		line("  weight         %d of %d, %d needed", v.Weight, v.TotalWeight, v.Threshold)
	}
	if v.Error != nil {
		line("  reason         %s: %s", v.Error.Code, printable(v.Error.Message))
	}
	return err
}
