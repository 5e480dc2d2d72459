#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The must-show list of "Safe on a real host". One verdict line per item; exit 1 if one fails. `accept-real-host.sh 1 4` runs
# only those items. CASES=FOLDER also runs reproducers that are kept outside of this repository: FOLDER/{faults,attacks,mission}
# (tools/dev.d/cases.sh). Give it a quiet machine.
set -euo pipefail
cd "$(dirname "$0")/../.."
logs=build/accept-real-host
chosen=" ${*:-1 2 3 4 5 6 7} "
mkdir -p "$logs"

. tools/dev.d/lib/accept.sh

units() {
  tools/dev vm systemd | tail_of '^vm systemd: '
  ctest --test-dir build/release --no-tests=error -V -R '^systemd_units$' | tee /dev/stderr | grep -o 'exposure level.*' >&3
}

# Each kind of fault has a test of ours; the reproducers of others are the second opinion.
kinds() {
  tools/dev build >/dev/null
  local tests='^netns\.(isolation|ownership|hostile|require|segment|kernel_watch|kernel_links|waits|hooks|stalls|store|faults|underlay|refusals|silence|survival)$'
  ctest --test-dir build/release --no-tests=error --output-on-failure -R "$tests" | tail_of 'tests passed'
  [ -z "${CASES:-}" ] || tools/dev.d/cases.sh "$CASES" | tail_of '^cases: '
}

isolation() {
  tools/dev build nnved tnved vdpctl >/dev/null
  tests/netns/isolate.sh tests/netns/isolation.sh build/release | tail_of 'hostile, '
  tests/netns/isolate.sh tests/netns/isolation_requests.sh build/release | tail_of ' cases, '
}

fairness() { tools/dev bench fairness | tee /dev/stderr | grep '^fairness: ' >&3; }

nothing_lost() {
  tools/dev chaos --kills 100 | tail_of 'differences='
  for _ in 1 2 3; do
    tools/dev sim --hosts 1000 --tsis-per-host 40 --loss 0.3 --duplicate 0.1 --reorder 0.2 --crash-rate 1 --steps 1000000 \
      --legacy-share 0.25 --seed "$RANDOM" | tail_of '^sim: (PASS|FAIL)'
  done
  tools/dev fuzz --seconds 300 | tail_of '^fuzz: (PASS|FAIL)'
}

turnover() { tools/dev bench turnover | tee /dev/stderr | jq -c '.ratios' >&3; }

speed() { tools/dev accept speed | tee /dev/stderr | grep -E '^(PASS|FAIL)' >&3; }

item 1 "the units under systemd, as the daemons' own users" units
item 2 "what was found on real hosts, by kind" kinds
item 3 "frames of every seat reach nobody else" isolation
item 4 "full tables and floods at one port, beside an equal load" fairness
item 5 "nothing is lost: 100 kills, three simulations of 1,000 hosts, fuzzers for 300 s" nothing_lost
item 6 "one VM's turnover beside many ports and TSIs" turnover
item 7 "speed" speed
exit "$failed"
