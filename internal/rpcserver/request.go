package rpcserver

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// request is one call. invalid is set if it is none; then only id counts.
type request struct {
	id      json.RawMessage // nil: a notification, which gets no reply
	method  string
	params  json.RawMessage // nil if absent
	invalid *Error
}

var nullID = json.RawMessage("null")

// parse reads one message: a request or a batch of at most maxBatch requests.
// An error means that the message as a whole is answered with that error.
// The result refers to the bytes of msg.
func parse(msg []byte, maxBatch int) (reqs []request, batch bool, failed *Error) {
	// Raw ids are echoed, and a text frame must be UTF-8.
	if !utf8.Valid(msg) || !json.Valid(msg) {
		return nil, false, &Error{Code: CodeParse, Message: "Parse error"}
	}
	msg = bytes.TrimLeft(msg, " \t\r\n")
	if msg[0] != '[' {
		return []request{parseOne(msg)}, false, nil
	}
	var items []json.RawMessage
	if err := json.Unmarshal(msg, &items); err != nil {
		return nil, false, &Error{Code: CodeParse, Message: "Parse error"}
	}
	if len(items) == 0 {
		return nil, false, &Error{Code: CodeInvalidRequest, Message: "Invalid request: empty batch"}
	}
	if len(items) > maxBatch {
		return nil, false, &Error{Code: CodeInvalidRequest, Message: "Invalid request: batch too large", Data: maxBatch}
	}
	for _, item := range items {
		reqs = append(reqs, parseOne(item))
	}
	return reqs, true, nil
}

// parseOne reads one request from valid JSON. Members are looked up by their
// exact names: struct decoding would also take "ID" or "Method".
func parseOne(raw json.RawMessage) request {
	bad := func(id json.RawMessage, why string) request {
		return request{id: id, invalid: &Error{Code: CodeInvalidRequest, Message: "Invalid request: " + why}}
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil || members == nil {
		return bad(nullID, "not an object")
	}
	r := request{id: members["id"], params: members["params"]}
	if r.id != nil {
		switch c := r.id[0]; {
		case c == '"', c == '-', c >= '0' && c <= '9', c == 'n':
		default:
			return bad(nullID, "id must be a number, a string or null")
		}
	}
	// Without a usable id an invalid request is answered with id null.
	id := r.id
	if id == nil {
		id = nullID
	}
	var version string
	if json.Unmarshal(members["jsonrpc"], &version) != nil || version != "2.0" {
		return bad(id, `jsonrpc must be "2.0"`)
	}
	method := members["method"]
	if len(method) == 0 || method[0] != '"' || json.Unmarshal(method, &r.method) != nil || r.method == "" {
		return bad(id, "method must be a string")
	}
	if r.params != nil {
		switch r.params[0] {
		case '[', '{':
		case 'n':
			r.params = nil
		default:
			return bad(id, "params must be an array or an object")
		}
	}
	return r
}

// appendResult appends the reply that carries result, which is JSON.
func appendResult(b []byte, id, result json.RawMessage) []byte {
	b = append(b, `{"jsonrpc":"2.0","id":`...)
	b = append(b, id...)
	b = append(b, `,"result":`...)
	b = append(b, result...)
	return append(b, '}')
}

// appendError appends the reply that carries e.
func appendError(b []byte, id json.RawMessage, e *Error) []byte {
	body, err := json.Marshal(e)
	if err != nil { // the data of a method's error is no JSON
		body, _ = json.Marshal(&Error{Code: e.Code, Message: e.Message})
	}
	b = append(b, `{"jsonrpc":"2.0","id":`...)
	b = append(b, id...)
	b = append(b, `,"error":`...)
	b = append(b, body...)
	return append(b, '}')
}
