package openrpc

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/internal/jsonschema"
)

type account [2]byte

func (a account) MarshalText() ([]byte, error) { return []byte("x"), nil }

func TestNew(t *testing.T) {
	d, err := New(Info{Title: "t", Version: "1"}, []Server{{"s", "wss://h:1"}}, map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[account](): {Type: jsonschema.Types{"string"}, Pattern: "^x$"}},
		[]Method{
			{Name: "a_b", Summary: "sum", Params: reflect.TypeFor[struct {
				Who  account `json:"who" doc:"whose"`
				Much *uint8  `json:"much"`
			}](), ByName: true, Result: reflect.TypeFor[[]account](), ResultDoc: "all", Errors: []Error{{1, "No", nil}}},
			{Name: "a_c"},
		})
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"openrpc":"1.3.2","info":{"title":"t","version":"1"},"servers":[{"name":"s","url":"wss://h:1"}],"methods":[` +
		`{"name":"a_b","summary":"sum","paramStructure":"either","params":[{"name":"who","description":"whose","required":true,"schema":{"$ref":"#/components/schemas/account"}},` +
		`{"name":"much","schema":{"type":["integer","null"],"minimum":0,"maximum":255}}],` +
		`"result":{"name":"result","description":"all","schema":{"type":["array","null"],"items":{"$ref":"#/components/schemas/account"}}},"errors":[{"code":1,"message":"No"}]},` +
		`{"name":"a_c","paramStructure":"by-position","params":[],"result":{"name":"result","schema":{"type":"null"}}}],` +
		`"components":{"schemas":{"account":{"type":"string","pattern":"^x$"}}}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestNoForm(t *testing.T) {
	for _, m := range []Method{{Name: "bad", Result: reflect.TypeFor[func()]()}, {Name: "bad", Params: reflect.TypeFor[struct{ F func() }]()}} {
		if _, err := New(Info{}, nil, nil, []Method{m}); err == nil || !strings.Contains(err.Error(), "of bad: ") {
			t.Error(err)
		}
	}
}
