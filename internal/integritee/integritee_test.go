package integritee

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func pair(t testing.TB, scheme keyring.Scheme, uri string) *keyring.Pair {
	t.Helper()
	p, err := keyring.FromURI(scheme, uri)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The signed call of P 1.4: balance_unshield of amount 10, nonce 1, signed by a
// browser wallet.
const (
	callVector        = "030648fa130f901e5572e075db41da1ef1884a9d0acae9e964ff3f406651d7413c00000000000000000000000000000000000000000000000000000000000000000a000000000000000000000000000000496e636f676e69746565546573746e657430303030303030303030303030303301000000000136c2c45f0096aef4b404c540627be525de2ce85daad3e75f9d0758a4ccb3ab0e448a2b259b0ff582e0ef8a2c532e3fc85605b62fc390aa016c3c0448c916d48f"
	vectorFingerprint = "8weGnjvG3nh6UzoYjqaTjpWjX1ouNPioA1K5134DJc5j"
	vectorShard       = "IncogniteeTestnet000000000000003"
	vectorAccount     = "0x0648fa130f901e5572e075db41da1ef1884a9d0acae9e964ff3f406651d7413c"

	// The signed getter of P 1.6: account_info of the same account.
	getterVector = "01000648fa130f901e5572e075db41da1ef1884a9d0acae9e964ff3f406651d7413c0001c0e043e931689c9ff51a883c587baeab43d77cdf701085238af124441b293f0e6784c982d82b517b4795d7bf643ab67be5bcf58242ca7e33898c382cb0ef3383"
)

// skipCall reads over the calls that the tests use.
func skipCall(d *scale.Decoder) {
	switch i := d.U8(); i {
	case 0: // noop
		d.Fixed(32)
	case 2: // balance_transfer
		d.Fixed(32 + 32 + 16)
	case 3: // balance_unshield
		d.Fixed(32 + 32 + 16 + 32)
	case 5: // balance_transfer_with_note
		d.Fixed(32 + 32 + 16)
		d.BytesNoCopy()
	default:
		d.Fail(scale.ErrInvalid)
	}
}

func skipPublic(d *scale.Decoder) {
	if i := d.U8(); i > 2 {
		d.Fail(scale.ErrInvalid)
	}
}

func skipTrusted(d *scale.Decoder) {
	if i := d.U8(); i > 2 {
		d.Fail(scale.ErrInvalid)
	}
	d.Fixed(32)
}

func TestCallVector(t *testing.T) {
	raw := unhex(t, callVector)
	d := scale.NewDecoder(raw)
	c := DecodeTrustedCallSigned(d, skipCall)
	if err := d.Finish(); err != nil {
		t.Fatal(err)
	}
	if c.Nonce != 1 || c.Delegate != nil || c.Signature.Scheme != keyring.Sr25519 || len(c.Call) != 1+32+32+16+32 {
		t.Errorf("decoded %+v", c)
	}
	if back := c.AppendSCALE(nil); !bytes.Equal(back, raw) {
		t.Errorf("encodes to %x", back)
	}
	if c.Hash() != hashing.Blake2b256(raw) {
		t.Error("hash is not that of the encoding")
	}
	mr, err := ParseFingerprint(vectorFingerprint)
	if err != nil || hex.EncodeToString(mr[:]) != "760150e5b93cbdfbf0a867a3c4df375db48b98c1f4c2e49f509b4a7ddd8373c6" {
		t.Fatalf("fingerprint %x, %v", mr, err)
	}
	shard := ShardID([]byte(vectorShard))
	who, err := keyring.ParseAccountID(vectorAccount)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Verify(who, mr, shard) {
		t.Error("does not verify under its fingerprint and shard")
	}
	if c.Verify(who, Fingerprint{}, shard) || c.Verify(who, mr, ShardID{}) || c.Verify(keyring.AccountID{}, mr, shard) {
		t.Error("verifies under another fingerprint, shard or account")
	}
	if c.Signature.Verify(CallPayload(c.Call, c.Nonce, mr, shard), who) {
		t.Error("the vector is of a wrapped payload, but verifies without")
	}
	// A delegate takes the sender's place, and is itself not signed.
	c.Delegate = &who
	if !c.Verify(keyring.AccountID{}, mr, shard) {
		t.Error("delegate's signature does not verify")
	}
	c.Delegate = &keyring.AccountID{}
	if c.Verify(who, mr, shard) {
		t.Error("verifies although the delegate did not sign")
	}
	c.Delegate = nil
	c.Nonce++
	if c.Verify(who, mr, shard) {
		t.Error("verifies with another nonce")
	}
}

func TestGetterVector(t *testing.T) {
	raw := unhex(t, getterVector)
	d := scale.NewDecoder(raw)
	g := DecodeGetter(d, skipPublic, skipTrusted)
	if err := d.Finish(); err != nil || g.Trusted == nil || g.Public != nil {
		t.Fatalf("%+v, %v", g, err)
	}
	if back := g.AppendSCALE(nil); !bytes.Equal(back, raw) {
		t.Errorf("encodes to %x", back)
	}
	who, _ := keyring.ParseAccountID(vectorAccount)
	if !g.Trusted.Verify(who, ShardID{}) {
		t.Error("does not verify")
	}
	if g.Trusted.Verify(keyring.AccountID{}, ShardID{}) {
		t.Error("verifies for another account")
	}
	// total_issuance as in P 4.4.
	d = scale.NewDecoder([]byte{0, 1})
	if g := DecodeGetter(d, skipPublic, skipTrusted); d.Finish() != nil || g.Trusted != nil || !bytes.Equal(g.Public, []byte{1}) || !bytes.Equal(g.AppendSCALE(nil), []byte{0, 1}) {
		t.Errorf("public getter: %+v, %v", g, d.Err())
	}
	d = scale.NewDecoder([]byte{2, 1})
	if g := DecodeGetter(d, skipPublic, skipTrusted); !errors.Is(d.Err(), scale.ErrInvalid) || g.Public != nil || g.Trusted != nil {
		t.Errorf("getter 2: %+v, %v", g, d.Err())
	}
}

func TestSignedCallsAndGetters(t *testing.T) {
	mr, shard := Fingerprint{1}, ShardID{2}
	for _, scheme := range []keyring.Scheme{keyring.Ed25519, keyring.Sr25519, keyring.Ecdsa} {
		p := pair(t, scheme, "//Alice")
		who := p.AccountID()
		c := SignCall(append([]byte{0}, who[:]...), 7, mr, shard, p)
		if !c.Verify(who, mr, shard) {
			t.Errorf("%v: own call does not verify", scheme)
		}
		top := c.IndirectCall()
		d := scale.NewDecoder(top)
		if i := DecodeOperation(d); i != TOPIndirectCall {
			t.Errorf("operation %d", i)
		}
		back := DecodeTrustedCallSigned(d, skipCall)
		if err := d.Finish(); err != nil || back.Hash() != c.Hash() || OperationHash(top) == c.Hash() {
			t.Errorf("%v: back %+v, %v", scheme, back, err)
		}
		g := SignGetter(append([]byte{0}, who[:]...), p)
		if !g.Trusted.Verify(who, ShardID{}) {
			t.Errorf("%v: own getter does not verify", scheme)
		}
	}
	for _, delegate := range []bool{false, true} {
		alice := pair(t, keyring.Sr25519, "//Alice")
		who, owner := alice.AccountID(), alice.AccountID()
		if delegate {
			owner = keyring.AccountID{7}
		}
		getter := append([]byte{0}, owner[:]...)
		raw := SignBoundGetter(getter, Bounds{Key: [32]byte{3}, Expiry: 0x01020304, Nonce: [16]byte{5}}, shard, owner, alice).AppendSCALE(nil)
		prefix := fmt.Sprintf("80%x%s04030201%s", getter, hex.EncodeToString(append([]byte{3}, make([]byte, 31)...)), hex.EncodeToString(append([]byte{5}, make([]byte, 15)...)))
		if delegate {
			prefix += "01" + hex.EncodeToString(who[:])
		} else {
			prefix += "00"
		}
		if prefix += "01"; hex.EncodeToString(raw)[:len(prefix)] != prefix || len(raw) != len(prefix)/2+64 {
			t.Errorf("encodes to %x, want %s…", raw, prefix)
		}
		for name, c := range map[string]struct {
			change func(g *TrustedGetterSigned)
			shard  ShardID
			good   bool
		}{
			"unchanged":     {func(*TrustedGetterSigned) {}, shard, true},
			"other shard":   {func(*TrustedGetterSigned) {}, ShardID{}, false},
			"other key":     {func(g *TrustedGetterSigned) { g.Bounds.Key[0]++ }, shard, false},
			"other expiry":  {func(g *TrustedGetterSigned) { g.Bounds.Expiry++ }, shard, false},
			"other nonce":   {func(g *TrustedGetterSigned) { g.Bounds.Nonce[0]++ }, shard, false},
			"other getter":  {func(g *TrustedGetterSigned) { g.Getter[0]++ }, shard, false},
			"delegate":      {func(g *TrustedGetterSigned) { g.Delegate = &keyring.AccountID{9} }, shard, false},
			"not bound":     {func(g *TrustedGetterSigned) { g.Bounds = nil }, shard, false},
			"by a wallet":   {func(g *TrustedGetterSigned) { g.Signature = alice.Sign(WrapBytes(g.Payload(shard))) }, shard, true},
			"the old bytes": {func(g *TrustedGetterSigned) { g.Signature = alice.Sign(g.Getter) }, shard, false},
		} {
			d := scale.NewDecoder(bytes.Clone(raw))
			g := DecodeGetter(d, skipPublic, skipTrusted)
			if d.Finish() != nil || g.Trusted == nil || !bytes.Equal(g.AppendSCALE(nil), raw) {
				t.Fatalf("%+v, %v", g, d.Err())
			}
			if c.change(g.Trusted); g.Trusted.Verify(owner, c.shard) != c.good {
				t.Errorf("delegate %v, %s: %v", delegate, name, !c.good)
			}
		}
	}
	d := scale.NewDecoder([]byte{3})
	if DecodeOperation(d); !errors.Is(d.Err(), scale.ErrInvalid) {
		t.Errorf("operation 3: %v", d.Err())
	}
}

// The vectors of P 3.5, among them those of binary_merkle_tree with raw leaves.
func TestConfirmationVectors(t *testing.T) {
	args := unhex(t, "0b80e44f8ba001")
	d := scale.NewDecoder(args)
	now := d.CompactU64()
	if err := d.Finish(); err != nil {
		t.Fatal(err)
	}
	stamp := LeafTimestampSet(now)
	invoke := IndirectLeafInvoke(Request{Shard: ShardID(bytes.Repeat([]byte{4}, 32)), Cyphertext: bytes.Repeat([]byte{7}, 384)})
	fours, nines := hashing.Hash(bytes.Repeat([]byte{4}, 32)), hashing.Hash(bytes.Repeat([]byte{9}, 32))
	for name, c := range map[string]struct {
		got  hashing.Hash
		want string
	}{
		"leaf of TimestampSet": {stamp, "2a8ff29da8a42ebf411e9c303c02fe3a37b89e141e0d296169bc0df1d3bc640b"},
		"root of TimestampSet": {MerkleRoot([]hashing.Hash{stamp}), "51ae3832531fd61865498a5b2215e5b0fd9e529f2f76461043a2fc69bea392a8"},
		"leaf of Invoke":       {invoke, "3417ddd469156fca64bf09dc32537f7e10e8a895b2ba0c6326da26f7ef803e2b"},
		"root of both":         {MerkleRoot([]hashing.Hash{stamp, invoke}), "42c3c33fd5c14a484dc40b3ec65c853359c62982019f8478bc405ac9e5e14027"},
		"no leaves":            {MerkleRoot(nil), strings.Repeat("00", 32)},
		"04.. and 09..":        {MerkleRoot([]hashing.Hash{fours, nines}), "83b9f6ddf08fabd9fd01c4caee5e2901e1b057b01faa50fa8f2615864ebec00b"},
		"a, b, c":              {rootOfText("a", "b", "c"), "5842148bc6ebeb52af882a317c765fccd3ae80589b21a9b8cbf21abb630e46a7"},
		"a, b, a, b":           {rootOfText("a", "b", "a", "b"), "dc8e73fe6903148ff5079baecc043983625c23b39f31537e322cd0deee09fa9c"},
		"a to j":               {rootOfText(strings.Split("abcdefghij", "")...), "cc50382cfd3c9a617741e9a85efee8752b8feb95a2cbecd6365fb21366ce0c8c"},
	} {
		if got := hex.EncodeToString(c.got[:]); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
	// A leaf of ShieldFunds is the hash of index, shard, Vec<u8>, u128.
	want := append(append([]byte{0}, fours[:]...), 8, 1, 2)
	want = append(want, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	if got := LeafShieldFunds(ShardID(fours), []byte{1, 2}, scale.NewU128(5)); got != hashing.Blake2b256(want) {
		t.Errorf("leaf of ShieldFunds: %v", got)
	}
	// The leaves given are not changed.
	leaves := []hashing.Hash{nines, fours, nines}
	MerkleRoot(leaves)
	if leaves[0] != nines || leaves[1] != fours || leaves[2] != nines {
		t.Error("leaves were changed")
	}
}

func rootOfText(leaves ...string) hashing.Hash {
	var level []hashing.Hash
	for _, l := range leaves {
		level = append(level, hashing.Keccak256([]byte(l)))
	}
	return foldMerkle(level)
}

func TestReturnValue(t *testing.T) {
	for _, c := range []struct {
		r   ReturnValue
		hex string
		err string
	}{
		{OkValue([]byte{1, 2}), "0x0801020000", ""},
		{OkValue(nil), "0x000000", ""},
		{ReturnValue{}, "0x000000", ""},
		{ErrorValue("no"), "0x0c086e6f0002", "worker: no"},
		{ReturnValue{DoWatch: true, Status: DirectRequestStatus{TrustedOperationStatus: &TrustedOperationStatus{Submitted: &struct{}{}}}}, "0x00010100", ""},
		{ReturnValue{Status: DirectRequestStatus{TrustedOperationStatus: &TrustedOperationStatus{InSidechainBlock: &hashing.Hash{7}}}}, "0x00000104" + "07" + strings.Repeat("00", 31), ""},
		{ReturnValue{Value: []byte{0xff}, Status: DirectRequestStatus{Error: &struct{}{}}}, "0x04ff0002", "worker: error without a readable message"},
	} {
		if got := c.r.Hex(); got != c.hex {
			t.Errorf("%+v: got %s, want %s", c.r, got, c.hex)
		}
		for _, text := range []string{c.hex, c.hex[2:]} {
			back, err := ParseReturnValue(text)
			if err != nil || back.Hex() != c.hex {
				t.Errorf("%s: back %+v, %v", text, back, err)
			}
			var re *RequestError
			if err := back.Err(); (err == nil) != (c.err == "") || err != nil && (err.Error() != c.err || !errors.As(err, &re)) {
				t.Errorf("%s: error %v, want %q", text, err, c.err)
			}
		}
	}
	for _, bad := range []string{"", "0x", "zz", "0x0000", "0x000003", "0x000200", "0x00000000", "0x0000010b", "0xfc00"} {
		if r, err := ParseReturnValue(bad); !errors.Is(err, scale.ErrShort) && !errors.Is(err, scale.ErrInvalid) && !errors.Is(err, scale.ErrTrailing) || r.Value != nil {
			t.Errorf("%q: got %+v, %v", bad, r, err)
		}
	}
}

func TestIDs(t *testing.T) {
	shard, err := ParseShardID(vectorFingerprint)
	if err != nil || shard.String() != vectorFingerprint {
		t.Errorf("%v, %v", shard, err)
	}
	if other, err := ParseShardID("0x" + hex.EncodeToString(shard[:])); err != nil || other != shard {
		t.Errorf("hex: %v, %v", other, err)
	}
	if a := shard.BondingAccount(); a != keyring.AccountID(shard) {
		t.Errorf("bonding account %v", a)
	}
	type ids struct {
		S ShardID
		F Fingerprint
	}
	b, err := json.Marshal(ids{shard, Fingerprint(shard)})
	var back ids
	if err != nil || json.Unmarshal(b, &back) != nil || back.S != shard || back.F != Fingerprint(shard) || !strings.Contains(string(b), vectorFingerprint) {
		t.Errorf("JSON %s, back %+v, %v", b, back, err)
	}
	if zero, err := ParseShardID(strings.Repeat("1", 32)); err != nil || zero != (ShardID{}) {
		t.Errorf("32 ones: %v, %v", zero, err)
	}
	for _, bad := range []string{"", "0x", "0x00", "1", strings.Repeat("1", 31), strings.Repeat("1", 33), strings.Repeat("z", 44), strings.Repeat("1", 1<<20), vectorFingerprint + "1", "0OIl"} {
		if s, err := ParseShardID(bad); !errors.Is(err, ErrInvalidID) || s != (ShardID{}) {
			t.Errorf("%.50q: %v, %v", bad, s, err)
		}
		if f, err := ParseFingerprint(bad); !errors.Is(err, ErrInvalidID) || f != (Fingerprint{}) {
			t.Errorf("%.50q: %v, %v", bad, f, err)
		}
	}
}
