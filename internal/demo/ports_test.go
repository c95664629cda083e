package demo

import (
	"fmt"
	"net"
	"slices"
	"testing"
)

// TestPortsAreHeld: networks that start at the same moment take different ports,
// and one that listens on its ports later still has them for itself.
func TestPortsAreHeld(t *testing.T) {
	hold := func(preferred ...int) *ports {
		t.Helper()
		p, err := holdPorts(preferred...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.release() })
		return p
	}
	first := hold(0, 0)
	if first.numbers[0] == first.numbers[1] {
		t.Fatalf("the same twice: %v", first.numbers)
	}
	for range 2 {
		for _, n := range hold(first.numbers...).numbers {
			if slices.Contains(first.numbers, n) {
				t.Errorf("%d is held already", n)
			}
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first.numbers[0])) // its owner may, and again
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
	if err := first.release(); err != nil {
		t.Fatal(err)
	}
	if again := hold(first.numbers...); !slices.Equal(again.numbers, first.numbers) {
		t.Errorf("after they were released: %v, want %v", again.numbers, first.numbers)
	}
}
