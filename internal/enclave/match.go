package enclave

import (
	"cmp"
	"slices"

	"github.com/offchain-worker/sdk/internal/integritee"
)

// invokeEvent is an IndirectInvocationRegistered event.
type invokeEvent struct {
	event uint32 // position in System.Events
	shard integritee.ShardID
}

// invocation is a request with the event that proves its dispatch.
type invocation struct {
	event   uint32
	request integritee.Request
}

// matchInvocations gives each request of an extrinsic, in order of dispatch,
// the event that it caused. The match is exact or none at all: as many events
// as requests, of the same shards in the same order. Guessing which of several
// requests ran would let the sender of a batch choose, after the fact, what
// different workers execute.
func matchInvocations(requests []integritee.Request, events []invokeEvent) ([]invocation, bool) {
	if len(requests) != len(events) {
		return nil, false
	}
	matched := make([]invocation, len(requests))
	for i, r := range requests {
		if r.Shard != events[i].shard {
			return nil, false
		}
		matched[i] = invocation{events[i].event, r}
	}
	return matched, true
}

func sortOperations(list []operation) {
	slices.SortFunc(list, func(a, b operation) int { return cmp.Compare(a.event, b.event) })
}
