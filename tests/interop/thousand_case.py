# SPDX-License-Identifier: Apache-2.0
"""1,000 VSIs of one lldpad: no answer may be lost."""
import os
import tempfile

import wire
from cases import case, filter_text, need
from world import Capture, Daemon, Failed, Lldpad, add_link, add_namespace, wait_until

COUNT, VNS = 1000, 10
ATTEMPTS = 4


class Crashed(Failed):
    """lldpad ended by a signal of its own; what it had asked shows nothing."""


@case("1,000 VSIs at RTE 8: every request answered, every answer taken", "thousand")
def thousand(world):
    """lldpad 1.1 crashes at times in its netlink code while it takes many requests; then all is begun again."""
    for attempt in range(ATTEMPTS):
        parts = start(world, f"8{attempt}")
        try:
            return associate_all(world, *parts, crashes=attempt)
        except Crashed:
            if attempt == ATTEMPTS - 1:
                raise
        finally:
            for process in parts[:2]:
                process.stop()


def start(world, suffix):
    station_ns, bridge_ns = f"st{suffix}", f"sw{suffix}"
    add_namespace(station_ns)
    add_namespace(bridge_ns)
    add_link(station_ns, "eth1", "02:53:00:00:08:01", bridge_ns, "p1", "02:53:00:00:08:00")
    link = Capture(os.path.join(tempfile.gettempdir(), f"thousand-{suffix}.pcap"), bridge_ns, "p1")
    world.links.append(link)
    # lldpad sends its next ECPDU when the acknowledgement timer ends, 2.56 ms at RTE 8, whatever was acknowledged.
    bridge = Daemon(world.bridge.build, "nnved", bridge_ns, {
        "ecp": {"retries": 7, "rte": 8}, "vdp": {"rwd": 20, "rka": 20}, "lldp": {"interval_ms": 1000}, "ports": [{"interface": "p1", "direct": True}],
        "vns": [{"id": 80000 + number} for number in range(VNS)]})
    bridge.start()
    station = Lldpad(station_ns, "eth1", evbgpid="yes", vdprka=20, ecprte=8, ecpretries=7)
    station.probe_vn = 80000
    station.start()
    station.ready()
    return station, bridge, link


def associate_all(world, station, bridge, link, crashes):
    link.begin()
    vsis = [f"22222222-3333-4444-5555-{number:012x}" for number in range(COUNT)]
    for number, vsi in enumerate(vsis):
        said = station.vsi("assoc", vsi, filter_text(4, 0, f"02:bb:00:00:{number >> 8:02x}:{number & 255:02x}",
                                                     80000 + number % VNS))
        if "mode = assoc" not in said:
            wait_until(f"lldpad took no answer for {vsi} and says {said!r}; its crash", station.crashed, 1)
            raise Crashed("lldpad ends with a segmentation fault, again and again")
    # lldpad cannot list so many: it is asked for each.
    taken = {vsi: wait_until(f"lldpad has a VID for {vsi}", lambda vsi=vsi: station.vid_of(vsi)) for vsi in vsis}
    rows = {row["vsi"]: row for row in bridge.tsis()}
    need("TSIs at nnved", len(rows), COUNT)
    for vsi in vsis:
        need(f"VID of {vsi} at lldpad", taken[vsi], rows[vsi]["vid"])
    requests = [tlv.vsi for _, tlv in link.associations(response=False, command=wire.ASSOCIATE)]
    answers = link.associations(response=True, command=wire.ASSOCIATE)
    need("VSIs on the wire", len(set(requests)), COUNT)
    need("VSIs not answered with success", set(vsis) - {tlv.vsi for _, tlv in answers if tlv.status == 0x40}, set())
    pdus = len({frame.sequence for frame, _ in answers})
    world.remark = f"{len(requests)} requests, {pdus} ECPDUs of answers" + (
        f"; lldpad crashed {crashes} times and was started again" if crashes else "")
