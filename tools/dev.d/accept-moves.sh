#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The must-show list of "The protocol's missing moves". One verdict line per item; exit 1 if one fails. `accept-moves.sh 1 2`
# runs only those items. Items 3 and 7 take hours.
set -euo pipefail
cd "$(dirname "$0")/../.."
logs=build/accept-moves
chosen=" ${*:-1 2 3 4 5 6 7} "
mkdir -p "$logs"

. tools/dev.d/lib/accept.sh

netns() { tests/netns/isolate.sh "tests/netns/$1.sh" build/release "${@:2}"; }

port_update() {
  tools/dev build nnved tnved vdpctl >/dev/null
  netns port_update 20 | tail_of 'moves='
}
takeover_and_release() {
  tools/dev build nnved tnved vdpctl >/dev/null
  netns moves 20 | tail_of 'takeovers='
}
mutations() { tools/dev mutate | tail_of '^mutate: '; }
simulations() {
  local seed
  for seed in $(seq 50); do
    tools/dev sim --hosts 100 --tsis-per-host 10 --loss 0.3 --duplicate 0.1 --reorder 0.2 --crash-rate 1 --steps 200000 \
      --legacy-share 0.25 --seed "$seed" | tail_of '^sim: (PASS|FAIL)'
  done
  for _ in 1 2 3; do
    tools/dev sim --hosts 1000 --tsis-per-host 40 --loss 0.3 --duplicate 0.1 --reorder 0.2 --crash-rate 1 --steps 1000000 \
      --legacy-share 0.25 --seed "$RANDOM" | tail_of '^sim: (PASS|FAIL)'
  done
}
interop() { tools/dev interop | tail_of 'PASS|FAIL'; }
conformance() { conformance_at_least 66; }
again_and_again() {
  local n busy=()
  for ((n = 0; n < $(nproc); n++)); do
    (while :; do :; done) &
    busy+=($!)
  done
  trap 'kill "${busy[@]}"' EXIT
  for n in 1 2 3 4 5; do tools/dev test --tier ci | tail_of '^tools/dev test'; done
}

item 1 "20 moves between two ports of a segment; impostors move nothing" port_update
item 2 "20 takeovers as the old hypervisor's VMs see them; what is released is back within a second" takeover_and_release
item 3 "no mutation survives" mutations
item 4 "50 simulations of 100 hosts and 3 of 1,000" simulations
item 5 "interop" interop
item 6 "conformance.md: at least 66 done" conformance
item 7 "tests pass five times beside a busy program on each processor" again_and_again
exit "$failed"
