package inspect

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/offchain-worker/sdk/internal/keystore"
	"github.com/offchain-worker/sdk/internal/usage"
	"github.com/offchain-worker/sdk/internal/verifiers"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// maxSecret bounds a file with a secret URI, in bytes.
const maxSecret = 4096

// SignFlags are the flags that say where the keys are that sign.
type SignFlags struct {
	What           string // such a key is, as in "upgrade key"
	Other          error  // says that a key is another
	file, keystore string
}

// Register adds the flags.
func (f *SignFlags) Register(to *pflag.FlagSet) {
	to.StringVar(&f.file, "key", "", "`file` with the secret URI of the "+f.What+"; - for the standard input")
	to.StringVar(&f.keystore, "keystore", "", "`folder` of keys, as integritee-cli makes them")
}

// Pairs returns the keys of accounts: in a folder those that are there, in a file,
// which does not say of which scheme its key is, the one. The error wraps Other if
// there is none.
func (f *SignFlags) Pairs(stdin io.Reader, of []keyring.AccountID) ([]*keyring.Pair, error) {
	switch {
	case (f.file == "") == (f.keystore == ""):
		return nil, &usage.Error{Err: errors.New("either --key FILE or --keystore FOLDER is needed")}
	case f.keystore != "":
		return f.inFolder(of)
	}
	return f.inFile(stdin, of)
}

func (f *SignFlags) inFile(stdin io.Reader, of []keyring.AccountID) ([]*keyring.Pair, error) {
	var b []byte
	var err error
	if f.file == "-" {
		if b, err = io.ReadAll(io.LimitReader(stdin, maxSecret+1)); err == nil && len(b) > maxSecret {
			err = fmt.Errorf("the standard input has more than %d bytes", maxSecret)
		}
	} else {
		b, err = verifiers.ReadFile(f.file, maxSecret)
	}
	if err != nil {
		return nil, err
	}
	defer clear(b)
	uri := strings.TrimSpace(string(b))
	for _, scheme := range []keyring.Scheme{keyring.Ed25519, keyring.Ecdsa, keyring.Sr25519} { // the last takes every URI
		var pair *keyring.Pair
		if pair, err = keyring.FromURI(scheme, uri); err == nil && slices.Contains(of, pair.AccountID()) {
			return []*keyring.Pair{pair}, nil
		}
	}
	if err == nil {
		err = f.Other
	}
	return nil, fmt.Errorf("%s: %w", f.file, err)
}

func (f *SignFlags) inFolder(of []keyring.AccountID) (out []*keyring.Pair, err error) {
	keys := keystore.New(f.keystore)
	for _, k := range of {
		pair, err := keys.Pair(k)
		if err == nil {
			out = append(out, pair)
		} else if !errors.Is(err, keystore.ErrNotFound) {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s holds no %s: %w", f.keystore, f.What, f.Other)
	}
	return out, nil
}
