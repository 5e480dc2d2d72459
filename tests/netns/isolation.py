# SPDX-License-Identifier: Apache-2.0
"""Hostile frames of every seat, each with what may become of it, and where it arrived.

  isolation.py P1_MAC P2_MAC UP0_MAC BLUE1_VID RED1_VID BLUE2_VID

Each frame ends with a mark of its own, by which it is found at every VM. Exits 1 if one arrived where it may not.
"""
import socket
import struct
import sys
import time

from isolation_frames import octets, wire

SETTLE = 0.25  # how long after the last frame one may still arrive
VMS = ("blue1", "blue2", "blue3", "blue4", "red1", "red2")


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def eth(to, source, kind, payload):
    return to + source + struct.pack("!H", kind) + payload


def tagged(frame, *tags):
    """With tags before its EtherType, outermost first: (TPID, TCI)."""
    return frame[:12] + b"".join(struct.pack("!HH", *tag) for tag in tags) + frame[12:]


def ipv4(source, to, protocol, payload, fragment=0, options=b""):
    size = 20 + len(options)
    head = struct.pack("!BBHHHBBH4s4s", 0x40 | size // 4, 0, size + len(payload), 7, fragment, 64, protocol, 0,
                       socket.inet_aton(source), socket.inet_aton(to)) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ipv6(source, to, following, payload):
    return (struct.pack("!IHBB", 6 << 28, len(payload), following, 255) + socket.inet_pton(socket.AF_INET6, source) +
            socket.inet_pton(socket.AF_INET6, to) + payload)


def udp(source, to, data=bytes(32)):
    return struct.pack("!HHHH", source, to, 8 + len(data), 0) + data


def arp(operation, mac, ip, to_ip="10.0.0.2"):
    return struct.pack("!HHBBH", 1, 0x800, 6, 4, operation) + mac + socket.inet_aton(ip) + bytes(6) + socket.inet_aton(to_ip)


def neighbour(kind, target, mac):
    return struct.pack("!BBHI", kind, 0, 0, 0) + socket.inet_pton(socket.AF_INET6, target) + bytes([2 if kind == 136 else 1, 1]) + mac


def extension(following, payload):
    return bytes([following, 0, 1, 4, 0, 0, 0, 0]) + payload


P1, P2, UP0 = (octets(text) for text in sys.argv[1:4])
BLUE1_VID, RED1_VID, BLUE2_VID = (int(text) for text in sys.argv[4:7])
BLUE = {n: octets(f"02:aa:00:00:00:0{n}") for n in range(1, 10)}
RED = {n: octets(f"02:bb:00:00:00:0{n}") for n in range(1, 3)}
RED9 = octets("02:aa:00:00:00:09")
NOBODY = octets("02:ee:00:00:00:01")
ALL, LINK, V6ALL = b"\xff" * 6, octets("01:80:c2:00:00:00"), octets("33:33:00:00:00:01")
LOCAL = 0x88B5
DATA = bytes(46)
ECP = bytes.fromhex("10010001" "0a10") + bytes(16) + bytes.fromhex("0819") + bytes(25) + bytes(2)
ADVERT = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
REDIRECT = struct.pack("!BBHI", 137, 0, 0, 0) + bytes(32)


def tenant():
    """(name, sender, frame, VMs that may have it)"""
    me, mac_only = BLUE[1], BLUE[4]
    everyone = {"blue2", "blue3", "blue4"}
    yield "own ARP", "blue1", eth(ALL, me, 0x806, arp(1, me, "10.0.0.1")), everyone
    yield "own IPv4 to blue2", "blue1", eth(BLUE[2], me, 0x800, ipv4("10.0.0.1", "10.0.0.2", 17, udp(9, 9))), {"blue2"}
    for name, mac in (("blue2", BLUE[2]), ("blue4", BLUE[4]), ("red1", RED[1]), ("nobody", NOBODY), ("zero", bytes(6)),
                      ("a group", octets("03:aa:00:00:00:01")), ("p1", P1), ("p2", P2), ("hv1's uplink", UP0)):
        yield f"source of {name}", "blue1", eth(ALL, mac, LOCAL, DATA), set()
    for name, mac in (("red1", RED[1]), ("red2", RED[2]), ("the remote red9", RED9), ("nobody", NOBODY), ("p1", P1),
                      ("p2", P2), ("hv1's uplink", UP0), ("itself", me)):
        yield f"unicast to {name}", "blue1", eth(mac, me, LOCAL, DATA), set()
    for kind in (0x8100, 0x88A8, 0x9100, 0x9200, 0x9300):
        for vid in (0, BLUE1_VID, RED1_VID, BLUE2_VID):
            inner = eth(ALL, me, 0x806, arp(2, me, "10.0.0.2"))
            yield f"tag {kind:04x} VID {vid}", "blue1", tagged(inner, (kind, vid)), set()
            yield f"tag {kind:04x} VID {vid} behind VID 0", "blue1", tagged(inner, (0x8100, 0), (kind, vid)), set()
            yield f"VID 0 behind tag {kind:04x} VID {vid}", "blue1", tagged(inner, (kind, vid), (0x8100, 0)), set()
    for kind, name in ((0x8940, "ECP"), (0x88CC, "LLDP"), (0x888E, "802.1X"), (0x88E5, "MACsec")):
        for to in (LINK, P1, ALL, BLUE[2], octets("03:53:4e:00:00:01")):
            yield f"{name} to {to.hex(':')}", "blue1", eth(to, me, kind, ECP), set()
            yield f"{name} to {to.hex(':')}, VID 0", "blue1", tagged(eth(to, me, kind, ECP), (0x8100, 0)), set()
    for last in range(16):
        yield f"link group {last:x}", "blue1", eth(LINK[:5] + bytes([last]), me, LOCAL, DATA), set()
    yield "LLC", "blue1", eth(ALL, me, 38, b"\x42\x42\x03" + bytes(43)), set()
    yield "IPv4 of blue2", "blue1", eth(ALL, me, 0x800, ipv4("10.0.0.2", "10.0.0.255", 17, udp(9, 9))), set()
    yield "IPv4 of blue2, a fragment", "blue1", eth(ALL, me, 0x800, ipv4("10.0.0.2", "10.0.0.255", 17, bytes(32), 0x2001)), set()
    yield "IPv6 of blue2", "blue1", eth(V6ALL, me, 0x86DD, ipv6("2001:db8::2", "ff02::1", 17, udp(9, 9))), set()
    yield "link-local of blue2", "blue1", eth(V6ALL, me, 0x86DD, ipv6("fe80::2", "ff02::1", 17, udp(9, 9))), set()
    for what, ip in (("reply", "10.0.0.2"), ("gratuitous", "10.0.0.3")):
        yield f"ARP of {ip}, {what}", "blue1", eth(ALL, me, 0x806, arp(2, me, ip, ip)), set()
    for target in ("2001:db8::2", "fe80::2"):
        message = neighbour(136, target, me)
        yield f"NA of {target}", "blue1", eth(V6ALL, me, 0x86DD, ipv6("2001:db8::1", "ff02::1", 58, message)), set()
        yield f"NA of {target} behind options", "blue1", eth(
            V6ALL, me, 0x86DD, ipv6("2001:db8::1", "ff02::1", 60, extension(58, message))), set()
    for who, mac, ip, ip6 in (("blue1", me, "10.0.0.1", "2001:db8::1"), ("blue4", mac_only, "10.0.0.4", "fe80::4")):
        for name, message in (("RA", ADVERT), ("redirect", REDIRECT)):
            yield f"{name} of {who}", who, eth(V6ALL, mac, 0x86DD, ipv6(ip6, "ff02::1", 58, message)), set()
            yield f"{name} of {who} behind options", who, eth(
                V6ALL, mac, 0x86DD, ipv6(ip6, "ff02::1", 0, extension(58, message))), set()
        yield f"DHCP server at {who}", who, eth(ALL, mac, 0x800, ipv4(ip, "255.255.255.255", 17, udp(67, 68))), set()
        yield f"DHCPv6 server at {who}", who, eth(V6ALL, mac, 0x86DD, ipv6(ip6, "ff02::1", 17, udp(547, 546))), set()


def vxlan(vni, inner, source="192.0.2.9", to="192.0.2.1", fragment=0, options=b""):
    return ipv4(source, to, 17, udp(50000, 4789, b"\x08\0\0\0" + struct.pack("!I", vni << 8) + inner), fragment, options)


def stations():
    """On the wire of an access port, where the hypervisor stands."""
    inner = eth(RED[1], RED9, LOCAL, DATA)
    for seat, port in (("hv1", P1), ("hv2", P2)):
        for vni, vn in ((70002, "red"), (70001, "blue"), (5, "unknown")):
            for source in ("192.0.2.9", "192.0.2.66"):
                for to in ("192.0.2.1", "192.0.2.2"):
                    outer = eth(port, NOBODY, 0x800, vxlan(vni, inner, source, to))
                    what = f"{seat}: VXLAN {vn} {source} to {to}"
                    yield what, seat, outer, set()
                    yield f"{what}, priority-tagged", seat, tagged(outer, (0x8100, 0xE000)), set()
                    yield f"{what}, in a VN's tag", seat, tagged(outer, (0x8100, BLUE1_VID)), set()
        for group in (LINK, ALL, octets("01:00:5e:00:00:01")):
            yield f"{seat}: VXLAN to {group.hex(':')}", seat, eth(group, NOBODY, 0x800, vxlan(70002, inner)), set()
        yield f"{seat}: VXLAN behind IP options", seat, eth(port, NOBODY, 0x800, vxlan(70002, inner, options=b"\1" * 8)), set()
        carried = vxlan(70002, inner)
        for protocol, name, payload in ((4, "IP in IP", carried), (47, "GRE", b"\0\0\x08\0" + carried)):
            yield f"{seat}: VXLAN in {name}", seat, eth(port, NOBODY, 0x800, ipv4("192.0.2.9", "192.0.2.1", protocol, payload)), set()
        for vid in (0, 1, RED1_VID, BLUE1_VID, BLUE2_VID, 4094, 4095):
            for name, mac in (("red1", RED[1]), ("blue3", BLUE[3]), ("nobody", NOBODY), ("the port", port)):
                if seat == "hv1" and name == "red1" and vid == RED1_VID:
                    continue  # this station runs red1
                yield f"{seat}: source of {name} in VID {vid}", seat, tagged(eth(ALL, mac, LOCAL, DATA), (0x8100, vid)), set()
            yield f"{seat}: ECP in VID {vid}", seat, tagged(eth(LINK, BLUE[1], 0x8940, ECP), (0x8100, max(vid, 1))), set()


def peers():
    """On the underlay, from an address that no nNVE of ours has, and in an nNVE's name."""
    to = socket_mac("sw1", "u0")
    for vni, vn in ((70001, "blue"), (70002, "red"), (7, "unknown")):
        for name, frame in (("unicast", eth(BLUE[1], RED9, LOCAL, DATA)), ("broadcast", eth(ALL, NOBODY, LOCAL, DATA))):
            yield f"peer: {name} in {vn}", "peer", eth(to, NOBODY, 0x800, vxlan(vni, frame, "192.0.2.66")), set()
    for name, frame in (("a tenant's source", eth(ALL, BLUE[1], LOCAL, DATA)), ("p1's source", eth(ALL, P1, LOCAL, DATA)),
                        ("to p1", eth(P1, NOBODY, LOCAL, DATA)), ("ECP", eth(LINK, NOBODY, 0x8940, ECP)),
                        ("a tag", tagged(eth(ALL, NOBODY, LOCAL, DATA), (0x8100, 5))),
                        ("an old tag", tagged(eth(ALL, NOBODY, LOCAL, DATA), (0x9200, 5))),
                        ("unknown unicast", eth(NOBODY, octets("02:ee:00:00:00:02"), LOCAL, DATA))):
        yield f"nNVE: {name}", "peer", eth(to, NOBODY, 0x800, vxlan(70001, frame)), set()
    yield "nNVE: broadcast in blue", "peer", eth(to, NOBODY, 0x800, vxlan(70001, eth(ALL, NOBODY, LOCAL, DATA))), {
        "blue1", "blue2", "blue3", "blue4"}


def socket_mac(namespace, interface):
    opened = wire(namespace, interface)
    return opened.getsockname()[4]


def marked(frame, number):
    """In the last octets of its data where it has some: what a tunnel's end unpacks is only what IP's length covers."""
    mark = b"SNVE" + struct.pack("!I", number)
    return (frame[:-len(mark)] if frame.endswith(bytes(len(mark))) else frame) + mark


def main():
    ears = {vm: wire(vm, "eth0", 3) for vm in VMS}
    mouths = {vm: wire(vm, "eth0") for vm in ("blue1", "blue4")}
    mouths.update({hv: wire(hv, "up0") for hv in ("hv1", "hv2")})
    mouths["peer"] = wire("peer", "u0")
    cases = [*tenant(), *stations(), *peers()]
    for number, (_, seat, frame, _) in enumerate(cases):
        mouths[seat].send(marked(frame, number))
        time.sleep(0.002)
    time.sleep(SETTLE)
    arrived = [set() for _ in cases]
    for vm, ear in ears.items():
        while True:
            try:
                data, address = ear.recvfrom(4096)
            except BlockingIOError:
                break
            at = data.rfind(b"SNVE")
            if address[2] == socket.PACKET_OUTGOING or at < 0 or len(data) < at + 8:
                continue
            arrived[struct.unpack("!I", data[at + 4:at + 8])[0]].add(vm)
    wrong = 0
    for (name, seat, _, may), vms in zip(cases, arrived):
        vms.discard(seat)
        # What shall arrive proves that the marks are found.
        good = vms == may
        wrong += not good
        if may or not good:
            print(f"    {name}: {', '.join(sorted(vms)) or 'nobody'}" + ("" if good else "   WRONG"))
    print(f"    {len(cases)} frames: {sum(not may for *_, may in cases)} hostile, {wrong} arrived otherwise than they may")
    return 1 if wrong else 0


sys.exit(main())
