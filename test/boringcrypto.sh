#!/usr/bin/env bash
# Measures the catch-up of two builds of ocw in turns: the default one, and one
# whose crypto is BoringCrypto (GOEXPERIMENT=boringcrypto, which needs cgo and
# Linux on amd64 or arm64). Prints a table for docs/benchmarks.md. TURNS is how
# often each has its turn (default 5); arguments go to ocw bench.
set -euo pipefail
cd "$(dirname "$0")/.."
turns=${TURNS:-5}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/stores"

CGO_ENABLED=0 go build -trimpath -o "$dir/default" ./cmd/ocw
GOEXPERIMENT=boringcrypto CGO_ENABLED=1 go build -trimpath -o "$dir/boringcrypto" ./cmd/ocw
go version -m "$dir/boringcrypto" | grep -q 'GOEXPERIMENT=boringcrypto' || { echo "the second build is not of BoringCrypto" >&2; exit 1; }

measure() { # measure BUILD: a line "invocations/s decryptions/s" more
  local number='([0-9.e+]+)' line
  line=$("$dir/$1" bench --json --dir "$dir/stores" "${@:2}" catchup | sed -nE "s/.*\"value\":$number.*\"baseline\":$number.*/\1 \2/p")
  [ -n "$line" ] || { echo "$1: no result" >&2; exit 1; }
  echo "$line" >>"$dir/$1.txt"
}
for ((i = 0; i < turns; i++)); do
  order=(default boringcrypto)
  if ((i % 2)); then order=(boringcrypto default); fi
  for build in "${order[@]}"; do measure "$build" "$@"; done
done

median() { sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
row() { # row NAME COLUMN
  local a b ratio
  a=$(awk -v c="$2" '{ print $c }' "$dir/default.txt" | median)
  b=$(awk -v c="$2" '{ print $c }' "$dir/boringcrypto.txt" | median)
  ratio=$(paste -d ' ' "$dir/default.txt" "$dir/boringcrypto.txt" | awk -v c="$2" '{ print $(c + 2) / $c }' | median)
  awk -v n="$1" -v a="$a" -v b="$b" -v r="$ratio" 'BEGIN { printf "| %s | %.0f | %.0f | %.3f |\n", n, a, b, r }'
}
share() { awk '{ print $1 / $2 }' "$dir/$1.txt" | median; }
echo "$(go version | cut -d ' ' -f 3,4), $(nproc) CPUs, $(date -u +%F), medians of $turns turns${*:+, $*}"
echo
echo "| | default | boringcrypto | ratio |"
echo "|---|---|---|---|"
row "bare RSA-3072 decryptions/s" 2
row "catchup, invocations/s" 1
awk -v a="$(share default)" -v b="$(share boringcrypto)" 'BEGIN { printf "| catchup against bare decryptions | %.3f | %.3f | |\n", a, b }'
