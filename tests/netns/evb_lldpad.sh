#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# evb_lldpad.sh BUILD: EVB between our daemons and lldpad, in both roles.
#
#   station (lldpad) eth0 --- p1 sw1        hv1 up0 --- eth0 bridge (lldpad)
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
# shellcheck source=tests/netns/small.sh
. "$netns_folder/small.sh"
netns_begin "${1:?usage: evb_lldpad.sh BUILD}"

evb() { ctl_json "$1" evb show | jq -c ".[0].$2"; }
evb_is() { [ "$(evb "$1" "$2")" = "$3" ]; }
values() { echo "{\"r\":$1,\"rka\":$4,\"rte\":$2,\"rwd\":$3}"; }

# lldpad_start NS KEY=VALUE...: lldpad on eth0 of NS, with these settings of its EVB TLV. Its shared memory is one for all
# of a machine, so it gets a mount namespace of its own.
lldpad_start() {
  local ns=$1 setting
  shift
  (trap - ERR; exec nsenter --net="/run/netns/$ns" unshare -m sh -c \
    "mount -t tmpfs lldpad-shm /dev/shm && exec lldpad -p -f '$work/lldpad-$ns.conf'") >"$work/lldpad-$ns.log" 2>&1 &
  echo $! >"$work/lldpad-$ns.pid"
  disown "$!"
  wait_for 10 "lldpad takes settings" in_ns "$ns" lldptool -L -i eth0 -g ncb adminStatus=rxtx
  for setting in enableTx=yes "$@"; do
    wait_for 10 "lldpad takes $setting" in_ns "$ns" lldptool -T -i eth0 -g ncb -V evb -c "$setting"
  done
}
lldpad_says() { in_ns "$1" lldptool -t -i eth0 -g ncb -V evb; }
lldpad_shows() { lldpad_says "$1" | tr -d '\n' | grep -qE "$2"; }

lldpad_is_the_station() {
  step "lldpad is the station: the switch and it take the greater of each value"
  ns_add station sw1
  link station eth0 sw1 p1
  timing='"lldp":{"interval_ms":1000},"ecp":{"retries":5,"rte":10},"vdp":{"rwd":22,"rka":18}'
  switch sw1 "$(port p1 100-199)"
  daemon_start sw1 sw1 nnved
  lldpad_start station evbmode=station evbgpid=yes ecprte=12 vdprwd=20 vdprka=20
  wait_for 40 "sw1 negotiated" evb_is sw1 state '"negotiated"'
  wait_for 40 "sw1 runs with the greater values" evb_is sw1 operational "$(values 5 12 22 20)"
  expect "GroupIDs" "$(evb sw1 group_ids)" true
  wait_for 40 "lldpad heard us" evb_is sw1 'remote.rwd' 22
  lldpad_says station
}

lldpad_is_the_bridge() {
  step "lldpad is the bridge: the hypervisor and it take the greater of each value, and stand still"
  ns_add bridge hv1
  link hv1 up0 bridge eth0
  timing='"lldp":{"interval_ms":1000},"ecp":{"retries":3,"rte":8},"vdp":{"rwd":20,"rka":20}'
  hypervisor_config hv1
  daemon_start hv1 hv1 tnved
  lldpad_start bridge evbmode=bridge evbgpid=yes ecprte=10 vdprwd=22 vdprka=18
  wait_for 40 "hv1 runs with the greater values" evb_is hv1 operational "$(values 3 10 22 20)"
  wait_for 40 "lldpad repeats its own value as an echo" evb_is hv1 'remote_rwd_rol' true
  holds 3000 evb_is hv1 operational "$(values 3 10 22 20)"
  step "A bridge that takes no GroupIDs is not asked in a format that needs them"
  in_ns bridge lldptool -T -i eth0 -g ncb -V evb -c evbgpid=no
  wait_for 40 "hv1 heard it" evb_is hv1 group_ids false
  run_refused
}
run_refused() {
  vm_add blue1 hv1 tap-blue1 "$(mac_of blue1)" "$(ip_of blue1)"
  refused hv1 create blue1
  grep -q 'takes no GroupIDs' <<<"$verdict" || fail "$failed_in: the verdict is: $verdict"
}

if ! command -v lldpad >/dev/null; then
  echo "evb_lldpad: SKIP: lldpad is not installed"
  exit 77
fi
lldpad_is_the_station
lldpad_is_the_bridge
step_end
echo "evb_lldpad: PASS"
