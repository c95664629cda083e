package worker

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/offchain-worker/sdk/internal/archive"
	"github.com/offchain-worker/sdk/internal/store"
)

// archiveFlags are the flags of run about the block archive.
type archiveFlags struct {
	none  bool
	dir   string
	peers []string
}

func (f *archiveFlags) register(o *pflag.FlagSet) {
	o.BoolVar(&f.none, "no-block-archive", false, "keep no block archive: a replay then needs an archive node, or --archive-peer")
	o.StringVar(&f.dir, "block-archive", "", "`folder` of the block archive (default: one in the data folder)")
	o.StringSliceVar(&f.peers, "archive-peer", nil, "`URL` of the trusted RPC of a worker whose block archive is asked for what the node no longer has; repeatable")
}

func (f *archiveFlags) into(c *Config) {
	c.NoBlockArchive, c.BlockArchive, c.ArchivePeers = f.none, f.dir, f.peers
}

// archiveCommand works on the block archive of a worker that does not run.
func archiveCommand(f *flags) *cobra.Command {
	var dir string
	root := &cobra.Command{Use: "archive", Short: "Export, import or check the block archive of a worker that is not running", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("archive needs a subcommand: export, import or check")
		}}
	add := func(use, short string, args cobra.PositionalArgs, run func(*cobra.Command, []string) error) {
		c := &cobra.Command{Use: use, Short: short, Args: args, RunE: fail(run)}
		c.Flags().StringVar(&dir, "block-archive", "", "`folder` of the archive (default: the one in the data folder)")
		c.Flags().Bool("help", false, "print this help")
		root.AddCommand(c)
	}
	add("export FILE", "Write all blocks to a file", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		return f.withArchive(dir, nil, func(a *archive.Archive) error { return exportArchive(cmd, a, args[0]) })
	})
	add("import FILE", "Take the blocks of a file that are missing; each has to prove itself", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		in, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer in.Close()
		r, err := archive.NewReader(in)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		id := r.Identity()
		return f.withArchive(dir, &id, func(a *archive.Archive) error {
			added, err := a.Import(cmd.Context(), r)
			last, _ := a.Last()
			fmt.Fprintf(cmd.OutOrStdout(), "%d blocks imported, %d in the archive, the last is %d\n", added, a.Blocks(), last)
			return err
		})
	})
	add("check", "Read all blocks, check what they prove and name what is damaged or missing", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		return f.withArchive(dir, nil, func(a *archive.Archive) error { return checkArchive(cmd, a) })
	})
	return root
}

// withArchive opens the archive in dir, or that of the data folder; id is what
// it is to be of, nil what is found there.
func (f *flags) withArchive(dir string, id *archive.Identity, run func(*archive.Archive) error) error {
	data := f.dataDir
	if data == "" {
		data = "."
	}
	switch {
	case dir != "":
	case id != nil:
		dir = filepath.Join(data, archiveFolder(*id))
	default:
		list, err := os.ReadDir(filepath.Join(data, archiveDir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if len(list) != 1 {
			return fmt.Errorf("%d block archives in %s: say which with --block-archive DIR", len(list), filepath.Join(data, archiveDir))
		}
		dir = filepath.Join(data, archiveDir, list[0].Name())
	}
	if id == nil {
		found, err := archive.Identify(dir, store.OS)
		if err != nil {
			return err
		}
		id = &found
	}
	a, err := archive.Open(dir, *id, archive.Options{})
	if err != nil {
		return err
	}
	return errors.Join(run(a), a.Close())
}

func exportArchive(cmd *cobra.Command, a *archive.Archive, name string) (err error) {
	out, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	damaged := 0
	n, err := a.Export(cmd.Context(), out, func(err error) {
		damaged++
		fmt.Fprintln(cmd.ErrOrStderr(), "left out:", err)
	})
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%d blocks exported\n", n)
	if damaged > 0 {
		return fmt.Errorf("%d blocks are damaged and were left out", damaged)
	}
	return nil
}

func checkArchive(cmd *cobra.Command, a *archive.Archive) error {
	for _, d := range a.Damage() {
		fmt.Fprintln(cmd.OutOrStdout(), d)
	}
	s, err := a.Verify(cmd.Context(), func(err error) { fmt.Fprintln(cmd.OutOrStdout(), err) })
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%d good blocks, %d to %d\n", s.Blocks, s.From, s.To)
	for _, g := range s.Gaps {
		fmt.Fprintf(cmd.OutOrStdout(), "missing: %d to %d\n", g.From, g.To)
	}
	if s.Damaged > 0 || len(s.Gaps) > 0 {
		return fmt.Errorf("%d blocks are damaged, %d runs of blocks are missing", s.Damaged, len(s.Gaps))
	}
	return nil
}
