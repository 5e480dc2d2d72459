#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# agent_instructions.sh PROGRAM FEW MANY [RATIO_MAX]: instructions per TSI of both agents together, by callgrind, for MANY
# TSIs and for FEW. One KEY=NUMBER a line; with a bound it fails if a ratio is beyond it.
set -euo pipefail
program=${1:?usage: agent_instructions.sh PROGRAM FEW MANY [RATIO_MAX]}
few=${2:?} many=${3:?}
readonly operations="associate lookup keepalive removal"
command -v valgrind >/dev/null || { echo "agent_instructions: valgrind is missing (apt-get install valgrind)" >&2; exit 1; }
dumps=$(mktemp -d)
trap 'rm -rf "$dumps"' EXIT

count() {   # TSIS
  valgrind --tool=callgrind --callgrind-out-file="$dumps/$1" "$program" "$1" >"$dumps/$1.log" 2>&1 ||
    { cat "$dumps/$1.log" >&2; exit 1; }
}
# A keep-alive may be early, so that more or fewer than all fall into the interval: over what was done.
each() {   # OPERATION TSIS
  local dump count_done
  dump=$(grep -lE "Client Request: $1\$" "$dumps/$2".* | head -1)
  count_done=$(sed -nE "s/^$1 ([0-9]+)$/\1/p" "$dumps/$2.log")
  echo $(($(sed -nE 's/^(totals|summary): ([0-9]+).*/\2/p' "$dump" | head -1) / count_done))
}

count "$few" &
count "$many"
wait $!
status=0
for operation in $operations; do
  of_few=$(each "$operation" "$few")
  of_many=$(each "$operation" "$many")
  ratio=$(awk -v a="$of_many" -v b="$of_few" 'BEGIN { printf "%.3f", a / b }')
  echo "${operation}_instructions=$of_many"
  echo "${operation}_instructions_few=$of_few"
  echo "${operation}_instructions_ratio=$ratio"
  if [ -n "${4:-}" ] && awk -v r="$ratio" -v max="$4" 'BEGIN { exit !(r > max) }'; then
    echo "agent_instructions: $operation takes $of_many per TSI at $many and $of_few at $few: more than $4 times" >&2
    status=1
  fi
done
exit "$status"
