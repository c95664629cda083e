#!/usr/bin/env bash
# release.sh [COMMIT] [FOLDER]: builds the binaries of a commit twice, in two
# folders with empty caches, refuses if they differ, and writes them into FOLDER
# (default: dist) with measurements.txt: what they are made of, their hashes, and
# the measurement of the worker on each platform that can be computed here.
set -euo pipefail
cd "$(git -C "$(dirname "$0")" rev-parse --show-toplevel)"
commit=$(git rev-parse --verify "${1:-HEAD}^{commit}")
out=${2:-dist}
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

build() { # build NAME: into $work/NAME/bin
  git clone -q --no-checkout . "$work/$1"
  git -C "$work/$1" checkout -q --detach "$commit"
  (cd "$work/$1" && GOCACHE="$work/cache-$1" GOFLAGS= make build >/dev/null)
}
build a
build a-second-time-in-a-longer-folder

for binary in "$work"/a/bin/*; do
  name=$(basename "$binary")
  if ! cmp -s "$binary" "$work/a-second-time-in-a-longer-folder/bin/$name"; then
    echo "$name is another one each time it is built" >&2
    exit 1
  fi
  cp "$binary" "$out/"
done

cd "$out"
{
  echo "commit     $commit"
  echo "toolchain  $(go env GOVERSION) $(go env GOOS)/$(go env GOARCH), CGO_ENABLED=0"
  echo
  sha256sum integritee-service integritee-cli ocw
  echo
  echo "sim        $(./integritee-service mrenclave)   (a name, not the binary)"
  if command -v gramine-manifest >/dev/null && command -v gramine-sgx-sign >/dev/null; then
    gramine-manifest -Dbinary=integritee-service -Dsvn="${SVN:-1}" "$work/a/deploy/gramine/integritee-service.manifest.template" integritee-service.manifest
    gramine-sgx-sign --manifest integritee-service.manifest --output integritee-service.manifest.sgx >"$work/sign.log"
    echo "sgx        $(grep -oE '[0-9a-f]{64}' "$work/sign.log" | head -1)   (MRENCLAVE in hex, $(gramine-manifest --version 2>/dev/null | head -1), ISVSVN ${SVN:-1})"
  else
    echo "sgx        not computed: Gramine's tools are not here"
  fi
  echo "tdx, snp   of the image, not of the binary: docs/hardware.md"
} >measurements.txt
cat measurements.txt
