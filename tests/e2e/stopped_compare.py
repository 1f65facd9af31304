#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""stopped_compare.py GDB STREAM: compares the backtraces that stopped.py wrote with the stacks of a
capture of sched:sched_switch, frame by frame. Both saw each thread when gdb stopped it: ours are those
whose kernel part is the stop. Says how many agree and lists those that do not; exit status 1 then."""
import bisect
import json
import os
import sys

STOPS = {"ptrace_stop", "do_signal_stop", "ptrace_do_notify"}


def short(path):
    return os.path.basename(path)


class Stream:
    def __init__(self, path):
        self.frames, self.starts, self.exact, stacks = {}, {}, {}, []
        with open(path, encoding="utf-8") as f:
            for line in f:
                row = json.loads(line)
                if row["type"] == "frame":
                    self.add(row)
                elif row["type"] == "stack":
                    stacks.append(row["frames"])
        for starts in self.starts.values():
            starts.sort()
        self.stops = set()
        for ids in stacks:
            kernel = [self.frames[i]["name"] for i in ids if self.frames[i]["kind"] == "kernel"]
            if STOPS & set(kernel):
                self.stops.add(tuple(i for i in ids if self.frames[i]["kind"] != "kernel"))

    def add(self, row):
        self.frames[row["id"]] = row
        file = short(row.get("file", "?"))
        if row["kind"] == "kernel":
            return
        if row["named"]:
            self.starts.setdefault(file, []).append((int(row["address"], 16), row["id"]))
        elif "+0x" in row["name"]:
            self.exact[file, int(row["name"].rstrip("]").rsplit("+", 1)[1], 16)] = row["id"]

    def find(self, place):
        """The frame that an address belongs to: an unnamed one is just there, a named one begins at
        or before it."""
        path, address = place.rsplit("+", 1)
        file, address = short(path), int(address, 16)
        if (file, address) in self.exact:
            return self.exact[file, address]
        starts = self.starts.get(file, [])
        at = bisect.bisect_right(starts, (address, 1 << 60)) - 1
        return starts[at][1] if at >= 0 else place

    def show(self, ids):
        return ";".join(self.frames[i]["name"] if i in self.frames else str(i) for i in ids)


def main():
    ours = Stream(sys.argv[2])
    with open(sys.argv[1], encoding="utf-8") as f:
        theirs = [tuple(ours.find(p) for p in line.rstrip("\n").split(";")) for line in f]
    missing = [s for s in theirs if s not in ours.stops]
    extra = ours.stops - set(theirs)
    frames = sum(len(s) for s in theirs)
    print(f"{len(theirs)} backtraces, {len(set(theirs))} different ones, {frames} frames; "
          f"{len(theirs) - len(missing)} backtraces agree; "
          f"{len(ours.stops)} different stacks of ours, {len(extra)} of them not gdb's")
    for stack in missing:
        print("only gdb:  " + ours.show(stack))
    for stack in extra:
        print("only ours: " + ours.show(stack))
    sys.exit(1 if missing or extra or not theirs else 0)


if __name__ == "__main__":
    main()
