package header

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

const realHeaderFile = "../../../shared/vectors/grandpa/bittensor-finney-9183744.json"

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The genesis blocks of public chains: the hash of a header that holds the
// state root and otherwise nothing.
func TestGenesisHashes(t *testing.T) {
	empty, err := hashing.ParseHash("0x03170a2e7597b7b7e3d84c05391d139a62b157e78786d8c082f29dcf4c111314")
	if err != nil {
		t.Fatal(err)
	}
	for chain, c := range map[string]struct{ root, hash string }{
		"Polkadot": {"0x29d0d972cd27cbc511e9589fcb7a4506d5eb6a9e8df205f00472e5ab354a4e17", "0x91b171bb158e2d3848fa23a9f1c25182fb8e20313b2c1eb49219da7a70ce90c3"},
		"Kusama":   {"0xb0006203c3a6e6bd2c6a17b1d4ae8ca49a31da0f4579da950b127774b44aef6b", "0xb0a8d493285c2df73290dfb7e61f870f17b41801197a149ca93654499ea3dafe"},
		"Westend":  {"0x7e92439a94f79671f9cade9dff96a094519b9001a7432244d46ab644bb6f746f", "0xe143f23803ac50e8f6f8e62695d1ce9e4e1d68aa36c1cd2cfd15340213f3423e"},
	} {
		root, err := hashing.ParseHash(c.root)
		if err != nil {
			t.Fatal(err)
		}
		h := Header{StateRoot: root, ExtrinsicsRoot: empty}
		if got := h.Hash().String(); got != c.hash {
			t.Errorf("%s: got %s, want %s", chain, got, c.hash)
		}
	}
}

func TestRealHeader(t *testing.T) {
	raw, err := os.ReadFile(realHeaderFile)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%s is absent", realHeaderFile)
	}
	var v struct {
		Header      json.RawMessage
		HeaderScale string
		BlockHash   string
	}
	if err == nil {
		err = json.Unmarshal(raw, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	encoded := unhex(t, v.HeaderScale)
	h, err := Decode(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if h.Hash().String() != v.BlockHash || h.Number != 9183744 || h.RuntimeUpdated() {
		t.Errorf("hash %v, number %d", h.Hash(), h.Number)
	}
	if back := h.AppendSCALE(nil); !bytes.Equal(back, encoded) {
		t.Errorf("encodes to %x", back)
	}
	var fromJSON Header
	if err := json.Unmarshal(v.Header, &fromJSON); err != nil || !reflect.DeepEqual(&fromJSON, h) {
		t.Errorf("JSON: %+v, %v", fromJSON, err)
	}
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	if json.Unmarshal(text, &got) != nil || json.Unmarshal(v.Header, &want) != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %s\nwant %s", text, v.Header)
	}
}

// sp-runtime generic/digest.rs, test module.
func TestDigestVector(t *testing.T) {
	items := []DigestItem{{Kind: DigestOther, Data: []byte{1, 2, 3}}, {Kind: DigestSeal, Engine: [4]byte{'t', 'e', 's', 't'}, Data: []byte{1, 2, 3}}}
	b, err := json.Marshal(Header{Number: 256, Digest: items})
	if err != nil || !strings.Contains(string(b), `"number":"0x100"`) || !strings.Contains(string(b), `"logs":["0x000c010203","0x05746573740c010203"]`) {
		t.Errorf("%s, %v", b, err)
	}
	items = append(items, DigestItem{Kind: DigestRuntimeEnvironmentUpdated}, DigestItem{Kind: DigestConsensus, Engine: EngineGrandpa, Data: []byte{}}, DigestItem{Kind: DigestPreRuntime, Data: []byte{}})
	h := Header{Digest: items}
	back, err := Decode(h.AppendSCALE(nil))
	if err != nil || !reflect.DeepEqual(back, &h) || !back.RuntimeUpdated() {
		t.Errorf("back %+v, %v", back, err)
	}
	if b := scale.MustMarshal(h); !bytes.Equal(b, h.AppendSCALE(nil)) {
		t.Errorf("by reflection %x", b)
	}
}

func TestRefused(t *testing.T) {
	h := Header{Number: 7, Digest: []DigestItem{{Kind: DigestOther, Data: []byte{1}}}}
	good := h.AppendSCALE(nil)
	for cut := range good {
		if h, err := Decode(good[:cut]); !errors.Is(err, scale.ErrShort) || h != nil {
			t.Errorf("cut at %d: %v, %v", cut, h, err)
		}
	}
	if h, err := Decode(append(bytes.Clone(good), 0)); !errors.Is(err, scale.ErrTrailing) || h != nil {
		t.Errorf("trailing: %v, %v", h, err)
	}
	for _, kind := range []byte{1, 2, 3, 7, 9, 255} {
		bad := bytes.Clone(good)
		bad[len(bad)-3] = kind
		if h, err := Decode(bad); !errors.Is(err, scale.ErrInvalid) || h != nil {
			t.Errorf("digest item %d: %v, %v", kind, h, err)
		}
	}
	for _, s := range []string{`{}`, `[]`, `"x"`, `{"number":"0x1"}`, with("0x"), with("0x100000000"), with("-0x1"), with("0x+1"), with(""),
		strings.Replace(with("0x1"), `"0x1"`, "1", 1), strings.Replace(with("0x1"), "digest", "digests", 1), strings.Replace(with("0x1"), "00", "", 1),
		strings.Replace(with("0x1"), "[]", `["0x01"]`, 1), strings.Replace(with("0x1"), "[]", `["zz"]`, 1), strings.Replace(with("0x1"), "[]", `["0x0800"]`, 1)} {
		h := Header{Number: 9}
		if err := json.Unmarshal([]byte(s), &h); err == nil || h.Number != 9 {
			t.Errorf("%s: accepted as %+v", s, h)
		}
	}
	for text, want := range map[string]Number{"0x0": 0, "0x00000007": 7, "0xffffffff": 1<<32 - 1} {
		var h Header
		if err := json.Unmarshal([]byte(with(text)), &h); err != nil || h.Number != want {
			t.Errorf("%s: %d, %v", text, h.Number, err)
		}
	}
}

// with returns the JSON of a header of that number.
func with(number string) string {
	const form = `{"number":"NUMBER","parentHash":"HASH","stateRoot":"HASH","extrinsicsRoot":"HASH","digest":{"logs":[]}}`
	return strings.NewReplacer("NUMBER", number, "HASH", hashing.Hash{1}.String()).Replace(form)
}

func FuzzDecode(f *testing.F) {
	f.Add((&Header{}).AppendSCALE(nil))
	f.Add((&Header{Number: 1 << 31, Digest: []DigestItem{{Kind: DigestOther}, {Kind: DigestSeal, Data: []byte{1}}, {Kind: DigestRuntimeEnvironmentUpdated}}}).AppendSCALE(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		h, err := Decode(raw)
		if err != nil {
			if h != nil {
				t.Fatal("a header with an error")
			}
			return
		}
		if back := h.AppendSCALE(nil); !bytes.Equal(back, raw) {
			t.Fatalf("%x encodes to %x", raw, back)
		}
		text, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		var again Header
		if err := json.Unmarshal(text, &again); err != nil || again.Hash() != h.Hash() {
			t.Fatalf("%s: %v", text, err)
		}
	})
}

func FuzzUnmarshalJSON(f *testing.F) {
	f.Add([]byte(with("0x7")))
	f.Add([]byte(strings.Replace(with("0x7"), "[]", `["0x08","0x000401"]`, 1)))
	f.Fuzz(func(t *testing.T, text []byte) {
		var h Header
		if json.Unmarshal(text, &h) != nil {
			return
		}
		if back, err := Decode(h.AppendSCALE(nil)); err != nil || back.Hash() != h.Hash() {
			t.Fatalf("%s: %v", text, err)
		}
	})
}
