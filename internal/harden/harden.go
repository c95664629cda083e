// Package harden keeps the memory of this process from those who share its
// kernel: no core dumps, no debugger, no swap, no new privileges, and secrets that
// are erased after use where the program was built so. All of it is best effort: it
// helps against accidents and other users, not against root, which is what a trusted
// execution environment is for.
package harden

import "github.com/offchain-worker/sdk/internal/erase"

// Measure is one protection.
type Measure struct {
	Name string `json:"name"`
	// OK says that it is in force.
	OK bool `json:"ok"`
	// Note says how, or why not and what would help.
	Note string `json:"note"`
}

func erases() Measure {
	const name = "secrets are erased after use"
	if erase.Enabled {
		return Measure{name, true, "built with GOEXPERIMENT=runtimesecret"}
	}
	return Measure{name, false, "not built with GOEXPERIMENT=runtimesecret"}
}
