#!/usr/bin/env bash
# The full simulation: 1,000,000 random operations on five workers, half of them
# on each of two apps, at once in a process each: some 100 minutes of CPU time and
# up to 16 GB of memory. Arguments: a seed (default 4) and a number of operations.
# docs/simulation.md says what it does.
set -euo pipefail
cd "$(dirname "$0")/.."
seed=${1:-4} operations=${2:-1000000}
dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$dir"' EXIT
go test -c -o "$dir/simulation.test" ./internal/enclave/simulation
cd internal/enclave/simulation
half() { # half NAME
  "$dir/simulation.test" -test.run "^TestSimulation\$/^$1\$" -test.v -test.timeout 4h -simulation.seed "$seed" -simulation.operations "$operations" 2>&1 | sed -u "s/^/$1: /"
}
half sample & first=$!
half workbench
wait "$first"
