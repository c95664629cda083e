package strictjson

import (
	"errors"
	"testing"
)

func TestUnmarshal(t *testing.T) {
	type inner struct{ B int }
	for text, ok := range map[string]bool{
		`{"a":{"b":1}}`: true, " {} \n": true, "null": true,
		"": false, "[]": false, `{"c":1}`: false, `{"a":{"c":1}}`: false, `{"a":1}`: false, `{"a":`: false,
	} {
		var v struct{ A inner }
		if err := Unmarshal([]byte(text), &v); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{`{}{}`, `{}x`, `{} ]`, "{}\x00"} {
		if err := Unmarshal([]byte(text), new(struct{})); !errors.Is(err, ErrMore) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
