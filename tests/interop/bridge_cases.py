# SPDX-License-Identifier: Apache-2.0
"""lldpad as station, nnved as bridge: formats, identities, commands in all orders, refusals."""
import contextlib
import itertools

import wire
from cases import activated, associate, case, deassociate, exchange, filter_text, held, need
from world import Failed, wait_until

BLUE, RED, CLOSED, FIXED = 70001, 70002, 70003, 70004
FIXED_VID = 50       # of FIXED on p1, by configuration
BLUE_TYPE = 7        # this VSI type of manager mgr1 is BLUE
COMMANDS = {"preassoc": wire.PRE_ASSOCIATE, "preassoc-rr": wire.PRE_ASSOCIATE_RR, "assoc": wire.ASSOCIATE}


def format_case(world, kind, with_vid):
    vsi, mac = world.ids.vsi(), world.ids.mac()
    if kind in (1, 2):   # without GroupID the VN comes from the VID or from the VSI type
        vid, type_id, vn = (FIXED_VID, 1, FIXED) if with_vid else (0, BLUE_TYPE, BLUE)
    else:
        vid, type_id, vn = (150, 1, RED) if with_vid else (0, 1, BLUE)
    request, answer, row = associate(world, vsi, filter_text(kind, vid, mac, vn), type_id=type_id)
    need("format and VID asked for", (request.format, request.entries[0].vid), (kind, vid))
    need("the VN at nnved", row["vn"], vn)
    need("the guard at nnved", row["guard"], "mac" if kind in (2, 4) else "none")
    deassociate(world, vsi, answer, type_id=type_id)


for _kind, _with in itertools.product((1, 2, 3, 4), (True, False)):
    _name = {1: "VID", 2: "MAC/VID", 3: "GroupID/VID", 4: "GroupID/MAC/VID"}[_kind]
    case(f"format {_kind} {_name}, {'with a' if _with else 'without'} VID", "formats", _kind, _with)(format_case)


@case("three entries in one TLV", "formats")
def several(world):
    vsi, macs = world.ids.vsi(), [world.ids.mac() for _ in range(3)]
    _, answer, row = associate(world, vsi, [filter_text(4, 0, mac, BLUE) for mac in macs])
    need("addresses at nnved", [address["mac"] for address in row["addresses"]], sorted(macs))
    deassociate(world, vsi, answer)


def manager_case(world, manager, octets, type_id, version):
    vsi = world.ids.vsi()
    request, answer, row = associate(world, vsi, filter_text(4, 0, world.ids.mac(), BLUE), manager=manager,
                                     type_id=type_id, version=version)
    need("the manager on the wire", request.manager, octets)
    need("type and version at nnved", (row["type_id"], row["type_version"]), (type_id, version))
    deassociate(world, vsi, answer, manager=manager, type_id=type_id, version=version)


case("manager id: text", "identities", "mgr1", b"mgr1".ljust(16, b"\0"), 1, 1)(manager_case)
case("manager id: 15 characters, type 0 version 0", "identities", "abcdefghijklmno", b"abcdefghijklmno\0", 0, 0)(manager_case)
case("manager id: UUID, type 2^24-1 version 255", "identities", "11111111-2222-3333-4444-555555555599",
     bytes.fromhex("11111111222233334444555555555599"), (1 << 24) - 1, 255)(manager_case)


def hints_case(world, hints, suspended, migrating):
    vsi = world.ids.vsi()
    request, answer, row = associate(world, vsi, filter_text(4, 0, world.ids.mac(), BLUE), hints=hints)
    need("S and M on the wire", (request.suspended, request.migrating), (suspended, migrating))
    need("suspended and migrating at nnved", (row["suspended"], row["migrating"]), (suspended, migrating))
    deassociate(world, vsi, answer, hints=hints)


case("hint none", "identities", "none", False, False)(hints_case)
case("hint from: S", "identities", "from", True, False)(hints_case)
case("hint to: M", "identities", "to", False, True)(hints_case)


@case("PS and PCP come back as they were", "identities")
def priority(world):
    vsi = world.ids.vsi()
    request, answer, _ = associate(world, vsi, filter_text(4, 0x8000 | 3 << 12 | 150, world.ids.mac(), RED))
    need("PCP on the wire", request.entries[0].pcp, 3)
    deassociate(world, vsi, answer)


@case("organizational TLVs of another vendor are walked over", "identities")
def foreign_tlvs(world):
    vsi, oui = world.ids.vsi(), ("cisco,vm_name=vm-one", "cisco,vm_uuid=11111111-2222-3333-4444-555555555599")
    _, answer, _ = associate(world, vsi, filter_text(4, 0, world.ids.mac(), BLUE), oui=oui)
    sent = [tlv for frame in world.link1.look() for tlv in frame.organizational]
    if not any(oui_octets == bytes.fromhex("00000c") for oui_octets, _ in sent):
        raise Failed("lldpad sent no TLV of another vendor")
    deassociate(world, vsi, answer)


def order_case(world, order):
    """lldpad refuses to go back by itself; then nothing may be sent and nothing may change."""
    vsi, mac, vid, reached, steps_back = world.ids.vsi(), world.ids.mac(), 0, None, []
    for mode in order:
        if reached is not None and COMMANDS[mode] < COMMANDS[reached]:
            world.link1.begin()
            world.st1.vsi(mode, vsi, filter_text(4, vid, mac, BLUE), wait=False)
            steps_back.append(COMMANDS[mode])
        else:
            _, answer, _ = associate(world, vsi, filter_text(4, vid, mac, BLUE), mode)
            vid, reached = answer.entries[0].vid, mode
        held(world.st1, vsi, reached)
        activated(world, vsi, "activated" if reached == "assoc" else "associated")
        sent = {tlv.command for _, tlv in world.link1.associations(vsi, False)}
        need("commands of a step back on the wire", sent & set(steps_back), set())
    deassociate(world, vsi, answer)


for _length in (1, 2, 3):
    for _order in itertools.permutations(COMMANDS, _length):
        case(" > ".join(_order) + " > deassoc", "orders", _order)(order_case)


@case("a repeated Associate is answered like one", "orders")
def repeated(world):
    vsi, mac = world.ids.vsi(), world.ids.mac()
    _, first, _ = associate(world, vsi, filter_text(4, 0, mac, BLUE))
    _, answer, _ = associate(world, vsi, filter_text(4, first.entries[0].vid, mac, BLUE))
    need("the VID the second time", answer.entries[0].vid, first.entries[0].vid)
    deassociate(world, vsi, answer)


# --- refusals ---

def refused(world, vsi, entry, code, hard=False, keep=False, station=None, link=None, **more):
    """An Associate of one format 4 entry (VID, MAC, GroupID) to which the wire and both sides say no, and why."""
    station, link = station or world.st1, link or world.link1
    vid, mac, vn = entry
    link.begin()
    station.vsi("assoc", vsi, filter_text(4, vid, mac, vn), wait=False, **more)
    exchange(link, vsi, wire.ASSOCIATE, code, keep, hard, mac=mac)
    if code != 1:   # what libvdp cannot accept is counted, not listed
        shown = [row["code"] for row in world.bridge.show("refusal") if row["vsi"] == vsi]
        need("the code that nnved shows", shown[-1:], [code])
    if not keep:
        wait_until("lldpad forgets it", lambda: vsi not in station.vsis())


def kept(world, vsi, answer):
    """The VSI of this answer is untouched on both sides."""
    entry = answer.entries[0]
    row = activated(world, vsi)
    need("the address at nnved", [(one["mac"], one["vid"], one["active"]) for one in row["addresses"]],
         [(entry.mac, entry.vid, True)])
    text = filter_text(answer.format, entry.vid, entry.mac, entry.group)
    if text not in world.st1.tool("vdptool", "-t", "-i", "eth1", "-V", "assoc"):
        raise Failed(f"lldpad has dropped {text}")


@contextlib.contextmanager
def nothing_special(_):
    yield


@contextlib.contextmanager
def stopped_store(world):
    """nnved's store cannot commit, so nothing is decided before the deadline."""
    with world.bridge.thread_stopped("store"):
        yield


@contextlib.contextmanager
def out_of_service(world):
    world.bridge.ctl("vn", "disconnect", "--port", "p1", "--vn", "red", "--reason", "interop")
    try:
        yield
    finally:
        world.bridge.ctl("vn", "release", "--port", "p1", "--vn", "red")


OWN = None   # a MAC address of the case's own
REFUSALS = (
    # what, condition, entry: VID, MAC, GroupID; code, HARD
    ("VN not registered", nothing_special, (0, OWN, 70999), 5, True),
    ("VN not admitted on the port", nothing_special, (0, OWN, CLOSED), 4, True),
    ("VN taken out of service", out_of_service, (0, OWN, RED), 4, False),
)
DEADLINE = ("no decision within the deadline", stopped_store, (0, OWN, RED), 3, False)
MORE_REFUSALS = (
    ("GroupID of 2^24", nothing_special, (0, OWN, 1 << 24), 5, True),
    ("group MAC address", nothing_special, (0, "01:aa:00:00:00:01", BLUE), 5, True),
    ("the port's own MAC address", nothing_special, (0, "02:53:00:00:00:01", BLUE), 5, True),
    ("VID outside of the range", nothing_special, (3000, OWN, BLUE), 5, True),
    ("VID of another VN", nothing_special, (FIXED_VID, OWN, BLUE), 5, True),
)


def refusal_case(world, condition, entry, code, hard):
    vsi, (vid, mac, vn) = world.ids.vsi(), entry
    with condition(world):
        refused(world, vsi, (vid, mac or world.ids.mac(), vn), code, hard)
    need("what nnved has of it", world.bridge.tsis(vsi), [])


def refusal_keep_case(world, condition, entry, code, hard):
    """The same for a VSI that is there: it stays as it is. lldpad refuses by itself what changes the filter of a VSI, but
    asks for other entries in another format."""
    vsi, (vid, mac, vn) = world.ids.vsi(), entry
    _, answer, _ = associate(world, vsi, filter_text(2, 0, world.ids.mac(), None), type_id=BLUE_TYPE)
    with condition(world):
        refused(world, vsi, (vid, mac or world.ids.mac(), vn), code, hard, keep=True, type_id=BLUE_TYPE)
        kept(world, vsi, answer)
    # what was refused with KEEP it repeats for a while
    world.st1.clear(vsi)
    wait_until("nnved forgets it", lambda: not world.bridge.tsis(vsi))


for _what, _condition, _entry, _code, _hard in REFUSALS + MORE_REFUSALS:
    case(f"code {_code}{' HARD' if _hard else ''}: {_what}", "refusals", _condition, _entry, _code, _hard)(refusal_case)
for _what, _condition, _entry, _code, _hard in (*REFUSALS, DEADLINE):
    case(f"code {_code}{' HARD' if _hard else ''} KEEP: {_what}", "refusals", _condition, _entry, _code,
         _hard)(refusal_keep_case)


@case("code 5 HARD: MAC address of another VSI", "refusals")
def duplicate(world):
    vsi, mac = world.ids.vsi(), world.ids.mac()
    _, answer, _ = associate(world, vsi, filter_text(4, 0, mac, BLUE))
    refused(world, world.ids.vsi(), (0, mac, BLUE), 5, True)
    kept(world, vsi, answer)
    deassociate(world, vsi, answer)


@case("code 3: no decision within the deadline; what was reserved meanwhile serves the next try", "refusals")
def deadline(world):
    vsi, mac = world.ids.vsi(), world.ids.mac()
    with stopped_store(world):
        refused(world, vsi, (0, mac, RED), 3)
    reserved = activated(world, vsi, "associated")
    _, answer, row = associate(world, vsi, filter_text(4, 0, mac, RED))
    need("instance and VID of the second try", (row["instance"], row["vid"]), (reserved["instance"], reserved["vid"]))
    deassociate(world, vsi, answer)


@case("code 2, without and with KEEP: the port's only VID is taken", "refusals")
def no_vid(world):
    vsi, mac, at_p2 = world.ids.vsi(), world.ids.mac(), {"station": world.st2, "link": world.link2}
    world.link2.begin()
    world.st2.vsi("assoc", vsi, filter_text(2, 0, mac, None), type_id=BLUE_TYPE)
    exchange(world.link2, vsi, wire.ASSOCIATE)
    refused(world, world.ids.vsi(), (0, world.ids.mac(), RED), 2, **at_p2)
    refused(world, vsi, (0, world.ids.mac(), RED), 2, keep=True, **at_p2, type_id=BLUE_TYPE)
    need("the VSI at nnved", [one["mac"] for one in activated(world, vsi)["addresses"]], [mac])
    world.st2.clear(vsi)
    wait_until("nnved forgets it", lambda: not world.bridge.tsis(vsi))


@case("code 1: S and M together", "refusals")
def malformed(world):
    refused(world, world.ids.vsi(last=0xEE), (0, world.ids.mac(), BLUE), 1, keep=True, station=world.st3,
            link=world.link3)
