package lightclient_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/lightclient/lightclienttest"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// made is a chain as chopsticks makes them: block 0 has a made-up hash, state
// roots are zero and extrinsics roots are no roots.
func made(n int) (lightclient.Trust, []header.Header) {
	genesis := hashing.Hash(bytes.Repeat([]byte{0x45}, 32))
	parent := genesis
	var headers []header.Header
	for i := range n {
		h := header.Header{ParentHash: parent, Number: header.Number(i + 1), ExtrinsicsRoot: hashing.Blake2b256([]byte{byte(i)})}
		headers, parent = append(headers, h), h.Hash()
	}
	return lightclient.Trust{Start: lightclient.Checkpoint{Hash: genesis}, InsecureWord: true}, headers
}

var eventsKey = hashing.StoragePrefix("System", "Events")

func TestUnprovenIsOnlyForTrustsThatSaySo(t *testing.T) {
	trust, headers := made(1)
	c, err := trust.Unproven()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Take(headers); err != nil {
		t.Fatal(err)
	}
	trust.InsecureWord = false
	if c, err := trust.Unproven(); !errors.Is(err, lightclient.ErrProofWanted) || c != nil {
		t.Error("a client without proofs:", err)
	}
	if c, err := trust.RestoreUnproven(c.State()); !errors.Is(err, lightclient.ErrProofWanted) || c != nil {
		t.Error("a client without proofs:", err)
	}
	words := lightclient.EncodeWords([][]byte{{1}}, []trie.ProofValue{{Present: true}})
	if _, err := trust.Values(hashing.Hash{}, words, []byte{1}); !errors.Is(err, lightclient.ErrStateProof) {
		t.Error("words in place of a proof:", err)
	}
	// Neither kind of client goes on from a state of the other.
	if _, err := lightclient.Restore(c.State()); !errors.Is(err, lightclient.ErrState) {
		t.Error("Restore of an unproven state:", err)
	}
	if err := trust.Check(lightclient.State{Version: 1, Start: trust.Start.Hash, Hash: trust.Start.Hash}); err == nil {
		t.Error("Check of an unproven state:", err)
	}
	proven := lightclient.New(lightclienttest.New(t, lightclienttest.Options{}).Start()).State()
	trust.InsecureWord = true
	if _, err := trust.RestoreUnproven(proven); !errors.Is(err, lightclient.ErrState) {
		t.Error("RestoreUnproven of a proven state:", err)
	}
	trust.Start.Hash = proven.Hash
	if err := trust.Check(proven); !errors.Is(err, lightclient.ErrCheckpoint) {
		t.Error("Check of a proven state:", err)
	}
}

func TestUnprovenFollows(t *testing.T) {
	trust, headers := made(5)
	c, err := trust.Unproven()
	if err != nil {
		t.Fatal(err)
	}
	if err := trust.Check(c.State()); err != nil {
		t.Error(err)
	}
	final, err := c.Take(headers[:2])
	if err != nil || len(final) != 2 {
		t.Fatal(final, err)
	}
	for i, f := range final {
		if f.Number() != header.Number(i+1) || f.Hash() != headers[i].Hash() || f.State().Hash != f.Hash() || f.State().Start != trust.Start.Hash {
			t.Errorf("%d: %+v", i, f)
		}
	}
	// From the state of any block, a client goes on with the next.
	again, err := trust.RestoreUnproven(final[0].State())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Take(headers[1:3]); err != nil {
		t.Error(err)
	}
	// What does not follow shows that the node's chain is another one now.
	other := headers[2]
	other.ParentHash[0]++
	for name, bad := range map[string][]header.Header{"again": headers[1:2], "gap": headers[3:], "another parent": {other},
		"later one does not follow": {headers[2], headers[4]}} {
		if got, err := c.Take(bad); !errors.Is(err, lightclient.ErrNotLinked) || got != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if c.State().Hash != final[1].Hash() {
			t.Errorf("%s: the state has changed", name)
		}
	}
	if got, err := c.Take(headers[2:]); err != nil || len(got) != 3 {
		t.Error(got, err)
	}
}

func TestUnprovenBlock(t *testing.T) {
	trust, headers := made(1)
	c, _ := trust.Unproven()
	final, err := c.Take(headers)
	if err != nil {
		t.Fatal(err)
	}
	keys := [][]byte{eventsKey, []byte("a"), []byte("empty"), []byte("absent")}
	words := lightclient.EncodeWords(keys, []trie.ProofValue{{Value: []byte{4, 1}, Present: true}, {Value: []byte{1}, Present: true}, {Present: true}, {}})
	body := [][]byte{{4, 7}}
	b, err := final[0].Verify(trie.V0, body, words, keys[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	if !b.Unproven() || !bytes.Equal(b.Events(), []byte{4, 1}) || len(b.Extrinsics()) != 1 {
		t.Errorf("%+v", b)
	}
	for key, want := range map[string][]byte{"a": {1}, "empty": {}, "absent": nil} {
		if got, present, err := b.Storage([]byte(key)); err != nil || present != (want != nil) || !bytes.Equal(got, want) {
			t.Errorf("%s: %x, %v, %v", key, got, present, err)
		}
	}
	// What was not asked of the node is not known, here too.
	if _, _, err := b.Storage([]byte("other")); !errors.Is(err, lightclient.ErrNotProven) {
		t.Error(err)
	}
	more, err := b.WithStorage(lightclient.EncodeWords([][]byte{[]byte("more")}, []trie.ProofValue{{Value: []byte{9}, Present: true}}), []byte("more"))
	if err != nil || !more.Unproven() {
		t.Fatal(err)
	}
	if got, present, err := more.Storage([]byte("more")); err != nil || !present || !bytes.Equal(got, []byte{9}) {
		t.Errorf("%x, %v, %v", got, present, err)
	}
	trailing := append(bytes.Clone(words[1]), 0)
	for name, bad := range map[string][][]byte{"none": nil, "too few": words[:3], "too many": append(words[:4:4], words[0]),
		"another key": {words[0], words[2], words[1], words[3]}, "trailing byte": {words[0], trailing, words[2], words[3]},
		"empty": {words[0], {}, words[2], words[3]}} {
		if _, err := final[0].Verify(trie.V0, body, bad, keys[1:]...); !errors.Is(err, lightclient.ErrStateProof) {
			t.Errorf("%s: %v", name, err)
		}
	}

	// A proven block says that it is proven.
	chain := lightclienttest.New(t, lightclienttest.Options{})
	if b := chain.Next(lightclient.New(chain.Start()), lightclienttest.Block{}); b.Unproven() {
		t.Error("a proven block is called unproven")
	}
}

func FuzzWords(f *testing.F) {
	key := []byte("key")
	for _, v := range []trie.ProofValue{{}, {Present: true}, {Value: []byte{1, 2}, Present: true}} {
		f.Add(lightclient.EncodeWords([][]byte{key}, []trie.ProofValue{v})[0])
	}
	trust := lightclient.Trust{InsecureWord: true}
	f.Fuzz(func(t *testing.T, b []byte) {
		values, err := trust.Values(hashing.Hash{}, [][]byte{b}, key)
		if err != nil {
			if !errors.Is(err, lightclient.ErrStateProof) || values != nil {
				t.Errorf("%v, %v", values, err)
			}
			return
		}
		if again := lightclient.EncodeWords([][]byte{key}, values); !bytes.Equal(again[0], b) {
			t.Errorf("%x became %x", b, again[0])
		}
	})
}

func TestUnprovenStateIsSealedLikeAny(t *testing.T) {
	trust, headers := made(1)
	c, _ := trust.Unproven()
	if _, err := c.Take(headers); err != nil {
		t.Fatal(err)
	}
	var s lightclient.State
	if err := scale.Unmarshal(scale.MustMarshal(c.State()), &s); err != nil {
		t.Fatal(err)
	}
	if _, err := trust.RestoreUnproven(s); err != nil {
		t.Error(err)
	}
}
