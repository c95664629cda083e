// Package clock asks for the time.
package clock

import (
	"time"

	"github.com/offchain-worker/sdk/stf"
)

type Clock struct {
	At stf.Value[uint64]
}

var started = time.Now().Unix() // want `clock: time.Now depends on the clock.*ctx|context.*reached from \(\*Clock\).Age`

func (c *Clock) Stamp(ctx stf.Call) error {
	c.At.Set(ctx, uint64(time.Now().UnixNano())) // want `clock: time.Now depends on the clock or the time zone of this machine; take the parentchain's time from the context`
	return nil
}

func (c *Clock) Age(q stf.Query, who stf.AccountID) (uint64, error) {
	return uint64(q.Now()) - uint64(started), nil
}

func (c *Clock) Wait(ctx stf.Call) error {
	time.Sleep(time.Second)       // want `clock: time.Sleep`
	<-time.After(time.Second)     // want `clock: time.After` `channel: receives from a channel`
	d := time.Since(time.Time{})  // want `clock: time.Since`
	t := time.Unix(0, 0)          // want `clock: time.Unix`
	_ = t.Local()                 // want `clock: time.Time.Local`
	_, _ = time.Parse("2006", "") // want `clock: time.Parse`
	_ = d
	return nil
}

func (c *Clock) BeginBlock(h stf.Hook) error {
	helper()
	return nil
}

func helper() { deeper() }

func deeper() {
	_ = time.Until(time.Time{}) // want `clock: time.Until.*reached from \(\*Clock\).BeginBlock`
}

// Nothing calls this, so it may.
func unreached() time.Time { return time.Now() }
