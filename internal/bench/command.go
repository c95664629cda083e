package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// Command returns `ocw bench`.
func Command() *cobra.Command {
	var (
		o                       Options
		asJSON, list            bool
		write, profile, heapOut string
	)
	cmd := &cobra.Command{
		Use:   "bench [NAME…]",
		Short: "Measure how fast a worker is on this machine",
		Long: "Runs the benchmarks of these names, or all, and prints a table. They fail if something does not work, not if it is slow.\n" +
			"Let nothing else run meanwhile. Stores are made in the folder for temporary files, or in --dir.",
		RunE: func(cmd *cobra.Command, names []string) (err error) {
			benchmarks, err := byName(names)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if list {
				return printList(out, benchmarks)
			}
			o.Log = cmd.ErrOrStderr()
			if profile != "" {
				f, err := os.Create(profile)
				if err != nil {
					return err
				}
				defer f.Close()
				if err := pprof.StartCPUProfile(f); err != nil {
					return err
				}
				defer pprof.StopCPUProfile()
			}
			results, err := run(cmd.Context(), &o, benchmarks, func(r *Result) error {
				if !asJSON {
					return nil
				}
				return json.NewEncoder(out).Encode(r)
			})
			if err != nil {
				return err
			}
			if heapOut != "" {
				if err := writeHeap(heapOut); err != nil {
					return err
				}
			}
			if write != "" {
				if err := updateDocument(write, results, o.Quick); err != nil {
					return err
				}
			}
			if asJSON {
				return nil
			}
			return printTable(out, results)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&list, "list", false, "name the benchmarks and what they measure")
	f.BoolVar(&asJSON, "json", false, "print one JSON object per result")
	f.BoolVar(&o.Quick, "quick", false, "small forms, which show that everything works")
	f.IntVar(&o.Blocks, "blocks", 0, "blocks of sparse-blocks (default 1000000)")
	f.IntVar(&o.Accounts, "accounts", 0, "accounts of the benchmarks of a million (default 1000000)")
	f.StringVar(&o.Dir, "dir", "", "`folder` for stores, on the disk to be measured")
	f.StringVar(&write, "write", "", "put the results into the generated section of a document, such as docs/benchmarks.md (`file`)")
	f.StringVar(&profile, "cpuprofile", "", "write a CPU profile to `file`")
	f.StringVar(&heapOut, "heapprofile", "", "write a heap profile to `file` at the end")
	return cmd
}

// run runs benchmarks one after the other and hands out each result.
func run(ctx context.Context, o *Options, benchmarks []Benchmark, each func(*Result) error) (all []Result, err error) {
	for _, b := range benchmarks {
		results, err := b.Run(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.Name, err)
		}
		for i := range results {
			if err := each(&results[i]); err != nil {
				return nil, err
			}
		}
		all = append(all, results...)
	}
	return all, nil
}

func writeHeap(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	liveHeap()
	if err := pprof.WriteHeapProfile(f); err != nil {
		return err
	}
	return f.Close()
}

func printList(w io.Writer, benchmarks []Benchmark) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, b := range benchmarks {
		fmt.Fprintf(t, "%s\t%s\n", b.Name, b.About)
	}
	return t.Flush()
}

func printTable(w io.Writer, results []Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(columns, "\t"))
	for i := range results {
		fmt.Fprintln(t, strings.Join(results[i].cells(), "\t"))
	}
	return t.Flush()
}
