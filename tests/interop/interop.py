#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""interop.py BUILD [--only WORDS] [--short]: lldpad and our daemons, case by case; run it inside tests/netns/isolate.sh.

Each case is judged by what both sides show and by the captured frames. Last line: interop: PASS cases=N failed=0
"""
import argparse
import os
import sys
import tempfile
import time
import traceback

import bridge_cases  # noqa: F401  (registers its cases)
import disturbance_cases  # noqa: F401
import station_cases  # noqa: F401
import thousand_case  # noqa: F401
import proof  # noqa: F401  (the last: it looks at all that was captured)
from cases import CASES, Identities
from world import Capture, Daemon, Failed, Helper, Lldpad, add_link, add_namespace

# R 7, RTE 12: a machine that is busy for 300 ms loses no frame. Keep-alives every 1.3 s.
TIMING = {"ecp": {"retries": 7, "rte": 12}, "vdp": {"rwd": 20, "rka": 17}, "lldp": {"interval_ms": 1000}}
EVB = {"evbgpid": "yes", "vdprka": 17, "ecprte": 12, "ecpretries": 7}

LONG = ("thousand", "demo", "station")   # groups that --short leaves out


def bridge_config():
    vns = [(bridge_cases.BLUE, "blue"), (bridge_cases.RED, "red"), (bridge_cases.CLOSED, "closed"),
           (bridge_cases.FIXED, "fixed")]
    open_vns = ["blue", "red", "fixed"]
    return {**TIMING, "decision_deadline_ms": 400, "vid_quarantine_ms": 0, "legacy_loser_hold_ms": 3000,
            "ports": [{"interface": "p1", "vids": "100-1999", "legacy": True, "takeover": "any", "vns": open_vns,
                       "static_vids": [{"vid": bridge_cases.FIXED_VID, "vn": "fixed"}]},
                      {"interface": "p2", "vids": "200-200", "takeover": "any", "vns": open_vns},
                      {"interface": "p3", "vids": "300-399", "takeover": "any", "vns": open_vns}],
            "types": [{"manager": "mgr1", "type": bridge_cases.BLUE_TYPE, "version": 1, "vn": "blue"}],
            "vns": [{"id": number, "alias": alias} for number, alias in vns]}


class World:
    """Three stations with lldpad at three ports of one nnved; the third behind a relay that changes frames.

      st1 eth1 --- p1 sw p3 --- m1 mid m0 --- eth1 st3
      st2 eth1 --- p2 '
    """

    def __init__(self, build):
        self.ids, self.helpers, self.others, self.remark = Identities(), [], [], ""
        for name in ("sw", "st1", "st2", "st3", "mid"):
            add_namespace(name)
        for number in (1, 2):
            add_link(f"st{number}", "eth1", f"02:53:00:00:01:0{number}", "sw", f"p{number}", f"02:53:00:00:00:0{number}")
        add_link("st3", "eth1", "02:53:00:00:01:03", "mid", "m0", "02:53:00:00:09:00")
        add_link("mid", "m1", "02:53:00:00:09:01", "sw", "p3", "02:53:00:00:00:03")
        folder = tempfile.gettempdir()
        self.link1, self.link2, self.link3 = self.links = [
            Capture(os.path.join(folder, f"p{n}.pcap"), "sw", f"p{n}") for n in (1, 2, 3)]
        self.helpers.append(Helper("mid", "relay", "m0", "m1", "both-hints"))
        self.bridge = Daemon(build, "nnved", "sw", bridge_config())
        self.bridge.start()
        self.st1, self.st2, self.st3 = self.stations = [Lldpad(f"st{n}", "eth1", **EVB) for n in (1, 2, 3)]
        for station in self.stations:
            station.start()
        for station in self.stations:
            station.ready()
        self.daemons = [station.process for station in self.stations] + [self.bridge.process]

    def end(self):
        for process in (*self.others, *self.stations, self.bridge, *self.helpers):
            process.stop()
        for link in self.links:
            link.end()


def judge(world, function):
    """The verdict of a case: PASS, or FAIL and why."""
    try:
        function(world)
        for daemon in world.daemons:
            daemon.check()
        return "PASS"
    except Failed as failure:
        return f"FAIL: {failure}"
    except Exception:  # a fault of the test is a failed case too
        return "FAIL: " + traceback.format_exc().strip().replace("\n", " | ")


def run_case(world, name, function):
    """One row of the table; True if it passed. lldpad 1.1 crashes at times when its own netlink code reads past a message
    (link events, many requests): what it was doing then shows nothing, so the case is run again."""
    starts = {id(link): len(link.look()) + link.mark for link in world.links}
    begun, world.remark, crashes = time.monotonic(), "", 0
    verdict = judge(world, function)
    while crashes < 3 and any(station.crashed() for station in world.stations):
        crashes += 1
        for station in world.stations:
            if station.crashed():
                station.start()
                station.ready()
        verdict = judge(world, function)
    for link in world.links:
        link.look()
    frames = sum(frame.is_ecp for link in world.links for frame in link.frames[starts.get(id(link), 0):])
    remarks = [world.remark] * bool(world.remark) + [f"lldpad crashed {crashes} times by itself"] * bool(crashes)
    print(f"{name:<72} {frames:>6} {time.monotonic() - begun:>6.1f} s  {'; '.join([verdict, *remarks])}", flush=True)
    return verdict == "PASS"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--only", default="", help="cases whose name or group contains this")
    parser.add_argument("--short", action="store_true", help="without what takes long")
    options = parser.parse_args()
    print(f"{'case':<72} {'frames':>6} {'time':>8}  verdict", flush=True)
    world = World(os.path.abspath(options.build))
    done = [run_case(world, name, function) for name, group, function in CASES
            if (options.only in name or options.only in group) and not (options.short and group in LONG)]
    world.end()
    failed = done.count(False)
    print(f"interop: {'PASS' if done and not failed else 'FAIL'} cases={len(done)} failed={failed}")
    return 0 if done and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
