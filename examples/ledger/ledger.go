// Package ledger is what the example apps have in common: amounts of accounts
// whose sum is known. A module embeds [Ledger] and decides who may do what.
package ledger

import "github.com/offchain-worker/sdk/stf"

// Writer is the context that moves amounts: a call or a hook.
type Writer interface {
	stf.Writer
	Charge(gas uint64)
}

// Ledger holds amounts. The sum of Amounts is always Total.
//
// Receipts show gas to whoever made a call, so what a movement costs must not
// depend on what others own: entries are never removed, and an account that has
// none yet costs what one that has costs.
type Ledger struct {
	Amounts stf.Map[stf.AccountID, stf.Balance]
	Total   stf.Value[stf.Balance]
}

// absent is what reading an entry that is not there lacks in gas.
const absent = 16 * stf.GasPerByte

// Of returns what an account has.
func (l *Ledger) Of(r stf.Reader, who stf.AccountID) stf.Balance { return l.Amounts.Get(r, who) }

// Credit creates an amount; false if the total would not fit in 128 bits.
func (l *Ledger) Credit(w Writer, who stf.AccountID, amount stf.Balance) bool {
	total, ok := l.Total.Get(w).Add(amount)
	if !ok {
		return false
	}
	l.Total.Set(w, total)
	l.add(w, who, amount)
	return true
}

// Debit destroys an amount; false if the account has less.
func (l *Ledger) Debit(w Writer, who stf.AccountID, amount stf.Balance) bool {
	if !l.take(w, who, amount) {
		return false
	}
	l.Total.Set(w, l.Total.Get(w).SaturatingSub(amount))
	return true
}

// Move moves an amount; false if from has less.
func (l *Ledger) Move(w Writer, from, to stf.AccountID, amount stf.Balance) bool {
	if !l.take(w, from, amount) {
		return false
	}
	l.add(w, to, amount)
	return true
}

func (l *Ledger) take(w Writer, who stf.AccountID, amount stf.Balance) bool {
	left, ok := l.get(w, who).Sub(amount)
	if ok {
		l.Amounts.Set(w, who, left)
	}
	return ok
}

// add cannot overflow: no amount is more than the total.
func (l *Ledger) add(w Writer, who stf.AccountID, amount stf.Balance) {
	l.Amounts.Set(w, who, l.get(w, who).SaturatingAdd(amount))
}

func (l *Ledger) get(w Writer, who stf.AccountID) stf.Balance {
	amount, ok := l.Amounts.Lookup(w, who)
	if !ok {
		w.Charge(absent)
	}
	return amount
}
