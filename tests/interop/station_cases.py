# SPDX-License-Identifier: Apache-2.0
"""tnved as station, lldpad as bridge, as far as that role goes (LIMITS). Verdicts come from tnved and from the frames."""
import os
import signal
import tempfile

import wire
from cases import case, exchange, need
from world import Capture, Daemon, Failed, Helper, Lldpad, add_link, add_namespace, inside, run, wait_until

LIMITS = ("lldpad as bridge simulates: it gives out no VID (a relay fills in 100), refuses nothing, and lists nothing to "
          "vdptool; refusals, KEEP, HARD and VID changes by a bridge are not shown against it")
BRIDGE_MAC, STATION_MAC = "02:53:00:00:07:00", "02:53:00:00:07:01"


class Station:
    """hv up0 --- m0 mid7 m1 --- p1 br: tnved, a relay that fills in VIDs, lldpad."""

    def __init__(self, world):
        for name in ("hv", "mid7", "br", "vms"):
            add_namespace(name)
        add_link("hv", "up0", STATION_MAC, "mid7", "m0", "02:53:00:00:09:10")
        add_link("mid7", "m1", "02:53:00:00:09:11", "br", "p1", BRIDGE_MAC)
        self.link = Capture(os.path.join(tempfile.gettempdir(), "up0.pcap"), "hv", "up0")
        self.relay = Helper("mid7", "relay", "m0", "m1", "vids")
        self.bridge = Lldpad("br", "p1", evbmode="bridge", evbgpid="yes", vdprka=17, vdprwd=17, ecprte=12, ecpretries=7)
        self.tnved = Daemon(world.bridge.build, "tnved", "hv", {
            "ecp": {"retries": 7, "rte": 12}, "vdp": {"rwd": 17, "rka": 17}, "lldp": {"interval_ms": 1000}, "manager": "mgr1",
            "uplinks": [{"interface": "up0"}], "vns": [{"id": 70001, "alias": "blue"}]})
        self.tnved.start()
        self.bridge.start()
        wait_until("both sides have agreed on EVB", lambda: "sgid" in self.bridge.evb_state() and
                   any(row["state"] == "negotiated" for row in self.tnved.show("evb")), 20)
        world.links.append(self.link)
        world.others += [self.tnved, self.bridge, self.relay]
        # lldpad refuses GroupIDs with code 2 until its VDP has heard of the agreement too.
        wait_until("lldpad takes GroupIDs", lambda: self.accepts(world.ids.vsi(), world.ids.mac()), 20)

    def accepts(self, vsi, mac):
        try:
            self.tnved.ctl("tsi", "create", vsi, "--vn", "blue", "--mac", mac)
        except Failed:
            return False
        self.tnved.ctl("tsi", "shutdown", vsi)
        return True

    def create(self, vsi, mac):
        tap = "tap" + mac.replace(":", "")[-8:]
        add_link("hv", tap, "02:fe:00:00:00:01", "vms", tap, mac)
        self.tnved.ctl("tsi", "create", vsi, "--vn", "blue", "--mac", mac, "--interface", tap)

    def state(self, vsi, **wanted):
        try:
            return wait_until(f"tnved shows {wanted}", lambda: self.tnved.tsi(vsi, **wanted))
        except Failed as failure:
            raise Failed(f"{failure}; it shows {self.tnved.tsi(vsi)}") from failure


def station_of(world):
    if not hasattr(world, "station"):
        world.station = Station(world)
    return world.station


def running(world):
    station, vsi = station_of(world), world.ids.vsi()
    station.create(vsi, world.ids.mac())
    station.tnved.ctl("tsi", "start", vsi)
    station.state(vsi, state="activated", vid=100)
    return station, vsi


def gone(station, vsi):
    wait_until("tnved forgets it", lambda: not station.tnved.tsis(vsi))


@case("tnved: EVB parameters agreed with lldpad as bridge", "station")
def agreed(world):
    station = station_of(world)
    row = station.tnved.show("evb")[0]
    need("the neighbour's role and GroupIDs", row["state"], "negotiated")
    need("the EVB TLVs of both on the wire", {frame.source for frame in station.link.look() if frame.evb},
         {bytes.fromhex(mac.replace(":", "")) for mac in (STATION_MAC, BRIDGE_MAC)})
    world.remark = LIMITS


@case("tnved: create, start, suspend, resume, shutdown", "station")
def lifecycle(world):
    station, vsi = station_of(world), world.ids.vsi()
    for verb, command, suspended, state in (
            ("create", wire.PRE_ASSOCIATE_RR, False, "associated"), ("start", wire.ASSOCIATE, False, "activated"),
            ("suspend", wire.ASSOCIATE, True, None), ("resume", wire.ASSOCIATE, False, "activated"),
            ("shutdown", wire.DE_ASSOCIATE, False, None)):
        station.link.begin()
        if verb == "create":
            station.create(vsi, world.ids.mac())
        else:
            station.tnved.ctl("tsi", verb, vsi)
        request, answer = exchange(station.link, vsi, command)
        need(f"S of the request for {verb}", request.suspended, suspended)
        if state is not None:
            station.state(vsi, state=state, vid=100)
            need(f"VID of the answer to {verb}", answer.entries[0].vid, 100)
    gone(station, vsi)


@case("tnved: keep-alives over several intervals", "station")
def keep_alives(world):
    station, vsi = running(world)
    station.link.begin()

    def answered():
        pairs = station.link.associations(vsi, True, wire.ASSOCIATE)
        return len(pairs) >= 3 and pairs
    for _, answer in wait_until("three keep-alives, answered", answered, 15):
        need("status of the answer", answer.status, 0x40)
    station.state(vsi, state="activated", vid=100)
    station.tnved.ctl("tsi", "shutdown", vsi)
    gone(station, vsi)


@case("tnved: many TSIs in one ECPDU, each answered", "station")
def many(world):
    station, vsis = station_of(world), [world.ids.vsi() for _ in range(12)]
    station.link.begin()
    path = os.path.join(tempfile.gettempdir(), "apply.json")
    with open(path, "w", encoding="utf-8") as file:
        file.write("[" + ",".join(f'{{"vsi":"{vsi}","vn":"blue","macs":["{world.ids.mac()}"],"state":"associated"}}'
                                  for vsi in vsis) + "]")
    station.tnved.ctl("tsi", "apply", path)
    for vsi in vsis:
        station.state(vsi, state="associated", vid=100)
    most = max(len([tlv for tlv in frame.associations if not tlv.is_response]) for frame in station.link.ecp())
    if most < 2:
        raise Failed("tnved sent one TLV per ECPDU")
    for vsi in vsis:
        station.tnved.ctl("tsi", "shutdown", vsi)
        gone(station, vsi)
    world.remark = f"{most} in one ECPDU"


@case("tnved: lldpad's own De-Associate (0x40 clear, with entries)", "station")
def revoked_by_timeout(world):
    """tnved stands still until lldpad's keep-alive timeout has passed."""
    station, vsi = running(world)
    station.link.begin()
    station.tnved.process.child.send_signal(signal.SIGSTOP)
    try:
        wait_until("lldpad's De-Associate", lambda: any(
            tlv.status == 0 and tlv.entries for frame, tlv in station.link.associations(vsi, None, wire.DE_ASSOCIATE)
            if wire.mac_text(frame.source) == BRIDGE_MAC), 20)
    finally:
        station.tnved.process.child.send_signal(signal.SIGCONT)
    station.state(vsi, held=True)
    station.tnved.ctl("tsi", "shutdown", vsi)
    gone(station, vsi)


@case("tnved: De-Associate with 0x40 set and without filter information", "station")
def revoked_in_the_other_form(world):
    """As another implementation sends it; lldpad does not, so the frame is written here, from its address."""
    station, vsi = running(world)
    station.link.begin()
    vdpdu = "0a10" + b"mgr1".hex().ljust(32, "0") + "0817" + "40" + "00000101" + "05" + vsi.replace("-", "") + "00" + "0000"
    frame = "0180c2000000" + BRIDGE_MAC.replace(":", "") + "8940" + "10017777" + vdpdu
    run(*inside("br", *Helper.command_of("send", "p1", frame)))
    wait_until("its acknowledgement", lambda: any(one.is_ack and one.sequence == 0x7777 for one in station.link.ecp()))
    station.state(vsi, held=True)
    station.tnved.ctl("tsi", "shutdown", vsi)
    gone(station, vsi)


@case("tnved, format MAC/VID: restart of lldpad: the TSI stays and is told again", "station")
def bridge_restarts(world):
    """GroupIDs lldpad refuses after its start, until it has heard of EVB again; a TSI with GroupID ends then."""
    station = station_of(world)
    station.tnved.forget()
    station.tnved.config["uplinks"] = [{"interface": "up0", "format": "mac-vid"}]
    station.tnved.start()
    _, vsi = running(world)
    station.bridge.stop(signal.SIGKILL)
    station.bridge.start()
    station.link.begin()
    request, answer = exchange(station.link, vsi, wire.ASSOCIATE, seconds=20)
    need("VIDs of request and answer", (request.entries[0].vid, answer.entries[0].vid), (100, 100))
    # Before it has heard of EVB again, lldpad's keep-alive timeout is the station's interval: it may win.
    def given_up():
        return any(wire.mac_text(frame.source) == BRIDGE_MAC
                   for frame, _ in station.link.associations(vsi, False, wire.DE_ASSOCIATE))
    wait_until("tnved shows it activated, or held after lldpad gave it up",
               lambda: station.tnved.tsi(vsi, state="activated", vid=100, port_open=True) or
               given_up() and station.tnved.tsi(vsi, held=True))
    if given_up():
        world.remark = "then lldpad let it time out, and tnved held it"
    station.tnved.ctl("tsi", "shutdown", vsi)
    gone(station, vsi)
