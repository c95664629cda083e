package pallet_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

type club struct {
	Members pallet.CountedMap[uint32, string] `pallet:"hasher=Twox64Concat,name=Member"`
}

// TestCountedMap compares random operations with those of a map, and the number
// with the keys that there are.
func TestCountedMap(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m, want := new(club), map[uint32]string{}
		if _, err := pallet.Describe(pallet.Declaration{Name: "Club", Module: m}); err != nil {
			t.Fatal(err)
		}
		ctx := &call{kv: newMemory()}
		for range rapid.IntRange(1, 40).Draw(r, "steps") {
			k, v := rapid.Uint32Range(0, 5).Draw(r, "key"), rapid.SampledFrom([]string{"", "a", "b"}).Draw(r, "value")
			switch rapid.SampledFrom([]string{"set", "set", "delete", "mutate", "fail", "clear"}).Draw(r, "step") {
			case "set":
				m.Members.Set(ctx, k, v)
				want[k] = v
			case "delete":
				m.Members.Delete(ctx, k)
				delete(want, k)
			case "mutate":
				err := m.Members.Mutate(ctx, k, func(s *string) error {
					if *s != want[k] {
						r.Fatalf("mutates %q, want %q", *s, want[k])
					}
					*s += v
					return nil
				})
				if err != nil {
					r.Fatal(err)
				}
				want[k] += v
			case "fail":
				if err := m.Members.Mutate(ctx, k, func(s *string) error { *s = "no"; return errOdd }); !errors.Is(err, errOdd) {
					r.Fatal(err)
				}
			case "clear":
				m.Members.Clear(ctx)
				clear(want)
			}
			got := map[uint32]string{}
			for k, v := range m.Members.All(query{ctx.kv}) {
				got[k] = v
			}
			if !reflect.DeepEqual(got, want) || int(m.Members.Len(query{ctx.kv})) != len(want) {
				r.Fatalf("%d keys: %v, want %v", m.Members.Len(ctx), got, want)
			}
			v, ok := m.Members.Lookup(ctx, k)
			if w, has := want[k]; v != w || ok != has || m.Members.Get(ctx, k) != w || m.Members.Contains(ctx, k) != has {
				r.Fatalf("key %d: %q %v, want %q %v", k, v, ok, w, has)
			}
		}
	})
}

// TestCountedMapInMetadata: FRAME's metadata has the number as an item of its own,
// a u32 of this name that is 0 by default.
func TestCountedMapInMetadata(t *testing.T) {
	m := new(club)
	d, err := pallet.Describe(pallet.Declaration{Name: "Club", Module: m})
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Storage) != 2 {
		t.Fatalf("%+v", d.Storage)
	}
	if s := d.Storage[0]; s.Name != "Member" || len(s.Keys) != 1 || s.Hashers[0] != hashing.Twox64Concat || s.Value != reflect.TypeFor[string]() {
		t.Errorf("%+v", s)
	}
	if s := d.Storage[1]; s.Name != "CounterForMember" || len(s.Keys) != 0 || s.Optional || s.Value != reflect.TypeFor[uint32]() || string(s.Default) != "\x00\x00\x00\x00" {
		t.Errorf("%+v", s)
	}
	ctx := &call{kv: newMemory()}
	m.Members.Set(ctx, 7, "x")
	if v, ok := ctx.kv.Get(hashing.StoragePrefix("Club", "CounterForMember")); !ok || string(v) != "\x01\x00\x00\x00" {
		t.Errorf("the number is %x", v)
	}
	if v, ok := ctx.kv.Get(m.Members.Key(7)); !ok || string(v) != "\x04x" || !strings.HasPrefix(string(m.Members.Key(7)), string(m.Members.Prefix())) {
		t.Errorf("the value is %x", v)
	}
	var taken struct {
		A               pallet.CountedMap[uint32, uint32]
		CounterForA     pallet.Value[uint32]
		B               pallet.CountedMap[uint32, float64]
		CounterForOther pallet.Value[uint32]
	}
	_, err = pallet.Describe(pallet.Declaration{Name: "Taken", Module: &taken})
	if err == nil || !strings.Contains(err.Error(), "CounterForA: another item has the name CounterForA") || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("%v", err)
	}
}
