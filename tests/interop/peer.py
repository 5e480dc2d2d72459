# SPDX-License-Identifier: Apache-2.0
"""Small parts of a peer that lldpad does not play, each a process in a namespace:

  peer.py send IF FRAME_HEX          sends one frame
  peer.py relay IF1 IF2 RULE         forwards ECP and LLDP between two interfaces and changes what RULE says:
      both-hints   S and M in requests of VSIs whose ID ends in ee, which vdptool cannot ask for
      vids         lldpad's bridge gives out no VIDs: success of a null VID comes back with 100 to the station at IF1,
                   whose 100 is 0 again towards the bridge at IF2
"""
import select
import socket
import sys

ETH_P_ALL, ECP, LLDP = 3, b"\x89\x40", b"\x88\xcc"


def open_wire(interface):
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    wire.bind((interface, ETH_P_ALL))
    group = socket.if_nametoindex(interface).to_bytes(4, sys.byteorder) + b"\x01\x00" + b"\x00" * 10
    wire.setsockopt(263, 1, group)  # SOL_PACKET, PACKET_ADD_MEMBERSHIP: PACKET_MR_PROMISC
    return wire


def send(interface, frame):
    open_wire(interface).send(bytes.fromhex(frame))


def association_tlvs(frame):
    """Offsets of the association TLVs' values in an ECP request."""
    if frame[12:14] != ECP or frame[14] & 0x0C:
        return
    at = 18
    while at + 2 <= len(frame):
        head = int.from_bytes(frame[at:at + 2], "big")
        kind, length = head >> 9, head & 0x1FF
        if kind == 0:
            return
        if 1 <= kind <= 4:
            yield at + 2
        at += 2 + length


def both_hints(frame, towards_second):
    for at in association_tlvs(frame):
        if towards_second and frame[at + 21] == 0xEE:
            frame[at] |= 0x30


def vids(frame, towards_second):
    for at in association_tlvs(frame):
        size = {1: 2, 2: 8, 3: 6, 4: 12}.get(frame[at + 22])
        for number in range(int.from_bytes(frame[at + 23:at + 25], "big") if size else 0):
            end = at + 25 + (number + 1) * size
            word = int.from_bytes(frame[end - 2:end], "big")
            if towards_second and word & 0x0FFF == 100:
                word &= 0xF000
            elif not towards_second and not word & 0x0FFF and frame[at] & 0x4F in (0x40, 0x00):
                word |= 100
            frame[end - 2:end] = word.to_bytes(2, "big")


def relay(first, second, rule):
    change = {"both-hints": both_hints, "vids": vids}[rule]
    wires = [open_wire(first), open_wire(second)]
    print("ready", flush=True)
    while True:
        for wire in select.select(wires, [], [])[0]:
            frame, address = wire.recvfrom(2048)
            if address[2] == socket.PACKET_OUTGOING or frame[12:14] not in (ECP, LLDP):
                continue
            frame = bytearray(frame)
            change(frame, wire is wires[0])
            wires[wire is wires[0]].send(frame)


if __name__ == "__main__":
    {"send": send, "relay": relay}[sys.argv[1]](*sys.argv[2:])
