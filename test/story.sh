#!/usr/bin/env bash
# The shell story with three separate processes on free ports: bin/ocw node and
# two bin/integritee-service, driven by bin/integritee-cli. Worker 2 starts
# once worker 1 is initialized; the story runs on worker 1, then on worker 2.
# Needs the binaries (make). Ends what it started, whatever happens.
set -euo pipefail
set -m # each process below leads a group of its own, which ends with it
root=$(cd "$(dirname "$0")/.." && pwd)
bin=${BIN:-$root/bin}
for b in ocw integritee-service integritee-cli; do
  [ -x "$bin/$b" ] || { echo "story: $bin/$b is missing: run make first" >&2; exit 2; }
done

dir=$(mktemp -d)
pids=()
finish() {
  local status=$?
  trap - EXIT INT TERM
  for pid in ${pids[@]+"${pids[@]}"}; do kill -- "-$pid" 2>/dev/null || true; done
  for pid in ${pids[@]+"${pids[@]}"}; do wait "$pid" 2>/dev/null || true; done
  if [ "$status" -ne 0 ]; then
    for log in "$dir"/*.log; do echo "--- end of ${log##*/}" >&2; tail -n 40 "$log" >&2; done
  fi
  rm -rf "$dir"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM
cd "$dir" # the client keeps its accounts here

# free_ports N: a number of which, and of the N-1 that follow, no port is in use.
free_ports() {
  local base port
  for _ in $(seq 100); do
    base=$((20000 + RANDOM % 30000 / 10 * 10))
    for ((port = base; port < base + $1; port++)); do
      if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then continue 2; fi
    done
    echo "$base"
    return
  done
  echo "story: no free ports" >&2
  exit 1
}

# wait_for WHAT LOG COMMAND…: polls until the command succeeds or the process
# that was started last has ended.
wait_for() {
  local what=$1 log=$2
  shift 2
  for _ in $(seq 300); do
    if "$@" >/dev/null 2>&1; then return; fi
    if ! kill -0 "${pids[-1]}" 2>/dev/null; then echo "story: $what has ended" >&2; exit 1; fi
    sleep 0.2
  done
  echo "story: $what does not come up" >&2
  exit 1
}

# http_ok PORT PATH: whether a GET is answered with 200. In a subshell, since a
# refused connection ends the shell that makes it.
http_ok() (
  exec 3<>"/dev/tcp/127.0.0.1/$1"
  printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' "$2" >&3
  read -r _ status _ <&3
  [ "$status" = 200 ]
)

ports=$(free_ports 9)
node_port=$ports

# The flags of node and workers are those of the compose file.
"$bin/ocw" node -lruntime=info -lteerex=debug --dev --rpc-methods unsafe --rpc-external --rpc-port "$node_port" >node.log 2>&1 &
pids+=($!)
wait_for "the node" node.log "$bin/integritee-cli" -p "$node_port" balance //Alice
echo "node: ws://127.0.0.1:$node_port, ready after ${SECONDS}s"

# worker N: starts worker N and waits until it is initialized.
worker() {
  local n=$1 base=$((ports + 4 * $1 - 3))
  "$bin/integritee-service" --clean-reset --data-dir "$dir/worker$n" --ws-external \
    -M 127.0.0.1 -T wss://127.0.0.1 -u ws://127.0.0.1 -U ws://127.0.0.1 \
    -P "$base" -w $((base + 1)) -r $((base + 2)) -h $((base + 3)) -p "$node_port" \
    run --dev --skip-ra >"worker$n.log" 2>&1 &
  pids+=($!)
  wait_for "worker $n" "worker$n.log" http_ok $((base + 3)) /is_initialized
  echo "worker $n: wss://127.0.0.1:$base, initialized after ${SECONDS}s"
}
worker 1
worker 2

# In the background, since bash handles signals between foreground commands only.
story() {
  "$root/test/demo_shielding_unshielding.sh" -C "$bin/integritee-cli" -p "$node_port" -P "$1" -t "$2" &
  pids+=($!)
  wait "${pids[-1]}"
}
story $((ports + 1)) first
echo "first run ended after ${SECONDS}s"
story $((ports + 5)) second
echo
echo "✔ the story passed on both workers in ${SECONDS}s"
