# SPDX-License-Identifier: Apache-2.0
"""Sends or counts raw frames, so that a test can compare counters exactly.

  frames.py send IF COUNT SRC DST [TAG]         COUNT frames of EtherType 0x88b5, with an inline 802.1Q tag if given
  frames.py count IF SECONDS READY_FILE [WANT]  frames of EtherType 0x88b5 that arrive; ends early at WANT
"""
import socket
import struct
import sys
import time

ETHERTYPE = 0x88B5  # IEEE local experimental


def octets(mac):
    return bytes.fromhex(mac.replace(":", ""))


def send(interface, count, source, destination, tag=None):
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind((interface, 0))
    header = octets(destination) + octets(source)
    if tag is not None:
        header += struct.pack("!HH", 0x8100, int(tag))
    for number in range(int(count)):
        wire.send(header + struct.pack("!HI", ETHERTYPE, number) + bytes(46))


def count(interface, seconds, ready_file, want=None):
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE))
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    wire.bind((interface, ETHERTYPE))
    with open(ready_file, "w", encoding="ascii"):
        pass
    deadline = time.monotonic() + float(seconds)
    seen = 0
    while seen != (int(want) if want else -1) and (left := deadline - time.monotonic()) > 0:
        wire.settimeout(left)
        try:
            _, address = wire.recvfrom(2048)
        except socket.timeout:
            break
        if address[2] != socket.PACKET_OUTGOING:
            seen += 1
    print(seen)


if __name__ == "__main__":
    {"send": send, "count": count}[sys.argv[1]](*sys.argv[2:])
