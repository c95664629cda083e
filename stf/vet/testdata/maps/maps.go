// Package maps iterates over maps.
package maps

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"sort"

	"github.com/offchain-worker/sdk/stf"
)

type Votes struct {
	Count stf.Map[stf.AccountID, uint32]
	Total stf.Value[uint64]
	Names stf.Value[[]string]
}

func tally(voters []stf.AccountID) map[stf.AccountID]uint32 {
	out := map[stf.AccountID]uint32{}
	for _, v := range voters {
		out[v]++
	}
	return out
}

// Bad are loops whose order shows.
func (v *Votes) Bad(ctx stf.Call, voters []stf.AccountID) error {
	m := tally(voters)
	for who, n := range m { // want `map: ranges over a map, whose order differs from run to run; collect the keys, sort them`
		v.Count.Set(ctx, who, n)
	}
	var order []stf.AccountID
	for who := range m { // want `map: collects order from a map`
		order = append(order, who)
	}
	v.first(ctx, order)
	var last uint32
	for _, n := range m { // want `map: ranges over a map`
		last = n
	}
	for _, n := range m { // want `map: ranges over a map`
		if n > 3 {
			last = n
			break
		}
	}
	sum := uint32(1)
	for _, n := range m { // want `map: ranges over a map`
		sum = sum*31 + n
	}
	mixed := uint32(0)
	for _, n := range m { // want `map: ranges over a map`
		mixed += n
		mixed ^= n
	}
	budget := uint32(10)
	for _, n := range m { // want `map: ranges over a map`
		if budget > n {
			budget -= n
		}
	}
	var who stf.AccountID
	for who = range m { // want `map: ranges over a map, whose order differs from run to run, and keeps the last element`
	}
	state := 0
	for _, n := range m { // want `map: ranges over a map`
		if n > 3 {
			state = 1
		} else {
			state = 2
		}
	}
	for range m { // want `map: ranges over a map`
		ctx.Emit(Counted{last, sum, mixed, budget, who, uint32(state)})
	}
	return nil
}

type Counted struct {
	A, B, C, D uint32
	E          stf.AccountID
	F          uint32
}

func (v *Votes) first(ctx stf.Call, order []stf.AccountID) { v.Count.Set(ctx, order[0], 1) }

func (v *Votes) Find(q stf.Query, voters []stf.AccountID) (stf.AccountID, error) {
	for who, n := range tally(voters) { // want `map: ranges over a map`
		if n > 1 {
			return who, nil
		}
	}
	return stf.AccountID{}, stf.ErrNone
}

func (v *Votes) Sorted(ctx stf.Call, names []string) error {
	type entry struct {
		name string
		n    int
	}
	m := map[string]int{}
	var list []entry
	for name, n := range m { // want `map: collects list from a map`
		list = append(list, entry{name, n})
	}
	slices.SortFunc(list, func(a, b entry) int { return cmp.Compare(a.n, b.n) })
	for _, name := range slices.Collect(maps.Keys(m)) { // want `map: maps.Keys yields elements in an order that differs`
		names = append(names, name)
	}
	for _, n := range slices.Sorted(maps.Values(m)) {
		_ = n
	}
	for k, n := range maps.All(m) { // want `map: maps.All`
		list = append(list, entry{k, n})
	}
	v.Names.Set(ctx, append(names, list[0].name))
	return nil
}

// Good are loops of which nothing shows.
func (v *Votes) Good(ctx stf.Call, voters []stf.AccountID) error {
	m := tally(voters)
	total, most, count := uint64(0), uint32(0), 0
	for _, n := range m {
		total += uint64(n)
		if n > most {
			most = n
		}
	}
	for range m {
		count++
	}
	var order []stf.AccountID
	for who := range m {
		order = append(order, who)
	}
	slices.SortFunc(order, func(a, b stf.AccountID) int { return bytes.Compare(a[:], b[:]) })
	var names []string
	for who, n := range m {
		if n == 0 {
			continue
		}
		names = append(names, who.String())
	}
	sort.Strings(names)
	twice := map[stf.AccountID]uint32{}
	for who, n := range m {
		twice[who] = 2 * n
		if n == 0 {
			delete(m, who)
		}
	}
	found := false
	for _, n := range m {
		if n == 7 {
			found = true
			break
		}
	}
	if any(m) && found {
		for _, who := range slices.SortedFunc(maps.Keys(twice), compare) {
			v.Count.Set(ctx, who, twice[who])
		}
	}
	other := maps.Collect(maps.All(m))
	maps.Copy(other, twice)
	v.Total.Set(ctx, total+uint64(most)+uint64(count)+uint64(len(other)))
	v.Names.Set(ctx, names)
	return nil
}

func compare(a, b stf.AccountID) int { return bytes.Compare(a[:], b[:]) }

func any(m map[stf.AccountID]uint32) bool {
	for _, n := range m {
		if n > 0 {
			return true
		}
	}
	return false
}
