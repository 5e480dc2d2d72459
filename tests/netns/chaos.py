#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""chaos.py WORK PLAN: load on running daemons, kill -9 at random moments, and what is left of it at the end.

PLAN is JSON: {seed, kills, daemons: {instance: {program, namespace, config, socket}}, hosts: {hypervisor: {switch,
port}}, vns, tsis_per_host, pings: {name: file}, established: [vsi]}. chaos.sh builds the topology and writes it.
Prints one line per kill and, last, `chaos: kills=N verbs=N pings=N differences=N vids_changed=N frames_lost=N`; fails too
if less was done than the figures below ask.
"""
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time

QUIESCE_SECONDS = 60
# A run that did less than this proves nothing: verbs carried out per hypervisor and kill, share of the pings that a
# quiet run would send in the same time (one each 10 ms), and from how many kills on each daemon must have been hit.
VERBS_PER_KILL_MIN = 100
PINGS_SHARE_MIN = 0.5
KILLS_THAT_HIT_ALL = 40
READY_SECONDS = 15


class Refused(Exception):
    pass


class Client:
    """One connection to a control socket; whoever uses it reconnects after OSError."""

    def __init__(self, path, timeout=15):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")
        self.id = 0

    def call(self, verb, **args):
        self.id += 1
        self.socket.sendall(json.dumps({"id": self.id, "verb": verb, "args": args}).encode() + b"\n")
        rows = []
        while True:
            line = self.file.readline()
            if not line:
                raise ConnectionError("closed")
            answer = json.loads(line)
            if "row" in answer:
                rows.append(answer["row"])
            elif answer.get("ok"):
                return rows, answer.get("result", {})
            else:
                raise Refused(answer["error"]["what"])

    def close(self):
        self.file.close()
        self.socket.close()


def ask(path, verb, **args):
    client = Client(path)
    try:
        return client.call(verb, **args)
    finally:
        client.close()


def wait_until(seconds, what, condition):
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise SystemExit(f"chaos: FAIL: {what}: not within {seconds} s")
        time.sleep(0.02)  # between two looks; what counts is the condition


class Daemon:
    def __init__(self, work, name, plan):
        self.name, self.plan, self.process = name, plan, None
        self.log = open(os.path.join(work, name + ".log"), "ab")
        self.pid = int(open(os.path.join(work, name + ".pid")).read())

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
        else:  # the shell's child
            wait_until(10, f"{self.name} ends", lambda: not alive(self.pid))

    def start(self):
        self.process = subprocess.Popen(
            ["nsenter", "--net=/run/netns/" + self.plan["namespace"], self.plan["program"], "--config", self.plan["config"]],
            stdout=self.log, stderr=self.log)
        self.pid = self.process.pid

    def ready(self):
        if self.process is not None and self.process.poll() is not None:
            raise SystemExit(f"chaos: FAIL: {self.name} ended by itself with {self.process.returncode}")
        ask(self.plan["socket"], "stats.show")
        return True


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Load(threading.Thread):
    """TSIs of one hypervisor, brought up and down at random. What was asked of a daemon that dies is forgotten."""

    def __init__(self, plan, host, number, stop):
        super().__init__(daemon=True)
        self.path, self.stop, self.host = plan["daemons"][host]["socket"], stop, host
        self.random = random.Random(f"{plan['seed']} {host}")
        self.done = self.refused = self.broken = 0
        self.tsis = []
        for i in range(plan["tsis_per_host"]):
            vn = plan["vns"][i % len(plan["vns"])]
            self.tsis.append({"vsi": f"c4a05000-0000-4000-8000-{number:04x}{i:08x}", "vn": vn,
                              "macs": [f"02:cc:00:{number:02x}:{i >> 8:02x}:{i & 255:02x}"],
                              "interface": "trunk0", "guest_tag": 100 + i % len(plan["vns"])})

    def run(self):
        client = None
        while not self.stop.is_set():
            tsi = self.random.choice(self.tsis)
            verb = self.random.choice(["create", "start", "start", "suspend", "resume", "shutdown"])
            try:
                client = client or Client(self.path)
                if verb in ("create", "start"):
                    client.call("tsi.create", **tsi)
                if verb != "create":
                    client.call("tsi." + verb, vsi=tsi["vsi"])
                self.done += 1
            except Refused:
                self.refused += 1
            except OSError:
                self.broken += 1
                if client is not None:
                    client.close()
                client = None
                self.stop.wait(0.05)  # it is down: the main thread starts it again


def states(plan):
    """{(host, vsi, vn): (state, vid)} as hypervisors and as switches tell."""
    here, there = {}, {}
    ports = {(host["switch"], host["port"]): name for name, host in plan["hosts"].items()}
    for name in plan["hosts"]:
        for row in ask(plan["daemons"][name]["socket"], "tsi.show")[0]:
            if row["state"].lower() != "init":
                here[name, row["vsi"], row["vn"]] = (row["state"].lower(), row["vid"])
    for switch in {host["switch"] for host in plan["hosts"].values()}:
        for row in ask(plan["daemons"][switch]["socket"], "tsi.show")[0]:
            there[ports[switch, row["port"]], row["vsi"], row["vn"]] = (row["state"].lower(), row["vid"])
    return here, there


def differences(plan):
    found = []
    for name, daemon in plan["daemons"].items():
        rows, _ = ask(daemon["socket"], "audit")
        found += [f"{name}: {row['plane']} {row['row']}: {row['difference']}" for row in rows]
    here, there = states(plan)
    for key in sorted(set(here) | set(there)):
        if here.get(key) != there.get(key):
            found.append(f"{key}: hypervisor {here.get(key)}, switch {there.get(key)}")
    return found


def quiesced(plan):
    deadline = time.monotonic() + QUIESCE_SECONDS
    while True:
        found = differences(plan)
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.2)  # between two looks


def vids(plan):
    here, there = states(plan)
    return {(side, key): value[1] for side, table in (("hypervisor", here), ("switch", there))
            for key, value in table.items() if key[1] in plan["established"]}


def frames_lost(plan):
    """Echo requests without reply among those before the last reply; the pings were stopped while all was well."""
    lost, least = 0, None
    for name, file in sorted(plan["pings"].items()):
        answers = {int(n): float(at) for at, n in re.findall(r"\[([\d.]+)\].*icmp_seq=(\d+) ttl", open(file).read())}
        numbers = sorted(answers)
        gaps = [(n - before - 1, answers[n]) for before, n in zip(numbers, numbers[1:]) if n != before + 1]
        missing = sum(count for count, _ in gaps) + (numbers[0] - 1) if numbers else 1
        print(f"ping {name}: {len(numbers)} answered, {missing} lost", flush=True)
        for count, until in gaps:
            print(f"{until:.2f} ping {name} answers again, {count} lost", flush=True)
        lost += missing
        least = len(numbers) if least is None else min(least, len(numbers))
    return lost, least


def too_little(plan, loads, hits, pings, seconds):
    """What keeps this run from being a proof; empty if enough was done."""
    wanted = VERBS_PER_KILL_MIN * plan["kills"]
    found = [f"{load.host}: {load.done} verbs carried out, wanted {wanted}" for load in loads if load.done < wanted]
    if pings < PINGS_SHARE_MIN * seconds * 100:
        found.append(f"pings: {pings} answered in {seconds:.0f} s, wanted {PINGS_SHARE_MIN * seconds * 100:.0f}")
    if plan["kills"] >= KILLS_THAT_HIT_ALL:
        found += [f"{name}: never killed" for name in plan["daemons"] if not hits.get(name)]
    return found


def main():
    work, plan = sys.argv[1], json.load(open(sys.argv[2]))
    chance = random.Random(plan["seed"])
    daemons = {name: Daemon(work, name, one) for name, one in plan["daemons"].items()}
    before = vids(plan)
    stop = threading.Event()
    loads = [Load(plan, host, i + 1, stop) for i, host in enumerate(sorted(plan["hosts"]))]
    began, hits = time.monotonic(), {}
    for load in loads:
        load.start()
    for n in range(plan["kills"]):
        time.sleep(chance.uniform(0.02, 1.0))  # the random moment
        victim = daemons[chance.choice(sorted(daemons))]
        victim.kill()
        hits[victim.name] = hits.get(victim.name, 0) + 1
        down = chance.choice([0, 0, 0.1, 0.7])
        time.sleep(down)
        victim.start()
        early = chance.random() < 0.3  # the next kill may hit it while it starts
        print(f"{time.time():.2f} kill {n + 1}: {victim.name}, down {down} s{', not waited for' if early else ''}", flush=True)
        if not early:
            wait_until(READY_SECONDS, f"{victim.name} answers", victim.ready)
    stop.set()
    for load in loads:
        load.join(30)
    for daemon in daemons.values():
        wait_until(READY_SECONDS, f"{daemon.name} answers", daemon.ready)
    print("load:", ", ".join(f"{load.done} done {load.refused} refused {load.broken} broken" for load in loads), flush=True)
    left = quiesced(plan)
    for line in left[:40]:
        print("difference:", line, flush=True)
    after = vids(plan)
    changed = [key for key in set(before) | set(after) if before.get(key) != after.get(key)]
    for key in changed:
        print("vid changed:", key, before.get(key), after.get(key), flush=True)
    lost, pings = frames_lost(plan)
    shortfall = too_little(plan, loads, hits, pings, time.monotonic() - began)
    for line in shortfall:
        print("too little work:", line, flush=True)
    print(f"chaos: kills={plan['kills']} verbs={sum(load.done for load in loads)} pings={pings} differences={len(left)} "
          f"vids_changed={len(changed)} frames_lost={lost}", flush=True)
    return 0 if not left and not changed and not lost and not shortfall and before else 1


if __name__ == "__main__":
    sys.exit(main())
