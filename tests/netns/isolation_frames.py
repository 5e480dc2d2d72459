# SPDX-License-Identifier: Apache-2.0
"""ECP, VDP and LLDP frames as a hostile station makes them, and a packet socket in another namespace."""
import ctypes
import ipaddress
import os
import socket
import struct

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
GROUP = bytes.fromhex("0180c2000000")
LLDP_GROUP = bytes.fromhex("0180c200000e")
ABLE = 0x11FF  # all that we know but standing, multi-VID and digest


def octets(text):
    return bytes.fromhex(text.replace(":", ""))


def wire(namespace, interface, protocol=0):
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    LIBC.setns(there, CLONE_NEWNET)
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
    opened.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE: nobody reads while the catalogue is thrown
    opened.bind((interface, protocol))
    opened.setblocking(False)
    LIBC.setns(here, CLONE_NEWNET)
    os.close(here)
    os.close(there)
    return opened


def tlv(kind, value):
    return struct.pack("!H", kind << 9 | len(value)) + value


def entry(vn, mac=b"", ip=None, vid=0):
    """GroupID, then what is given of MAC, IP (its prefix with the length in front) and VID."""
    address = b""
    if ip and "/" in ip:
        text, length = ip.split("/")
        address = ipaddress.ip_address(text).packed + bytes([int(length)])
    elif ip:
        address = ipaddress.ip_address(ip).packed
    return struct.pack("!I", vn) + mac + address + struct.pack("!H", vid)


def association(command, vsi, entries, form=4, status=0, count=None):
    count = len(entries) if count is None else count
    head = struct.pack("!B3sBB", status, b"\0\0\1", 1, 5) + vsi + bytes([form]) + struct.pack("!H", count)
    return tlv(command, head + b"".join(entries))


def vn_request(operation, vn):
    return tlv(127, bytes.fromhex("02534e04") + struct.pack("!BIBH", operation, vn, 0, 0))


def capabilities(system, nonce, flags=ABLE, role=1):
    return tlv(127, bytes.fromhex("02534e01") + struct.pack("!BBI", 1, role, flags) + system + bytes(8) + nonce)


def pdu(*tlvs):
    return tlv(5, bytes(16)) + b"".join(tlvs) + bytes(2)


def ecp(source, sequence, payload, acknowledges=False, to=GROUP):
    head = struct.pack("!HHH", 0x8940, 0x1001 | int(acknowledges) << 10, sequence & 0xFFFF)
    return (to + source + head + payload).ljust(60, b"\0")


def evb_lldp(source, to=GROUP, ttl=120, evb=None, rka=17):
    if evb is None:
        evb = tlv(127, b"\0\x80\xc2\x0d" + bytes([0, 8, 0x6C, 0x80 | 18, rka]))
    names = tlv(1, b"\4" + source) + tlv(2, b"\5up0") + tlv(3, struct.pack("!H", ttl))
    return (to + source + b"\x88\xcc" + names + evb + bytes(2)).ljust(60, b"\0")
