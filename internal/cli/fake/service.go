package fake

import (
	"net/http"
	"sync"

	"github.com/offchain-worker/sdk/internal/rpcserver"
)

// service is an RPC server that can drop its connections and go on.
type service struct {
	register func(*rpcserver.Server)

	mu  sync.Mutex // guards rpc
	rpc *rpcserver.Server
}

func newService(register func(*rpcserver.Server)) *service {
	s := &service{register: register}
	s.rpc = s.fresh()
	return s
}

func (s *service) fresh() *rpcserver.Server {
	rpc := rpcserver.New(rpcserver.Options{})
	s.register(rpc)
	return rpc
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	rpc := s.rpc
	s.mu.Unlock()
	rpc.ServeHTTP(w, r)
}

// drop ends all connections; new ones are welcome.
func (s *service) drop() {
	s.mu.Lock()
	old := s.rpc
	s.rpc = s.fresh()
	s.mu.Unlock()
	old.Close()
}

func (s *service) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rpc.Close()
}
