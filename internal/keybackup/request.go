package keybackup

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"filippo.io/age"

	"github.com/offchain-worker/sdk/internal/strictjson"
	"github.com/offchain-worker/sdk/internal/trustconfig"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
)

// MaxRequest bounds the JSON of a request in bytes.
const MaxRequest = 4 * tee.MaxEvidence

const (
	labelRecipient = "ocw/backup/recipient/1"
	labelInstance  = "ocw/escrow/recipient/1"
)

// ErrRequest is wrapped by what is wrong with a request.
var ErrRequest = errors.New("not a request of a worker for what it has lost")

// Request is how a worker asks for a secret that it lost: encrypted to a key that
// its enclave made, for which its evidence vouches. It asks for parts of a backup,
// or, with an instance, for the account that other workers keep of it.
type Request struct {
	Account     keyring.AccountID // of the worker; zero if it asks for it
	TrustConfig trustconfig.Config
	Instance    *Instance // nil asks for parts of a backup
	Recipient   *age.HybridRecipient
	Evidence    tee.Evidence
}

// Instance names the worker whose account is asked for, and a block that was final
// when it was: the evidence is younger.
type Instance struct {
	Name   string        `json:"name"`
	Block  hashing.Hash  `json:"block"`
	Number header.Number `json:"number"`
}

// MaxInstance is the longest name of an instance, in bytes.
const MaxInstance = 64

// CheckInstance refuses a name that is not 1 to MaxInstance of A-Z a-z 0-9 . _ -.
func CheckInstance(name string) error {
	if name == "" || len(name) > MaxInstance || strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
	}) {
		return fmt.Errorf("the name of an instance has 1 to %d of the characters A-Z a-z 0-9 . _ -", MaxInstance)
	}
	return nil
}

// Attest has a platform vouch for the rest of the request.
func (r *Request) Attest(p tee.Platform) (err error) {
	r.Evidence, err = p.Attest(r.ReportData())
	return err
}

// ReportData is what the evidence has to vouch for: all the rest of the request.
func (r *Request) ReportData() tee.ReportData {
	b := tee.Binding{Purpose: tee.PurposeRestore, TrustConfig: r.TrustConfig.Hash(), Shard: r.TrustConfig.Shard}
	if i := r.Instance; i != nil {
		b.Purpose, b.Block, b.BlockNumber = tee.PurposeAccount, i.Block, i.Number
		b.Keys = hashing.Blake2b256([]byte(labelInstance), scale.AppendString(nil, r.Recipient.String()), scale.AppendString(nil, i.Name))
	} else {
		b.Keys = hashing.Blake2b256([]byte(labelRecipient), []byte(r.Recipient.String()))
	}
	return b.ReportData(r.Account)
}

// Appraise returns the claims of the evidence, or why what it asks for must not be given.
func (r *Request) Appraise(p tee.Policy, verifiers ...tee.Verifier) (*tee.Claims, error) {
	claims, err := tee.Verify(r.Evidence, verifiers...)
	if err != nil {
		return nil, err
	}
	return claims, p.Appraise(claims, r.ReportData())
}

// requestJSON is a request in a file.
type requestJSON struct {
	Account     keyring.AccountID `json:"account,omitzero"`
	TrustConfig json.RawMessage   `json:"trustConfig"`
	Instance    *Instance         `json:"instance,omitempty"`
	Recipient   string            `json:"recipient"`
	Evidence    []byte            `json:"evidence"` // SCALE, in base64
}

// MarshalJSON returns an object with account or instance, trustConfig, recipient
// (age1pq1…) and evidence (SCALE in base64).
func (r Request) MarshalJSON() ([]byte, error) {
	trust, err := json.Marshal(r.TrustConfig)
	if err != nil {
		return nil, err
	}
	return json.Marshal(requestJSON{r.Account, trust, r.Instance, r.Recipient.String(), scale.MustMarshal(r.Evidence)})
}

// ParseRequest reads it. Errors wrap ErrRequest.
func ParseRequest(b []byte) (*Request, error) {
	if len(b) > MaxRequest {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrRequest, MaxRequest)
	}
	var in requestJSON
	if err := strictjson.Unmarshal(b, &in); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	r := &Request{Account: in.Account, Instance: in.Instance}
	var err error
	if r.Instance != nil {
		if err = CheckInstance(r.Instance.Name); err == nil && !r.Account.IsZero() {
			err = errors.New("it asks for the account that it has")
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrRequest, err)
		}
	}
	if r.TrustConfig, err = trustconfig.Parse(in.TrustConfig); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if r.Recipient, err = age.ParseHybridRecipient(in.Recipient); err != nil {
		return nil, fmt.Errorf("%w: the recipient is not a post-quantum key of age", ErrRequest)
	}
	if err := scale.Unmarshal(in.Evidence, &r.Evidence); err != nil {
		return nil, fmt.Errorf("%w: evidence: %w", ErrRequest, err)
	}
	return r, nil
}
