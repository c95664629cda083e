package runtime

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/metadata"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// TestRoles: each role has its pallets, name and code, and the code says which
// it is.
func TestRoles(t *testing.T) {
	both := []string{"System", "Timestamp", "Sudo", "Multisig", "Proxy", "Scheduler", "Utility", "Balances", "TransactionPayment"}
	for role, want := range map[Role][]string{
		Solo:  append(slices.Clone(both), "Grandpa", "Teerex", "EnclaveBridge"),
		Relay: append(slices.Clone(both), "Grandpa", "ParaInherent", "Paras"),
		Para:  append(slices.Clone(both), "Teerex", "EnclaveBridge", "ParachainSystem", "ParachainInfo"),
	} {
		for _, o := range []Options{{Role: role}, {Role: role, MoveCalls: true, SpecVersion: 3, NoMetadataHash: true}} {
			r, err := Shared(o)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range r.Metadata.Pallets {
				got = append(got, p.Name)
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s: pallets %v", role, got)
			}
			if again, err := FromCode(r.Code()); again != r || r.Role() != role {
				t.Errorf("%s: the code is of %v, %v", role, again, err)
			}
			api := slices.ContainsFunc(r.Metadata.APIs, func(a metadata.API) bool { return a.Name == "GrandpaApi" })
			if api != r.HasGrandpa() || api != (role != Para) {
				t.Errorf("%s: GrandpaApi: %v", role, api)
			}
		}
	}
}

// layout describes a type by what its encoding looks like and what it is called.
func layout(m *metadata.Metadata, id metadata.TypeID) string {
	t := m.Type(id)
	if name := t.Name(); name == "BTreeSet" || name == "BTreeMap" {
		return layout(m, t.Fields[0].Type) // encoded as the list that it is
	}
	var b strings.Builder
	b.WriteString(strings.Join(t.Path, "::"))
	switch t.Kind {
	case metadata.KindComposite:
		for _, f := range t.Fields {
			fmt.Fprintf(&b, "{%s %s}", f.Name, layout(m, f.Type))
		}
	case metadata.KindTuple:
		for _, e := range t.Tuple {
			fmt.Fprintf(&b, "{ %s}", layout(m, e))
		}
	case metadata.KindSequence, metadata.KindArray:
		fmt.Fprintf(&b, "[%d %s]", t.Len, layout(m, t.Elem))
	case metadata.KindPrimitive:
		b.WriteString(t.Primitive.String())
	default:
		fmt.Fprintf(&b, "kind %d", t.Kind)
	}
	return b.String()
}

// TestParachainMetadata compares what a parachain's clients may look at with the
// metadata of a real one.
func TestParachainMetadata(t *testing.T) {
	real, err := metadata.Decode(vector(t, "integritee-kusama-560-v15.scale"))
	if err != nil {
		t.Fatal(err)
	}
	ours, err := Shared(Options{Role: Para})
	if err != nil {
		t.Fatal(err)
	}
	describe := func(m *metadata.Metadata) (out []string) {
		for _, p := range m.Pallets {
			if p.Name != "ParachainSystem" && p.Name != "ParachainInfo" {
				continue
			}
			for _, s := range p.Storage {
				out = append(out, fmt.Sprintf("%d %s.%s %d %x %v %s", p.Index, p.Prefix, s.Name, s.Modifier, s.Default, s.Hashers, layout(m, s.ValueType)))
			}
			for kind, id := range map[string]*metadata.TypeID{"call": p.Calls, "event": p.Event, "error": p.Error} {
				if id == nil {
					continue
				}
				for _, v := range m.Type(*id).Variants {
					line := fmt.Sprintf("%d %s %s %d %s", p.Index, p.Name, kind, v.Index, v.Name)
					for _, f := range v.Fields {
						line += " " + f.Name + " " + layout(m, f.Type)
					}
					out = append(out, line)
				}
			}
		}
		return out
	}
	has := describe(real)
	lines := describe(ours.Metadata)
	for _, line := range lines {
		if !slices.Contains(has, line) {
			t.Errorf("not in the real metadata: %s", line)
		}
	}
	if len(lines) != 6 {
		t.Errorf("%d things compared", len(lines))
	}
}

// TestInherents: each kind of block begins with its inherents, in order and once.
func TestInherents(t *testing.T) {
	relay, err := Shared(Options{Role: Relay})
	if err != nil {
		t.Fatal(err)
	}
	para, err := Shared(Options{Role: Para})
	if err != nil {
		t.Fatal(err)
	}
	genesis := func(r *Runtime, g Genesis) (state trie.Trie) {
		g.Sudo = key(t, "//Alice").AccountID()
		changes, err := r.Genesis(g)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			state = state.Set(c.Key, c.Value)
		}
		return state
	}
	relayState := genesis(relay, Genesis{Paras: []IncludedHead{{2000, HeadData("head 0")}}})
	paraState := genesis(para, Genesis{ParaID: 7})
	now := relay.TimestampInherent(1_700_000_000_000)
	head := relay.InclusionInherent(IncludedHead{2000, HeadData("head 1")})
	validation := para.ValidationInherent(PersistedValidationData{ParentHead: HeadData("p"), RelayParentNumber: 5})
	for i, test := range []struct {
		rt    *Runtime
		state trie.Trie
		body  [][]byte
		fails int // the extrinsic that cannot be there; the length for Finish
		done  bool
	}{
		{relay, relayState, [][]byte{now}, 0, true},
		{relay, relayState, [][]byte{now, head}, 0, true},
		{relay, relayState, [][]byte{head, now}, 0, false},
		{relay, relayState, [][]byte{now, now}, 1, false},
		{relay, relayState, [][]byte{now, head, head}, 2, false},
		{relay, relayState, [][]byte{now, relay.InclusionInherent(IncludedHead{8, HeadData("x")})}, 1, false},
		{relay, relayState, nil, 0, false},
		{para, paraState, [][]byte{validation, now}, 0, true},
		{para, paraState, [][]byte{now}, 0, false},
		{para, paraState, [][]byte{validation}, 1, false},
		{para, paraState, [][]byte{validation, validation}, 1, false},
		{para, paraState, [][]byte{validation, now, validation}, 2, false},
		{para, paraState, [][]byte{relay.InclusionInherent()}, 0, false},
	} {
		x := test.rt.Begin(test.state, 1, hashOf(0), nil)
		failed := -1
		for j, raw := range test.body {
			if _, err := x.Apply(raw); err != nil {
				var invalid *Invalid
				if failed = j; !errors.As(err, &invalid) && !errors.Is(err, ErrUndecodable) {
					t.Errorf("case %d: %v", i, err)
				}
				break
			}
		}
		if failed < 0 {
			if _, err := x.Finish(); err != nil {
				failed = len(test.body)
			}
		}
		if done := failed < 0; done != test.done || !done && failed != test.fails {
			t.Errorf("case %d: failed at %d", i, failed)
		}
	}

	// What a block leaves behind.
	next := func(r *Runtime, state trie.Trie, number header.Number, body ...[]byte) trie.Trie {
		x := r.Begin(state, number, hashOf(number-1), nil)
		for _, raw := range body {
			if _, err := x.Apply(raw); err != nil {
				t.Fatal(err)
			}
		}
		result, err := x.Finish()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range result.Changes {
			if state = state.Set(c.Key, c.Value); c.Value == nil {
				state = state.Delete(c.Key)
			}
		}
		return state
	}
	relayState = next(relay, relayState, 1, now, head)
	// Paras.Heads(2000) of any relay chain: prefix, twox64 of the id, id (substrate.md section 6).
	raw, _ := hex.DecodeString("cd710b30bd2eab0352ddcc26417aa1941b3c252fcb29d88eff4f3de5de4476c3" + "63f5a4efb16ffa83" + "d0070000")
	if data, ok := relay.Head(relayState, 2000); !ok || string(data) != "head 1" {
		t.Errorf("head %q", data)
	}
	if v, _ := relayState.Get(raw); string(v) != "\x18head 1" {
		t.Errorf("%x: %q", relay.Paras.Heads.Key(2000), v)
	}
	paraState = next(para, paraState, 1, validation, now)
	if id, _ := paraState.Get(para.ParachainInfo.ParachainID.Key()); string(id) != "\x07\x00\x00\x00" || para.LastRelayBlock(paraState) != 5 {
		t.Errorf("para id %x, relay block %d", id, para.LastRelayBlock(paraState))
	}
	x := para.Begin(paraState, 2, hashOf(1), nil)
	if _, err := x.Apply(para.ValidationInherent(PersistedValidationData{RelayParentNumber: 4})); err == nil {
		t.Error("the relay chain went back")
	}
}
