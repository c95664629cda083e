package rpcserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		name, in string
		code     int    // of the request; 0 for a good one
		id       string // echoed; "" for a notification
	}{
		{"good", `{"jsonrpc":"2.0","id":7,"method":"m","params":[1]}`, 0, "7"},
		{"id text", `{"jsonrpc":"2.0","id":" a\u0000 ","method":"m"}`, 0, `" a\u0000 "`},
		{"id null", `{"jsonrpc":"2.0","id":null,"method":"m"}`, 0, "null"},
		{"id float as written", `{"jsonrpc":"2.0","id":1.50e3,"method":"m"}`, 0, "1.50e3"},
		{"id negative", `{"jsonrpc":"2.0","id":-1,"method":"m"}`, 0, "-1"},
		{"notification", `{"jsonrpc":"2.0","method":"m"}`, 0, ""},
		{"named params", `{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":1}}`, 0, "1"},
		{"null params", `{"jsonrpc":"2.0","id":1,"method":"m","params":null}`, 0, "1"},
		{"white space", " \r\n\t" + `{ "jsonrpc" : "2.0" , "id" : 1 , "method" : "m" } `, 0, "1"},
		{"id object", `{"jsonrpc":"2.0","id":{},"method":"m"}`, CodeInvalidRequest, "null"},
		{"id array", `{"jsonrpc":"2.0","id":[1],"method":"m"}`, CodeInvalidRequest, "null"},
		{"id bool", `{"jsonrpc":"2.0","id":true,"method":"m"}`, CodeInvalidRequest, "null"},
		{"no version", `{"id":1,"method":"m"}`, CodeInvalidRequest, "1"},
		{"old version", `{"jsonrpc":"1.0","id":1,"method":"m"}`, CodeInvalidRequest, "1"},
		{"version number", `{"jsonrpc":2.0,"id":1,"method":"m"}`, CodeInvalidRequest, "1"},
		{"other case", `{"jsonrpc":"2.0","ID":1,"Method":"m"}`, CodeInvalidRequest, "null"},
		{"method number", `{"jsonrpc":"2.0","id":1,"method":1}`, CodeInvalidRequest, "1"},
		{"method null", `{"jsonrpc":"2.0","id":1,"method":null}`, CodeInvalidRequest, "1"},
		{"method empty", `{"jsonrpc":"2.0","id":1,"method":""}`, CodeInvalidRequest, "1"},
		{"params text", `{"jsonrpc":"2.0","id":1,"method":"m","params":"x"}`, CodeInvalidRequest, "1"},
		{"number", `1`, CodeInvalidRequest, "null"},
		{"null", `null`, CodeInvalidRequest, "null"},
		{"string", `"x"`, CodeInvalidRequest, "null"},
	} {
		t.Run(test.name, func(t *testing.T) {
			reqs, batch, failed := parse([]byte(test.in), 10)
			if failed != nil || batch || len(reqs) != 1 {
				t.Fatalf("parse(%s) = %v, %v, %v", test.in, reqs, batch, failed)
			}
			code := 0
			if reqs[0].invalid != nil {
				code = reqs[0].invalid.Code
			}
			if code != test.code || string(reqs[0].id) != test.id {
				t.Errorf("parse(%s): code %d, id %s; want %d, %s", test.in, code, reqs[0].id, test.code, test.id)
			}
		})
	}
	for name, in := range map[string]string{
		"empty": "", "blank": "  ", "cut": `{"jsonrpc":"2.0"`, "two": `{}{}`, "comma": `[1,]`,
		"bytes": "\xff\xfe", "text not UTF-8": "{\"jsonrpc\":\"2.0\",\"id\":\"\xff\",\"method\":\"m\"}",
		"nan": "NaN", "deep": strings.Repeat("[", 100_000),
	} {
		if _, _, failed := parse([]byte(in), 10); failed == nil || failed.Code != CodeParse {
			t.Errorf("%s: error %v, want %d", name, failed, CodeParse)
		}
	}
	for name, in := range map[string]string{"empty": "[]", "long": "[" + strings.Repeat("1,", 10) + "1]"} {
		if _, _, failed := parse([]byte(in), 10); failed == nil || failed.Code != CodeInvalidRequest {
			t.Errorf("batch %s: error %v, want %d", name, failed, CodeInvalidRequest)
		}
	}
}

func TestParams(t *testing.T) {
	for _, test := range []struct {
		in string
		ok bool
		a  string
		b  int
	}{
		{``, false, "", 5}, {`[]`, false, "", 5}, {`[null]`, false, "", 5}, {`["x"]`, true, "x", 5}, {`["x",null]`, true, "x", 5},
		{`["x",9]`, true, "x", 9}, {`["x",9,1]`, false, "", 5}, {`[1]`, false, "", 5}, {`["x","y"]`, false, "x", 5}, {`{"a":"x"}`, false, "", 5},
	} {
		a, b := "", 5
		err := Params(json.RawMessage(test.in), 1, &a, &b)
		var e *Error
		if (err == nil) != test.ok || err != nil && (!errors.As(err, &e) || e.Code != CodeInvalidParams) {
			t.Errorf("Params(%s): error %v", test.in, err)
		}
		if a != test.a || b != test.b {
			t.Errorf("Params(%s) = %q, %d; want %q, %d", test.in, a, b, test.a, test.b)
		}
	}
}

// FuzzRequest: whatever arrives, the reply is JSON with as many items as
// requests that want one, and ids come back byte for byte.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"echo","params":[1]}`, `[{"jsonrpc":"2.0","id":"a","method":"echo","params":{"x":[]}},1,{"jsonrpc":"2.0","method":"echo"}]`,
		`{"jsonrpc":"2.0","id":null,"method":"fail"}`, `{"jsonrpc":"2.0","id":1e9,"method":"panic"}`, `[]`, `nul`, "\xff", `{"jsonrpc":"2.0","id":1,"method":"sub"}`,
	} {
		f.Add([]byte(s))
	}
	s := newTestServer(Options{})
	f.Fuzz(func(t *testing.T, msg []byte) {
		booked := s.queued.open(func() {})
		defer booked.close()
		reply, _, ok := s.serveMessage(t.Context(), nil, booked, msg)
		if !ok || booked.bytes != len(reply) {
			t.Fatalf("%v: %d bytes are booked of %d", ok, booked.bytes, len(reply))
		}
		reqs, batch, failed := parse(msg, s.opts.MaxBatch)
		if failed != nil {
			reqs, batch = []request{{id: nullID, invalid: failed}}, false
		}
		var ids []json.RawMessage
		for _, r := range reqs {
			if r.id != nil {
				ids = append(ids, r.id)
			} else if r.invalid != nil {
				t.Fatalf("invalid request without an id to answer: %s", msg)
			}
		}
		if len(ids) == 0 {
			if reply != nil {
				t.Fatalf("reply %s to notifications %s", reply, msg)
			}
			return
		}
		type answer struct {
			ID            json.RawMessage
			Result, Error json.RawMessage
		}
		var got []answer
		if !batch {
			reply = append(append([]byte{'['}, reply...), ']')
		}
		if err := json.Unmarshal(reply, &got); err != nil {
			t.Fatalf("reply to %q: %v: %s", msg, err, reply)
		}
		if len(got) != len(ids) {
			t.Fatalf("%d replies for %d ids: %s", len(got), len(ids), reply)
		}
		for i, a := range got {
			if !bytes.Equal(a.ID, ids[i]) || (a.Result == nil) == (a.Error == nil) {
				t.Fatalf("reply %d to %q: %s", i, msg, reply)
			}
		}
	})
}
