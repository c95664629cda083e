package enclave

import (
	"fmt"

	"github.com/offchain-worker/sdk/stf"
)

// StepKind is a kind of Step.
type StepKind uint8

// The kinds. Those of operations and tasks can be told by Config.Excluded of the app.
const (
	StepNone    StepKind = 0 // nothing of the app runs
	StepOpen    StepKind = 1 // a call is decrypted and decoded
	StepDeclare StepKind = 2 // a call declares what it reads of the parentchain
	StepCall    StepKind = 3 // a call is executed
	StepShield  StepKind = 4 // funds that were shielded are credited
	StepTrigger StepKind = 5 // triggers on an event run
	StepBegin   StepKind = 6 // hooks at the beginning of a block
	StepEnd     StepKind = 7 // hooks at the end of a block, and after the operations
	StepRefund  StepKind = 8 // a payout that is never made is credited again
	StepTask    StepKind = 9 // a scheduled task runs
)

var stepTexts = [...]string{
	StepOpen:    "decoded the call of block %d, event %d",
	StepDeclare: "asked what is read by the call of block %d, event %d",
	StepCall:    "executed the call of block %d, event %d",
	StepShield:  "credited the shielding of block %d, event %d",
	StepTrigger: "ran the triggers on block %d, event %d",
	StepBegin:   "ran the hooks at the beginning of block %d",
	StepEnd:     "ran the hooks at the end of block %d",
	StepRefund:  "refunded a payout in block %d, receipt %d",
	StepTask:    "ran the task of block %d, receipt %d",
}

// Step is a piece of an app's code that a block runs. The zero value is none.
type Step struct {
	Kind StepKind
	At   stf.Identity // Index is 0 for hooks
}

// Valid reports whether the kind is one of a piece of code.
func (s Step) Valid() bool { return s.Kind != StepNone && int(s.Kind) < len(stepTexts) }

// Operation reports whether the step is a part of an operation, which an app
// can exclude.
func (s Step) Operation() bool {
	return s.Kind >= StepOpen && s.Kind <= StepShield || s.Kind == StepTask
}

// String says what was done, such as "executed the call of block 7, event 3".
func (s Step) String() string {
	switch {
	case !s.Valid():
		return "did nothing"
	case s.Kind == StepBegin || s.Kind == StepEnd:
		return fmt.Sprintf(stepTexts[s.Kind], s.At.Block)
	}
	return fmt.Sprintf(stepTexts[s.Kind], s.At.Block, s.At.Index)
}

// witness returns what to call before each step of one goroutine, and with the
// zero Step after the last.
func (c *Core) witness() func(Step) {
	if c.cfg.Witness == nil {
		return func(Step) {}
	}
	return c.cfg.Witness()
}
