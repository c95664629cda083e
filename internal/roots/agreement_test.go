package roots

import (
	"slices"
	"testing"

	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

func TestAgreement(t *testing.T) {
	r := example()
	want := r.Publish()
	self, a, b, c := keyring.AccountID{0xff}, keyring.AccountID{1}, keyring.AccountID{2}, keyring.AccountID{3}
	with := func(change func(*Publication)) Publication {
		p := want
		change(&p)
		return p
	}
	type published struct {
		by keyring.AccountID
		p  Publication
	}
	later := with(func(p *Publication) { p.Number++; p.State = hashing.Hash{1} })
	for name, test := range map[string]struct {
		k     int
		list  []published
		is    bool
		other bool
	}{
		"nobody":                   {k: 1},
		"nobody, none wanted":      {k: 0},
		"one of one":               {k: 1, list: []published{{a, want}}, is: true},
		"one of two":               {k: 2, list: []published{{a, want}}},
		"one twice":                {k: 2, list: []published{{a, want}, {a, want}}},
		"two":                      {k: 2, list: []published{{a, want}, {b, want}}, is: true},
		"more":                     {k: 2, list: []published{{a, want}, {b, want}, {c, want}}, is: true},
		"oneself":                  {k: 2, list: []published{{a, want}, {self, want}}},
		"another block":            {k: 2, list: []published{{a, want}, {b, later}}},
		"another block beside two": {k: 2, list: []published{{c, later}, {a, want}, {b, want}}, is: true},
		"another state":            {k: 1, list: []published{{a, want}, {b, with(func(p *Publication) { p.State[0]++ })}}, other: true},
		"other receipts":           {k: 1, list: []published{{a, want}, {b, with(func(p *Publication) { p.Receipts[0]++ })}}, other: true},
		"another history":          {k: 1, list: []published{{a, want}, {b, with(func(p *Publication) { p.History[0]++ })}}, other: true},
		"one says both":            {k: 1, list: []published{{a, want}, {a, with(func(p *Publication) { p.History[0]++ })}}, other: true},
		"oneself said another":     {k: 1, list: []published{{a, want}, {self, with(func(p *Publication) { p.State[0]++ })}}, other: true},
	} {
		for order := range 2 {
			list := slices.Clone(test.list)
			if order == 1 {
				slices.Reverse(list)
			}
			x := NewAgreement(want, test.k, self)
			for _, p := range list {
				x.Add(p.by, p.p)
			}
			p, by, other := x.Contradicted()
			if x.Reached() != test.is || other != test.other || other && (p == want || by.IsZero()) {
				t.Errorf("%s: reached %v, contradicted %v by %v", name, x.Reached(), other, by)
			}
			if test.is && (len(x.Signers()) != test.k || !slices.IsSortedFunc(x.Signers(), func(a, b keyring.AccountID) int { return int(a[0]) - int(b[0]) })) {
				t.Errorf("%s: signers %v", name, x.Signers())
			}
		}
	}
}
