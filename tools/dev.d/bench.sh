#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# verb: bench NAME [--record] [--tsis N ...]             measure the release daemons: one JSON object (docs/performance.md)
# verb: bench report [--check]                           docs/performance.md and its plots, from what was recorded
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
readonly names="associate activate-latency storm restart memory scaling keepalive control datapath codec nva turnover"
readonly history=docs/performance/history.jsonl

# verb: bench fairness [TSIS [ALTERNATIONS [SAMPLES]]]   attacks at one port, full tables: what the others notice; PASS or FAIL a line
if [ "${1:-}" = fairness ]; then
  [ "$(id -u)" = 0 ] || { echo "tools/dev bench: network namespaces and BPF need root" >&2; exit 1; }
  tools/dev build --preset release nnved tnved vdpctl >&2
  exec tests/netns/isolate.sh tests/bench/fairness.sh build/release "${@:2}"
fi
if [ "${1:-}" = report ]; then exec python3 tools/dev.d/bench_report.py "${@:2}"; fi
case " $names " in
  *" ${1:-none} "*) ;;
  *)
    echo "usage: tools/dev bench NAME [--record] [--tsis N] [--samples N] [--connections N] [--hosts N] [--rounds N]" \
      "[--intervals N]; NAME is one of: $names, or report" >&2
    exit 2 ;;
esac
[ "$(id -u)" = 0 ] || { echo "tools/dev bench: network namespaces and BPF need root" >&2; exit 1; }

arguments=() record=no
for argument in "$@"; do
  if [ "$argument" = --record ]; then record=yes; else arguments+=("$argument"); fi
done

load=$(cut -d' ' -f1 /proc/loadavg)   # what else the machine was doing
# Only the report goes to stdout.
tools/dev build --preset release nnved tnved vdpctl splitnve_bench codec_instructions agent_instructions >&2
status=0
report=$(tests/netns/isolate.sh tests/bench/bench.sh build/release "${arguments[@]}") || status=$?
[ -z "$report" ] || echo "$report"
# One line a run: what was measured, when, of which commit, on what.
if [ "$record" = yes ] && [ "$status" -le 1 ]; then
  mkdir -p "${history%/*}"
  jq -c --arg at "$(date -u +%Y-%m-%dT%H:%MZ)" --arg commit "$(git describe --always --dirty --abbrev=10)" \
    --arg kernel "$(uname -r)" --argjson processors "$(nproc)" --argjson load "$load" \
    '{at: $at, commit: $commit, machine: {processors: $processors, kernel: $kernel, load: $load}} + .' \
    <<<"$report" >>"$history"
fi
exit "$status"
