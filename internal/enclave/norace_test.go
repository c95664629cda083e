//go:build !race

package enclave

const raceDetector = false
