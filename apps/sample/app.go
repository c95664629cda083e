package sample

import "github.com/offchain-worker/sdk/stf"

// Name is the app's name.
const Name = "integritee-sample"

// MaxNoteLen is the longest note of a transfer, in bytes: what is recorded
// with it must not exceed 512.
const MaxNoteLen = 416

// New returns the app.
func New() (*stf.App, error) {
	return stf.NewApp(stf.Config{Name: Name, Flat: true})
}
