package rpcserver

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Error codes of JSON-RPC 2.0, and those that this package adds.
const (
	CodeParse          = -32700
	CodeInvalidRequest = -32600
	CodeMethodNotFound = -32601
	CodeInvalidParams  = -32602
	CodeInternal       = -32603

	CodeTooManySubscriptions = -32006 // as jsonrpsee servers say it
	CodeResponseTooBig       = -32008 // likewise
)

// Error is a JSON-RPC error object. Data is left out if nil.
type Error struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

// Error returns the message with its code.
func (e *Error) Error() string { return fmt.Sprintf("%s (%d)", e.Message, e.Code) }

// InvalidParams returns error -32602 with a formatted message.
func InvalidParams(format string, args ...any) *Error {
	return &Error{Code: CodeInvalidParams, Message: "Invalid params: " + fmt.Sprintf(format, args...)}
}

// Params decodes positional parameters into the pointers dst. At least
// required of them must be there and not null; later ones may be missing or
// null and then leave dst alone; more than len(dst) are an error. All errors
// are [*Error] with code -32602.
func Params(raw json.RawMessage, required int, dst ...any) error {
	var items []json.RawMessage
	if raw != nil {
		if err := json.Unmarshal(raw, &items); err != nil {
			return InvalidParams("want an array")
		}
	}
	if len(items) > len(dst) {
		return InvalidParams("want at most %d, have %d", len(dst), len(items))
	}
	for i, d := range dst {
		if i >= len(items) || bytes.Equal(items[i], nullID) {
			if i < required {
				return InvalidParams("parameter %d is missing", i)
			}
			continue
		}
		if err := json.Unmarshal(items[i], d); err != nil {
			return InvalidParams("parameter %d is not of the expected form", i)
		}
	}
	return nil
}
