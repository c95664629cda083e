// Package worker assembles one worker: it follows the finalized blocks of the
// parentchain, gives each to the core, stores what the core computed, sends
// what the core wants sent, and answers clients.
//
// Start with [Run], or with [Start] where several workers live in one process.
// [Main] is the whole program: flags, subcommands, signals.
//
//	follower → core.Execute → store.Append (fsync) → core.Adopt → view, submitter
//
// All parts run in one errgroup: the first that fails fatally stops the
// worker, so that it never keeps running half dead. What the parentchain node
// does wrong is not fatal: the worker reconnects, retries and says why in its
// status. It never acts on what it could not verify.
//
// Trusted are the app, the platform's sealing key and what it sealed, and the
// trust config. The node, peers, clients, the disk and the clock are not.
package worker

import (
	"log/slog"
	"time"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
)

// Config says what worker to run. Required are App, DataDir and NodeURL.
type Config struct {
	App     *stf.App // the business logic
	DataDir string   // keys and state; made if it does not exist
	NodeURL string   // ws:// or wss:// URL of the parentchain node, or of several, separated by commas

	// Parentchain says what makes its blocks final: Solo, which "" means too, or Para.
	Parentchain string
	RelayURL    string // like NodeURL, of the relay chain; for Para only
	// ParaID is the parachain's id on the relay chain. 0 takes that of the trust
	// config, or with Dev and without one what the parachain says of itself.
	ParaID uint32

	// Addresses to listen on; port 0 takes a free one, "" is the default.
	TrustedAddr string // trusted RPC, TLS WebSocket; 127.0.0.1:2000
	MuRaAddr    string // key hand-over to peers; 127.0.0.1:3443
	HTTPAddr    string // /is_initialized; 127.0.0.1:4545
	MetricsAddr string // Prometheus metrics over HTTP; "" serves none
	// PlainAddr serves the trusted RPC without TLS too, to programs and pages on
	// this machine, since pages cannot accept a self-signed certificate: an IP
	// address of loopback. It needs Dev; "" serves none.
	PlainAddr string

	// What is told to others; "" is made from the listening address.
	TrustedURL   string // registered on chain; wss://127.0.0.1:2000
	UntrustedURL string // of a server that this mode does not have; ws://127.0.0.1:2001
	MuRaURL      string // host:port without scheme; 127.0.0.1:3443

	// Shard is the shard to serve; zero is the measurement.
	Shard [32]byte
	// Dev funds the account from //Alice and, without TrustConfig, takes block
	// 0 of the connected chain as the start of trust, class insecure-dev
	// (RULES 1).
	Dev bool
	// InsecureTrustParentchainRPC believes the node at NodeURL in everything:
	// for development beside nodes that prove nothing. It needs Dev, and is
	// part of the shard's trust config.
	InsecureTrustParentchainRPC bool
	// SkipRA registers with the attestation method Skip, which proves nothing to
	// the parentchain. Without it the worker registers with a quote, which only SGX
	// has: on other platforms it must be set.
	SkipRA bool
	// Attestation is the platform, and the policy for other workers.
	Attestation Attestation
	// CleanReset removes state and light client data (not keys) before the
	// start, except what a guard file protects.
	CleanReset bool
	// ConfirmAll confirms every block, instead of those that concern the shard.
	ConfirmAll bool
	// ConfirmInterval confirms one block in so many as a sign of life; 0 is
	// DefaultConfirmInterval.
	ConfirmInterval uint32
	// PublishInterval has the roots of every block whose number it divides
	// published on the parentchain (RULES 20): a power of two; 0 is
	// DefaultPublishInterval. NoPublications publishes none.
	PublishInterval uint32
	NoPublications  bool
	// ReceiptBlocks is for how many blocks receipts and roots are kept; 0 is
	// DefaultReceiptBlocks.
	ReceiptBlocks uint32
	// BoundGettersOnly refuses signed getters that can be repeated: those in the
	// form of the Rust worker.
	BoundGettersOnly bool
	// RotateKeys has new shielding keys announced when those of the shard are so many
	// blocks old; 0 has them announced only when an operator asks for it.
	RotateKeys uint32
	// RotationOverlap is for how many blocks former keys are accepted beside those
	// that this worker announces; 0 is DefaultRotationOverlap.
	RotationOverlap uint16
	// Instance has other workers of the shard keep this worker's account under this
	// name, and OperatorKey is the account whose signature gives it back; "" and zero
	// have nobody keep it.
	Instance    string
	OperatorKey keyring.AccountID
	// TrustConfig is a JSON file with the trust config of the shard; "" with
	// Dev is block 0 of the connected chain, and an error without.
	TrustConfig string
	// Approvals is a file that the upgrade keys have signed (ocw approve), or a
	// folder with such files *.json, to which some may be added later; "" for none.
	Approvals string
	// SimMeasurement names the simulated measurement; "" is the app's name.
	SimMeasurement string

	// BlockArchive is the folder of the block archive (RULES 27); "" is one in
	// DataDir. NoBlockArchive keeps none.
	BlockArchive   string
	NoBlockArchive bool
	// ArchivePeers are URLs of trusted RPCs of workers, which are asked for blocks
	// that neither the archive nor the node has. They are not believed.
	ArchivePeers []string

	// FastJoin has a worker that replays a long history answer getters meanwhile,
	// from a snapshot of another worker whose roots so many distinct workers of the
	// shard have published on the parentchain; 0 does not. Nothing is confirmed or
	// paid before the replay is done, and it has to come to the same roots. A worker
	// that lacks destroyed keys has no replay: as many, but at least one, and two of
	// three active ones, have to agree on the snapshot with which it begins for good.
	FastJoin int

	// Logger takes the log; nil discards it.
	Logger *slog.Logger

	// opened is told the measurement, once the platform is open; nil for nobody.
	opened func(tee.Measurement)
	// terminal shows the progress of a catch-up; nil has it logged.
	terminal *statusLine
	// fs is what the data folder is on, but for what tee/sim keeps there; nil is
	// the machine's.
	fs store.FS
	// For tests: resubmit shortens resubmitAfter, endpoints the times of comparing
	// them, finalityPoll what prover calls so.
	resubmit     time.Duration
	endpoints    parentchain.Options
	finalityPoll time.Duration

	renewEvidence, depositEvery header.Number // in place of the constants
}

// Kinds of parentchains, for Config.Parentchain.
const (
	Solo = "solo" // a chain with GRANDPA finality of its own
	Para = "para" // a parachain, whose blocks its relay chain makes final
)

// Defaults of Config.
const (
	DefaultTrustedAddr     = "127.0.0.1:2000"
	DefaultMuRaAddr        = "127.0.0.1:3443"
	DefaultHTTPAddr        = "127.0.0.1:4545"
	DefaultConfirmInterval = enclave.DefaultConfirmInterval
	DefaultReceiptBlocks   = enclave.DefaultReceiptBlocks
	// DefaultPublishInterval publishes about once in 25 minutes on a chain of 6 s
	// blocks.
	DefaultPublishInterval = 256
)

// Status is what ocw_status answers: how the worker is doing.
type Status struct {
	App         string            `json:"app"`
	Version     string            `json:"version"`
	Phase       string            `json:"phase"` // what it is at: starting, funding, registering, joining, loading the state, catching up, running, …
	Account     keyring.AccountID `json:"account"`
	Fingerprint tee.Measurement   `json:"fingerprint"`
	MrEnclave   string            `json:"mrenclave"` // fingerprint in hex
	Shard       string            `json:"shard"`     // base58
	Genesis     hashing.Hash      `json:"genesis"`
	// Insecure says in a sentence for each insecure flag of the trust config
	// what it means.
	Insecure []string `json:"insecure,omitempty"`

	// The last committed block.
	Number    header.Number `json:"number"`
	Hash      hashing.Hash  `json:"hash"`
	StateRoot hashing.Hash  `json:"stateRoot"`
	RootsFrom header.Number `json:"rootsFrom"` // the first block whose roots are kept
	// Epoch is the one whose keys operations are to be encrypted to. While that is not
	// known it is the one in the worker's last state.
	Epoch uint32 `json:"epoch"`
	// NextEpoch is what is known of announced keys; nil if there are none.
	NextEpoch *NextEpoch `json:"nextEpoch,omitempty"`
	// Keepers is how many other workers keep this one's account (Config.Instance).
	Keepers int `json:"keepers,omitempty"`
	// Divergences are the workers that publish other roots than this one.
	Divergences []Divergence `json:"divergences,omitempty"`

	Progress  *Progress     `json:"progress,omitempty"` // of a catch-up; nil if there is none
	Joined    *Joined       `json:"joined,omitempty"`   // what getters are answered from meanwhile
	Finalized header.Number `json:"finalized"`          // what the node holds final
	Pending   int           `json:"pending"`            // effects that wait for their proof on the parentchain
	// PendingBlocks is how many blocks ago the oldest of them came about.
	PendingBlocks header.Number `json:"pendingBlocks"`
	// Anybody may ask for the status, so it says what is wrong in constant
	// words only. Errors are in the log.
	HealthCode string    `json:"healthCode"` // "ok", or a word for the first thing that is wrong
	Health     string    `json:"health"`     // "ok", or in a sentence for each thing what is wrong
	Since      time.Time `json:"since"`      // when Phase or Health last changed, by this machine's clock
}
