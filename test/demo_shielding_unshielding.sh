#!/usr/bin/env bash
# Shielding, private transfers and unshielding with the command line client
# against one worker, checking each balance and nonce exactly.
#
#   demo_shielding_unshielding.sh -p NODE_PORT -P WORKER_PORT -t first|second
#       [-u NODE_URL] [-V WORKER_URL] [-C CLIENT]
#
# "first" expects a fresh chain and shard. "second" expects what the first run
# has left, and so shows, on another worker, that both hold the same state.
# Keys of new accounts are kept below the working directory.
#
# WAIT_INTERVAL_SECONDS and WAIT_ROUNDS say how patiently balances are polled.
# TOLERANCE, in planck, allows balances (never nonces) to differ by less than
# that, for workers with other fees.
set -euo pipefail

usage() { sed -n '2,16s/^# \{0,1\}//p' "$0" >&2; exit 2; }

node_url=ws://127.0.0.1 node_port=9944
worker_url=wss://127.0.0.1 worker_port=2000
client=$(dirname "$0")/../bin/integritee-cli
run=
while getopts ':p:P:t:u:V:C:' option; do
  case $option in
    p) node_port=$OPTARG ;;
    P) worker_port=$OPTARG ;;
    u) node_url=$OPTARG ;;
    V) worker_url=$OPTARG ;;
    C) client=$OPTARG ;;
    t) run=$OPTARG ;;
    *) usage ;;
  esac
done
case $run in first | second) ;; *) usage ;; esac
case ${FLAVOR_ID:-offchain-worker} in
  offchain-worker) ;;
  *) echo "FLAVOR_ID=$FLAVOR_ID: only offchain-worker is supported" >&2; exit 2 ;;
esac

interval=${WAIT_INTERVAL_SECONDS:-1}
rounds=${WAIT_ROUNDS:-60}
tolerance=${TOLERANCE:-0}

cli() { "$client" -p "$node_port" -P "$worker_port" -u "$node_url" -U "$worker_url" "$@"; }
trusted() { cli trusted --mrenclave "$mrenclave" "$@"; }
step() { printf '\n* %s\n' "$*"; }

# near A B: whether two amounts are equal, but for the tolerance.
near() {
  local difference=$(($1 > $2 ? $1 - $2 : $2 - $1))
  ((difference == 0 || difference < tolerance))
}

# check GETTER ACCOUNT WANT: polls until the worker answers WANT.
check() {
  local got= round
  for ((round = 0; round < rounds; round++)); do
    got=$(trusted "$1" "$2" 2>/dev/null)
    if [ "$1" = balance ]; then near "$got" "$3" && break; else [ "$got" = "$3" ] && break; fi
    sleep "$interval"
  done
  if ((round == rounds)); then
    echo "FAILED: $1 of $2 is '$got', want $3" >&2
    exit 1
  fi
  echo "  ✔ $1 of $2 is $got"
}

# now GETTER ACCOUNT WANT: the answer must be there at once: a command returns
# only when this worker has executed its block.
now() {
  local got
  got=$(trusted "$1" "$2" 2>/dev/null)
  if [ "$got" != "$3" ]; then
    echo "FAILED: $1 of $2 is '$got' right away, want $3" >&2
    exit 1
  fi
  echo "  ✔ $1 of $2 is $got"
}

unit=$((10 ** 12))
shield=$((6 * unit)) transfer=$((2 * unit)) unshield=$((1 * unit))
shield_fee=$((shield / 571)) transfer_fee=$((unit / 100)) unshield_fee=$((unit / 100 * 3))
small=$((transfer / 10))

"$client" --version
echo "parentchain $node_url:$node_port, worker $worker_url:$worker_port, $run run"

step "workers in the registry"
cli list-workers

mrenclave=$(cli trusted get-fingerprint)
echo "MRENCLAVE $mrenclave"

alice=//AliceIncognito
bob=$(trusted new-account)
step "private accounts: Alice $alice, Bob $bob"
start=0 nonce=0
if [ "$run" = second ]; then
  start=$((shield - shield_fee - transfer - transfer_fee - unshield - unshield_fee)) nonce=2
fi
check balance "$alice" "$start"
check nonce "$alice" "$nonce"

step "shield $shield to Alice"
cli shield-funds //Alice "$alice" "$shield" "$mrenclave"
expected=$((start + shield - shield_fee))
check balance "$alice" "$expected"
check balance "$bob" 0

step "transfer $transfer from Alice to Bob"
trusted transfer "$alice" "$bob" "$transfer"
expected=$((expected - transfer - transfer_fee))
check balance "$alice" "$expected"
check balance "$bob" "$transfer"
now nonce "$alice" $((nonce + 1))

ferdie=$(cli balance //Ferdie)
step "unshield $unshield from Alice to //Ferdie, who has $ferdie on the parentchain"
trusted unshield-funds --enclave-bridge "$alice" //Ferdie "$unshield"
expected=$((expected - unshield - unshield_fee))
check balance "$alice" "$expected"
check balance "$bob" "$transfer"
now nonce "$alice" $((nonce + 2))
paid=
for ((round = 0; round < rounds; round++)); do
  paid=$(($(cli balance //Ferdie) - ferdie))
  ((paid != 0)) && break
  sleep "$interval"
done
[ "$paid" = "$unshield" ] || { echo "FAILED: //Ferdie was paid $paid, want $unshield" >&2; exit 1; }
echo "  ✔ //Ferdie was paid $paid"

charlie=$(trusted new-account)
step "Charlie $charlie; Bob has made no call yet"
now nonce "$bob" 0

step "three transfers of $small from Bob to Charlie"
for n in 1 2 3; do
  trusted transfer "$bob" "$charlie" "$small"
  now nonce "$bob" "$n"
done
now nonce "$bob" 3

step "a transfer of $transfer that Bob cannot pay: the client succeeds, the call fails"
trusted transfer "$bob" "$charlie" "$transfer"
now nonce "$bob" 4

step "another transfer of $small"
trusted transfer "$bob" "$charlie" "$small"
now nonce "$bob" 5

step "in the end"
check balance "$bob" $((transfer - 4 * small - 5 * transfer_fee))
check balance "$charlie" $((4 * small))

printf '\n✔ the %s run passed\n' "$run"
