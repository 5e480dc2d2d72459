# SPDX-License-Identifier: Apache-2.0
"""A lossy wire: hands frames from one interface to the other, and drops a share of the ECP frames each way.

  relay.py IF1 IF2 SHARE SEED READY_FILE REPORT_FILE

Everything else passes untouched, tags included. SIGTERM ends it; the report then says per direction how many ECP frames
came and how many were dropped.
"""
import json
import random
import select
import signal
import socket
import struct
import sys

ECP = 0x8940
SOL_PACKET, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING, SO_RCVBUFFORCE = 263, 8, 23, 33
TP_STATUS_VLAN_VALID = 0x10
AUXDATA = struct.Struct("=IIIHHHH")


def open_port(interface):
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    port.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    port.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    port.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
    port.bind((interface, 3))
    port.setblocking(False)
    return port


def with_tag(frame, control):
    """The frame as it was on the wire: the kernel takes the outer tag off."""
    for level, kind, data in control:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, _, _, _, _, tci, tpid = AUXDATA.unpack(data[: AUXDATA.size])
            if status & TP_STATUS_VLAN_VALID:
                return frame[:12] + struct.pack("!HH", tpid or 0x8100, tci) + frame[12:]
    return frame


class Direction:
    def __init__(self, source, sink, share, seed):
        self.source, self.sink, self.share = source, sink, share
        self.random = random.Random(seed)
        self.came = self.dropped = self.lost = 0

    def hand_over(self):
        try:
            frame, control, _, _ = self.source.recvmsg(65535, 256)
        except BlockingIOError:
            return False
        if frame[12:14] == struct.pack("!H", ECP):
            self.came += 1
            if self.random.random() < self.share:
                self.dropped += 1
                return True
        try:
            self.sink.send(with_tag(frame, control))
        except OSError:
            self.lost += 1
        return True


def main(first, second, share, seed, ready, report):
    ports = [open_port(first), open_port(second)]
    ways = {ports[0]: Direction(ports[0], ports[1], float(share), f"{seed} there"),
            ports[1]: Direction(ports[1], ports[0], float(share), f"{seed} back")}
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
    with open(ready, "w", encoding="ascii"):
        pass
    while not ended:
        for port in select.select(ports, [], [], 0.2)[0]:
            for _ in range(64):
                if not ways[port].hand_over():
                    break
    with open(report, "w", encoding="ascii") as out:
        json.dump({name: {"came": way.came, "dropped": way.dropped, "lost": way.lost}
                   for name, way in zip(("there", "back"), ways.values())}, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
