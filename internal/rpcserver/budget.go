package rpcserver

import "sync"

// budget bounds the bytes of the replies and notifications that the whole
// server holds. If it is overdrawn, who holds most is evicted: that is a client
// which asks and does not read, and those that read hold next to nothing. So
// nobody waits for another's bytes.
type budget struct {
	max int

	mu       sync.Mutex // guards what follows, and the accounts' fields
	used     int
	accounts map[*account]struct{}
}

// account is one client's part of the budget.
type account struct {
	budget  *budget
	evict   func() // ends the client; must not block
	bytes   int
	evicted bool
}

func newBudget(limit int) *budget { return &budget{max: limit, accounts: map[*account]struct{}{}} }

// open makes an account; close it when the client is gone.
func (b *budget) open(evict func()) *account {
	a := &account{budget: b, evict: evict}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.accounts[a] = struct{}{}
	return a
}

// add books n bytes. It returns false if the client has been evicted, now or
// before.
func (a *account) add(n int) bool {
	victims, ok := a.book(n)
	for _, v := range victims {
		v.evict()
	}
	return ok
}

func (a *account) book(n int) (victims []*account, ok bool) {
	b := a.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.evicted {
		return nil, false
	}
	a.bytes += n
	b.used += n
	for b.used > b.max {
		most := a
		for v := range b.accounts {
			if v.bytes > most.bytes {
				most = v
			}
		}
		most.evicted = true
		b.drop(most)
		victims = append(victims, most)
	}
	return victims, !a.evicted
}

// sub gives n booked bytes back.
func (a *account) sub(n int) {
	a.budget.mu.Lock()
	defer a.budget.mu.Unlock()
	if !a.evicted {
		a.bytes -= n
		a.budget.used -= n
	}
}

// close gives back what is booked.
func (a *account) close() {
	a.budget.mu.Lock()
	defer a.budget.mu.Unlock()
	if !a.evicted {
		a.budget.drop(a)
	}
}

// drop runs under mu.
func (b *budget) drop(a *account) {
	b.used -= a.bytes
	a.bytes = 0
	delete(b.accounts, a)
}
