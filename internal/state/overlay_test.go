package state

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// model is the plainest possible key-value store.
type model map[string]string

func (m model) clone() model { return maps.Clone(m) }

func (m model) next(key string) (string, bool) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if k > key {
			return k, true
		}
	}
	return "", false
}

// read returns what a Reader holds, by walking it.
func read(t *rapid.T, r Reader) model {
	m := model{}
	if v, ok := r.Get(nil); ok {
		m[""] = string(v)
	}
	for key, ok := r.Next(nil); ok; key, ok = r.Next(key) {
		v, ok := r.Get(key)
		if !ok || v == nil {
			t.Fatalf("Next gave %x, which has no value", key)
		}
		m[string(key)] = string(v)
	}
	return m
}

var (
	// Few keys, some of them prefixes of others, so that writes collide.
	keys   = rapid.SampledFrom([]string{"", "a", "aa", "ab", "b", "ba", "\x00", "a\x00", "\xff", "\xff\xff", "c", "cc"})
	values = rapid.SampledFrom([]string{"", "1", "2", "three"})
)

func same(t *rapid.T, r Reader, want model) {
	t.Helper()
	if diff := cmp.Diff(want, read(t, r)); diff != "" {
		t.Fatalf("content differs (-want +got):\n%s", diff)
	}
}

// TestOverlayAgainstModel drives a stack of overlays and a stack of models by
// the same random steps. Dropping an overlay must leave what was there before
// it was made, merging what it showed.
func TestOverlayAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := model{}
		s := New([32]byte{1})
		var first []Change
		for k, v := range rapid.MapOf(keys, values).Draw(t, "base") {
			base[k] = v
			first = append(first, Change{[]byte(k), []byte(v)})
		}
		s.Apply(1, first)

		overlays := []*Overlay{NewOverlay(s.Snapshot())}
		models := []model{base.clone()}
		top := func() (*Overlay, model) { return overlays[len(overlays)-1], models[len(models)-1] }
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				o, m := top()
				k, v := keys.Draw(t, "key"), values.Draw(t, "value")
				o.Set([]byte(k), []byte(v))
				m[k] = v
			},
			"delete": func(t *rapid.T) {
				o, m := top()
				k := keys.Draw(t, "key")
				o.Delete([]byte(k))
				delete(m, k)
			},
			"child": func(t *rapid.T) {
				o, m := top()
				overlays, models = append(overlays, o.Child()), append(models, m.clone())
			},
			"merge": func(t *rapid.T) {
				if len(overlays) == 1 {
					t.Skip("no child")
				}
				o, m := top()
				o.Merge()
				overlays = overlays[:len(overlays)-1]
				models = append(models[:len(models)-2], m)
			},
			"drop": func(t *rapid.T) {
				if len(overlays) == 1 {
					t.Skip("no child")
				}
				overlays, models = overlays[:len(overlays)-1], models[:len(models)-1]
			},
			"": func(t *rapid.T) {
				o, m := top()
				same(t, o, m)
				k := keys.Draw(t, "from")
				got, ok := o.Next([]byte(k))
				if want, found := m.next(k); ok != found || string(got) != want {
					t.Fatalf("Next(%q) = %q %v, want %q %v", k, got, ok, want, found)
				}
			},
		})

		for len(overlays) > 1 {
			o, _ := top()
			o.Merge()
			overlays = overlays[:len(overlays)-1]
		}
		end := models[len(models)-1]
		changes := overlays[0].Changes()
		var want []Change
		for _, k := range slices.Sorted(maps.Keys(union(base, end))) {
			old, had := base[k]
			v, has := end[k]
			switch {
			case has && (!had || old != v):
				want = append(want, Change{[]byte(k), []byte(v)})
			case had && !has:
				want = append(want, Change{[]byte(k), nil})
			}
		}
		if diff := cmp.Diff(want, changes); diff != "" && len(want)+len(changes) > 0 {
			t.Fatalf("Changes (-want +got):\n%s", diff)
		}
		same(t, s.Snapshot(), base) // the base is never touched
		s.Apply(2, changes)
		same(t, s.Snapshot(), end)
	})
}

func union(a, b model) model {
	u := a.clone()
	maps.Copy(u, b)
	return u
}

func TestOverlayCopiesWhatItIsGiven(t *testing.T) {
	o := NewOverlay(New([32]byte{}).Snapshot())
	key, value := []byte("key"), []byte("value")
	o.Set(key, value)
	o.Delete(key[:1])
	key[0], value[0] = 'x', 'x'
	got, ok := o.Get([]byte("key"))
	if !ok || string(got) != "value" {
		t.Errorf("Get = %q %v after the caller changed its slices", got, ok)
	}
	if next, ok := o.Next(nil); !ok || string(next) != "key" {
		t.Errorf("Next = %q %v after the caller changed its slices", next, ok)
	}
	// Growing a returned slice must not run into its neighbour.
	got = append(got, '!')
	key2, _ := o.Next(nil)
	_ = append(key2, '!')
	if v, _ := o.Get([]byte("key")); !bytes.Equal(v, []byte("value")) {
		t.Errorf("value became %q by an append to a returned slice (%q)", v, got)
	}
}

func TestNilIsTheEmptyValue(t *testing.T) {
	o := NewOverlay(New([32]byte{}).Snapshot())
	o.Set([]byte("k"), nil)
	if v, ok := o.Get([]byte("k")); !ok || v == nil || len(v) != 0 {
		t.Errorf("Get = %v %v, want an empty value", v, ok)
	}
	c := o.Changes()
	if len(c) != 1 || c[0].Value == nil {
		t.Errorf("Changes = %v, want one empty value that is no deletion", c)
	}
}

func TestMergeOfRootPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	NewOverlay(New([32]byte{}).Snapshot()).Merge()
}
