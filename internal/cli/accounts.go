package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/keystore"
	"github.com/offchain-worker/sdk/internal/usage"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// Folders in the working directory, those of the Rust client.
const (
	keystoreDir        = "my_keystore"
	trustedKeystoreDir = "my_trusted_keystore" // one folder per shard below
)

func trustedKeystore(shard client.ShardID) *keystore.Store {
	return keystore.New(trustedKeystoreDir + "/" + shard.String())
}

// Accounts are given in three ways, depending on what they are for; the Rust
// client's rules. No error repeats an argument that may be a secret.

// recipient reads an account that only has to be named: //X of the development
// phrase, or an ss58 address. Hex is refused: elsewhere it is a seed, and funds
// sent to a seed taken for a public key are lost.
func recipient(arg string) (client.AccountID, error) {
	if strings.HasPrefix(arg, "//") {
		return accountOfURI(arg)
	}
	if isHex(arg) {
		return client.AccountID{}, invalid("an account here is //Name or an ss58 address, not hex")
	}
	return address(arg)
}

// trustedAccount reads an account of a trusted command: //X, a hex seed, or an
// ss58 address.
func trustedAccount(arg string) (client.AccountID, error) {
	if strings.HasPrefix(arg, "//") || isHex(arg) {
		return accountOfURI(arg)
	}
	return address(arg)
}

// signer reads an account whose key is needed: //X, a hex seed, an ss58
// address whose key is in the store, or else a mnemonic.
func signer(arg string, store *keystore.Store, storeName string) (*keyring.Pair, error) {
	if !strings.HasPrefix(arg, "//") && !isHex(arg) {
		if who, err := address(arg); err == nil {
			pair, err := store.Pair(who)
			if errors.Is(err, keystore.ErrNotFound) {
				return nil, fmt.Errorf("account %v is not in %s", who, storeName)
			}
			return pair, err
		}
	}
	pair, err := keyring.FromURI(keyring.Sr25519, arg)
	if err != nil || arg == "" {
		return nil, invalid("a signer is //Name, a 0x seed, an ss58 address of the keystore or a mnemonic")
	}
	return pair, nil
}

func isHex(arg string) bool { return strings.HasPrefix(arg, "0x") }

func accountOfURI(arg string) (client.AccountID, error) {
	pair, err := keyring.FromURI(keyring.Sr25519, arg)
	if err != nil {
		return client.AccountID{}, &usage.Error{Err: err} // names no secret
	}
	return pair.AccountID(), nil
}

func address(arg string) (client.AccountID, error) {
	who, err := keyring.ParseAccountID(arg)
	if err != nil || isHex(arg) {
		return client.AccountID{}, invalid("not an account: want //Name or an ss58 address")
	}
	return who, nil
}

// amount reads a number of planck. What is no u128 is wrong usage, as with the
// Rust client.
func amount(arg string) (client.Balance, error) {
	v, err := scale.ParseU128(arg)
	if err != nil {
		return v, &usage.Error{Err: fmt.Errorf("invalid value '%s' for '<AMOUNT>': want a whole number of planck below 2^128", arg)}
	}
	return v, nil
}

// each reports the first error.
func each(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
