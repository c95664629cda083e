package tsclient_test

import (
	"errors"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
)

// Kitchen is business logic whose calls and getters have a value of every form.
type Kitchen struct {
	Stored stf.Map[stf.AccountID, Dish] `pallet:"optional"`
	Total  stf.Value[uint64]
	Helper stf.Map[stf.AccountID, stf.AccountID]
	Funds  stf.Map[stf.AccountID, stf.Balance]
}

// Course is an enum without fields.
type Course uint8

func (Course) SCALEVariants() []scale.Variant {
	return []scale.Variant{{Index: 0, Name: "Starter"}, {Index: 3, Name: "Main"}}
}

// Sauce is an enum with fields.
type Sauce struct {
	_     scale.Enum
	None  *struct{}    `scale:"0"`
	Drops *stf.Balance `scale:"1"`
	Mixed *Mixture     `scale:"7"`
}

// Mixture is a struct that refers to the one it is in.
type Mixture struct {
	Name  string
	Parts []Sauce
}

// Dish has what the others have not.
type Dish struct {
	ByWhom   stf.AccountID
	Course   Course
	Sauce    Sauce
	Hot      bool
	Spice    int8
	Rest     int64
	Weight   uint16
	Calories uint32
	Served   uint64
	Price    stf.Balance
	Tag      [3]byte
	Picture  []byte
	Notes    []string
	Grid     [2]uint16
	Deposit  *stf.Balance
	Order    stf.Hash
	Count    scale.CompactU64
}

// Cooked is an event.
type Cooked struct {
	Who   stf.AccountID
	Total uint64
}

var (
	errTooHot = stf.NewError(4, "TooHot", "nobody \"eats\" that")
	errNobody = errors.New("nobody")
)

// Cook keeps a dish.
//
// It ends with */ in its comment.
func (k *Kitchen) Cook(ctx stf.Call, dish Dish, delete uint32) error {
	if dish.Spice > 100 {
		return errTooHot
	}
	k.Stored.Set(ctx, ctx.Sender(), dish)
	total := k.Total.Get(ctx) + uint64(delete)
	k.Total.Set(ctx, total)
	ctx.Emit(Cooked{ctx.Sender(), total})
	return nil
}

// Trust lets another account act for the sender.
func (k *Kitchen) Trust(ctx stf.Call, helper stf.AccountID) error {
	k.Helper.Set(ctx, ctx.Sender(), helper)
	return nil
}

func (k *Kitchen) Dish(q stf.Query, who stf.AccountID) (Dish, error) {
	d, ok := k.Stored.Lookup(q, who)
	if !ok {
		return d, stf.ErrNone
	}
	return d, nil
}

func (k *Kitchen) Nonce(q stf.Query, who stf.AccountID) (uint32, error) { return q.Nonce(who), nil }

func (k *Kitchen) Balance(q stf.Query, who stf.AccountID) (*stf.Balance, error) {
	if b, ok := k.Funds.Lookup(q, who); ok {
		return &b, nil
	}
	return nil, nil
}

func (k *Kitchen) Sum(q stf.Query, plus uint64) (uint64, error) { return k.Total.Get(q) + plus, nil }

func kitchen() (*stf.App, error) {
	k := &Kitchen{}
	acts := func(q stf.Query, owner, delegate stf.AccountID) bool { return k.Helper.Get(q, owner) == delegate }
	return stf.NewApp(stf.Config{Name: "tsclient-kitchen",
		MayCall: func(q stf.Query, c stf.DecodedCall, delegate stf.AccountID) bool { return acts(q, c.Sender, delegate) },
		MayRead: func(q stf.Query, owner, delegate stf.AccountID, _ string) bool { return acts(q, owner, delegate) },
		Shield: func(ctx stf.Call, who stf.AccountID, amount stf.Balance) error {
			if amount.Lo == 13 {
				return errNobody
			}
			k.Funds.Set(ctx, who, amount)
			return nil
		},
		Docs: stf.Docs{"tsclient_test.Kitchen.Cook": {Params: []string{"dish", "delete"}, Lines: []string{"Cook keeps a dish.", "", "It ends with */ in its comment."}}},
		Modules: []stf.ModuleDecl{stf.Module("Kitchen", k, stf.At(7),
			stf.Calls(stf.Method("Cook", 0), stf.Method("Trust", 9, "helper")),
			stf.Getters(stf.Method("Dish", 0, "who"), stf.Method("Nonce", 1, "who"), stf.Method("Balance", 2, "who")),
			stf.Public(stf.Method("Sum", 0, "plus")),
			stf.Events(Cooked{}),
			stf.Errors(errTooHot))}})
}
