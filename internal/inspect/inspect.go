// Package inspect has the commands of ocw that look at files: [VerifyCommand]
// checks workers' answers, finality proofs and quotes, [MetadataCommand] prints a
// runtime's metadata; and at workers that run: [ReportWorker].
//
// The files come from anywhere. They are read up to a limit, nothing in them is
// believed beyond what a command says that it takes as given, and no control
// character in them reaches a terminal. The commands decide nothing by
// themselves: a proof is checked by the function that the worker's light client
// calls.
package inspect

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/internal/usage"
)

// prepare makes cmd report a wrong command line as a usage.Error, without
// printing anything.
func prepare(cmd *cobra.Command) *cobra.Command {
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usage.Error{Err: fmt.Errorf("%w\nusage: %s", err, cmd.UseLine())}
	})
	return cmd
}

// oneFile accepts one argument, the name of a file.
func oneFile(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return &usage.Error{Err: fmt.Errorf("want one FILE, got %d arguments\nusage: %s", len(args), cmd.UseLine())}
	}
	return nil
}

// maxFile is the size of the largest file that is read. The metadata of the
// largest runtimes has about 1 MiB, twice that as hex.
const maxFile = 64 << 20

// readFile returns the bytes of a file, or of the command's input if the name
// is "-".
func readFile(cmd *cobra.Command, name string) (b []byte, err error) {
	in := cmd.InOrStdin()
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	if b, err = io.ReadAll(io.LimitReader(in, maxFile+1)); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("read %s: more than %d bytes", name, maxFile)
	}
	return b, nil
}

// decodeHex reads hex digits with or without 0x.
func decodeHex(s string) ([]byte, error) {
	return hex.DecodeString(strings.TrimPrefix(s, "0x"))
}

// printJSON writes v as indented JSON.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // types are full of < and >
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// printable replaces what could steer a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, s)
}
