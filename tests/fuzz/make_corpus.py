#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes corpus/ecp and corpus/vdp: distinct frames of the captures, and VDPDUs of shapes that no capture has.

Run it after adding a capture and commit what it wrote; inputs that are there already stay.
"""
import pathlib
import struct

FOLDER = pathlib.Path(__file__).resolve().parent
CAPTURES = FOLDER.parent / "data" / "captures"
ECP_ETHERTYPE = 0x8940
MANAGER = bytes.fromhex("0a10") + b"mgr1" + bytes(12)
HEAD = bytes.fromhex("00000001010511111111222233334444555555555501")


def frames(pcap):
    octets = pcap.read_bytes()
    magic = octets[:4]
    order = "<" if magic in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    at = 24
    while at < len(octets):
        (length,) = struct.unpack_from(order + "I", octets, at + 8)
        yield octets[at + 16 : at + 16 + length]
        at += 16 + length


def tlv(kind, value):
    return struct.pack(">H", (kind << 9) | len(value)) + value


def hand_made():
    entry = bytes.fromhex("0001117402aa0000000400670000")
    widths = {1: 2, 2: 8, 3: 6, 4: 12}
    for code, width in widths.items():
        most = (511 - 25) // width
        filled = HEAD + struct.pack(">BH", code, most) + (entry * 64)[: most * width]
        yield f"full-format-{code}", MANAGER + tlv(3, filled) + bytes(2)
        yield f"whole-vsi-format-{code}", MANAGER + tlv(4, HEAD + struct.pack(">BH", code, 0)) + bytes(2)
    yield "deassociate-22", MANAGER + tlv(4, HEAD)
    yield "deassociate-23", MANAGER + tlv(4, HEAD + b"\x00")
    yield "unknown-format", MANAGER + tlv(3, HEAD + bytes.fromhex("050001") + bytes(10))
    yield "count-65535", MANAGER + tlv(3, HEAD + bytes.fromhex("04ffff") + entry[:12])
    yield "unknown-tlvs", MANAGER + tlv(6, b"") + tlv(126, bytes(511)) + tlv(127, bytes.fromhex("02534e01")) + bytes(8)
    yield "second-manager", MANAGER + MANAGER
    yield "manager-only", MANAGER
    yield "end-only", bytes(46)
    yield "stray-octet", MANAGER + b"\x06"


def hand_made_frames():
    ethernet = bytes.fromhex("0180c2000000020000000001")
    vdpdu = MANAGER + tlv(3, HEAD + bytes.fromhex("0100010064")) + bytes(2)
    for name, tail in {
        "priority-tagged": "8100e000 8940 1001 0001",
        "vlan-tagged": "81000064 8940 1001 0001",
        "version-2": "8940 2001 0001",
        "operation-2": "8940 1801 0001",
        "subtype-pe-csp": "8940 1002 0001",
        "other-ethertype": "88b7 1001 0001",
    }.items():
        yield name, ethernet + bytes.fromhex(tail) + vdpdu
    yield "ack-18", ethernet + bytes.fromhex("8940 1401 0001")
    yield "truncated-header", ethernet + bytes.fromhex("8940 10")


def main():
    seen = set()
    wanted = {"ecp": dict(hand_made_frames()), "vdp": dict(hand_made())}
    for pcap in sorted(CAPTURES.glob("*.pcap")):
        for number, frame in enumerate(frames(pcap), 1):
            if struct.unpack_from(">H", frame, 12)[0] != ECP_ETHERTYPE:
                continue
            is_request = frame[14] & 0x0C == 0
            # One frame per shape: operation, length, and the first TLVs' types and status.
            shape = (frame[14], len(frame), frame[36:39] if is_request else b"")
            if shape in seen:
                continue
            seen.add(shape)
            name = f"{pcap.stem}-{number:02}"
            wanted["ecp"][name] = frame
            if is_request:
                wanted["vdp"][name] = frame[18:]
    for target, inputs in wanted.items():
        folder = FOLDER / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, octets in inputs.items():
            (folder / name).write_bytes(octets)
        print(f"corpus/{target}: {len(inputs)} inputs")


if __name__ == "__main__":
    main()
