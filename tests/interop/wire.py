# SPDX-License-Identifier: Apache-2.0
"""ECP, VDP and the EVB TLV read from captured frames, by the octet pictures of the protocol and without any of our code.

Everything here is strict: what does not fit raises BadFrame, so a capture that can be read is well formed.
"""
import struct
import uuid
from dataclasses import dataclass, field

NEAREST_CUSTOMER_BRIDGE = bytes.fromhex("0180c2000000")
ETHERTYPE_ECP, ETHERTYPE_LLDP = 0x8940, 0x88CC
PRE_ASSOCIATE, PRE_ASSOCIATE_RR, ASSOCIATE, DE_ASSOCIATE, MANAGER, ORGANIZATIONAL = 1, 2, 3, 4, 5, 127
OUR_OUI = bytes.fromhex("02534e")
EVB_OUI_SUBTYPE = bytes.fromhex("0080c20d")
# octets of an entry, and where GroupID and MAC stand in it
ENTRY = {1: (2, False, False), 2: (8, False, True), 3: (6, True, False), 4: (12, True, True)}


class BadFrame(Exception):
    """Octets that are none of what the protocol allows."""


def mac_text(octets):
    return ":".join(f"{octet:02x}" for octet in octets)


@dataclass(frozen=True)
class Entry:
    vid: int
    pcp: int | None = None  # None: PS is 0
    mac: str | None = None
    group: int | None = None

    def key(self):
        return (self.mac, self.group)


@dataclass(frozen=True)
class Association:
    """One association TLV, with the manager that its ECPDU names."""
    command: int
    status: int
    manager: bytes
    type_id: int
    version: int
    vsi_format: int
    vsi: str
    format: int | None
    entries: tuple

    is_response = property(lambda self: bool(self.status & 0x40))
    code = property(lambda self: self.status & 0x0F)
    # the same two bits: S and M of a request, KEEP and HARD of a response
    suspended = keep = property(lambda self: bool(self.status & 0x20))
    migrating = hard = property(lambda self: bool(self.status & 0x10))


@dataclass
class Frame:
    time: float
    destination: bytes
    source: bytes
    ethertype: int
    octets: bytes
    is_ack: bool = False
    sequence: int | None = None
    associations: list = field(default_factory=list)
    organizational: list = field(default_factory=list)  # (OUI, subtype)
    evb: bytes | None = None  # the five octets after OUI and subtype

    is_ecp = property(lambda self: self.ethertype == ETHERTYPE_ECP)
    is_ecpdu = property(lambda self: self.is_ecp and not self.is_ack)


def read_entries(kind, count, octets):
    if kind not in ENTRY:
        raise BadFrame(f"filter format {kind}")
    size, has_group, has_mac = ENTRY[kind]
    if len(octets) != count * size:
        raise BadFrame(f"{count} entries of {size} octets in {len(octets)}")
    for at in range(0, len(octets), size):
        rest, group, mac = octets[at:at + size], None, None
        if has_group:
            group, rest = int.from_bytes(rest[:4], "big"), rest[4:]
        if has_mac:
            mac, rest = mac_text(rest[:6]), rest[6:]
        word = int.from_bytes(rest, "big")
        yield Entry(word & 0x0FFF, word >> 12 & 7 if word & 0x8000 else None, mac, group)


def read_association(kind, manager, value):
    if len(value) not in (23,) and len(value) < 25:
        raise BadFrame(f"association of {len(value)} octets")
    status, type_id, version, vsi_format = value[0], int.from_bytes(value[1:4], "big"), value[4], value[5]
    vsi = str(uuid.UUID(bytes=value[6:22])) if vsi_format == 5 else value[6:22].hex()
    entry_format, entries = None, ()
    if len(value) > 23:
        entry_format = value[22]
        entries = tuple(read_entries(entry_format, int.from_bytes(value[23:25], "big"), value[25:]))
    return Association(kind, status, manager, type_id, version, vsi_format, vsi, entry_format, entries)


def tlvs(octets):
    """(type, value) of each TLV up to End or the end."""
    at = 0
    while at + 2 <= len(octets):
        head = int.from_bytes(octets[at:at + 2], "big")
        kind, length = head >> 9, head & 0x1FF
        if kind == 0 and length == 0:
            return
        if at + 2 + length > len(octets):
            raise BadFrame(f"TLV of type {kind} runs past the end")
        yield kind, octets[at + 2:at + 2 + length]
        at += 2 + length


def read_vdp(frame, octets):
    manager = None
    for kind, value in tlvs(octets):
        if kind == MANAGER:
            if manager is not None or len(value) != 16:
                raise BadFrame("second manager TLV, or one of another length")
            manager = value
        elif manager is None:
            raise BadFrame(f"TLV of type {kind} before the manager")
        elif PRE_ASSOCIATE <= kind <= DE_ASSOCIATE:
            frame.associations.append(read_association(kind, manager, value))
        elif kind == ORGANIZATIONAL:
            frame.organizational.append((value[:3], value[3] if len(value) > 3 else None))
        else:
            raise BadFrame(f"TLV of type {kind}")


def read_frame(time, octets):
    frame = Frame(time, octets[:6], octets[6:12], int.from_bytes(octets[12:14], "big"), octets)
    if frame.ethertype == ETHERTYPE_ECP:
        head, frame.sequence = struct.unpack("!HH", octets[14:18])
        if head >> 12 != 1 or head & 0x3FF != 1 or head >> 10 & 3 > 1:
            raise BadFrame(f"ECP header {head:04x}")
        frame.is_ack = bool(head >> 10 & 3)
        if not frame.is_ack:
            read_vdp(frame, octets[18:])
    elif frame.ethertype == ETHERTYPE_LLDP:
        for kind, value in tlvs(octets[14:]):
            if kind == ORGANIZATIONAL and value[:4] == EVB_OUI_SUBTYPE:
                frame.evb = value[4:]
    return frame


def headers_only(time, octets):
    """A frame whose TLVs are not looked at: what our own daemons say to each other has more than read_vdp knows."""
    return Frame(time, octets[:6], octets[6:12], int.from_bytes(octets[12:14], "big"), octets)


class PcapReader:
    """Frames of a capture file that may still grow: `more()` returns what has come since."""

    def __init__(self, path, read=read_frame):
        self.path, self.at, self.order, self.read = path, 0, None, read

    def more(self):
        with open(self.path, "rb") as file:
            file.seek(self.at)
            octets = file.read()
        at, frames = 0, []
        if self.order is None:
            if len(octets) < 24:
                return frames
            magic = octets[:4]
            self.order = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">"}[magic]
            at = 24
        while at + 16 <= len(octets):
            seconds, micros, length, _ = struct.unpack(self.order + "IIII", octets[at:at + 16])
            if at + 16 + length > len(octets):
                break
            frames.append(self.read(seconds + micros / 1e6, octets[at + 16:at + 16 + length]))
            at += 16 + length
        self.at += at
        return frames
