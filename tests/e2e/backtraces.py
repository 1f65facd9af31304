# SPDX-License-Identifier: Apache-2.0
"""For gdb: runs the program and writes the backtrace of each call of its functions omit::leaf_…, at
most 60 of each, as a folded stack without a count to $GDB_OUT. Ends when no more are expected."""
import os
import re

import gdb

EACH = 60
LEAVES = ("tree", "aligned", "interrupted", "handler", "compare", "plt", "clock", "read", "deep", "main")


def stack():
    names = []
    frame = gdb.newest_frame()
    while frame:
        if frame.type() == gdb.SIGTRAMP_FRAME:
            names.append("__restore_rt")
        else:
            names.append(re.sub(r"\(.*|^int ", "", frame.name() or "?"))
        frame = frame.older()
    return ";".join(reversed(names))


class Leaf(gdb.Breakpoint):
    left = len(LEAVES)

    def __init__(self, name, out):
        super().__init__("omit::leaf_" + name)
        self.silent = True
        self.out = out
        self.count = EACH

    def stop(self):
        self.out.write(stack() + "\n")
        self.count -= 1
        if self.count == 0:
            Leaf.left -= 1
        return self.count == 0


with open(os.environ["GDB_OUT"], "w", encoding="utf-8") as out:
    for setting in ("pagination off", "backtrace past-main on", "backtrace past-entry on"):
        gdb.execute("set " + setting)
    for signal in ("SIGPROF", "SIGUSR1"):
        gdb.execute(f"handle {signal} nostop noprint pass")
    leaves = [Leaf(name, out) for name in LEAVES]
    once = Leaf("last", out)  # is called once, and never returns
    gdb.execute("run")
    while Leaf.left > 0:
        for leaf in leaves:
            leaf.enabled = leaf.count > 0
        gdb.execute("continue")
gdb.execute("kill")
