package darkpool

import "github.com/offchain-worker/sdk/stf"

// MaxOrders is how many orders wait on one side of the book. It bounds the work
// of a call.
const MaxOrders = 128

// Resting is an order that waits.
type Resting struct {
	Owner  stf.AccountID
	Number uint32 // among the owner's orders
	Price  uint64
	Left   uint64
}

// Side is one side of the book, the best order first and of equal prices the
// oldest. It has always the same length in storage: gas is in receipts, and
// must not tell how many orders there are.
type Side struct {
	Count  uint16
	Orders [MaxOrders]Resting
}

func (s *Side) waiting() []Resting { return s.Orders[:s.Count] }

func (s *Side) remove(i int) {
	copy(s.Orders[i:s.Count], s.Orders[i+1:s.Count])
	s.Count--
	s.Orders[s.Count] = Resting{}
}

// insert puts an order behind those that are as good. If the side is full, the
// worst order has to go, which may be this one.
func (s *Side) insert(o Resting, buy bool) (gone Resting, full bool) {
	at := len(s.waiting())
	for i, other := range s.waiting() {
		if buy && o.Price > other.Price || !buy && o.Price < other.Price {
			at = i
			break
		}
	}
	if s.Count == MaxOrders {
		if at == MaxOrders {
			return o, true
		}
		gone, full = s.Orders[MaxOrders-1], true
		s.remove(MaxOrders - 1)
	}
	copy(s.Orders[at+1:s.Count+1], s.Orders[at:s.Count])
	s.Orders[at] = o
	s.Count++
	return gone, full
}
