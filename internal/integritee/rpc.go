package integritee

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// ReturnValue is the envelope of nearly every answer of the worker's RPC
// (P 4.2: RpcReturnValue), sent as 0x and hex of its encoding.
type ReturnValue struct {
	Value   []byte
	DoWatch bool
	Status  DirectRequestStatus
}

// DirectRequestStatus is the outcome of a request.
type DirectRequestStatus struct {
	_                      scale.Enum
	Ok                     *struct{}               `scale:"0"`
	TrustedOperationStatus *TrustedOperationStatus `scale:"1"`
	Error                  *struct{}               `scale:"2"`
}

// TrustedOperationStatus is the life of an operation. Without a sidechain only
// Submitted, Ready and Invalid occur.
type TrustedOperationStatus struct {
	_                scale.Enum
	Submitted        *struct{}     `scale:"0"`
	Future           *struct{}     `scale:"1"`
	Ready            *struct{}     `scale:"2"`
	Broadcast        *struct{}     `scale:"3"`
	InSidechainBlock *hashing.Hash `scale:"4"`
	Retracted        *struct{}     `scale:"5"`
	FinalityTimeout  *struct{}     `scale:"6"`
	Finalized        *struct{}     `scale:"7"`
	Usurped          *struct{}     `scale:"8"`
	Dropped          *struct{}     `scale:"9"`
	Invalid          *struct{}     `scale:"10"`
}

// OkValue returns the envelope of a successful answer.
func OkValue(value []byte) ReturnValue {
	return ReturnValue{Value: value, Status: DirectRequestStatus{Ok: &struct{}{}}}
}

// ErrorValue returns the envelope of a failure: status Error and
// SCALE(String) as value.
func ErrorValue(message string) ReturnValue {
	return ReturnValue{Value: scale.AppendString(nil, message), Status: DirectRequestStatus{Error: &struct{}{}}}
}

// RequestError is a failure that an RPC answer reports.
type RequestError struct {
	Message string
}

// Error returns the message.
func (e *RequestError) Error() string { return "worker: " + e.Message }

// Err returns a *RequestError if the status is Error.
func (r ReturnValue) Err() error {
	if r.Status.Error == nil {
		return nil
	}
	d := scale.NewDecoder(r.Value)
	message := d.String()
	if d.Finish() != nil {
		message = "error without a readable message"
	}
	return &RequestError{message}
}

// Hex returns 0x and hex of the encoding. A status without a variant counts
// as Ok.
func (r ReturnValue) Hex() string {
	s := r.Status
	if s.Ok == nil && s.TrustedOperationStatus == nil && s.Error == nil {
		r.Status.Ok = &struct{}{}
	}
	b, err := scale.Marshal(r)
	if err != nil {
		// Two variants set, or an empty TrustedOperationStatus: made here, not
		// received, so a programmer's error.
		panic(fmt.Sprintf("integritee: return value: %v", err))
	}
	return "0x" + hex.EncodeToString(b)
}

// ParseReturnValue reads hex of an envelope, with or without 0x.
func ParseReturnValue(s string) (ReturnValue, error) {
	b, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
	if err != nil {
		return ReturnValue{}, fmt.Errorf("return value: %w: not hex", scale.ErrInvalid)
	}
	return DecodeReturnValue(b)
}

// DecodeReturnValue reads an envelope from exactly b.
func DecodeReturnValue(b []byte) (ReturnValue, error) {
	var r ReturnValue
	if err := scale.Unmarshal(b, &r); err != nil {
		return ReturnValue{}, fmt.Errorf("return value: %w", err)
	}
	return r, nil
}
