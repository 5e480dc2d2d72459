# SPDX-License-Identifier: Apache-2.0
"""ECP and VDP frames, octet by octet, for tests that say what a station of ours would not."""
import ctypes
import os
import select
import socket
import struct
import time

ETHERTYPE = 0x8940
GROUP = bytes.fromhex("0180c2000000")
PRE_ASSOCIATE, PRE_ASSOCIATE_RR, ASSOCIATE, DE_ASSOCIATE = 1, 2, 3, 4
MIGRATES, SUSPENDED = 0x10, 0x20  # of the status of a request
# Filter formats: what stands behind the VN ID, and how many octets an entry has.
GROUP_VID, GROUP_MAC_VID, GROUP_MAC_IPV4, GROUP_MAC_IPV6, GROUP_MAC_IPV4_PREFIX, GROUP_MAC_IPV6_PREFIX = 3, 4, 7, 8, 0x87, 0x88


LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


def wire(namespace, interface, protocol=0):
    """A packet socket inside a named network namespace, with room for what comes while nobody looks."""
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    LIBC.setns(there, CLONE_NEWNET)
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
    opened.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
    opened.bind((interface, protocol))
    opened.setblocking(False)
    LIBC.setns(here, CLONE_NEWNET)
    os.close(here)
    os.close(there)
    return opened


def octets(text):
    return bytes.fromhex(text.replace(":", "").replace("-", ""))


def tlv(kind, value):
    return struct.pack("!H", kind << 9 | len(value)) + value


def entry(vn, mac=b"", ip=b"", vid=0):
    return struct.pack("!I", vn) + mac + ip + struct.pack("!H", vid)


def association(command, vsi, entries, form=GROUP_MAC_VID, status=0, count=None):
    head = struct.pack("!B3sBB", status, b"\0\0\1", 1, 5) + vsi + bytes([form])
    return tlv(command, head + struct.pack("!H", len(entries) if count is None else count) + b"".join(entries))


def ours(subtype, value):
    return tlv(127, bytes.fromhex("02534e") + bytes([subtype]) + value)


def capabilities(system, epoch, nonce, flags=0x19C, role=1):
    return ours(1, struct.pack("!BBI", 1, role, flags) + system + struct.pack("!Q", epoch) + nonce)


def vn_request(operation, vn, vid=0):
    return ours(4, struct.pack("!BIBH", operation, vn, 0, vid))


def vdpdu(*tlvs):
    return tlv(5, bytes(16)) + b"".join(tlvs) + b"\0\0"


def ecp(source, sequence, payload, to=GROUP, acknowledges=False):
    head = struct.pack("!HHH", ETHERTYPE, 0x1001 | int(acknowledges) << 10, sequence & 0xFFFF)
    return (to + source + head + payload).ljust(60, b"\0")


def lldp(source, seconds, evb=None):
    """Announces a neighbour for so many seconds, with the EVB TLV's octets if given."""
    names = tlv(1, b"\4" + source) + tlv(2, b"\5up0") + tlv(3, struct.pack("!H", seconds))
    said = tlv(127, bytes.fromhex("0080c20d") + evb) if evb else b""
    return (GROUP + source + struct.pack("!H", 0x88CC) + names + said + b"\0\0").ljust(60, b"\0")


def tlvs_of(payload):
    at = 0
    while at + 2 <= len(payload):
        word, = struct.unpack("!H", payload[at:at + 2])
        if word >> 9 == 0:
            return
        yield word >> 9, payload[at + 2:at + 2 + (word & 511)]
        at += 2 + (word & 511)


class Station:
    """Says one VDPDU after the other, acknowledges what the nNVE says, and keeps its answers: (TLV type, status)."""

    def __init__(self, wire, address):
        self.wire, self.mac = wire, address
        self.sequence = int.from_bytes(os.urandom(2), "big")
        self.system, self.nonce, self.epoch = os.urandom(16), os.urandom(16), 1
        self.answers = []
        self.last_heard = None

    def shows(self):
        return capabilities(self.system, self.epoch, self.nonce)

    def hear(self, seconds):
        """True once the last ECPDU is acknowledged."""
        select.select([self.wire], [], [], seconds)
        acknowledged = False
        while True:
            try:
                frame = self.wire.recv(2048)
            except BlockingIOError:
                return acknowledged
            if frame[6:12] == self.mac or frame[0:6] not in (self.mac, GROUP) or frame[12:14] != struct.pack("!H", ETHERTYPE):
                continue
            head, sequence = struct.unpack("!HH", frame[14:18])
            if head >> 10 & 3:
                acknowledged |= sequence == self.sequence
                continue
            self.wire.send(ecp(self.mac, sequence, b"", frame[6:12], True))
            if sequence != self.last_heard:
                self.last_heard = sequence
                self.answers += [(kind, value[0]) for kind, value in tlvs_of(frame[18:]) if 1 <= kind <= 4]

    def say(self, payload, to=GROUP, patience=0.15):
        """Says it twice, and listens for its answers. True if it was acknowledged."""
        self.sequence = self.sequence + 1 & 0xFFFF
        self.answers.clear()
        acknowledged = False
        for _ in range(2):
            self.wire.send(ecp(self.mac, self.sequence, payload, to))
            until = time.monotonic() + patience
            while not acknowledged and (left := until - time.monotonic()) > 0:
                acknowledged = self.hear(left)
            if acknowledged:
                break
        until = time.monotonic() + patience / 2
        while acknowledged and not self.answers and (left := until - time.monotonic()) > 0:
            self.hear(left)
        return acknowledged
