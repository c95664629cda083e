package keybackup

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/offchain-worker/sdk/internal/trustconfig"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/sim"
)

func testRequest(t testing.TB) *Request {
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	r := &Request{Account: keyring.AccountID{3}, TrustConfig: trustconfig.Dev(hashing.Hash{1}, [32]byte{2}, "app"), Recipient: id.Recipient()}
	return attested(t, r)
}

// accountRequest is one for the account of an instance.
func accountRequest(t testing.TB) *Request {
	r := testRequest(t)
	r.Account, r.Instance = keyring.AccountID{}, &Instance{Name: "worker-1", Block: hashing.Hash{7}, Number: 9}
	return attested(t, r)
}

// attested makes the evidence of a request, and sends it through a file.
func attested(t testing.TB, r *Request) *Request {
	if err := r.Attest(sim.New("app", [32]byte{4})); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseRequest(b)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestRequest changes each thing that the evidence vouches for.
func TestRequest(t *testing.T) {
	policy := tee.InsecureDev(sim.Measurement("app"))
	appraise := func(change func(*Request), r *Request) error {
		change(r)
		_, err := r.Appraise(policy, sim.Verifier{})
		return err
	}
	other, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for kind, request := range map[string]func(testing.TB) *Request{"parts": testRequest, "account": accountRequest} {
		if err := appraise(func(*Request) {}, request(t)); err != nil {
			t.Errorf("%s: an honest request: %v", kind, err)
		}
		for name, change := range map[string]func(*Request){
			"recipient":    func(r *Request) { r.Recipient = other.Recipient() },
			"account":      func(r *Request) { r.Account[0] ^= 1 },
			"trust config": func(r *Request) { r.TrustConfig.App = "another" },
			"shard":        func(r *Request) { r.TrustConfig.Shard[0] ^= 1 },
			"purpose": func(r *Request) {
				if r.Instance = nil; kind == "parts" {
					r.Instance = new(Instance)
				}
			},
		} {
			if err := appraise(change, request(t)); !errors.Is(err, tee.ErrReportData) {
				t.Errorf("%s: another %s: %v", kind, name, err)
			}
		}
	}
	for name, change := range map[string]func(*Instance){
		"name":   func(i *Instance) { i.Name = "worker-2" },
		"block":  func(i *Instance) { i.Block[0] ^= 1 },
		"number": func(i *Instance) { i.Number++ },
	} {
		if err := appraise(func(r *Request) { change(r.Instance) }, accountRequest(t)); !errors.Is(err, tee.ErrReportData) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	if _, err := testRequest(t).Appraise(tee.Policy{}, sim.Verifier{}); !errors.Is(err, tee.ErrKind) {
		t.Errorf("the zero policy: %v", err)
	}
	if err := appraise(func(r *Request) { r.Evidence.Quote = r.Evidence.Quote[1:] }, testRequest(t)); !errors.Is(err, tee.ErrNotGenuine) {
		t.Errorf("evidence that was cut: %v", err)
	}
}

func TestParseRequest(t *testing.T) {
	b, err := json.Marshal(testRequest(t))
	if err != nil {
		t.Fatal(err)
	}
	good := string(b)
	for name, text := range map[string]string{
		"nothing": "", "a list": "[]", "an unknown key": strings.Replace(good, `{`, `{"x":1,`, 1), "two": good + good,
		"no recipient": strings.Replace(good, "age1pq1", "age1", 1), "no evidence": good[:strings.Index(good, `"evidence":"`)+12] + `"}`,
		"no trust config": strings.Replace(good, `"class":"insecure-dev"`, `"class":"none"`, 1), "large": strings.Repeat(" ", MaxRequest) + good,
	} {
		if text == good {
			t.Fatalf("%s changes nothing", name)
		}
		if _, err := ParseRequest([]byte(text)); !errors.Is(err, ErrRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*Request){
		"an account, and for one": func(r *Request) { r.Account[0] = 1 },
		"no instance":             func(r *Request) { r.Instance.Name = "" },
		"a long name":             func(r *Request) { r.Instance.Name = strings.Repeat("x", MaxInstance+1) },
		"a name with a slash":     func(r *Request) { r.Instance.Name = "../x" },
		"a name with an umlaut":   func(r *Request) { r.Instance.Name = "ä" },
	} {
		r := accountRequest(t)
		change(r)
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseRequest(b); !errors.Is(err, ErrRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRequest(f *testing.F) {
	for _, r := range []*Request{testRequest(f), accountRequest(f)} {
		b, err := json.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRequest(b)
		if err != nil {
			if !errors.Is(err, ErrRequest) {
				t.Errorf("got %v", err)
			}
			return
		}
		if _, err := r.Appraise(tee.Policy{}, sim.Verifier{}); err == nil {
			t.Error("the zero policy accepted something")
		}
	})
}
