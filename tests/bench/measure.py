#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a command costs: measure.py GROUP COMMAND…

Runs the command in a cgroup of its own, to which other processes (an agent) may belong already, and
prints "CPU-seconds peak-MB wall-seconds": the CPU time of everything in the cgroup, finished
children included, and the highest sum of resident memory seen there. GROUP is the cgroup's name;
"measure.py GROUP --join PID" only moves a process into it, "--remove" removes it.
"""
import os
import subprocess
import sys
import time

V1 = "/sys/fs/cgroup/cpuacct"
PERIOD = 0.01


def group_dir(name):
    return f"{V1 if os.path.isdir(V1) else '/sys/fs/cgroup'}/{name}"


def cpu_seconds(group):
    try:
        with open(f"{group}/cpuacct.usage", encoding="ascii") as f:
            return int(f.read()) / 1e9
    except FileNotFoundError:
        with open(f"{group}/cpu.stat", encoding="ascii") as f:
            return int(f.readline().split()[1]) / 1e6


def resident_mb(group):
    total = 0
    with open(f"{group}/cgroup.procs", encoding="ascii") as f:
        for pid in f.read().split():
            try:
                with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
                    total += int(statm.read().split()[1])
            except OSError:
                pass
    return total * os.sysconf("SC_PAGESIZE") / 2**20


def join(group, pid):
    with open(f"{group}/cgroup.procs", "w", encoding="ascii") as f:
        f.write(str(pid))


def main():
    group = group_dir(sys.argv[1])
    if sys.argv[2] == "--remove":
        if os.path.isdir(group):
            os.rmdir(group)
        return 0
    os.makedirs(group, exist_ok=True)
    if sys.argv[2] == "--join":
        for pid in sys.argv[3:]:
            join(group, pid)
        return 0

    before = cpu_seconds(group)
    begin = time.monotonic()
    peak = resident_mb(group)
    # pylint: disable=subprocess-popen-preexec-fn
    with subprocess.Popen(sys.argv[2:], preexec_fn=lambda: join(group, os.getpid())) as child:
        while child.poll() is None:
            peak = max(peak, resident_mb(group))
            time.sleep(PERIOD)
    wall = time.monotonic() - begin
    print(f"{cpu_seconds(group) - before:.4f} {peak:.1f} {wall:.3f}")
    return child.returncode


sys.exit(main())
