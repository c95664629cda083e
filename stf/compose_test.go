package stf_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
)

func TestParse(t *testing.T) {
	app, err := declared().app("")
	if err != nil {
		t.Fatal(err)
	}
	call, err := app.ParseCall("Ledger.Pay", alice, []string{`{"To":"` + bob.String() + `","Note":"hi"}`, "340282366920938463463374607431768211455"})
	want := append([]byte{1, 7}, alice[:]...)
	want = append(append(append(want, bob[:]...), 1, 8), "hi"...)
	want = append(want, bytes.Repeat([]byte{255}, 16)...)
	if err != nil || !bytes.Equal(call, want) {
		t.Errorf("%x %v, want %x", call, err, want)
	}
	if call, err = app.ParseCall("ledger.add", alice, []string{"7"}); err != nil || !bytes.Equal(call[34:], []byte{7, 0, 0, 0}) {
		t.Errorf("%x %v", call, err)
	}
	if same, err := app.CallOf("Ledger.add", alice, 7); err != nil || !bytes.Equal(same, call) {
		t.Errorf("%x %v", same, err)
	}
	getter, public, err := app.ParseGetter("Ledger.mine", alice, nil)
	if err != nil || public || hex.EncodeToString(getter[:2]) != "0100" || len(getter) != 34 {
		t.Errorf("%x %v %v", getter, public, err)
	}
	if getter, public, err = app.ParseGetter("Ledger.total", alice, nil); err != nil || !public || len(getter) != 2 {
		t.Errorf("%x %v %v", getter, public, err)
	}
	if s, err := app.FormatAnswer("Ledger.total", scale.AppendU64(nil, 5)); err != nil || s != "5" {
		t.Errorf("%q %v", s, err)
	}
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"Ledger.gone", nil, "it has Ledger.add(by: u32), Ledger.pay("},
		{"Ledger.add", nil, "takes 1 arguments, (by: u32)"},
		{"Ledger.add", []string{"-1"}, "argument by of Ledger.add is no u32"},
		{"Ledger.pay", []string{"{}", "x"}, "argument amount of Ledger.pay is no u128"},
	} {
		if _, err := app.ParseCall(c.name, alice, c.args); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if _, _, err := app.ParseGetter("Ledger.gone", alice, nil); err == nil || !strings.Contains(err.Error(), "Ledger.mine()") {
		t.Error(err)
	}
	if _, err := app.FormatAnswer("x", nil); err != stf.ErrUnknownGetter {
		t.Error(err)
	}
}

// perhaps has options where a call and getters have their arguments and results.
type perhaps struct{ Last stf.Value[uint32] }

func (p *perhaps) Set(ctx stf.Call, to *uint32) error {
	if to != nil {
		p.Last.Set(ctx, *to)
	}
	return nil
}

func (p *perhaps) Get(q stf.Query, above *uint32) (*uint32, error) {
	if last := p.Last.Get(q); above == nil || last > *above {
		return &last, nil
	}
	return nil, nil
}

// TestOptions: what is a pointer in Go is an option in the bytes, as the lock
// says, also where it is a whole argument or result.
func TestOptions(t *testing.T) {
	app, err := stf.NewApp(stf.Config{Name: "perhaps", Modules: []stf.ModuleDecl{stf.Module("P", &perhaps{}, stf.At(1),
		stf.Calls(stf.Method("Set", 0, "to")), stf.Public(stf.Method("Get", 0, "above")))}})
	if err != nil {
		t.Fatal(err)
	}
	if lock := app.Lock(); !strings.Contains(lock, "P.set(to: Option<u32>)") || !strings.Contains(lock, "P.get(above: Option<u32>) -> Option<u32>") {
		t.Error(lock)
	}
	shard := stftest.New(t, app)
	for word, bytes := range map[string]string{"null": "00", "7": "0107000000"} {
		call, err := app.ParseCall("P.Set", alice, []string{word})
		if err != nil || hex.EncodeToString(call[34:]) != bytes {
			t.Errorf("%s: %x, %v", word, call, err)
		}
		if got := shard.Call(call); !got.Outcome.OK() {
			t.Errorf("%s: %v", word, got.Outcome)
		}
	}
	for word, want := range map[string]string{"null": "7", "6": "7", "7": "null"} {
		getter, _, err := app.ParseGetter("P.Get", alice, []string{word})
		if err != nil {
			t.Fatal(err)
		}
		var answer *uint32
		shard.Public(getter, &answer)
		if got, err := app.FormatAnswer("P.Get", scale.MustMarshal(struct{ V *uint32 }{answer})); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", word, got, err, want)
		}
	}
}
