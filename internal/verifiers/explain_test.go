package verifiers

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/tee"
)

// TestExplain: whoever wrote a policy learns which file, where in it, and what was
// expected.
func TestExplain(t *testing.T) {
	name := filepath.Join(t.TempDir(), "policy.json")
	for content, want := range map[string]string{
		"":                             ": the file is empty, want a policy as in docs/attestation.md: ",
		" \n":                          ": the file is empty",
		"{\n \"kinds\": [\"sgx\"],\n":  ", line 3: the JSON ends too early",
		"{\n \"kinds\": sgx}":          ", line 2: no JSON, want a policy",
		"{}\n{}":                       ", line 2: the JSON ends too early or goes on too long",
		"[]":                           ", line 1: want a policy",
		"{\n\"kinds\": 7}":             ", line 2: want a policy",
		`{"kinds": ["sgx", "abacus"]}`: ", field kinds[1]: ",
		`{"kinds":["sgx"],"measurements":["` + strings.Repeat("1", 32) + `","0x12"]}`: ", field measurements[1]: ",
		`{"kinds":["sgx"],"sgx":[{"mrSigner":"xyz"}]}`:                                ", field sgx[0].mrSigner: ",
		`{"kinds":["sgx"],"measurement":[]}`:                                          ", field measurement: ",
		`{"kinds":["sgx"]}`:                                                           "it accepts no program",
	} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Policy(name); err == nil || !strings.HasPrefix(err.Error(), "policy "+name) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", content, err, want)
		}
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"": "", dir: "", filepath.Join(dir, "none"): "no such file", file: "is no folder"} {
		if err := Folder(path); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", path, err, want)
		}
	}
}

// FuzzExplain: whatever a file holds, it is explained, and the error stays wrapped.
func FuzzExplain(f *testing.F) {
	for _, s := range []string{"", "{", "[]", `{"kinds":["sgx"],"x":1}`, `{"sgx":[{"mrSigner":"00"}]}`, `{"sgx":[{"mrSigner":1}],"tcb":{}}`, "{}{}", strings.Repeat("[", 300)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		var want error
		err := Explain("policy.json", "a policy", content, func(b []byte) error {
			_, err := tee.ParsePolicy(b)
			if want == nil {
				want = err
			}
			return err
		})
		if (err == nil) != (want == nil) || err != nil && (!errors.Is(err, want) || !strings.HasPrefix(err.Error(), "policy.json")) {
			t.Errorf("got %v, want %v", err, want)
		}
	})
}
