//go:build race

package enclave

// raceDetector says that this is a build with the race detector, which
// allocates by itself.
const raceDetector = true
