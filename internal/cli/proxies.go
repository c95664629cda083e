package cli

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/spf13/cobra"
)

// proxyLife is for how long a session proxy is allowed, as with the Rust client.
const proxyLife = 10 * 24 * time.Hour

func proxyRole(name string) (r sample.SessionProxyRole, err error) {
	yes := new(struct{})
	switch name {
	case "Any":
		r.Any = yes
	case "NonTransfer":
		r.NonTransfer = yes
	case "ReadAny":
		r.ReadAny = yes
	case "ReadBalance":
		r.ReadBalance = yes
	default:
		err = invalid("ROLE is Any, NonTransfer, ReadAny or ReadBalance")
	}
	return r, err
}

func roleText(r sample.SessionProxyRole) string {
	switch {
	case r.Any != nil:
		return "Any"
	case r.NonTransfer != nil:
		return "NonTransfer"
	case r.ReadAny != nil:
		return "ReadAny"
	case r.ReadBalance != nil:
		return "ReadBalance"
	case r.TransferAllowance != nil:
		return "TransferAllowance(" + r.TransferAllowance.String() + ")"
	}
	return "none"
}

// proxySeed reads the key of a proxy: 32 bytes, which the shard keeps for its
// owner.
func proxySeed(arg string) (seed [32]byte, pair *keyring.Pair, err error) {
	if !strings.HasPrefix(arg, "0x") || len(arg) != 2+2*len(seed) {
		return seed, nil, invalid("SEED is 0x and 64 hex digits")
	}
	if _, err := hex.Decode(seed[:], []byte(arg[2:])); err != nil {
		return seed, nil, invalid("SEED is 0x and 64 hex digits")
	}
	pair, err = keyring.FromURI(keyring.Sr25519, arg)
	return seed, pair, err
}

func (t *trusted) addSessionProxyCommand() *cobra.Command {
	return t.command("add-session-proxy <ACCOUNT> <SEED> <ROLE>", "add a delegate (session proxy) for ten days; ROLE is Any, NonTransfer, ReadAny or ReadBalance", exactly(3), func(ctx context.Context, args []string) error {
		seed, proxy, err0 := proxySeed(args[1])
		role, err1 := proxyRole(args[2])
		if err := each(err0, err1); err != nil {
			return err
		}
		expiry := uint64(time.Now().Add(proxyLife).UnixMilli())
		credentials := sample.SessionProxyCredentials{Role: role, Expiry: &expiry, Seed: seed}
		return t.invoke(ctx, args[0], "", func(from client.AccountID, _ client.ShardID) (string, []byte) {
			return fmt.Sprintf("add-session-proxy for %v", proxy.AccountID()), sample.Call((*sample.SessionProxies).AddSessionProxy, from, proxy.AccountID(), credentials)
		})
	})
}

func (t *trusted) getSessionProxiesCommand() *cobra.Command {
	return t.command("get-session-proxies <ACCOUNT>", "list the delegates (session proxies) of an account, with the seeds of their keys", exactly(1), func(ctx context.Context, args []string) error {
		var e sample.AccountEssentials
		if err := t.private(ctx, args[0], "", &e, (*sample.SessionProxies).AccountEssentials); err != nil {
			return err
		}
		lines, objects := []string{}, []any{}
		for _, c := range e.SessionProxies {
			lines = append(lines, fmt.Sprintf("SessionProxyCredentials { role: %s, expiry: %s, seed: %s }", roleText(c.Role), option(c.Expiry, plain), strings.ReplaceAll(fmt.Sprint(c.Seed), " ", ", ")))
			objects = append(objects, map[string]any{"role": roleText(c.Role), "expiry": c.Expiry, "seed": "0x" + hex.EncodeToString(c.Seed[:])})
		}
		t.lines(lines, map[string]any{"sessionProxies": objects})
		return nil
	})
}
