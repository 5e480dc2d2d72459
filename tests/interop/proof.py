# SPDX-License-Identifier: Apache-2.0
"""Proof of support (E7, S15): towards a peer that has not shown the flag, nobody sends a TLV of our OUI but capabilities."""
import os
import subprocess
import tempfile

import wire
from cases import case
from world import Failed

CAPABILITIES = 1
# subtype -> bit of the capability flags that allows it; authentication (6) needs a peer with capabilities at all
FLAG_OF = {2: 4, 3: 5, 4: 6, 5: 7, 7: 10, 9: 12}


def our_tlvs(octets):
    """(subtype, value) of our organizational TLVs in a frame."""
    if octets[12:14] != b"\x89\x40" or octets[14] & 0x0C:
        return
    for kind, value in wire.tlvs(octets[18:]):
        if kind == wire.ORGANIZATIONAL and value[:3] == wire.OUR_OUI:
            yield value[3], value[4:]


def our_formats(octets):
    """Filter formats of ours that associations of a frame have: they are extensions as well (E4)."""
    if octets[12:14] != b"\x89\x40" or octets[14] & 0x0C:
        return
    for kind, value in wire.tlvs(octets[18:]):
        if wire.PRE_ASSOCIATE <= kind <= wire.DE_ASSOCIATE and len(value) > 22 and value[22] not in wire.ENTRY:
            yield value[22]


def violations(frames):
    """What was sent before its receiver had shown that it understands; frames of one link, in order."""
    shown, found = {}, []   # sender -> its flags
    for frame in frames:
        for subtype, value in our_tlvs(frame.octets):
            if subtype == CAPABILITIES:
                shown[frame.source] = int.from_bytes(value[2:6], "big")
                continue
            peers = [flags for source, flags in shown.items() if source != frame.source]
            allowed = any(subtype == 6 or subtype in FLAG_OF and flags >> FLAG_OF[subtype] & 1 for flags in peers)
            if not allowed:
                found.append(f"subtype {subtype} from {wire.mac_text(frame.source)} at {frame.time:.3f}")
        peers = [flags for source, flags in shown.items() if source != frame.source]
        for entry_format in our_formats(frame.octets):
            needs = 3 if entry_format & 0x80 else 1
            if not any(flags & needs == needs for flags in peers):
                found.append(f"format {entry_format:02x} from {wire.mac_text(frame.source)} at {frame.time:.3f}")
    return found


def judge(world, links):
    """`links`: name -> frames."""
    found = [f"{name}: {one}" for name, frames in links.items() for one in violations(frames)]
    if found:
        raise Failed(f"{len(found)} TLVs without proof of support, the first: {found[0]}")
    tlvs = [subtype for frames in links.values() for frame in frames for subtype, _ in our_tlvs(frame.octets)]
    world.remark = (f"{sum(map(len, links.values()))} frames on {len(links)} links, {len(tlvs)} TLVs of ours, "
                    f"{tlvs.count(CAPABILITIES)} of them capabilities")


def run_scene(world, script):
    """Runs a test of real frames with all its links captured, and judges them."""
    tests = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "netns")
    # not below /run, which the demo's own isolation hides
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        done = subprocess.run([f"{tests}/isolate.sh", f"{tests}/{script}", world.bridge.build], capture_output=True, text=True,
                              env={**os.environ, "SPLITNVE_CAPTURE": folder}, timeout=240, check=False)
        if done.returncode != 0:
            raise Failed(f"{script} failed: {done.stdout[-400:]}{done.stderr[-200:]}")
        links = {name: wire.PcapReader(os.path.join(folder, name), wire.headers_only).more() for name in sorted(os.listdir(folder))}
        if not links or not all(any(frame.is_ecp for frame in frames) for frames in links.values()):
            raise Failed(f"captures without ECP: {links.keys()}")
        judge(world, links)


@case("E7: the demo's traffic", "demo")
def demo(world):
    run_scene(world, "demo.sh")


@case("E7: traffic of TSIs with IP addresses", "demo")
def ips(world):
    run_scene(world, "ip.sh")


@case("E7: all traffic of this run", "proof")
def whole_run(world):
    judge(world, {os.path.basename(link.path): (link.look(), link.frames)[1] for link in world.links})
