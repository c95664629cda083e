package parentchain

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/offchain-worker/sdk/scale"
)

// QueryFee returns the fee in planck that the node estimates for an encoded
// extrinsic.
func (c *Client) QueryFee(ctx context.Context, raw []byte) (string, error) {
	var reply json.RawMessage
	if err := c.Call(ctx, "payment_queryInfo", []any{Hex(raw)}, &reply); err != nil {
		return "", err
	}
	if len(reply) == 0 || reply[0] != '"' {
		var info struct {
			PartialFee string `json:"partialFee"`
		}
		if err := json.Unmarshal(reply, &info); err != nil {
			return "", fmt.Errorf("%w: payment_queryInfo: %w", ErrNonsense, err)
		}
		return info.PartialFee, nil
	}
	// Chopsticks answers with the runtime's own bytes, and has told the runtime
	// a wrong length before, its bytes reversed: a fee of thousands of units. So
	// the runtime is asked directly.
	var text string
	args := scale.AppendU32(append([]byte(nil), raw...), uint32(len(raw)))
	if err := c.Call(ctx, "state_call", []any{"TransactionPaymentApi_query_info", Hex(args)}, &text); err != nil {
		return "", err
	}
	b, err := unhex(text)
	if err != nil {
		return "", err
	}
	return decodeFee(b)
}

// decodeFee returns the fee of an encoded RuntimeDispatchInfo.
func decodeFee(b []byte) (string, error) {
	var info struct {
		RefTime, ProofSize scale.CompactU64
		Class              uint8
		PartialFee         scale.U128
	}
	if err := scale.Unmarshal(b, &info); err != nil {
		return "", fmt.Errorf("%w: dispatch info: %w", ErrNonsense, err)
	}
	return info.PartialFee.String(), nil
}
