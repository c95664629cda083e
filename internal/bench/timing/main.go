// Command timing compares how long ciphertexts of different kinds take to be
// refused, in the manner of dudect (Reparaz, Balasch, Verbauwhede: "Dude, is my
// code constant time?"): if who sends ciphertexts could tell by the time how far
// the decryption of a changed one came, he could read the original bit by bit.
// It prints Welch's t for each pair and exits 1 if one is beyond doubt.
//
// It is no test: it takes minutes, and asks for a machine that is not busy.
package main

import (
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/big"
	mathrand "math/rand/v2"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/offchain-worker/sdk/internal/shielding"
)

// suspicious and certain are bounds of |t|, those of dudect.
const suspicious, certain = 4.5, 10.0

// kinds are two kinds of ciphertexts that must not be told apart.
type kinds struct {
	name string
	make [2]func() []byte
	open func([]byte) ([]byte, error)
	n    int // of each kind
}

func main() {
	scale := flag.Float64("scale", 1, "how many measurements, as a multiple")
	flag.Parse()
	leaks, err := run(*scale)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	case leaks:
		os.Exit(1)
	}
}

func run(scale float64) (leaks bool, err error) {
	all, err := pairs()
	if err != nil {
		return false, err
	}
	fmt.Printf("%s, %s/%s, %d CPUs. |t| above %.1f is suspicious, above %.0f beyond doubt.\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), suspicious, certain)
	fmt.Println("| what is compared | of each | median, µs | difference, ns | largest abs(t) |")
	fmt.Println("|---|---|---|---|---|")
	for _, k := range all {
		times, err := k.measure(int(float64(k.n) * scale))
		if err != nil {
			return false, fmt.Errorf("%s: %w", k.name, err)
		}
		t := largest(times)
		medians := [2]float64{quantile(times[0], 0.5), quantile(times[1], 0.5)}
		fmt.Printf("| %s | %d | %.1f | %.0f | %.2f |\n", k.name, len(times[0]), medians[0]/1e3, medians[1]-medians[0], t)
		leaks = leaks || t > certain
	}
	return leaks, nil
}

// pairs lists what is compared.
func pairs() ([]kinds, error) {
	key, err := shielding.Generate()
	if err != nil {
		return nil, err
	}
	raw := rawKey(key.Public())
	openRSA := func(ct []byte) ([]byte, error) { return key.Decrypt(ct, 1) }
	const n = 20_000
	all := []kinds{
		// Manger's oracle: whether the first byte of what RSA gives is zero.
		{"RSA: first byte not zero, against zero with a wrong digest", [2]func() []byte{raw.first(1), raw.first(0)}, openRSA, n},
		{"RSA: a chunk of another key, against one with a byte changed", [2]func() []byte{raw.first(-1), changed(func() ([]byte, error) {
			return key.Public().Encrypt(rand.Reader, make([]byte, 200))
		}, 383)}, openRSA, n},
	}
	for _, e := range shielding.Hybrids {
		var secret, other [32]byte
		rand.Read(secret[:])
		rand.Read(other[:])
		mine, err := shielding.NewHybridKey(e, secret)
		if err != nil {
			return nil, err
		}
		foreign, err := shielding.NewHybridKey(e, other)
		if err != nil {
			return nil, err
		}
		seal := func(k *shielding.HybridKey) func() ([]byte, error) {
			public := k.Public()
			return func() ([]byte, error) { return public.Seal(make([]byte, 200), shielding.Binding{}) }
		}
		open := func(ct []byte) ([]byte, error) { return mine.Open(ct, shielding.Binding{}) }
		last := func(make func() ([]byte, error)) func() []byte { return changed(make, -1) }
		all = append(all,
			kinds{e.String() + ": of another key, against the tag changed", [2]func() []byte{changed(seal(foreign), -2), last(seal(mine))}, open, 2 * n},
			kinds{e.String() + ": the encapsulated key changed, against the tag changed", [2]func() []byte{changed(seal(mine), 2), last(seal(mine))}, open, 2 * n})
	}
	return all, nil
}

// changed returns what make makes with a bit of one byte changed; -1 is the last byte.
func changed(make func() ([]byte, error), at int) func() []byte {
	return func() []byte {
		ct, err := make()
		if err != nil {
			panic(err)
		}
		i := at
		if i < 0 {
			i += len(ct)
		}
		ct[i] ^= 1
		return ct
	}
}

// modulus is a public key of which the bare RSA operation is done here.
type modulus struct{ n, e *big.Int }

func rawKey(k *shielding.PublicKey) *modulus {
	n, e := k.Parts() // little-endian
	slices.Reverse(n)
	slices.Reverse(e)
	return &modulus{new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)}
}

// first returns ciphertexts of random bytes of which the first one is zero (0),
// is not (1), or is as it comes (-1).
func (m *modulus) first(want int) func() []byte {
	return func() []byte {
		for {
			b := make([]byte, shielding.KeySize)
			rand.Read(b)
			if want == 0 {
				b[0] = 0
			}
			p := new(big.Int).SetBytes(b)
			if p.Cmp(m.n) >= 0 || want == 1 && b[0] == 0 {
				continue
			}
			return p.Exp(p, m.e, m.n).FillBytes(b)
		}
	}
}

// measure times the refusal of n ciphertexts of each kind, in random order, each
// a fresh one. Garbage is collected in between, not meanwhile.
func (k *kinds) measure(n int) (times [2][]float64, err error) {
	const batch = 256
	for len(times[0]) < n || len(times[1]) < n {
		var cts [batch][]byte
		var kind [batch]int
		for i := range cts {
			kind[i] = mathrand.IntN(2)
			cts[i] = k.make[kind[i]]()
		}
		runtime.GC()
		for i, ct := range cts {
			began := time.Now()
			_, err := k.open(ct)
			took := time.Since(began)
			if !errors.Is(err, shielding.ErrUndecryptable) {
				return times, fmt.Errorf("a ciphertext that cannot be opened: %v", err)
			}
			times[kind[i]] = append(times[kind[i]], float64(took))
		}
	}
	return times, nil
}

// largest returns the largest |t| of Welch's test over the times, all of them and
// those below several percentiles, since what disturbs a machine makes the slowest
// ones.
func largest(times [2][]float64) (t float64) {
	both := slices.Concat(times[0], times[1])
	for _, q := range []float64{1, 0.99, 0.95, 0.9, 0.75, 0.5} {
		limit := quantile(both, q)
		t = max(t, math.Abs(welch(below(times[0], limit), below(times[1], limit))))
	}
	return t
}

func below(times []float64, limit float64) (out []float64) {
	for _, v := range times {
		if v <= limit {
			out = append(out, v)
		}
	}
	return out
}

func quantile(times []float64, q float64) float64 {
	s := slices.Sorted(slices.Values(times))
	return s[min(int(q*float64(len(s))), len(s)-1)]
}

// welch returns Welch's t; 0 if there is too little to say.
func welch(a, b []float64) float64 {
	if len(a) < 2 || len(b) < 2 {
		return 0
	}
	ma, va := moments(a)
	mb, vb := moments(b)
	return (ma - mb) / math.Sqrt(va/float64(len(a))+vb/float64(len(b)))
}

func moments(s []float64) (mean, variance float64) {
	for _, v := range s {
		mean += v
	}
	mean /= float64(len(s))
	for _, v := range s {
		variance += (v - mean) * (v - mean)
	}
	return mean, variance / float64(len(s)-1)
}
