package devchain

import (
	"testing"
)

// open opens a chain that is closed at the end of the test.
func open(t testing.TB, cfg Config) *Chain {
	t.Helper()
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}
