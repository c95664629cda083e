package escrow

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/internal/keybackup"
	"github.com/offchain-worker/sdk/internal/strictjson"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
)

// labelRelease separates what operators sign here from all else that they may.
const labelRelease = "ocw/escrow/release/1"

// MaxRelease bounds the JSON of a release in bytes.
const MaxRelease = keybackup.MaxRequest + 1024

var (
	// ErrRelease is wrapped by what is wrong with the form of a release.
	ErrRelease = errors.New("not a release of an account")
	// ErrSignature means a release that the instance's operator has not signed.
	ErrSignature = errors.New("the release is not signed by the operator key of the instance, or was changed since")
)

// Release is an operator's word that the account of an instance is to be given to
// the enclave that asks for it: the signature of his key over exactly this request.
type Release struct {
	Request   *keybackup.Request // with an instance
	Signature keyring.MultiSignature
}

// message returns what an operator signs: SCALE of the label (string), the report
// data for which the request's evidence vouches (64 bytes), which covers all the rest
// of the request, and BLAKE2b-256 of the evidence.
func message(r *keybackup.Request) []byte {
	data, evidence := r.ReportData(), hashing.Blake2b256(scale.MustMarshal(r.Evidence))
	return append(append(scale.AppendString(nil, labelRelease), data[:]...), evidence[:]...)
}

// Sign releases the account of the instance that a request names. The caller has
// appraised the request.
func Sign(r *keybackup.Request, operator *keyring.Pair) *Release {
	return &Release{r, operator.Sign(message(r))}
}

// Check reports whether an operator has signed the release. The error is ErrSignature.
func (r *Release) Check(operator keyring.AccountID) error {
	if !r.Signature.Verify(message(r.Request), operator) {
		return ErrSignature
	}
	return nil
}

// releaseJSON is a release in a file.
type releaseJSON struct {
	Request   json.RawMessage `json:"request"`
	Signature tee.HexBytes    `json:"signature"` // SCALE
}

// MarshalJSON returns an object with request and signature (SCALE in hex).
func (r Release) MarshalJSON() ([]byte, error) {
	request, err := json.Marshal(r.Request)
	if err != nil {
		return nil, err
	}
	return json.Marshal(releaseJSON{request, r.Signature.AppendSCALE(nil)})
}

// ParseRelease reads it, and does not look at who has signed. Errors wrap ErrRelease.
func ParseRelease(b []byte) (*Release, error) {
	if len(b) > MaxRelease {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrRelease, MaxRelease)
	}
	var in releaseJSON
	if err := strictjson.Unmarshal(b, &in); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRelease, err)
	}
	r := new(Release)
	var err error
	if r.Request, err = keybackup.ParseRequest(in.Request); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRelease, err)
	}
	if r.Request.Instance == nil {
		return nil, fmt.Errorf("%w: it asks for parts of a backup", ErrRelease)
	}
	if err := scale.Unmarshal(in.Signature, &r.Signature); err != nil {
		return nil, fmt.Errorf("%w: signature: %w", ErrRelease, err)
	}
	return r, nil
}
