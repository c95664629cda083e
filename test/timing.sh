#!/usr/bin/env bash
# Looks for differences in time between ciphertexts that are refused for different
# reasons (docs/envelopes.md). Takes some minutes, and a machine that is not busy.
set -euo pipefail
cd "$(dirname "$0")/.."
exec go run ./internal/bench/timing "$@"
