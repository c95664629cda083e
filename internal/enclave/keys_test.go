package enclave

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

func TestKeyMaterial(t *testing.T) {
	k := testKeys()
	k.Epoch = 3
	b := k.Encode()
	got, err := DecodeKeyMaterial(b)
	if err != nil {
		t.Fatal(err)
	}
	if got.Epoch != 3 || got.RootSeed != k.RootSeed || !bytes.Equal(got.Shielding.PKCS8(), k.Shielding.PKCS8()) || !bytes.Equal(got.Encode(), b) {
		t.Error("the round trip changed something")
	}
	if got.Hash() != k.Hash() {
		t.Error("equal key material has two hashes")
	}
	other := *k
	other.RootSeed[0] ^= 1
	if other.Hash() == k.Hash() || other.EnclaveAccount() == k.EnclaveAccount() {
		t.Error("another root seed changes nothing")
	}
	other = *k
	other.Epoch++
	if other.Hash() == k.Hash() || other.EnclaveAccount() != k.EnclaveAccount() {
		t.Error("another epoch must have another hash and the same secrets")
	}
	for name, bad := range map[string][]byte{
		"empty":    {},
		"newer":    append([]byte{2}, b[1:]...),
		"cut":      b[:len(b)-1],
		"trailing": append(bytes.Clone(b), 0),
		"no key":   append([]byte{1, 0, 0, 0, 0, 4, 0x30}, make([]byte, 32)...),
	} {
		k, err := DecodeKeyMaterial(bad)
		if !errors.Is(err, ErrKeyMaterial) || k != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewKeyMaterial(k.Shielding, bytes.NewReader(make([]byte, 31))); err == nil {
		t.Error("a random source that ends was accepted")
	}
	fresh, err := NewKeyMaterial(k.Shielding, bytes.NewReader(bytes.Repeat([]byte{5}, 32)))
	if err != nil || fresh.RootSeed != [32]byte(bytes.Repeat([]byte{5}, 32)) || fresh.Epoch != 0 {
		t.Errorf("fresh: %v", err)
	}
}

// TestDerivedSecrets pins what is derived from the root seed: it is part of
// every state root, and must never change.
func TestDerivedSecrets(t *testing.T) {
	k := testKeys()
	for label, want := range map[string]string{
		labelPRFState:       "0xe4fcf8406fd4d57658d44bf88715f61dee30882179af3330afa6b96b90d0a84d",
		labelPRFApp:         "0xb993ecec2aee200f74c51f8fa71330dd560861730d84605b954532d6979fc875",
		labelEscrow:         "0x9f75d82bd833aab6363aa0caacd5127e1d6d5049e0f415d28013ef55c127502c",
		labelEnclaveAccount: "0xa05ec528117b9b674cb20118b63f11bdc144196bdad326736cca0fd82cfd995b",
	} {
		if got := hashing.Hash(k.prf(label)).String(); got != want {
			t.Errorf("%s: %s, want %s", label, got, want)
		}
	}
}

func validTrust() TrustConfig { return DevTrustConfig(hashing.Hash{1}, integritee.ShardID{2}, "app") }

func TestTrustConfig(t *testing.T) {
	full := TrustConfig{
		Genesis: hashing.Hash{1}, StartNumber: 7, StartHash: hashing.Hash{2},
		Relay: &RelayTrust{Genesis: hashing.Hash{3}, ParaID: 2015, StartNumber: 9, StartHash: hashing.Hash{4}, StartAuthoritySetHash: hashing.Hash{5}},
		Shard: integritee.ShardID{6}, App: "app", Class: Production,
		Upgrade: UpgradeKeys{Threshold: 2, Keys: []keyring.AccountID{{1}, {2}, {3}}},
	}
	for name, c := range map[string]TrustConfig{"dev": validTrust(), "full": full} {
		got, err := DecodeTrustConfig(c.Encode())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(got.Encode(), c.Encode()) || got.Hash() != c.Hash() {
			t.Errorf("%s: the round trip changed something", name)
		}
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var read TrustConfig
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.Encode(), read.Encode()); diff != "" {
			t.Errorf("%s: JSON %s: %s", name, text, diff)
		}
	}
	for name, change := range map[string]func(*TrustConfig){
		"no genesis":         func(c *TrustConfig) { c.Genesis, c.StartHash = hashing.Hash{}, hashing.Hash{} },
		"start hash":         func(c *TrustConfig) { c.StartHash = hashing.Hash{9} },
		"start without set":  func(c *TrustConfig) { c.StartNumber, c.StartHash = 5, hashing.Hash{9} },
		"genesis with set":   func(c *TrustConfig) { c.StartAuthoritySetHash = hashing.Hash{9} },
		"parachain with set": func(c *TrustConfig) { *c = full; c.StartAuthoritySetHash = hashing.Hash{9} },
		"relay without set": func(c *TrustConfig) {
			*c = full
			r := *full.Relay
			r.StartAuthoritySetHash = hashing.Hash{}
			c.Relay = &r
		},
		"no app":                 func(c *TrustConfig) { c.App = "" },
		"long app":               func(c *TrustConfig) { c.App = strings.Repeat("a", 65) },
		"no class":               func(c *TrustConfig) { c.Class = 0 },
		"threshold too high":     func(c *TrustConfig) { c.Upgrade = UpgradeKeys{Threshold: 2, Keys: []keyring.AccountID{{1}}} },
		"no threshold":           func(c *TrustConfig) { c.Upgrade = UpgradeKeys{Threshold: 0, Keys: []keyring.AccountID{{1}}} },
		"keys twice":             func(c *TrustConfig) { c.Upgrade = UpgradeKeys{Threshold: 1, Keys: []keyring.AccountID{{1}, {1}}} },
		"keys not sorted":        func(c *TrustConfig) { c.Upgrade = UpgradeKeys{Threshold: 1, Keys: []keyring.AccountID{{2}, {1}}} },
		"unknown flag":           func(c *TrustConfig) { c.Insecure = 2 },
		"insecure in production": func(c *TrustConfig) { c.Class = Production; c.Insecure = TrustParentchainRPC },
	} {
		c := validTrust()
		change(&c)
		if err := c.Check(); !errors.Is(err, ErrTrustConfig) {
			t.Errorf("%s: %v", name, err)
		}
		if c.Class != 0 {
			if _, err := DecodeTrustConfig(c.Encode()); !errors.Is(err, ErrTrustConfig) {
				t.Errorf("%s, decoded: %v", name, err)
			}
		}
	}
	b := validTrust().Encode()
	for name, bad := range map[string][]byte{"empty": {}, "newer": append([]byte{2}, b[1:]...), "cut": b[:len(b)-1], "trailing": append(bytes.Clone(b), 0)} {
		if _, err := DecodeTrustConfig(bad); !errors.Is(err, ErrTrustConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, want := validTrust().Hash().String(), "0xf379ced66f200b409ad33d2d4f5b159841f15fd6b78d884c08fb063776b8f276"; got != want {
		t.Errorf("hash %s, want %s: report data of existing shards would change", got, want)
	}
}

// TestLabelsDoNotCollide reads the whole module: no domain label may be
// declared twice, and none may be the beginning of another, since what
// follows a label could then be mistaken for the rest of a longer one.
func TestLabelsDoNotCollide(t *testing.T) {
	label := regexp.MustCompile(`^ocw/[a-z0-9/-]+/[0-9]+$`)
	declared := map[string]string{}
	fset := token.NewFileSet()
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil // a file that is being written; the compiler will tell
		}
		ast.Inspect(file, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			if err != nil || !label.MatchString(text) {
				return true
			}
			at := fset.Position(lit.Pos()).String()
			if other, twice := declared[text]; twice {
				t.Errorf("%q is declared at %s and at %s", text, other, at)
			}
			declared[text] = at
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for text := range declared {
		all = append(all, text)
	}
	slices.Sort(all)
	for i := 1; i < len(all); i++ {
		if strings.HasPrefix(all[i], all[i-1]) {
			t.Errorf("%q (%s) starts with %q (%s)", all[i], declared[all[i]], all[i-1], declared[all[i-1]])
		}
	}
	for _, own := range []string{labelKeyMaterial, labelPRFState, labelPRFApp, labelEnclaveAccount} {
		if declared[own] == "" {
			t.Errorf("%q was not found: the search is broken", own)
		}
	}
	t.Logf("%d labels", len(all))
}
