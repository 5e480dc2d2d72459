# SPDX-License-Identifier: Apache-2.0
"""What every interop case needs: a name, identities of its own, and verdicts from both sides and from the frames."""
import wire
from world import Failed, wait_until

CASES = []  # (name, group, function), in the order they run


def case(name, group, *arguments):
    """Registers function(world, *arguments) as a case."""
    def register(function):
        CASES.append((name, group, lambda world: function(world, *arguments)))
        return function
    return register


def need(what, value, wanted):
    if value != wanted:
        raise Failed(f"{what} is {value!r}, wanted {wanted!r}")


class Identities:
    """VSI-IDs and MAC addresses that no other case has."""

    def __init__(self):
        self.count = 0

    def vsi(self, last=None):
        self.count += 1
        return f"11111111-2222-3333-4444-55{self.count:08x}{0x55 if last is None else last:02x}"

    def mac(self):
        self.count += 1
        return "02:aa:" + ":".join(f"{octet:02x}" for octet in self.count.to_bytes(4, "big"))


def filter_text(kind, vid, mac, group):
    """As vdptool wants an entry of filter format `kind`."""
    return {1: f"{vid}", 2: f"{vid}-{mac}", 3: f"{vid}--{group}", 4: f"{vid}-{mac}-{group}"}[kind]


def acked(capture, frame):
    """Has the receiver of this ECPDU acknowledged it?"""
    return any(other.is_ack and other.sequence == frame.sequence and other.source != frame.source
               and other.time >= frame.time for other in capture.ecp())


def exchange(capture, vsi, command, code=0, keep=False, hard=False, mac=None, seconds=8.0):
    """The first request for the VSI (with that MAC address, if one is given) since the mark, and its answer: same
    manager, type, format and entries in order, no VID left open after success, both acknowledged. Returns both TLVs."""
    def both():
        pairs = [(frame, tlv) for frame, tlv in capture.associations(vsi)
                 if mac is None or any(entry.mac == mac for entry in tlv.entries)]
        request = next((pair for pair in pairs if not pair[1].is_response and pair[1].command == command), None)
        answer = next((pair for pair in pairs if request and pair[1].is_response and pair[0].time >= request[0].time), None)
        return (request, answer) if answer and acked(capture, answer[0]) else None
    (request_frame, request), (_, answer) = wait_until(f"an answer to command {command}", both, seconds)
    if not acked(capture, request_frame):
        raise Failed("the request was answered but not acknowledged")
    need("the answer's command", answer.command, command)
    need("code, KEEP, HARD of the answer", (answer.code, answer.keep, answer.hard), (code, keep, hard))
    for name in ("manager", "type_id", "version", "vsi_format", "format"):
        need(f"the answer's {name}", getattr(answer, name), getattr(request, name))
    need("the answer's entries", [entry.key() for entry in answer.entries], [entry.key() for entry in request.entries])
    for asked, given in zip(request.entries, answer.entries):
        need("the answer's PCP", given.pcp, asked.pcp)
        if asked.vid or code:
            need("the answer's VID", given.vid, asked.vid)
        elif command != wire.DE_ASSOCIATE and not 2 <= given.vid <= 4094:
            raise Failed(f"success with VID {given.vid}")
    return request, answer


def activated(world, vsi, state="activated", **more):
    """The TSI at nnved once it has that state."""
    return wait_until(f"nnved shows {state}", lambda: world.bridge.tsi(vsi, state=state, **more))


def held(station, vsi, mode):
    """lldpad's own row of the VSI once it has that mode."""
    return wait_until(f"lldpad holds it as {mode}", lambda: (row := station.vsis().get(vsi)) and
                      row["mode"] == mode and row)


def forgotten(world, station, vsi):
    wait_until("lldpad forgets it", lambda: vsi not in station.vsis())
    wait_until("nnved forgets it", lambda: not world.bridge.tsis(vsi))


def associate(world, vsi, filters, mode="assoc", **more):
    """Associates at station 1 and holds all three views against each other; returns request, answer and nnved's row."""
    world.link1.begin()
    said = world.st1.vsi(mode, vsi, filters, **more)
    command = {"preassoc": wire.PRE_ASSOCIATE, "preassoc-rr": wire.PRE_ASSOCIATE_RR, "assoc": wire.ASSOCIATE}[mode]
    request, answer = exchange(world.link1, vsi, command)
    if f"mode = {mode}" not in said:
        raise Failed(f"vdptool says {said!r}")
    row = activated(world, vsi, "activated" if mode == "assoc" else "associated")
    station = held(world.st1, vsi, mode)
    vids = {entry.vid for entry in answer.entries}
    need("VIDs at nnved and in the answer", {address["vid"] for address in row["addresses"]}, vids)
    need("VIDs at lldpad and in the answer", {int(text.split("-")[0]) & 0x0FFF for text in station["filter"]}, vids)
    macs = {entry.mac or "00:00:00:00:00:00" for entry in answer.entries}
    need("MAC addresses at nnved", {address["mac"] for address in row["addresses"]}, macs)
    return request, answer, row


def deassociate(world, vsi, answer, **more):
    """With the entries that the answer brought."""
    filters = [filter_text(answer.format, entry.vid | (0x8000 | entry.pcp << 12 if entry.pcp is not None else 0),
                           entry.mac, entry.group) for entry in answer.entries]
    world.link1.begin()
    world.st1.vsi("deassoc", vsi, filters, **more)
    exchange(world.link1, vsi, wire.DE_ASSOCIATE)
    forgotten(world, world.st1, vsi)
