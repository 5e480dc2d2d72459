#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# addresses.sh BUILD: one TSI with several addresses that come, go, stop and start while the others lose nothing; what an
# Associated TSI lets through; trunk interfaces; the same address in two VNs.
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
# shellcheck source=tests/netns/small.sh
. "$netns_folder/small.sh"
netns_begin "${1:?usage: addresses.sh BUILD}"
hypervisors 2

more=02:aa:00:00:01:01 other=02:aa:00:00:01:02
address() {   # INSTANCE VM MAC: active, reserved or nothing
  ctl_json "$1" tsi show | jq -r --arg vsi "$(vsi_of "$2")" --arg mac "$3" \
    '.[] | select(.vsi == $vsi) | .addresses[] | select(.mac == $mac) | if .active then "active" else "reserved" end'
}
both_have() { [ "$(address hv1 "$1" "$2")" = "$3" ] && [ "$(address sw1 "$1" "$2")" = "$3" ]; }
change() {   # VERB VM MAC...
  local verb=$1 vm=$2 mac
  shift 2
  local -a macs=()
  for mac in "$@"; do macs+=(--mac "$mac"); done
  ctl hv1 tsi "$verb-address" "$(vsi_of "$vm")" "${macs[@]}" >"$work/verdict" 2>&1 ||
    fail "$failed_in: tsi $verb-address: $(cat "$work/verdict")"
}
# passes MAC: 100 frames of that source arrive at blue2, all of them.
passes() {
  listen passing blue2 eth0 20 100
  frames blue1 send eth0 100 "$1" "$(mac_of blue2)"
  listen_end passing
  expect "frames of $1 that arrived" "$heard" 100
}
# stopped MAC: 100 frames of that source are dropped by the guard, and none arrives.
stopped() {
  local before
  before=$(guarded)
  listen stopped blue2 eth0 30 1
  frames blue1 send eth0 100 "$1" "$(mac_of blue2)"
  wait_for 3 "hv1 counts 100 frames of $1 as dropped" guarded_is $((before + 100))
  is_silent stopped || fail "a frame of $1 arrived"
  frames blue1 send eth0 1 "$(mac_of blue1)" "$(mac_of blue2)"
  listen_end stopped
}
guarded() { echo $(($(dropped hv1 closed) + $(dropped hv1 spoofed_source))); }
guarded_is() { [ "$(guarded)" = "$1" ]; }

associated() {
  step "An Associated TSI: 10,000 frames each way, none delivered; guard and tag are there, closed"
  vm_add blue1 hv1 tap-blue1 "$(mac_of blue1)" "$(ip_of blue1)"
  tsi hv1 create blue1
  run_vm blue2
  wait_for 3 "both sides agree" both_say blue1 associated
  listen towards blue1 eth0 60 1
  listen away blue2 eth0 60 1
  # Frames may outrun the receiver of a busy machine, so that counters say how many the guard has seen.
  local before
  before=$(dropped sw1 closed)
  frames hv1 send up0 10000 "$(mac_of blue1)" "$(mac_of blue2)" "$(at blue1 p1 vid)"
  wait_for 5 "sw1 counts 10,000 closed frames" dropped_is sw1 closed $((before + 10000))
  before=$(dropped hv1 closed)
  frames blue1 send eth0 10000 "$(mac_of blue1)" "$(mac_of blue2)"
  wait_for 5 "hv1 counts 10,000 closed frames" dropped_is hv1 closed $((before + 10000))
  frames blue2 send eth0 10000 "$(mac_of blue2)" "$(mac_of blue1)"
  is_silent towards || fail "a frame reached an Associated TSI"
  is_silent away || fail "a frame left an Associated TSI"
  [ "$(bpftool -j map dump pinned "$(echo /sys/fs/bpf/splitnve/sw1/v*/guard)" | jq length)" = 2 ] ||
    fail "the switch holds other guards than one for each TSI"
  expect "addresses open at sw1 (blue2's)" \
    "$(bpftool -j map dump pinned "$(echo /sys/fs/bpf/splitnve/sw1/v*/fdb)" | jq length)" 1
  tsi hv1 start blue1
  wait_for 3 "both sides agree" both_say blue1 activated
  frames blue1 send eth0 1 "$(mac_of blue1)" "$(mac_of blue2)"
  listen_end away
  expect "frames after Activate" "$heard" 1
  frames blue2 send eth0 1 "$(mac_of blue2)" "$(mac_of blue1)"
  listen_end towards
  expect "frames after Activate" "$heard" 1
}

fields() {
  step "All fields of TSI and VAP are there, and both sides name the same VN, tag and addresses"
  ctl_json sw1 tsi show | jq -e --arg vsi "$(vsi_of blue1)" '.[] | select(.vsi == $vsi) |
    .port == "p1" and .vn == 70001 and .state == "activated" and .num_of_addr == 1 and
    (.addresses | length) == 1 and .addresses[0].active' >/dev/null || fail "a field of the TSI is missing at sw1"
  ctl_json sw1 vn show | jq -e '[.[] | select(.port == "p1" and .state == "connected")] | length == 1 and
    (.[0] | .vn == 70001 and .associated_tsis == 1 and .local_tag >= 100 and .local_tag <= 199 and .vni == 70001)' \
    >/dev/null || fail "a field of the VAP is missing at sw1"
  ctl_json sw1 vn show | jq -e 'all(.[]; has("vn") and has("state"))' >/dev/null || fail "a VAP without VN or state"
}

changes() {
  step "Addresses come, stop, start and go, the others lose no frame"
  ping_start changing blue2 "$(ip_of blue1)"
  wait_for 5 "the ping runs" ping_reached changing 20
  stopped "$more"
  change add blue1 "$more" "$other"
  wait_for 3 "both sides have the new address" both_have blue1 "$more" active
  expect "state of the TSI" "$(at blue1 p1 state)" activated
  passes "$more"
  change deactivate blue1 "$more"
  wait_for 3 "both sides have it reserved" both_have blue1 "$more" reserved
  stopped "$more"
  passes "$other"
  expect "state of the TSI" "$(at blue1 p1 state)" activated
  change activate blue1 "$more"
  wait_for 3 "both sides have it active" both_have blue1 "$more" active
  passes "$more"
  change remove blue1 "$more" "$other"
  wait_for 3 "both sides have forgotten it" both_have blue1 "$more" ""
  stopped "$more"
  expect "addresses at sw1" "$(at blue1 p1 num_of_addr)" 1
  ping_stop changing
  expect "pings of the TSI's own address lost, of $sent" "$lost" 0
}

spoofed() {
  step "A spoofed source is dropped and counted, exactly"
  local before
  before=$(dropped hv1 spoofed_source)
  frames blue1 send eth0 1000 02:66:66:66:66:66 "$(mac_of blue2)"
  wait_for 3 "hv1 counts 1,000" dropped_is hv1 spoofed_source $((before + 1000))
}

many() {
  step "A bridging VM has 200 addresses, all leave with its De-Associate"
  local -a macs=()
  local n
  for ((n = 0; n < 200; n++)); do macs+=("$(printf '02:aa:00:00:02:%02x' "$n")"); done
  change add blue1 "${macs[@]}"
  expect "addresses at sw1" "$(at blue1 p1 num_of_addr)" 201
  passes "${macs[199]}"
  wait_for 3 "all are active at sw1" all_active 201
  tsi hv1 shutdown blue1
  wait_for 3 "p1 has forgotten blue1" not_at blue1 p1
  expect "open addresses at sw1 (blue2's)" \
    "$(bpftool -j map dump pinned "$(echo /sys/fs/bpf/splitnve/sw1/v*/fdb)" | jq length)" 1
}
all_active() {
  [ "$(ctl_json sw1 tsi show | jq --arg vsi "$(vsi_of blue1)" \
    '[.[] | select(.vsi == $vsi) | .addresses[] | select(.active)] | length')" = "$1" ]
}

tcp() {
  step "TCP between VMs of two hypervisors, and between two of one"
  tsi hv1 create blue1
  tsi hv1 start blue1
  run_vm blue4
  transfer blue1 blue2
  transfer blue1 blue4
}
transfer() {   # FROM TO: 20 MB, compared by digest
  local sum
  in_ns "$2" timeout 20 python3 -c '
import hashlib, socket, sys
server = socket.create_server(("", 5001)); print("ready", flush=True)
peer, _ = server.accept(); digest = hashlib.sha256()
while data := peer.recv(65536): digest.update(data)
print(digest.hexdigest())' >"$work/tcp" &
  local server=$!
  wait_for 5 "the TCP server" grep -q ready "$work/tcp"
  sum=$(in_ns "$1" python3 -c '
import hashlib, os, socket, sys
data = os.urandom(20_000_000)
with socket.create_connection((sys.argv[1], 5001), 5) as peer: peer.sendall(data)
print(hashlib.sha256(data).hexdigest())' "$(ip_of "$2")")
  wait "$server"
  expect "digest of 20 MB from $1 to $2" "$(tail -1 "$work/tcp")" "$sum"
}

same_address() {
  step "The same MAC in two VNs is two TSIs, within one VN it is refused and flagged on both sides"
  run_vm red1
  run_vm red2 hv2
  expect "blue1 and red1" "$(at blue1 p1 state) $(at red1 p1 state)" "activated activated"
  [ "$(at blue1 p1 vid)" != "$(at red1 p1 vid)" ] || fail "two VNs share a tag"
  pings blue1 "$(ip_of blue2)" || fail "blue1 does not reach blue2"
  pings red1 "$(ip_of red2)" || fail "red1, which has the MAC of blue1, does not reach red2"
  vm_add blue3 hv2 tap-blue3 "$(mac_of blue1)" 10.0.0.77
  ! ctl hv2 tsi create "$(vsi_of blue3)" --vn blue --mac "$(mac_of blue1)" --interface tap-blue3 \
    >"$work/verdict" 2>&1 || fail "a duplicate MAC was accepted"
  grep -q "code 5" "$work/verdict" || fail "hv2 does not tell the code: $(cat "$work/verdict")"
  [[ $(last_refusal reason) == *"another VSI has this MAC"* ]] || fail "sw1 does not say why: $(last_refusal reason)"
  expect "blue1, who was first" "$(at blue1 p1 state)" activated
}

# trunk VM INTERFACE TAG: a TSI behind a guest's own tag.
trunk() {
  ctl hv1 tsi create "$(vsi_of "$1")" --vn "$(vn_of "$1")" --mac "$(mac_of "$1")" --interface "$2" --guest-tag "$3" \
    >"$work/verdict" 2>&1 || fail "$failed_in: tsi create of $1: $(cat "$work/verdict")"
  tsi hv1 start "$1"
}
# tagged GUEST VM TAG HEARS SILENT: 50 frames of the VM with its guest's tag arrive in one VN and none in the other.
tagged() {
  listen hears "$4" eth0 20 50
  listen silent "$5" eth0 20 1
  frames "$1" send eth0 50 "$(mac_of "$2")" "$(mac_of "$4")" "$3"
  listen_end hears
  expect "frames of $1 with tag $3 that $4 heard" "$heard" 50
  is_silent silent || fail "a frame of $1 with tag $3 arrived at $5"
  kill "$(cat "$work/silent.listener")"
  wait "$(cat "$work/silent.listener")" 2>/dev/null || true
}
trunks() {
  step "Trunk interfaces: the same guest tag on two of them reaches two VNs, two tags of one reach the same VN"
  ns_add guest-a guest-b
  link guest-a eth0 hv1 trunk-a
  link guest-b eth0 hv1 trunk-b
  trunk blue5 trunk-a 10
  trunk blue6 trunk-a 20
  trunk red5 trunk-b 10
  tagged guest-a blue5 10 blue2 red2
  tagged guest-b red5 10 red2 blue2
  tagged guest-a blue6 20 blue2 red2
}

associated
fields
changes
spoofed
many
tcp
same_address
trunks
step_end
echo "addresses: PASS"
