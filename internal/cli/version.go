package cli

import "github.com/offchain-worker/sdk/worker"

// Version is what --version prints: that of the module.
const Version = worker.Version
