package vet

// rule is a kind of finding, as //ocw:allow names it.
type rule string

const (
	clock      rule = "clock"
	random     rule = "random"
	mapOrder   rule = "map"
	goroutine  rule = "goroutine"
	channel    rule = "channel"
	syncing    rule = "sync"
	float      rule = "float"
	unsafety   rule = "unsafe"
	reflection rule = "reflect"
	global     rule = "global"
	field      rule = "field"
	inout      rule = "io"
	recovers   rule = "recover"
	pointer    rule = "pointer"
	recursing  rule = "recursion"
	loop       rule = "loop"
	size       rule = "int"
	capacity   rule = "cap"
	std        rule = "std"
	opaque     rule = "opaque"
	context    rule = "context"
	allowed    rule = "allow"
)

// rules has the remedy of each rule.
var rules = map[rule]string{
	clock:      "take the parentchain's time from the context (Now), and have later work done by a task (stf.NewTask)",
	random:     "take randomness from the context (Random), which is the same on all workers and which nobody outside can predict",
	mapOrder:   "collect the keys, sort them (slices.Sorted(maps.Keys(m))) and range over those, or keep the data in a stf.Map",
	goroutine:  "do one thing after the other: calls run one at a time and are bounded by gas",
	channel:    "pass values as arguments and results",
	syncing:    "remove it: calls run one at a time, and nothing of a call may outlive it but storage",
	float:      "count in integers of the smallest unit (stf.Balance, uint64), multiplying before dividing",
	unsafety:   "use encoding/binary or package scale",
	reflection: "write it for the types that there are; package scale encodes values",
	global:     "keep it in a storage field (stf.Value, stf.Map), which is the same on all workers and undone when a call fails",
	field:      "declare the field as stf.Value, stf.Map, stf.CountedMap or stf.DoubleMap: others are neither kept, nor shared with other workers, nor undone when a call fails",
	inout:      "have a program outside do it and bring the result in by a signed call",
	recovers:   "return errors: the framework recovers from a panic and undoes the call",
	pointer:    "print the value that it points to, or its fields",
	recursing:  "use a loop with a list of what is still to do: a stack overflow cannot be undone, it ends the worker",
	loop:       "call ctx.Charge in each round before anything can skip it, or bound the number by a constant first",
	size:       "use int64, uint64 or a smaller type: int has 32 bits on some machines",
	capacity:   "use len: capacities are the business of the compiler's version",
	std:        "use what docs/determinism.md lists as allowed",
	opaque:     "call a function that can be followed, or say why it is safe",
	context:    "use the context that the function is given",
	allowed:    "write //ocw:allow RULE why it is right, above what it allows",
}
