package jsonschema

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

type text string

func (t text) MarshalText() ([]byte, error) { return []byte(t), nil }

type own struct{ hidden int }

func (*own) MarshalJSON() ([]byte, error) { return []byte("7"), nil }

type node struct {
	Value uint8   `json:"value"`
	Next  *node   `json:"next,omitempty"`
	All   []*node `json:"all,omitzero"`
}

type base struct {
	ID int64 `json:"id"`
}

type outer struct {
	base
	Name   string         `json:"name" doc:"what it is called"`
	Skip   string         `json:"-"`
	Count  uint64         `json:",string"`
	ByName map[string]int `json:"byName,omitempty"`
	hidden int
}

func TestOf(t *testing.T) {
	for name, c := range map[string]struct {
		of   reflect.Type
		want string
	}{
		"nothing":   {nil, `{"type":"null"}`},
		"bool":      {reflect.TypeFor[bool](), `{"type":"boolean"}`},
		"u8":        {reflect.TypeFor[uint8](), `{"type":"integer","minimum":0,"maximum":255}`},
		"u64":       {reflect.TypeFor[uint64](), `{"type":"integer","minimum":0,"maximum":18446744073709551615}`},
		"i32":       {reflect.TypeFor[int32](), `{"type":"integer","minimum":-2147483648,"maximum":2147483647}`},
		"i64":       {reflect.TypeFor[int64](), `{"type":"integer","minimum":-9223372036854775808,"maximum":9223372036854775807}`},
		"int":       {reflect.TypeFor[int](), `{"type":"integer"}`},
		"float":     {reflect.TypeFor[float64](), `{"type":"number"}`},
		"string":    {reflect.TypeFor[string](), `{"type":"string"}`},
		"bytes":     {reflect.TypeFor[[]byte](), `{"type":["string","null"],"contentEncoding":"base64"}`},
		"array":     {reflect.TypeFor[[2]bool](), `{"type":"array","items":{"type":"boolean"},"minItems":2,"maxItems":2}`},
		"slice":     {reflect.TypeFor[[]string](), `{"type":["array","null"],"items":{"type":"string"}}`},
		"map":       {reflect.TypeFor[map[int]bool](), `{"type":["object","null"],"additionalProperties":{"type":"boolean"}}`},
		"pointer":   {reflect.TypeFor[*string](), `{"type":["string","null"]}`},
		"any":       {reflect.TypeFor[any](), `{}`},
		"raw":       {reflect.TypeFor[json.RawMessage](), `{}`},
		"text":      {reflect.TypeFor[text](), `{"type":"string"}`},
		"time":      {reflect.TypeFor[time.Time](), `{"type":"string"}`},
		"own JSON":  {reflect.TypeFor[own](), `{}`},
		"unnamed":   {reflect.TypeFor[struct{ A bool }](), `{"type":"object","properties":{"A":{"type":"boolean"}},"required":["A"]}`},
		"recursive": {reflect.TypeFor[*node](), `{"oneOf":[{"$ref":"#/node"},{"type":"null"}]}`},
		"struct":    {reflect.TypeFor[outer](), `{"$ref":"#/outer"}`},
	} {
		r := &Registry{Prefix: "#/"}
		s, err := r.Of(c.of)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := marshal(t, s); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
		want := map[string]string{
			"recursive": `{"node":{"type":"object","properties":{"all":{"type":["array","null"],"items":{"oneOf":[{"$ref":"#/node"},{"type":"null"}]}},"next":{"oneOf":[{"$ref":"#/node"},{"type":"null"}]},"value":{"type":"integer","minimum":0,"maximum":255}},"required":["value"]}}`,
			"struct":    `{"outer":{"type":"object","properties":{"Count":{"type":"string"},"byName":{"type":["object","null"],"additionalProperties":{"type":"integer"}},"id":{"type":"integer","minimum":-9223372036854775808,"maximum":9223372036854775807},"name":{"description":"what it is called","type":"string"}},"required":["id","name","Count"]}}`,
		}[name]
		if len(r.Schemas()) == 0 && want == "" {
			continue
		}
		if got := marshal(t, r.Schemas()); got != want {
			t.Errorf("%s: named types: got %s, want %s", name, got, want)
		}
	}
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestKnownAndNames(t *testing.T) {
	r := &Registry{Known: map[reflect.Type]*Schema{reflect.TypeFor[text](): {Type: Types{"string"}, Pattern: "^x$"}}}
	type node struct{ A text } // of the same name
	for range 2 {
		for _, typ := range []reflect.Type{reflect.TypeFor[node](), outerNode} {
			if _, err := r.Of(typ); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := marshal(t, r.Schemas()["text"]); got != `{"type":"string","pattern":"^x$"}` {
		t.Error(got)
	}
	if len(r.Schemas()) != 3 || r.Schemas()["node"] == nil || r.Schemas()["jsonschema.node"] == nil {
		t.Errorf("got %v", marshal(t, r.Schemas()))
	}
}

var outerNode = reflect.TypeFor[node]()

func TestNoForm(t *testing.T) {
	for _, typ := range []reflect.Type{reflect.TypeFor[func()](), reflect.TypeFor[[]chan int](), reflect.TypeFor[map[bool]int](),
		reflect.TypeFor[struct{ A, B complex64 }](), reflect.TypeFor[*func()](), reflect.StructOf([]reflect.StructField{
			{Name: "A", Type: reflect.TypeFor[int](), Tag: `json:"x"`}, {Name: "B", Type: reflect.TypeFor[int](), Tag: `json:"x"`}})} {
		if s, err := (&Registry{}).Of(typ); err == nil || !strings.Contains(err.Error(), "jsonschema:") {
			t.Errorf("%v: %v, %v", typ, s, err)
		}
	}
	_ = own{}.hidden
	_ = outer{}.hidden
}
