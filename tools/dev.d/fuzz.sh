#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# verb: fuzz [--seconds N] [--target T]                    libFuzzer on every target (or one), N seconds in all
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
readonly all_targets=(ecp vdp evb auth config control record agent work)
readonly lanes=2   # targets at a time
readonly work=build/fuzz/run

usage() { echo "usage: tools/dev fuzz [--seconds N] [--target $(IFS='|'; echo "${all_targets[*]}")]" >&2; exit 2; }

seconds=60 targets=("${all_targets[@]}")
while [ $# -gt 0 ]; do
  case "$1" in
    --seconds) seconds=${2:-}; shift 2 || usage ;;
    --target) targets=("${2:-}"); shift 2 || usage ;;
    *) usage ;;
  esac
done
[[ "$seconds" =~ ^[1-9][0-9]*$ ]] || usage
[[ " ${all_targets[*]} " == *" ${targets[0]} "* ]] || usage

# Inputs longer than what can arrive teach nothing.
max_len() {
  case "$1" in
    ecp | auth) echo 1600 ;;
    vdp) echo 1496 ;;
    agent | record) echo 2048 ;;
    *) echo 4096 ;;
  esac
}

# One target for some seconds: its corpus is copied, so that what libFuzzer adds stays out of the tree.
run_target() {
  local target=$1 share=$2 folder="$work/$1" flags=()
  rm -rf "$folder"
  mkdir -p "$folder/corpus" "$folder/found"
  cp -r "tests/fuzz/corpus/$target/." "$folder/corpus/"
  [ ! -d "tests/fuzz/crashes/$target" ] || cp -r "tests/fuzz/crashes/$target/." "$folder/corpus/"
  [ ! -e "tests/fuzz/$target.dict" ] || flags+=("-dict=tests/fuzz/$target.dict")
  "build/fuzz/tests/fuzz/${target}_fuzzer" "${flags[@]}" -max_total_time="$share" -max_len="$(max_len "$target")" \
    -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$folder/found/" "$folder/corpus" \
    >"$folder/log" 2>&1 || echo $? >"$folder/failed"
}

stat_of() { sed -n "s/^stat::$2: *//p" "$work/$1/log" | tail -1; }
# cov or ft of libFuzzer's last line that has it.
last_of() { grep -o " $2: [0-9]*" "$work/$1/log" | tail -1 | grep -o '[0-9]*$' || true; }

executions_all=0 crashes_all=0
report() {
  local target=$1 found=0 file
  found=$(find "$work/$target/found" -type f | wc -l)
  if [ -e "$work/$target/failed" ] && [ "$found" = 0 ]; then found=1; fi
  local executions
  executions=$(stat_of "$target" number_of_executed_units)
  printf 'fuzz: target=%-8s executions=%-9s exec/s=%-7s edges=%-6s features=%-7s crashes=%s\n' "$target" "${executions:-0}" \
    "$(stat_of "$target" average_exec_per_sec)" "$(last_of "$target" cov)" "$(last_of "$target" ft)" "$found"
  executions_all=$((executions_all + ${executions:-0})) crashes_all=$((crashes_all + found))
  [ "$found" != 0 ] || return 0
  grep -E 'broken invariant|ERROR: |runtime error|SUMMARY' "$work/$target/log" | head -5 | sed 's/^/  /' || true
  for file in "$work/$target/found"/*; do
    [ -e "$file" ] || { tail -20 "$work/$target/log"; continue; }
    echo "  replay: build/fuzz/tests/fuzz/${target}_fuzzer $file"
    echo "  reduce: build/fuzz/tests/fuzz/${target}_fuzzer -minimize_crash=1 -max_total_time=60 -exact_artifact_path=reduced $file"
    echo "  keep:   cp reduced tests/fuzz/crashes/$target/NAME    (fuzz_replay_$target then replays it as a test)"
  done
}

tools/dev build --preset fuzz fuzzers
# What is started together shares the processors; each target gets its part of the whole.
count=${#targets[@]}
share=$((count < lanes ? seconds : seconds * lanes / count))
[ "$share" -gt 0 ] || share=1
running=0
for target in "${targets[@]}"; do
  run_target "$target" "$share" &
  running=$((running + 1))
  if [ "$running" -ge "$lanes" ]; then wait -n || true; running=$((running - 1)); fi
done
wait
for target in "${targets[@]}"; do report "$target"; done
verdict=PASS
[ "$crashes_all" = 0 ] || verdict=FAIL
echo "fuzz: $verdict targets=$count seconds=$seconds executions=$executions_all crashes=$crashes_all"
[ "$verdict" = PASS ]
