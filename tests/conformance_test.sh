#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# docs/conformance.md: one row for every requirement id, with the requirement's words, in a known state. Code, tests and
# mutations that a row names exist. What is done names a mutation that takes the feature out; mutations and rows name each
# other, and a mutation of a row runs a test that the row names. What is not done says what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
document=docs/conformance.md
mutations=tests/mutations
status=0
complain() { echo "conformance: $1"; status=1; }

ids() {
  local group count n
  for group in A:17 B:14 C:17 D:13 E:7 F:8 G:8 H:22; do
    count=${group#*:}
    for ((n = 1; n <= count; n++)); do echo "${group%:*}$n"; done
  done | grep -vxE 'H2|H5'   # the field's list has no such items
}

# strip TEXT: `stripped` is it without blanks around it.
strip() {
  stripped=${1#"${1%%[! ]*}"}
  stripped=${stripped%"${stripped##*[! ]}"}
}

check_code() {   # ID COLUMN
  local path
  for path in $2; do
    [[ ! $path =~ \.(cpp|hpp|c|h|sh|service)$ ]] || [ -e "$path" ] || complain "$1: no such code: $path"
  done
}

# tests_of COLUMN: `tests` are its entries `tests/x.cpp: Suite.Name` or `tests/x.sh: a step`, which `;` separates.
tests_of() {
  local entry parts
  tests=()
  IFS=';' read -ra parts <<<"$1"
  for entry in "${parts[@]}"; do
    strip "${entry//\`/}"
    [ -z "$stripped" ] || tests+=("$stripped")
  done
}

check_tests() {   # ID
  local entry file name
  for entry in "${tests[@]}"; do
    file=${entry%%: *} name=${entry#*: }
    if [ "$file" = "$entry" ] || [ ! -f "$file" ]; then complain "$1: no such test file: $entry"; continue; fi
    case "$file" in
      *.cpp) grep -qE "TEST(_F|_P)?\(${name%%.*}, *${name#*.}\)" "$file" || complain "$1: no test $name in $file" ;;
      *) grep -qF -- "$name" "$file" || complain "$1: '$name' does not stand in $file" ;;
    esac
  done
}

# runs COMMAND: does the command of a mutation run one of the row's tests?
runs() {
  local entry file name pattern patterns=() filter=
  [[ ! $1 =~ --gtest_filter=\'?([^\']*) ]] || filter=${BASH_REMATCH[1]}
  IFS=':' read -ra patterns <<<"$filter"
  for entry in "${tests[@]}"; do
    file=${entry%%: *} name=${entry#*: }
    if [[ $file != *.cpp ]]; then
      [[ $1 != *"$file"* ]] || return 0
      continue
    fi
    for pattern in "${patterns[@]}"; do
      # shellcheck disable=SC2053  # the pattern is one
      [[ $name != $pattern ]] || return 0
    done
  done
  return 1
}

declare -A ids_of command_of   # of each mutation: ` C5 C10 `, and what runs its test
for file in "$mutations"/*.mutation; do
  name=$(basename "$file" .mutation) ids_of[$name]="" command_of[$name]="" section=
  while IFS= read -r line; do
    case "$line" in
      '# ids:'*) ids_of[$name]="${line#'# ids:'} " ;;
      '--- '*) section=${line#--- } ;;
      *) [ "$section" != 'test' ] || command_of[$name]+=$line ;;
    esac
  done <"$file"
done

check_mutations() {   # ID STATE MUTATIONS
  local name
  [ "$2" != 'done' ] || [ -n "$3" ] || complain "$1 is done and names no mutation"
  for name in $3; do
    if [ -z "${command_of[$name]:-}" ]; then complain "$1: no such mutation: $name"; continue; fi
    [[ ${ids_of[$name]} == *" $1 "* ]] || complain "$1: the mutation $name does not name it in its ids"
    runs "${command_of[$name]}" || complain "$1: $name runs no test that the row names"
  done
  for name in "${!ids_of[@]}"; do
    [[ ${ids_of[$name]} != *" $1 "* || " $3 " == *" $name "* ]] ||
      complain "$1: the mutation $name names it, the row does not name the mutation"
  done
}

declare -A row_of
while IFS= read -r line; do
  [[ $line =~ ^\|\ *([A-H][0-9]+)\ + ]] || continue
  [ -z "${row_of[${BASH_REMATCH[1]}]:-}" ] || complain "${BASH_REMATCH[1]} has several rows"
  row_of[${BASH_REMATCH[1]}]=$line
done <"$document"

done_count=0
for id in $(ids); do
  [ -n "${row_of[$id]:-}" ] || { complain "$id has no row"; continue; }
  columns=()
  IFS='|' read -ra parts <<<"${row_of[$id]} "
  for part in "${parts[@]}"; do strip "$part"; columns+=("$stripped"); done
  words=${columns[2]} state=${columns[3]} code=${columns[4]} names=${columns[6]:-} missing=${columns[7]:-}
  tests_of "${columns[5]:-}"
  [[ $words == *" "* ]] || complain "$id does not say what is required"
  case "$state" in
    done)
      done_count=$((done_count + 1))
      if [ -z "$code" ] || [ ${#tests[@]} = 0 ]; then complain "$id is done without code or test"; fi ;;
    partial) [ -n "$missing" ] || complain "$id is partial and does not say what is missing" ;;
    absent) ;;
    *) complain "$id: state '$state' is none of done, partial, absent" ;;
  esac
  check_code "$id" "$code"
  check_tests "$id"
  check_mutations "$id" "$state" "$names"
done
known=" $(ids | xargs) "
# shellcheck disable=SC2068  # several ids in one
for id in "${!row_of[@]}" ${ids_of[@]}; do
  [[ $known == *" $id "* ]] || complain "$id is no requirement"
done

echo "conformance: $done_count of $(ids | wc -l) done"
exit "$status"
