package inspect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// MetadataCommand returns the command metadata.
func MetadataCommand() *cobra.Command {
	var asJSON bool
	var pallets []string
	cmd := prepare(&cobra.Command{
		Use:   "metadata FILE",
		Short: "Print pallets, calls, events, errors and storage of a runtime's metadata",
		Long: `Print the pallets of a runtime with their calls, events, errors, constants and
storage items, and the extensions of its extrinsics. FILE holds metadata of
version 14, 15 or 16, as it is or as hex, - is the standard input. What the
runtime API Metadata_metadata_at_version returns is accepted too.

--json names types as polkadot.js does; the text names them as the runtime's
source does.`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			raw, err := readFile(cmd, args[0])
			if err != nil {
				return err
			}
			m, err := decodeMetadata(raw)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			for _, name := range pallets {
				if m.Pallet(name) == nil {
					return fmt.Errorf("%s: the runtime has no pallet %q", args[0], name)
				}
			}
			t := newTables(m, pallets)
			if asJSON {
				return printJSON(cmd.OutOrStdout(), t)
			}
			return t.print(cmd.OutOrStdout())
		},
	})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.Flags().StringSliceVar(&pallets, "pallet", nil, "print the details of this pallet only (may be repeated)")
	return cmd
}

// errNoMetadata means bytes that do not start like metadata in any form.
var errNoMetadata = errors.New("neither metadata nor hex of metadata")

var magic = []byte("meta")

// decodeMetadata reads metadata: raw or as hex text, bare or as a runtime API
// returns it, which is with its length and perhaps as an Option.
func decodeMetadata(raw []byte) (*metadata.Metadata, error) {
	if m, err := decodeBinary(raw); !errors.Is(err, errNoMetadata) {
		return m, err
	}
	text := strings.Trim(string(raw), "\" \t\r\n")
	b, err := decodeHex(text)
	if err != nil {
		return nil, errNoMetadata
	}
	return decodeBinary(b)
}

func decodeBinary(b []byte) (*metadata.Metadata, error) {
	if bytes.HasPrefix(b, magic) {
		return metadata.Decode(b)
	}
	var optional *[]byte
	if scale.Unmarshal(b, &optional) == nil && optional != nil && bytes.HasPrefix(*optional, magic) {
		return metadata.Decode(*optional)
	}
	var opaque []byte
	if scale.Unmarshal(b, &opaque) == nil && bytes.HasPrefix(opaque, magic) {
		return metadata.Decode(opaque)
	}
	return nil, errNoMetadata
}

// print writes the tables as text.
func (t *tables) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	line := func(format string, args ...any) {
		for i := range args {
			if s, ok := args[i].(string); ok {
				args[i] = printable(s)
			}
		}
		fmt.Fprintf(w, format+"\n", args...) // a tabwriter keeps its first error for Flush
	}
	line("metadata version %d, %d pallets", t.Version, len(t.Pallets))
	line("\nextrinsics of format %s, extensions:", join(t.Extrinsic.Versions))
	for i, x := range t.Extrinsic.Extensions {
		line("  %d\t%s\t%s\tsigned: %s", i, x.ID, x.Type, x.Additional)
	}
	for _, p := range t.order {
		line("\n%d %s", p.Index, p.name)
		title(line, "calls", len(p.Calls))
		for _, v := range p.Calls {
			line("    %d\t%s%s", v.Index, v.Name, list(v.Args))
		}
		title(line, "events", len(p.Events))
		for _, v := range p.Events {
			line("    %d\t%s%s", v.Index, v.Name, list(v.Fields))
		}
		title(line, "errors", len(p.Errors))
		for _, v := range p.Errors {
			line("    %d\t%s%s", v.Index, v.Name, list(v.fields))
		}
		title(line, "storage, prefix "+p.Prefix, len(p.Storage))
		for _, s := range p.Storage {
			line("    %s%s\t%s\t%s", s.Name, s.keys(), s.Value, s.Modifier)
		}
		title(line, "constants", len(p.Constants))
		for _, c := range p.Constants {
			line("    %s\t%s\t%s", c.Name, c.Type, shorten(string(c.Value)))
		}
	}
	return w.Flush()
}

func title(line func(string, ...any), text string, items int) {
	if items > 0 {
		line("  %s", text)
	}
}

// list writes fields as the source does.
func list(fields []field) string {
	if len(fields) == 0 {
		return ""
	}
	var parts []string
	for _, f := range fields {
		parts = append(parts, f.String())
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

// String writes a field as the source does.
func (f field) String() string {
	t := f.TypeName
	if t == "" {
		t = f.Type
	}
	if f.Name == "" {
		return t
	}
	return f.Name + ": " + t
}

// keys writes the key of a map.
func (s storageItem) keys() string {
	if len(s.Hashers) == 0 {
		return ""
	}
	return "[" + strings.Join(s.Hashers, ", ") + " " + s.Key + "]"
}

func join(versions []uint32) string {
	var parts []string
	for _, v := range versions {
		parts = append(parts, fmt.Sprint(v))
	}
	return strings.Join(parts, ", ")
}

// shorten keeps one value on one line.
func shorten(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}
