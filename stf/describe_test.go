package stf_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
)

func TestDescribe(t *testing.T) {
	_, _, app := probe(t, func(c *stf.Config) { c.Docs = stf.Docs{"stf_test.Probe.Put": {Lines: []string{"Put puts."}}} })
	raw, _ := app.MetadataAt(15)
	d, err := stf.Describe(raw)
	if err != nil {
		t.Fatal(err)
	}
	var m stf.ModuleDescription
	for _, x := range d.Modules {
		if x.Name == "Probe" {
			m = x
		}
	}
	m.Getters = m.Getters[:1]
	for i := range m.Calls {
		for j := range m.Calls[i].Args {
			m.Calls[i].Args[j].Type = 0
		}
	}
	for j := range m.Getters[0].Args {
		m.Getters[0].Args[j].Type = 0
	}
	*m.Getters[0].Result, m.Events[0].Fields[0].Type = 0, 0
	got, err := json.Marshal(m)
	want := `{"name":"Probe","index":9,"calls":[{"name":"put","path":"0x0900","docs":["Put puts."],"args":[{"name":"sender","type":0},{"name":"k","type":0},{"name":"v","type":0}]},` +
		`{"name":"fail","path":"0x0901","args":[{"name":"sender","type":0},{"name":"arg0","type":0}]},{"name":"pay","path":"0x0902","args":[{"name":"sender","type":0},{"name":"arg0","type":0}]}],` +
		`"getters":[{"name":"read","path":"0x0900","args":[{"name":"arg0","type":0},{"name":"arg1","type":0}],"result":0}],` +
		`"events":[{"name":"Noted","index":0,"fields":[{"name":"n","type":0}]}],"errors":[{"name":"No","index":7,"docs":["no"]}]}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
	v14, _ := app.MetadataAt(14)
	for _, raw := range [][]byte{v14, nil, raw[:100]} {
		if d, err := stf.Describe(raw); err == nil {
			t.Errorf("%.20x is described as %v", raw, d)
		}
	}
}

// TestComposeByDescription: the description alone makes the bytes that the app's
// own types make.
func TestComposeByDescription(t *testing.T) {
	app := desks(t, false)
	raw, _ := app.MetadataAt(15)
	d, err := stf.Describe(raw)
	if err != nil {
		t.Fatal(err)
	}
	n := uint16(7)
	want, err := app.EncodeCall("Right.put", alice, option{&n, [2]bool{true}}, "s")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{`{"arg0":{"a":7,"b":[true,false]},"arg1":"s"}`, `[{"b":[true,false],"a":7},"s"]`} {
		if got, err := d.EncodeCall("Right.put", alice, []byte(args)); err != nil || string(got) != string(want) {
			t.Errorf("%s: %x, %v, want %x", args, got, err, want)
		}
	}
	trusted, err := app.EncodeGetter("Left.mine", alice, 3)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := d.EncodeGetter("Left.Mine", alice, []byte(`[3]`)); err != nil || string(got.Bytes) != string(trusted.Bytes) || got.Owner != alice || got.Public {
		t.Errorf("%+v, %v, want %+v", got, err, trusted)
	}
	if got, err := d.EncodeGetter("Left.all", alice, []byte(`["0x05"]`)); err != nil || !got.Public || !got.Owner.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := d.DecodeAnswer("Left.mine", scale.AppendU32(nil, 9)); err != nil || string(got) != "9" {
		t.Errorf("%s, %v", got, err)
	}
	for args, want := range map[string]string{`[]`: "takes an object with [arg0, arg1], or an array of 2", `7`: "takes an object", `{"arg0":{"a":1,"b":[true,true]},"x":2}`: "arg1 of Right.put is missing",
		`[{"a":"secret","b":[true,false]},"s"]`: "argument arg0 of Right.put: metadata: JSON is no value of the type: a: want an integer"} {
		if got, err := d.EncodeCall("Right.put", alice, []byte(args)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") || got != nil {
			t.Errorf("%s: %x, %v, want %s", args, got, err, want)
		}
	}
	if _, err := d.EncodeCall("Right.none", alice, []byte(`[]`)); err == nil || !strings.Contains(err.Error(), `has no "Right.none"; it has`) {
		t.Error(err)
	}
	if _, err := d.DecodeAnswer("Left.mine", []byte{1}); err == nil {
		t.Error("a short answer is decoded")
	}
}

// Accounts tells nonces as Substrate does, Teller also by themselves.
type (
	Accounts struct{}
	Teller   struct{ Accounts }
)

type tellerInfo struct {
	Free  uint64
	Nonce uint32
}

func (*Teller) Nonce(q stf.Query, who stf.AccountID) (uint32, error) { return q.Nonce(who), nil }
func (*Accounts) AccountInfo(q stf.Query, who stf.AccountID) (tellerInfo, error) {
	return tellerInfo{1, 7}, nil
}

func TestNonceGetter(t *testing.T) {
	for name, c := range map[string]struct {
		module any
		option stf.Option
		answer []byte
		want   string // path of the getter, "" if there is none
	}{
		"nonce":      {&Teller{}, stf.Getters(stf.Method("Nonce", 3), stf.Method("AccountInfo", 4)), []byte{7, 0, 0, 0}, "0103"},
		"account":    {&Accounts{}, stf.Getters(stf.Method("AccountInfo", 4)), []byte{1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0}, "0104"},
		"for all":    {&Teller{}, stf.Public(stf.Method("Nonce", 3), stf.Method("AccountInfo", 4)), nil, ""},
		"of another": {&Sorts{}, stf.Calls(stf.Method("Take", 0)), nil, ""},
	} {
		app, err := stf.NewApp(stf.Config{Name: "teller", Modules: []stf.ModuleDecl{stf.Module("Teller", c.module, stf.At(1), c.option)}})
		if err != nil {
			t.Fatal(err)
		}
		d, err := app.Describe()
		if err != nil {
			t.Fatal(err)
		}
		g, read, err := d.NonceGetter(alice)
		if c.want == "" {
			if !errors.Is(err, stf.ErrNoNonce) {
				t.Errorf("%s: %+v, %v", name, g, err)
			}
			continue
		}
		if err != nil || g.Public || g.Owner != alice || fmt.Sprintf("%x", g.Bytes) != c.want+fmt.Sprintf("%x", alice[:]) {
			t.Fatalf("%s: %+v, %v", name, g, err)
		}
		if n, err := read(c.answer); n != 7 || err != nil {
			t.Errorf("%s: %d, %v", name, n, err)
		}
		for _, bad := range [][]byte{nil, c.answer[1:], append(c.answer, 0)} {
			if _, err := read(bad); err == nil {
				t.Errorf("%s: %x is a nonce", name, bad)
			}
		}
	}
}

func FuzzDescribe(f *testing.F) {
	app, err := stf.NewApp(stf.Config{Name: "probe", Modules: []stf.ModuleDecl{probeModule(new(Probe))}})
	if err != nil {
		f.Fatal(err)
	}
	for _, v := range app.MetadataVersions() {
		raw, _ := app.MetadataAt(v)
		f.Add(raw, `[1,"0x02"]`)
	}
	f.Fuzz(func(t *testing.T, raw []byte, args string) {
		d, err := stf.Describe(raw)
		if err != nil {
			return
		}
		if _, read, err := d.NonceGetter(alice); err == nil {
			_, _ = read([]byte(args))
		}
		for _, m := range d.Modules {
			for _, c := range m.Calls {
				_, _ = d.EncodeCall(m.Name+"."+c.Name, alice, []byte(args))
			}
			for _, g := range m.Getters {
				_, _ = d.EncodeGetter(m.Name+"."+g.Name, alice, []byte(args))
				_, _ = d.DecodeAnswer(m.Name+"."+g.Name, []byte(args))
			}
		}
	})
}
