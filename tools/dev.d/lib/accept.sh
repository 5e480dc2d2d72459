# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0
# Sourced by tools/dev.d/accept-NAME.sh: runs the items of a must-show list. `$chosen` holds the wanted item numbers
# between spaces, `$logs` the folder of their logs; `$failed` becomes 1 if one fails.
failed=0

# item N TEXT FUNCTION: runs FUNCTION with its output in a log; FUNCTION prints its evidence on descriptor 3.
item() {
  local n=$1 text=$2 log="$logs/$1.log" evidence status=0
  [[ $chosen == *" $n "* ]] || return 0
  # A subshell with errexit of its own: `status=$?` behind || would switch it off inside.
  set +e
  evidence=$( (set -e; "$3") 3>&1 >"$log" 2>&1)
  status=$?
  set -e
  if [ "$status" = 0 ]; then
    echo "PASS $n: $text ($(paste -sd';' <<<"$evidence" | sed 's/;/; /g'))"
  else
    echo "FAIL $n: $text (${evidence:+$evidence; }see $log)"
    failed=1
  fi
}

# tail_of PATTERN: the output, whole in the log, and its last line with the pattern as evidence.
tail_of() {
  tee /dev/stderr >"$logs/out"
  grep -E "$1" "$logs/out" | tail -1 >&3
}

# Runs ctest of the dev build for a regular expression, verbosely.
dev_tests() {
  tools/dev build --preset dev >/dev/null
  ctest --test-dir build/dev --no-tests=error -V -R "$1"
}

# conformance_at_least N: N ids are done, each with a test that exists.
conformance_at_least() {
  local line
  line=$(tests/conformance_test.sh)
  echo "$line" >&3
  [ "$(sed -nE 's/^conformance: ([0-9]+) of.*/\1/p' <<<"$line")" -ge "$1" ]
}
