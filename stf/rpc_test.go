package stf_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
)

// rpcParams are the parameters of probe_cell.
type rpcParams struct {
	From uint32         `json:"from"`
	How  string         `json:"how,omitempty"`
	Who  *stf.AccountID `json:"who"`
	Wide uint64         `json:"wide,string,omitempty"`
}

type rpcResult struct {
	Block stf.BlockNumber `json:"block"`
	Value string          `json:"value"`
	Who   *stf.AccountID  `json:"who,omitempty"`
	Wide  uint64          `json:"wide,string"`
}

// answer answers JSON-RPC.
func (p *Probe) answer(q stf.Query, in rpcParams) (out rpcResult, err error) {
	switch in.How {
	case "coded":
		return out, fmt.Errorf("secret: %w", ErrNo)
	case "unlisted":
		return out, fmt.Errorf("secret: %w", ErrForged)
	case "plain":
		return out, errors.New("secret")
	case "forged parameters":
		return out, fmt.Errorf("secret: %w", stf.ErrRPCParams)
	case "panic":
		panic("secret")
	case "gas":
		for {
			q.Charge(1 << 20)
		}
	}
	return rpcResult{q.BlockNumber(), string(p.Cell.Get(q, in.From)), in.Who, in.Wide}, nil
}

// touchy is a parameter or result that does as it likes.
type touchy string

func (v *touchy) UnmarshalText(b []byte) error {
	if string(b) == "panic" {
		panic("secret")
	}
	*v = touchy(b)
	return nil
}

func (v touchy) MarshalText() ([]byte, error) {
	if v == "panic later" {
		panic("secret")
	}
	return []byte(v), nil
}

func echo(_ stf.Query, in struct{ V touchy }) (touchy, error) { return in.V, nil }

func nothing(stf.Query, struct{}) (*int, error) { return nil, nil }

func rpcApp(t *testing.T) (*stftest.Shard, *stf.App) {
	t.Helper()
	p := new(Probe)
	app, err := stf.NewApp(stf.Config{Name: "probe", Modules: []stf.ModuleDecl{probeModule(p)},
		Docs: stf.Docs{"stf_test.Probe.answer": {Lines: []string{"answer answers JSON-RPC."}}, "stf_test.nothing": {Lines: []string{"nothing"}}},
		RPC:  []stf.RPCMethod{stf.RPC("probe_cell", p.answer, ErrNo), stf.RPC("probe_echo", echo), stf.RPC("probe_Nothing2", nothing)}})
	if err != nil {
		t.Fatal(err)
	}
	return stftest.New(t, app), app
}

func TestRPC(t *testing.T) {
	s, app := rpcApp(t)
	s.Call(put(alice, 1, "value"))
	s.NextBlock()
	who := `"` + alice.String() + `"`
	for name, c := range map[string]struct {
		method, params string
		want           string // the answer, or part of the error
		err            error
	}{
		"by name":           {"probe_cell", `{"from":1,"who":` + who + `,"wide":"18446744073709551615"}`, `{"block":2,"value":"value","who":` + who + `,"wide":"18446744073709551615"}`, nil},
		"by position":       {"probe_cell", ` [1, null, ` + who + `]`, `{"block":2,"value":"value","who":` + who + `,"wide":"0"}`, nil},
		"required only":     {"probe_cell", `[2]`, `{"block":2,"value":"","wide":"0"}`, nil},
		"no parameters":     {"probe_Nothing2", ``, `null`, nil},
		"empty list":        {"probe_Nothing2", `[]`, `null`, nil},
		"empty object":      {"probe_Nothing2", `{}`, `null`, nil},
		"coded":             {"probe_cell", `[1,"coded"]`, "No: no", ErrNo},
		"unlisted":          {"probe_cell", `[1,"unlisted"]`, "stf: getter failed: probe_cell", stf.ErrGetter},
		"plain":             {"probe_cell", `[1,"plain"]`, "stf: getter failed: probe_cell", stf.ErrGetter},
		"forged parameters": {"probe_cell", `[1,"forged parameters"]`, "stf: getter failed: probe_cell", stf.ErrGetter},
		"panic":             {"probe_cell", `[1,"panic"]`, "stf: getter failed: probe_cell", stf.ErrGetter},
		"gas":               {"probe_cell", `[1,"gas"]`, "probe_cell needs more gas", stf.ErrGetter},
		"panic in decoding": {"probe_echo", `["panic"]`, "stf: getter failed: probe_echo", stf.ErrGetter},
		"panic in encoding": {"probe_echo", `["panic later"]`, "stf: getter failed: probe_echo", stf.ErrGetter},
		"missing":           {"probe_cell", `{"how":"x"}`, "from is missing; probe_cell takes from, how, who, wide", stf.ErrRPCParams},
		"null":              {"probe_cell", `{"from":1,"wide":null}`, `{"block":2,"value":"value","wide":"0"}`, nil},
		"unknown name":      {"probe_cell", `{"from":1,"From":2}`, "takes from, how", stf.ErrRPCParams},
		"too many":          {"probe_cell", `[1,"",null,"1",5]`, "5 of them", stf.ErrRPCParams},
		"wrong type":        {"probe_cell", `["secret"]`, "from is not of the expected form", stf.ErrRPCParams},
		"wrong account":     {"probe_cell", `[1,"","secret"]`, "not of the expected form", stf.ErrRPCParams},
		"too big":           {"probe_cell", `[4294967296]`, "from is not of the expected form", stf.ErrRPCParams},
		"none taken":        {"probe_Nothing2", `[1]`, "takes no parameters", stf.ErrRPCParams},
		"no JSON":           {"probe_cell", `[1`, "no JSON", stf.ErrRPCParams},
		"no list":           {"probe_cell", `7`, "want an array or an object", stf.ErrRPCParams},
		"unknown":           {"probe_other", ``, "unknown JSON-RPC method", stf.ErrUnknownRPC},
	} {
		got, err := app.CallRPC(s.State(), s.Env, c.method, json.RawMessage(c.params))
		if c.err == nil && (err != nil || string(got) != c.want) {
			t.Errorf("%s: got %s, %v, want %s", name, got, err, c.want)
		}
		if c.err != nil && (!errors.Is(err, c.err) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") || got != nil) {
			t.Errorf("%s: got %s, %v, want %s", name, got, err, c.want)
		}
	}
}

func TestRPCDescriptions(t *testing.T) {
	_, app := rpcApp(t)
	var got []string
	for _, m := range app.RPCMethods() {
		got = append(got, fmt.Sprintf("%s %s %v %v %d", m.Name, m.Docs, m.Params, m.Result, len(m.Errors)))
	}
	want := []string{"probe_Nothing2 [nothing] [] *int 0",
		"probe_cell [answer answers JSON-RPC.] [{from true} {how false} {who false} {wide false}] stf_test.rpcResult 1", "probe_echo [] [{V true}] stf_test.touchy 0"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// TestRPCProblems: mistakes are found when the app is declared, all at once.
func TestRPCProblems(t *testing.T) {
	fine := func(stf.Query, struct{}) (int, error) { return 0, nil }
	twice := stf.NewError(7, "Twice", "")
	_, err := stf.NewApp(stf.Config{Name: "my-app", Modules: []stf.ModuleDecl{probeModule(new(Probe))}, RPC: []stf.RPCMethod{
		{},
		stf.RPC("plain", fine),
		stf.RPC("rpc.discover", fine),
		stf.RPC("state_getMetadata", fine),
		stf.RPC("ocw_later", fine),
		stf.RPC("my_one", fine),
		stf.RPC("my_one", fine),
		stf.RPC("my_number", func(stf.Query, int) (int, error) { return 0, nil }),
		stf.RPC("my_channel", func(stf.Query, struct{ C chan int }) (int, error) { return 0, nil }),
		stf.RPC("my_func", func(stf.Query, struct{}) (func(), error) { return nil, nil }),
		stf.RPC("my_errors", fine, ErrNo, nil, twice),
	}})
	if err == nil {
		t.Fatal("declared")
	}
	for _, want := range []string{
		"a method that stf.RPC did not make",
		`method "plain": want a name like "myapp_something"`,
		`method "rpc.discover": want a name`,
		"method state_getMetadata: names with state_ are the worker's own; give it another first part, such as myapp_",
		"method ocw_later: names with ocw_",
		"method my_one is listed twice",
		"method my_number takes a int; have it take a struct",
		"my_channel: parameters: ",
		"my_func: result: jsonschema: type func() has no JSON form; answer with another type",
		"my_errors lists a nil error",
		"my_errors has two errors of code 7, No and Twice",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing says %q in\n%v", want, err)
		}
	}
}

// TestRPCContextEnds: a query that outlives its method is of no use.
func TestRPCContextEnds(t *testing.T) {
	var kept stf.Query
	app, err := stf.NewApp(stf.Config{Name: "probe", Modules: []stf.ModuleDecl{probeModule(new(Probe))},
		RPC: []stf.RPCMethod{stf.RPC("probe_keep", func(q stf.Query, _ struct{}) (int, error) { kept = q; return 1, nil })}})
	if err != nil {
		t.Fatal(err)
	}
	s := stftest.New(t, app)
	if got, err := app.CallRPC(s.State(), s.Env, "probe_keep", nil); err != nil || string(got) != "1" {
		t.Fatalf("%s, %v", got, err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a context was used after its method")
		}
	}()
	kept.Nonce(alice)
}

func FuzzRPCParams(f *testing.F) {
	p := new(Probe)
	app, err := stf.NewApp(stf.Config{Name: "probe", Modules: []stf.ModuleDecl{probeModule(p)}, RPC: []stf.RPCMethod{
		stf.RPC("probe_fuzz", func(_ stf.Query, in rpcParams) (rpcParams, error) { return in, nil })}})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{`[1,"x",null,"7"]`, `{"from":1,"wide":"7"}`, `{"from":1,"who":"5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"}`, `[`, `{"a":{"b":[]}}`, ``} {
		f.Add([]byte(seed))
	}
	s := stftest.New(f, app)
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := app.CallRPC(s.State(), s.Env, "probe_fuzz", raw)
		if err != nil {
			if !errors.Is(err, stf.ErrRPCParams) || got != nil {
				t.Fatalf("%s, %v", got, err)
			}
			return
		}
		again, err := app.CallRPC(s.State(), s.Env, "probe_fuzz", got)
		if err != nil || string(again) != string(got) {
			t.Fatalf("%s became %s, %v", got, again, err)
		}
	})
}
