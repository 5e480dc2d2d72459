#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes corpus/*: distinct frames of the captures, VDPDUs of shapes that no capture has, configurations, control
lines, stored records, and histories of the two agents.

Run it after adding a capture and commit what it wrote; inputs that are there already stay.
"""
import json
import pathlib
import random
import struct

FOLDER = pathlib.Path(__file__).resolve().parent
CAPTURES = FOLDER.parent / "data" / "captures"
ECP_ETHERTYPE = 0x8940
LLDP_ETHERTYPE = 0x88CC
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
    for code, width in {5: 10, 6: 22, 7: 16, 8: 28, 0x85: 11, 0x86: 23, 0x87: 17, 0x88: 29}.items():
        yield f"ip-format-{code:02x}", MANAGER + tlv(3, HEAD + struct.pack(">BH", code, 2) + bytes(2 * width)) + bytes(2)
        most = (511 - 25) // width
        yield f"full-format-{code:02x}", MANAGER + tlv(1, HEAD + struct.pack(">BH", code, most) + bytes(most * width))
    for name, tail in {"host-bits": "c0000201 18", "prefix-33": "c0000200 21", "prefix-24": "c0000200 18"}.items():
        entry_of_5 = bytes.fromhex("00011174" + tail + "0064")
        yield name, MANAGER + tlv(3, HEAD + bytes.fromhex("850001") + entry_of_5) + bytes(2)
    for name, value in {
        "capabilities": "01 01 01 000003ff" + "11" * 16 + "0000000000000007" + "22" * 16,
        "capabilities-version-0": "01 00 01 000003ff" + "11" * 16 + "0000000000000007" + "22" * 16,
        "capabilities-longer": "01 02 02 ffffffff" + "11" * 16 + "0000000000000007" + "22" * 16 + "33",
        "migration": "02 02",
        "migration-4": "02 04",
        "vn-name": "03" + "44" * 16,
        "vn-request": "04 01 00011174 00 0000",
        "vn-answer": "04 02 00011174 64 f064",
        "reason": "05 0003" + b"the VN is unknown \x1b[31m".hex(),
        "reason-empty": "05 0000",
        "reason-long": "05 0003" + "41" * 65,
        "authentication": "06 0001 0000000000000001 0000000000000002" + "55" * 16,
        "subtype-7": "07 01",
        "capabilities-2": "01 02 02 000013ff" + "11" * 16 + "0000000000000007" + "22" * 16 + "688014" + "00" * 7 + "09 02 006400c7 012c018f",
        "capabilities-2-station": "01 02 01 000013ff" + "11" * 16 + "0000000000000007" + "22" * 16 + "68f494" + "00" * 8 + "00",
        "capabilities-2-cut": "01 02 02 000003ff" + "11" * 16 + "0000000000000007" + "22" * 16 + "688014" + "00" * 8 + "02 006400c7",
        "capabilities-2-ranges": "01 02 02 000003ff" + "11" * 16 + "0000000000000007" + "22" * 16 + "688014" + "00" * 8 + "ff",
        "capabilities-2-backwards": "01 02 02 000003ff" + "11" * 16 + "0000000000000007" + "22" * 16 + "688014" + "00" * 8 + "01 00c70064",
        "standing": "07 01 00 05" + "11" * 16 + "00011174",
        "standing-end": "07 02 02 00" + "00" * 16 + "00000000",
        "standing-3": "07 03 00 05" + "11" * 16 + "00011174",
        "vn-attributes": "09 00011174 0001",
        "vn-attributes-long": "09 00011174 000100",
    }.items():
        yield "our-" + name, MANAGER + tlv(127, bytes.fromhex("02534e" + value)) + bytes(2)
    sealed = tlv(127, bytes.fromhex("02534e06 0001") + bytes(32))
    yield "behind-authentication", MANAGER + sealed + tlv(127, bytes.fromhex("02534e0202")) + bytes(2)
    yield "unknown-format", MANAGER + tlv(3, HEAD + bytes.fromhex("090001") + bytes(10))
    yield "count-65535", MANAGER + tlv(3, HEAD + bytes.fromhex("04ffff") + entry[:12])
    yield "unknown-tlvs", MANAGER + tlv(6, b"") + tlv(126, bytes(511)) + tlv(127, bytes.fromhex("02534e01")) + bytes(8)
    yield "second-manager", MANAGER + MANAGER
    yield "manager-only", MANAGER
    yield "end-only", bytes(46)
    yield "stray-octet", MANAGER + b"\x06"


def hand_made_lldp():
    ethernet = bytes.fromhex("0180c200000002000000000288cc")
    names = tlv(1, bytes.fromhex("04020000000002")) + tlv(2, b"\x05eth0")
    ttl = tlv(3, bytes.fromhex("0078"))
    evb = tlv(127, bytes.fromhex("0080c20d0700aa5608"))
    yield "goodbye", ethernet + names + tlv(3, bytes(2)) + bytes(2)
    yield "no-evb", ethernet + names + ttl + tlv(5, b"switch") + bytes(2)
    yield "others", ethernet + names + ttl + tlv(4, b"port") + tlv(127, bytes.fromhex("00120f010203")) + evb + bytes(2)
    yield "greatest", ethernet + names + ttl + tlv(127, bytes.fromhex("0080c20dffffffffff")) + bytes(2)
    yield "bridge-greatest", ethernet + names + ttl + tlv(127, bytes.fromhex("0080c20d07ffff5f1f")) + bytes(2)
    yield "long-id", ethernet + tlv(1, b"\x07" + b"c" * 255) + tlv(2, b"\x07" + b"\x1b" * 255) + ttl + evb
    yield "two-evb", ethernet + names + ttl + evb + evb
    yield "out-of-order", ethernet + ttl + names
    yield "priority-tagged", ethernet[:12] + bytes.fromhex("8100e00088cc") + names + ttl + evb


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


DEEP = 2000
VSI = "11111111-2222-3333-4444-5555555555%02x"


def configs():
    for path in sorted((FOLDER.parent.parent / "conf").glob("*.jsonc")):
        yield path.stem, path.read_bytes()
    vns = [{"id": 1, "alias": "a"}, {"id": 2, "alias": "b", "vni": 7, "name": VSI % 1}]
    switch = {"role": "nnved", "instance": "x", "vns": vns, "ports": [
        {"interface": "p1", "segment": "s", "vids": "2-3", "legacy": True, "static_vids": [{"vid": 2, "vn": "a"}]},
        {"interface": "p2", "segment": "s", "vids": "2-3", "stations": ["02:00:00:00:00:01"], "vns": ["a", "2"]}],
        "types": [{"manager": "mgr", "type": 1, "version": 1, "vn": "a"}],
        "vxlan": {"interface": "vx", "local": "2001:db8::1"}, "decision_deadline_ms": 100, "vid_quarantine_ms": 0,
        "limits": {"instances": 1, "instances_per_station": 1}}
    host = {"role": "tnved", "instance": "x", "vns": vns, "manager": VSI % 2, "type": {"id": 9, "version": 255},
        "uplinks": [{"interface": "u1", "vns": ["a"], "format": "mac-vid"}, {"interface": "u2", "vns": ["b"]}]}
    yield "switch-all-keys", json.dumps(switch).encode()
    yield "host-all-keys", json.dumps(host).encode()
    yield "wrong-everywhere", b'{"role":1,"ports":[{"vids":"9-1"},7],"vns":[{"id":0},{"id":-1}],"x":null}'
    yield "twice", b'{"a":1,\n"a":2}'
    yield "comments", b'/* a */ { // b\n "role": "nnved" /* c'
    yield "deep", b'{"a":' + b"[" * DEEP + b"]" * DEEP + b"}"


def control_lines():
    def line(verb, **args):
        return json.dumps({"id": 1, "verb": "tsi." + verb, "args": args}).encode()

    one = {"vsi": VSI % 1, "vn": "blue", "macs": ["02:aa:00:00:00:01"], "interface": "tap1"}
    verbs = "start pause suspend resume migrate-out abort migrate-in shutdown".split()
    yield "life", b"\n".join([line("create", **one)] + [line(verb, **one) for verb in verbs])
    addresses = [line(verb + "-address", vsi=VSI % 1, macs=["02:aa:00:00:00:02"]) for verb in ("add", "deactivate", "activate", "remove")]
    yield "addresses", b"\n".join([line("create", **one)] + addresses)
    yield "trunk", line("create", **{**one, "vn": 70002, "guest_tag": 100, "macs": ["02:aa:00:00:00:03", "02:aa:00:00:00:04"]})
    yield "remove", line("remove", instance=1)
    yield "wide-numbers", line("create", **{**one, "guest_tag": 2**32}) + b"\n" + line("remove", instance=2**32 + 1)
    yield "wrong-types", line("create", vsi=1, vn=[], macs={}, interface=7) + b"\n" + line("start", vsi=VSI % 1, interface={})
    yield "not-requests", b'[]\n{"id":1}\n{"id":"x","verb":"y"}\n{"id":1,"verb":2}\n{"id":1,"verb":"a","args":3}\n{'
    yield "deep", b'{"id":1,"verb":"tsi.show","args":{"a":' + b"[" * DEEP + b"]" * DEEP + b"}}"


def switch_record(vsi=1, vn=70001, vid=100, kind=4, name=b"p1", macs=((1, 1, 1),), flags=0, station=1):
    octets = struct.pack(">BBB", 1, flags, 5) + bytes(15) + bytes([vsi]) + bytes(16) + struct.pack(">IBIHB", 1, 1, vn, vid, kind)
    octets += bytes.fromhex("0200000003") + bytes([station]) + struct.pack(">IB", 1, len(name)) + name
    octets += struct.pack(">H", len(macs))
    for mac, address_flags, generation in macs:
        octets += bytes.fromhex("02aa000000") + bytes([mac]) + struct.pack(">BI", address_flags, generation)
    return octets


def host_record(vsi=1, vn=70001, vid=100, name=b"tap1", port=16, macs=((1, 2),), vm=1, version=2, uplink=1, tag=0):
    octets = struct.pack(">BBBIIHB", version, vm, 0, uplink, vn, tag, 5) + bytes(15) + bytes([vsi]) + bytes(16)
    octets += struct.pack(">IBIB", 1, 1, port, len(name)) + name + struct.pack(">H", len(macs))
    for mac, level in macs:
        octets += bytes.fromhex("02aa000000") + bytes([mac]) + struct.pack(">BH", level, vid) + (b"\x02\x00" if version > 1 else b"")
    return octets


def records():
    def store(*values):
        octets = b""
        for number, value in enumerate(values, 1):
            octets += struct.pack(">BH", number << 4 | 2, len(value)) + value
        return octets

    yield "switch-one", store(switch_record(macs=((1, 5, 1), (2, 0, 0))))
    yield "switch-two-vids", store(switch_record(), switch_record(vsi=2, vid=101, macs=((3, 1, 1), (4, 1, 1))))
    yield "switch-same-address", store(switch_record(macs=((1, 1, 1), (2, 1, 9))), switch_record(vsi=2, macs=((1, 1, 2), (2, 2, 7))))
    yield "switch-two-stations", store(switch_record(macs=((1, 7, 1), (2, 3, 9))), switch_record(station=2, macs=((1, 1, 2), (2, 5, 7))))
    yield "switch-legacy", store(switch_record(kind=1, name=b"p2", macs=((0, 1, 1), (5, 1, 1))))
    yield "host-one", store(host_record(macs=((1, 2), (2, 1))))
    yield "host-trunk", store(host_record(tag=10, macs=((1, 2), (2, 1))), host_record(vsi=2, vn=70002, tag=11, macs=((1, 2), (3, 0))))
    yield "host-version-1", store(host_record(version=1, vm=3, macs=((1, 2), (2, 2))))
    yield "host-leaving", store(host_record(vm=5, macs=((1, 1), (1, 2))))


def histories():
    """Start states with few operations, and random ones: the operations are in pair.cpp."""
    for shape in range(256):
        if shape in (0, 1, 2, 16, 17, 19, 20, 25, 31, 49, 51, 63, 81, 145, 193, 209, 211, 249):
            yield f"start-{shape:02}", bytes([shape, 6]) + bytes(12) + bytes([12, 10, 10, 12])
    for name, operations in {
        "migrate": [6, 6, 0, 0, 12, 9, 3, 6, 8, 0, 0, 12, 6, 7, 1, 0, 12, 6, 4, 1, 0, 12],
        "crashes": [11, 1, 1, 12, 9, 4, 11, 0, 1, 12, 9, 6, 12],
        "flaps": [8, 0, 0, 9, 4, 8, 0, 0, 12, 8, 1, 1, 9, 6, 8, 1, 1, 12],
        "removed": [13, 0, 12, 6, 1, 0, 0, 12, 13, 1, 11, 1, 3, 12],
        "addresses": [7, 0, 0, 6, 12, 7, 2, 0, 1, 12, 7, 3, 0, 1, 12, 7, 1, 0, 2, 12],
        "failures": [6, 1, 1, 0, 0, 0, 0, 14, 1, 2, 1, 14, 1, 0, 2, 1, 0, 14, 1, 1, 1, 9, 5, 12],
        "stranger": [4, 1, 0, 0, 1, 0, 0, 1, 0, 0, 2, 0, 3, 0, 4, 1, 0, 1, 0, 12],
        "changed-frames": [6, 0, 0, 0, 3, 0, 0, 5, 255, 3, 0, 0, 40, 3, 12],
    }.items():
        yield name, bytes([17, 3]) + bytes(6) + bytes(operations)
        yield "signed-" + name, bytes([209, 3]) + bytes(6) + bytes(operations)
    for name, operations in {
        "replayed": [6, 7, 0, 0, 2, 0, 2, 0, 12, 9, 4, 2, 0, 0, 0, 11, 1, 0, 12, 2, 0, 12],
        "cut": [6, 7, 0, 0, 3, 0, 0xF1, 20, 0, 12, 6, 7, 1, 0, 3, 0, 0xFF, 0, 0, 12],
        "forged": [4, 1, 0, 0, 0, 6, 5, 1, 0, 1, 7] + [9] * 16 + [1, 0, 1, 12],
        "offers": [11, 3, 0, 0, 4, 12, 9, 5, 7, 2, 0, 1, 12, 11, 2, 0, 1, 255, 12, 9, 5, 7, 3, 0, 1, 12],
        "operator": [13, 7, 0, 0, 0, 0, 0, 12, 13, 6, 0, 0, 0, 1, 12, 13, 1, 0, 0, 0, 12, 7, 3, 0, 1, 12],
    }.items():
        for shape in (17, 81, 145, 209):
            yield f"{name}-{shape}", bytes([shape, 3]) + bytes(6) + bytes(operations)
    for seed in range(12):
        yield f"random-{seed:02}", random.Random(seed).randbytes(60 + 40 * seed)


def main():
    seen = set()
    wanted = {"ecp": dict(hand_made_frames()), "evb": dict(hand_made_lldp()), "vdp": dict(hand_made()), "config": dict(configs()),
              "control": dict(control_lines()), "record": dict(records()), "agent": dict(histories())}
    for pcap in sorted(CAPTURES.glob("*.pcap")):
        for number, frame in enumerate(frames(pcap), 1):
            (ether_type,) = struct.unpack_from(">H", frame, 12)
            if ether_type == LLDP_ETHERTYPE and frame not in wanted["evb"].values():
                wanted["evb"][f"{pcap.stem}-{number:02}"] = frame
            if ether_type != ECP_ETHERTYPE:
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
