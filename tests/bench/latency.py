#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How long a capture lets one wait: latency.py SOCKET TARGET SECONDS OUTPUT

Speaks the protocol itself, saves the stream in OUTPUT, prints in milliseconds: from the request to
the "started" line (sampling runs from here on), and from the end of the capture's time to the last
line of the answer.
"""
import json
import socket
import sys
import time

path, target, seconds, output = sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4]

s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.connect(path)
request = {"porthole": 1, "op": "capture", "view": "cpu", "target": target,
           "duration_ms": int(seconds * 1000)}
begin = time.monotonic()
s.sendall(json.dumps(request).encode() + b"\n")
started = None
with s.makefile("rb") as stream, open(output, "wb") as saved:
    for line in stream:
        if started is None and b'"started"' in line:
            started = time.monotonic()
        saved.write(line)
if started is None:
    sys.exit("the capture did not start")
print(f"{(started - begin) * 1000:.1f} {(time.monotonic() - started - seconds) * 1000:.1f}")
