#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# underlay.sh BUILD: what goes between two switches: the VN's own VNI, and the frame as the VM sent it, without a tag.
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
netns_begin "${1:?usage: underlay.sh BUILD}"

build_datacentre
start_datacentre
for vm in blue1 blue3 red1 red3; do
  tsi "$(host_of "$vm")" create "$vm"
  tsi "$(host_of "$vm")" start "$vm"
done

# carried VM PEER VNI: 20 frames of the VM to its peer are 20 datagrams to the other switch, all with that VNI.
carried() {
  rm -f "$work/capture.ready"
  in_ns sw1 timeout 20 python3 - "$work/capture.ready" 20 >"$work/capture" <<'PY' &
import socket, struct, sys
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
wire.bind(("u0", 0x0003))
open(sys.argv[1], "w").close()
left = int(sys.argv[2])
while left:
    frame, address = wire.recvfrom(2048)
    if frame[12:14] != b"\x08\x00" or frame[23] != 17 or frame[36:38] != struct.pack("!H", 4789):
        continue
    vni, inner = int.from_bytes(frame[46:49], "big"), frame[50:]
    if inner[12:14] == b"\x88\xb5" or inner[12:14] == b"\x81\x00":
        left -= 1
        print(vni, socket.inet_ntoa(frame[30:34]), inner[6:12].hex(":"), inner[0:6].hex(":"), inner[12:14].hex())
PY
  local capture=$!
  wait_for 5 "the capture" test -e "$work/capture.ready"
  frames "$1" send eth0 20 "$(mac_of "$1")" "$(mac_of "$2")"
  wait "$capture"
  expect "what the underlay carries" "$(sort "$work/capture" | uniq -c | xargs)" \
    "20 $3 192.0.2.2 $(mac_of "$1") $(mac_of "$2") 88b5"
}

step "Frames to a remote VM: right VNI, right switch, inner frame untagged"
carried blue1 blue3 70001
step "The other VN, the same addresses: its own VNI"
carried red1 red3 70002
step "The way back: tag removed at the far end, the VM hears what was sent"
listen back blue1 eth0 20 20
frames blue3 send eth0 20 "$(mac_of blue3)" "$(mac_of blue1)"
listen_end back
expect "frames heard by blue1" "$heard" 20
step_end
echo "underlay: PASS"
