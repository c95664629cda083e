package stftest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
)

// forgetful has a field of its own, which is no part of the state.
type forgetful struct {
	Total  stf.Value[uint64]
	memory uint64
}

func (f *forgetful) Count(ctx stf.Call) error {
	f.memory++
	f.Total.Set(ctx, f.memory)
	return nil
}

func (f *forgetful) Unsorted(ctx stf.Call) error {
	all := map[int]bool{}
	for i := range 100 {
		all[i] = true
	}
	sum := uint64(0)
	for i := range all {
		sum = sum*31 + uint64(i)
	}
	f.Total.Set(ctx, sum)
	return nil
}

func (f *forgetful) Right(ctx stf.Call) error {
	f.Total.Set(ctx, f.Total.Get(ctx)+1)
	return nil
}

// recorder is a testing.TB that remembers what ended it.
type recorder struct {
	testing.TB
	fatal string
}

type ended struct{}

func (r *recorder) Helper() {}
func (r *recorder) Fatalf(format string, args ...any) {
	r.fatal = fmt.Sprintf(format, args...)
	panic(ended{})
}

// TestFindsNondeterminism: logic that remembers or that depends on map order
// fails the test that calls it.
func TestFindsNondeterminism(t *testing.T) {
	app, err := stf.NewApp(stf.Config{Name: "forgetful", Flat: true, Modules: []stf.ModuleDecl{stf.Module("Forgetful", &forgetful{}, stf.At(1),
		stf.Calls(stf.Method("Count", 0), stf.Method("Unsorted", 1), stf.Method("Right", 2)))}})
	if err != nil {
		t.Fatal(err)
	}
	who := stftest.Account("alice")
	for index, found := range []bool{true, true, false} {
		r := &recorder{TB: t}
		func() {
			defer func() {
				if p := recover(); p != nil && p != (ended{}) {
					panic(p)
				}
			}()
			stftest.New(r, app).Call(append([]byte{byte(index)}, who[:]...))
		}()
		if strings.Contains(r.fatal, "ended differently") != found {
			t.Errorf("call %d: %q", index, r.fatal)
		}
	}
}

func Example() {
	// In a test, t is the *testing.T.
	run := func(t testing.TB, app *stf.App) stf.Outcome {
		s := stftest.New(t, app)
		who := stftest.Account("alice")
		return s.Call(append([]byte{2}, who[:]...)).Outcome
	}
	app, err := stf.NewApp(stf.Config{Name: "forgetful", Flat: true, Modules: []stf.ModuleDecl{stf.Module("Forgetful", &forgetful{}, stf.At(1),
		stf.Calls(stf.Method("Count", 0), stf.Method("Unsorted", 1), stf.Method("Right", 2)))}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(run(&recorder{}, app))
	// Output: Success
}
