#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What attacks at one port of nnved cost the station at another; tests/bench/fairness.sh makes the topology."""
import argparse
import ctypes
import json
import multiprocessing
import os
import select
import socket
import struct
import subprocess
import sys
import time

GROUP = bytes.fromhex("0180c2000000")
BLUE = 70001
RATE = 1000
ACK_TIMER_MS = 163.84  # RTE 14
RATIO_MAX, MICROSECONDS_MAX = 2.0, 50.0
libc = ctypes.CDLL(None, use_errno=True)


def raw(namespace, interface):
    """A packet socket inside a named network namespace."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    assert libc.setns(there, 0x40000000) == 0
    try:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        made.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
        made.bind((interface, 0x8940))
        made.setblocking(False)
        return made
    finally:
        libc.setns(own, 0x40000000)
        os.close(own)
        os.close(there)


def mac(prefix, number):
    return bytes([prefix]) + number.to_bytes(5, "big")


def vsi(prefix, number):
    return bytes([prefix]) + number.to_bytes(15, "big")


def tlv(kind, value):
    return struct.pack("!H", kind << 9 | len(value)) + value


def entry(vn, address, ip=b""):
    return struct.pack("!I", vn) + address + ip + b"\0\0"


def association(command, name, entries, status=0, form=4):
    head = struct.pack("!B3sBB", status, b"\0\0\1", 1, 5) + name + bytes([form]) + struct.pack("!H", len(entries))
    return tlv(command, head + b"".join(entries))


def capabilities(system, epoch, nonce):
    return tlv(127, bytes.fromhex("02534e01") + struct.pack("!BBI", 1, 1, 0x19C) + system + struct.pack("!Q", epoch) + nonce)


def vn_request(operation, vn):
    return tlv(127, bytes.fromhex("02534e04") + struct.pack("!BIBH", operation, vn, 0, 0))


def vdpdu(*tlvs):
    return tlv(5, bytes(16)) + b"".join(tlvs) + b"\0\0"


def ecp(source, sequence, payload, acknowledges=False, to=GROUP):
    head = struct.pack("!HHH", 0x8940, 0x1001 | int(acknowledges) << 10, sequence & 0xFFFF)
    return (to + source + head + payload).ljust(60, b"\0")


class Station:
    """Sends one ECPDU after the other, acknowledges what the nNVE says, and counts its answers."""

    def __init__(self, namespace, interface, address):
        self.socket, self.mac = raw(namespace, interface), address
        self.sequence = int.from_bytes(os.urandom(2), "big")
        self.system, self.nonce, self.epoch = os.urandom(16), os.urandom(16), 1
        self.granted = self.refused = 0
        self.seen = None

    def show(self):
        return capabilities(self.system, self.epoch, self.nonce)

    def take(self):
        """Reads what is there; the sequences that were acknowledged."""
        acknowledged = []
        while True:
            try:
                frame = self.socket.recv(2048)
            except BlockingIOError:
                return acknowledged
            if frame[12:14] != b"\x89\x40" or frame[6:12] == self.mac:
                continue
            head, sequence = struct.unpack("!HH", frame[14:18])
            if head >> 10 & 3:
                acknowledged.append(sequence)
                continue
            self.socket.send(ecp(self.mac, sequence, b"", True, frame[6:12]))
            if sequence != self.seen:
                self.seen = sequence
                self.count(frame[18:])

    def count(self, payload):
        at = 0
        while at + 2 <= len(payload):
            word, = struct.unpack("!H", payload[at:at + 2])
            kind, length = word >> 9, word & 511
            if kind == 0:
                return
            if 1 <= kind <= 3:  # a De-Associate grants nothing
                code = payload[at + 2] & 15
                self.granted, self.refused = self.granted + (code == 0), self.refused + (code != 0)
            at += 2 + length

    def say(self, payload, seconds=2.0, again=None):
        """Milliseconds until it was acknowledged, None if it was not."""
        self.sequence = self.sequence + 1 & 0xFFFF
        frame = ecp(self.mac, self.sequence, payload)
        begin = time.perf_counter()
        next_try = begin
        while (now := time.perf_counter()) < begin + seconds:
            if now >= next_try:
                self.socket.send(frame)
                next_try = now + (again or seconds)
            select.select([self.socket], [], [], min(next_try, begin + seconds) - now)
            if self.sequence in self.take():
                return 1000 * (time.perf_counter() - begin)
        return None

    def settle(self, seconds=0.2):
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            select.select([self.socket], [], [], 0.02)
            self.take()


def fill(station, prefix, first, count, command=2):
    """Asks for so many TSIs of one MAC each; how many it got."""
    before = station.granted
    for at in range(first, first + count, 30):
        tlvs = [association(command, vsi(prefix, n), [entry(BLUE, mac(prefix & 0xFC | 2, n))])
                for n in range(at, min(at + 30, first + count))]
        if station.say(vdpdu(*tlvs, station.show()), 20, 0.2) is None:
            sys.exit("fairness: a request was not acknowledged within 20 s")
    station.settle(1.0)
    return station.granted - before


def lldp(n):
    """The EVB neighbour whose timers change with every frame."""
    source = mac(2, 0x11D0)
    evb = tlv(127, b"\0\x80\xc2\x0d" + bytes([0, 8, 0x6C, 0x80 | 20, 24 if n % 2 else 20]))
    return (GROUP + source + b"\x88\xcc" + tlv(1, b"\4" + source) + tlv(2, b"\5a0") + tlv(3, b"\0\x78") + evb + b"\0\0").ljust(60, b"\0")


def attacks(bad, held):
    """Name -> the n-th frame. `held`: TSIs that the hostile station has."""
    def from_bad(make):
        return lambda n: ecp(bad.mac, 20000 + n, make(n))

    def each(count, make):
        return vdpdu(*[make(k) for k in range(count)], bad.show())
    fixed = ecp(bad.mac, 7, vdpdu(bad.show()))
    own = lambda n: [association(2, vsi(0xB0, (30 * n + k) % held), [entry(BLUE, mac(0xB2, (30 * n + k) % held))]) for k in range(30)]
    return {
        "duplicates": lambda n: fixed,
        "another epoch each": from_bad(lambda n: vdpdu(capabilities(bad.system, n + 2, bad.nonce))),
        "another session each": from_bad(lambda n: vdpdu(capabilities(bad.system, 1, n.to_bytes(16, "big")))),
        "30 TSIs beyond the share": from_bad(lambda n: each(30, lambda k: association(
            2, vsi(0xB4, 30 * n + k), [entry(BLUE, mac(0xB6, 30 * n + k))]))),
        "renewals, 30 a frame": from_bad(lambda n: vdpdu(*own(n), bad.show())),
        "De-Associates of nothing": from_bad(lambda n: each(50, lambda k: association(4, vsi(0xB8, 50 * n + k), []))),
        "takeovers that are refused": from_bad(lambda n: each(30, lambda k: association(
            3, vsi(0x60, k), [entry(BLUE, mac(0x62, k))], 0x10))),
        "IPs that are reserved": from_bad(lambda n: each(20, lambda k: association(
            3, vsi(0xBA, k), [entry(BLUE, mac(0xBA, k), bytes([10, 0, 0, k]))], 0, 7))),
        "VN disconnects": from_bad(lambda n: vdpdu(vn_request(2, BLUE), bad.show())),
        "EVB timers that alternate": lldp,
        "a new station each": lambda n: ecp(mac(2, 0xBAD0000000 + n), n, vdpdu(bad.show())),
        "80 entries of 200 stations": lambda n: ecp(mac(2, 0xBAE0000000 + n % 200), n // 200, vdpdu(*[association(
            3, vsi(0xC0, n // 200 * 2 + k), [entry(999, mac(6, e)) for e in range(40)]) for k in range(2)])),
        "broken TLVs": from_bad(lambda n: tlv(5, bytes(16)) + b"\x07\xff" + os.urandom(900)),
    }


def sender(interface, address, make, rate, start, stop, sent):
    """Its own process: sends until told to stop, at the rate or as fast as it can; acknowledges now and then."""
    station = Station("hostile", interface, address)
    frames = [make(n) for n in range(2000)]
    start.wait()
    n, begin = 0, time.perf_counter()
    while not stop.is_set():
        for _ in range(1 if rate else 32):
            try:
                station.socket.send(frames[n % len(frames)])
            except OSError:
                time.sleep(0.0005)
                continue
            n += 1
        if n % 32 == 0:
            station.take()
        if rate and (ahead := begin + n / rate - time.perf_counter()) > 0:
            time.sleep(ahead)
    sent.value = n


class Bench:
    def __init__(self, options):
        self.options = options
        self.bad = Station("hostile", "a0", mac(2, 0xBAD0000000))
        self.good = Station("good", "g0", mac(2, 0x600D000001))
        self.missed = 0

    def cpu(self):
        """Seconds on a CPU, of all threads; a clock tick is as long as hundreds of frames take."""
        tasks = f"/proc/{self.options.pid}/task"
        return sum(int(open(f"{tasks}/{task}/schedstat").read().split()[0]) for task in os.listdir(tasks)) / 1e9

    def show(self, what):
        out = subprocess.run([self.options.vdpctl, "-s", self.options.socket, "-j", what, "show"], capture_output=True, text=True)
        return json.loads(out.stdout)

    def share(self, port, what):
        return next(row for row in self.show("limits") if row["port"] == port and row["what"] == what)

    def line(self, ok, text):
        self.missed += not ok
        print(f"fairness: {text} {'PASS' if ok else 'FAIL'}", flush=True)

    def renew(self):
        """Half of what the good station has is active; all of it is renewed."""
        before = self.good.granted
        for at in range(0, 60, 30):
            tlvs = [association(3, vsi(0x60, n), [entry(BLUE, mac(0x62, n))]) for n in range(at, at + 30)]
            self.good.say(vdpdu(*tlvs, self.good.show()), 5, 0.2)
        self.good.settle(0.1)
        return self.good.granted - before

    def phase(self, interface, make, rate, samples):
        start, stop, sent = multiprocessing.Event(), multiprocessing.Event(), multiprocessing.Value("L", 0)
        flood = multiprocessing.Process(target=sender, args=(interface, self.bad.mac, make, rate, start, stop, sent))
        flood.start()
        time.sleep(0.3)  # its frames are made
        used, times = self.cpu(), []
        start.set()
        time.sleep(0.05)
        for n in range(samples):
            times.append(self.good.say(vdpdu(association(4, vsi(0x6F, n), [])), 4))
            time.sleep(0.01)
        stop.set()
        flood.join()
        return times, self.cpu() - used, sent.value

    def prepare(self):
        self.good.say(vdpdu(self.good.show()), 5, 0.2)
        self.bad.say(vdpdu(self.bad.show()), 5, 0.2)
        if self.renew() != 60:
            sys.exit("fairness: the good station did not get its 60 TSIs")
        begin = time.perf_counter()
        share = self.share("p1", "tsis")["share"]
        self.held = fill(self.bad, 0xB0, 0, share + 300)
        used = self.share("p1", "tsis")["used"]
        self.line(self.held == used == share, f"the hostile port asked for {share + 300} TSIs and has {used} of its {share} "
                  f"({time.perf_counter() - begin:.1f} s)")

    def fill_again(self):
        """What an attack has cost the hostile port, or its silence: the tables are full under each attack."""
        row = self.share("p1", "tsis")
        if row["used"] < row["share"]:
            fill(self.bad, 0xB0, 0, row["share"] + 300)
        if (used := self.share("p1", "tsis")["used"]) < row["share"]:
            self.line(False, f"the hostile port has {used} of its {row['share']} before the next attack")

    def run(self):
        self.prepare()
        for name, make in attacks(self.bad, max(self.held, 1)).items():
            quiet, attacked, cpu, control_cpu, sent = [], [], 0.0, 0.0, 0
            lost = 0
            self.fill_again()
            for _ in range(self.options.alternations):
                lost += 60 - self.renew()
                times, used, _ = self.phase("c0", make, RATE, self.options.samples)
                quiet, control_cpu = quiet + times, control_cpu + used
                times, used, count = self.phase("a0", make, RATE, self.options.samples)
                attacked, cpu, sent = attacked + times, cpu + used, sent + count
            times, full_cpu, full_sent = self.phase("a0", make, 0, self.options.samples)
            lost += 60 - self.renew()
            self.judge(name, quiet, attacked, 1e6 * max(0, cpu - control_cpu) / max(1, sent), times,
                       1e6 * full_cpu / max(1, full_sent), full_sent, lost)
        self.others_fill()
        self.line(self.missed == 0, f"{self.missed} bounds missed:")
        return self.missed

    def judge(self, name, quiet, attacked, cost, full, full_cost, full_sent, lost):
        p99 = lambda times: sorted(999.0 if t is None else t for t in times)[max(0, len(times) * 99 // 100 - 1)]
        a, b, worst = p99(quiet), p99(attacked), max(999.0 if t is None else t for t in full)
        ok = b <= RATIO_MAX * a and cost <= MICROSECONDS_MAX and worst <= ACK_TIMER_MS and lost == 0
        self.line(ok, f"{name:28} ack p99 {b:.2f} ms, control {a:.2f} ms, ratio {b / a:.2f}; CPU {cost:.1f} us per frame; at full rate "
                  f"({full_sent} frames, {full_cost:.1f} us each) worst ack {worst:.1f} ms; TSIs lost {lost}")

    def others_fill(self):
        """The hostile port is full: the other one still gets all that is its own."""
        row = self.share("p2", "tsis")
        got = fill(self.good, 0x64, 0, row["share"] - row["used"] + 300)
        row = self.share("p2", "tsis")
        self.line(row["used"] == row["share"], f"another port fills its own share: {row['used']} of {row['share']}, {got} just now")


def main():
    parser = argparse.ArgumentParser()
    for name, kind in (("pid", int), ("vdpctl", str), ("socket", str), ("tsis", int), ("alternations", int), ("samples", int)):
        parser.add_argument("--" + name, type=kind, required=True)
    sys.exit(1 if Bench(parser.parse_args()).run() else 0)


main()
