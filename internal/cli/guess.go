package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/client"
	"github.com/spf13/cobra"
)

func (t *trusted) guessTheNumberGroup() *cobra.Command {
	cmd := group("guess-the-number <SUBCOMMAND>", "a game: guess the number that the enclave has drawn")
	cmd.AddCommand(
		t.guessInfoCommand(),
		t.gameCall("set-winnings <MASTER> <WINNINGS>", "set winnings amount (must be game master)", 2, func(args []string) (composer, error) {
			winnings, err := amount(args[1])
			return func(who client.AccountID, _ client.ShardID) (string, []byte) {
				return fmt.Sprintf("guess-the-number set winnings. sender %v, winnings %v", who, winnings), sample.Call((*sample.GuessTheNumber).SetWinnings, who, winnings)
			}, err
		}),
		t.gameCall("push-by-one-day <MASTER>", "push the end of this round by one day (must be game master)", 1, func([]string) (composer, error) {
			return func(who client.AccountID, _ client.ShardID) (string, []byte) {
				return fmt.Sprintf("guess-the-number push by one day. sender %v", who), sample.Call((*sample.GuessTheNumber).PushByOneDay, who)
			}, nil
		}),
		t.gameCall("guess <PLAYER> <GUESS>", "submit a guess as a player", 2, func(args []string) (composer, error) {
			guess, err := strconv.ParseUint(args[1], 10, 32)
			if err != nil {
				err = invalid("GUESS is a number below 2^32")
			}
			return func(who client.AccountID, _ client.ShardID) (string, []byte) {
				return fmt.Sprintf("guess-the-number. sender %v, guess %d", who, guess), sample.Call((*sample.GuessTheNumber).Guess, who, guess)
			}, err
		}),
		t.guessAttemptsCommand())
	return cmd
}

// composer makes and describes a call of an account.
type composer = func(who client.AccountID, shard client.ShardID) (what string, call []byte)

func (t *trusted) gameCall(use, short string, n int, parse func(args []string) (composer, error)) *cobra.Command {
	var proxy string
	cmd := t.command(use, short, exactly(n), func(ctx context.Context, args []string) error {
		compose, err := parse(args)
		if err != nil {
			return err
		}
		return t.invoke(ctx, args[0], proxy, compose)
	})
	sessionProxy(cmd, &proxy)
	return cmd
}

func (t *trusted) guessInfoCommand() *cobra.Command {
	return t.command("get-info", "get public info for the guess-the-number game", exactly(0), func(ctx context.Context, args []string) error {
		var i sample.GuessTheNumberInfo
		if err := t.public(ctx, &i, (*sample.GuessTheNumber).GuessTheNumberInfo); err != nil {
			return err
		}
		winners := make([]string, len(i.LastWinners))
		for k, who := range i.LastWinners {
			winners[k] = who.String()
		}
		text := fmt.Sprintf("GuessTheNumberInfo { account: %v, balance: %v, winnings: %v, next_round_timestamp: %d, last_winners: [%s], maybe_last_lucky_number: %s, maybe_last_winning_distance: %s }\npot account: %v",
			i.Account, i.Balance, i.Winnings, i.NextRoundTimestamp, strings.Join(winners, ", "), option(i.LastLuckyNumber, plain), option(i.LastWinningDistance, plain), i.Account)
		t.answer(text, map[string]any{"account": i.Account, "balance": i.Balance, "winnings": i.Winnings, "nextRoundTimestamp": i.NextRoundTimestamp,
			"lastWinners": winners, "lastLuckyNumber": i.LastLuckyNumber, "lastWinningDistance": i.LastWinningDistance})
		return nil
	})
}

func (t *trusted) guessAttemptsCommand() *cobra.Command {
	return t.command("get-attempts <ACCOUNT>", "how many times a player has already submitted a guess this round", exactly(1), func(ctx context.Context, args []string) error {
		var n uint8
		if err := t.private(ctx, args[0], "", &n, (*sample.GuessTheNumber).GuessAttempts); err != nil {
			return err
		}
		t.answer(fmt.Sprint(n), map[string]any{"attempts": n})
		return nil
	})
}
