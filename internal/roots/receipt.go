package roots

import (
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// Why an answer or a receipt is refused, beside [ErrSignature].
var (
	// ErrMalformed: it is not what it should be, or contradicts itself.
	ErrMalformed = errors.New("roots: malformed")
	// ErrProof: a proof does not lead to the root.
	ErrProof = errors.New("roots: proof refused")
)

// Receipt is a receipt with the signed roots of its block and the proof that
// it is among the block's.
type Receipt struct {
	Signed
	Receipt  Bytes        `json:"receipt"`  // SCALE of the receipt
	Position uint32       `json:"position"` // among those of the block
	Salt     hashing.Hash `json:"salt"`
	Nodes    []Bytes      `json:"nodes"`
}

// NewReceipt puts together what a worker answers.
func NewReceipt(s Signed, r *stf.Receipt, p stf.ReceiptProof) Receipt {
	return Receipt{Signed: s, Receipt: scale.MustMarshal(r), Position: p.Position, Salt: p.Salt, Nodes: toBytes(p.Nodes)}
}

// Verify checks signature and proof, and returns the receipt. Errors wrap
// [ErrSignature], [ErrProof] or [ErrMalformed].
func (r *Receipt) Verify() (*stf.Receipt, error) {
	if err := r.Signed.Verify(); err != nil {
		return nil, err
	}
	p := stf.ReceiptProof{Position: r.Position, Salt: r.Salt, Nodes: fromBytes(r.Nodes)}
	if err := p.Verify(r.Receipts, r.Receipt); err != nil {
		return nil, fmt.Errorf("%w: receipt: %w", ErrProof, err)
	}
	out := new(stf.Receipt)
	if err := scale.Unmarshal(r.Receipt, out); err != nil {
		return nil, fmt.Errorf("%w: receipt: %w", ErrMalformed, err)
	}
	if out.Block != r.Number {
		return nil, fmt.Errorf("%w: the receipt is of block %d, the roots are of block %d", ErrMalformed, out.Block, r.Number)
	}
	return out, nil
}

func toBytes(list [][]byte) []Bytes {
	out := make([]Bytes, len(list))
	for i, b := range list {
		out[i] = b
	}
	return out
}

func fromBytes(list []Bytes) [][]byte {
	out := make([][]byte, len(list))
	for i, b := range list {
		out[i] = b
	}
	return out
}
