package inspect

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

const (
	kusamaV15 = "metadata/integritee-kusama-560-v15.scale"
	paseoV14  = "metadata/integritee-paseo-50-v14.hex"
	teePallet = "metadata/integritee-kusama-560-tee-pallets.json"
)

// form is the JSON of the tables, here and in the file made by polkadot.js.
type form struct {
	MetadataVersion int
	Extrinsic       struct {
		SignedExtensions []struct{ ID, Type, Additional string }
	}
	Pallets []string
	Detail  map[string]map[string]any
}

// constants brings the values of constants, which polkadot.js writes as
// "1,000", into one form.
func (f *form) constants() {
	for _, p := range f.Detail {
		for _, c := range p["constants"].([]any) {
			c := c.(map[string]any)
			c["value"] = strings.ReplaceAll(fmt.Sprint(c["value"]), ",", "")
		}
	}
}

func parse(t *testing.T, raw []byte) *form {
	t.Helper()
	f := new(form)
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(f); err != nil {
		t.Fatal(err)
	}
	f.constants()
	return f
}

// TestMetadataTables compares the output for real metadata with tables that
// polkadot.js made of the same runtime. The other file is of another runtime
// that has the same two pallets.
func TestMetadataTables(t *testing.T) {
	_, raw := vector(t, teePallet)
	want := parse(t, raw)
	for _, tt := range []struct {
		file    string
		version int
		pallets []string
	}{
		{kusamaV15, 15, []string{"Teerex", "Teeracle", "Sidechain", "EnclaveBridge", "TeerDays"}},
		{paseoV14, 14, []string{"Teerex", "EnclaveBridge"}},
	} {
		t.Run(tt.file, func(t *testing.T) {
			path, _ := vector(t, tt.file)
			exit, out, err := run(MetadataCommand(), nil, "--json", path)
			if exit != 0 || err != nil {
				t.Fatal(exit, err)
			}
			got := parse(t, []byte(out))
			if got.MetadataVersion != tt.version {
				t.Errorf("version %d", got.MetadataVersion)
			}
			for _, name := range tt.pallets {
				if diff := cmp.Diff(want.Detail[name], got.Detail[name]); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
			}
			if tt.version == want.MetadataVersion {
				if diff := cmp.Diff(want.Pallets, got.Pallets); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(want.Extrinsic, got.Extrinsic); diff != "" {
					t.Error(diff)
				}
			}
			if len(got.Detail) != len(got.Pallets) {
				t.Errorf("details of %d pallets of %d", len(got.Detail), len(got.Pallets))
			}
			// "54:EnclaveBridge" in the text, with its first call and event.
			exit, out, err = run(MetadataCommand(), nil, path)
			if exit != 0 || err != nil {
				t.Fatal(exit, err)
			}
			text := strings.Join(strings.Fields(out), " ")
			for _, line := range []string{
				"54 EnclaveBridge calls 0 invoke(request: Request) 1 confirm_processed_parentchain_block(",
				"events 0 IndirectInvocationRegistered(ShardIdentifier) 1 ShieldFunds(shard: ShardIdentifier, encrypted_beneficiary: Vec<u8>, amount: BalanceOf<T>)",
				"errors 0 WrongFingerprintForShard 1 TooManyTopics",
				"storage, prefix EnclaveBridge ShardStatus[Blake2_128Concat H256] Vec<EnclaveBridgePrimitivesShardSignerStatus> Optional",
				"14 OtherSgxVerifyError(sgx_verify::Error)",
				"MomentsPerDay u64 \"86400000\"",
				"4 CheckMortality Era signed: H256",
			} {
				if !strings.Contains(text, line) {
					t.Errorf("%q is missing", line)
				}
			}
		})
	}
}

// TestMetadataForms reads one metadata in all forms that a file can have.
func TestMetadataForms(t *testing.T) {
	raw := small(t)
	want := tablesJSON(t, raw)
	opaque := scale.AppendBytes(nil, raw)
	forms := map[string][]byte{"raw": raw, "length": opaque, "option": append([]byte{1}, opaque...)}
	for name, b := range forms {
		text := hex.EncodeToString(b)
		for form, file := range map[string][]byte{
			"as it is": b, "hex": []byte(text), "0x": []byte("0x" + text + "\n"), "upper case": []byte(strings.ToUpper(text)), "quoted": []byte(` "0x` + text + "\"\r\n"),
		} {
			m, err := decodeMetadata(file)
			if err != nil {
				t.Errorf("%s, %s: %v", name, form, err)
				continue
			}
			if got, err := json.Marshal(newTables(m, nil)); err != nil || string(got) != want {
				t.Errorf("%s, %s: %s, %v", name, form, got, err)
			}
		}
	}
	for name, file := range map[string][]byte{
		"empty": nil, "one byte": {1}, "no hex": []byte("0xmeta"), "hex of something": []byte("0x0102"), "cut": raw[:len(raw)-1],
		"a byte more": append(bytes.Clone(raw), 0), "hex and a byte more": []byte(hex.EncodeToString(raw) + "00"),
		"length is wrong": append(bytes.Clone(opaque), 0), "none": {0}, "version 13": []byte("meta\x0d"), "version 17": []byte("meta\x11"),
	} {
		exit, out, err := run(MetadataCommand(), file, "-")
		if exit != 1 || out != "" || err == nil {
			t.Errorf("%s: exit code %d, %s", name, exit, out)
		}
	}
}

func TestPalletFlag(t *testing.T) {
	raw := small(t)
	exit, out, err := run(MetadataCommand(), raw, "--json", "--pallet", "Two", "-")
	got := parse(t, []byte(out))
	if exit != 0 || err != nil || len(got.Detail) != 1 || got.Detail["Two"] == nil || len(got.Pallets) != 2 {
		t.Errorf("exit code %d, %v\n%s", exit, err, out)
	}
	if exit, out, err := run(MetadataCommand(), raw, "--pallet", "Three", "-"); exit != 1 || out != "" || err == nil {
		t.Errorf("exit code %d, %v\n%s", exit, err, out)
	}
}

// small returns the metadata of two pallets with a name that would clear a
// terminal.
func small(t testing.TB) []byte {
	t.Helper()
	b := []byte("meta\x0f")
	var types []byte
	typ := func(id byte, kind metadata.Kind, rest ...byte) {
		types = append(types, id<<2, 0, 0, byte(kind)) // no path, no parameters
		types = append(types, append(rest, 0)...)      // no docs
	}
	typ(0, metadata.KindTuple, 0)
	typ(1, metadata.KindVariant, 0)
	typ(2, metadata.KindSequence, 2<<2)                      // Vec<Self>
	typ(3, metadata.KindTuple, 4<<2, 5<<2, 5<<2, 5<<2, 5<<2) // four Vec<Self>
	typ(4, metadata.KindSequence, 0)
	typ(5, metadata.KindSequence, 3<<2)
	b = append(append(b, 6<<2), types...)
	pallet := func(name string, index, constantType byte) {
		b = scale.AppendString(b, name)
		b = append(b, 0, 0, 0, 1<<2) // no storage, calls or events; one constant
		b = scale.AppendString(b, "\x1b[2J\n\tC")
		b = append(b, constantType<<2, 1<<2, 0, 0) // the value is a zero byte, no docs
		b = append(b, 0, index, 0)                 // no errors, no docs
	}
	b = append(b, 2<<2)
	pallet("One", 0, 2)
	pallet("Two", 1, 3)
	b = append(b, 4, 0, 1<<2, 0, 0, 0)       // extrinsics of version 4: address, call, signature, extra, no extensions
	b = append(b, 0, 0, 1<<2, 1<<2, 1<<2, 0) // runtime, no APIs, outer enums, nothing else
	if _, err := metadata.Decode(b); err != nil {
		t.Fatal(err)
	}
	return b
}

func tablesJSON(t *testing.T, raw []byte) string {
	t.Helper()
	m, err := metadata.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(newTables(m, nil))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestTypeNames names types that would never end.
func TestTypeNames(t *testing.T) {
	m, err := metadata.Decode(small(t))
	if err != nil {
		t.Fatal(err)
	}
	n := newNamer(m)
	for id, want := range map[metadata.TypeID]string{0: "Null", 1: "Type1", 9: "Type9"} {
		if got := n.typeName(id); got != want {
			t.Errorf("type %d is %s, want %s", id, got, want)
		}
	}
	for _, id := range []metadata.TypeID{2, 3} {
		if got := n.typeName(id); len(got) > 2000 || !strings.Contains(got, "Type") {
			t.Errorf("type %d is %s", id, got)
		}
	}
	for path, want := range map[string]string{
		"teerex_primitives::SgxStatus":                      "TeerexPrimitivesSgxStatus",
		"frame_system::extensions::check_nonce::CheckNonce": "FrameSystemExtensionsCheckNonce",
		"sp_runtime::generic::digest::Digest":               "SpRuntimeDigest",
		"sp_weights::weight_v2::Weight":                     "SpWeightsWeightV2Weight",
		"":                                                  "",
		"élan::vital":                                       "ÉlanVital",
		strings.TrimSuffix(strings.Repeat("abcdefghi::", 30), "::"): "", // something short
	} {
		got := camelPath(strings.Split(path, "::"))
		if want != "" && got != want || len(got) > maxTypeName+len("…") {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
}

func TestMetadataPrintable(t *testing.T) {
	exit, out, err := run(MetadataCommand(), small(t), "-")
	if exit != 0 || err != nil || strings.ContainsAny(out, "\x1b\t") {
		t.Errorf("exit code %d, %v, %q", exit, err, out)
	}
}

func FuzzMetadata(f *testing.F) {
	raw := small(f)
	f.Add(raw)
	f.Add([]byte(hex.EncodeToString(raw)))
	f.Add(scale.AppendBytes([]byte{1}, raw))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeMetadata(b)
		if err != nil {
			return
		}
		tables := newTables(m, nil)
		var out bytes.Buffer
		if err := tables.print(&out); err != nil {
			t.Error(err)
		}
		if strings.ContainsAny(out.String(), "\x1b\x07") {
			t.Errorf("%q", out.String())
		}
		if err := printJSON(&out, tables); err != nil {
			t.Error(err)
		}
	})
}
