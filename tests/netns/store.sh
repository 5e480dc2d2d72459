#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# store.sh BUILD: a store with flipped bits, and a configuration that has lost a VN. Nothing is half believed, nothing that
# only has no place is lost.
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
netns_begin "${1:?usage: store.sh BUILD}"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
# shellcheck source=tests/netns/small.sh
. "$netns_folder/small.sh"
timing='"ecp":{"retries":3,"rte":10},"vdp":{"rwd":20,"rka":22}'   # nobody tells anything anew within this test
logged() { grep -q "$2" "$work/$1.log"; }
row_of() { ctl_json sw1 tsi show | jq -c --arg vsi "$(vsi_of "$1")" '[.[] | select(.vsi == $vsi)][0] | [.state, .vid, (.addresses | length)]'; }

step "Two hypervisors, TSIs in two VNs, a VN out of service"
hypervisors 2
for vm in blue1 blue4 red1; do run_vm "$vm" hv1; done
ctl sw1 vn disconnect --port p2 --vn red --reason "moving" >/dev/null
red=$(row_of red1) blue=$(row_of blue1)
for hv in hv1 hv2; do daemon_kill "$hv" KILL; done

step "The file loses VN red: its TSI is held and shown, the others go on"
daemon_kill sw1
cp /run/splitnve/sw1.db /run/good.db
cp "$work/sw1.json" "$work/whole.json"
jq '.vns |= map(select(.alias != "red"))' "$work/whole.json" >"$work/sw1.json"
daemon_start sw1 sw1 nnved
expect "red1" "$(row_of red1 | jq -r '.[0]')" held
expect "blue1" "$(row_of blue1)" "$blue"
logged sw1 nnved.record_held || fail "the log does not say so"
ctl sw1 audit >/dev/null || fail "audit: $(ctl sw1 audit)"
daemon_kill sw1 KILL
daemon_start sw1 sw1 nnved
expect "red1 after one more start" "$(row_of red1 | jq -r '.[0]')" held

step "Red is back in the file: so is its TSI, with its tag"
daemon_kill sw1
cp "$work/whole.json" "$work/sw1.json"
daemon_start sw1 sw1 nnved
expect "red1" "$(row_of red1)" "$red"
expect "blue1" "$(row_of blue1)" "$blue"
ctl sw1 audit >/dev/null || fail "audit: $(ctl sw1 audit)"
daemon_kill sw1

step "One bit of each record flips: none is believed, each is named"
flip() {   # KEY: the last bit of the record's value
  python3 - "$1" <<'PY'
import sqlite3, sys
store = sqlite3.connect("/run/splitnve/sw1.db")
key = int(sys.argv[1])
value = bytearray(store.execute("select value from records where key = ?", (key,)).fetchone()[0])
value[len(value) // 2] ^= 1
store.execute("update records set value = ? where key = ?", (bytes(value), key))
store.commit()
PY
}
records=$(python3 -c 'import sqlite3; print(*[k for k, in sqlite3.connect("/run/good.db").execute("select key from records")])')
for key in $records; do
  rm -f /run/splitnve/sw1.db*
  cp /run/good.db /run/splitnve/sw1.db
  flip "$key"
  : >"$work/sw1.log"
  daemon_start sw1 sw1 nnved
  logged sw1 'store.record_damaged' || fail "record $key was believed"
  logged sw1 'store.restored records=[0-9]* unreadable=1' || fail "record $key is not counted"
  daemon_kill sw1
done
say "$(wc -w <<<"$records") records"
step_end
echo "PASS: a stored record is whole, held, or gone and named"
