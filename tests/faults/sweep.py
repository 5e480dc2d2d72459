#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The N-th call of a kind fails, for every kind, error and N: the daemon refuses in one line, or goes on and tells the truth.

sweep.py start NAMESPACE DAEMON CONFIG SOCKET VDPCTL LIBRARY STEP
sweep.py life  SOCKET VDPCTL PLAN PID STEP -- TSI ARGUMENTS...

`start` starts the daemon anew for each fault; `life` injects into a running one, which was started with the library and
PLAN, while a TSI is created, started, suspended, resumed and shut down. STEP leaves out faults: every STEP-th N.
"""
import errno
import json
import mmap
import os
import signal
import struct
import subprocess
import sys
import time

CALLS = ["none", "open", "socket", "accept", "recvmmsg", "sendmmsg", "send", "recv", "sendmsg", "recvmsg", "write", "fsync",
         "bpf", "bind", "setsockopt"]
ERRORS = {
    "open": ["EMFILE", "ENOSPC"], "socket": ["EMFILE", "ENOBUFS"], "accept": ["EMFILE", "ENOMEM"],
    "recvmmsg": ["ENOMEM", "ENETDOWN"], "sendmmsg": ["ENOBUFS", "ENETDOWN"], "send": ["ENOBUFS"], "recv": ["ENOMEM"],
    "sendmsg": ["ENOBUFS"], "recvmsg": ["ENOBUFS"], "write": ["ENOSPC", "EIO"], "fsync": ["EIO", "ENOSPC"],
    "bpf": ["ENOMEM", "E2BIG"], "bind": ["ENOMEM"], "setsockopt": ["ENOMEM"],
}
FORM = "5I"


class Plan:
    """The file that the library looks into."""

    def __init__(self, path):
        self.path = path
        if not os.path.exists(path) or os.path.getsize(path) < struct.calcsize(FORM):
            with open(path, "wb") as file:
                file.write(bytes(struct.calcsize(FORM)))
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), struct.calcsize(FORM))

    def set(self, call, after, failing, error):
        self.memory[:] = struct.pack(FORM, CALLS.index(call), after, failing, error, 0)

    def clear(self):
        self.set("none", 0, 0, 0)

    def failed(self):
        return struct.unpack(FORM, self.memory[:])[4]


def ask(socket, vdpctl, *words, timeout=8):
    return subprocess.run([vdpctl, "-s", socket, "--timeout", "6", *words], capture_output=True, text=True, timeout=timeout)


def until(seconds, condition):
    end = time.time() + seconds
    while time.time() < end:
        if condition():
            return True
        time.sleep(0.03)
    return False


def audit_is_clean(socket, vdpctl):
    return ask(socket, vdpctl, "audit").returncode == 0


class Sweep:
    def __init__(self):
        self.runs = self.refused = self.went_on = 0
        self.faults = []

    def fault(self, *words):
        self.faults.append(" ".join(str(word) for word in words))
        print("FAULT", self.faults[-1], flush=True)

    def end(self, what):
        print(f"{what}: {self.runs} faults injected, {self.refused} refused, {self.went_on} went on, "
              f"{len(self.faults)} wrong", flush=True)
        sys.exit(1 if self.faults or self.runs < 10 else 0)


def start(namespace, daemon, config, socket, vdpctl, library, step):
    sweep, plan = Sweep(), Plan("/run/faults.start")
    for call in CALLS[1:]:
        for name in ERRORS[call]:
            n = 0
            while one_start(sweep, plan, call, name, n, namespace, daemon, config, socket, vdpctl, library):
                n += step
    sweep.end(os.path.basename(daemon) + " start")


def one_start(sweep, plan, call, name, n, namespace, daemon, config, socket, vdpctl, library):
    """False: the start makes fewer calls than that."""
    where = f"{call} {name} {n}"
    plan.set(call, n, 1, getattr(errno, name))
    log = open("/run/faults.log", "w+", encoding="utf-8", errors="replace")
    process = subprocess.Popen(["nsenter", f"--net=/run/netns/{namespace}", "env", f"LD_PRELOAD={library}",
                                "SPLITNVE_FAULTS=/run/faults.start", daemon, "--config", config], stdout=log, stderr=log)
    ready = until(20, lambda: process.poll() is not None or
                  "daemon.ready" in open("/run/faults.log", encoding="utf-8", errors="replace").read() or
                  os.path.exists(socket) and ask(socket, vdpctl, "stats", "show").returncode == 0)
    hit = plan.failed()
    plan.clear()
    log.seek(0)
    lines = log.read().strip().splitlines()
    if not hit and process.poll() is None:
        stop(process)
        return False
    sweep.runs += 1
    if process.poll() is not None:
        sweep.refused += 1
        if process.returncode not in (1, 2) or not lines:
            sweep.fault(where, "ended with", process.returncode, lines[-2:])
        elif len(lines[-1]) < 12:
            sweep.fault(where, "gave no reason:", lines[-1])
        return True
    sweep.went_on += 1
    if not ready:
        sweep.fault(where, "is not ready", lines[-2:])
    elif not until(5, lambda: audit_is_clean(socket, vdpctl)):
        sweep.fault(where, "audit:", ask(socket, vdpctl, "audit").stdout.strip().splitlines()[-3:])
    if stop(process) != 0:
        sweep.fault(where, "its end:", process.returncode)
    return True


def stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return -9


def life(socket, vdpctl, plan_path, pid, step, tsi):
    sweep, plan = Sweep(), Plan(plan_path)
    uuid, description = tsi[0], tsi[1:]
    verbs = [("create", description, "associated"), ("start", [], "activated"), ("suspend", [], "associated"),
             ("resume", [], "activated"), ("shutdown", [], None)]

    def state():
        answer = ask(socket, vdpctl, "-j", "tsi", "show")
        rows = json.loads(answer.stdout) if answer.returncode == 0 else []
        return next((row["state"] for row in rows if row["vsi"] == uuid), None)

    for call in [c for c in CALLS[1:] if c not in ("bind", "setsockopt")]:
        for name in ERRORS[call]:
            for n in range(0, 5 * step, step):
                where = f"{call} {name} {n}"
                plan.set(call, n, 1, getattr(errno, name))
                for verb, arguments, wanted in verbs:
                    answer = ask(socket, vdpctl, "tsi", verb, uuid, *arguments, timeout=20)
                    if answer.returncode == 0 and not until(3, lambda w=wanted: state() == w):
                        sweep.fault(where, verb, "was said to be done, and the TSI is", state())
                    if answer.returncode != 0 and not answer.stderr.strip():
                        sweep.fault(where, verb, "was refused without a reason")
                    if answer.returncode != 0:
                        sweep.refused += 1
                        break
                hit = plan.failed()
                plan.clear()
                if not os.path.exists(f"/proc/{pid}"):
                    sweep.fault(where, "the daemon ended")
                    sweep.end("life")
                sweep.runs += 1 if hit else 0
                sweep.went_on += 1 if hit else 0
                # It is over: all is as it shall be again.
                until(8, lambda: ask(socket, vdpctl, "tsi", "shutdown", uuid).returncode == 0 or state() is None)
                if state() is not None:
                    sweep.fault(where, "afterwards it cannot be shut down:", state())
                if not until(8, lambda: audit_is_clean(socket, vdpctl)):
                    sweep.fault(where, "audit:", ask(socket, vdpctl, "audit").stdout.strip().splitlines()[-3:])
    sweep.end("life")


if __name__ == "__main__":
    if sys.argv[1] == "start":
        start(*sys.argv[2:8], int(sys.argv[8]))
    else:
        life(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]), int(sys.argv[6]), sys.argv[8:])
