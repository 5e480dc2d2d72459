# SPDX-License-Identifier: Apache-2.0
"""lldpad as station, nnved as bridge: keep-alives, the bridge's own commands, migration, links and daemons that go away."""
import signal

import wire
from bridge_cases import BLUE, RED
from cases import activated, associate, case, deassociate, exchange, filter_text, forgotten, held, need
from world import Failed, inside, run, wait_until


def keep_alives(world, vsi, count):
    """Waits for so many repeated commands that are answered with success, from now on; returns them."""
    world.link1.begin()

    def seen():
        requests = [tlv for _, tlv in world.link1.associations(vsi, False, wire.ASSOCIATE)]
        answers = [tlv for _, tlv in world.link1.associations(vsi, True, wire.ASSOCIATE)]
        return requests if len(requests) >= count and len(answers) >= count else None
    requests = wait_until(f"{count} keep-alives, answered", seen, 4 * (count + 1))
    exchange(world.link1, vsi, wire.ASSOCIATE)
    return requests


@case("keep-alives over several intervals", "procedures")
def several_intervals(world):
    vsi = world.ids.vsi()
    _, answer, row = associate(world, vsi, filter_text(4, 0, world.ids.mac(), BLUE))
    requests = keep_alives(world, vsi, 3)
    need("VIDs that lldpad repeats", {request.entries[0].vid for request in requests}, {row["vid"]})
    need("the row at nnved, but for what it counts", activated(world, vsi)["instance"], row["instance"])
    deassociate(world, vsi, answer)


@case("bridge-initiated De-Associate of a TSI", "procedures")
def removed(world):
    vsi = world.ids.vsi()
    _, answer, row = associate(world, vsi, filter_text(4, 0, world.ids.mac(), BLUE))
    world.link1.begin()
    world.bridge.ctl("tsi", "remove", str(row["instance"]))
    revoked(world, vsi, answer)
    # out of service at nnved until it is released: then lldpad may have it back
    world.bridge.ctl("tsi", "release", vsi)
    _, again, _ = associate(world, vsi, filter_text(4, 0, answer.entries[0].mac, BLUE))
    deassociate(world, vsi, again)


def revoked(world, vsi, answer):
    """A De-Associate command with 0x40 clear that names the entries; lldpad acknowledges it and drops the VSI."""
    commands = wait_until("the De-Associate", lambda: world.link1.associations(vsi, False, wire.DE_ASSOCIATE))
    frame, command = commands[0]
    need("source of the De-Associate", wire.mac_text(frame.source), "02:53:00:00:00:01")
    need("its entries", command.entries, answer.entries)
    wait_until("its acknowledgement", lambda: any(
        other.is_ack and other.sequence == frame.sequence for other in world.link1.ecp()))
    forgotten(world, world.st1, vsi)


@case("a whole VN is disconnected at the port: lldpad hears success, nothing forwards until the release (S7)", "procedures")
def disconnected(world):
    vsis = [world.ids.vsi() for _ in range(3)]
    answers, rows = {}, {}
    for vsi in vsis:
        _, answers[vsi], rows[vsi] = associate(world, vsi, filter_text(4, 0, world.ids.mac(), RED))
    world.link1.begin()
    world.bridge.ctl("vn", "disconnect", "--port", "p1", "--vn", "red", "--reason", "interop")
    for vsi in vsis:
        keep_alives(world, vsi, 2)
        need("state while the VN is disconnected", world.bridge.tsi(vsi)["state"], "associated")
        need("De-Associates that lldpad hears", len(world.link1.associations(vsi, False, wire.DE_ASSOCIATE)), 0)
    world.bridge.ctl("vn", "release", "--port", "p1", "--vn", "red")
    for vsi in vsis:
        keep_alives(world, vsi, 1)
        row = activated(world, vsi)
        need("instance and VID after the release", (row["instance"], row["vid"]), (rows[vsi]["instance"], rows[vsi]["vid"]))
        deassociate(world, vsi, answers[vsi])


@case("migration: the source hears success while it is held and then that its VSI is gone, the destination stays", "procedures")
def migration(world):
    vsi, mac = world.ids.vsi(), world.ids.mac()
    _, granted, _ = associate(world, vsi, filter_text(4, 0, mac, BLUE))
    world.link1.begin()
    world.link2.begin()
    world.st2.vsi("assoc", vsi, filter_text(4, 0, mac, BLUE), hints="to")
    exchange(world.link2, vsi, wire.ASSOCIATE)
    activated(world, vsi, port="p2")
    need("state at the source's port", world.bridge.tsi(vsi, port="p1")["state"], "associated")
    # lldpad takes a refused keep-alive for the end, KEEP or not: it is granted until legacy_loser_hold_ms
    exchange(world.link1, vsi, wire.ASSOCIATE)
    commands = wait_until("the De-Associate", lambda: world.link1.associations(vsi, False, wire.DE_ASSOCIATE))
    need("its entries", commands[0][1].entries, granted.entries)
    wait_until("lldpad forgets it at the source", lambda: vsi not in world.st1.vsis())
    wait_until("nnved forgets it at p1", lambda: not world.bridge.tsi(vsi, port="p1"))
    activated(world, vsi, port="p2")
    held(world.st2, vsi, "assoc")
    world.st2.clear(vsi)
    wait_until("nnved forgets it", lambda: not world.bridge.tsis(vsi))


@case("link flap: the VSI comes again with its VID", "procedures")
def link_flap(world):
    vsi, mac = world.ids.vsi(), world.ids.mac()
    _, answer, row = associate(world, vsi, filter_text(4, 0, mac, BLUE))
    for state in ("down", "up"):
        run(*inside("st1", "ip", "link", "set", "eth1", state))
    requests = keep_alives(world, vsi, 1)
    need("the VID that lldpad sends", requests[0].entries[0].vid, row["vid"])
    after = activated(world, vsi)
    need("instance and VID at nnved", (after["instance"], after["vid"]), (row["instance"], row["vid"]))
    held(world.st1, vsi, "assoc")
    if world.st1.ready():
        world.remark = "lldpad stayed deaf and was started again"
        associate(world, vsi, filter_text(4, 0, mac, BLUE))
    deassociate(world, vsi, answer)


@case("restart of lldpad: the same VSI is asked for again and keeps its VID", "procedures")
def restart_station(world):
    vsi, mac = world.ids.vsi(), world.ids.mac()
    _, _, row = associate(world, vsi, filter_text(4, 0, mac, BLUE))
    world.st1.stop(signal.SIGKILL)
    activated(world, vsi)
    world.link1.begin()
    world.st1.start()
    world.st1.ready()
    # its sequence begins at 1 again
    _, answer, after = associate(world, vsi, filter_text(4, 0, mac, BLUE))
    if world.link1.associations(vsi, False)[0][0].sequence > 3:
        raise Failed("lldpad did not begin a new sequence: the case shows nothing")
    need("the VID after the restart", after["vid"], row["vid"])
    deassociate(world, vsi, answer)


@case("restart of nnved (kill -9): state is kept, keep-alives go on with the same VIDs", "procedures")
def restart_bridge(world):
    vsis = [world.ids.vsi() for _ in range(5)]
    rows, answers = {}, {}
    for number, vsi in enumerate(vsis):
        _, answers[vsi], rows[vsi] = associate(world, vsi, filter_text(4, 0, world.ids.mac(), (BLUE, RED)[number % 2]))
    # between two keep-alives, so that lldpad loses none: it would drop the VSI
    keep_alives(world, vsis[-1], 1)
    world.bridge.stop(signal.SIGKILL)
    world.bridge.start()
    for vsi in vsis:
        row = activated(world, vsi)
        need("instance and VID after the restart", (row["instance"], row["vid"]), (rows[vsi]["instance"], rows[vsi]["vid"]))
    for vsi in vsis:
        keep_alives(world, vsi, 1)
        held(world.st1, vsi, "assoc")
        deassociate(world, vsi, answers[vsi])
