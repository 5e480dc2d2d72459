#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# frame_work.sh PROGRAM FEW MANY RATIO_MAX INSTRUCTIONS_MAX FOLDER...: instructions of each frame by callgrind, beside FEW and
# beside MANY TSIs of others: none takes RATIO_MAX times more, none more than INSTRUCTIONS_MAX.
set -euo pipefail
program=${1:?usage: frame_work.sh PROGRAM FEW MANY RATIO_MAX INSTRUCTIONS_MAX FOLDER...}
few=$2 many=$3 ratio_max=$4 most=$5
shift 5
command -v valgrind >/dev/null || { echo "frame_work: valgrind is missing (apt-get install valgrind)" >&2; exit 1; }
dumps=$(mktemp -d)
trap 'rm -rf "$dumps"' EXIT
count() {
  valgrind --tool=callgrind --callgrind-out-file="$dumps/$1" "$program" "$@" >"$dumps/$1.log" 2>&1 || { tail -5 "$dumps/$1.log" >&2; exit 1; }
  local dump
  for dump in "$dumps/$1".*; do
    sed -nE 's/^desc: Trigger: Client Request: (.*)$/\1/p; s/^(totals|summary): ([0-9]+).*/\2/p' "$dump" | paste -sd' ' | awk 'NF >= 2 { print $1, $NF }'
  done | sort -u >"$dumps/of-$1"
}
count "$few" "$@" &
count "$many" "$@"
wait $!
join "$dumps/of-$few" "$dumps/of-$many" | awk -v ratio="$ratio_max" -v most="$most" -v few="$few" -v many="$many" '
  { n++; r = $3 / ($2 > 5000 ? $2 : 5000)   # what takes so little may double
    if (r > worst) { worst = r; what = $1 }
    if ($3 > top) { top = $3; heaviest = $1 }
    if (r > ratio) { print "frame_work: " $1 " takes " $3 " instructions beside " many " TSIs and " $2 " beside " few; bad = 1 }
    if ($3 > most) { print "frame_work: " $1 " takes " $3 " instructions, more than " most; bad = 1 } }
  END { printf "frame_work: frames=%d worst_ratio=%.2f (%s) most_instructions=%d (%s)\n", n, worst, what, top, heaviest
        exit bad || n < 50 }'
