# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154  # work and failed_in are of lib.sh
# The topology of the demo and of several tests; source it after lib.sh.
#
#   hv1 up0 --- p1 sw1 u0 === 192.0.2.0/24 === u0 sw2 p1 --- up0 hv3
#   hv2 up0 --- p2 '                 VXLAN
#
#   hv1: blue1, blue4, red1      hv2: blue2, and where blue1 moves to      hv3: blue3, red3
# red1 has the MAC and IP of blue1, red3 those of blue3: the VNs overlap.

vsi_of() {   # the VSI-ID of a VM
  case "$1" in
    blue*) echo "b1000000-0000-4000-8000-00000000000${1#blue}" ;;
    red*) echo "4ed00000-0000-4000-8000-00000000000${1#red}" ;;
  esac
}
mac_of() { echo "02:aa:00:00:00:0${1: -1}"; }
ip_of() { echo "10.0.0.${1: -1}"; }
vn_of() { echo "${1%%[0-9]*}"; }

vms() { echo blue1 blue2 blue3 blue4 red1 red3; }
host_of() {
  case "$1" in
    blue1 | blue4 | red1) echo hv1 ;;
    blue2) echo hv2 ;;
    blue3 | red3) echo hv3 ;;
  esac
}
switch_of() { [ "$1" = hv3 ] && echo sw2 || echo sw1; }
port_of() { [ "$1" = hv2 ] && echo p2 || echo p1; }

# Both sides must be told the same ECP and VDP figures; RTE 14 (164 ms) is calm enough for a busy machine.
timing='"ecp":{"retries":3,"rte":14},"vdp":{"rwd":20,"rka":20}'


hypervisor_config() {   # INSTANCE
  config "$1" <<JSON
{ "role": "tnved", "instance": "$1", $(paths_json "$1"), $timing,
  "uplinks": [{ "interface": "up0" }],
  "vns": [{ "id": 70001, "alias": "blue" }, { "id": 70002, "alias": "red" }],
  "start_deadline_ms": 5000 }
JSON
}

port_json() { printf '{"interface":"%s","vns":["blue","red"],"vids":"%s","direct":true}' "$1" "$2"; }
remote_json() { printf '{"vn":"%s","mac":"%s","nnve":"%s"}' "$(vn_of "$1")" "$(mac_of "$1")" "$2"; }

switch_config() {   # INSTANCE LOCAL REMOTE PORTS REMOTES
  config "$1" <<JSON
{ "role": "nnved", "instance": "$1", $(paths_json "$1"), $timing,
  "ports": [$4],
  "vns": [
    { "id": 70001, "alias": "blue", "name": "0b1ce000-0000-4000-8000-000000000001", "vni": 70001, "remote_nnves": ["$3"] },
    { "id": 70002, "alias": "red", "name": "04ed0000-0000-4000-8000-000000000002", "vni": 70002, "remote_nnves": ["$3"] }],
  "remotes": [$5],
  "vxlan": { "interface": "vx-$1", "local": "$2", "port": 4789 } }
JSON
}

build_datacentre() {
  local vm hv
  ns_add sw1 sw2 hv1 hv2 hv3
  underlay sw1 192.0.2.1 sw2 192.0.2.2
  link hv1 up0 sw1 p1
  link hv2 up0 sw1 p2
  link hv3 up0 sw2 p1
  for vm in $(vms); do
    vm_add "$vm" "$(host_of "$vm")" "tap-$vm" "$(mac_of "$vm")" "$(ip_of "$vm")"
  done
  switch_config sw1 192.0.2.1 192.0.2.2 "$(port_json p1 100-199),$(port_json p2 200-299)" \
    "$(remote_json blue3 192.0.2.2),$(remote_json red3 192.0.2.2)"
  switch_config sw2 192.0.2.2 192.0.2.1 "$(port_json p1 300-399)" \
    "$(remote_json blue1 192.0.2.1),$(remote_json blue2 192.0.2.1),$(remote_json blue4 192.0.2.1),$(remote_json red1 192.0.2.1)"
  for hv in hv1 hv2 hv3; do hypervisor_config "$hv"; done
}

start_datacentre() {
  local instance
  for instance in sw1 sw2; do daemon_start "$instance" "$instance" nnved; done
  for instance in hv1 hv2 hv3; do daemon_start "$instance" "$instance" tnved; done
}

# tsi HYPERVISOR VERB VM [MORE...]: a lifecycle event, as a hypervisor would send it. Waits for the verdict.
tsi() {
  local hv=$1 verb=$2 vm=$3
  shift 3
  case "$verb" in
    create | migrate-in)
      set -- --vn "$(vn_of "$vm")" --mac "$(mac_of "$vm")" --interface "tap-$vm" "$@" ;;
  esac
  ctl "$hv" tsi "$verb" "$(vsi_of "$vm")" "$@" >"$work/verdict" 2>&1 ||
    fail "$failed_in: tsi $verb of $vm at $hv: $(cat "$work/verdict")"
}

# both_say VM STATE [HYPERVISOR]: hypervisor and switch agree on the state, and on a VID that is not null.
both_say() {
  local vm=$1 state=$2 hv=${3:-$(host_of "$1")} vsi here there switch port
  vsi=$(vsi_of "$vm") switch=$(switch_of "$hv") port=$(port_of "$hv")
  here=$(tsi_field "$hv" "$vsi" vid)
  there=$(tsi_field "$switch" "$vsi" vid ".port == \"$port\"")
  [ -n "$here" ] && [ "$here" != 0 ] && [ "$here" = "$there" ] &&
    [ "$(lower "$(tsi_field "$hv" "$vsi" state)")" = "$state" ] &&
    [ "$(lower "$(tsi_field "$switch" "$vsi" state ".port == \"$port\"")")" = "$state" ]
}
lower() { echo "${1,,}"; }
vid_of() { tsi_field "${2:-$(host_of "$1")}" "$(vsi_of "$1")" vid; }

# capture_links SWITCH/PORT...: VDP and LLDP of access links, for a test that looks at the frames of this one.
capture_links() {
  local at file
  [ -n "${SPLITNVE_CAPTURE:-}" ] || return 0
  for at in "$@"; do
    file=$SPLITNVE_CAPTURE/${at/\//-}.pcap
    (trap - ERR; exec nsenter --net="/run/netns/${at%/*}" tcpdump -i "${at#*/}" -U --immediate-mode -Z root -w "$file" \
      "ether proto 0x8940 or ether proto 0x88cc") >"$work/tcpdump-${at/\//-}.log" 2>&1 &
    disown "$!"
    wait_for 5 "tcpdump on $at" test -s "$file"
  done
}
