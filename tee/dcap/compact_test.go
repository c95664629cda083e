package dcap_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
)

// TestCompact: the short form says and proves the same.
func TestCompact(t *testing.T) {
	at := date("2026-03-01")
	k := dcaptest.New("compact", tee.SGX, at)
	crlf := k.QuoteOf(k.Signed(), 5, bytes.ReplaceAll(k.PCKChain(), []byte("\n"), []byte("\r\n")))
	for name, quote := range map[string][]byte{"plain": k.Quote(), "padded": append(k.Quote(), make([]byte, 3000)...), "CR LF": crlf} {
		short, err := dcap.Compact(quote)
		if err != nil {
			t.Fatal(err)
		}
		if len(short) >= len(k.Quote()) || bytes.Contains(short, []byte("-----\r\n")) {
			t.Errorf("%s: %d bytes of %d", name, len(short), len(quote))
		}
		if _, err := dcap.Verify(short, k.Collateral(), k.Root(), at); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if again, err := dcap.Compact(short); err != nil || !bytes.Equal(again, short) {
			t.Errorf("%s: the short form has a shorter one, %v", name, err)
		}
	}
	td := dcaptest.New("compact", tee.TDX, at)
	for _, c := range []struct {
		quote []byte
		want  dcap.Reason
	}{{nil, dcap.ReasonQuote}, {td.Quote(), dcap.ReasonTEE}, {k.QuoteOf(k.Signed(), 5, nil), dcap.ReasonChain}, {k.QuoteOf(k.Signed(), 5, []byte("x")), dcap.ReasonChain}} {
		if b, err := dcap.Compact(c.quote); !errors.Is(err, c.want) || b != nil {
			t.Errorf("%v, want %v", err, c.want)
		}
	}
	quote, c := realQuote(t, "sgx-v3-fmspc00a067110000")
	short, err := dcap.Compact(quote)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dcap.Verify(short, c, dcap.IntelRoot(), date("2025-06-20")); err != nil || len(short) >= len(quote) {
		t.Errorf("%d bytes of %d: %v", len(short), len(quote), err)
	}
}

// TestChains: whatever they look like, they come out as Intel's do.
func TestChains(t *testing.T) {
	k := dcaptest.New("chains", tee.SGX, date("2026-03-01"))
	c := k.Collateral()
	want := bytes.Clone(c.TCBInfoChain)
	one := want[:bytes.Index(want[1:], []byte("-----BEGIN"))+1]
	c.TCBInfoChain, c.QEIdentityChain = one, append(bytes.ReplaceAll(want, []byte("\n"), []byte("\r\n")), 0)
	info, identity, err := c.Chains(k.Root())
	if err != nil {
		t.Fatal(err)
	}
	// The root of a kit is signed anew each time: only its key is the same.
	if !bytes.HasPrefix(info, one) || bytes.Count(info, []byte("-----BEGIN")) != 2 || !bytes.Equal(identity, want) {
		t.Errorf("%s\n%s", info, identity)
	}
	c.QEIdentityChain = []byte("x")
	if _, _, err := c.Chains(k.Root()); !errors.Is(err, dcap.ReasonChain) {
		t.Error(err)
	}
}
