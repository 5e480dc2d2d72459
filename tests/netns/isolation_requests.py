# SPDX-License-Identifier: Apache-2.0
"""What a station without a right to it can ask one switch for: every request of every seat, its answer, and what became of the VMs.

  isolation_requests.py VDPCTL SOCKET FACTS

FACTS: JSON of `macs` (interfaces of ours), `stations` (MACs of hv1 to hv3), `vids` of the VMs. Prints a line per case; exits 1 if a VM
ended, moved, or lost an address otherwise than the trust that was declared allows, or if a case was answered otherwise than it may be.
"""
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
import uuid

from isolation_frames import GROUP, LLDP_GROUP, association, capabilities, ecp, entry, evb_lldp, octets, pdu, vn_request, wire

VDPCTL, SOCKET, FACTS = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
BLUE, RED = 70001, 70002
VMS = {"blue1": (1, BLUE, "p1"), "blue4": (4, BLUE, "p1"), "red1": (11, RED, "p1"), "blue2": (2, BLUE, "p2"),
       "red2": (12, RED, "p2"), "blue3": (3, BLUE, "p3")}
IPS = {"blue1": ("10.0.0.1", "2001:db8::1"), "blue2": ("10.0.0.2", "2001:db8::2"), "blue3": ("10.0.0.3", None)}


def show(what, of=SOCKET):
    out = subprocess.run([VDPCTL, "-s", of, "-j", what, "show"], capture_output=True, text=True, check=True)
    return json.loads(out.stdout)


class Vm:
    def __init__(self, name):
        row = FACTS["vms"][name]
        self.name, self.vn, self.port = name, VMS[name][1], VMS[name][2]
        self.vsi, self.mac, self.vid = uuid.UUID(row["vsi"]).bytes, octets(row["mac"]), int(row["vid"])
        self.station = FACTS["stations"][self.port.replace("p", "hv")]


class Seat:
    """A hostile station: what it sends is acknowledged or not, and answered by codes."""

    def __init__(self, name, namespace, port, mac, silent=False):
        self.name, self.port, self.mac, self.silent = name, port, mac, silent
        self.socket = wire(namespace, "up0", 0x8940)
        self.raw = wire(namespace, "up0")
        self.sequence = int.from_bytes(os.urandom(2), "big")
        self.me = (os.urandom(16), os.urandom(16))
        self.seen = None

    def show(self):
        return capabilities(*self.me)

    def send(self, payload, to=None, source=None, seconds=1.0):
        """(acknowledged, [(command, code)]); waits for as many answers as there are association TLVs."""
        self.sequence = self.sequence + 1 & 0xFFFF
        source = source or self.mac
        wanted = len(codes(payload, asked=True))
        acked, answers = False, []
        until = time.monotonic() + (0.12 if self.silent else seconds)
        self.socket.send(ecp(source, self.sequence, payload, to=to or octets(FACTS["macs"][self.port])))
        while (left := until - time.monotonic()) > 0 and not (acked and len(answers) >= wanted):
            if not select.select([self.socket], [], [], left)[0]:
                break
            frame = self.socket.recv(2048)
            if frame[12:14] != b"\x89\x40" or frame[:6] != source:
                continue  # hv2's, who is on the same wire
            head, sequence = struct.unpack("!HH", frame[14:18])
            if head >> 10 & 3:
                acked = acked or sequence == self.sequence
                continue
            self.socket.send(ecp(source, sequence, b"", True, to=frame[6:12]))
            if sequence != self.seen:
                self.seen = sequence
                answers += codes(frame[18:])
        return acked, answers


def codes(payload, asked=False):
    """Of its association TLVs: (command, code)."""
    at, out = 0, []
    while at + 2 <= len(payload):
        word, = struct.unpack("!H", payload[at:at + 2])
        kind, length = word >> 9, word & 511
        if kind == 0:
            break
        if 1 <= kind <= 4 and (asked or payload[at + 2] & 0x40):
            out.append((kind, payload[at + 2] & 15))
        at += 2 + length
    return out


MINE, OTHER = bytes([0xAB] * 16), bytes([0xAC] * 16)
MY_MAC = octets("02:66:00:00:00:01")
PRE, ASSOCIATE, END = 1, 3, 4
MIGRATES = 0x10


def requests(vms, own_port):
    """(name, TLVs, what it may come to). `no`: refused; `none`: granted, and there is nothing that it could touch; `own`: something of the
    station's own; `take`: a takeover that is signalled, which declared trust decides."""
    for vm in vms:
        all_of_it = [entry(vm.vn, vm.mac)]
        for command, verb in ((PRE, "Pre-Associate"), (ASSOCIATE, "Associate")):
            yield f"{verb} {vm.name}'s MAC for another VSI", [association(command, MINE, all_of_it)], "no"
            yield f"{verb} {vm.name}'s MAC beside one of its own", [
                association(command, MINE, [entry(vm.vn, MY_MAC), entry(vm.vn, vm.mac)])], "no"
            yield f"{verb} {vm.name}'s MAC with an IP", [association(
                command, MINE, [entry(vm.vn, vm.mac, "10.0.0.77")], 7)], "no"
        yield f"Associate {vm.name}, no migration signalled", [association(ASSOCIATE, vm.vsi, all_of_it)], "no"
        yield f"take {vm.name} over", [association(PRE, vm.vsi, all_of_it, status=MIGRATES),
                                       association(ASSOCIATE, vm.vsi, all_of_it, status=MIGRATES)], "take"
        yield f"deactivate {vm.name}", [association(PRE, vm.vsi, all_of_it)], "reserve"
        yield f"De-Associate {vm.name}", [association(END, vm.vsi, [], form=4)], "none"
        yield f"De-Associate {vm.name}'s MAC", [association(END, vm.vsi, all_of_it)], "none"
        yield f"De-Associate {vm.name}'s VN", [association(END, vm.vsi, [entry(vm.vn)], form=3)], "none"
        if vm.port != own_port:
            yield f"the VID of {vm.name}", [association(ASSOCIATE, MINE, [entry(vm.vn, MY_MAC, vid=vm.vid)])], "no"
    for name, (v4, v6) in IPS.items():
        for text, form in ((v4, 7), (v4 + "/32", 0x87), ("10.0.0.0/28", 0x87), (v6, 8), (v6 and v6 + "/128", 0x88),
                           ("2001:db8::/64", 0x88)):
            if text and not (v6 is None and ":" in text):
                yield f"{text}, of {name}", [association(ASSOCIATE, MINE, [entry(BLUE, MY_MAC, text)], form)], "no"
    for text, form in (("10.0.0.0/8", 0x87), ("0.0.0.0/0", 0x87), ("2001:db8::/32", 0x88), ("::/0", 0x88), ("224.0.0.1", 7),
                       ("255.255.255.255", 7), ("0.0.0.0", 7), ("ff02::1", 8), ("::", 8), ("10.0.0.9/24", 0x87)):
        yield f"the prefix {text}", [association(ASSOCIATE, MINE, [entry(BLUE, MY_MAC, text)], form)], "no"
    macs = {**{f"the MAC of {name}": octets(mac) for name, mac in FACTS["macs"].items()},
            "a MAC that the configuration places elsewhere": octets("02:aa:00:00:00:09"), "no MAC": bytes(6),
            "broadcast": b"\xff" * 6, "a group MAC": octets("01:00:5e:00:00:01"), "our group MAC": GROUP,
            "VRRP's MAC": octets("00:00:5e:00:01:01"), "HSRP's MAC": octets("00:00:0c:07:ac:01")}
    for name, mac in macs.items():
        for vn, of in ((BLUE, "blue"), (RED, "red")):
            if name.startswith("a MAC that") and vn == BLUE:
                continue
            yield f"{name}, in {of}", [association(ASSOCIATE, MINE, [entry(vn, mac)])], "no"
            yield f"{name}, in {of}, reserved", [association(PRE, MINE, [entry(vn, mac)])], "no"
    for vn in (0, 999, 70000, 0xFFFFFF, 1 << 24, 0xFFFFFFFF):
        yield f"VN {vn}", [association(ASSOCIATE, MINE, [entry(vn, MY_MAC)])], "no"
    for vid in (1, 50, 4094, 4095):
        yield f"VID {vid}", [association(ASSOCIATE, MINE, [entry(BLUE, MY_MAC, vid=vid)])], "no"
    for form in (0, 9, 0x7F, 0x84, 0xFF):
        yield f"filter format {form:#x}", [association(ASSOCIATE, MINE, [entry(BLUE, MY_MAC)], form)], "no"
    for form, one in ((1, b"\0\0"), (2, MY_MAC + b"\0\0"), (3, struct.pack("!I", BLUE) + b"\0\0")):
        yield f"filter format {form}, whose entries have no MAC or no VN", [association(ASSOCIATE, MINE, [one], form)], "no"
    yield "more entries than there are", [association(ASSOCIATE, MINE, [entry(BLUE, MY_MAC)], count=9)], "no"
    yield "entries of half a MAC", [association(ASSOCIATE, MINE, [entry(BLUE, MY_MAC)[:7]])], "no"
    yield "disconnect blue", [vn_request(2, BLUE)], "none"
    yield "disconnect blue with all of its TSIs", [vn_request(3, BLUE)], "none"
    yield "disconnect red with all of its TSIs", [vn_request(3, RED)], "none"
    yield "one TSI of its own", [association(ASSOCIATE, OTHER, [entry(BLUE, MY_MAC)])], "own"


class Catalogue:
    def __init__(self):
        self.vms = [Vm(name) for name in VMS]
        self.cases = self.wrong = self.ended = 0
        self.taken = []

    def places(self):
        """VM -> the stations where it is Activated."""
        active = {vm.vsi: [] for vm in self.vms}
        for row in show("tsi"):
            vsi = uuid.UUID(row["vsi"]).bytes
            if vsi in active and row["state"].lower() == "activated":
                active[vsi].append(row["station"])
        return active

    def moved(self):
        active = self.places()
        return [vm for vm in self.vms if active[vm.vsi] != [vm.station]], active

    def line(self, seat, name, said, came, good):
        self.cases += 1
        self.wrong += not good
        print(f"    {seat.name}: {name}: {said}; {came}" + ("" if good else "   WRONG"), flush=True)

    def judge(self, seat, name, may, acked, answers):
        """What the answers and the VMs say. Declared trust: a port that is direct takes from another that is; a station from its port."""
        moved, active = self.moved()
        granted = any(code == 0 for _, code in answers)
        came = "nothing taken"
        good = acked != seat.silent and (acked or not answers)
        for vm in moved:
            trust = "direct trust" if {seat.port, vm.port} <= {"p1", "p4"} else "its own port" if seat.port == vm.port else None
            taken = [octets(station) for station in active[vm.vsi]] == [seat.mac]
            came = f"{vm.name} {'taken by ' + (trust or 'nobody may') if taken else 'ENDED'}"
            self.ended += not taken
            good = good and taken and trust is not None and may == "take"
            self.taken.append(f"{vm.name} by {seat.name} ({trust})")
        if seat.silent:
            good = good and not moved
        elif may == "take" and seat.port == "p4":
            good = good and [vm.name for vm in moved] == ([name.split()[1]] if VMS[name.split()[1]][2] == "p1" else [])
        elif may == "no":
            good = good and not granted and bool(answers)
        elif may == "own":
            good = good and granted
        said = "not acknowledged" if not acked else "codes " + (" ".join(str(code) for _, code in answers) or "-")
        self.line(seat, name, said, came, good)
        return moved

    def clean(self, seat, moved):
        """What the station has got goes; who was taken comes back at its next renewal."""
        if seat.silent:
            return
        names = [MINE, OTHER, *(vm.vsi for vm in self.vms)]
        seat.send(pdu(*[association(END, name, [], form=4) for name in names], seat.show()))
        until = time.monotonic() + 10
        while moved and time.monotonic() < until:
            time.sleep(0.05)
            moved, _ = self.moved()
        if moved:
            sys.exit(f"isolation: {moved[0].name} did not come back")

    def ask(self, seat, name, tlvs, may):
        acked, answers = seat.send(pdu(*tlvs, seat.show()))
        moved = self.judge(seat, name, may, acked, answers)
        if moved or any(code == 0 for _, code in answers):
            self.clean(seat, moved)

    def throw(self, seat, name, frames):
        """Frames that nobody answers, or not to us: the VMs have to stay."""
        for frame in frames:
            seat.raw.send(frame)
            time.sleep(0.002)
        time.sleep(0.05)
        moved, _ = self.moved()
        self.ended += len(moved)
        self.line(seat, name, f"{len(frames)} frames", "nothing taken" if not moved else f"{moved[0].name} ENDED", not moved)

    def overheard(self, seat):
        """The answers to these go to the group, so that hv2 hears them on the wire: they are not for hv2."""
        number = 0
        for vm in self.vms:
            if vm.port != seat.port:
                continue
            for shown, persona in ((seat.show(), "a station"), (b"", "a legacy station")):
                for name, tlv in (("De-Associate", association(END, vm.vsi, [], form=4)),
                                  ("De-Associate the MAC of", association(END, vm.vsi, [entry(vm.vn, vm.mac)])),
                                  ("Associate", association(ASSOCIATE, vm.vsi, [entry(vm.vn, vm.mac)])),
                                  ("Associate an unknown VN of", association(ASSOCIATE, vm.vsi, [entry(999, vm.mac)]))):
                    number += 1
                    source = octets("02:0b:ad:01:00:00")[:5] + bytes([number])
                    self.throw(seat, f"{name} {vm.name} by {persona}, to the group", [ecp(source, 1, pdu(tlv, shown))])
                    ended = [row["vsi"] for row in show("tsi", FACTS["hv2"]) if row["state"].lower() != "activated"]
                    self.ended += len(ended)
                    if ended:
                        self.line(seat, "what hv2 made of the answer", "overheard", f"{ended[0]} ENDED at hv2", False)

    def in_other_names(self, seat, recorded):
        """What another station would be believed, said at the wrong port, or without its key."""
        for number, station in FACTS["stations"].items():
            if {"hv1": "p1", "hv2": "p2", "hv3": None}[number] == seat.port:
                continue  # on its own wire without a key it is the station
            source = octets(station)
            mine = [vm for vm in self.vms if vm.port == number.replace("hv", "p")]
            ends = [association(END, vm.vsi, [], form=4) for vm in mine]
            wanted = {"the customer bridges": GROUP, "the bridges": octets("01:80:c2:00:00:03"),
                      "the nearest bridge": LLDP_GROUP, "all": b"\xff" * 6, "a group of nNVEs": octets("03:53:4e:00:00:01"),
                      **{f"port {name}": octets(mac) for name, mac in FACTS["macs"].items() if name.startswith("p")}}
            for to_name, to in wanted.items():
                frames = [ecp(source, n, pdu(*ends), to=to) for n in range(3)]
                self.throw(seat, f"De-Associate all of {number} in its name, to {to_name}", frames)
            first = capabilities(os.urandom(16), os.urandom(16))
            self.throw(seat, f"{number} without any flag", [
                ecp(source, n, pdu(capabilities(os.urandom(16), os.urandom(16), 0))) for n in range(20, 23)])
            self.throw(seat, f"{number} with another epoch, nonce and system", [ecp(source, 30, pdu(first))])
            for what, more in (("goes", {"ttl": 0}), ("offers no EVB", {"evb": b""}), ("has other timers", {"rka": 1}),
                               ("has timers beyond any bound", {"rka": 31})):
                self.throw(seat, f"LLDP: {number} {what}", [evb_lldp(source, to, **more) for to in (GROUP, LLDP_GROUP) for _ in (1, 2)])
        self.throw(seat, "signed frames of hv3 again", recorded)
        self.throw(seat, "the same in its own name", [frame[:6] + seat.mac + frame[12:] for frame in recorded])
        bridge = capabilities(os.urandom(16), os.urandom(16), role=2)
        self.throw(seat, "the word of another switch", [ecp(seat.mac[:5] + b"\x77", 1, pdu(bridge))])


def record(seconds=1.0, patience=10.0):
    """What hv3 signs: all of one second and, should that have been silent, of the time up to its next keep-alive."""
    listening = wire("sw1", "p3", 0x8940)
    frames, start = [], time.monotonic()
    while (left := start + (seconds if frames else patience) - time.monotonic()) > 0:
        if select.select([listening], [], [], left)[0]:
            frame, address = listening.recvfrom(2048)
            if address[2] != socket.PACKET_OUTGOING:
                frames.append(frame)
    if not frames:
        sys.exit(f"isolation: hv3 has said nothing for {patience:.0f} s")
    return frames


def main():
    catalogue = Catalogue()
    recorded = record()
    seats = [Seat("plain", "hv2", "p2", octets("02:0b:ad:00:00:02")),
             Seat("require", "hv3", "p3", octets("02:0b:ad:00:00:03"), silent=True),
             Seat("require, hv3's name", "hv3", "p3", octets(FACTS["stations"]["hv3"]), silent=True),
             Seat("direct", "bad", "p4", octets("02:0b:ad:00:00:04"))]
    for seat in seats:
        if not seat.silent:
            seat.send(pdu(seat.show()))
        for name, tlvs, may in requests(catalogue.vms, seat.port):
            catalogue.ask(seat, name, tlvs, may)
        catalogue.in_other_names(seat, recorded)
        if seat.port == "p2":
            catalogue.overheard(seat)
    print(f"    {catalogue.cases} cases, {catalogue.wrong} wrong; {catalogue.ended} running VMs ended; taken: "
          f"{', '.join(catalogue.taken) or 'nothing'}")
    sys.exit(1 if catalogue.wrong or catalogue.ended else 0)


main()
