# SPDX-License-Identifier: Apache-2.0
"""For gdb: attaches to $PID again and again, until it has $STACKS backtraces of its threads, and writes
each to $GDB_OUT as a line: where each frame is executing, outermost first, as FILE+0xADDRESS with the ELF
file's own addresses. A caller is where its call is: one byte before the return address."""
import bisect
import os
import struct
import time

import gdb

PID = os.environ["PID"]


class Segments:
    """File offsets to addresses, by the program headers."""

    def __init__(self, path):
        with open(path, "rb") as f:
            data = f.read(64)
            at, size, count = *struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54)
            f.seek(at)
            table = f.read(size * count)
        rows = (struct.unpack_from("<IIQQQQ", table, i * size) for i in range(count))
        self.loads = [(r[2], r[3], r[5]) for r in rows if r[0] == 1]

    def address(self, offset):
        for start, vaddr, size in self.loads:
            if start // 4096 * 4096 <= offset < start + size:
                return vaddr + offset - start
        return offset


class Maps:
    cache = {}

    def __init__(self):
        self.rows = []
        with open(f"/proc/{PID}/maps", encoding="utf-8") as f:
            for line in f:
                words = line.split(None, 5)
                start, end = (int(x, 16) for x in words[0].split("-"))
                self.rows.append((start, end, int(words[2], 16), words[5].strip() if len(words) > 5 else ""))

    def place(self, pc):
        at = bisect.bisect_right([r[0] for r in self.rows], pc) - 1
        start, end, offset, path = self.rows[at]
        if pc >= end or not path:
            return f"?+{pc:#x}"
        if path == "[vdso]":
            return f"[vdso]+{pc - start:#x}"
        if path not in self.cache:
            self.cache[path] = Segments(f"/proc/{PID}/root{path}")
        return f"{path}+{self.cache[path].address(pc - start + offset):#x}"


def backtrace(maps):
    places = []
    frame = gdb.newest_frame()
    exact = True
    while frame:
        if frame.type() in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
            frame = frame.older()  # from debug information: nothing of it is on the stack
            continue
        signal = frame.type() == gdb.SIGTRAMP_FRAME
        places.append(maps.place(frame.pc() - (0 if exact or signal else 1)))
        exact = signal
        frame = frame.older()
    return ";".join(reversed(places))


def one_round(out):
    gdb.execute(f"attach {PID}", to_string=True)
    maps = Maps()
    threads = gdb.selected_inferior().threads()
    for thread in threads:
        thread.switch()
        out.write(backtrace(maps) + "\n")
    gdb.execute("detach", to_string=True)
    return len(threads)


for setting in ("pagination off", "confirm off", "backtrace past-main on", "backtrace past-entry on",
                "debuginfod enabled off", "auto-solib-add on", "print thread-events off"):
    gdb.execute("set " + setting)
with open(os.environ["GDB_OUT"], "w", encoding="utf-8") as output:
    stacks = 0
    while stacks < int(os.environ["STACKS"]):
        stacks += one_round(output)
        time.sleep(stacks % 7 * 0.003)  # other places each time; nothing waits for it
