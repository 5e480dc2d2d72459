# SPDX-License-Identifier: Apache-2.0
"""Programs of another tool, which let every frame pass and end the classification.

  foreign.py pin tc|xdp PATH         a program, pinned for `tc ... object-pinned` and `ip link set ... xdp pinned`
  foreign.py tcx PATH INTERFACE      attaches a pinned tc program by TCX, behind all others; 3: this kernel has no TCX
  foreign.py tcx-first PATH INTERFACE   the same, before all others
  foreign.py throw INTERFACE MILLISECONDS SRC FILE NAMESPACE INTERFACE   a broadcast frame each millisecond; how many the
                                     other interface heard is in FILE, which is there and empty when it begins
"""
import ctypes
import os
import platform
import socket
import struct
import sys
import time

SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
PROG_LOAD, OBJ_PIN, OBJ_GET, PROG_ATTACH = 5, 6, 7, 8
KINDS = {"tc": (3, 0), "xdp": (6, 2)}  # program type, and its word for "pass": TC_ACT_OK, XDP_PASS
TCX_INGRESS, BEFORE = 46, 8
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, 128)
    result = LIBC.syscall(SYS_BPF, command, buffer, 128)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def pin(kind, path):
    program_type, verdict = KINDS[kind]
    code = ctypes.create_string_buffer(struct.pack("<BBhi", 0xB7, 0, 0, verdict) + struct.pack("<BBhi", 0x95, 0, 0, 0))
    license_text = ctypes.create_string_buffer(b"GPL")
    program = bpf(PROG_LOAD, struct.pack("<IIQQ", program_type, 2, ctypes.addressof(code), ctypes.addressof(license_text)))
    name = ctypes.create_string_buffer(path.encode())
    bpf(OBJ_PIN, struct.pack("<QII", ctypes.addressof(name), program, 0))


def tcx(flags, path, interface):
    name = ctypes.create_string_buffer(path.encode())
    program = bpf(OBJ_GET, struct.pack("<QII", ctypes.addressof(name), 0, 0))
    try:
        bpf(PROG_ATTACH, struct.pack("<IIII", socket.if_nametoindex(interface), program, TCX_INGRESS, flags))
    except OSError as error:
        sys.exit(3 if error.errno == 22 else str(error))


def throw(interface, milliseconds, source, result, namespace, listener):
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind((interface, 0))
    with open(f"/run/netns/{namespace}", "rb") as there:
        if LIBC.setns(there.fileno(), CLONE_NEWNET) != 0:
            sys.exit("cannot enter " + namespace)
    heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5))
    heard.bind((listener, 0x88B5))
    heard.setblocking(False)
    open(result, "w", encoding="ascii").close()
    frame = b"\xff" * 6 + bytes.fromhex(source.replace(":", "")) + struct.pack("!HI", 0x88B5, 0) + bytes(46)
    count = 0
    for _ in range(int(milliseconds)):
        wire.send(frame)
        time.sleep(0.001)
        try:
            while heard.recv(2048):
                count += 1
        except BlockingIOError:
            pass
    with open(result, "w", encoding="ascii") as out:
        print(count, file=out)


if __name__ == "__main__":
    words = sys.argv[2:]
    if sys.argv[1] == "pin":
        pin(*words)
    elif sys.argv[1] == "throw":
        throw(*words)
    else:
        tcx({"tcx": 0, "tcx-first": BEFORE}[sys.argv[1]], *words)
