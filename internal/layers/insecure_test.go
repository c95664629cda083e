package layers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// doors are the names by which a node's word is taken for a proof, each with
// the files that may use it: where it is defined, and its one user. Tests may.
var doors = map[string][]string{
	"Unproven":        {"internal/lightclient/unproven.go", "worker/word.go", "internal/lightclient/block.go", "internal/enclave/prepared.go"},
	"RestoreUnproven": {"internal/lightclient/unproven.go", "worker/word.go"},
	"UnprovenClient":  {"internal/lightclient/unproven.go", "worker/word.go"},
	"EncodeWords":     {"internal/lightclient/unproven.go", "internal/parentchain/word.go"},
	"decodeWords":     {"internal/lightclient/unproven.go"},
	"unproven":        {"internal/lightclient/unproven.go", "internal/lightclient/block.go", "internal/trustconfig/config.go"},
	// Asked in some places, set from the trust config only.
	"InsecureWord": {"internal/lightclient/unproven.go", "internal/lightclient/trust.go", "internal/trustconfig/config.go", "internal/enclave/core.go",
		"internal/enclave/prepared.go", "internal/parentchain/client.go", "internal/parentchain/methods.go", "internal/parentchain/word.go", "worker/endpoints.go"},
}

// TestWordsHaveOneDoor keeps proofs from being replaced by words anywhere but
// where the insecure flag of the trust config decides.
func TestWordsHaveOneDoor(t *testing.T) {
	used := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel("../..", path)
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		name = filepath.ToSlash(name)
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if !ok {
				return true
			}
			if files, door := doors[id.Name]; door {
				used[id.Name] = true
				if !slices.Contains(files, name) {
					t.Errorf("%s uses %s: only %v may", name, id.Name, files)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range doors {
		if !used[name] {
			t.Errorf("nothing is called %s any more: the table is out of date", name)
		}
	}
}
