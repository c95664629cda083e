//go:build !unix

package bench

import "time"

var started = time.Now()

// cpuTime returns the time that has passed: there is nothing better here.
func cpuTime() time.Duration { return time.Since(started) }

// peakRSS is not known here.
func peakRSS() uint64 { return 0 }
