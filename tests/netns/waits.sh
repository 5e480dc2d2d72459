#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# waits.sh BUILD: nobody who does not read, and no full disk, makes a daemon wait or lie: the log's reader, clients of the
# control socket, the store. What it says of itself is in the audit file.
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
netns_begin "${1:?usage: waits.sh BUILD}"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
# shellcheck source=tests/netns/small.sh
. "$netns_folder/small.sh"
timing='"ecp":{"retries":3,"rte":10},"vdp":{"rwd":18,"rka":17}'
audit_of() { echo "/run/splitnve/$1.audit"; }
# audited INSTANCE FILTER: how many records of the audit file pass.
audited() { jq -s "[.[] | select($2)] | length" "$(audit_of "$1")"; }
audited_at_least() { [ "$(audited "$1" "$2")" -ge "$3" ]; }
lines_are_lost() { [ "$(counter sw1 log lost)" -gt 0 ]; }
fails_with() { ! "${@:2}" >"$work/verdict" 2>&1 && grep -qE "$1" "$work/verdict"; }

step "A switch whose stderr nobody reads, two hypervisors"
ns_add sw1 hv1 hv2
for n in 1 2; do link "hv$n" up0 sw1 "p$n"; hypervisor_config "hv$n"; done
# Room for all that the log of the store gathers here, which is still growing when the disk is filled.
mkdir /run/store
mount -t tmpfs -o size=8m tmpfs /run/store
sed -i 's|/run/splitnve/hv1.db|/run/store/hv1.db|' "$work/hv1.json"
switch sw1 "$(port p1 100-199),$(port p2 200-299)"
for n in 1 2; do daemon_start "hv$n" "hv$n" tnved; done   # before the pipe, which they would inherit
mkfifo "$work/stderr"
exec 9<>"$work/stderr"   # holds it open, and reads nothing
(trap - ERR; exec nsenter --net=/run/netns/sw1 "$build/src/nnved/nnved" --config "$work/sw1.json" 2>"$work/stderr" 9>&-) &
echo $! >"$work/sw1.pid"
disown "$!"
wait_for 10 "sw1 serves" ctl sw1 stats show
run_vm blue1 hv1
run_vm blue2 hv2
pings blue1 10.0.0.2

step "A hundred thousand octets for the log are written by nobody's patience"
for _ in $(seq 150); do
  ctl hv1 tsi suspend "$(vsi_of blue1)" >/dev/null
  ctl hv1 tsi resume "$(vsi_of blue1)" >/dev/null
done
pings blue1 10.0.0.2
wait_for 5 "the audit file has every transition" audited_at_least sw1 '.event == "transition" and .machine == "tsi" and .to == "Activated"' 152
expect "gaps in the audit file" "$(jq -s 'map(.n) | . == [range(1; length + 1)]' "$(audit_of sw1)")" true
expect "losses of the audit file" "$(counter sw1 audit lost)" 0

step "The reader ends, and signals come by habit: the switch goes on"
exec 9<&-
rm "$work/stderr"
for signal in HUP USR1 USR2 PIPE; do
  kill "-$signal" "$(pid_of sw1)"
  kill "-$signal" "$(pid_of hv1)"
done
ctl hv1 tsi suspend "$(vsi_of blue1)" >/dev/null
ctl hv1 tsi resume "$(vsi_of blue1)" >/dev/null
wait_for 5 "lost lines are counted" lines_are_lost
alive sw1 || fail "sw1 ended"
alive hv1 || fail "hv1 ended"

step "A client that is stopped in the middle of a long answer"
python3 "$netns_folder/stalled_clients.py" "$(socket_of sw1)" 40 &
stalled=$!
wait_for 10 "40 clients stall" test -e "/proc/$stalled/fd/42"
pings blue1 10.0.0.2
ctl sw1 tsi show >/dev/null
kill "$stalled"

step "A daemon that is stopped: the tool gives up in time and says what to do"
kill -STOP "$(pid_of hv2)"
fails_with 'does not answer within 500 ms.*--timeout' ctl hv2 --timeout 0.5 tsi show || fail "$(cat "$work/verdict")"
fails_with 'does not answer within 500 ms.*--timeout' ctl hv2 tsi pause "$(vsi_of blue2)" --timeout 0.5 || fail "$(cat "$work/verdict")"
kill -CONT "$(pid_of hv2)"
wait_for 5 "hv2 answers" ctl hv2 tsi show

step "Its store's disk is full: the verdict says so, the audit file has left room"
ctl hv1 tsi suspend "$(vsi_of blue1)" >/dev/null
cat /dev/zero >/run/store/fill 2>/dev/null || true
fails_with 'store|disk' ctl hv1 tsi resume "$(vsi_of blue1)" || fail "verdict: $(cat "$work/verdict")"
rm /run/store/fill
wait_for 10 "it goes on by itself" ctl hv1 tsi resume "$(vsi_of blue1)"
wait_for 5 "blue1 is heard" pings blue1 10.0.0.2
wait_for 5 "hv1 agrees with its store" ctl hv1 audit

step "Addresses of a VM in use change only when that is meant"
fails_with 'in use with other addresses.*--replace' ctl hv1 tsi create "$(vsi_of blue1)" --vn blue --mac 02:aa:00:00:00:77 \
  --interface tap-blue1 || fail "verdict: $(cat "$work/verdict")"
pings blue1 10.0.0.2
ctl hv1 tsi create "$(vsi_of blue1)" --vn blue --mac "$(mac_of blue1)" --mac 02:aa:00:00:00:77 --interface tap-blue1 --replace >/dev/null
pings blue1 10.0.0.2
fails_with 'no IP address' ctl hv1 tsi add-address "$(vsi_of blue1)" --mac "$(mac_of blue1)" --ip ::ffff:10.0.0.1 || fail "$(cat "$work/verdict")"

step "A TSI is named by number or UUID"
number=$(tsi_field hv1 "$(vsi_of blue1)" instance)
ctl hv1 tsi suspend "$number" >/dev/null
wait_for 5 "blue1 is suspended" tsi_is hv1 "$(vsi_of blue1)" associated
ctl hv1 tsi resume "$number" >/dev/null
ctl sw1 tsi deactivate "$(vsi_of blue1)" >/dev/null
wait_for 5 "it is closed" no_ping blue1 10.0.0.2
ctl sw1 tsi release "$(vsi_of blue1)" >/dev/null
ctl hv1 tsi resume "$(vsi_of blue1)" >/dev/null   # a released TSI waits for its hypervisor
wait_for 10 "it is open again" pings blue1 10.0.0.2
fails_with 'no TSI instance 9999' ctl hv1 tsi suspend 9999 || fail "$(cat "$work/verdict")"
step_end
echo "PASS: nobody is waited for"
