// Package allow has exceptions, good and bad ones.
package allow

import (
	"time"

	"github.com/offchain-worker/sdk/stf"
)

type A struct {
	N stf.Value[uint64]
}

func (a *A) Good(ctx stf.Call) error {
	//ocw:allow clock nobody sees this number
	_ = time.Now()
	_ = time.Now() //ocw:allow clock on the same line
	//ocw:allow clock two rules at one place
	//ocw:allow channel two rules at one place
	<-time.After(1)
	return nil
}

func (a *A) Bad(ctx stf.Call) error {
	//ocw:allow clock // want `allow: an exception from clock without a reason`
	_ = time.Now() // want `clock: time.Now`
	return nil
}

func (a *A) Worse(ctx stf.Call) error {
	//ocw:allow nonsense because // want `allow: there is no rule "nonsense"`
	//ocw:allow clock nothing is wrong here // want `allow: nothing here needs an exception from clock; remove the comment`
	a.N.Set(ctx, 1)
	_ = time.Now() //ocw:allow random the wrong rule // want `clock: time.Now` `allow: nothing here needs an exception from random`
	_ = time.Now() // want `clock: time.Now`
	return nil
}
