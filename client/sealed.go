package client

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/offchain-worker/sdk/internal/access"
	"github.com/offchain-worker/sdk/internal/rpcclient"
)

// fetchKey asks in plain for the key to seal to. It is verified, but not whose it
// is.
func fetchKey(ctx context.Context, rpc *rpcclient.Client) (*access.Key, error) {
	key := new(access.Key)
	if err := rpc.Call(ctx, keyMethod, []any{}, key); err != nil {
		return nil, fmt.Errorf("it tells no key to seal to: %w", err)
	}
	return key, key.Verify()
}

// callSealed sends one request sealed. Its errors are those of a call that is
// not, and [ErrProtocol] if the answer is not by the enclave.
func (w *Worker) callSealed(ctx context.Context, rpc *rpcclient.Client, method string, params []any, out any) error {
	request, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return err
	}
	var answer []byte
	for attempt := 1; ; attempt++ {
		w.mu.Lock()
		key := w.key
		w.mu.Unlock()
		if answer, err = exchange(ctx, rpc, key, request); err == nil {
			break
		}
		if attempt == askAttempts || !stale(err) {
			return err
		}
		if err := w.renewKey(ctx, rpc, key); err != nil {
			return err
		}
	}
	var reply struct {
		Result json.RawMessage  `json:"result"`
		Error  *rpcclient.Error `json:"error"`
	}
	if err := json.Unmarshal(answer, &reply); err != nil {
		return fmt.Errorf("%w: %w", rpcclient.ErrProtocol, err)
	}
	if reply.Error != nil {
		return reply.Error
	}
	if err := json.Unmarshal(reply.Result, out); err != nil {
		return fmt.Errorf("%w: %w", rpcclient.ErrProtocol, err)
	}
	return nil
}

// renewKey asks for the key again. Who is on the other end of the connection has
// been checked: it must be the same.
func (w *Worker) renewKey(ctx context.Context, rpc *rpcclient.Client, old *access.Key) error {
	key, err := fetchKey(ctx, rpc)
	if err != nil {
		return err
	}
	if key.Account != old.Account {
		return fmt.Errorf("%w: by another account than before", access.ErrKey)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rpc == rpc {
		w.key = key
	}
	return nil
}

// exchange sends a request sealed to key and opens the answer.
func exchange(ctx context.Context, rpc *rpcclient.Client, key *access.Key, request []byte) ([]byte, error) {
	sealed, opener, err := key.Seal(request, key.Number+access.MaxLifetime)
	if err != nil {
		return nil, err
	}
	var text string
	if err := rpc.Call(ctx, "ocw_sealed", []any{hexOf(sealed)}, &text); err != nil {
		return nil, err
	}
	b, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
	if err != nil {
		return nil, fmt.Errorf("%w: the sealed answer is not hex", rpcclient.ErrProtocol)
	}
	answer, err := opener.Open(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", rpcclient.ErrProtocol, err)
	}
	return answer, nil
}
