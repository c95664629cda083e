package worker

import (
	"io"

	"github.com/offchain-worker/sdk/stf"
)

// Version is the version that system_version reports.
const Version = "0.1.0"

// Main is the program of a worker with the given app: it reads args (without
// the program's name), runs the subcommand and returns the exit code: 0 on
// success, 1 on failure, 2 on a usage error. An interrupt or SIGTERM ends the
// worker in order.
func Main(app *stf.App, args []string, stdout, stderr io.Writer) int { return 1 }
