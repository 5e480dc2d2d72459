# SPDX-License-Identifier: Apache-2.0
"""Namespaces, a capture of every frame, lldpad and our daemons, for the interop cases. Runs inside tests/netns/isolate.sh.

Nothing sleeps instead of a condition: wait_until polls a state until a deadline.
"""
import contextlib
import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

import wire



PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 17, 0x4206, 0x4207, 0x40000000
PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peer.py")
LIBC = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """A verdict of no, with what was seen."""


def wait_until(what, condition, seconds=8.0):
    """The first true value of condition(); Failed, naming `what`, if there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {seconds:g} s")
        time.sleep(0.01)  # between two looks; what counts is the condition


def run(*command, check=True, timeout=30):
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=timeout, check=False)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(command)}: {done.returncode}: {done.stdout}{done.stderr}".strip())
    return done.stdout


def inside(namespace, *command):
    # ip netns exec would remount /sys and hide the pins of the datapath
    return ("nsenter", f"--net=/run/netns/{namespace}", *command)


def add_namespace(name):
    run("ip", "netns", "add", name)
    run(*inside(name, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1", "net.ipv6.conf.all.disable_ipv6=1"))
    run(*inside(name, "ip", "link", "set", "lo", "up"))


def add_link(namespace, interface, mac, peer_namespace, peer_interface, peer_mac):
    run("ip", "link", "add", interface, "address", mac, "netns", namespace, "type", "veth", "peer", "name",
        peer_interface, "address", peer_mac, "netns", peer_namespace)
    run(*inside(namespace, "ip", "link", "set", interface, "up"))
    run(*inside(peer_namespace, "ip", "link", "set", peer_interface, "up"))


def ptrace(request, thread):
    if LIBC.ptrace(ctypes.c_long(request), ctypes.c_long(thread), None, None) != 0:
        raise Failed(f"ptrace: {os.strerror(ctypes.get_errno())}")


class Process:
    """A child that can be killed and started again; its output goes to a log."""

    def __init__(self, name, command):
        self.log = os.path.join(tempfile.gettempdir(), name + ".log")
        self.command, self.child = command, None

    def start(self):
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def stop(self, number=signal.SIGTERM):
        if self.child is not None:
            self.child.send_signal(number)
            self.child.wait(timeout=15)
            self.child = None

    def check(self):
        if self.child is None or self.child.poll() is not None:
            raise Failed(f"ended by itself; its log: {self.tail()}")

    def tail(self, lines=8):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return " | ".join(log.read().splitlines()[-lines:])


class Capture:
    """tcpdump on an interface; `frames` grows with the file, `mark` is where the running case began."""

    def __init__(self, path, namespace, interface):
        self.path, self.frames, self.mark = path, [], 0
        self.process = Process("tcpdump-" + interface, inside(
            namespace, "tcpdump", "-i", interface, "-U", "--immediate-mode", "-B", "16384", "-Z", "root", "-w", path,
            "ether proto 0x8940 or ether proto 0x88cc"))
        self.process.start()
        wait_until("tcpdump writes", lambda: os.path.exists(path) and os.path.getsize(path) >= 24)
        self.reader = wire.PcapReader(path)

    def look(self):
        """All frames since the mark."""
        self.frames += self.reader.more()
        return self.frames[self.mark:]

    def begin(self):
        self.look()
        self.mark = len(self.frames)

    def ecp(self):
        return [frame for frame in self.look() if frame.is_ecp]

    def associations(self, vsi=None, response=None, command=None):
        """(frame, TLV) since the mark that fit."""
        return [(frame, tlv) for frame in self.look() for tlv in frame.associations
                if (vsi is None or tlv.vsi == vsi) and (response is None or tlv.is_response == response)
                and (command is None or tlv.command == command)]

    def end(self):
        """Stops tcpdump; frames that it lost make the run worthless."""
        self.process.stop(signal.SIGINT)
        self.look()
        lost = re.search(r"(\d+) packets dropped by kernel", self.process.tail())
        if lost is None or lost.group(1) != "0":
            raise Failed(f"the capture is not complete: {self.process.tail()}")


class Helper(Process):
    """peer.py in a namespace."""

    def __init__(self, namespace, *arguments):
        super().__init__(f"peer-{namespace}-{arguments[0]}", inside(namespace, *self.command_of(*arguments)))
        self.start()

    @staticmethod
    def command_of(*arguments):
        return (sys.executable, PEER, *arguments)


class Lldpad:
    """lldpad on one interface, driven by lldptool and vdptool."""

    def __init__(self, namespace, interface, **evb):
        self.namespace, self.interface, self.evb, self.probe_vn = namespace, interface, evb, 70001
        self.conf = os.path.join(tempfile.gettempdir(), f"lldpad-{namespace}.conf")
        # /dev/shm/lldpad is one for all instances of a machine: a mount namespace of its own.
        self.process = Process("lldpad-" + namespace, inside(
            namespace, "unshare", "-m", "sh", "-c",
            f"mount -t tmpfs lldpad-shm /dev/shm && exec lldpad -p -f {self.conf}"))

    def start(self):
        self.process.start()
        wait_until("lldpad answers", lambda: "lldpad" in self.tool("lldptool", "-p", check=False) or
                   self.tool("lldptool", "-p", check=False).strip().isdigit())
        self.configure()

    def configure(self):
        """While it comes up it refuses settings, and always to enable what is enabled. The EVB TLV comes first: what is
        said of it before is not announced."""
        on = ("-i", self.interface, "-g", "ncb")
        wait_until("lldpad runs LLDP", lambda: self.succeeds("lldptool", "-L", *on, "adminStatus=rxtx"))
        wait_until("lldpad sends the EVB TLV", lambda: self.succeeds("lldptool", "-T", *on, "-V", "evb", "-c", "enableTx=yes")
                   or "enableTx=yes" in self.tool("lldptool", "-t", *on, "-V", "evb", "-c", check=False))
        for key, value in self.evb.items():
            setting = ("lldptool", "-T", *on, "-V", "evb", "-c", f"{key}={value}")
            wait_until(" ".join(setting), lambda words=setting: self.succeeds(*words))

    def stop(self, number=signal.SIGTERM):
        self.process.stop(number)

    def tool(self, *command, check=True):
        return run(*inside(self.namespace, *command), check=check)

    def crashed(self):
        return self.process.child is not None and self.process.child.poll() == -signal.SIGSEGV

    def succeeds(self, *command):
        try:
            self.tool(*command)
            return True
        except Failed:
            self.process.check()
            return False

    def evb_state(self):
        return self.tool("lldptool", "-t", "-i", self.interface, "-g", "ncb", "-V", "evb")

    def ready(self):
        """It has seen a bridge that understands GroupIDs, and its VDP takes requests: a little later. At times it crashes or
        stays deaf while links come up; then it is started again, and has forgotten its VSIs. True if it was."""
        restarted = False
        vsi, filters = "00000000-0000-4000-8000-000000000001", [f"0-02:aa:ff:ff:ff:01-{self.probe_vn}"]
        for attempt in range(5):
            try:
                wait_until("lldpad sees the bridge's EVB TLV", lambda: self.crashed() or "bgid" in self.evb_state(), 5)
                if not self.crashed():
                    break
            except Failed:
                if attempt == 4:
                    raise
            self.stop(signal.SIGKILL)
            self.start()
            restarted = True
        wait_until("lldpad takes requests", lambda: self.vsi("assoc", vsi, filters, wait=False) and
                   self.vsis().get(vsi, {}).get("filter", ["0"])[0][0] != "0")
        self.clear(vsi)
        return restarted

    def clear(self, vsi):
        """De-associates whatever it holds of the VSI."""
        def nothing_left():
            rows = [row for row in self.rows() if row["uuid"] == vsi]
            for row in rows:
                self.vsi("deassoc", vsi, row["filter"], row["mgrid2"], row["typeid"], row["typeidver"], wait=False)
            return not rows
        wait_until("lldpad forgets the VSI", nothing_left)

    def vsi(self, mode, vsi, filters, manager="mgr1", type_id=1, version=1, hints="none", wait=True, oui=()):
        """Asks for an association; returns what vdptool says. The verdict is never taken from it alone."""
        command = ["vdptool", "-T", "-i", self.interface, *(["-W"] if wait else []), "-V", mode, "-c", f"mode={mode}",
                   "-c", f"mgrid2={manager}", "-c", f"typeid={type_id}", "-c", f"typeidver={version}", "-c", f"uuid={vsi}",
                   "-c", f"hints={hints}"]
        for text in [filters] if isinstance(filters, str) else filters:
            command += ["-c", f"filter={text}"]
        for text in oui:
            command += ["-c", f"oui={text}"]
        return self.tool(*command, check=False)

    def rows(self):
        """What lldpad holds: {uuid, mode, mgrid2, typeid, typeidver, hints, filter: [..]}; a refused one may stand beside
        the one that was there."""
        rows = []
        for kind in ("assoc", "preassoc", "preassoc-rr"):
            for line in self.tool("vdptool", "-t", "-i", self.interface, "-V", kind, check=False).splitlines():
                key, equals, value = (part.strip() for part in line.partition("="))
                if line.startswith("VSI"):
                    rows.append({"filter": []})
                elif equals and rows and key == "filter":
                    rows[-1]["filter"].append(value)
                elif equals and rows:
                    rows[-1][key] = value
        return [row for row in rows if "uuid" in row]

    def vid_of(self, vsi):
        """The VID that it holds for an associated VSI, 0 if none."""
        said = self.tool("vdptool", "-t", "-i", self.interface, "-V", "assoc", "-c", f"uuid={vsi}", check=False)
        found = re.search(r"filter = (\d+)", said)
        return int(found.group(1)) & 0x0FFF if found and vsi in said else 0

    def vsis(self):
        return {row["uuid"]: row for row in self.rows()}


class Daemon:
    """nnved or tnved, and what vdpctl says of it."""

    def __init__(self, build, program, namespace, config):
        self.build, self.namespace, self.name = build, namespace, namespace
        self.path = os.path.join(tempfile.gettempdir(), namespace + ".json")
        self.config = {"role": program, "instance": self.name,
                       "paths": {"socket": f"/run/splitnve/{self.name}.sock", "store": f"/run/splitnve/{self.name}.db",
                                 "pins": f"/sys/fs/bpf/splitnve/{self.name}/"}, **config}
        self.process = Process(self.name, inside(namespace, f"{build}/src/{program}/{program}", "--config", self.path))

    def start(self):
        with open(self.path, "w", encoding="utf-8") as file:
            json.dump(self.config, file)
        self.process.start()
        wait_until(f"{self.name} answers", self.answers)

    def answers(self):
        self.process.check()
        return self.ctl("stats", "show", check=False).strip()

    def stop(self, number=signal.SIGTERM):
        self.process.stop(number)

    def forget(self):
        """Stops it and removes its state."""
        self.stop()
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(self.config["paths"]["store"] + suffix):
                os.remove(self.config["paths"]["store"] + suffix)
        run("rm", "-rf", self.config["paths"]["pins"])

    def ctl(self, *arguments, check=True):
        return run(f"{self.build}/tools/vdpctl/vdpctl", "-j", "-s", self.config["paths"]["socket"], *arguments, check=check)

    def show(self, what):
        return json.loads(self.ctl(what, "show"))

    def tsis(self, vsi=None):
        """Its TSIs; what is only latched is none."""
        return [row for row in self.show("tsi") if (vsi is None or row["vsi"] == vsi) and not row.get("latched")]

    def tsi(self, vsi, **wanted):
        rows = [row for row in self.tsis(vsi) if all(row.get(key) == value for key, value in wanted.items())]
        return rows[0] if rows else None

    @contextlib.contextmanager
    def thread_stopped(self, name):
        """One thread of the daemon stands still, as behind a disk that hangs; the others go on."""
        tasks = f"/proc/{self.process.child.pid}/task"
        threads = [int(task) for task in os.listdir(tasks) if name in open(f"{tasks}/{task}/comm", encoding="ascii").read()]
        if len(threads) != 1:
            raise Failed(f"{len(threads)} threads of {self.name} are called {name}")
        for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
            ptrace(request, threads[0])
        os.waitpid(threads[0], WALL)   # it has stopped
        try:
            yield
        finally:
            ptrace(PTRACE_DETACH, threads[0])
