#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The must-show list of "Speed". One verdict line per item, with its figures; exit 1 if one fails.
# `accept-speed.sh 1 4` runs only those items; RECORD=yes keeps the figures in the history. Give it a quiet machine.
set -euo pipefail
cd "$(dirname "$0")/../.."
logs=build/accept-speed
chosen=" ${*:-1 2 3 4 5 6 7 8 9} "
mkdir -p "$logs"

. tools/dev.d/lib/accept.sh

# bench NAME KEY... -- [OPTION...]: runs it, shows these figures of its report, and takes over its verdict.
bench() {
  local name=$1 keys=() key status=0
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do keys+=("$1"); shift; done
  shift
  tools/dev bench "$name" "$@" ${RECORD:+--record} >"$logs/$name.json" || status=$?
  cat "$logs/$name.json"
  for key in "${keys[@]}"; do
    jq -r --arg key "$key" '.parameters as $p | .figures + .ratios + .baseline | .[$key] |
      "\($key)=\(. // "not measured")" +
      (if $p[$key + "_min"] then " (at least \($p[$key + "_min"]))" elif $p[$key + "_max"] then " (at most \($p[$key + "_max"]))" else "" end)' \
      "$logs/$name.json" >&3
  done
  return "$status"
}

associate() { bench associate activates_per_second ratio_to_wire ratio_to_lldpad lldpad_associations -- --tsis 100000; }
latency() { bench activate-latency p50_us p99_us wire_1500_p50_us --; }
storm() { bench storm recovery_seconds slowest_to_median -- --hosts 1000 --tsis 40; }
memory() { bench memory nnved_bytes_per_tsi tnved_bytes_per_tsi -- --tsis 100000; }
scaling() { bench scaling worst_ratio instructions_ratio -- --tsis 100000 --rounds 7; }
keepalive() { bench keepalive cpu_percent -- --tsis 100000; }
datapath() { bench datapath ratio_to_plain_tcp ratio_to_plain_udp64 ratio_50k_to_10 -- --tsis 50000 --rounds 10; }
codec() { bench codec encode_us decode_us encode_instructions_per_tlv decode_instructions_per_tlv --; }
control() { bench control nnved_show_seconds tnved_show_seconds p99_ratio -- --tsis 100000; }

item 1 "100,000 TSIs associate" associate
item 2 "a single activation" latency
item 3 "1,000 stations come back to a switch that lost everything" storm
item 4 "memory of 100,000 TSIs" memory
item 5 "no TSI costs more among 100,000 than among 10,000" scaling
item 6 "keep-alives of 100,000 TSIs" keepalive
item 7 "traffic through switch, nNVE and VXLAN, beside bridges" datapath
item 8 "codec of a full ECPDU" codec
item 9 "an operator who looks at 100,000 TSIs" control
exit "$failed"
