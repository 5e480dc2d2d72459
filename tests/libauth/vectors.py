#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes vectors.hpp: sealed VDPDUs, computed with nothing but hmac and hashlib from the picture in
include/splitnve/auth/session.hpp. Run it after a change of that picture: tests/libauth/vectors.py > tests/libauth/vectors.hpp"""
import hashlib
import hmac
import struct

STATION, BRIDGE = 1, 2
STATION_NONCE, BRIDGE_NONCE = bytes(range(0x10, 0x20)), bytes(range(0x40, 0x50))
STATION_SYSTEM, BRIDGE_SYSTEM = bytes([0xA1] * 16), bytes([0xB2] * 16)
STATION_MAC, BRIDGE_MAC = bytes.fromhex("020000000001"), bytes.fromhex("020000000099")
NCB = bytes.fromhex("0180c2000000")
OTHER_GROUP = bytes.fromhex("03534e000001")
MANAGER = bytes([0x0A, 0x10]) + b"mgr1" + bytes(12)
ASSOCIATE = bytes.fromhex("062500000001010511111111222233334444555555555504" "040001" "0001117402aa000000040067")


def hkdf(secret, salt, info, octets):
    key = hmac.new(salt, secret, hashlib.sha256).digest()
    out, block = b"", b""
    while len(out) < octets:
        block = hmac.new(key, block + info + bytes([len(out) // 32 + 1]), hashlib.sha256).digest()
        out += block
    return out[:octets]


def sealed(key_id, secret, direction, destination, operation, sequence, counter, body):
    nonces = STATION_NONCE + BRIDGE_NONCE
    rest = STATION_SYSTEM + BRIDGE_SYSTEM + STATION_MAC + BRIDGE_MAC
    key = struct.pack(">H", key_id)
    keys = hkdf(secret, nonces, b"split-nve authentication 1" + key + rest, 64)
    session = hashlib.sha256(b"split-nve session 1" + key + nonces + rest).digest()[:8]
    source = STATION_MAC if direction == STATION else BRIDGE_MAC
    where = 1 if destination == NCB else 3 if destination[0] & 1 else 2
    header = struct.pack(">BBH", 0x10 | operation << 2, 1, sequence)
    covered = body + bytes.fromhex("fe26" "02534e06") + key + session + struct.pack(">Q", counter)
    direction_key = keys[:32] if direction == STATION else keys[32:]
    tag = hmac.new(direction_key, bytes([where, direction]) + source + header + covered, hashlib.sha256).digest()[:16]
    return covered + tag + bytes(2)


CASES = [  # key id, secret, direction, destination, operation, sequence, counter, body
    (1, bytes([0x5A] * 32), STATION, NCB, 0, 1, 1, MANAGER + ASSOCIATE),
    (1, bytes([0x5A] * 32), BRIDGE, NCB, 0, 0xFFFF, 1, MANAGER + ASSOCIATE),
    (1, bytes([0x5A] * 32), BRIDGE, STATION_MAC, 1, 7, 1, b""),
    (0xBEEF, bytes(range(32)), STATION, BRIDGE_MAC, 0, 300, 1, MANAGER),
    (0xBEEF, bytes(range(32)), STATION, OTHER_GROUP, 0, 0, 0, MANAGER),
]


def text(octets):
    return '"' + octets.hex() + '"'


print("// SPDX-License-Identifier: Apache-2.0")
print("// Written by vectors.py; do not edit.")
print("#pragma once\n#include <cstdint>\n")
print("namespace splitnve::auth::vectors {\n")
print("struct Case {\n  std::uint16_t key;\n  const char* secret;\n  bool from_station;\n  const char* destination;\n"
      "  bool ack;\n  std::uint16_t sequence;\n  std::uint64_t counter;\n  const char* plain;\n  const char* sealed;\n};\n")
for name in ("STATION_NONCE", "BRIDGE_NONCE", "STATION_SYSTEM", "BRIDGE_SYSTEM", "STATION_MAC", "BRIDGE_MAC"):
    constant = "k" + "".join(part.capitalize() for part in name.split("_"))
    print(f"inline constexpr const char* {constant} = {text(globals()[name])};")
print("// clang-format off\ninline constexpr Case kCases[] = {")
for case in CASES:
    key_id, secret, direction, destination, operation, sequence, counter, body = case
    plain = body + bytes(2) if body else body
    print(f"    {{{key_id}, {text(secret)}, {str(direction == STATION).lower()}, {text(destination)}, "
          f"{str(operation == 1).lower()}, {sequence}, {counter}, {text(plain)},\n     {text(sealed(*case))}}},")
print("};\n// clang-format on\n\n}  // namespace splitnve::auth::vectors")
