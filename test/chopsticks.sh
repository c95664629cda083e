#!/usr/bin/env bash
# The whole story beside chopsticks, with the real pallets: register with Skip,
# shield, transfer, confirm, unshield. See docs/chopsticks.md. Nothing is
# downloaded here:
#   OCW_TEST_CHOPSTICKS  folder in which "npm install" has put chopsticks 1.5.1
#   OCW_TEST_SPEC        the chain spec integritee-paseo.json
# Without them it says so and exits 0.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -z "${OCW_TEST_CHOPSTICKS:-}" ] || [ -z "${OCW_TEST_SPEC:-}" ]; then
  echo "skipped: OCW_TEST_CHOPSTICKS and OCW_TEST_SPEC name no chopsticks and no chain spec (docs/chopsticks.md)"
  exit 0
fi
port=${OCW_TEST_PORT:-8113}
work=$(mktemp -d)
pids=()
cleanup() {
  for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done
  wait
  rm -rf "$work"
}
trap cleanup EXIT
fail() {
  echo "FAILED: $*" >&2
  tail -n 20 "$work"/*.log >&2
  exit 1
}
until_true() { # until_true WHAT COMMAND…: within a minute
  local what=$1
  shift
  for _ in $(seq 120); do
    if "$@" >"$work/out" 2>&1; then return; fi
    sleep 0.5
  done
  fail "$what"
}

go build -o "$work/" ./cmd/integritee-service ./cmd/integritee-cli

node "$OCW_TEST_CHOPSTICKS/node_modules/.bin/chopsticks" --chain-spec "$OCW_TEST_SPEC" --host 127.0.0.1 --port "$port" \
  --build-block-mode Instant >"$work/chopsticks.log" 2>&1 &
pids+=($!)
until_true "chopsticks does not start" grep -q "RPC listening on http://127.0.0.1:$port " "$work/chopsticks.log"
curl -sf -H 'content-type: application/json' "http://127.0.0.1:$port" -o /dev/null -d '{"jsonrpc":"2.0","id":1,"method":"dev_setStorage","params":[{
  "System":{"Account":[[["5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"],{"providers":1,"data":{"free":"1000000000000000000"}}]]},
  "Teerex":{"AllowSkippingAttestation":true}}]}'

"$work/integritee-service" -u ws://127.0.0.1 -p "$port" -d "$work/worker" -P 2313 -r 3753 -h 4855 --sim-measurement chopsticks-trial \
  run --dev --skip-ra --insecure-trust-parentchain-rpc >"$work/mrenclave" 2>"$work/worker.log" &
pids+=($!)
until_true "the worker is not ready" curl -sf -o /dev/null http://127.0.0.1:4855/is_initialized

export INTEGRITEE_CLI_POLICY=insecure-dev
cli() { timeout 120 "$work/integritee-cli" -u ws://127.0.0.1 -p "$port" -U wss://127.0.0.1 -P 2313 "$@" 2>>"$work/cli.log"; }
mrenclave=$(sed -n 's/^MRENCLAVE=//p' "$work/mrenclave")
trusted() { cli trusted --mrenclave "$mrenclave" "$@"; }
equal() { [ "$2" = "$3" ] || fail "$1: $2, want $3"; }

cli --require-success shield-funds //Alice //AliceIncognito 6000000000000 "$mrenclave" >/dev/null || fail "shielding"
equal "shielded less the fee of 1/571" "$(trusted balance //AliceIncognito)" 5989492119090
trusted --require-success transfer //AliceIncognito //BobIncognito 2000000000000 >/dev/null || fail "transfer"
equal "transferred" "$(trusted balance //BobIncognito)" 2000000000000
trusted --require-success unshield-funds --enclave-bridge //AliceIncognito //Ferdie 1000000000000 >/dev/null || fail "unshielding"
paid() { [ "$(cli balance //Ferdie)" = 1000000000000 ]; }
until_true "the payout does not come" paid
equal "after transfer, unshielding and fees" "$(trusted balance //AliceIncognito)" 2949492119090
echo "chopsticks: registered, shielded, transferred, confirmed and paid out on the real pallets"
