#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# docs/conformance.md: one row for every requirement id, in a known state; what is done names code that exists and a test
# that exists, and so does what is partial if it names any. A test is `file: name`; the name must stand in the file.
set -euo pipefail
cd "$(dirname "$0")/.."
document=docs/conformance.md
status=0
complain() { echo "conformance: $1"; status=1; }

ids() {
  local group count n
  for group in A:15 B:14 C:16 D:13 E:7 F:7 G:8 H:22; do
    count=${group#*:}
    for ((n = 1; n <= count; n++)); do echo "${group%:*}$n"; done
  done | grep -vxE 'H2|H5|H20'   # the field's list has no such items
}

row() { grep -E "^\| *$1 +\|" "$document" || true; }
column() { awk -F'|' -v n="$2" '{ gsub(/^ +| +$/, "", $n); print $n }' <<<"$1"; }

check_code() {   # ID COLUMN
  local path
  for path in $(grep -oE '[A-Za-z0-9_./-]+\.(cpp|hpp|c|h|sh|service)' <<<"$2"); do
    [ -e "$path" ] || complain "$1: no such code: $path"
  done
}

check_tests() {   # ID COLUMN: `tests/x.cpp: Suite.Name` or `tests/x.sh: a step`, separated by `;`
  local entry file name
  while read -r entry; do
    [ -n "$entry" ] || continue
    file=${entry%%: *} name=${entry#*: }
    if [ "$file" = "$entry" ] || [ ! -f "$file" ]; then complain "$1: no such test file: $entry"; continue; fi
    case "$file" in
      *.cpp) grep -qE "TEST(_F|_P)?\(${name%%.*}, *${name#*.}\)" "$file" || complain "$1: no test $name in $file" ;;
      *) grep -qF -- "$name" "$file" || complain "$1: '$name' does not stand in $file" ;;
    esac
  done < <(tr ';' '\n' <<<"$2" | sed -E 's/^ +| +$|`//g')
}

done_count=0
for id in $(ids); do
  row=$(row "$id")
  [ -n "$row" ] || { complain "$id has no row"; continue; }
  [ "$(wc -l <<<"$row")" = 1 ] || { complain "$id has several rows"; continue; }
  state=$(column "$row" 3) code=$(column "$row" 4) tests=$(column "$row" 5)
  case "$state" in
    done)
      done_count=$((done_count + 1))
      [ -n "$code" ] && [ -n "$tests" ] || complain "$id is done without code or test" ;;
    partial | absent) ;;
    *) complain "$id: state '$state' is none of done, partial, absent" ;;
  esac
  check_code "$id" "$code"
  check_tests "$id" "$tests"
done
while read -r id; do
  ids | grep -qx "$id" || complain "$id is no requirement"
done < <(grep -oE '^\| *[A-H][0-9]+ ' "$document" | tr -d '| ')

echo "conformance: $done_count of $(ids | wc -l) done"
exit "$status"
