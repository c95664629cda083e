package store_test

import (
	"fmt"
	"io"

	"github.com/offchain-worker/sdk/internal/store"
)

// A store is opened, replayed, and appended to. A snapshot stands for all
// records before it.
func Example() {
	disk := &store.MemFS{}
	key := [32]byte{ /* from the platform's sealing key */ }

	sum := 0
	open := func() *store.Log {
		sum = 0
		log, err := store.Open("state", key, store.Options{FS: disk})
		if err != nil {
			panic(err)
		}
		err = log.Replay(
			func(position uint64, r io.Reader) error { _, err := fmt.Fscan(r, &sum); return err },
			func(position uint64, record []byte) error { sum += int(record[0]); return nil })
		if err != nil {
			panic(err)
		}
		return log
	}

	log := open()
	for _, n := range []byte{1, 2, 3} {
		if err := log.Append([]byte{n}); err != nil {
			panic(err)
		}
	}
	if err := log.Snapshot(func(w io.Writer) error { _, err := fmt.Fprintln(w, 6); return err }); err != nil {
		panic(err)
	}
	if err := log.Append([]byte{4}); err != nil {
		panic(err)
	}
	if err := log.Close(); err != nil {
		panic(err)
	}

	log = open()
	defer log.Close()
	fmt.Println(sum, "after record", log.Position())
	// Output: 10 after record 4
}
