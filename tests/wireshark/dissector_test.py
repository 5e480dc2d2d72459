#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The dissector of tools/wireshark against tests/data/captures, whose explanations say what each frame holds, and against
frames written here: our own TLVs and formats, and what must raise an expert info."""
import os
import re
import struct
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CAPTURES = os.path.join(ROOT, "tests/data/captures")
LUA = os.path.join(ROOT, "tools/wireshark/split-nve.lua")
FIELDS = ["ecp.operation", "ecp.sequence", "ecp.ack_of", "vdp.manager", "vdp.tlv.type", "vdp.code", "vdp.type_id", "vdp.vsi",
          "vdp.filter_format", "vdp.entries", "vdp.group", "vdp.mac", "vdp.vid", "vdp.pcp", "vdp.ps", "vdp.ipv4", "vdp.ipv6",
          "vdp.prefix_length", "vdp.cap.flags", "vdp.cap.system", "vdp.cap.rka", "vdp.cap.segment", "vdp.cap.last_vid", "vdp.standing", "vdp.attributes", "vdp.migration", "vdp.vn_operation", "vdp.reason",
          "vdp.auth.counter", "vdp.keep", "vdp.hard", "vdp.suspended", "vdp.migrating",
          "evb.bgid", "evb.rrcap", "evb.rrctr", "evb.sgid", "evb.rrreq", "evb.rrstat", "evb.retries", "evb.rte", "evb.mode",
          "evb.rwd", "evb.rka"]
failures = []
checks = 0


def check(where, what, got, wanted):
    global checks
    checks += 1
    if got != wanted:
        failures.append(f"{where}: {what} is {got}, wanted {wanted}")


def dissect(path):
    """A row of {field: [values]} per frame, `expert` the messages."""
    command = ["tshark", "-n", "-X", "lua_script:" + LUA, "-r", path, "-T", "fields", "-E", "occurrence=a", "-E",
               "aggregator=|", "-E", "separator=/t", "-e", "_ws.expert.message"]
    for field in FIELDS:
        command += ["-e", "splitnve." + field]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    if "Lua" in done.stderr:
        sys.exit(done.stderr)
    rows = []
    for line in done.stdout.splitlines():
        parts = [part.split("|") if part else [] for part in line.split("\t")]
        rows.append(dict(zip(["expert", *FIELDS], parts)))
    return rows


# --- captures ---

CODES = {"success": 0, "invalid-format": 1, "insufficient-resources": 2, "no-VSI-manager": 3, "other-failure": 4,
         "invalid-VID/GroupID/MAC": 5, "err6": 6}
COMMANDS = {"Pre-Assoc": 1, "Pre-Assoc-RR": 2, "Assoc": 3, "De-Assoc": 4}
FORMATS = {"VID": 1, "MAC/VID": 2, "GroupID/VID": 3, "GroupID/MAC/VID": 4}


def check_ecp(where, text, row):
    operation, sequence = re.search(r"ECP (REQ|ACK) seq=(\d+)", text).groups()
    check(where, "operation", row["ecp.operation"], ["0" if operation == "REQ" else "1"])
    check(where, "sequence", row["ecp.sequence"], [sequence])
    tlvs = re.findall(r"(Pre-Assoc-RR|Pre-Assoc|Assoc|De-Assoc)\[(req\S*|ACK\S*) (?:(\S+) )?type=(\d+) v\d+ id=5:\.\.(\w+) (\S+) x(\d+)", text)
    check(where, "commands", [kind for kind in row["vdp.tlv.type"] if kind in "1234"], [str(COMMANDS[tlv[0]]) for tlv in tlvs])
    check(where, "codes", row["vdp.code"], [str(CODES[tlv[2]]) for tlv in tlvs if tlv[1].startswith("ACK")])
    check(where, "type ids", row["vdp.type_id"], [tlv[3] for tlv in tlvs])
    check(where, "VSI-IDs", [vsi[-8:] for vsi in row["vdp.vsi"]], [tlv[4] for tlv in tlvs])
    check(where, "formats", [int(kind, 16) for kind in row["vdp.filter_format"]], [FORMATS[tlv[5]] for tlv in tlvs])
    check(where, "entry counts", row["vdp.entries"], [tlv[6] for tlv in tlvs])
    check(where, "GroupIDs", row["vdp.group"], re.findall(r"gid=(\d+)", text))
    check(where, "MAC addresses", row["vdp.mac"], re.findall(r"mac=([0-9a-f:]+)", text))
    check(where, "VIDs", row["vdp.vid"], re.findall(r"vid=(\d+)", text))
    if re.search(r"PCP=\d", text):
        check(where, "PCP", row["vdp.pcp"], re.findall(r"PCP=(\d)", text))
    if "HARD" in text:
        check(where, "HARD", row["vdp.hard"], ["1"])
    if "ECP REQ" in text and "(no END)" in text:
        check(where, "lack of an End TLV", any("No End TLV" in message for message in row["expert"]), True)
    elif "ECP REQ" in text and "vid=0" not in text and "err6" not in text:
        check(where, "expert infos", row["expert"], [])


def check_evb(where, text, row):
    for name in ("BGID", "RRCAP", "RRCTR", "SGID", "RRREQ"):
        check(where, name, row["evb." + name.lower()], ["1" if name in text else "0"])
    mode = {"bridge": "1", "station": "2"}[re.search(r"mode=(\w+)", text).group(1)]
    check(where, "mode", row["evb.mode"], [mode])
    for name, field in (("rrstat", "rrstat"), ("R", "retries"), ("RTE", "rte"), ("RWD", "rwd"), ("RKA", "rka")):
        check(where, name, row["evb." + field], [re.search(rf"\b{name}=(\d+)", text).group(1)])


def check_captures():
    for name in sorted(os.listdir(CAPTURES)):
        if not name.endswith(".pcap"):
            continue
        with open(os.path.join(CAPTURES, name.replace(".pcap", ".explain.txt")), encoding="utf-8") as file:
            lines = file.read().splitlines()
        rows = dissect(os.path.join(CAPTURES, name))
        check(name, "number of frames", len(rows), len(lines))
        for number, (text, row) in enumerate(zip(lines, rows), 1):
            (check_evb if "EVB[" in text else check_ecp)(f"{name} frame {number}", text, row)
            if "ECP ACK" in text:
                check(f"{name} frame {number}", "matched request", len(row["ecp.ack_of"]), 1)


# --- frames of our own ---

MANAGER = "0a10" + "6d677231".ljust(32, "0")
VSI = "00000101" "05" "11111111222233334444555555555501"
OUI = "02534e"


def tlv(kind, value):
    return f"{kind << 9 | len(value) // 2:04x}{value}"


def association(kind, status, entry_format, *entries, count=None):
    return tlv(kind, f"{status:02x}{VSI}{entry_format:02x}{len(entries) if count is None else count:04x}" + "".join(entries))


GOOD = association(3, 0, 4, "00011171" "02aa00000001" "0064")
FRAMES = (
    # what, VDPDU, {field: values}, the expert info that must be there or None for none at all
    ("format 5", MANAGER + association(3, 0, 5, "00011171" "0a000001" "0064") + "0000", {"vdp.ipv4": ["10.0.0.1"]}, None),
    ("format 6", MANAGER + association(3, 0, 6, "00011171" + "20010db8".ljust(32, "0") + "0064") + "0000", {"vdp.ipv6": ["2001:db8::"]}, None),
    ("format 7", MANAGER + association(3, 0, 7, "00011171" "02aa00000001" "0a000001" "0064") + "0000", {"vdp.mac": ["02:aa:00:00:00:01"], "vdp.vid": ["100"]}, None),
    ("format 8", MANAGER + association(3, 0, 8, "00011171" "02aa00000001" + "fe80".ljust(32, "0") + "0064") + "0000", {"vdp.vid": ["100"]}, None),
    ("format 0x85", MANAGER + association(3, 0, 0x85, "00011171" "0a000000" "18" "0064") + "0000", {"vdp.prefix_length": ["24"]}, None),
    ("format 0x86", MANAGER + association(3, 0, 0x86, "00011171" + "20010db8".ljust(32, "0") + "20" "0064") + "0000", {"vdp.prefix_length": ["32"]}, None),
    ("format 0x87", MANAGER + association(3, 0, 0x87, "00011171" "02aa00000001" "0a000000" "08" "0064") + "0000", {"vdp.prefix_length": ["8"]}, None),
    ("format 0x88", MANAGER + association(3, 0, 0x88, "00011171" "02aa00000001" + "20010db8".ljust(32, "0") + "40" "0064") + "0000", {"vdp.prefix_length": ["64"]}, None),
    ("host bits", MANAGER + association(3, 0, 0x85, "00011171" "0a000001" "18" "0064") + "0000", {}, "Host bits"),
    ("prefix above 32", MANAGER + association(3, 0, 0x85, "00011171" "0a000001" "21" "0064") + "0000", {}, "Prefix length is too large"),
    ("capabilities", MANAGER + tlv(127, OUI + "01" "01" "02" "00000183" + "ab" * 16 + "00" * 7 + "05" + "cd" * 16) + "0000", {"vdp.cap.flags": ["0x00000183"], "vdp.cap.system": ["ab" * 16]}, None),
    ("capabilities of version 2", MANAGER + tlv(127, OUI + "01" "02" "02" "00000183" + "ab" * 16 + "00" * 7 + "05" + "cd" * 16 + "688014" + "00" * 7 + "09" + "02" "006400c7" "012c018f") + "0000", {"vdp.cap.rka": ["20"], "vdp.cap.segment": ["0x0000000000000009"], "vdp.cap.last_vid": ["199", "399"]}, None),
    ("capabilities with a range missing", MANAGER + tlv(127, OUI + "01" "02" "02" "00000183" + "ab" * 16 + "00" * 7 + "05" + "cd" * 16 + "688014" + "00" * 8 + "02" "006400c7") + "0000", {}, "Wrong length for this subtype"),
    ("standing", MANAGER + tlv(127, OUI + "07" "01" "00" "05" + "11" * 16 + "00011171") + "0000", {"vdp.standing": ["1"], "vdp.group": ["70001"]}, None),
    ("VN attributes", MANAGER + GOOD + tlv(127, OUI + "09" "00011171" "0001") + "0000", {"vdp.attributes": ["0x0001"]}, None),
    ("migration", MANAGER + GOOD + tlv(127, OUI + "02" "03") + "0000", {"vdp.migration": ["3"]}, None),
    ("VN name", MANAGER + GOOD + tlv(127, OUI + "03" + "11" * 16) + "0000", {}, None),
    ("VN request", MANAGER + tlv(127, OUI + "04" "01" "00011171" "00" "0000") + "0000", {"vdp.vn_operation": ["1"], "vdp.group": ["70001"]}, None),
    ("reason", MANAGER + association(3, 0x54, 4, "00011171" "02aa00000001" "0064") + tlv(127, OUI + "05" "0007" + b"not here".hex()) + "0000", {"vdp.reason": ["not here"], "vdp.hard": ["1"], "vdp.keep": ["0"]}, None),
    ("authentication", MANAGER + GOOD + tlv(127, OUI + "06" "0001" + "00" * 8 + "00" * 7 + "09" + "ee" * 16) + "0000", {"vdp.auth.counter": ["9"]}, None),
    ("authentication not last", MANAGER + tlv(127, OUI + "06" "0001" + "00" * 32) + GOOD + "0000", {}, "not the last TLV"),
    ("extension of another length", MANAGER + tlv(127, OUI + "02" "0300") + "0000", {}, "Wrong length for this subtype"),
    ("unknown extension", MANAGER + tlv(127, OUI + "0a" "03") + "0000", {}, "Unknown subtype"),
    ("no manager", GOOD + "0000", {}, "Manager TLV missing"),
    ("late manager", GOOD + MANAGER + "0000", {}, "Manager TLV is not first"),
    ("second manager", MANAGER + MANAGER + GOOD + "0000", {}, "Second manager TLV"),
    ("manager of another length", tlv(5, "6d67") + GOOD + "0000", {}, "Manager TLV is not 16 octets"),
    ("data after End", MANAGER + GOOD + "0000" + "0102", {}, "Data after the End"),
    ("past the end", MANAGER + "07ff" + "00" * 40, {}, "Length past the end"),
    ("reserved code", MANAGER + association(3, 0x49, 4, "00011171" "02aa00000001" "0064") + "0000", {"vdp.code": ["9"]}, "Reserved code"),
    ("S and M", MANAGER + association(3, 0x30, 4, "00011171" "02aa00000001" "0064") + "0000", {"vdp.suspended": ["1"], "vdp.migrating": ["1"]}, "S and M together"),
    ("unknown format", MANAGER + association(3, 0, 9, "0064") + "0000", {}, "Unknown filter format"),
    ("count", MANAGER + association(3, 0, 1, "0064", count=65535) + "0000", {}, "does not fit the length"),
    ("no entries", MANAGER + association(3, 0, 1) + "0000", {}, "No entries"),
    ("whole VSI", MANAGER + association(4, 0, 1) + "0000", {}, None),
    ("short association", MANAGER + tlv(3, "00" * 10) + "0000", {}, "too short"),
    ("empty association", MANAGER + "0600" + "0000", {}, "too short"),
    ("VID 4095", MANAGER + association(3, 0, 1, "0fff") + "0000", {"vdp.vid": ["4095"]}, "VID 1 or 4095"),
    ("GroupID of 2^24", MANAGER + association(3, 0, 3, "01000000" "0064") + "0000", {"vdp.group": ["16777216"]}, "GroupID is no VN ID"),
    ("group MAC", MANAGER + association(3, 0, 2, "01aa00000001" "0064") + "0000", {}, "Zero or group MAC"),
    ("success without VID", MANAGER + association(3, 0x40, 2, "02aa00000001" "0000") + "0000", {}, "Success without a VID"),
)
HEADERS = (("20010001", "Version is not 1"), ("18010001", "Reserved operation"), ("10090001", "Unknown subtype"), ("10", "Shorter than an ECP"))


def write_pcap(path, payloads):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number, payload in enumerate(payloads):
            frame = bytes.fromhex("0180c2000000" "020000000001" "8940") + payload
            file.write(struct.pack("<IIII", number * 10, 0, len(frame), len(frame)) + frame)


def check_own_frames(folder):
    path = os.path.join(folder, "own.pcap")
    write_pcap(path, [struct.pack("!HH", 0x1001, number) + bytes.fromhex(frame[1]) for number, frame in enumerate(FRAMES)]
               + [bytes.fromhex(header) for header, _ in HEADERS])
    rows = dissect(path)
    check("own frames", "number", len(rows), len(FRAMES) + len(HEADERS))
    for (what, _, fields, message), row in zip(FRAMES, rows):
        for field, values in fields.items():
            check(what, field, row[field], values)
        if message is None:
            check(what, "expert infos", row["expert"], [])
        else:
            check(what, f"'{message}' among the expert infos {row['expert']}", any(message in one for one in row["expert"]), True)
    for (header, message), row in zip(HEADERS, rows[len(FRAMES):]):
        check("header " + header, f"'{message}' among {row['expert']}", any(message in one for one in row["expert"]), True)


def check_truncation(folder):
    """Cut at every octet: the script must never fail by itself."""
    path = os.path.join(folder, "cut.pcap")
    whole = [struct.pack("!HH", 0x1001, 1) + bytes.fromhex(frame[1]) for frame in FRAMES]
    write_pcap(path, [octets[:length] for octets in whole for length in range(0, len(octets), 3)])
    shown = subprocess.run(["tshark", "-n", "-X", "lua_script:" + LUA, "-r", path, "-V"], capture_output=True, text=True, check=True)
    check("cut frames", "Lua errors", re.findall(r"Lua Error.*", shown.stdout + shown.stderr)[:3], [])


def main():
    check_captures()
    with tempfile.TemporaryDirectory() as folder:
        check_own_frames(folder)
        check_truncation(folder)
    for failure in failures[:40]:
        print(failure)
    print(f"dissector: {'FAIL' if failures else 'PASS'} checks={checks} failed={len(failures)}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
