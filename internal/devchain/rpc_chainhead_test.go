package devchain

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// raw is a connection on which the order of messages is seen.
type raw struct {
	*testing.T
	ws   *websocket.Conn
	next int
}

func dialRaw(t *testing.T, url string) *raw {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(-1)
	t.Cleanup(func() { ws.CloseNow() })
	return &raw{T: t, ws: ws}
}

func (r *raw) recv() (msg struct {
	Result json.RawMessage
	Error  *struct{ Code int }
	Params struct{ Result json.RawMessage }
}) {
	r.Helper()
	_, b, err := r.ws.Read(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	if err := json.Unmarshal(b, &msg); err != nil {
		r.Fatal(err)
	}
	return msg
}

// call sends a request; the next message must be its reply, as text or "error CODE".
func (r *raw) call(method string, params ...any) string {
	r.Helper()
	r.next++
	b, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": r.next, "method": method, "params": params})
	if err != nil {
		r.Fatal(err)
	}
	if err := r.ws.Write(r.Context(), websocket.MessageText, b); err != nil {
		r.Fatal(err)
	}
	m := r.recv()
	if m.Error != nil {
		return fmt.Sprintf("error %d", m.Error.Code)
	}
	return string(m.Result)
}

// event returns the next notification.
func (r *raw) event() string {
	r.Helper()
	return string(r.recv().Params.Result)
}

func (r *raw) want(got, want string) {
	r.Helper()
	if got != want {
		r.Errorf("\n got %.400s\nwant %.400s", got, want)
	}
}

func TestChainHead(t *testing.T) {
	c := open(t, Config{Manual: true})
	alice := pair(t, "//Alice")
	submit(t, c, sign(t, c, alice, -1, "EnclaveBridge", "invoke", integritee.Request{Cyphertext: []byte{1}}))
	seal(t, c)
	genesis, one := c.Block(0), c.Block(1)
	r := dialRaw(t, serve(t, c))
	sub := strings.Trim(r.call("chainHead_v1_follow", true), `"`)
	initialized := r.event()
	if !strings.Contains(initialized, `"finalizedBlockHashes":["`+genesis.Hash.String()+`","`+one.Hash.String()+`"]`) {
		t.Errorf("initialized %s", initialized)
	}
	if !strings.Contains(initialized, `"apis":{"0x37c8bb1350a9a2a8":4,`) || !strings.Contains(initialized, `"type":"valid"`) {
		t.Errorf("runtime %s", initialized)
	}
	r.want(r.event(), `{"bestBlockHash":"`+one.Hash.String()+`","event":"bestBlockChanged"}`)
	two := seal(t, c)
	r.want(r.event(), `{"blockHash":"`+two.Hash.String()+`","event":"newBlock","newRuntime":null,"parentBlockHash":"`+one.Hash.String()+`"}`)
	r.want(r.event(), `{"bestBlockHash":"`+two.Hash.String()+`","event":"bestBlockChanged"}`)
	r.want(r.event(), `{"event":"finalized","finalizedBlockHashes":["`+two.Hash.String()+`"],"prunedBlockHashes":[]}`)

	r.want(r.call("chainHead_v1_header", sub, one.Hash), `"`+toHex(one.Header.AppendSCALE(nil))+`"`)
	r.want(r.call("chainHead_v1_header", sub, hashing.Hash{1}), "error -32801")
	r.want(r.call("chainHead_v1_header", "s0", one.Hash), "null")
	r.want(r.call("chainHead_v1_body", "s0", one.Hash), `{"result":"limitReached"}`)

	// The reply goes before the events of an operation.
	r.want(r.call("chainHead_v1_body", sub, one.Hash), `{"operationId":"0","result":"started"}`)
	body, err := json.Marshal(hexList(one.Extrinsics))
	if err != nil {
		t.Fatal(err)
	}
	r.want(r.event(), `{"event":"operationBodyDone","operationId":"0","value":`+string(body)+`}`)
	who := alice.AccountID()
	r.want(r.call("chainHead_v1_call", sub, two.Hash, "AccountNonceApi_account_nonce", toHex(who[:])), `{"operationId":"1","result":"started"}`)
	r.want(r.event(), `{"event":"operationCallDone","operationId":"1","output":"0x01000000"}`)
	r.want(r.call("chainHead_v1_call", sub, two.Hash, "None", "0x"), `{"operationId":"2","result":"started"}`)
	if e := r.event(); !strings.Contains(e, `"event":"operationError"`) {
		t.Error(e)
	}
	number := toHex(c.Best().rt.System.Number.Key())
	r.want(r.call("chainHead_v1_storage", sub, two.Hash, []any{
		map[string]any{"key": number, "type": "value"}, map[string]any{"key": "0x3a636f6465", "type": "hash"}, map[string]any{"key": "0x00", "type": "value"}}, nil),
		`{"discardedItems":0,"operationId":"3","result":"started"}`)
	r.want(r.event(), `{"event":"operationStorageItems","items":[{"key":"`+number+`","value":"0x02000000"},{"hash":"`+hashing.Blake2b256(c.Best().rt.Code()).String()+`","key":"0x3a636f6465"}],"operationId":"3"}`)
	r.want(r.event(), `{"event":"operationStorageDone","operationId":"3"}`)
	r.want(r.call("chainHead_v1_storage", sub, two.Hash, []any{map[string]any{"key": toHex(c.Best().rt.System.Account.Prefix()), "type": "descendantsValues"}}), `{"discardedItems":0,"operationId":"4","result":"started"}`)
	if e := r.event(); strings.Count(e, `"value"`) != 8 {
		t.Errorf("accounts %s", e)
	}
	r.event()
	// What is below a key changes its merkle value, and nothing else does.
	merkle := func(b *Block, prefix []byte) string {
		t.Helper()
		r.call("chainHead_v1_storage", sub, b.Hash, []any{map[string]any{"key": toHex(prefix), "type": "closestDescendantMerkleValue"}})
		e := r.event()
		if strings.Contains(e, "operationStorageItems") {
			r.event()
		}
		_, value, _ := strings.Cut(e, `"closestDescendantMerkleValue":"`)
		value, _, _ = strings.Cut(value, `"`)
		return value
	}
	accounts, flags := c.Best().rt.System.Account.Prefix(), c.Best().rt.Teerex.AllowSkippingAttestation.Key()
	if a, b := merkle(genesis, accounts), merkle(one, accounts); a == b || a == "" {
		t.Errorf("accounts: %s, %s", a, b)
	}
	if a, b := merkle(genesis, flags), merkle(one, flags); a != b || a == "" {
		t.Errorf("flags: %s, %s", a, b)
	}
	if got := merkle(one, []byte("nothing")); got != "" {
		t.Errorf("nothing: %s", got)
	}
	r.want(r.call("chainHead_v1_storage", sub, two.Hash, []any{map[string]any{"key": "0x", "type": "all"}}), "error -32602")

	r.want(r.call("chainHead_v1_unpin", sub, []any{one.Hash, one.Hash}), "error -32804")
	r.want(r.call("chainHead_v1_unpin", sub, []any{one.Hash, genesis.Hash}), "null")
	r.want(r.call("chainHead_v1_unpin", sub, one.Hash), "error -32801")
	r.want(r.call("chainHead_v1_body", sub, one.Hash), "error -32801")
	r.want(r.call("chainHead_v1_unpin", sub, two.Hash), "null")
	r.want(r.call("chainHead_v1_continue", sub, "0"), "null")
	r.want(r.call("chainHead_v1_stopOperation", sub, "0"), "null")
	r.want(r.call("chainHead_v1_unfollow", sub), "null")
	r.want(r.call("chainHead_v1_unfollow", sub), "null")
	r.want(r.call("chainHead_v1_header", sub, two.Hash), "null")
	seal(t, c)
	// Another connection's subscription is none of ours.
	other := dialRaw(t, serve(t, c))
	theirs := strings.Trim(other.call("chainHead_v1_follow", false), `"`)
	if e := other.event(); strings.Contains(e, "untime") {
		t.Errorf("without runtime: %s", e)
	}
	other.event()
	r.want(r.call("chainHead_v1_header", theirs, c.Best().Hash), "null")
	other.want(other.call("chainHead_v1_call", theirs, c.Best().Hash, "Core_version", "0x"), "error -32802")
}

func TestNewTransactions(t *testing.T) {
	c := open(t, Config{Manual: true})
	r := dialRaw(t, serve(t, c))
	alice := pair(t, "//Alice")
	r.want(r.call("transaction_v1_broadcast", hexBytes(remark(t, c, alice, 0, "a"))), `"1"`)
	r.want(r.call("transaction_v1_broadcast", "0x00"), `"2"`)
	r.want(r.call("transaction_v1_stop", "1"), "null")
	r.call("transactionWatch_v1_submitAndWatch", hexBytes(remark(t, c, alice, 1, "b")))
	r.want(r.event(), `{"event":"validated"}`)
	b := seal(t, c)
	place := `"block":{"hash":"` + b.Hash.String() + `","index":2}`
	r.want(r.event(), `{`+place+`,"event":"bestChainBlockIncluded"}`)
	r.want(r.event(), `{`+place+`,"event":"finalized"}`)
	r.call("transactionWatch_v1_submitAndWatch", hexBytes(remark(t, c, alice, 0, "c")))
	r.want(r.event(), `{"error":"Transaction is outdated","event":"invalid"}`)
	r.call("transactionWatch_v1_submitAndWatch", "0x1234")
	if e := r.event(); !strings.Contains(e, `"event":"invalid"`) {
		t.Error(e)
	}
	later := remark(t, c, alice, 9, "d")
	submit(t, c, later)
	r.call("transactionWatch_v1_submitAndWatch", hexBytes(later))
	if e := r.event(); !strings.Contains(e, `"event":"dropped"`) {
		t.Error(e)
	}
}

func TestArchive(t *testing.T) {
	c := open(t, Config{Manual: true})
	b := seal(t, c)
	r := dialRaw(t, serve(t, c))
	r.want(r.call("chainSpec_v1_genesisHash"), quote(c.Genesis()))
	r.want(r.call("archive_v1_genesisHash"), quote(c.Genesis()))
	r.want(r.call("chainSpec_v1_chainName"), `"OCW Development"`)
	r.want(r.call("archive_v1_finalizedHeight"), "1")
	r.want(r.call("archive_v1_hashByHeight", 1), "["+quote(b.Hash)+"]")
	r.want(r.call("archive_v1_hashByHeight", 2), "[]")
	r.want(r.call("archive_v1_header", b.Hash), `"`+toHex(b.Header.AppendSCALE(nil))+`"`)
	r.want(r.call("archive_v1_header", hashing.Hash{}), "null")
	r.want(r.call("archive_v1_body", b.Hash), `["`+toHex(b.Extrinsics[0])+`"]`)
	who := keyring.AccountID{}
	r.want(r.call("archive_v1_call", b.Hash, "AccountNonceApi_account_nonce", toHex(who[:])), `{"success":true,"value":"0x00000000"}`)
	r.want(r.call("archive_v1_call", hashing.Hash{}, "Core_version", "0x"), "null")
	number := toHex(c.Best().rt.System.Number.Key())
	r.call("archive_v1_storage", b.Hash, []any{map[string]any{"key": number, "type": "value"}})
	r.want(r.event(), `{"event":"storage","key":"`+number+`","value":"0x01000000"}`)
	r.want(r.event(), `{"event":"storageDone"}`)
	r.call("archive_v1_storage", hashing.Hash{}, []any{})
	r.want(r.event(), `{"error":"Block not found","event":"storageError"}`)
}
