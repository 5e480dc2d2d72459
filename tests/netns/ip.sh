#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ip.sh BUILD: IPs of a TSI on both sides, spoofed sources and ARP dropped and counted by hypervisor and switch, an IP that
# comes and goes while the VM talks, and a peer that knows no format with IPs.
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
# shellcheck source=tests/netns/small.sh
. "$netns_folder/small.sh"
netns_begin "${1:?usage: ip.sh BUILD}"

more=10.0.0.101
other=10.0.0.102

# ips INSTANCE VM: the IPs of its first MAC, sorted.
ips() {
  ctl_json "$1" tsi show | jq -r --arg vsi "$(vsi_of "$2")" \
    '[.[] | select(.vsi == $vsi) | .addresses[0] | "\(.mac) \(.ips | sort | join(","))"] | join(" ")'
}
ips_are() { [ "$(ips "$1" "$2")" = "$(mac_of "$2") $3" ]; }
both_show() { ips_are hv1 "$1" "$2" && ips_are sw1 "$1" "$2"; }
change() {   # VERB VM IP
  ctl hv1 tsi "$1-address" "$(vsi_of "$2")" --mac "$(mac_of "$2")" --ip "$3" >"$work/verdict" 2>&1 ||
    fail "$failed_in: tsi $1-address: $(cat "$work/verdict")"
}
# says NS IF KIND COUNT SOURCE_MAC TO_MAC SENDER_IP [TAG]: frames of that sender; KIND is arp or ipv4.
says() {
  in_ns "$1" python3 -c '
import socket, struct, sys
interface, kind, count, source, destination, sender = sys.argv[1:7]
mac = lambda text: bytes.fromhex(text.replace(":", ""))
tag = struct.pack("!HH", 0x8100, int(sys.argv[7])) if len(sys.argv) > 7 else b""
ip = socket.inet_aton(sender)
if kind == "arp":
    body = struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1) + mac(source) + ip + bytes(6) + socket.inet_aton("10.0.0.2")
else:
    body = struct.pack("!HBBHHHBBH", 0x0800, 0x45, 0, 28, 0, 0, 64, 17, 0) + ip + socket.inet_aton("10.0.0.2") + bytes(8)
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind((interface, 0))
for _ in range(int(count)): wire.send((mac(destination) + mac(source) + tag + body).ljust(60, b"\0"))' "${@:2}"
}
# dropped_more INSTANCE REASON COUNT COMMAND...: what the command sends is counted there, exactly.
dropped_more() {
  local instance=$1 reason=$2 count=$3 before
  shift 3
  before=$(dropped "$instance" "$reason")
  "$@"
  wait_for 3 "$instance counts $count more $reason" dropped_is "$instance" "$reason" $((before + count))
}

with_ips() {
  step "A TSI with MAC and IP: both sides list both"
  ns_add sw1
  for n in 1 2; do
    ns_add "hv$n"
    link "hv$n" up0 sw1 "p$n"
  done
  hypervisor_config hv1
  legacy_hypervisor hv2
  switch sw1 "$(port p1 100-199),$(port p2 200-299)"
  capture_links sw1/p1 sw1/p2
  daemon_start sw1 sw1 nnved
  daemon_start hv1 hv1 tnved
  daemon_start hv2 hv2 tnved
  vm_add blue1 hv1 tap-blue1 "$(mac_of blue1)" "$(ip_of blue1)"
  tsi hv1 create blue1 --ip "$(ip_of blue1)"
  tsi hv1 start blue1
  vm_add blue2 hv2 tap-blue2 "$(mac_of blue2)" "$(ip_of blue2)"
  tsi hv2 create blue2 --ip "$(ip_of blue2)"
  tsi hv2 start blue2
  both_show blue1 "$(ip_of blue1)" || fail "hv1: $(ips hv1 blue1), sw1: $(ips sw1 blue1)"
  pings blue1 "$(ip_of blue2)" || fail "the VMs do not reach each other"
}
legacy_hypervisor() {   # its uplink is marked: no capabilities are exchanged
  config "$1" <<JSON
{ "role": "tnved", "instance": "$1", $(paths_json "$1"), $timing,
  "uplinks": [{ "interface": "up0", "legacy": true }],
  "vns": [{ "id": 70001, "alias": "blue" }, { "id": 70002, "alias": "red" }],
  "start_deadline_ms": 5000 }
JSON
}

spoofed() {
  step "A spoofed source IP and a spoofed ARP are dropped and counted, at the hypervisor and at the switch"
  local mac other vid
  mac=$(mac_of blue1) other=$(mac_of blue2) vid=$(at blue1 p1 vid)
  dropped_more hv1 spoofed_ip 50 says blue1 eth0 ipv4 50 "$mac" "$other" 10.0.0.66
  dropped_more hv1 spoofed_arp 50 says blue1 eth0 arp 50 "$mac" ff:ff:ff:ff:ff:ff 10.0.0.66
  dropped_more sw1 spoofed_ip 50 says hv1 up0 ipv4 50 "$mac" "$other" 10.0.0.66 "$vid"
  dropped_more sw1 spoofed_arp 50 says hv1 up0 arp 50 "$mac" ff:ff:ff:ff:ff:ff 10.0.0.66 "$vid"
  pings blue1 "$(ip_of blue2)" || fail "the VM's own address no longer passes"
}

come_and_go() {
  step "An IP comes, is used and goes; the other loses no frame"
  in_ns blue1 ip addr add "$more/24" dev eth0
  ping_start changing blue2 "$(ip_of blue1)"
  wait_for 5 "the ping runs" ping_reached changing 20
  change add blue1 "$more"
  wait_for 3 "both sides list it" both_show blue1 "$(ip_of blue1),$more"
  pings blue2 "$more" || fail "an added IP does not pass"
  change add blue1 "2001:db8::/64"
  wait_for 3 "both sides list the prefix" both_show blue1 "$(ip_of blue1),$more,2001:db8::/64"
  change remove blue1 "$more"
  wait_for 3 "both sides have forgotten it" both_show blue1 "$(ip_of blue1),2001:db8::/64"
  expect "state of the TSI" "$(at blue1 p1 state)" activated
  no_ping blue2 "$more" || fail "a removed IP still passes"
  ping_stop changing
  expect "pings of the other IP lost" "$lost" 0
}

# at_of PING first|last: when its first or last answer came, in milliseconds.
at_of() { sed -nE 's/^\[([0-9]+)\.([0-9]{3}).*bytes from.*/\1\2/p' "$work/$1.ping" | sort -n | if [ "$2" = first ]; then head -1; else tail -1; fi; }
deactivated_at() { [ "$(ctl_json "$1" tsi show | jq -r --arg vsi "$(vsi_of "$2")" '[.[] | select(.vsi == $vsi) | .addresses[0].deactivated_ips[]] | join(",")')" = "$3" ]; }

one_of_three() {
  step "One of three IPs is deactivated: it alone stops, on both sides, until it is activated"
  change add blue1 "$more"
  change add blue1 "$other"
  in_ns blue1 ip addr add "$other/24" dev eth0
  ping_start first blue2 "$(ip_of blue1)"
  ping_start third blue2 "$other"
  wait_for 5 "the pings run" ping_reached third 20
  change deactivate blue1 "$more"
  wait_for 3 "the switch has it reserved" deactivated_at sw1 blue1 "$more"
  deactivated_at hv1 blue1 "$more" || fail "hv1: $(ctl_json hv1 tsi show | jq -c '.[0].addresses')"
  expect "state of the TSI" "$(at blue1 p1 state)" activated
  no_ping blue2 "$more" || fail "a deactivated IP still answers"
  dropped_more sw1 spoofed_ip 10 says hv1 up0 ipv4 10 "$(mac_of blue1)" "$(mac_of blue2)" "$more" "$(at blue1 p1 vid)"
  change activate blue1 "$more"
  wait_for 3 "the switch has it active again" deactivated_at sw1 blue1 ""
  pings blue2 "$more" || fail "an activated IP does not answer"
  ping_stop first
  expect "pings of the first IP lost" "$lost" 0
  ping_stop third
  expect "pings of the third IP lost" "$lost" 0
  change remove blue1 "$other"
}

one_step() {
  step "An IP is changed in one step: the old one answers until the new one does"
  ping_start old blue2 "$more"
  ping_start new blue2 "$other"
  wait_for 5 "the ping of the old one runs" ping_reached old 20
  expect "answers of the new one before" "$(ping_seen new)" 0
  ctl hv1 tsi change-ip "$(vsi_of blue1)" --mac "$(mac_of blue1)" --ip "$more" --to "$other" >"$work/verdict" 2>&1 ||
    fail "tsi change-ip: $(cat "$work/verdict")"
  wait_for 3 "both sides have the new one alone" both_show blue1 "$(ip_of blue1),$other,2001:db8::/64"
  ping_stop new
  no_ping blue2 "$more" || fail "the old IP still answers"
  kill -INT "$(cat "$work/old.ping.pid")"
  wait "$(cat "$work/old.ping.pid")" 2>/dev/null || true
  # Each is asked every 10 ms; that there is no moment in which neither may be used, the unit test shows by the rows.
  local gap=$(($(at_of new first) - $(at_of old last)))
  [ "$gap" -le 100 ] || fail "$gap ms between the last answer of the old one and the first of the new one"
  echo "    $gap ms between the last answer of the old one and the first of the new one"
  change remove blue1 "$other"
}

restarts() {
  step "They outlive both daemons"
  daemon_kill sw1
  daemon_start sw1 sw1 nnved
  daemon_kill hv1
  daemon_start hv1 hv1 tnved
  wait_for 5 "both sides list them" both_show blue1 "$(ip_of blue1),2001:db8::/64"
  dropped_more hv1 spoofed_ip 10 says blue1 eth0 ipv4 10 "$(mac_of blue1)" "$(mac_of blue2)" 10.0.0.66
  pings blue1 "$(ip_of blue2)" || fail "the VM's own address no longer passes"
}

legacy() {
  step "Towards a peer without capabilities the MAC alone is told, and both sides say so; the hypervisor still guards"
  ips_are hv2 blue2 "$(ip_of blue2)" || fail "hv2: $(ips hv2 blue2)"
  ips_are sw1 blue2 "" || fail "sw1: $(ips sw1 blue2)"
  ctl_json hv2 peer show | jq -e '.[0].given_up | contains(["ip-formats", "prefix-formats"])' >/dev/null ||
    fail "hv2 does not say what was given up"
  dropped_more hv2 spoofed_ip 50 says blue2 eth0 ipv4 50 "$(mac_of blue2)" "$(mac_of blue1)" 10.0.0.66
  dropped_more hv2 spoofed_arp 50 says blue2 eth0 arp 50 "$(mac_of blue2)" ff:ff:ff:ff:ff:ff 10.0.0.66
}

refused() {
  step "What no VM may have is refused in words"
  ! ctl hv1 tsi add-address "$(vsi_of blue1)" --mac "$(mac_of blue1)" --ip 224.0.0.1 >"$work/verdict" 2>&1 ||
    fail "a multicast IP was accepted"
  grep -q "no IP address that a VM may send from" "$work/verdict" || fail "it says: $(cat "$work/verdict")"
  tsi hv1 shutdown blue1
  wait_for 3 "p1 has forgotten blue1" not_at blue1 p1
  expect "IPs in the switch" \
    "$(bpftool -j map dump pinned "$(echo /sys/fs/bpf/splitnve/sw1/v*/ips)" | jq length)" 0
}

with_ips
spoofed
come_and_go
one_of_three
one_step
restarts
legacy
refused
step_end
echo "ip: PASS"
