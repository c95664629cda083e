package inspect

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/internal/usage"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// answerFiles returns a file with an answer and one with a receipt.
func answerFiles(t testing.TB) (answer, receipt roots.File, signer *keyring.Pair) {
	t.Helper()
	signer, err := keyring.FromURI(keyring.Ed25519, "//Worker")
	if err != nil {
		t.Fatal(err)
	}
	s := state.New([32]byte{1})
	s.Apply(7, []state.Change{{Key: []byte("key"), Value: []byte("value")}, {Key: []byte("other"), Value: []byte("x")}})
	proof, _ := s.Snapshot().Prove([]byte("key"))
	env := stf.Env{Shard: [32]byte{2}, Secret: [32]byte{5}}
	receipts := []stf.Receipt{{Block: 7, Index: 3}, {Block: 7, Index: 5, Outcome: stf.Outcome{Code: stf.ModuleError, Module: 1, Error: 2}, Gas: 9}}
	r := roots.Roots{Genesis: hashing.Hash{1}, Shard: [32]byte{2}, Number: 7, Block: hashing.Hash{3}, Time: 1_700_000_000_000, State: s.Root(), Receipts: env.ReceiptsRootOf(receipts)}
	a := roots.NewAnswer(r, integritee.Getter{Public: []byte{4}}, []byte("value"), true, []state.Proof{proof})
	a.Sign(signer)
	p := roots.NewReceipt(roots.Sign(r, signer), &receipts[1], env.ProveReceipts(receipts, []int{1})[0])
	return roots.File{Answer: &a}, roots.File{Receipt: &p}, signer
}

// verifyAnswer runs ocw verify answer on a file.
func verifyAnswer(t *testing.T, content any, args ...string) (code int, out string) {
	t.Helper()
	b, ok := content.([]byte)
	if !ok {
		var err error
		if b, err = json.Marshal(content); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "answer.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout bytes.Buffer
	cmd := VerifyCommand()
	cmd.SetArgs(append([]string{"answer", file}, args...))
	cmd.SetOut(&stdout)
	usage.Prepare(cmd)
	return usage.ExitCode(cmd.Execute()), stdout.String()
}

// TestVerifyAnswer: what verifies is shown and exits 0; what does not exits 1
// and names the reason; what is expected besides must hold.
func TestVerifyAnswer(t *testing.T) {
	answer, receipt, signer := answerFiles(t)
	account := signer.AccountID().String()
	for name, c := range map[string]struct {
		file roots.File
		want []string
	}{
		"answer":  {answer, []string{"verified: signed by " + account, "2023-11-14T22:13:20Z", "value          0x76616c7565", "entry          0x6b6579 = 0x76616c7565"}},
		"receipt": {receipt, []string{"verified: signed by " + account, "block 7, event 5", "outcome        ModuleError(1, 2)", "gas            9"}},
	} {
		code, out := verifyAnswer(t, c.file)
		for _, w := range c.want {
			if code != 0 || !strings.Contains(out, w) {
				t.Errorf("%s: exit code %d, no %q in\n%s", name, code, w, out)
			}
		}
	}
	state, receipts := answer.Answer.State.String(), receipt.Receipt.Receipts.String()
	if code, out := verifyAnswer(t, receipt, "--json", "--account", account, "--state-root", state, "--receipts-root", receipts); code != 0 {
		t.Errorf("exit code %d: %s", code, out)
	} else {
		var v answerVerdict
		if err := json.Unmarshal([]byte(out), &v); err != nil || !v.Verified || v.Receipt == nil || v.Receipt.Success || v.Error != nil {
			t.Errorf("%s: %v", out, err)
		}
	}
	changed := func(f roots.File, change func(*roots.File)) []byte {
		b, _ := json.Marshal(f)
		g, err := roots.ReadFile(b)
		if err != nil {
			t.Fatal(err)
		}
		change(&g)
		b, _ = json.Marshal(g)
		return b
	}
	for name, c := range map[string]struct {
		file any
		args []string
		code string
	}{
		"another value":        {changed(answer, func(f *roots.File) { (*f.Answer.Value)[0]++ }), nil, "signature"},
		"another block":        {changed(receipt, func(f *roots.File) { f.Receipt.Number++ }), nil, "signature"},
		"another entry":        {changed(answer, func(f *roots.File) { f.Answer.Entries[0].Value[0]++ }), nil, "proof"},
		"another outcome":      {changed(receipt, func(f *roots.File) { f.Receipt.Receipt[8]++ }), nil, "proof"},
		"another account":      {answer, []string{"--account", "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"}, "account"},
		"another state root":   {answer, []string{"--state-root", receipts}, "root"},
		"another receipt root": {receipt, []string{"--receipts-root", state}, "root"},
		"nothing":              {[]byte("{}"), nil, "file"},
		"no JSON":              {[]byte("\x1b[31m"), nil, "file"},
	} {
		code, out := verifyAnswer(t, c.file, append(c.args, "--json")...)
		var v answerVerdict
		if err := json.Unmarshal([]byte(out), &v); code != 1 || err != nil || v.Verified || v.Error == nil || v.Error.Code != c.code {
			t.Errorf("%s: exit code %d, %v, want %s:\n%s", name, code, err, c.code, out)
		}
		if code, out := verifyAnswer(t, c.file, c.args...); code != 1 || !strings.Contains(out, "reason         "+c.code) || strings.ContainsRune(out, '\x1b') {
			t.Errorf("%s: exit code %d:\n%s", name, code, out)
		}
	}
	for _, args := range [][]string{{"--account", "x"}, {"--state-root", "0x00"}, {"--nonsense"}} {
		if code, _ := verifyAnswer(t, answer, args...); code != usage.Wrong {
			t.Errorf("%q: exit code %d", args, code)
		}
	}
}

// FuzzAnswerFile: no panic, and a verdict for everything.
func FuzzAnswerFile(f *testing.F) {
	answer, receipt, _ := answerFiles(f)
	for _, file := range []roots.File{answer, receipt} {
		b, err := json.Marshal(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := judgeAnswer(b, expected{})
		if err != nil || v.Verified != (v.Error == nil) {
			t.Fatalf("%+v, %v", v, err)
		}
		if err := v.print(&bytes.Buffer{}); err != nil {
			t.Error(err)
		}
	})
}
