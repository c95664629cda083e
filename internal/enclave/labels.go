package enclave

// Domain labels: what is hashed or derived in this package starts with one of
// them, so that bytes made for one purpose mean nothing for another. The end
// of each is the version of its format. A test checks that no two labels of
// the whole module collide.
const (
	labelKeyMaterial    = "ocw/key-material/1"
	labelPRFState       = "ocw/prf/state-commitment/1"
	labelPRFApp         = "ocw/prf/app/1"
	labelEnclaveAccount = "ocw/prf/enclave-account/1"
	labelHybridKey      = "ocw/prf/hybrid-key/1"
	labelShardAccount   = "ocw/prf/shard-account/1"
	labelEpochTag       = "ocw/prf/epoch-tag/1"
	labelEscrow         = "ocw/prf/escrow/1"
	labelRootHash       = "ocw/prf/root-hash/1"
	labelClaim          = "ocw/shard-keys/1"
)
