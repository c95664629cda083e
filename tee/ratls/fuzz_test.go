package ratls

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/tee"
)

func forgedCertificate(t *testing.T, self Self, s *Statement) *x509.Certificate {
	t.Helper()
	cert, err := self.certificate([]pkix.Extension{{Id: StatementOID, Value: scale.MustMarshal(s)}})
	if err != nil {
		t.Fatal(err)
	}
	return cert.Leaf
}

func FuzzStatement(f *testing.F) {
	f.Add([]byte{})
	f.Add(scale.MustMarshal(&Statement{Version: 1, Evidence: tee.Evidence{Kind: tee.Sim, Quote: make([]byte, 160), Aux: []byte{}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeStatement(b)
		if err != nil {
			if s != nil {
				t.Fatal("a result with an error")
			}
			return
		}
		if again := scale.MustMarshal(s); !bytes.Equal(again, b) {
			t.Fatalf("decoded %x, encoded %x", b, again)
		}
	})
}

// FuzzMessage feeds frames to every place of the protocol.
func FuzzMessage(f *testing.F) {
	for _, m := range []any{&hello{Version: 2}, &challenge{}, &request{}, &material{Sealed: []byte{1}}, &ask{}, &offer{Head: []byte{1}}, &piece{[]byte{1}}, &refusal{ReasonShard, "no"}} {
		var frame bytes.Buffer
		if _, err := send(&frame, m); err != nil {
			f.Fatal(err)
		}
		f.Add(frame.Bytes())
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		for _, m := range []any{&hello{}, &challenge{}, &request{}, &material{}, &ask{}, &offer{}, &piece{}} {
			body, err := receive(bytes.NewReader(frame), m)
			if err != nil {
				continue
			}
			if again := scale.MustMarshal(m); !bytes.Equal(again, body) {
				t.Fatalf("decoded %x, encoded %x", body, again)
			}
		}
	})
}
