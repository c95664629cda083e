package sample

import (
	"cmp"
	"slices"

	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// Times of the game in ms, and its limits.
const (
	day           = 86_400_000
	roundDuration = 7 * day
	maxAttempts   = 10 // of an account in a round
	maxWinners    = 12
	luckyNumbers  = 10_000
)

// GameMaster is who may set winnings and push rounds, as in the original.
var GameMaster = must(keyring.ParseAccountID("0x947557f2fc60a71d764557770f398e52d808d2660cd52e4cd60590999471595f"))

// pot is the account that winnings are paid from.
var pot = stf.AccountID(hashing.Blake2b256([]byte("\x20gsstnmbr")))

// Errors of the module GuessTheNumber.
var (
	ErrNoDrawYet       = stf.NewError(0, "NoDrawYet", "no number was drawn yet")
	ErrTooManyAttempts = stf.NewError(1, "TooManyAttempts", "the account has guessed ten times in this round")
	ErrTooManyWinners  = stf.NewError(2, "TooManyWinners", "twelve have guessed as well already")
	ErrNotGameMaster   = stf.NewError(3, "NotGameMaster", "only the game master may do this")
)

// GuessTheNumber is a game: a number is drawn each week, and whoever guesses it
// best shares the winnings.
type GuessTheNumber struct {
	Round stf.Value[Round] `pallet:"optional"`
	// Last is the round before.
	Last     stf.Value[Round] `pallet:"name=LastRound,optional"`
	Winnings stf.Value[stf.Balance]
	// Attempts of an account in the round that it names.
	Attempts stf.Map[stf.AccountID, Attempts] `pallet:"name=GuessAttempts"`

	balances *Balances
	notes    *Notes
}

// Round is a round of the game. Distance is nil before the first guess.
type Round struct {
	Index    uint32
	EndsAt   stf.Moment
	Number   uint32
	Distance *uint32
	Winners  []stf.AccountID
}

// GuessTheNumberInfo is the answer of guess_the_number_info. The last three are
// those of the round before.
type GuessTheNumberInfo struct {
	Account             stf.AccountID // of the pot
	Balance, Winnings   stf.Balance
	NextRoundTimestamp  stf.Moment
	LastWinners         []stf.AccountID
	LastLuckyNumber     *uint32
	LastWinningDistance *uint32
}

// Attempts counts guesses in a round.
type Attempts struct {
	Round uint32
	Count uint8
}

// BeginBlock ends a round that is over and draws the next number.
func (g *GuessTheNumber) BeginBlock(h stf.Hook) error {
	now := h.Now()
	round, ok := g.Round.Lookup(h)
	switch {
	case !ok && now == 0, ok && round.EndsAt >= now:
		return nil
	case !ok:
		round = Round{EndsAt: now - now%day}
	default:
		g.pay(h, round.Winners)
		g.Last.Set(h, round)
	}
	g.Round.Set(h, Round{Index: round.Index + 1, EndsAt: round.EndsAt + roundDuration, Number: uint32(h.Random("guess the number").Below(luckyNumbers))})
	return nil
}

// pay shares the winnings, as far as the pot has them. A winner whom they
// would leave below the existential deposit gets none.
func (g *GuessTheNumber) pay(h stf.Hook, winners []stf.AccountID) {
	if len(winners) == 0 {
		return
	}
	share := g.Winnings.Get(h)
	if free := g.balances.Account.Get(h, pot).Free; free.Less(share) {
		share = free
	}
	share, _ = share.Div64(uint64(len(winners)))
	for _, who := range winners {
		_ = g.balances.Transfer(h, pot, who, share)
	}
}

// SetWinnings sets what a round's winners share. Only the game master may.
func (g *GuessTheNumber) SetWinnings(ctx stf.Call, winnings stf.Balance) error {
	if ctx.Sender() != GameMaster {
		return ErrNotGameMaster
	}
	g.Winnings.Set(ctx, winnings)
	return g.notes.record(ctx, GameMaster)
}

// PushByOneDay has the round last a day longer. Only the game master may.
func (g *GuessTheNumber) PushByOneDay(ctx stf.Call) error {
	if ctx.Sender() != GameMaster {
		return ErrNotGameMaster
	}
	round, ok := g.Round.Lookup(ctx)
	if !ok {
		return ErrNoDrawYet
	}
	round.EndsAt += day
	g.Round.Set(ctx, round)
	return g.notes.record(ctx, GameMaster)
}

// Guess makes a guess. The nearest ones win.
func (g *GuessTheNumber) Guess(ctx stf.Call, guess uint32) error {
	who := ctx.Sender()
	round, ok := g.Round.Lookup(ctx)
	if !ok {
		return ErrNoDrawYet
	}
	a := g.Attempts.Get(ctx, who)
	if a.Round != round.Index {
		a = Attempts{Round: round.Index}
	}
	if a.Count >= maxAttempts {
		return ErrTooManyAttempts
	}
	a.Count++
	g.Attempts.Set(ctx, who, a)
	if distance := max(guess, round.Number) - min(guess, round.Number); round.Distance == nil || distance <= *round.Distance {
		if round.Distance == nil || distance < *round.Distance {
			round.Distance, round.Winners = &distance, nil
		}
		if len(round.Winners) >= maxWinners {
			return ErrTooManyWinners
		}
		if !slices.Contains(round.Winners, who) {
			round.Winners = append(round.Winners, who)
		}
		g.Round.Set(ctx, round)
	}
	return g.notes.record(ctx, who)
}

// GuessAttempts answers with the owner's guesses in this round.
func (g *GuessTheNumber) GuessAttempts(q stf.Query, who stf.AccountID) (uint8, error) {
	if a := g.Attempts.Get(q, who); a.Round == g.Round.Get(q).Index {
		return a.Count, nil
	}
	return 0, nil
}

// GuessTheNumberInfo answers with what everybody may know of the game.
func (g *GuessTheNumber) GuessTheNumberInfo(q stf.Query) (GuessTheNumberInfo, error) {
	info := GuessTheNumberInfo{Account: pot, Balance: g.balances.Account.Get(q, pot).Free, Winnings: g.Winnings.Get(q),
		NextRoundTimestamp: g.Round.Get(q).EndsAt}
	if last, ok := g.Last.Lookup(q); ok {
		none := ^uint32(0) // as the original has it
		info.LastWinners, info.LastLuckyNumber, info.LastWinningDistance = last.Winners, &last.Number, cmp.Or(last.Distance, &none)
	}
	return info, nil
}
