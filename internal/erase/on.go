//go:build goexperiment.runtimesecret && linux && (amd64 || arm64)

package erase

import "runtime/secret"

// Enabled says that Do erases.
const Enabled = true

// Do runs f, which starts no goroutine.
func Do(f func()) { secret.Do(f) }
