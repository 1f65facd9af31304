# SPDX-License-Identifier: Apache-2.0
"""Saved streams of waiting, for test_svg.py: "hotcold" (with a waker, which no real one has) or
"runq"."""
import json
import sys

FRAMES = [
    ("on-CPU", "label"), ("blocked", "label"), ("spin", "user"), ("nap", "user"),
    ("schedule", "kernel"), ("--", "label"), ("wake_up", "kernel"),
]
STACKS = [([0, 2], 1500000), ([1, 3, 4], 3000000), ([1, 3, 4, 5, 6], 1500000)]


def say(**line):
    print(json.dumps(line))


def start(view, unit, yields):
    say(type="started", porthole=1, version="0", view=view, unit=unit, yields=yields,
        duration_ms=2000, host="h1", target="web1", container={"name": "web1"})


def hotcold():
    start("hotcold", "microseconds", "stacks")
    for number, (name, kind) in enumerate(FRAMES):
        say(type="frame", id=number, name=name, kind=kind, named=True)
    for frames, value in STACKS:
        say(type="stack", frames=frames, value=value, comm="web")


def runq():
    start("runq", "waits", "records")
    for state, low in ("runnable", 8), ("throttled", 65536):
        for n in range(20):
            say(type="histogram", histogram="runq", state=state, from_ms=n * 100,
                to_ms=(n + 1) * 100, buckets=[[low << n % 5, (low << n % 5) * 3 // 2, n + 1]])


globals()[sys.argv[1]]()
say(type="end", status="done", elapsed_ms=2000)
