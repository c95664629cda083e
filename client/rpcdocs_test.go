package client_test

import (
	"context"
	"crypto/tls"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/internal/rpcclient"
)

// TestRPCIsDocumented compares the tables of docs/rpc.md with the methods that
// a worker says it has.
func TestRPCIsDocumented(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	_, url, stop := servers(ctx)
	defer stop()
	c, err := rpcclient.Dial(ctx, url, rpcclient.Options{TLS: &tls.Config{InsecureSkipVerify: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var text string
	if err := c.Call(ctx, "rpc_methods", nil, &text); err != nil {
		t.Fatal(err)
	}
	have := strings.Split(strings.TrimSuffix(strings.TrimPrefix(text, "methods: ["), "]"), ", ")
	slices.Sort(have)

	page, err := os.ReadFile("../docs/rpc.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z]+_[A-Za-z_]+|rpc\\.discover)` \\|").FindAllStringSubmatch(string(page), -1) {
		told = append(told, row[1])
	}
	slices.Sort(told)
	if !slices.Equal(have, told) {
		t.Errorf("docs/rpc.md tells of other methods than there are.\nthere are:\n%s\ntold:\n%s", strings.Join(have, "\n"), strings.Join(told, "\n"))
	}
}
