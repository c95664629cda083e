package inspect

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/internal/usage"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/header"
)

const vectors = "../../../shared/vectors"

// vector returns the path and the content of a file that we did not make.
func vector(t testing.TB, name string) (string, []byte) {
	t.Helper()
	path := filepath.Join(vectors, filepath.FromSlash(name))
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("%s is absent", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path, b
}

// run executes a command as main does.
func run(cmd *cobra.Command, input []byte, args ...string) (code int, stdout string, err error) {
	var out bytes.Buffer
	cmd.SetArgs(args)
	cmd.SetIn(bytes.NewReader(input))
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	usage.Prepare(cmd)
	err = cmd.Execute()
	return usage.ExitCode(err), out.String(), err
}

// block is a header with keys that finalize it.
type block struct {
	header      header.Header
	keys        []ed25519.PrivateKey
	authorities []grandpa.Authority
	set         uint64
}

func newBlock(voters int) *block {
	b := &block{header: header.Header{Number: 7, Digest: []header.DigestItem{{Kind: header.DigestOther, Data: []byte{1}}}}, set: 3}
	for i := range voters {
		key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i)}, 32))
		b.keys = append(b.keys, key)
		b.authorities = append(b.authorities, grandpa.Authority{ID: [32]byte(key.Public().(ed25519.PublicKey)), Weight: 1})
	}
	return b
}

func (b *block) vote(i int, h *header.Header) grandpa.SignedPrecommit {
	return grandpa.Sign(b.keys[i], 9, b.set, h.Hash(), h.Number)
}

// file returns a file with the votes of the first n.
func (b *block) file(n int, change ...func(map[string]any)) []byte {
	var votes []grandpa.SignedPrecommit
	for i := range n {
		votes = append(votes, b.vote(i, &b.header))
	}
	return b.fileOf(grandpa.NewJustification(9, b.header.Hash(), b.header.Number, votes, nil), change...)
}

func (b *block) fileOf(j *grandpa.Justification, change ...func(map[string]any)) []byte {
	f := map[string]any{
		"source": "test", "setId": b.set, "header": b.header,
		"authorities":   "0x" + hex.EncodeToString(scale.MustMarshal(b.authorities)),
		"justification": "0x" + hex.EncodeToString(j.AppendSCALE(nil)),
		"blockHash":     b.header.Hash(),
		"headerScale":   hex.EncodeToString(b.header.AppendSCALE(nil)),
	}
	for _, c := range change {
		c(f)
	}
	raw, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	return raw
}

func set(name string, v any) func(map[string]any) {
	return func(f map[string]any) {
		if v == nil {
			delete(f, name)
		} else {
			f[name] = v
		}
	}
}

func TestFinality(t *testing.T) {
	b := newBlock(4)
	other := b.header
	other.StateRoot[0]++
	child := header.Header{ParentHash: b.header.Hash(), Number: 8}
	justify := func(votes ...grandpa.SignedPrecommit) *grandpa.Justification {
		return grandpa.NewJustification(9, b.header.Hash(), 7, votes, nil)
	}
	withHeader := justify(b.vote(0, &b.header), b.vote(1, &b.header), b.vote(2, &b.header))
	withHeader.VotesAncestries = []header.Header{child}
	elsewhere := justify(b.vote(0, &child), b.vote(1, &child), b.vote(2, &child), b.vote(3, &b.header))
	elsewhere.VotesAncestries = []header.Header{child}
	bad := b.vote(1, &b.header)
	bad.Signature[9]++
	stranger := grandpa.Sign(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{77}, 32)), 9, 3, b.header.Hash(), 7)
	unlinked := b.vote(2, &header.Header{Number: 9})

	for _, tt := range []struct {
		name string
		file []byte
		code string // "" means final
	}{
		{"all", b.file(4), ""},
		{"three of four", b.file(3), ""},
		{"equivocator", b.fileOf(justify(b.vote(0, &b.header), b.vote(1, &b.header), b.vote(1, &child), b.vote(2, &b.header)), func(f map[string]any) {
			j := justify(b.vote(0, &b.header), b.vote(1, &b.header), b.vote(1, &child), b.vote(2, &b.header))
			j.VotesAncestries = []header.Header{child}
			f["justification"] = hex.EncodeToString(j.AppendSCALE(nil))
		}), ""},
		{"without the optional fields", b.file(3, set("blockHash", nil), set("headerScale", nil), set("source", nil)), ""},
		{"two of four", b.file(2), "too-few-votes"},
		{"no votes", b.file(0), "too-few-votes"},
		{"another set id", b.file(4, set("setId", 4)), "signature"},
		{"bad signature", b.fileOf(justify(b.vote(0, &b.header), bad, b.vote(2, &b.header), b.vote(3, &b.header))), "signature"},
		{"a stranger's vote", b.fileOf(justify(b.vote(0, &b.header), b.vote(1, &b.header), b.vote(2, &b.header), stranger)), "stranger"},
		{"a vote twice", b.fileOf(justify(b.vote(0, &b.header), b.vote(0, &b.header), b.vote(1, &b.header), b.vote(2, &b.header))), "redundant-vote"},
		{"a vote that is not linked", b.fileOf(justify(b.vote(0, &b.header), b.vote(1, &b.header), unlinked)), "vote-not-linked"},
		{"a header too many", b.fileOf(withHeader), "unused-header"},
		{"votes for a child", b.fileOf(elsewhere), "votes-for-another-block"},
		{"other authorities", b.file(4, set("authorities", hex.EncodeToString(scale.MustMarshal(b.authorities[1:])))), "stranger"},
		{"no authorities", b.file(4, set("authorities", "0x00")), "authorities"},
		{"authorities without weight", b.file(4, set("authorities", hex.EncodeToString(scale.MustMarshal([]grandpa.Authority{{}})))), "authorities"},
		{"justification cut", b.file(4, func(f map[string]any) { s := f["justification"].(string); f["justification"] = s[:len(s)-2] }), "malformed"},
		{"justification with a byte more", b.file(4, func(f map[string]any) { f["justification"] = f["justification"].(string) + "00" }), "malformed"},
		{"justification of nothing", b.file(4, set("justification", "0x")), "malformed"},
		{"another header", b.file(4, set("header", other), set("blockHash", nil), set("headerScale", nil)), "other-block"},
		{"header differs from blockHash", b.file(4, set("header", other), set("headerScale", nil)), "file"},
		{"header differs from headerScale", b.file(4, set("header", other), set("blockHash", nil)), "file"},
		{"headerScale is no hex", b.file(4, set("headerScale", "0x1")), "file"},
		{"authorities are no hex", b.file(4, set("authorities", "xyz")), "file"},
		{"authorities with a byte more", b.file(4, func(f map[string]any) { f["authorities"] = f["authorities"].(string) + "00" }), "file"},
		{"justification is no hex", b.file(4, set("justification", "0xg0")), "file"},
		{"no set id", b.file(4, set("setId", nil)), "file"},
		{"negative set id", b.file(4, set("setId", -1)), "file"},
		{"no header", b.file(4, set("header", nil)), "file"},
		{"no justification", b.file(4, set("justification", nil)), "file"},
		{"authorities missing", b.file(4, set("authorities", nil)), "file"},
		{"empty", nil, "file"},
		{"no JSON", []byte("justification"), "file"},
		{"two objects", append(b.file(4), b.file(4)...), "file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantCode := 0
			if tt.code != "" {
				wantCode = 1
			}
			exit, out, err := run(VerifyCommand(), tt.file, "finality", "--json", "-")
			var v struct {
				Final  bool
				Number uint32
				Voters int
				Error  struct{ Code, Message string }
			}
			if jerr := json.Unmarshal([]byte(out), &v); jerr != nil {
				t.Fatalf("%v in %s", jerr, out)
			}
			if exit != wantCode || v.Final != (tt.code == "") || v.Error.Code != tt.code || (v.Error.Message == "") != v.Final || (err == nil) != v.Final {
				t.Errorf("exit code %d, %v, %s; want %q", exit, err, out, tt.code)
			}
			if v.Final && (v.Number != 7 || v.Voters < 3) {
				t.Error(out)
			}
			exit, out, _ = run(VerifyCommand(), tt.file, "finality", "-")
			if exit != wantCode || strings.Contains(out, "is final\n") != v.Final {
				t.Errorf("exit code %d, %s", exit, out)
			}
		})
	}
}

// TestFinalityVector verifies a real proof, and then with every byte of it,
// every authority and parts of the header changed.
func TestFinalityVector(t *testing.T) {
	path, raw := vector(t, "grandpa/bittensor-finney-9183744.json")
	exit, out, err := run(VerifyCommand(), nil, "finality", path)
	if exit != 0 || err != nil || !strings.Contains(out, "block 9183744 0xbe7c4376dd1051650c4bacc7b871f859a0583136a158ec2ae5f01e520ef7585b is final\n") {
		t.Errorf("exit code %d, %v\n%s", exit, err, out)
	}
	var f map[string]any
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	p, err := decodeFinality(raw)
	if err != nil {
		t.Fatal(err)
	}
	judgeWith := func(change ...func(map[string]any)) verdict {
		g := map[string]any{}
		for k, v := range f {
			g[k] = v
		}
		for _, c := range change {
			c(g)
		}
		raw, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		return judge(raw)
	}
	if v := judgeWith(); !v.Final || v.Voters != 14 || v.Weight != 14 || v.Threshold != 14 || v.TotalWeight != 20 || v.Authorities != 20 || v.SetID != 6 {
		t.Errorf("%+v", v)
	}
	step := 1
	if testing.Short() {
		step = 19
	}
	for i := 0; i < len(p.justification); i += step {
		j := bytes.Clone(p.justification)
		j[i] ^= 1
		if v := judgeWith(set("justification", hex.EncodeToString(j))); v.Final {
			t.Errorf("final with byte %d of the justification changed", i)
		}
	}
	voted := map[[32]byte]bool{}
	j, _ := grandpa.DecodeJustification(p.justification)
	for _, c := range j.Precommits {
		voted[c.ID] = true
	}
	for i, a := range p.authorities {
		list := append([]grandpa.Authority(nil), p.authorities...)
		list[i].ID[5] ^= 1
		if v := judgeWith(set("authorities", hex.EncodeToString(scale.MustMarshal(list)))); v.Final == voted[a.ID] {
			t.Errorf("authority %d replaced: %+v", i, v.Error)
		}
	}
	for name, h := range map[string]header.Header{
		"number": {ParentHash: p.header.ParentHash, Number: p.header.Number + 1, StateRoot: p.header.StateRoot, ExtrinsicsRoot: p.header.ExtrinsicsRoot, Digest: p.header.Digest},
		"digest": {ParentHash: p.header.ParentHash, Number: p.header.Number, StateRoot: p.header.StateRoot, ExtrinsicsRoot: p.header.ExtrinsicsRoot, Digest: p.header.Digest[1:]},
	} {
		if v := judgeWith(set("header", h), set("blockHash", nil), set("headerScale", nil)); v.Final || v.Error.Code != "other-block" {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"bogus"}, {"finality"}, {"finality", "a", "b"}, {"finality", "--bogus", "a"}} {
		if exit, out, err := run(VerifyCommand(), nil, args...); exit != 2 || out != "" {
			t.Errorf("verify %q: exit code %d, %v, %s", args, exit, err, out)
		}
	}
	for _, args := range [][]string{{}, {"a", "b"}, {"--bogus", "a"}} {
		if exit, out, err := run(MetadataCommand(), nil, args...); exit != 2 || out != "" {
			t.Errorf("metadata %q: exit code %d, %v, %s", args, exit, err, out)
		}
	}
	absent := filepath.Join(t.TempDir(), "absent")
	for _, cmd := range []*cobra.Command{VerifyCommand(), MetadataCommand()} {
		args := []string{absent}
		if cmd.Name() == "verify" {
			args = []string{"finality", absent}
		}
		if exit, out, err := run(cmd, nil, args...); exit != 1 || out != "" || !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: exit code %d, %v, %s", cmd.Name(), exit, err, out)
		}
	}
	if got := usage.ExitCode(nil); got != 0 {
		t.Error(got)
	}
}

// TestPrintable pins that a file cannot steer the terminal.
func TestPrintable(t *testing.T) {
	_, out, err := run(VerifyCommand(), []byte(`{"authorities":"0x","setId":1,"header":{"number":"\u001b[2J"},"justification":""}`), "finality", "-")
	if err == nil || strings.ContainsAny(out+err.Error(), "\x1b") {
		t.Errorf("%q, %v", out, err)
	}
}

func FuzzFinality(f *testing.F) {
	b := newBlock(4)
	for n := range 5 {
		f.Add(b.file(n))
	}
	f.Add(b.file(4, set("header", nil)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		v := judge(raw)
		if v.Final != (v.Error == nil) || v.Final && v.Weight < v.Threshold {
			t.Errorf("%+v", v)
		}
		if err := errors.Join(v.print(new(bytes.Buffer)), v.printJSON(new(bytes.Buffer))); err != nil {
			t.Error(err)
		}
	})
}
