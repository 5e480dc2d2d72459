#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The must-show list of "The protocol". One verdict line per item; exit 1 if one fails.
# `accept-protocol.sh 1 4` runs only those items.
set -euo pipefail
cd "$(dirname "$0")/../.."
logs=build/accept-protocol
chosen=" ${*:-1 2 3 4 5 6 7} "
mkdir -p "$logs"

. tools/dev.d/lib/accept.sh

interop() { tools/dev interop | tee /dev/stderr | tail -1 >&3; }

simulation() {
  local started=$SECONDS
  tools/dev sim --hosts 1000 --tsis-per-host 40 --loss 0.3 --duplicate 0.1 --reorder 0.2 --crash-rate 1 --steps 1000000 --legacy-share 0.25 \
    --seed $RANDOM | tee /dev/stderr | tail -1 >&3
  [ $((SECONDS - started)) -lt 300 ]
}

fuzzing() { tools/dev fuzz --seconds 300 | tee /dev/stderr | grep '^fuzz:' >&3; }

lossy() {
  tools/dev sim --hosts 50 --tsis-per-host 40 --loss 0.3 --steps 20000 --flap-rate 0 --operator-rate 0 --hold 300 | tee /dev/stderr | tail -1 >&3
  tools/dev build nnved tnved vdpctl
  tests/netns/isolate.sh tests/netns/lossy.sh build/release | tee /dev/stderr | tail -1 >&3
}

hostile() {
  tools/dev build
  tests/netns/isolate.sh tests/netns/hostile.sh build/release | tee /dev/stderr | tail -1 >&3
}

# E7 is looked at in the captures of the interop run; its last lines say so.
proof_of_support() { tools/dev interop | tee /dev/stderr | grep '^E7' >&3; }

# All rows of groups D, E and G1 to G8 are done; D4 is decided otherwise (RFC 8394: MAY).
conformance() {
  tests/conformance_test.sh
  local left
  left=$(grep -E '^\| (D[0-9]+|E[0-9]+|G[1-8]) \|' docs/conformance.md | grep -vE '^\| D4 ' | grep -vcE '^\| [A-Z0-9]+ \| done ' || true)
  echo "$left rows of D, E, G1-G8 are not done" >&3
  [ "$left" = 0 ]
}

item 1 "interop with lldpad, case by case" interop
item 2 "simulation of 1,000 hosts, extensions in play, a quarter of the peers legacy" simulation
item 3 "fuzzers run 300 s without a crash" fuzzing
item 4 "30 % loss: 2,000 TSIs converge and stay" lossy
item 5 "a hostile peer harms no other" hostile
item 6 "no extension before its proof" proof_of_support
item 7 "conformance.md: D, E and G1 to G8 done" conformance
exit "$failed"
