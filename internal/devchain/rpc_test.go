package devchain

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// serve serves a chain for the test.
func serve(t testing.TB, c *Chain) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	url, wait, err := Serve(ctx, c, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := wait(); err != nil {
			t.Error(err)
		}
	})
	return url
}

type client struct {
	testing.TB
	*rpcclient.Client
}

func dial(t testing.TB, url string) client {
	t.Helper()
	c, err := rpcclient.Dial(t.Context(), url, rpcclient.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return client{t, c}
}

// get calls a method and returns the result as compact JSON, or "error CODE".
func (c client) get(method string, params ...any) string {
	c.Helper()
	var raw json.RawMessage
	err := c.Call(c.Context(), method, params, &raw)
	var e *rpcclient.Error
	if errors.As(err, &e) {
		return fmt.Sprintf("error %d", e.Code)
	}
	if err != nil {
		c.Fatalf("%s: %v", method, err)
	}
	if raw == nil {
		return "null"
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		c.Fatal(err)
	}
	return b.String()
}

func quote(v fmt.Stringer) string { return `"` + v.String() + `"` }

func toHex(b []byte) string { return "0x" + hex.EncodeToString(b) }

func TestRPCReads(t *testing.T) {
	c := open(t, Config{Manual: true})
	alice := pair(t, "//Alice")
	submit(t, c, remark(t, c, alice, -1, "x"))
	seal(t, c)
	seal(t, c)
	genesis, one, two := c.Block(0), c.Block(1), c.Block(2)
	x := dial(t, serve(t, c))
	key := toHex(c.Best().rt.System.Number.Key())
	account := c.Best().rt.System.Account.Key(alice.AccountID())
	info, _ := two.State.Get(account)
	none := hashing.Hash{1}
	raw := one.Extrinsics[1]
	future := remark(t, c, alice, 9, "")
	failing := sign(t, c, alice, -1, "Balances", "transfer_allow_death", keyring.AddressOf(keyring.AccountID{1}), scale.CompactU128(scale.NewU128(1)))
	page := func(list ...string) string {
		b, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	prefix := toHex(c.Best().rt.System.Account.Prefix())
	var accounts []string
	for k := range entries(two.State) {
		if bytes.HasPrefix(k, c.Best().rt.System.Account.Prefix()) {
			accounts = append(accounts, toHex(k))
		}
	}
	for _, test := range []struct {
		method string
		params []any
		want   string
	}{
		{"chain_getBlockHash", nil, quote(two.Hash)},
		{"chain_getBlockHash", []any{nil}, quote(two.Hash)},
		{"chain_getBlockHash", []any{0}, quote(genesis.Hash)},
		{"chain_getBlockHash", []any{"0x1"}, quote(one.Hash)},
		{"chain_getBlockHash", []any{"1"}, quote(one.Hash)},
		{"chain_getBlockHash", []any{3}, "null"},
		{"chain_getBlockHash", []any{uint64(1) << 40}, "null"},
		{"chain_getBlockHash", []any{[]any{0, "0x1", 7, nil}}, "[" + quote(genesis.Hash) + "," + quote(one.Hash) + ",null," + quote(two.Hash) + "]"},
		{"chain_getBlockHash", []any{"abc"}, "error -32602"},
		{"chain_getBlockHash", []any{-1}, "error -32602"},
		{"chain_getFinalizedHead", nil, quote(two.Hash)},
		{"chain_getHeader", []any{none}, "null"},
		{"chain_getBlock", []any{none}, "null"},
		{"chain_getHeader", []any{"0x12"}, "error -32602"},
		{"state_getStorage", []any{key}, `"0x02000000"`},
		{"state_getStorage", []any{key, one.Hash}, `"0x01000000"`},
		{"state_getStorage", []any{"0x00"}, "null"},
		{"state_getStorage", []any{key, none}, "error 4003"},
		{"state_getStorage", []any{"0xabc"}, "error -32602"},
		{"state_getStorage", nil, "error -32602"},
		{"state_getStorageSize", []any{toHex(account)}, "80"},
		{"state_getStorageHash", []any{toHex(account)}, quote(hashing.Blake2b256(info))},
		{"state_getStorageHash", []any{"0x3a636f6465"}, quote(hashing.Blake2b256(c.Best().rt.Code()))},
		{"state_queryStorageAt", []any{[]string{key, "0x00"}}, `[{"block":` + quote(two.Hash) + `,"changes":[["` + key + `","0x02000000"],["0x00",null]]}]`},
		{"state_getKeysPaged", []any{prefix, 3}, page(accounts[:3]...)},
		{"state_getKeysPaged", []any{prefix, 1000, accounts[2]}, page(accounts[3:]...)},
		{"state_getKeysPaged", []any{accounts[1], 5}, page(accounts[1])},
		{"state_getKeysPaged", []any{accounts[1], 5, accounts[1]}, "[]"},
		{"state_getKeysPaged", []any{"0x00", 5}, "[]"},
		{"state_getKeysPaged", []any{prefix, 1001}, "error 4002"},
		{"state_getMetadata", nil, `"` + toHex(c.Best().rt.MetadataBytes(14)) + `"`},
		{"state_call", []any{"AccountNonceApi_account_nonce", toHex(alice.Public())}, `"0x01000000"`},
		{"state_call", []any{"AccountNonceApi_account_nonce", toHex(alice.Public()), genesis.Hash}, `"0x00000000"`},
		{"state_call", []any{"AccountNonceApi_account_nonce", "0x00"}, "error 4003"},
		{"state_call", []any{"Nothing", "0x"}, "error 4003"},
		{"system_accountNextIndex", []any{alice.AccountID().String()}, "1"},
		{"system_accountNextIndex", []any{"nobody"}, "error -32602"},
		{"system_dryRun", []any{toHex(remark(t, c, alice, -1, ""))}, `"0x0000"`},
		{"system_dryRun", []any{toHex(raw)}, `"0x010003"`},
		{"system_dryRun", []any{toHex(future)}, `"0x010002"`},
		{"system_dryRun", []any{toHex(failing)}, `"0x00010702"`},
		{"system_dryRun", []any{"0x00"}, "error 1001"},
		{"payment_queryInfo", []any{toHex(raw)}, fmt.Sprintf(`{"class":"normal","partialFee":"%s","weight":{"proof_size":0,"ref_time":100000000}}`, runtime.Fee(len(raw)))},
		{"payment_queryInfo", []any{toHex(one.Extrinsics[0])}, `{"class":"mandatory","partialFee":"0","weight":{"proof_size":0,"ref_time":100000000}}`},
		{"payment_queryFeeDetails", []any{toHex(one.Extrinsics[0])}, `{"inclusionFee":null}`},
		{"payment_queryInfo", []any{"0x00"}, "error 4003"},
		{"author_pendingExtrinsics", nil, "[]"},
		{"system_chain", nil, `"OCW Development"`},
		{"system_properties", nil, `{"ss58Format":42,"tokenDecimals":12,"tokenSymbol":"UNIT"}`},
		{"system_health", nil, `{"isSyncing":false,"peers":0,"shouldHavePeers":false}`},
		{"system_syncState", nil, `{"currentBlock":2,"highestBlock":2,"startingBlock":0}`},
		{"grandpa_proveFinality", []any{3}, "error 4"},
		{"grandpa_proveFinality", nil, "error -32602"},
		{"no_such_method", nil, "error -32601"},
	} {
		if got := x.get(test.method, test.params...); got != test.want {
			t.Errorf("%s %v:\n got %.300s\nwant %.300s", test.method, test.params, got, test.want)
		}
	}

	var block struct {
		Block struct {
			Header     header.Header
			Extrinsics []hexBytes
		}
		Justifications [][2][]int
	}
	if err := x.Call(t.Context(), "chain_getBlock", []any{one.Hash}, &block); err != nil {
		t.Fatal(err)
	}
	if block.Block.Header.Hash() != one.Hash || len(block.Block.Extrinsics) != 2 || !bytes.Equal(block.Block.Extrinsics[1], raw) {
		t.Errorf("block %+v", block.Block)
	}
	if j := block.Justifications; len(j) != 1 || fmt.Sprint(j[0][0]) != "[70 82 78 75]" || len(j[0][1]) != len(one.Justification) || j[0][1][8] != int(one.Justification[8]) {
		t.Errorf("justifications %v", j)
	}
	var proof struct {
		At    hashing.Hash
		Proof []hexBytes
	}
	if err := x.Call(t.Context(), "state_getReadProof", []any{[]string{key, "0x1234"}, one.Hash}, &proof); err != nil {
		t.Fatal(err)
	}
	var items [][]byte
	for _, p := range proof.Proof {
		items = append(items, p)
	}
	values, err := trie.Verify(one.Header.StateRoot, items, c.Best().rt.System.Number.Key(), []byte{0x12, 0x34})
	if err != nil || proof.At != one.Hash || string(values[0].Value) != "\x01\x00\x00\x00" || values[1].Present {
		t.Errorf("proof %v, %v", values, err)
	}
	var finality hexBytes
	if err := x.Call(t.Context(), "grandpa_proveFinality", []any{1}, &finality); err != nil {
		t.Fatal(err)
	}
	if p, err := grandpa.DecodeFinalityProof(finality); err != nil || p.Block != two.Hash || len(p.UnknownHeaders) != 1 {
		t.Errorf("finality proof %+v, %v", p, err)
	}
	var version struct {
		SpecName                                             string
		SpecVersion, TransactionVersion, StateVersion, APIs0 uint32
		APIs                                                 [][2]any
	}
	if err := x.Call(t.Context(), "state_getRuntimeVersion", nil, &version); err != nil || version.SpecName != "ocw-dev" || version.StateVersion != 1 || len(version.APIs) != 6 || version.APIs[0][0] != "0xdf6acb689907609b" {
		t.Errorf("version %+v, %v", version, err)
	}
}

// TestRPCGarbage sends every method nonsense: the answer is an error that blames
// the client, and the connection lives.
func TestRPCGarbage(t *testing.T) {
	c := open(t, Config{Manual: true})
	seal(t, c)
	x := dial(t, serve(t, c))
	var list struct{ Methods []string }
	if err := x.Call(t.Context(), "rpc_methods", nil, &list); err != nil || len(list.Methods) < 60 {
		t.Fatalf("methods %v, %v", list, err)
	}
	long := make([]any, 50)
	for _, method := range list.Methods {
		for _, params := range [][]any{
			nil, {nil}, {nil, nil, nil}, {""}, {"0x"}, {"0xzz"}, {"0x0"}, {"x", "y", "z"}, {-1}, {1.5}, {1e300}, {true}, {[]any{}}, {[]any{nil}}, {[]any{"zz"}}, {[]any{[]any{}}}, {map[string]any{}},
			{"0x" + strings.Repeat("ff", 1000)}, {[]string{"0x" + strings.Repeat("ab", 3000)}}, {"0x00", "0x00"}, {"Core_version", "0xff"}, {"TransactionPaymentApi_query_info", "0xffffffff"}, long,
		} {
			if got := x.get(method, params...); got == "error -32603" {
				t.Errorf("%s %v: internal error", method, params)
			}
		}
	}
	if got := x.get("system_name"); got != `"ocw-node"` {
		t.Error(got)
	}
}

func TestRPCSubmit(t *testing.T) {
	c := open(t, Config{Manual: true})
	x := dial(t, serve(t, c))
	alice := pair(t, "//Alice")
	raw := remark(t, c, alice, 0, "x")
	forged := bytes.Clone(raw)
	forged[len(forged)-1] ^= 1
	for name, test := range map[string]struct {
		raw  []byte
		want string
	}{
		"empty": {nil, "error 1001"}, "garbage": {[]byte{8, 1, 2}, "error 1001"}, "cut": {raw[:50], "error 1001"}, "no call": {sign(t, c, alice, 0, "System", "remark"), "error 1001"},
		"signature": {forged, "error 1010"}, "poor": {remark(t, c, pair(t, "//Poor"), 0, ""), "error 1010"}, "bare": {c.Best().rt.TimestampInherent(1), "error 1011"},
	} {
		if got := x.get("author_submitExtrinsic", hexBytes(test.raw)); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
	if got := x.get("author_submitExtrinsic", hexBytes(raw)); got != quote(hashing.Blake2b256(raw)) {
		t.Errorf("good: %s", got)
	}
	if got := x.get("author_submitExtrinsic", hexBytes(raw)); got != "error 1013" {
		t.Errorf("again: %s", got)
	}
	if got := x.get("author_submitExtrinsic", hexBytes(remark(t, c, alice, 0, "other"))); got != "error 1014" {
		t.Errorf("same nonce: %s", got)
	}
	if got := x.get("author_pendingExtrinsics"); got != `["`+toHex(raw)+`"]` {
		t.Errorf("pending %s", got)
	}
	if got := x.get("system_accountNextIndex", alice.AccountID().String()); got != "1" {
		t.Errorf("next index %s", got)
	}

	watch := func(raw []byte) <-chan json.RawMessage {
		t.Helper()
		updates, _, err := x.Subscribe(t.Context(), "author_submitAndWatchExtrinsic", "author_unwatchExtrinsic", []any{hexBytes(raw)})
		if err != nil {
			t.Fatal(err)
		}
		return updates
	}
	third, second := watch(remark(t, c, alice, 2, "third")), watch(remark(t, c, alice, 1, "second"))
	block := seal(t, c)
	for name, test := range map[string]struct {
		updates <-chan json.RawMessage
		want    []string
	}{
		"second": {second, []string{`"ready"`, `{"inBlock":` + quote(block.Hash) + `}`, `{"finalized":` + quote(block.Hash) + `}`}},
		"third":  {third, []string{`"future"`, `"ready"`, `{"inBlock":` + quote(block.Hash) + `}`, `{"finalized":` + quote(block.Hash) + `}`}},
	} {
		for i, want := range test.want {
			if got := string(<-test.updates); got != want {
				t.Errorf("%s: update %d is %s, want %s", name, i, got, want)
			}
		}
	}
	if _, _, err := x.Subscribe(t.Context(), "author_submitAndWatchExtrinsic", "author_unwatchExtrinsic", []any{hexBytes(raw)}); err == nil {
		t.Error("a stale extrinsic is watched")
	}
	if got := x.get("dev_newBlock", map[string]any{"count": 3}); got != quote(c.Best().Hash) || c.Best().Number() != 4 {
		t.Errorf("dev_newBlock: %s, best %d", got, c.Best().Number())
	}
	if got := x.get("dev_newBlock", map[string]any{"count": 1_000_000}); got != "error -32602" {
		t.Errorf("dev_newBlock: %s", got)
	}
}

// TestSubscriptionsWithoutGaps: whenever a subscription begins, it sees every
// block from then on once and in order.
func TestSubscriptionsWithoutGaps(t *testing.T) {
	c := open(t, Config{Manual: true, Authorities: 2})
	url := serve(t, c)
	const blocks = 300
	var wg sync.WaitGroup
	for i, method := range []string{"chain_subscribeNewHeads", "chain_subscribeFinalizedHeads", "chain_subscribeAllHeads", "chain_subscribeNewHead"} {
		x := dial(t, url)
		wg.Go(func() {
			if _, err := c.Wait(t.Context(), header.Number(i*40)); err != nil {
				t.Error(err)
				return
			}
			heads, cancel, err := x.Subscribe(t.Context(), method, strings.Replace(method, "subscribe", "unsubscribe", 1), nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer cancel()
			next := header.Number(0)
			for raw := range heads {
				var h header.Header
				if err := json.Unmarshal(raw, &h); err != nil {
					t.Error(err)
					return
				}
				if next != 0 && h.Number != next || h.Hash() != c.Block(h.Number).Hash {
					t.Errorf("%s: block %d, want %d", method, h.Number, next)
				}
				if next = h.Number + 1; next > blocks {
					return
				}
			}
			t.Errorf("%s ended before block %d", method, next)
		})
	}
	x := dial(t, url)
	justifications, cancel, err := x.Subscribe(t.Context(), "grandpa_subscribeJustifications", "grandpa_unsubscribeJustifications", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer cancel()
	for range blocks {
		seal(t, c)
	}
	for n := header.Number(1); n <= blocks; n++ {
		var raw hexBytes
		if err := json.Unmarshal(<-justifications, &raw); err != nil {
			t.Fatal(err)
		}
		j, err := grandpa.DecodeJustification(raw)
		if err != nil || j.TargetNumber != n || j.Verify(0, c.genesisAuthorities()) != nil {
			t.Fatalf("justification %+v, %v", j, err)
		}
	}
	wg.Wait()
}

// TestSubscribeStorage: all values first, then only blocks that change one, with
// only what changed.
func TestSubscribeStorage(t *testing.T) {
	c := open(t, Config{Manual: true})
	x := dial(t, serve(t, c))
	alice := pair(t, "//Alice")
	account, absent := toHex(c.Best().rt.System.Account.Key(alice.AccountID())), "0x1234"
	sets, cancel, err := x.Subscribe(t.Context(), "state_subscribeStorage", "state_unsubscribeStorage", []any{[]string{account, absent}})
	if err != nil {
		t.Fatal(err)
	}
	defer cancel()
	type set struct {
		Block   hashing.Hash
		Changes [][2]*string
	}
	recv := func() (s set) {
		t.Helper()
		if err := json.Unmarshal(<-sets, &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := recv(); s.Block != c.Genesis() || len(s.Changes) != 2 || *s.Changes[0][0] != account || s.Changes[1][1] != nil {
		t.Errorf("first: %+v", s)
	}
	seal(t, c)
	submit(t, c, remark(t, c, alice, 0, ""))
	b := seal(t, c)
	value, _ := b.State.Get(c.Best().rt.System.Account.Key(alice.AccountID()))
	if s := recv(); s.Block != b.Hash || len(s.Changes) != 1 || *s.Changes[0][1] != toHex(value) {
		t.Errorf("second: %+v", s)
	}
}

func TestPost(t *testing.T) {
	c := open(t, Config{})
	url := strings.Replace(serve(t, c), "ws://", "http://", 1)
	resp, err := http.Post(url, "application/json", strings.NewReader(`[{"jsonrpc":"2.0","id":1,"method":"chain_getBlockHash","params":[0]},{"jsonrpc":"2.0","id":2,"method":"chain_subscribeNewHeads"}]`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !strings.HasPrefix(string(body), `[{"jsonrpc":"2.0","id":1,"result":`+quote(c.Genesis())+`},{"jsonrpc":"2.0","id":2,"error"`) {
		t.Errorf("%s, %v", body, err)
	}
}

// TestServeAgain: one chain outlives its servers.
func TestServeAgain(t *testing.T) {
	c := open(t, Config{})
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		url, wait, err := Serve(ctx, c, "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		x := dial(t, url)
		x.get("system_name")
		cancel()
		if err := wait(); err != nil {
			t.Error(err)
		}
		<-x.Done()
	}
	if _, _, err := Serve(t.Context(), c, "256.0.0.1:0"); err == nil {
		t.Error("served on no address")
	}
}
