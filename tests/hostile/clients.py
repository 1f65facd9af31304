#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Misbehaving clients: clients.py SOCKET AGENT-PID TARGET. Prints result lines as tests/lib.sh does.

Rows C1, C2, C3, C5 and C6 of the threat list; tests/hostile/clients.sh starts agent and container.
"""
import array
import json
import os
import random
import socket
import sys
import time

SOCKET, AGENT, TARGET = sys.argv[1], int(sys.argv[2]), sys.argv[3]
PATIENCE = 60  # seconds until a silent peer must have been dropped


def say(good, sentence, why=""):
    print(f"ok - {sentence}" if good else f"not ok - {sentence}: {why}", flush=True)


def connect(timeout=20.0):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.settimeout(timeout)
    end = time.monotonic() + timeout
    while True:
        try:
            s.connect(SOCKET)
            return s
        except BlockingIOError:  # the queue of those who wait to be accepted is full
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


def read_lines(s):
    """All lines until the agent closes; None instead when it does not close in time."""
    data = b""
    try:
        while True:
            part = s.recv(65536)
            if not part:
                break
            data += part
    except socket.timeout:
        return None
    except ConnectionError:
        pass
    return [json.loads(line) for line in data.decode().splitlines()]


def ask(raw, timeout=20.0):
    s = connect(timeout)
    with s:
        try:
            s.sendall(raw)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before the end: the answer may be there all the same
        return read_lines(s)


def capture(**fields):
    request = {"porthole": 1, "op": "capture", "view": "cpu", "target": TARGET, "duration_ms": 300}
    request.update(fields)
    return json.dumps(request).encode() + b"\n"


def served():
    lines = ask(b'{"porthole":1,"op":"status"}\n')
    return bool(lines) and lines[-1].get("type") == "end"


def family(pid):
    out = [pid]
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as f:
                for child in f.read().split():
                    out += family(int(child))
    except OSError:
        pass
    return out


def fds():
    count = 0
    for pid in family(AGENT):
        try:
            count += len(os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            pass
    return count


def programs():
    count = 0
    for pid in family(AGENT):
        try:
            for fd in os.listdir(f"/proc/{pid}/fd"):
                count += os.readlink(f"/proc/{pid}/fd/{fd}") == "anon_inode:bpf-prog"
        except OSError:
            pass
    return count


def rss_kb():
    total = 0
    for pid in family(AGENT):
        try:
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                for line in f:
                    if line.startswith("VmRSS:"):
                        total += int(line.split()[1])
        except OSError:
            pass
    return total


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def dropped(s, seconds=PATIENCE):
    """True when the agent closes this connection in time, whatever it says before."""
    s.settimeout(seconds)
    try:
        while s.recv(65536):
            pass
        return True
    except socket.timeout:
        return False
    except ConnectionError:
        return True


def bad_json():
    """C2: each gets one clear error, and the agent goes on."""
    deep = b'{"porthole":1,"op":"status","x":' + b"[" * 10000 + b"]" * 10000 + b"}\n"
    long_line = b'{"porthole":1,"op":"status","x":"' + b"a" * 10_000_000 + b'"}\n'
    cases = {
        "10,000 levels": deep,
        "17 levels": b'{"porthole":1,"op":"status","x":' + b"[" * 16 + b"]" * 16 + b"}\n",
        "a line of 10 MB": long_line,
        "a duplicate key": b'{"porthole":1,"op":"status","op":"list"}\n',
        "a duplicate key deep inside": b'{"porthole":1,"op":"status","x":{"a":1,"a":2}}\n',
        "NaN": capture().replace(b"300", b"NaN"),
        "Infinity": capture().replace(b"300", b"Infinity"),
        "a number of 20 digits": capture().replace(b"300", b"99999999999999999999"),
        "a fraction of a millisecond": capture().replace(b"300", b"300.5"),
        "bytes behind the object": b'{"porthole":1,"op":"status"}garbage\n',
        "two objects in a line": b'{"porthole":1,"op":"status"}{"porthole":1,"op":"status"}\n',
        "an array": b'[1,2,3]\n',
        "an empty line": b"\n",
        "a comment": b'/* hello */ {"porthole":1,"op":"status"}\n',
        "single quotes": b"{'porthole':1,'op':'status'}\n",
        "a NUL byte": b'{"porthole":1,\x00"op":"status"}\n',
        "bad UTF-8": b'{"porthole":1,"op":"\xff\xfe"}\n',
        "a control byte in a string": b'{"porthole":1,"op":"sta\x01tus"}\n',
        "an unfinished string": b'{"porthole":1,"op":"status\n',
        "another version": b'{"porthole":2,"op":"status"}\n',
        "no version": b'{"op":"status"}\n',
        "an unknown op": b'{"porthole":1,"op":"reboot"}\n',
        "an op that is no string": b'{"porthole":1,"op":["status"]}\n',
        "an HTTP request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    }
    for name, raw in cases.items():
        lines = ask(raw)
        code = "version" if name == "another version" else "usage"
        good = bool(lines) and len(lines) == 1 and lines[0].get("type") == "error" \
            and lines[0].get("code") == code and lines[0].get("message")
        say(good, f"{name}: one clear error", f"got {str(lines)[:200]}")
    say(served(), "the agent serves on after bad requests")


def bad_values():
    """C6, as a script would send it past the command line's own checks."""
    cases = {
        "duration 0": capture(duration_ms=0), "a negative duration": capture(duration_ms=-5),
        "duration 10^12": capture(duration_ms=10**12), "frequency 0": capture(frequency=0),
        "frequency 10^9": capture(frequency=10**9), "a negative frequency": capture(frequency=-1),
        "period 0": capture(period=0), "frequency and period": capture(frequency=99, period=5),
        "an unknown view": capture(view="crystal-ball"), "a missing view": capture(view=None),
        "an unknown event": capture(event="no-such-event"), "a pid that is none": capture(pid=-1),
        "a flag that is a string": capture(per_process="yes"),
        "a duration that is a string": capture(duration_ms="300"),
    }
    for name, raw in cases.items():
        lines = ask(raw)
        good = bool(lines) and len(lines) == 1 and lines[0].get("code") == "usage"
        say(good, f"{name}: refused as usage", f"got {str(lines)[:200]}")
    for target in ("../..", "../../etc/passwd", "", "x" * 1024, "x" * 5000, "cgroup:/../..",
                   "cgroup:relative", "pid:0", "pid:-1", "pid:99999999999", "nobody\x1b[2J"):
        lines = ask(capture(target=target))
        good = bool(lines) and len(lines) == 1 \
            and lines[0].get("code") in ("target-unknown", "usage")
        say(good, f"target {target[:20]!r}: refused", f"got {str(lines)[:200]}")


def many_fds():
    """C3: fds that come along are not kept."""
    before = fds()
    nulls = [os.open("/dev/null", os.O_RDONLY) for _ in range(200)]
    extra = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", nulls).tobytes())]
    half = connect()
    half.sendmsg([b'{"porthole":1,'], extra)
    held = [connect() for _ in range(3)]
    for s in held:
        s.sendmsg([b"{"], extra)
    most = 0
    for _ in range(20):
        most = max(most, fds())
        time.sleep(0.01)
    say(most - before < 20, "200 fds sent along do not stay in the agent",
        f"{before} fds before, {most} during")
    half.sendall(b'"op":"status"}\n')
    lines = read_lines(half)
    say(bool(lines), "the request that they came with is answered or refused", str(lines))
    for s in held + [half]:
        s.close()
    for fd in nulls:
        os.close(fd)
    say(wait_for(lambda: fds() <= before), "all of them are gone afterwards", f"{fds()} > {before}")


def slow_peers():
    """C1: peers that send half a request, a byte a second, or nothing are dropped in time."""
    silent, half, drip = connect(), connect(), connect()
    half.sendall(b'{"porthole":1,"op":"sta')
    start = time.monotonic()
    drip.settimeout(0.001)
    open_still = True
    beside = True
    while open_still and time.monotonic() - start < PATIENCE:
        try:
            drip.sendall(b" ")
            if drip.recv(4096) == b"":
                open_still = False
        except socket.timeout:
            pass
        except OSError:
            open_still = False
        beside = beside and served()
        time.sleep(0.5)
    say(not open_still, "a peer that sends a byte at a time is dropped")
    say(beside, "others are served meanwhile")
    say(dropped(half), "half a request is dropped by time-out")
    say(dropped(silent), "a peer that says nothing is dropped by time-out")


def served_as_another():
    """Is another uid served, one of the socket's group?"""
    pid = os.fork()
    if pid == 0:
        good = False
        try:
            os.setgroups([])
            os.setgid(os.stat(SOCKET).st_gid)
            os.setuid(12345)
            good = served()
        finally:
            os._exit(0 if good else 1)
    return os.waitpid(pid, 0)[1] == 0


def find(value, key):
    """The first value of that key, however deep it is."""
    if isinstance(value, dict):
        if key in value:
            return value[key]
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            found = find(part, key)
            if found is not None:
                return found
    return None


def many_connections():
    """C1: 1,000 connections of one uid meet a limit; afterwards everything is as before."""
    limit = find(ask(b'{"porthole":1,"op":"status"}\n'), "max_connections_uid")
    say(isinstance(limit, int), "the limit of connections is in the status", str(limit))
    before = fds()
    held, refused = [], 0
    for _ in range(1000):
        try:
            s = connect(1.0)
            s.setblocking(False)
            held.append(s)
        except OSError:
            refused += 1
    grown = fds() - before
    say(grown <= (limit or 0) + 2, "1,000 connections of one uid meet its limit",
        f"the agent holds {grown} fds more, {refused} were refused, the limit is {limit}")
    lines = ask(b'{"porthole":1,"op":"status"}\n')
    say(bool(lines) and lines[-1].get("code") == "limit", "that uid is told about the limit",
        str(lines))
    say(served_as_another(), "another uid is served meanwhile")
    for s in held:
        s.close()
    say(wait_for(served), "the agent serves on after 1,000 connections")
    say(wait_for(lambda: fds() <= before + 1), "none of their fds stays", f"{fds()} > {before}")


def never_reads():
    """C1: a client that never reads its capture's stream holds nobody up."""
    held = []
    for _ in range(2):
        s = connect()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        s.sendall(capture(target="all", frequency=999, per_thread=True, duration_ms=500))
        held.append(s)
    say(wait_for(lambda: programs() > 0), "captures for peers that never read start")
    lines = ask(capture())
    say(bool(lines) and lines[-1].get("type") == "end", "a capture beside them is delivered",
        str(lines)[-200:])
    say(wait_for(lambda: programs() == 0), "their captures end in time")
    for s in held:
        s.close()
    say(served(), "the agent serves on after them")


def clients_that_die():
    """C5: closed at random moments of a capture: before, within, while names are resolved."""
    for _ in range(5):
        ask(capture(duration_ms=100))
    before, memory = fds(), rss_kb()
    chance = random.Random(7)
    for _ in range(60):
        s = connect()
        s.sendall(capture(duration_ms=100, frequency=999))
        s.settimeout(chance.random() * 0.25)
        try:
            while s.recv(512):
                pass
        except socket.timeout:
            pass
        s.close()
    say(wait_for(lambda: programs() == 0), "60 clients that died leave no program in the kernel")
    say(wait_for(lambda: fds() <= before), "they leave no fd", f"{fds()} > {before}")
    say(rss_kb() - memory < 8192, "they leave no memory", f"{memory} kB before, {rss_kb()} now")
    shut = connect()
    shut.sendall(capture(duration_ms=100))
    shut.shutdown(socket.SHUT_WR)
    lines = read_lines(shut)
    say(bool(lines) and lines[-1].get("type") == "end",
        "a client that only shuts its writing side down gets its capture", str(lines)[-200:])


def main():
    bad_json()
    bad_values()
    many_fds()
    never_reads()
    clients_that_die()
    many_connections()
    slow_peers()


main()
