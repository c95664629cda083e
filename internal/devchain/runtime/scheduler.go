package runtime

import (
	"reflect"
	"slices"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/system"
)

// Scheduler is the pallet Scheduler, index 8: calls that root has run at the
// beginning of a later block. Since there is no pallet Preimage, calls of any
// length are kept inline; and as weights are ignored, every due call runs.
type Scheduler struct {
	Agenda pallet.Map[header.Number, []*Scheduled] `pallet:"hasher=Twox64Concat"`
	Lookup pallet.Map[TaskName, TaskAddress]       `pallet:"hasher=Twox64Concat,optional"`
}

// TaskName is the name of a scheduled call.
type TaskName [32]byte

// TaskAddress is the block of a scheduled call and its index there.
type TaskAddress struct {
	When  header.Number `metadata:"_,BlockNumber"`
	Index uint32        `metadata:"_"`
}

// Period is every how many blocks a call runs again, and how often.
type Period struct {
	Blocks header.Number `metadata:"_,BlockNumber"`
	Count  uint32        `metadata:"_"`
}

// Scheduled is a call that waits.
type Scheduled struct {
	MaybeID       *TaskName    `metadata:"maybe_id,Option<Name>"`
	Priority      uint8        `metadata:"priority,schedule::Priority"`
	Call          BoundedCall  `metadata:"call,Call"`
	MaybePeriodic *Period      `metadata:"maybe_periodic,Option<schedule::Period<BlockNumber>>"`
	Origin        OriginCaller `metadata:"origin,PalletsOrigin"`
}

// MetadataPath is the type's path in runtime metadata.
func (Scheduled) MetadataPath() []string { return []string{"pallet_scheduler", "Scheduled"} }

// BoundedCall is a call, or where to find it. Here it is always Inline.
type BoundedCall struct {
	_      scale.Enum
	Legacy *struct{ Hash hashing.Hash } `scale:"0"`
	Inline *[]byte                      `scale:"1" metadata:",BoundedInline"`
	Lookup *struct {
		Hash hashing.Hash
		Len  uint32
	} `scale:"2"`
}

// MetadataPath is the type's path in runtime metadata.
func (BoundedCall) MetadataPath() []string {
	return []string{"frame_support", "traits", "preimages", "Bounded"}
}

// MetadataParams are the type's parameters in runtime metadata.
func (BoundedCall) MetadataParams() []reflect.Type {
	return []reflect.Type{reflect.TypeFor[RuntimeCall]()}
}

// The events of Scheduler.
type (
	EventScheduled struct {
		When  header.Number
		Index uint32
	}
	Canceled struct {
		When  header.Number
		Index uint32
	}
	Dispatched struct {
		Task   TaskAddress `metadata:"task,TaskAddress<BlockNumberFor<T>>"`
		ID     *TaskName   `metadata:"id,Option<TaskName>"`
		Result DispatchResult
	}
)

var (
	errFailedToSchedule        = pallet.NewError(0, "FailedToSchedule", "Failed to schedule a call")
	errTaskNotFound            = pallet.NewError(1, "NotFound", "Cannot find the scheduled call.")
	errTargetBlockNumberInPast = pallet.NewError(2, "TargetBlockNumberInPast", "Given target block number is in the past.")
	errNamed                   = pallet.NewError(4, "Named", "Attempt to use a non-named function on a named task.")
)

const maxScheduledPerBlock = 50

func (s *Scheduler) declare() pallet.Declaration {
	return pallet.Declaration{
		Name: "Scheduler", Index: 8, Module: s, Context: reflect.TypeFor[*Context](),
		CallIndex: indexes(map[string]uint8{"Schedule": 0, "Cancel": 1, "ScheduleNamed": 2, "CancelNamed": 3, "ScheduleAfter": 4, "ScheduleNamedAfter": 5}),
		Events: []pallet.EventDecl{
			{Index: 0, Prototype: EventScheduled{}, Docs: []string{"Scheduled some task."}},
			{Index: 1, Prototype: Canceled{}, Docs: []string{"Canceled some task."}},
			{Index: 2, Prototype: Dispatched{}, Docs: []string{"Dispatched some task."}},
		},
		Errors: []*pallet.Error{errFailedToSchedule, errTaskNotFound, errTargetBlockNumberInPast,
			pallet.NewError(3, "RescheduleNoChange", "Reschedule failed because it does not change scheduled time."), errNamed},
		Constants: []pallet.Constant{
			{Name: "MaximumWeight", Value: weight(maxBlockWeight), Doc: "The maximum weight that may be scheduled per block for any dispatchables."},
			{Name: "MaxScheduledPerBlock", Value: uint32(maxScheduledPerBlock), Doc: "The maximum number of scheduled calls in the queue for a single block."},
		},
	}
}

type when = header.Number

// Schedule has a call run in a block; root only.
func (s *Scheduler) Schedule(ctx *Context, args struct {
	When          when        `metadata:"when,BlockNumberFor<T>"`
	MaybePeriodic *Period     `metadata:"maybe_periodic,Option<schedule::Period<BlockNumberFor<T>>>"`
	Priority      uint8       `metadata:"priority,schedule::Priority"`
	Call          RuntimeCall `metadata:"call,Box<<T as Config>::RuntimeCall>"`
}) error {
	return s.schedule(ctx, nil, args.When, args.MaybePeriodic, args.Priority, &args.Call)
}

// ScheduleAfter has a call run a number of blocks after the next.
func (s *Scheduler) ScheduleAfter(ctx *Context, args struct {
	After         when        `metadata:"after,BlockNumberFor<T>"`
	MaybePeriodic *Period     `metadata:"maybe_periodic,Option<schedule::Period<BlockNumberFor<T>>>"`
	Priority      uint8       `metadata:"priority,schedule::Priority"`
	Call          RuntimeCall `metadata:"call,Box<<T as Config>::RuntimeCall>"`
}) error {
	return s.schedule(ctx, nil, s.after(ctx, args.After), args.MaybePeriodic, args.Priority, &args.Call)
}

// ScheduleNamed is Schedule with a name.
func (s *Scheduler) ScheduleNamed(ctx *Context, args struct {
	ID            TaskName    `metadata:"id,TaskName"`
	When          when        `metadata:"when,BlockNumberFor<T>"`
	MaybePeriodic *Period     `metadata:"maybe_periodic,Option<schedule::Period<BlockNumberFor<T>>>"`
	Priority      uint8       `metadata:"priority,schedule::Priority"`
	Call          RuntimeCall `metadata:"call,Box<<T as Config>::RuntimeCall>"`
}) error {
	return s.schedule(ctx, &args.ID, args.When, args.MaybePeriodic, args.Priority, &args.Call)
}

// ScheduleNamedAfter is ScheduleAfter with a name.
func (s *Scheduler) ScheduleNamedAfter(ctx *Context, args struct {
	ID            TaskName    `metadata:"id,TaskName"`
	After         when        `metadata:"after,BlockNumberFor<T>"`
	MaybePeriodic *Period     `metadata:"maybe_periodic,Option<schedule::Period<BlockNumberFor<T>>>"`
	Priority      uint8       `metadata:"priority,schedule::Priority"`
	Call          RuntimeCall `metadata:"call,Box<<T as Config>::RuntimeCall>"`
}) error {
	return s.schedule(ctx, &args.ID, s.after(ctx, args.After), args.MaybePeriodic, args.Priority, &args.Call)
}

// after is the block a number of blocks after the next.
func (s *Scheduler) after(ctx *Context, blocks header.Number) header.Number {
	if n := uint64(ctx.number()) + uint64(blocks) + 1; n <= uint64(^header.Number(0)) {
		return header.Number(n)
	}
	return ^header.Number(0)
}

func (s *Scheduler) schedule(ctx *Context, id *TaskName, at header.Number, every *Period, priority uint8, call *RuntimeCall) error {
	if err := ctx.root(); err != nil {
		return err
	}
	switch {
	case id != nil && s.Lookup.Contains(ctx, *id):
		return errFailedToSchedule
	case at <= ctx.number():
		return errTargetBlockNumberInPast
	}
	// A period of nothing, or of once, is none; the first run is counted.
	if every != nil && (every.Count <= 1 || every.Blocks == 0) {
		every = nil
	} else if every != nil {
		every = &Period{every.Blocks, every.Count - 1}
	}
	raw := slices.Clone(call.raw)
	return s.place(ctx, at, &Scheduled{MaybeID: id, Priority: priority, Call: BoundedCall{Inline: &raw}, MaybePeriodic: every, Origin: ctx.origin.caller()})
}

// place puts a task into the agenda of a block, in the first free place.
func (s *Scheduler) place(ctx *Context, at header.Number, task *Scheduled) error {
	agenda := s.Agenda.Get(ctx, at)
	i := slices.Index(agenda, nil)
	switch {
	case len(agenda) < maxScheduledPerBlock:
		i = len(agenda)
		agenda = append(agenda, task)
	case i >= 0:
		agenda[i] = task
	default:
		return system.DispatchError{Exhausted: &struct{}{}}
	}
	s.Agenda.Set(ctx, at, agenda)
	if task.MaybeID != nil {
		s.Lookup.Set(ctx, *task.MaybeID, TaskAddress{at, uint32(i)})
	}
	ctx.deposit(EventScheduled{at, uint32(i)})
	return nil
}

// Cancel removes a scheduled call.
func (s *Scheduler) Cancel(ctx *Context, args struct {
	When  when `metadata:"when,BlockNumberFor<T>"`
	Index uint32
}) error {
	return s.cancel(ctx, TaskAddress{args.When, args.Index})
}

// CancelNamed removes a scheduled call by its name.
func (s *Scheduler) CancelNamed(ctx *Context, args struct {
	ID TaskName `metadata:"id,TaskName"`
}) error {
	if err := ctx.root(); err != nil {
		return err
	}
	at, ok := s.Lookup.Lookup(ctx, args.ID)
	if !ok {
		return errTaskNotFound
	}
	return s.cancel(ctx, at)
}

func (s *Scheduler) cancel(ctx *Context, at TaskAddress) error {
	if err := ctx.root(); err != nil {
		return err
	}
	agenda := s.Agenda.Get(ctx, at.When)
	if int64(at.Index) >= int64(len(agenda)) || agenda[at.Index] == nil {
		return errTaskNotFound
	}
	if id := agenda[at.Index].MaybeID; id != nil {
		s.Lookup.Delete(ctx, *id)
	}
	agenda[at.Index] = nil
	for len(agenda) > 0 && agenda[len(agenda)-1] == nil {
		agenda = agenda[:len(agenda)-1]
	}
	if len(agenda) == 0 {
		s.Agenda.Delete(ctx, at.When)
	} else {
		s.Agenda.Set(ctx, at.When, agenda)
	}
	ctx.deposit(Canceled(at))
	return nil
}

// initialize runs what is due, in the phase Initialization: lower priority
// numbers first.
func (s *Scheduler) initialize(ctx *Context) {
	now := ctx.number()
	agenda, due := s.Agenda.Lookup(ctx, now)
	if !due {
		return
	}
	s.Agenda.Delete(ctx, now)
	order := make([]int, 0, len(agenda))
	for i, task := range agenda {
		if task != nil {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(agenda[a].Priority) - int(agenda[b].Priority) })
	for _, i := range order {
		task := agenda[i]
		if task.MaybeID != nil {
			s.Lookup.Delete(ctx, *task.MaybeID)
		}
		if task.Call.Inline == nil { // written by root as raw storage
			continue
		}
		call, err := ctx.rt.decodeCall(*task.Call.Inline)
		if err == nil { // of another runtime, else
			err = ctx.dispatch(task.Origin.origin(), call)
		}
		ctx.deposit(Dispatched{TaskAddress{now, uint32(i)}, task.MaybeID, ctx.result(err)})
		if p := task.MaybePeriodic; p != nil && uint64(now)+uint64(p.Blocks) <= uint64(^header.Number(0)) {
			task.MaybePeriodic = nil
			if p.Count > 1 {
				task.MaybePeriodic = &Period{p.Blocks, p.Count - 1}
			}
			_ = s.place(ctx, now+p.Blocks, task) // a full agenda ends the repetition
		}
	}
}
