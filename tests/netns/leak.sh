#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# leak.sh BUILD: a netns test killed with SIGKILL half-way leaves no namespace, pin, program, map, process or file.
# Runs outside of isolate.sh: it looks at the machine itself.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${1:?usage: leak.sh BUILD}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

die() { echo "leak: FAIL: $*"; [ ! -s "$scratch/log" ] || tail -40 "$scratch/log"; exit 1; }

# until_true SECONDS WHAT COMMAND...
until_true() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || die "$what"
    sleep 0.05   # between two looks; what counts is the condition
  done
}

# What the machine shows of us: named namespaces, pins, sockets, stores, temporary files.
visible() {
  local folder
  for folder in /run/netns /run/splitnve /var/lib/splitnve /sys/fs/bpf/splitnve; do
    [ ! -e "$folder" ] || find "$folder"
  done
  find / /tmp /run /var/tmp -xdev -maxdepth 1 -name '*splitnve*'
  find / -xdev -name 'splitnve-leak-file' -not -path '/proc/*' 2>/dev/null
}

victim_is_ready() { grep -qx ready "$scratch/report" 2>/dev/null || ! kill -0 "$victim" 2>/dev/null; }
report() { awk -v kind="$1" '$1 == kind { print $2 }' "$scratch/report"; }
processes_of() { local ns; for ns in /proc/[0-9]*/ns/pid; do [ "$(stat -Lc %i "$ns" 2>/dev/null)" != "$1" ] || echo "$ns"; done; }

left() {
  local id
  for id in $(report pidns); do processes_of "$id" | sed 's/^/process /'; done
  for id in $(report netns); do lsns -rn -t net -o NS | grep -x "$id" | sed 's/^/network namespace /'; done
  for id in $(report map); do bpftool map show id "$id" 2>/dev/null | sed 's/^/map /'; done
  for id in $(report program); do bpftool prog show id "$id" 2>/dev/null | sed 's/^/program /'; done
  visible | diff "$scratch/before" - | grep '^[<>]' | sed 's/^/file /'
  return 0
}
nothing_left() { left >"$scratch/left"; [ ! -s "$scratch/left" ]; }

visible >"$scratch/before"
"$here/isolate.sh" "$here/leak_victim.sh" "$build" "$scratch/report" >"$scratch/log" 2>&1 &
victim=$!
until_true 60 "the victim did not get half-way" victim_is_ready
kill -0 "$victim" 2>/dev/null || die "the victim ended by itself"
for kind in netns map program pidns; do
  count=$(report "$kind" | wc -l)
  echo "before SIGKILL: $count of $kind"
  [ "$count" -gt 0 ] || die "the victim had no $kind: this test would prove nothing"
done
[ "$(processes_of "$(report pidns)" | wc -l)" -ge 6 ] || die "the victim's processes cannot be seen from here"

kill -KILL "$victim"
wait "$victim" 2>/dev/null || true
started=$SECONDS
until nothing_left; do
  [ $((SECONDS - started)) -lt 20 ] || die "left behind: $(cat "$scratch/left")"
  sleep 0.05   # the kernel tears namespaces down in the background
done
echo "leak: PASS: nothing left $((SECONDS - started)) s after SIGKILL"
