// Package machine depends on compiler and memory.
package machine

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"strconv"
	"unique"
	"unsafe"

	"github.com/offchain-worker/sdk/stf"
)

type Inner struct{ n uint32 }

type Order struct {
	Next *Inner
}

type Box struct {
	Size stf.Value[int] // want `int: storage field Size has a int; use int64, uint64`
	Text stf.Value[string]
}

func (b *Box) Put(ctx stf.Call, size int) error { // want `int: parameter size has a int`
	return nil
}

func (b *Box) Look(ctx stf.Call, n uint64, list []byte) error {
	p := unsafe.Pointer(&n)                        // want `unsafe: unsafe.Pointer looks into memory`
	size := unsafe.Sizeof(n)                       // want `unsafe: unsafe.Sizeof`
	b.Text.Set(ctx, fmt.Sprintf("%p", p))          // want `pointer: %p prints an address`
	b.Text.Set(ctx, fmt.Sprint(&Order{}))          // want `pointer: printing a \*Order prints an address; print the value`
	b.Text.Set(ctx, fmt.Sprint([]*Inner{{}}))      // want `pointer: printing a \[\]\*Inner`
	b.Text.Set(ctx, fmt.Sprint(map[string]*int{})) // want `pointer: printing a map`
	err := fmt.Errorf("order %v", Order{})         // want `pointer: printing a Order`
	if cap(list) > 10 {                            // want `cap: the capacity of a slice is not defined by the language; use len`
		return nil
	}
	k := reflect.TypeOf(n).Kind()         // want `reflect: reflect.TypeOf`
	i := int(n)                           // want `int: converts a uint64 to int, which has fewer bits on some machines`
	j, _ := strconv.Atoi("3000000000")    // want `int: strconv.Atoi reads an int`
	h := unique.Make("x")                 // want `pointer: unique.Make compares addresses`
	w := binary.NativeEndian.Uint16(list) // want `int: binary.NativeEndian depends on the machine's byte order`
	_, _, _, _, _, _ = k, i, j, h, w, size
	return err
}

func (b *Box) Safe(ctx stf.Call, n uint64, list []byte) (err error) {
	defer func() {
		if r := recover(); r != nil { // want `recover: recover hides a panic, also that of a call without gas; return errors`
			err = nil
		}
	}()
	if n > 100 {
		return nil
	}
	b.Text.Set(ctx, fmt.Sprint(int(n), ctx.Sender(), list, &Inner{}, double)) // want `pointer: printing a func`
	return nil
}

func double(n uint64) uint64 { return 2 * n }

func noBody(n uint64) uint64 // want `opaque: noBody has no body in Go; call a function that can be followed.*reached from \(\*Box\).Assembly`

func (b *Box) Assembly(ctx stf.Call) error {
	ctx.Charge(noBody(1))
	return nil
}
