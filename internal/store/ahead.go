package store

import (
	"io"
	"sync"
)

// aheadChunks is how many chunks of a snapshot are decrypted before they are
// wanted.
const aheadChunks = 16

// ahead reads a snapshot on a goroutine of its own, so that one core decrypts
// while others make something of what was. Bytes come out in order, and only of
// chunks that are authentic.
type ahead struct {
	r      *chunkReader
	chunks chan []byte // closed at the end, after which r.err says why
	free   chan []byte // for the next ones
	stop   chan struct{}
	wg     sync.WaitGroup
	chunk  []byte
	rest   []byte // of chunk
}

func newAhead(r *chunkReader) *ahead {
	a := &ahead{r: r, chunks: make(chan []byte, aheadChunks), free: make(chan []byte, aheadChunks+2), stop: make(chan struct{})}
	a.wg.Go(func() {
		defer close(a.chunks)
		for !r.done {
			var buf []byte
			select {
			case buf = <-a.free:
			default:
			}
			if buf, r.err = r.next(buf); r.err != nil {
				return
			}
			select {
			case a.chunks <- buf:
			case <-a.stop:
				return
			}
		}
	})
	return a
}

func (a *ahead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.chunk != nil {
			select {
			case a.free <- a.chunk:
			default:
			}
		}
		var more bool
		if a.chunk, more = <-a.chunks; !more {
			if a.r.err != nil {
				return 0, a.r.err
			}
			return 0, io.EOF
		}
		a.rest = a.chunk
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// close ends the goroutine. It returns what is wrong with the part that was read.
func (a *ahead) close() error {
	close(a.stop)
	a.wg.Wait()
	return a.r.err
}
