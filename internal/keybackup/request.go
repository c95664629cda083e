package keybackup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"github.com/offchain-worker/sdk/internal/trustconfig"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
)

// MaxRequest bounds the JSON of a request in bytes.
const MaxRequest = 4 * tee.MaxEvidence

const labelRecipient = "ocw/backup/recipient/1"

// ErrRequest is wrapped by what is wrong with a request.
var ErrRequest = errors.New("not a request for parts of a backup")

// Request is how a worker that has no keys asks for parts: encrypted to a key
// that its enclave made, for which its evidence vouches.
type Request struct {
	Account     keyring.AccountID // of the worker
	TrustConfig trustconfig.Config
	Recipient   *age.HybridRecipient
	Evidence    tee.Evidence
}

// NewRequest has a platform vouch for the recipient.
func NewRequest(p tee.Platform, account keyring.AccountID, trust trustconfig.Config, recipient *age.HybridRecipient) (r Request, err error) {
	r = Request{Account: account, TrustConfig: trust, Recipient: recipient}
	r.Evidence, err = p.Attest(r.reportData())
	return r, err
}

// reportData is what the evidence has to vouch for.
func (r *Request) reportData() tee.ReportData {
	return tee.Binding{Purpose: tee.PurposeRestore, TrustConfig: r.TrustConfig.Hash(), Shard: r.TrustConfig.Shard,
		Keys: hashing.Blake2b256([]byte(labelRecipient), []byte(r.Recipient.String()))}.ReportData(r.Account)
}

// Appraise returns the claims of the evidence, or why a part must not be given.
func (r *Request) Appraise(p tee.Policy, verifiers ...tee.Verifier) (*tee.Claims, error) {
	claims, err := tee.Verify(r.Evidence, verifiers...)
	if err != nil {
		return nil, err
	}
	return claims, p.Appraise(claims, r.reportData())
}

// requestJSON is a request in a file.
type requestJSON struct {
	Account     keyring.AccountID `json:"account"`
	TrustConfig json.RawMessage   `json:"trustConfig"`
	Recipient   string            `json:"recipient"`
	Evidence    []byte            `json:"evidence"` // SCALE, in base64
}

// MarshalJSON returns an object with account, trustConfig, recipient (age1pq1…)
// and evidence (SCALE in base64).
func (r Request) MarshalJSON() ([]byte, error) {
	trust, err := json.Marshal(r.TrustConfig)
	if err != nil {
		return nil, err
	}
	return json.Marshal(requestJSON{r.Account, trust, r.Recipient.String(), scale.MustMarshal(r.Evidence)})
}

// ParseRequest reads it. Errors wrap ErrRequest.
func ParseRequest(b []byte) (*Request, error) {
	if len(b) > MaxRequest {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrRequest, MaxRequest)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var in requestJSON
	if err := d.Decode(&in); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: there is more than one value", ErrRequest)
	}
	r := &Request{Account: in.Account}
	var err error
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
