package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Step is one line of the story as `--json` prints it.
type Step struct {
	Name    string  `json:"step"`
	OK      bool    `json:"ok"`
	Result  string  `json:"result"`
	Seconds float64 `json:"seconds"`
}

// Summary is the last line of the story.
type Summary struct {
	OK        bool    `json:"ok"`
	Steps     int     `json:"steps"`
	Seconds   float64 `json:"seconds"`
	StateRoot string  `json:"stateRoot,omitempty"`
	Error     string  `json:"error,omitempty"`
}

// reporter prints each step as it ends. Now is a clock for durations only.
type reporter struct {
	out   io.Writer
	json  bool
	now   func() time.Time
	began time.Time
	steps int
}

func newReporter(out io.Writer, asJSON bool, now func() time.Time) *reporter {
	return &reporter{out: out, json: asJSON, now: now, began: now()}
}

// step runs f and prints how it ended. What f returns is the result shown.
func (r *reporter) step(name string, f func() (string, error)) error {
	began := r.now()
	result, err := f()
	s := Step{Name: name, OK: err == nil, Result: result, Seconds: r.now().Sub(began).Seconds()}
	if err != nil {
		s.Result = err.Error()
	}
	r.steps++
	if r.json {
		return firstError(err, json.NewEncoder(r.out).Encode(s))
	}
	mark := "ok  "
	if err != nil {
		mark = "FAIL"
	}
	_, perr := fmt.Fprintf(r.out, "%6.1fs  %s  %-46s %s (%.1fs)\n", r.now().Sub(r.began).Seconds(), mark, name, s.Result, s.Seconds)
	return firstError(err, perr)
}

func (r *reporter) summary(root string, err error) error {
	s := Summary{OK: err == nil, Steps: r.steps, Seconds: r.now().Sub(r.began).Seconds(), StateRoot: root}
	if err != nil {
		s.Error = err.Error()
	}
	if r.json {
		return firstError(err, json.NewEncoder(r.out).Encode(s))
	}
	if err != nil {
		fmt.Fprintf(r.out, "\nFAILED after %d steps in %.1fs: %v\n", s.Steps, s.Seconds, err)
		return err
	}
	_, perr := fmt.Fprintf(r.out, "\nPASSED: %d steps in %.1fs; two workers, every balance and nonce as expected, one state root %s\n", s.Steps, s.Seconds, root)
	return perr
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
