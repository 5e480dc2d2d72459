# SPDX-License-Identifier: Apache-2.0
"""lldpad_rate.py BUILD COUNT: lldpad as a station brings COUNT associations through nnved, as fast as it can.

Prints lldpad_associations_per_second, from its first request to the last answer on the wire, and lldpad_associations, how
many were timed: 0 if lldpad crashed each time, as it does. RTE 8: it is faster the shorter the timer is, for it sends its
next ECPDU when the timer ends, whatever was acknowledged. Run inside tests/netns/isolate.sh.
"""
import os
import socket
import subprocess
import sys
import types

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))
# pylint: disable=wrong-import-position
import thousand_case
import wire
from cases import filter_text
from world import Failed, inside, wait_until

# It crashes at times while it takes many requests, the sooner the more there are: then it is asked for fewer.
SHARES = (1, 1, 2, 4, 8)
SECONDS = 60
VSI = "33333333-3333-4444-5555-{:012x}"
MAC = "02:bc:00:00:{:02x}:{:02x}"


def ask(template, count):
    """In the station's namespace: as vdptool asks, but without a process per request, and without waiting for answers."""
    lldpad = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    lldpad.bind(f"\0/com/intel/lldpad/{os.getpid()}")
    lldpad.connect("\0/com/intel/lldpad")
    lldpad.settimeout(10)
    for number in range(int(count)):
        request = template.replace(VSI.format(0), VSI.format(number)).replace(
            MAC.format(0, 0), MAC.format(number >> 8, number & 255))
        lldpad.send(request.encode())
        lldpad.recv(8192)


def template_of(station):
    """What vdptool says to lldpad, in its own words; the VSI that it asks for is the first of them all."""
    said = station.tool("vdptool", "-R", "-T", "-i", station.interface, "-V", "assoc", "-c", "mode=assoc", "mgrid2=mgr1",
                        "typeid=1", "typeidver=1", "uuid=" + VSI.format(0), "hints=none",
                        "filter=" + filter_text(4, 0, MAC.format(0, 0), 80000), check=False)
    return next(line for line in said.splitlines() if VSI.format(0) in line)


def measure(station, link, count):
    link.begin()
    template = template_of(station)
    asker = subprocess.Popen(inside(station.namespace, sys.executable, os.path.abspath(__file__), "ask", template, str(count)))
    try:
        def answered():
            if station.crashed():
                raise Failed("lldpad crashed")
            answers = {tlv.vsi: frame.time for frame, tlv in link.associations(response=True, command=wire.ASSOCIATE)
                       if tlv.status == 0x40}
            return answers if len(answers) >= count else None

        answers = wait_until(f"{count} answers", answered, SECONDS)
        first = min(frame.time for frame, _ in link.associations(response=False, command=wire.ASSOCIATE))
        return len(answers), len(answers) / (max(answers.values()) - first)
    finally:
        asker.kill()
        asker.wait()


def main():
    build, most = sys.argv[1], int(sys.argv[2])
    world = types.SimpleNamespace(links=[], bridge=types.SimpleNamespace(build=build))
    for attempt, share in enumerate(SHARES):
        station, bridge, link = thousand_case.start(world, f"b{attempt}")
        try:
            timed, rate = measure(station, link, most // share)
            print(f"lldpad_associations={timed}\nlldpad_associations_per_second={rate:.1f}")
            return
        except Failed as failed:
            print(f"bench: lldpad, attempt {attempt + 1}: {failed}", file=sys.stderr)
        finally:
            link.process.stop()
            for process in (station, bridge):
                process.stop()
    print("lldpad_associations=0")


if __name__ == "__main__":
    if sys.argv[1] == "ask":
        ask(*sys.argv[2:])
    else:
        main()
