package erase

import "testing"

// TestDo: whatever the build, the function runs once, and its panic comes through.
func TestDo(t *testing.T) {
	n := 0
	Do(func() { n++ })
	if n != 1 {
		t.Errorf("it ran %d times", n)
	}
	defer func() {
		if p := recover(); p != "panic" {
			t.Errorf("recovered %v", p)
		}
	}()
	Do(func() { panic("panic") })
}
