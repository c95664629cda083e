package enclave

import (
	"fmt"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// status is how an extrinsic ended.
type status uint8

const (
	statusUnknown status = iota
	statusSuccess
	statusFailed
)

// scanned is an extrinsic with its events.
type scanned struct {
	hash    hashing.Hash
	decoded bool
	signer  *keyring.AccountID
	nonce   uint32
	call    []byte // as it is encoded
	calls   foundCalls

	status   status
	failure  []byte   // data of ExtrinsicFailed
	signals  []signal // what tells which of its calls ran
	payments []payment
	confirms []processed
	// published are roots of the shard that the extrinsic has published.
	published []publishedHash
	// epochs are messages about the shard's keys, their tags not looked at.
	epochs []epochMessage
}

// operation is something of our shard that ends in a receipt, found by its
// event.
type operation struct {
	event  uint32             // position in System.Events
	hash   *hashing.Hash      // receipt's operation hash, as far as known
	sender *keyring.AccountID // receipt's sender, as far as known

	// Of an invocation:
	ciphertext []byte
	code       stf.Code // Success: go on, anything else: failed so far
	call       *stf.Operation
	panicked   bool // while it was decrypted or its signature verified

	// Of a shielding:
	shield      *integritee.EventShieldFunds
	beneficiary *beneficiary
}

// scan is what a block holds for us.
type scan struct {
	extrinsics []scanned
	operations []operation // by event
	events     uint32
	records    []metadata.EventRecord
	now        *stf.Moment
	named      bool // an invoke or ShieldFunds names our shard
	registers  bool
	newCode    bool // an event says that the code has changed
	stats      Stats
	alarms     []Alarm
}

// scan reads events and extrinsics. Extrinsics that cannot be decoded stop
// nothing; events that cannot be decoded mean wrong metadata and are fatal,
// because money may have moved.
func (c *Core) scan(extrinsics [][]byte, events []byte) (*scan, error) {
	records, err := c.runtime.meta.DecodeEvents(events)
	if err != nil {
		return nil, fmt.Errorf("%w: events do not fit the metadata of spec version %d: %w", ErrFatal, c.runtime.specVersion, err)
	}
	s := &scan{extrinsics: make([]scanned, len(extrinsics)), events: uint32(len(records)), records: records}
	s.stats.Extrinsics = uint32(len(s.extrinsics))
	for i, raw := range extrinsics {
		if err := s.extrinsics[i].decode(raw, c.runtime.runtimeInfo); err != nil {
			s.stats.Undecoded++
		}
	}
	for i := range records {
		if err := c.scanEvent(s, records, uint32(i)); err != nil {
			return nil, fmt.Errorf("%w: event %d: %s.%s has an unknown layout: %w", ErrFatal, i, records[i].Pallet, records[i].Name, err)
		}
	}
	for i := range s.extrinsics {
		c.scanExtrinsic(s, uint32(i))
	}
	// Shieldings were found in the order of events, invocations in that of
	// extrinsics; both run in the order of events (RULES 9).
	sortOperations(s.operations)
	return s, nil
}

func (x *scanned) decode(raw []byte, r *runtimeInfo) error {
	x.hash = extrinsic.Hash(raw)
	decoded, err := extrinsic.Decode(raw, r.meta)
	if err != nil {
		return err
	}
	if decoded.Signed != nil {
		x.signer, x.nonce = decoded.Signed.Signer, decoded.Signed.Nonce
	}
	x.call = decoded.Call
	x.calls, err = r.walk(decoded.Call)
	x.decoded = err == nil
	return err
}

// scanEvent reads one event. Events of phases other than an extrinsic's, such
// as those of scheduled calls, count alike.
func (c *Core) scanEvent(s *scan, records []metadata.EventRecord, i uint32) error {
	r := &records[i]
	var in *scanned // the extrinsic that the event belongs to
	if r.Phase.Kind == metadata.ApplyExtrinsic && int64(r.Phase.Extrinsic) < int64(len(s.extrinsics)) {
		in = &s.extrinsics[r.Phase.Extrinsic]
	}
	if info := c.runtime.signals[r.Index]; info != nil {
		return c.scanSignal(s, records, info, in, i)
	}
	switch {
	case r.Pallet == systemPallet && r.Name == "ExtrinsicSuccess" && in != nil:
		in.status = statusSuccess
	case r.Pallet == systemPallet && r.Name == "ExtrinsicFailed" && in != nil:
		in.status, in.failure = statusFailed, r.Data
	case changesCode(r):
		s.newCode = true
	case c.runtime.is(r, eventRegistered):
		// The account is the first field in all layouts; the rest is not needed.
		d := scale.NewDecoder(r.Data)
		var who keyring.AccountID
		d.Read(who[:])
		s.registers = s.registers || who == c.cfg.Account && !who.IsZero()
		return d.Err()
	case c.runtime.is(r, eventShielded): // the legacy one is a signal
		var e integritee.EventShieldFunds
		if err := scale.Unmarshal(r.Data, &e); err != nil {
			return err
		}
		var sender *keyring.AccountID
		if t := transferBefore(records, i); t.shields(e.Shard, e.Amount) {
			sender = &t.From
		}
		c.addShielding(s, &e, i, sender)
	case c.runtime.is(r, eventProcessed) && in != nil:
		p, err := c.runtime.layout.decodeProcessed(r.Data)
		if err != nil {
			return err
		}
		in.confirms = append(in.confirms, p)
	case c.runtime.is(r, eventPublished) && in != nil:
		return c.readPublished(in, r)
	}
	return nil
}

// is reports whether an event is one of the runtime's layout.
func (r *runtimeInfo) is(e *metadata.EventRecord, kind eventKind) bool {
	name := r.layout.events[kind]
	return e.Pallet == name[0] && e.Name == name[1]
}

// scanSignal notes an event that tells what ran. Only an extrinsic has calls
// that could be told of: what a scheduled call invoked, or in the legacy layout
// shielded, came without them.
func (c *Core) scanSignal(s *scan, records []metadata.EventRecord, info *signalInfo, in *scanned, i uint32) error {
	e, err := info.read(c.runtime.runtimeInfo, records, i)
	switch {
	case err != nil:
		return err
	case in != nil:
		in.signals = append(in.signals, e)
	case e.kind == signalInvoked || e.kind == signalShielded:
		if c.unmatched(s, &e, nil, stf.NoCiphertext) {
			s.alarms = append(s.alarms, Alarm{Kind: AlarmNoCiphertext, Event: &i})
		}
	}
	return nil
}

// scanExtrinsic finds out which calls of an extrinsic ran and notes what they
// say to our shard.
func (c *Core) scanExtrinsic(s *scan, i uint32) {
	x := &s.extrinsics[i]
	shard := c.cfg.Trust.Shard
	c.remarkEpochMessage(x)
	if x.calls.top == callTimestamp && x.status == statusSuccess {
		now := stf.Moment(x.calls.now)
		s.now = &now
	}
	ours := false // an invocation
	for _, r := range x.calls.invokes {
		ours = ours || r.Shard == shard
	}
	s.named = s.named || ours
	for _, a := range x.calls.shields {
		s.named = s.named || a.Shard == shard
	}
	m, exact := x.match(c.runtime.layout)
	if exact {
		for _, invocation := range m.invocations {
			c.addInvocation(s, invocation, x.signer)
		}
		for _, shielded := range m.shieldings {
			c.addMatchedShielding(s, shielded, i)
		}
		x.payments = m.payments
		return
	}
	x.payments = x.guessPayments(c.runtime.layout)
	code, kind := stf.NotMatched, AlarmNotMatched
	if len(x.calls.invokes) == 0 && (!c.runtime.layout.legacy || len(x.calls.shields) == 0) {
		code, kind = stf.NoCiphertext, AlarmNoCiphertext
	}
	// Calls that ran without an event are as wrong as events without a call,
	// unless it is for a call that we do not understand that nothing fits.
	ours = ours && !m.unknown
	for j := range x.signals {
		if e := &x.signals[j]; c.unmatched(s, e, x.signer, code) {
			ours = true
		}
	}
	if ours {
		s.alarms = append(s.alarms, Alarm{Kind: kind, Extrinsic: &i})
	}
}

// unmatched records an invocation event, or a legacy shielding, whose call is
// not known. It reports whether that is about our shard.
func (c *Core) unmatched(s *scan, e *signal, signer *keyring.AccountID, code stf.Code) bool {
	switch e.kind {
	case signalInvoked:
		if e.shard() != c.cfg.Trust.Shard {
			s.stats.OtherShards++
			return false
		}
		s.stats.Invocations++
	case signalShielded:
		// Whose it is, is known by where funds went at most.
		if e.transfer == nil || e.transfer.To != c.cfg.Trust.Shard.BondingAccount() {
			return false
		}
		s.stats.Shieldings++
	default:
		return false
	}
	s.named = true
	s.operations = append(s.operations, operation{event: e.event, sender: signer, code: code})
	return true
}

func (c *Core) addInvocation(s *scan, m invocation, signer *keyring.AccountID) {
	if m.request.Shard != c.cfg.Trust.Shard {
		s.stats.OtherShards++
		return
	}
	s.stats.Invocations++
	// Until a call is found inside, the receipt belongs to whoever signed the
	// extrinsic, under the hash of what he sent.
	hash := hashing.Blake2b256(m.request.Cyphertext)
	s.operations = append(s.operations, operation{event: m.event, ciphertext: m.request.Cyphertext, hash: &hash, sender: signer})
}

func (c *Core) addShielding(s *scan, e *integritee.EventShieldFunds, event uint32, sender *keyring.AccountID) {
	if e.Shard != c.cfg.Trust.Shard {
		s.stats.OtherShards++
		return
	}
	s.named = true
	s.stats.Shieldings++
	hash := hashing.Blake2b256(e.EncryptedBeneficiary)
	s.operations = append(s.operations, operation{event: event, hash: &hash, sender: sender, shield: e})
}

// addMatchedShielding adds a shielding of the legacy layout, of which calls and
// funds moved tell together what the event does not (RULES 25).
func (c *Core) addMatchedShielding(s *scan, m matchedShielding, extrinsic uint32) {
	e := integritee.EventShieldFunds{Shard: m.args.Shard, EncryptedBeneficiary: m.args.AccountEncrypted, Amount: m.args.Amount}
	var sender *keyring.AccountID
	switch {
	case m.transfer.shields(e.Shard, e.Amount):
		sender = &m.transfer.From
	case !e.Amount.IsZero() && e.Shard == c.cfg.Trust.Shard:
		// A success without the transfer that it consists of: nothing is
		// credited on the word of a call alone.
		s.operations = append(s.operations, operation{event: m.event, code: stf.NotMatched})
		s.named = true
		s.stats.Shieldings++
		s.alarms = append(s.alarms, Alarm{Kind: AlarmNotMatched, Extrinsic: &extrinsic})
		return
	}
	c.addShielding(s, &e, m.event, sender)
}

// shields reports whether a transfer, which may be nil, is what shielding an
// amount does (RULES 13).
func (t *transfer) shields(shard integritee.ShardID, amount scale.U128) bool {
	return t != nil && t.To == shard.BondingAccount() && t.Amount == amount
}
