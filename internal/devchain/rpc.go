package devchain

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/offchain-worker/sdk/internal/devchain/pool"
	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// Error codes of the JSON-RPC of Substrate nodes.
const (
	codeBadFormat       = 1001
	codeInvalidTx       = 1010
	codeUnknownValidity = 1011
	codeAlreadyImported = 1013
	codeLowPriority     = 1014
	codeDropped         = 1016
	codeInvalidCount    = 4002
	codeClient          = 4003
	codeProveFinality   = 4
)

// defaultOrigins are the pages that may use a node in Substrate too.
var defaultOrigins = []string{"http://localhost", "http://localhost:*", "http://127.0.0.1", "http://127.0.0.1:*", "https://localhost:*", "https://127.0.0.1:*", "https://polkadot.js.org"}

// rpc has the methods.
type rpc struct{ *Chain }

// Handler returns the JSON-RPC service, for WebSocket and HTTP POST. Each call
// makes one; Close ends the connections of all.
func (c *Chain) Handler() http.Handler { return c.newServer() }

func (c *Chain) newServer() *rpcserver.Server {
	origins := c.cfg.Origins
	if origins == nil {
		origins = defaultOrigins
	}
	s := rpcserver.New(rpcserver.Options{Origins: origins, Logger: c.cfg.Logger})
	r := rpc{c}
	r.registerChain(s)
	r.registerState(s)
	r.registerAuthor(s)
	r.registerSystem(s)
	if c.Best().rt.HasGrandpa() {
		r.registerGrandpa(s)
	}
	if !c.cfg.legacyRPC {
		r.registerNew(s)
	}
	// polkadot.js warns of methods that it does not know; those who want dev_*
	// do not look them up.
	methods := slices.DeleteFunc(append(s.Methods(), "rpc_methods"), func(m string) bool { return strings.HasPrefix(m, "dev_") })
	s.Handle("rpc_methods", call0(func() (any, error) {
		return map[string]any{"version": 1, "methods": methods}, nil
	}))
	c.mu.Lock()
	c.servers = append(c.servers, s)
	c.mu.Unlock()
	return s
}

// forget drops a server that was closed.
func (c *Chain) forget(s *rpcserver.Server) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.servers = slices.DeleteFunc(c.servers, func(x *rpcserver.Server) bool { return x == s })
}

// hexBytes is a byte string as 0x and hex digits. The prefix may be missing.
type hexBytes []byte

// MarshalText writes 0x and lower-case digits.
func (b hexBytes) MarshalText() ([]byte, error) {
	return append([]byte("0x"), hex.AppendEncode(nil, b)...), nil
}

// UnmarshalText reads hex digits.
func (b *hexBytes) UnmarshalText(text []byte) error {
	raw, err := hex.DecodeString(strings.TrimPrefix(string(text), "0x"))
	if err != nil {
		return errors.New("not hex")
	}
	*b = raw
	return nil
}

// hexList is never null in JSON.
func hexList(items [][]byte) []hexBytes {
	out := make([]hexBytes, len(items))
	for i, b := range items {
		out[i] = b
	}
	return out
}

// numberParam is a block number as a JSON number, or as text in decimal or hex.
type numberParam struct {
	n     header.Number
	huge  bool // beyond any block
	empty bool // null
}

// UnmarshalJSON reads any of the forms.
func (p *numberParam) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		*p = numberParam{empty: true}
		return nil
	}
	text := string(b)
	if len(b) > 0 && b[0] == '"' {
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
	}
	v, err := strconv.ParseUint(text, 0, 64)
	if err != nil {
		return fmt.Errorf("not a block number")
	}
	*p = numberParam{n: header.Number(v), huge: v > 1<<32-1}
	return nil
}

// at returns the block of an optional hash, by default the best one.
func (r rpc) at(hash *hashing.Hash) (*Block, error) {
	if hash == nil {
		return r.Best(), nil
	}
	b := r.BlockByHash(*hash)
	if b == nil {
		return nil, &rpcserver.Error{Code: codeClient, Message: fmt.Sprintf("Client error: UnknownBlock: Header was not found in the database: %s", *hash)}
	}
	if b.pruned.state {
		return nil, &rpcserver.Error{Code: codeClient, Message: "Client error: " + errDiscarded(b).Error()}
	}
	return b, nil
}

// txError maps the errors of submit.
func txError(err error) error {
	var bad *runtime.Invalid
	switch {
	case errors.As(err, &bad) && bad.Unknown:
		return &rpcserver.Error{Code: codeUnknownValidity, Message: "Unknown Transaction Validity", Data: bad.Why}
	case errors.As(err, &bad):
		return &rpcserver.Error{Code: codeInvalidTx, Message: "Invalid Transaction", Data: bad.Why}
	case errors.Is(err, runtime.ErrUndecodable):
		return &rpcserver.Error{Code: codeBadFormat, Message: "Extrinsic has invalid format: " + err.Error()}
	case errors.Is(err, pool.ErrKnown):
		return &rpcserver.Error{Code: codeAlreadyImported, Message: "Transaction Already Imported"}
	case errors.Is(err, pool.ErrPriority):
		return &rpcserver.Error{Code: codeLowPriority, Message: "Priority is too low", Data: "The transaction has too low priority to replace another transaction already in the pool."}
	case errors.Is(err, pool.ErrFull):
		return &rpcserver.Error{Code: codeDropped, Message: "Immediately Dropped", Data: "The transaction couldn't enter the pool because of the limit"}
	}
	return err
}
