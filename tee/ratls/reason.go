package ratls

import (
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/tee"
)

// Reason says why a hand-over was refused. It is an error, so that
// errors.Is(err, ReasonShard) tells whether that was why, on either side. The
// numbers are part of the protocol.
type Reason uint8

// The reasons.
const (
	ReasonMalformed   Reason = 1  // a message that is not of the protocol
	ReasonVersion     Reason = 2  // another version of the protocol
	ReasonCertificate Reason = 3  // a certificate that is not one of ours
	ReasonNoEvidence  Reason = 4  // a certificate without evidence
	ReasonNotGenuine  Reason = 5  // evidence that does not verify
	ReasonKind        Reason = 6  // a kind of platform that the policy does not accept
	ReasonMeasurement Reason = 7  // a program that the policy does not accept
	ReasonDebug       Reason = 8  // an enclave that its host can read
	ReasonSession     Reason = 9  // evidence that does not belong to this connection: replayed or relayed
	ReasonTrustConfig Reason = 10 // another trust config
	ReasonShard       Reason = 11 // another shard
	ReasonPurpose     Reason = 12 // evidence for another purpose
	ReasonStale       Reason = 13 // a recent block that is too old, or not of our chain
	ReasonPeer        Reason = 14 // not the account that was expected, or not registered on chain
	ReasonNoKeys      Reason = 15 // the provider has no keys itself
	ReasonBusy        Reason = 16 // too many hand-overs at once
	ReasonInternal    Reason = 17
	ReasonPlatform    Reason = 18 // a machine, or a security state of it, that the policy does not accept
	ReasonNoSnapshot  Reason = 19 // the provider has no snapshot to hand out
	ReasonExpired     Reason = 20 // registered on chain too long ago
	ReasonRevoked     Reason = 21 // the chain has found its evidence invalid or revoked
)

var reasonTexts = [...]string{
	ReasonMalformed:   "malformed message",
	ReasonVersion:     "unknown protocol version",
	ReasonCertificate: "bad certificate",
	ReasonNoEvidence:  "no evidence",
	ReasonNotGenuine:  "evidence is not genuine",
	ReasonKind:        "kind of platform not accepted",
	ReasonMeasurement: "measurement not accepted",
	ReasonDebug:       "debug enclave not accepted",
	ReasonSession:     "evidence belongs to another session",
	ReasonTrustConfig: "other trust config",
	ReasonShard:       "other shard",
	ReasonPurpose:     "evidence for another purpose",
	ReasonStale:       "recent block is stale or unknown",
	ReasonPeer:        "peer is not registered for this shard",
	ReasonNoKeys:      "the peer has no keys",
	ReasonBusy:        "the peer is busy",
	ReasonInternal:    "internal error of the peer",
	ReasonPlatform:    "platform not accepted",
	ReasonNoSnapshot:  "the peer has no snapshot",
	ReasonExpired:     "registration is too old",
	ReasonRevoked:     "registration is revoked",
}

// Error returns the reason in a few words.
func (r Reason) Error() string {
	if int(r) < len(reasonTexts) && reasonTexts[r] != "" {
		return reasonTexts[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// Refusal is the error of a hand-over that one side refused. It wraps its
// Reason.
type Refusal struct {
	Reason Reason
	Remote bool   // the peer refused us
	Detail string // for people; from the peer if Remote, and then not to be trusted
}

// Error says who refused and why.
func (r *Refusal) Error() string {
	who := "key hand-over refused"
	if r.Remote {
		who = "key hand-over refused by the peer"
	}
	if r.Detail == "" {
		return fmt.Sprintf("%s: %s", who, r.Reason.Error())
	}
	return fmt.Sprintf("%s: %s: %s", who, r.Reason.Error(), r.Detail)
}

// Unwrap returns the Reason.
func (r *Refusal) Unwrap() error { return r.Reason }

func refuse(reason Reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// reasonOf maps errors of certificates, evidence and policy. Of several the
// first in this order counts.
func reasonOf(err error) Reason {
	for _, m := range []struct {
		err    error
		reason Reason
	}{
		{ErrNoEvidence, ReasonNoEvidence}, {ErrCertificate, ReasonCertificate}, {tee.ErrNotGenuine, ReasonNotGenuine},
		{tee.ErrKind, ReasonKind}, {tee.ErrDebug, ReasonDebug}, {tee.ErrMeasurement, ReasonMeasurement}, {tee.ErrSVN, ReasonMeasurement},
		{tee.ErrTCB, ReasonPlatform}, {tee.ErrPlatform, ReasonPlatform}, {tee.ErrMigratable, ReasonPlatform}, {tee.ErrVMPL, ReasonPlatform}, {tee.ErrReportData, ReasonSession},
	} {
		if errors.Is(err, m.err) {
			return m.reason
		}
	}
	var r *Refusal
	if errors.As(err, &r) {
		return r.Reason
	}
	return ReasonInternal
}
