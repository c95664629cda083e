// Package ratls is attested TLS: certificates that carry a signed statement
// and evidence, and the hand-over of key material between workers.
//
// A [Statement] in a certificate says whose the TLS key is: the worker's
// account signed it together with trust config, shard and keys, and the
// platform vouches for the same. [Self.Certificate] makes one,
// [VerifyCertificate] reads it and checks the signatures, [Statement.Appraise]
// checks the evidence against a policy. A certificate has no meaningful expiry
// and names no host: the host's clock and names are not trusted, the statement
// is what counts.
//
// [Provider] hands key material to peers, [Request] obtains it. Over TLS 1.3
// with such certificates on both sides:
//
//	requester → Hello      nonce
//	provider  → Challenge  nonce
//	requester → Request    ephemeral X25519 key, fresh evidence over it
//	provider  → Material   key material sealed to that key by HPKE, fresh evidence over it
//
// Both fresh evidences vouch for a session hash over the two nonces, the two
// TLS keys and the TLS exporter, so that neither can be replayed into another
// session nor relayed by a man in the middle with a TLS key of his own; and
// only the enclave that made the ephemeral key can read the material. Instead
// of any answer a side may send a Refusal, which names the reason.
//
// In the same way [RequestSnapshot] obtains a snapshot of the private state, which
// TLS alone keeps secret: its keys are those of the two enclaves, as the evidence
// for the session says. After the Challenge:
//
//	requester → Ask        fresh evidence
//	provider  → Offer      which snapshot, fresh evidence over it
//	provider  → Piece …    64 KiB at most each, an empty one at the end
//
// Everything from the peer is hostile until its evidence was appraised, and
// bounded in size, time and number: strangers hold only short-lived places of
// their own, of which one address has few (serve.go).
package ratls
