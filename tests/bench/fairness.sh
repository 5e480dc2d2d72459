#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# fairness.sh BUILD [TSIS [ALTERNATIONS [SAMPLES]]]: run inside tests/netns/isolate.sh. One port fills the tables and attacks,
# another measures: the acknowledgement of its ECPDUs against the same load into an interface that nobody reads, its TSIs, what it can
# still get, and what a hostile frame costs. One line per attack; exit 1 if a bound is missed.
#
#   hostile a0 --- p1 sw1 p2 --- g0 good        hostile c0 --- c1 (nobody)
set -euo pipefail
folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/netns/lib.sh
. "$folder/../netns/lib.sh"
netns_begin "${1:?usage: fairness.sh BUILD [TSIS [ALTERNATIONS [SAMPLES]]]}"
tsis=${2:-262144}

ns_add sw1 hostile good
link hostile a0 sw1 p1
link hostile c0 sw1 c1
link good g0 sw1 p2
config sw1 <<JSON
{ "role": "nnved", "instance": "sw1", $(paths_json sw1), "log_level": "error",
  "ecp": {"retries": 3, "rte": 14}, "vdp": {"rwd": 20, "rka": 24}, "limits": {"instances": $tsis},
  "ports": [{"interface": "p1", "vids": "100-199"}, {"interface": "p2", "vids": "200-299"}],
  "vns": [{ "id": 70001, "alias": "blue" }, { "id": 70002, "alias": "red" }] }
JSON
daemon_start sw1 sw1 nnved
trap - ERR
status=0
python3 "$folder/fairness.py" --pid "$(pid_of sw1)" --vdpctl "$vdpctl" --socket "$(socket_of sw1)" --tsis "$tsis" \
  --alternations "${3:-5}" --samples "${4:-100}" || status=$?
exit "$status"
