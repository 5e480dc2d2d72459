#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The must-show list of "First light". One verdict line per item; exit 1 if one fails.
# `accept-first-light.sh 2 4` runs only those items.
set -euo pipefail
cd "$(dirname "$0")/../.."
logs=build/accept-first-light
chosen=" ${*:-1 2 3 4 5 6} "
mkdir -p "$logs"

. tools/dev.d/lib/accept.sh

fresh_clone() {
  local started  # `clone` outlives the function: the trap runs after it
  clone=$(mktemp -d)
  trap 'rm -rf "$clone"' EXIT
  git clone -q . "$clone/split-nve"
  cd "$clone/split-nve"
  started=$SECONDS
  tools/dev demo | tee demo.1 | tail -1 | grep -q '^demo: PASS'
  echo "first demo: $((SECONDS - started)) s with the build" >&3
  started=$SECONDS
  tools/dev demo | tail -1 | grep -q '^demo: PASS'
  echo "second demo: $((SECONDS - started)) s" >&3
  [ $((SECONDS - started)) -lt 60 ]
  started=$SECONDS
  .ci/run   # is `tools/dev test`
  echo ".ci/run: $((SECONDS - started)) s" >&3
  [ $((SECONDS - started)) -lt 1200 ]
}

captures_and_tables() {
  local log machine
  log=$(mktemp)
  dev_tests '^(base|ecp|vdp|nnved|tnved)' | tee "$log"
  grep -E '[^0-9]0 tests failed' "$log" >/dev/null
  grep -oE '\[ +OK \] [A-Za-z]*Capture[A-Za-z]*\.[A-Za-z]+' "$log" | sort -u | grep -c . | sed 's/$/ capture tests/' >&3
  grep -qE '\[ +OK \] [A-Za-z]*[Tt]runcat|\[ +OK \] .*(Truncation|Prefix|Truncated|CutOff)' "$log"
  # `NAME cells=S*E covered=N`: every table is covered, and none of the machines is missing.
  sed -nE 's/.*[^A-Za-z]([A-Za-z :_-]+) cells=([0-9]+)\*([0-9]+) covered=([0-9]+).*/\1|\2|\3|\4/p' "$log" |
    while IFS='|' read -r name states events covered; do
      echo "${name##* } cells=$states*$events"
      [ $((states * events)) = "$covered" ] || { echo "$name is not covered"; exit 1; }
    done | sort -u >"$log.cells"
  cat "$log.cells" >&3
  for machine in transmitter receiver station bridge vap tsi; do
    grep -i "$machine" "$log.cells" || { echo "no table of the $machine machine" >&3; return 1; }
  done
  rm -f "$log" "$log.cells"
}

simulation() {
  local log
  log=$(mktemp)
  dev_tests '^sim' | tee "$log"
  local seeds
  seeds=$(grep -cE '\[ +OK \] Seeds/Simulation\.TenHosts' "$log")
  echo "$seeds seeds" >&3
  [ "$seeds" -ge 20 ]
  rm -f "$log"
}

layering() { tests/layering_test.sh | tee /dev/fd/3; }

leak() {
  tools/dev build nnved tnved vdpctl
  tests/netns/leak.sh build/release | tee >(tail -1 >&3)
}

conformance() { conformance_at_least 30; }

item 1 "fresh clone: demo twice, tools/dev test, .ci/run under 20 minutes" fresh_clone
item 2 "captures decode and re-encode, truncation is located, state x event tables are covered" captures_and_tables
item 3 "10 hosts on 2 switches with 20 % loss end with equal views for 20 seeds" simulation
item 4 "libecp, libvdp and the agents are pure" layering
item 5 "SIGKILL of a netns test leaves nothing" leak
item 6 "conformance.md: a row for every id, at least 30 done" conformance
exit "$failed"
