package bench

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/offchain-worker/sdk/internal/usage"
)

// Options are what the user may choose.
type Options struct {
	// Quick runs small forms that show that a benchmark works, not how fast it
	// is: all of them in a minute or two.
	Quick bool
	// Blocks is how many blocks sparse-blocks does; 0 is a million.
	Blocks int
	// Accounts is how many accounts the benchmarks with a million have; 0 is a
	// million.
	Accounts int
	// Dir is where stores are made: on the disk that is to be measured.
	Dir string
	// Log is told what goes on.
	Log io.Writer
}

func (o *Options) logf(format string, args ...any) { fmt.Fprintf(o.Log, format+"\n", args...) }

// Result is one number. Encoded as JSON it is a line of `ocw bench --json`.
type Result struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Baseline was measured in the same run, in the same unit.
	Baseline *float64 `json:"baseline,omitempty"`
	// Ratio is the median ratio of value to baseline of interleaved pairs.
	Ratio *float64 `json:"ratio,omitempty"`

	goal goal
	note string // what the number is of, for people
}

// goal is a bound on the value, or on the ratio where there is one. The zero
// value is none.
type goal struct {
	bound  float64
	atMost bool
}

func atLeast(v float64) goal { return goal{bound: v} }
func atMost(v float64) goal  { return goal{bound: v, atMost: true} }

// Met reports whether the goal is met; true without one.
func (r *Result) Met() bool {
	v := r.Value
	if r.Ratio != nil {
		v = *r.Ratio
	}
	switch {
	case r.goal == goal{}:
		return true
	case r.goal.atMost:
		return v <= r.goal.bound
	}
	return v >= r.goal.bound
}

func (r *Result) cells() []string {
	optional := func(v *float64) string {
		if v == nil {
			return ""
		}
		return number(*v)
	}
	bound := ""
	switch {
	case r.goal == goal{}:
	case r.goal.atMost:
		bound = "≤ " + number(r.goal.bound)
	default:
		bound = "≥ " + number(r.goal.bound)
	}
	if r.Ratio != nil && bound != "" {
		bound += " ratio"
	}
	met := ""
	if r.goal != (goal{}) {
		met = "missed"
		if r.Met() {
			met = "met"
		}
	}
	return []string{r.Name, number(r.Value), r.Unit, optional(r.Baseline), optional(r.Ratio), bound, met, r.note}
}

var columns = []string{"name", "value", "unit", "baseline", "ratio", "goal", "", "what"}

// number prints three digits or more.
func number(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

// Benchmark is one of the list of All.
type Benchmark struct {
	Name, About string
	// Run returns the results, of which each name begins with Name. Its error
	// means that something did not work, never that it was slow.
	Run func(ctx context.Context, o *Options) ([]Result, error)
}

// All returns the benchmarks in the order in which they are run.
func All() []Benchmark {
	return []Benchmark{
		{"headers", "headers linked and proven final per second, with justifications and authority changes", headersBench},
		{"sparse-blocks", "CPU time for 1,000,000 blocks of which 1,000 hold a call for the shard, and memory meanwhile", sparseBench},
		{"catchup", "20,000 invocations, all included, against bare decryption", catchUpBench},
		{"catchup-1m", "the same with 1,000,000 accounts in the state, against catchup", catchUpMillionBench},
		{"envelopes", "invocations in hybrid envelopes, all included, against RSA's", envelopesBench},
		{"quotes", "quotes of SGX and TDX verified with their collateral, against as many bare signatures", quotesBench},
		{"block-commit-1m", "500 changes among 1,000,000 accounts, with roots and fsync", blockCommitBench},
		{"memory-1m", "memory of an account, among 1,000,000", memoryBench},
		{"restart-1m", "from opening a store of 1,000,000 accounts to the first getter", restartBench},
		{"empty-block", "a block that holds nothing for the shard, with its fsync", emptyBench},
		{"getters-during-catchup", "signed getters at a fixed rate while a whole worker catches up", duringCatchUpBench},
		{"getters", "signed getters over TLS and WebSocket, clients on the same machine", gettersBench},
	}
}

// byName returns the benchmarks of these names, all if there are none.
func byName(names []string) ([]Benchmark, error) {
	all := All()
	if len(names) == 0 {
		return all, nil
	}
	var out []Benchmark
	for _, name := range names {
		i := slices.IndexFunc(all, func(b Benchmark) bool { return b.Name == name })
		if i < 0 {
			return nil, &usage.Error{Err: fmt.Errorf("there is no benchmark %q: ocw bench --list names them", name)}
		}
		out = append(out, all[i])
	}
	return out, nil
}
