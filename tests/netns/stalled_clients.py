#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""stalled_clients.py SOCKET COUNT [UID]: clients that ask for much and read nothing, until they are killed; of that user."""
import os
import signal
import socket
import sys

path, count = sys.argv[1], int(sys.argv[2])
held = []
if len(sys.argv) > 3:  # here, because the interpreter may stand where only root reads
    os.setgroups([])
    os.setgid(int(sys.argv[3]))
    os.setuid(int(sys.argv[3]))
for _ in range(count):
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    client.setblocking(False)
    try:
        while True:
            client.send(b'{"id":1,"verb":"stats.show","args":{}}\n' * 100)
    except BlockingIOError:
        pass
    held.append(client)
signal.pause()
