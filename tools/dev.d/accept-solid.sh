#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The must-show list of "Solid ground". One verdict line per item; exit 1 if one fails.
# `accept-solid.sh 1 4` runs only those items.
set -euo pipefail
cd "$(dirname "$0")/../.."
logs=build/accept-solid
chosen=" ${*:-1 2 3 4 5 6 7 8} "
mkdir -p "$logs"

. tools/dev.d/lib/accept.sh

simulation() {
  local started
  tools/dev build splitnve-sim
  started=$SECONDS
  tools/dev sim --hosts 100 --tsis-per-host 50 --loss 0.2 --duplicate 0.1 --reorder 0.1 --crash-rate 1 --steps 200000 --seeds 20
  echo "20 seeds in $((SECONDS - started)) s" >&3
  [ $((SECONDS - started)) -lt 300 ]
}

fuzzing() { tools/dev fuzz --seconds 300 | tee /dev/stderr | grep '^fuzz:' >&3; }

chaos() {
  local line
  line=$(tools/dev chaos --kills 100 | tee /dev/stderr | tail -1)
  echo "$line" >&3
  [[ $line == "chaos: kills=100 "*" differences=0 vids_changed=0 frames_lost=0" ]]
}

# figure BENCH KEY COMPARISON BOUND: a bench's figure, against its bound.
figure() {
  local value
  value=$(jq -r ".figures.$2" "$logs/$1.json")
  echo "$2=$value" >&3
  awk -v value="$value" -v bound="$4" "BEGIN { exit !(value $3 bound) }"
}

benches() {
  local name
  # The benches' own targets are those of accept-speed.sh: missing one (exit 1) is no failure here.
  for name in associate memory restart activate-latency; do
    tools/dev bench "$name" --tsis "$([ "$name" = activate-latency ] && echo 1000 || echo 20000)" >"$logs/$name.json" || [ $? = 1 ]
  done
  figure associate activates_per_second '>=' 20000
  figure memory nnved_bytes_per_tsi '<=' 1024
  figure memory tnved_bytes_per_tsi '<=' 1024
  figure restart restart_seconds '<=' 1
  figure activate-latency p50_us '>' 0
  figure activate-latency p99_us '>' 0
  jq -r '.baseline | to_entries[] | "raw \(.key)=\(.value)"' "$logs/activate-latency.json" >&3
}

survival() {
  tools/dev build nnved tnved vdpctl
  tests/netns/isolate.sh tests/netns/survival.sh build/release full | tee /dev/stderr | tail -1 >&3
}

cycles() {
  tools/dev build nnved tnved vdpctl
  tests/netns/isolate.sh tests/netns/cycles.sh build/release 10000 | tee /dev/stderr | grep '^cycles:' >&3
}

fresh_ci() {
  local started  # `clone` outlives the function: the trap runs after it
  clone=$(mktemp -d)
  trap 'rm -rf "$clone"' EXIT
  git clone -q . "$clone/split-nve"
  cd "$clone/split-nve"
  started=$SECONDS
  CCACHE_DISABLE=1 .ci/run
  echo ".ci/run without a compiler cache: $((SECONDS - started)) s" >&3
  [ $((SECONDS - started)) -lt 1500 ]
  started=$SECONDS
  tools/dev test --tier quick
  echo "quick tier: $((SECONDS - started)) s" >&3
  [ $((SECONDS - started)) -lt 240 ]
}

conformance() { conformance_at_least 50; }

item 1 "simulation of 100 hosts, 20 seeds, under 5 minutes" simulation
item 2 "fuzzers run 300 s without a crash" fuzzing
item 3 "100 kills of either daemon under load" chaos
item 4 "benches: associate, memory, restart, latency" benches
item 5 "stopped daemons and flapping links lose nothing of an established TSI" survival
item 6 "10,000 create/remove cycles leave nothing" cycles
item 7 ".ci/run under 25 minutes, the quick tier under 4" fresh_ci
item 8 "conformance.md: at least 50 done" conformance
exit "$failed"
