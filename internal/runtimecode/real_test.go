package runtimecode

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// realRuntimes are runtimes of public repositories that were executed: what
// they say by SHA-256. Their licences differ, so none is here; see
// runtimesFolder.
var realRuntimes = map[string]struct {
	from        string // repository, path
	specName    string
	specVersion uint32
	metadata    string // SHA-256 of metadata V14
}{
	"0x510c9a92474166b58ba77560312154a98dccde9bc3a5f5c8b8dc6cb4e3193933": {"integritee-network/parachain polkadot-parachains/chain-specs/integritee-kusama.json", "integritee-parachain", 3, "af351b3390942e1a837bb91a47a70933920fbdf4d25e70c6a877896bbef7754f"},
	"0xc41bf1bbc12bdbedeaf0fa1a01fe37994f5b4668a5996900ebebf66152dd6f79": {"integritee-network/parachain polkadot-parachains/chain-specs/integritee-polkadot.json", "integritee-parachain", 4, "faf77b7cd30c24f81e7d718d9406383d618e08d6eff23e241abd6c8149783f8d"},
	"0x810775a0dbbc6a3938773f873e3559ae4898120b541c1c09339cb964c9400ab7": {"integritee-network/parachain polkadot-parachains/chain-specs/shell-kusama-lease3.json", "integritee-parachain", 8, "165fc23e69f47a9368025367ab3e0b451840cad71799900914d5851fa68b4b07"},
	"0x295a876f2bb5a7ca7c4fa694c3df288f9e09e34bd91033fe7cef02c2be9c99b6": {"integritee-network/parachain polkadot-parachains/chain-specs/integritee-moonbase.json", "integritee-parachain", 20, "c7efae928673b1b9b734b32e88982dd7931dd027e861030b0579f63815506cbb"},
	"0xc08f48e00018fe327a5883674055122cfcce1fe7c47c3975e6adb138364745ed": {"integritee-network/parachain polkadot-parachains/chain-specs/integritee-rococo.json", "integritee-parachain", 47, "4b865134a0f11d4feff53234fbb5a9af9b6b7748bc69645cc67e9d9cb19a0a0e"},
	"0x6cd0ebfa9dd122656d13c97b6340db47caa0a57c420300782eeaf172b8eac826": {"integritee-network/parachain polkadot-parachains/chain-specs/integritee-paseo.json", "integritee-parachain", 50, "3c5423ef3802cb827e1078cb6b6d25d5a80df25d0382bd30fb08c29a88f0be77"},
	"0x3a3358db867beb2ff3a99a894078331ab3d52b53f23f91bdcf867d5008e76340": {"scs/substrate-api-client examples/sync/examples/minimal_template_runtime.compact.compressed.wasm", "rococo", 111111111, "0b8d635908b709069cd1acbe7498e3de77319c2a8f7fa95e76eaf96ef57897a9"},
	"0x6c336af9c0714eba310f5f184a3ddfdce955b31c11cbce96680ad077a22eb0cd": {"paritytech/subxt artifacts/westend_runtime.compact.compressed.wasm", "westend", 1015000, "4cd037b31dd07176bc2b616bb2c03d247a68b88049641418874d69d92441e3e1"},
}

// runtimesFolder names a folder of files that each hold the value of `:code`
// of a real chain: those above and any others.
const runtimesFolder = "OCW_TEST_RUNTIMES"

func runtimeFiles(t testing.TB) []string {
	dir := os.Getenv(runtimesFolder)
	if dir == "" {
		t.Skipf("%s names no folder of runtimes; where they are had from is in real_test.go", runtimesFolder)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no runtimes in %s: %v", dir, err)
	}
	return files
}

func TestRealRuntimes(t *testing.T) {
	for _, file := range runtimeFiles(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			code, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			rt, err := Execute(t.Context(), code, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(rt.Metadata)
			t.Logf("%s %d, metadata of %d bytes, %x", rt.Version.SpecName, rt.Version.SpecVersion, len(rt.Metadata), sum)
			if want, ok := realRuntimes[rt.CodeHash.String()]; ok {
				if rt.Version.SpecName != want.specName || rt.Version.SpecVersion != want.specVersion || hex.EncodeToString(sum[:]) != want.metadata {
					t.Errorf("want %+v", want)
				}
			}
			m, err := metadata.Decode(rt.Metadata)
			if err != nil {
				t.Fatal(err)
			}
			// The runtime says its version in its metadata, too.
			constant, ok := m.Constant("System", "Version")
			if v, err := decodeVersion(constant); !ok || err != nil || v.SpecVersion != rt.Version.SpecVersion || v.SpecName != rt.Version.SpecName {
				t.Errorf("System.Version is %+v, %v", v, err)
			}
			compareWithExecutor(t, file, code)
		})
	}
}

// TestPaseoMetadata compares what the genesis runtime of Integritee Paseo says
// with the metadata that was fetched from a node of that chain.
func TestPaseoMetadata(t *testing.T) {
	const code = "0x6cd0ebfa9dd122656d13c97b6340db47caa0a57c420300782eeaf172b8eac826"
	vector := filepath.Join("..", "..", "..", "shared", "vectors", "metadata", "integritee-paseo-50-v14.hex")
	text, err := os.ReadFile(vector)
	if err != nil {
		t.Skipf("%s is not here: %v", vector, err)
	}
	want, err := hex.DecodeString(strings.TrimPrefix(strings.TrimSpace(string(text)), "0x"))
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(want); hex.EncodeToString(sum[:]) != realRuntimes[code].metadata {
		t.Errorf("the vector has SHA-256 %x, the runtime's metadata %s", sum, realRuntimes[code].metadata)
	}
}

// TestGeneratedWithExecutor has another executor run our generated module.
func TestGeneratedWithExecutor(t *testing.T) {
	for _, code := range [][]byte{generated(t, 14), generated(t, 14, 15)} {
		file := filepath.Join(t.TempDir(), "code.wasm")
		if err := os.WriteFile(file, code, 0o600); err != nil {
			t.Fatal(err)
		}
		compareWithExecutor(t, file, code)
	}
}

// compareWithExecutor compares the metadata that @polkadot-api/wasm-executor,
// which shares nothing with us, gets out of a runtime: version 15 where it is
// offered, else 14.
func compareWithExecutor(t *testing.T, file string, code []byte) {
	t.Helper()
	skip := t.Skipf
	if os.Getenv("OCW_TEST_NPM") == "required" {
		skip = t.Fatalf
	}
	dir := filepath.Join("testdata", "executor")
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		skip("%s/node_modules is missing: run npm ci there", dir)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		skip("node is not installed")
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "metadata.mjs", abs)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	theirs, err := hex.DecodeString(strings.TrimPrefix(string(out), "0x"))
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	if err := scale.Unmarshal(theirs, &want); err != nil {
		t.Fatal(err)
	}

	plain, err := decompress(code, defaultCodeSize)
	if err != nil {
		t.Fatal(err)
	}
	x, err := testExecutor(t, plain, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	offered, err := x.offeredVersions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	if slices.Contains(offered, 15) {
		got, err = x.metadataAt(t.Context(), 15)
	} else {
		got, err = x.metadata(t.Context())
	}
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of metadata, %v; the other executor has %d bytes of version %d", len(got), err, len(want), want[4])
	}
}

// BenchmarkExecute measures a whole execution, decompression and compilation
// included.
func BenchmarkExecute(b *testing.B) {
	run := func(name string, code []byte) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(code)))
			for b.Loop() {
				if _, err := Execute(b.Context(), code, Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("code=generated", generated(b, 14, 15))
	b.Run("real", func(b *testing.B) {
		for _, file := range runtimeFiles(b) {
			code, err := os.ReadFile(file)
			if err != nil {
				b.Fatal(err)
			}
			b.Run("code="+filepath.Base(file), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(code)))
				for b.Loop() {
					if _, err := Execute(b.Context(), code, Limits{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	})
}
