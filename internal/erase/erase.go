// Package erase runs what handles secrets such that little of them stays behind.
// In programs that are built with GOEXPERIMENT=runtimesecret for Linux on amd64 or
// arm64, what a function leaves in registers and on the stack is erased when it
// returns, and what it allocated once nothing points to it any more. Elsewhere the
// function just runs.
package erase
