# SPDX-License-Identifier: Apache-2.0
"""What hostile stations say about VMs and addresses that are not theirs, and what became of it.

  trespass.py VDPCTL SOCKET        (the topology of trespass.sh)

After each case the switch's TSIs are looked at: the VMs' rows must be as before, and no address of theirs, of a port, of
another nNVE or of nobody may stand in anybody else's. Exits 1 if one does.
"""
import json
import os
import socket
import subprocess
import sys
import time
import uuid

from vdp_frames import (ASSOCIATE, DE_ASSOCIATE, ETHERTYPE, GROUP, GROUP_MAC_IPV4, GROUP_MAC_IPV4_PREFIX, GROUP_MAC_IPV6,
                        GROUP_MAC_IPV6_PREFIX, GROUP_MAC_VID, GROUP_VID, MIGRATES, PRE_ASSOCIATE, PRE_ASSOCIATE_RR, SUSPENDED,
                        Station, association, capabilities, ecp, entry, lldp, octets, ours, vdpdu, vn_request, wire)

VDPCTL, SOCKET = sys.argv[1:3]
BLUE, RED, UNKNOWN = 70001, 70002, 70009
PORTS = {"p1": ("hv1", "plain"), "p2": ("hv2", "direct"), "p3": ("hv3", "require"), "p4": ("hv4", "direct")}
PLACES = {"blue1": "p1", "red1": "p1", "blue2": "p2", "blue3": "p3", "blue4": "p4"}
ATTACKED_FROM = ("p1", "p2", "p3")
IPV4, IPV6 = socket.AF_INET, socket.AF_INET6


def vn_of(vm):
    return RED if vm.startswith("red") else BLUE


def vsi_of(vm):
    return uuid.UUID(("4ed00000" if vn_of(vm) == RED else "b1000000") + f"-0000-4000-8000-00000000000{vm[-1]}").bytes


def mac_of(vm):
    return octets(f"02:{'bb' if vn_of(vm) == RED else 'aa'}:00:00:00:0{vm[-1]}")


def ip(text):
    return socket.inet_pton(IPV6 if ":" in text else IPV4, text)


def tsis():
    shown = subprocess.run([VDPCTL, "-j", "-s", SOCKET, "tsi", "show"], capture_output=True, text=True, check=True)
    return json.loads(shown.stdout)


def row_of(vm):
    """What must not change of a VM; None if it is not there as it was."""
    for row in tsis():
        if row["vsi"] == str(uuid.UUID(bytes=vsi_of(vm))) and row["port"] == PLACES[vm]:
            return (row["state"], row["vid"], row["superseded"], sorted((a["mac"], a["active"], *a["ips"]) for a in row["addresses"]))
    return None


def station_mac(namespace):
    return wire(namespace, "up0").getsockname()[4]


class Seat:
    """A hostile station at a port, with names to speak in."""

    def __init__(self, port):
        self.port, (self.namespace, self.kind) = port, PORTS[port]
        self.wire = wire(self.namespace, "up0", ETHERTYPE)
        self.station = Station(self.wire, octets(f"02:0b:ad:00:00:0{port[1]}"))
        self.next = 0

    def vsi(self):
        self.next += 1
        return bytes([0xBA, int(self.port[1])]) + self.next.to_bytes(14, "big")

    def own_mac(self):
        return bytes([2, 0x66, int(self.port[1])]) + self.next.to_bytes(3, "big")


def claims(seat, vm):
    """(name, VDPDU): everything that can be said of another port's VM, its VSI and its addresses."""
    vn, vsi, mac = vn_of(vm), vsi_of(vm), mac_of(vm)
    mine = [entry(vn, mac)]
    for name, command, status in (("pre-associates", PRE_ASSOCIATE, 0), ("reserves", PRE_ASSOCIATE_RR, 0), ("associates", ASSOCIATE, 0),
                                  ("migrates", ASSOCIATE, MIGRATES), ("suspends", ASSOCIATE, SUSPENDED),
                                  ("migrates to a reservation of", PRE_ASSOCIATE_RR, MIGRATES)):
        yield f"{name} its MAC under another VSI", association(command, seat.vsi(), mine, status=status)
        yield f"{name} its VSI", association(command, vsi, mine, status=status)
    yield "de-associates it", association(DE_ASSOCIATE, vsi, [], count=0)
    yield "de-associates its MAC", association(DE_ASSOCIATE, vsi, mine)
    yield "de-associates its VN", association(DE_ASSOCIATE, vsi, [entry(vn)], GROUP_VID)
    yield "associates its VSI without a MAC", association(ASSOCIATE, vsi, [entry(vn)], GROUP_VID)
    yield "associates its VSI in the other VN", association(ASSOCIATE, vsi, [entry(RED + BLUE - vn, mac)])
    number = vm[-1]
    for name, form, address in (("IPv4", GROUP_MAC_IPV4, ip(f"10.0.0.{number}")), ("IPv6", GROUP_MAC_IPV6, ip(f"2001:db8::{number}")),
                                ("IPv4 in a prefix", GROUP_MAC_IPV4_PREFIX, ip("10.0.0.0") + b"\x1c"),
                                ("IPv4 in a wide prefix", GROUP_MAC_IPV4_PREFIX, ip("0.0.0.0") + b"\0"),
                                ("IPv6 in a prefix", GROUP_MAC_IPV6_PREFIX, ip("2001:db8::") + b"\x78"),
                                ("IPv6 in a wide prefix", GROUP_MAC_IPV6_PREFIX, ip("2001::") + b"\x10")):
        for command in (PRE_ASSOCIATE_RR, ASSOCIATE):
            vsi_mine = seat.vsi()
            yield f"{'associates' if command == ASSOCIATE else 'reserves'} its {name} with a MAC of one's own", association(
                command, vsi_mine, [entry(vn, seat.own_mac(), address)], form)


def oddities(seat):
    """(name, VDPDU): addresses that no VM may have, VNs and VIDs that are not this station's."""
    nobodys = {f"MAC of {port}": octets(open_mac(port)) for port in PORTS}
    nobodys.update({"a remote's MAC": octets("02:bb:00:00:00:09"), "a group MAC": octets("01:00:5e:00:00:01"), "no MAC": bytes(6),
                    "broadcast": b"\xff" * 6, "a virtual router's MAC": octets("00:00:5e:00:01:01"),
                    "LLDP's group": GROUP})
    for name, mac in nobodys.items():
        for vn in (BLUE, RED):
            if name == "a remote's MAC" and vn == BLUE:
                continue  # it is red's
            yield f"associates {name} in {'red' if vn == RED else 'blue'}", association(ASSOCIATE, seat.vsi(), [entry(vn, mac)])
    for name, form, address in (("a reserved IPv4", GROUP_MAC_IPV4, ip("10.0.0.254")), ("a reserved IPv6", GROUP_MAC_IPV6, ip("2001:db8:fe::1")),
                                ("0.0.0.0", GROUP_MAC_IPV4, bytes(4)), ("::", GROUP_MAC_IPV6, bytes(16)),
                                ("a multicast IP", GROUP_MAC_IPV4, ip("224.0.0.5"))):
        yield f"associates {name}", association(ASSOCIATE, seat.vsi(), [entry(BLUE, seat.own_mac(), address)], form)
    yield "an unknown VN", association(ASSOCIATE, seat.vsi(), [entry(UNKNOWN, seat.own_mac())])
    yield "VN 0", association(ASSOCIATE, seat.vsi(), [entry(0, seat.own_mac())])
    for vm, place in PLACES.items():
        if place == seat.port or vn_of(vm) == RED:
            yield f"blue with the VID of {vm}'s VN", association(ASSOCIATE, seat.vsi(), [entry(
                RED if vn_of(vm) == BLUE else BLUE, seat.own_mac(), vid=VIDS[vm])])
    for form in (0, 5, 9, 0x7F, 0x80, 0x84, 0xFF):
        yield f"filter format {form}", association(ASSOCIATE, seat.vsi(), [bytes(26)], form)
    yield "a count beyond its entries", association(ASSOCIATE, seat.vsi(), [entry(BLUE, seat.own_mac())], count=500)
    yield "disconnects blue", vn_request(2, BLUE)
    yield "disconnects blue and all in it", vn_request(3, BLUE)
    yield "connects blue with red1's VID", vn_request(1, BLUE, VIDS["red1"])
    for name, flags, role in (("no flags", 0, 1), ("all flags", 0xFFFFFFFF, 1), ("a bridge's", 0x19C, 2)):
        yield f"capabilities: {name}", capabilities(seat.station.system, seat.station.epoch, seat.station.nonce, flags, role)
    yield "a forged seal", ours(3, bytes(40))


def open_mac(port):
    return subprocess.run(["nsenter", "--net=/run/netns/sw1", "ip", "-j", "link", "show", "dev", port], capture_output=True,
                          text=True, check=True).stdout.split('"address":"')[1][:17]


class Judge:
    def __init__(self):
        self.before = {vm: row_of(vm) for vm in PLACES}
        assert all(row and row[0] == "activated" and not row[2] for row in self.before.values()), self.before
        self.protected = {(vn_of(vm), mac_of(vm).hex(":")) for vm in PLACES} | {(RED, "02:bb:00:00:00:09")}
        self.protected |= {(vn, open_mac(port)) for port in PORTS for vn in (BLUE, RED)}
        self.ips = {f"10.0.0.{n}" for n in range(1, 5)} | {f"2001:db8::{n}" for n in range(1, 5)} | {"10.0.0.254", "2001:db8:fe::1"}
        self.cases = self.wrong = 0

    def look(self, name):
        """Says and counts what is not as it shall be."""
        self.cases += 1
        faults = [f"{vm} is {row_of(vm)}" for vm, row in self.before.items() if row_of(vm) != row]
        victims = {(str(uuid.UUID(bytes=vsi_of(vm))), place) for vm, place in PLACES.items()}
        for row in tsis():
            if (row["vsi"], row["port"]) in victims:
                continue
            for address in row["addresses"]:
                taken = (row["vn"], address["mac"]) in self.protected or self.ips & {one.split("/")[0] for one in address["ips"]}
                if taken or any(wide in address["ips"] for wide in ("0.0.0.0/0", "2001::/16", "10.0.0.0/28", "2001:db8::/120")):
                    faults.append(f"{row['vsi']} at {row['port']} has {address['mac']} {address['ips']} ({row['state']})")
        self.wrong += bool(faults)
        for fault in faults:
            print(f"    {name}: {fault}   WRONG")
        return not faults


def leave(seat):
    """What the hostile station got of its own is given back."""
    for row in tsis():
        if row["port"] == seat.port and row["vsi"].startswith("ba"):
            seat.station.say(vdpdu(association(DE_ASSOCIATE, uuid.UUID(row["vsi"]).bytes, [], count=0), seat.station.shows()))


def speak(judge, seat):
    """The whole catalogue of one seat in its own name; then the worst of it in others' names and to other destinations."""
    station, admitted, answers = seat.station, 0, {}
    station.say(vdpdu(station.shows()))
    trusted = {vm for vm in PLACES if seat.kind == "direct" and PORTS[PLACES[vm]][1] == "direct"}
    cases = [(f"of {vm}: {name}", tlv) for vm in PLACES if vm not in trusted and (PLACES[vm] != seat.port or seat.kind == "require")
             for name, tlv in claims(seat, vm)]
    cases += list(oddities(seat))
    for name, tlv in cases:
        heard = station.say(vdpdu(tlv, station.shows()))
        for _, status in station.answers[:1]:
            answers[status & 15] = answers.get(status & 15, 0) + 1
        admitted += heard
        if not judge.look(f"{seat.port} ({seat.kind}): {name}") or len(tsis()) > len(PLACES) + 8:
            leave(seat)
    leave(seat)
    told = ", ".join(f"code {code}: {count}" for code, count in sorted(answers.items())) or "none"
    print(f"    {seat.port} ({seat.kind}): {len(cases)} things said in its own name, {admitted} acknowledged; answers: {told}")


def usurp(judge, seat):
    """In the names of all hypervisors but, where signatures are not asked for, this port's own; to every destination."""
    said = 0
    for namespace, name in NAMES.items():
        own = namespace == seat.namespace
        for vm in PLACES:
            if own and seat.kind != "require":
                continue  # whoever may send in a station's name speaks for it (SECURITY.md)
            forged = Station(seat.wire, name)
            for destination in (GROUP, octets(open_mac(seat.port)), octets("01:80:c2:00:00:0e"), octets("03:53:4e:00:00:01"), b"\xff" * 6):
                for tlvs in ((association(DE_ASSOCIATE, vsi_of(vm), [], count=0),),
                             (association(DE_ASSOCIATE, vsi_of(vm), [], count=0), capabilities(os.urandom(16), 9, os.urandom(16)))):
                    said += 1
                    seat.wire.send(ecp(name, os.urandom(1)[0], vdpdu(*tlvs), destination))
            del forged
        for seconds, evb in ((0, None), (3600, octets("000fffbfff")), (3600, octets("0008000000")), (120, octets("00086c8014ff"))):
            said += 1
            seat.wire.send(lldp(name, seconds, evb))
    time.sleep(0.3)
    judge.look(f"{seat.port} ({seat.kind}): in others' names")
    print(f"    {seat.port} ({seat.kind}): {said} frames in others' names")


def replay(judge, ear):
    """What hv3 signed, again: at its own port, at the others', and back to itself."""
    signed, until = [], time.monotonic() + 4
    while time.monotonic() < until and len(signed) < 6:
        try:
            frame, address = ear.recvfrom(2048)
        except BlockingIOError:
            time.sleep(0.02)
            continue
        if address[2] != socket.PACKET_OUTGOING and frame[6:12] == NAMES["hv3"]:
            signed.append(frame)
    assert signed, "hv3 said nothing for 4 s"
    for port, (namespace, kind) in PORTS.items():
        mouth = wire(namespace, "up0", ETHERTYPE)
        for frame in signed:
            for cut in (frame, frame[:-1], frame[:40], frame[:30] + bytes([frame[30] ^ 1]) + frame[31:]):
                mouth.send(cut.ljust(60, b"\0"))
        time.sleep(0.2)
        judge.look(f"{port} ({kind}): hv3's frames again")
    reflector = wire("sw1", "p3", ETHERTYPE)
    for frame in signed:
        reflector.send(frame[6:12] + frame[0:6] + frame[12:])
    time.sleep(0.2)
    judge.look("hv3's frames back to itself")
    print(f"    {len(signed)} signed frames of hv3 replayed, cut and changed at {len(PORTS)} ports, and reflected")


def by_trust(seat):
    """The one thing that may be taken: a running VM, from one direct port to another (S6). Named, and the last case."""
    station = seat.station
    station.say(vdpdu(association(ASSOCIATE, vsi_of("blue4"), [entry(BLUE, mac_of("blue4"))], status=MIGRATES), station.shows()))
    rows = [row for row in tsis() if row["vsi"] == str(uuid.UUID(bytes=vsi_of("blue4")))]
    taken = [row["port"] for row in rows if row["state"] == "activated" and not row["superseded"]]
    print(f"    taken, because p2 and p4 both say \"direct\": blue4, now at {', '.join(taken)}")
    return taken == ["p2"]


NAMES = {namespace: station_mac(namespace) for namespace, _ in PORTS.values()}
VIDS = {vm: next(row["vid"] for row in tsis() if row["vsi"] == str(uuid.UUID(bytes=vsi_of(vm)))) for vm in PLACES}


def main():
    judge = Judge()
    ear = wire("sw1", "p3", ETHERTYPE)
    seats = [Seat(port) for port in ATTACKED_FROM]
    for seat in seats:
        speak(judge, seat)
        usurp(judge, seat)
    replay(judge, ear)
    trusted = by_trust(seats[1])
    print(f"    {judge.cases} cases: {judge.wrong} took or ended something")
    return 1 if judge.wrong or not trusted else 0


sys.exit(main())
