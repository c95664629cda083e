#!/usr/bin/env bash
# The full simulation: 1,000,000 random operations on five workers, half of them
# on each of two apps, some 100 minutes of CPU time on two cores. Arguments: a
# seed (default 4) and a number of operations. docs/simulation.md says what it does.
set -euo pipefail
cd "$(dirname "$0")/.."
exec go test ./internal/enclave/simulation -run '^TestSimulation$' -v -timeout 4h -simulation.seed "${1:-4}" -simulation.operations "${2:-1000000}"
