#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# port_update.sh BUILD [TIMES]: a hypervisor's path to the switch moves between two ports of one segment, both links up
# (S37); its running VM is without the network for a moment only. Impostors at another port move nothing.
#
#   hv1 up0 --- br0 --- p1 sw1 p3 --- up0 hv2
#                 '.... p2
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
# shellcheck source=tests/netns/small.sh
. "$netns_folder/small.sh"
netns_begin "${1:?usage: port_update.sh BUILD [TIMES]}"
times=${2:-4}
# The default timers of ECP: the old place is given up after (1 + R) ack timers, 10 ms. Keep-alives come every 2.6 s.
timing='"ecp":{"retries":3,"rte":8},"vdp":{"rwd":18,"rka":18}'

build() {
  ns_add segment sw1 hv1 hv2
  in_ns segment ip link add br0 type bridge stp_state 0
  in_ns segment ip link set br0 up
  link hv1 up0 segment to-hv1
  link sw1 p1 segment to-p1
  link sw1 p2 segment to-p2
  link hv2 up0 sw1 p3
  in_ns segment ip link set to-hv1 master br0
  in_ns segment ip link set to-p1 master br0
  switch sw1 "$(port p1 100-199 '"direct":false,"segment":"rack"'),$(port p2 100-199 '"direct":false,"segment":"rack"'),$(port p3 300-399)"
  hypervisor_config hv1
  hypervisor_config hv2
  daemon_start sw1 sw1 nnved
  daemon_start hv1 hv1 tnved
  daemon_start hv2 hv2 tnved
  wait_for 10 "the segment is listened to" admits p1
}
admits() { grep -q "SEGMENT_CLEAR port $1" "$work/sw1.log"; }

# move FROM TO: the bridge's cable.
move() {
  in_ns segment ip link set "to-$1" nomaster
  in_ns segment ip link set "to-$2" master br0
}
moves() {
  step "$times moves between two ports of a segment: VID and state stay, the VM misses a moment"
  local n from to tag worst=0
  run_vm blue1
  run_vm blue2
  tag=$(at blue1 p1 vid)
  for ((n = 1; n <= times; n++)); do
    if ((n % 2)); then from=p1 to=p2; else from=p2 to=p1; fi
    ping_start moved blue1 "$(ip_of blue2)" 100
    wait_for 3 "blue1 reaches blue2" ping_reached moved 20
    move "$from" "$to"
    ping_end moved
    [ "$lost" -gt "$worst" ] && worst=$lost
    wait_for 1 "blue1 is Activated at $to" at_is blue1 "$to" state activated
    wait_for 1 "nothing of it is left at $from" not_at blue1 "$from"
    expect "its VID" "$(at blue1 "$to" vid)" "$tag"
    [ "$lost" -le 5 ] || fail "$failed_in: move $n to $to lost $lost of $sent pings"
  done
  expect "moves as the switch counts them" "$(grep -c nnved.station_moved "$work/sw1.log")" "$times"
  say "moves=$times worst_lost=$worst"
}

# What hv1 says to p1, word for word: its MAC, its system id, its hello, its requests.
record() {
  in_ns sw1 timeout "$1" python3 - "$work/recorded" <<'P' || true
import socket, struct, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x8940)); s.bind(("p1", 0x8940))
with open(sys.argv[1], "wb") as out:
    while True:
        frame, where = s.recvfrom(2000)
        if where[2] != socket.PACKET_OUTGOING:
            out.write(struct.pack("!H", len(frame)) + frame); out.flush()
P
}
replay() {   # COUNT of the recorded frames leave at p2's cable, ten times
  in_ns segment python3 - "$work/recorded" <<'P'
import socket, struct, sys, time
frames, octets = [], open(sys.argv[1], "rb").read()
while octets:
    (n,) = struct.unpack("!H", octets[:2]); frames.append(octets[2:2 + n]); octets = octets[2 + n:]
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("to-p2", 0))
for _ in range(10):
    for frame in frames: s.send(frame); time.sleep(0.002)
print(len(frames))
P
}
twice() { grep -q STATION_TWICE "$work/sw1.log"; }
impostor() {
  step "Somebody at p2 repeats all that hv1 says, and sends frames of its VM: nothing moves, no frame is lost, the alarm tells"
  record 8 &
  local recorder=$! said
  run_vm blue4 hv1
  daemon_kill hv1 KILL
  daemon_start hv1 hv1 tnved
  wait_for 5 "blue1 is renewed" both_say blue4 activated hv1
  wait "$recorder"
  ping_start real blue1 "$(ip_of blue2)" 200
  wait_for 3 "blue1 reaches blue2" ping_reached real 10
  said=$(replay)
  [ "$said" -gt 4 ] || fail "$failed_in: only $said frames were recorded"
  frames segment send to-p2 50 "$(mac_of blue1)" ff:ff:ff:ff:ff:ff "$(at blue1 p1 vid)"
  ping_end real
  expect "pings lost" "$lost" 0
  expect "blue1" "$(at blue1 p1 state)" activated
  not_at blue1 p2 || fail "blue1 is at p2: $(at blue1 p2 state)"
  wait_for 3 "the switch says that two stations are one" twice
}

build
moves
impostor
step_end
echo "port_update: PASS"
