#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""reach.py [--notify] SOCKET...: what a process can reach; a line `reached ...` or `did ...` for each success.

With --notify it then tells the service manager that it is ready, and waits to be ended.
"""
import os
import signal
import socket
import sys

STREAM, DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM


def attempt(what, action):
    try:
        action()
        print(what, flush=True)
    except OSError as error:
        print(f"no: {what}: {error.strerror}", flush=True)


def connect(path):
    for kind in (STREAM, DATAGRAM, socket.SOCK_SEQPACKET):
        try:
            socket.socket(socket.AF_UNIX, kind).connect(path)
            return
        except OSError as error:
            last = error
    raise last


def write_to(path):
    with open(path, "w", encoding="ascii") as file:
        file.write("x")


def main():
    places = [word for word in sys.argv[1:] if word != "--notify"]
    for place in places:
        attempt(f"reached {place}", lambda place=place: connect(place))
        # A file system that only hides a name may still be reached through another process's root.
        attempt(f"reached /proc/1/root{place}", lambda place=place: connect(f"/proc/1/root{place}"))
    if "--notify" not in sys.argv:
        return
    attempt("did signal PID 1", lambda: os.kill(1, 0))
    attempt("did read /etc/shadow", lambda: open("/etc/shadow", encoding="utf-8").close())
    attempt("did list bpffs of another instance", lambda: os.listdir("/sys/fs/bpf/splitnve/sw1"))
    for path in ("/etc/splitnve/x", "/usr/local/x", "/run/x", "/run/systemd/system/x.service", "/proc/sys/kernel/core_pattern",
                 "/var/lib/x", "/sys/fs/bpf/x"):
        attempt(f"did write {path}", lambda path=path: write_to(path))
    print("all tried", flush=True)
    notify = os.environ["NOTIFY_SOCKET"]
    with socket.socket(socket.AF_UNIX, DATAGRAM) as manager:
        manager.sendto(b"READY=1", notify)
    signal.pause()


main()
