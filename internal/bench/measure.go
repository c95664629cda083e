package bench

import (
	"runtime"
	"slices"
	"time"
)

// span is what something took: by the clock, and of the process's CPUs.
type span struct{ wall, cpu time.Duration }

func (s span) add(o span) span { return span{s.wall + o.wall, s.cpu + o.cpu} }

// timed runs f alone.
func timed(f func() error) (span, error) {
	cpu, began := cpuTime(), time.Now()
	err := f()
	return span{time.Since(began), cpuTime() - cpu}, err
}

// rounds is how often a time is taken and the best kept, and how many pairs a
// ratio is the median of.
const rounds = 5

// best returns the smallest span by the clock.
func best(n int, f func() (span, error)) (span, error) {
	var least span
	for i := range n {
		s, err := f()
		if err != nil {
			return span{}, err
		}
		if i == 0 || s.wall < least.wall {
			least = s
		}
	}
	return least, nil
}

// median returns the middle value, the lower one of two.
func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[(len(sorted)-1)/2]
}

// liveHeap returns the bytes that are reachable.
func liveHeap() uint64 {
	runtime.GC()
	runtime.GC() // what finalizers held goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

const mib = 1 << 20
