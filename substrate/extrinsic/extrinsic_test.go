package extrinsic

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

const (
	metadataDir = "../../../shared/vectors/metadata"
	paseoV14    = "integritee-paseo-50-v14.hex"
	kusamaV15   = "integritee-kusama-560-v15.scale"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.TrimPrefix(strings.TrimSpace(s), "0x"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func alice(t testing.TB, scheme keyring.Scheme) *keyring.Pair {
	t.Helper()
	p, err := keyring.FromURI(scheme, "//Alice")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// realMetadata reads the metadata of a real chain.
func realMetadata(t testing.TB, name string) *metadata.Metadata {
	t.Helper()
	path := filepath.Join(metadataDir, name)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%s is absent", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, ".hex") {
		raw = unhex(t, string(raw))
	}
	m, err := metadata.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// madeMetadata has the extensions of a current chain and any that are given.
func madeMetadata(t testing.TB, more ...metadata.ExtensionSpec) *metadata.Metadata {
	t.Helper()
	b := metadata.NewBuilder("test_runtime")
	if err := b.AddPallet(metadata.PalletSpec{Name: "System", Calls: []metadata.VariantSpec{{Name: "remark", Fields: []metadata.FieldSpec{{Name: "remark", Type: reflect.TypeFor[[]byte]()}}}}}); err != nil {
		t.Fatal(err)
	}
	u32, hash := reflect.TypeFor[uint32](), reflect.TypeFor[hashing.Hash]()
	m, err := b.Build(metadata.ExtrinsicSpec{Extensions: append([]metadata.ExtensionSpec{
		{Identifier: "CheckNonZeroSender"},
		{Identifier: "CheckSpecVersion", Additional: u32},
		{Identifier: "CheckTxVersion", Additional: u32},
		{Identifier: "CheckGenesis", Additional: hash},
		{Identifier: "CheckMortality", Type: reflect.TypeFor[Era](), Additional: hash},
		{Identifier: "CheckNonce", Type: reflect.TypeFor[scale.CompactU32]()},
		{Identifier: "CheckWeight"},
		{Identifier: "ChargeTransactionPayment", Type: reflect.TypeFor[scale.CompactU128]()},
		{Identifier: "CheckMetadataHash", Type: reflect.TypeFor[uint8](), Additional: reflect.TypeFor[optionalHash]()},
	}, more...)})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

type optionalHash struct{ Hash *[32]byte }

type vector struct {
	Name, Metadata, Scheme, Call, Genesis string
	SpecVersion, TxVersion, Nonce         uint32
	Era                                   *struct {
		Current uint32
		Period  uint64
	}
	EraHash              *string
	Tip, Extrinsic, Hash string
}

func vectors(t testing.TB) []vector {
	t.Helper()
	raw, err := os.ReadFile("testdata/polkadot-js.json")
	if err != nil {
		t.Fatal(err)
	}
	var j struct{ Vectors []vector }
	if err := json.Unmarshal(raw, &j); err != nil || len(j.Vectors) < 40 {
		t.Fatalf("%d vectors, %v", len(j.Vectors), err)
	}
	return j.Vectors
}

func (v *vector) params(t testing.TB, m *metadata.Metadata) SignParams {
	t.Helper()
	p := SignParams{Meta: m, Genesis: hashing.Hash(unhex(t, v.Genesis)), SpecVersion: v.SpecVersion, TxVersion: v.TxVersion, Nonce: v.Nonce}
	var err error
	if p.Tip, err = scale.ParseU128(v.Tip); err != nil {
		t.Fatal(err)
	}
	if v.Era != nil {
		p.Era = NewMortal(v.Era.Period, headerNumber(v.Era.Current))
		p.EraHash = hashing.Hash(unhex(t, *v.EraHash))
	}
	return p
}

// Extrinsics signed by another implementation, under real metadata of versions
// 14 and 15, with payloads around the limit of 256 bytes.
func TestPolkadotJS(t *testing.T) {
	known := map[string]*metadata.Metadata{}
	hashed := 0
	for _, v := range vectors(t) {
		m := known[v.Metadata]
		if m == nil {
			m = realMetadata(t, v.Metadata)
			known[v.Metadata] = m
		}
		scheme, err := keyring.ParseScheme(v.Scheme)
		if err != nil {
			t.Fatal(err)
		}
		name := v.Metadata + " " + v.Scheme + " " + v.Name
		signer, p, call, raw := alice(t, scheme), v.params(t, m), unhex(t, v.Call), unhex(t, v.Extrinsic)
		got, err := SignV4(call, signer, p)
		if err != nil || !bytes.Equal(got, raw) {
			t.Errorf("%s: %v\n got %x\nwant %x", name, err, got, raw)
			continue
		}
		if Hash(raw).String() != v.Hash {
			t.Errorf("%s: hash %v, want %s", name, Hash(raw), v.Hash)
		}
		x, err := Decode(raw, m)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		who := signer.AccountID()
		if s := x.Signed; x.Version != 4 || x.General != nil || s == nil || s.Signer == nil || *s.Signer != who || s.Nonce != p.Nonce || s.Era != p.Era || s.Tip != p.Tip || !bytes.Equal(x.Call, call) {
			t.Errorf("%s: decoded %+v, %+v", name, x, s)
			continue
		}
		payload, err := SignedPayload(x.Call, x.Signed.Raw, p)
		if err != nil || len(payload) > 256 || !x.Signed.Signature.Verify(payload, who) {
			t.Errorf("%s: payload of %d bytes, %v", name, len(payload), err)
		}
		if len(payload) == 32 {
			hashed++
		}
		if pallet, variant, ok := m.Call(x.Index()); !ok || pallet == nil || variant == nil {
			t.Errorf("%s: call %v is unknown", name, x.Index())
		}
		// Another genesis, version or era hash is another payload.
		for _, other := range []SignParams{
			{Meta: m, Genesis: hashing.Hash{9}, SpecVersion: p.SpecVersion, TxVersion: p.TxVersion, EraHash: p.EraHash},
			{Meta: m, Genesis: p.Genesis, SpecVersion: p.SpecVersion + 1, TxVersion: p.TxVersion, EraHash: p.EraHash},
			{Meta: m, Genesis: p.Genesis, SpecVersion: p.SpecVersion, TxVersion: p.TxVersion + 1, EraHash: p.EraHash},
		} {
			if b, err := SignedPayload(x.Call, x.Signed.Raw, other); err != nil || x.Signed.Signature.Verify(b, who) {
				t.Errorf("%s: verifies under %+v (%v)", name, other, err)
			}
		}
	}
	if len(known) != 2 || hashed == 0 {
		t.Errorf("%d metadata files, %d hashed payloads", len(known), hashed)
	}
}

func TestPayloadLimit(t *testing.T) {
	for n, want := range map[int]int{0: 0, 255: 255, 256: 256, 257: 32, 1000: 32} {
		b := bytes.Repeat([]byte{7}, n)
		got := payload(b[:n/3], b[:n/3], b[:n-2*(n/3)])
		if len(got) != want {
			t.Errorf("%d bytes: payload of %d, want %d", n, len(got), want)
		}
		if h := hashing.Blake2b256(b); want == 32 && !bytes.Equal(got, h[:]) {
			t.Errorf("%d bytes: %x is not the hash", n, got)
		}
	}
}

// A real Timestamp.set of a chain with version 5 inherents (P 3.4), and its
// form of version 4.
func TestBare(t *testing.T) {
	for text, version := range map[string]uint8{"280503000b80e44f8ba001": 5, "280403000b80e44f8ba001": 4} {
		raw := unhex(t, text)
		for _, m := range []*metadata.Metadata{nil, madeMetadata(t)} {
			x, err := Decode(raw, m)
			if err != nil {
				t.Fatal(err)
			}
			if x.Version != version || x.Signed != nil || x.General != nil || x.Index() != [2]byte{3, 0} {
				t.Errorf("%s: %+v", text, x)
			}
			d := scale.NewDecoder(x.Args())
			if now := d.CompactU64(); d.Finish() != nil || now != 1789043664000 {
				t.Errorf("%s: moment %d, %v", text, now, d.Err())
			}
			if back, err := EncodeBare(version, x.Call); err != nil || !bytes.Equal(back, raw) {
				t.Errorf("%s: encodes to %x, %v", text, back, err)
			}
		}
	}
	if b, err := EncodeBare(3, []byte{0, 0}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("version 3: %x, %v", b, err)
	}
}

// General extrinsics of version 5 carry the extensions without a signature.
func TestGeneral(t *testing.T) {
	m := madeMetadata(t)
	call := unhex(t, "000008abcd")
	body := append(unhex(t, "4500"+"a502"+"0d01"+"04"+"00"), call...)
	x, err := Decode(withLength(body), m)
	if err != nil {
		t.Fatal(err)
	}
	if g := x.General; x.Version != 5 || x.Signed != nil || g == nil || g.ExtensionVersion != 0 || g.Era != NewMortal(64, 42) || g.Nonce != 67 || g.Tip != scale.NewU128(1) || !bytes.Equal(x.Call, call) {
		t.Errorf("%+v, %+v", x, x.General)
	}
	body[1] = 1
	if _, err := Decode(withLength(body), m); !errors.Is(err, ErrUnsupported) {
		t.Errorf("extension version 1: %v", err)
	}
	// Metadata of version 16 lists the extensions of each version.
	m16 := *m
	m16.Extrinsic.ByVersion = []metadata.ExtensionSet{{Version: 0}, {Version: 1, Extensions: []uint32{5, 4}}, {Version: 2, Extensions: []uint32{99}}}
	x, err = Decode(withLength(append(unhex(t, "45010d01a502"), call...)), &m16)
	if err != nil || x.General.Nonce != 67 || x.General.Era.Period() != 64 || !bytes.Equal(x.Call, call) {
		t.Errorf("%+v, %v", x, err)
	}
	if _, err := Decode(withLength(append(unhex(t, "4502"), call...)), &m16); !errors.Is(err, ErrUnsupported) {
		t.Errorf("metadata that names a missing extension: %v", err)
	}
}

func TestRefused(t *testing.T) {
	m := madeMetadata(t)
	good, err := SignV4([]byte{0, 0, 0}, alice(t, keyring.Ed25519), SignParams{Meta: m})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(good, m); err != nil {
		t.Fatal(err)
	}
	body := good[2:]
	for cut := range body {
		x, err := Decode(withLength(body[:cut]), m)
		if cut == len(body)-1 {
			continue // one byte of arguments less
		}
		if !errors.Is(err, ErrMalformed) || x != nil {
			t.Errorf("cut at %d: %+v, %v", cut, x, err)
		}
	}
	change := func(i int, v byte) []byte {
		b := bytes.Clone(body)
		b[i] = v
		return withLength(b)
	}
	for name, raw := range map[string][]byte{
		"nothing": nil, "length only": {0}, "no length": body, "length too long": append([]byte{good[0] + 4}, good[1:]...), "trailing byte": append(bytes.Clone(good), 0),
		"length not minimal": append(unhex(t, "02000000"), body...),
		"version 3":          change(0, 0x03), "signed version 5": change(0, 0x85), "general version 4": change(0, 0x44), "reserved kind": change(0, 0xc4), "version 6": change(0, 0x06), "zero": change(0, 0),
		"address kind 5": change(1, 5), "signature kind 3": change(34, 3), "era of period 2": change(99, 0x10),
		"bare without call": {4, 4}, "bare with one byte": {8, 4, 0},
	} {
		if x, err := Decode(raw, m); !errors.Is(err, ErrMalformed) || x != nil {
			t.Errorf("%s: %+v, %v", name, x, err)
		}
	}
	if x, err := Decode(good, nil); !errors.Is(err, ErrUnsupported) || x != nil {
		t.Errorf("without metadata: %+v, %v", x, err)
	}
}

// Addresses that name no account leave the signer open.
func TestAddressKinds(t *testing.T) {
	m := madeMetadata(t)
	good, err := SignV4([]byte{0, 0, 0}, alice(t, keyring.Ed25519), SignParams{Meta: m})
	if err != nil {
		t.Fatal(err)
	}
	rest := good[2+1+33:]
	for address, ok := range map[string]bool{
		"00" + strings.Repeat("07", 32): true, "01": false, "0208" + "abcd": false,
		"03" + strings.Repeat("07", 32): false, "04" + strings.Repeat("07", 20): false,
	} {
		raw := withLength(append(append([]byte{signedV4}, unhex(t, address)...), rest...))
		x, err := Decode(raw, m)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		if (x.Signed.Signer != nil) != ok || hex.EncodeToString(x.Signed.Address) != address {
			t.Errorf("%s: %+v", address, x.Signed)
		}
		if ok { // the signer is a copy
			before := *x.Signed.Signer
			for i := range raw {
				raw[i] ^= 0xff
			}
			if *x.Signed.Signer != before {
				t.Error("the signer changes with the input")
			}
		}
	}
}

func TestExtensions(t *testing.T) {
	signer := alice(t, keyring.Sr25519)
	call := []byte{0, 0, 0}
	empty := reflect.TypeFor[struct{}]()
	if _, err := SignV4(call, signer, SignParams{Meta: madeMetadata(t, metadata.ExtensionSpec{Identifier: "Harmless", Type: empty, Additional: empty})}); err != nil {
		t.Errorf("unknown empty extension: %v", err)
	}
	for name, e := range map[string]metadata.ExtensionSpec{
		"StrangeExplicit": {Identifier: "StrangeExplicit", Type: reflect.TypeFor[uint8]()},
		"StrangeImplicit": {Identifier: "StrangeImplicit", Additional: reflect.TypeFor[uint8]()},
		"StrangeOption":   {Identifier: "StrangeOption", Type: reflect.TypeFor[optionalHash]()},
		"CheckEra":        {Identifier: "CheckEra", Type: reflect.TypeFor[uint64](), Additional: reflect.TypeFor[hashing.Hash]()},
		"CheckGenesis":    {Identifier: "CheckGenesis", Additional: reflect.TypeFor[[20]byte]()},
	} {
		raw, err := SignV4(call, signer, SignParams{Meta: madeMetadata(t, e)})
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), name) || raw != nil {
			t.Errorf("%s: %x, %v", name, raw, err)
		}
	}
	// The tip in an asset, and the disabled VerifyMultiSignature.
	m := madeMetadata(t, metadata.ExtensionSpec{Identifier: "ChargeAssetTxPayment", Type: reflect.TypeFor[assetTip]()}, metadata.ExtensionSpec{Identifier: "VerifyMultiSignature", Type: reflect.TypeFor[verifyMode]()})
	raw, err := SignV4(call, signer, SignParams{Meta: m, Tip: scale.NewU128(5), Nonce: 1})
	if err != nil {
		t.Fatal(err)
	}
	x, err := Decode(raw, m)
	if err != nil || hex.EncodeToString(x.Signed.Raw) != "00"+"04"+"14"+"00"+"1400"+"01" || x.Signed.Tip != scale.NewU128(5) {
		t.Errorf("%+v, %v", x.Signed, err)
	}
}

type assetTip struct {
	Tip   scale.CompactU128
	Asset *uint32
}

type verifyMode struct {
	_        scale.Enum
	Signed   *[96]byte `scale:"0"`
	Disabled *struct{} `scale:"1"`
}

func TestSignedPayloadRefuses(t *testing.T) {
	m := madeMetadata(t)
	p := SignParams{Meta: m}
	for name, c := range map[string]struct {
		extra string
		want  error
	}{
		"good": {"00000000", nil}, "cut": {"000000", ErrMalformed}, "trailing": {"0000000000", ErrMalformed},
		"metadata hash": {"00000001", ErrUnsupported}, "era without hash": {"a502000000", ErrMalformed},
	} {
		if b, err := SignedPayload([]byte{0, 0}, unhex(t, c.extra), p); !errors.Is(err, c.want) || c.want == nil && err != nil || c.want != nil && b != nil {
			t.Errorf("%s: %x, %v, want %v", name, b, err, c.want)
		}
	}
	if _, err := SignV4([]byte{0}, alice(t, keyring.Ed25519), p); err == nil {
		t.Error("a call of one byte is signed")
	}
	if _, err := SignV4([]byte{0, 0}, nil, p); err == nil {
		t.Error("signed without signer")
	}
	if _, err := SignV4([]byte{0, 0}, alice(t, keyring.Ed25519), SignParams{}); err == nil {
		t.Error("signed without metadata")
	}
}

func FuzzDecode(f *testing.F) {
	m := madeMetadata(f, metadata.ExtensionSpec{Identifier: "ChargeAssetTxPayment", Type: reflect.TypeFor[assetTip]()})
	f.Add(unhex(f, "280503000b80e44f8ba001"))
	f.Add(unhex(f, "280403000b80e44f8ba001"))
	for _, v := range vectors(f)[:4] {
		f.Add(unhex(f, v.Extrinsic))
	}
	for _, scheme := range []keyring.Scheme{keyring.Ed25519, keyring.Sr25519, keyring.Ecdsa} {
		raw, err := SignV4([]byte{0, 0, 4, 1}, alice(f, scheme), SignParams{Meta: m, Era: NewMortal(64, 42), EraHash: hashing.Hash{1}, Nonce: 5, Tip: scale.NewU128(6)})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add(withLength(unhex(f, "4500a5020d01040004000000")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		x, err := Decode(raw, m)
		if err != nil {
			if x != nil || !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnsupported) {
				t.Fatalf("%+v, %v", x, err)
			}
			return
		}
		if (x.Version != 4 && x.Version != 5) || x.Signed != nil && x.General != nil || len(x.Call) < 2 {
			t.Fatalf("%+v", x)
		}
		// The parts are the whole.
		var body []byte
		switch {
		case x.Signed != nil:
			body = append([]byte{signedV4}, x.Signed.Address...)
			body = x.Signed.Signature.AppendSCALE(body)
			body = append(append(body, x.Signed.Raw...), x.Call...)
			if payload, err := SignedPayload(x.Call, x.Signed.Raw, SignParams{Meta: m, EraHash: hashing.Hash{1}}); err == nil && x.Signed.Signer != nil {
				x.Signed.Signature.Verify(payload, *x.Signed.Signer)
			}
		case x.General != nil:
			body = append(append([]byte{generalV5, x.General.ExtensionVersion}, x.General.Raw...), x.Call...)
		default:
			body = append([]byte{x.Version}, x.Call...)
		}
		if back := withLength(body); !bytes.Equal(back, raw) {
			t.Fatalf("%x encodes to %x", raw, back)
		}
	})
}
