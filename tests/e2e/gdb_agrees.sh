#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# gdb and Porthole see the same stacks, frame by frame: gdb stops a program's threads wherever they
# are, and the switch away from each of them, at that very instruction, is an event of a capture.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../programs.sh"
need_bpf
need_commands runc jq python3
[ "$(uname -m)" = x86_64 ] || skip_all "stacks are walked by tables on x86-64 only"
{ command -v gdb && gdb -batch -ex 'python print(1)'; } >/dev/null 2>&1 || skip_all "no gdb with python"
start_agent
"$B/porthole" doctor 2>/dev/null | grep -qi 'bpf_loop.*missing' && skip_all "this kernel has no bpf_loop()"

# stopped STACKS: leaves gdb's backtraces in $T/gdb and the capture in $T/s.json.
stopped() {
    # So that the capture finds the tables made.
    "$B/porthole" cpu "$P" -d 0.5 -f folded >/dev/null 2>&1
    "$B/porthole" cpu "$P" -d 200 -e sched:sched_switch --addresses -o "$T/s.json" 2>"$T/err" &
    CAPTURE=$!
    wait_for 20 agent_captures && wait_for 20 eval 'agent_programs | grep -q .' || return
    sleep 0.3 # the process's tables are told to the program
    PID=$(runc_pid "$P") STACKS=$1 GDB_OUT=$T/gdb timeout -s KILL 90 \
        gdb -batch -nx -x "$ROOT/tests/e2e/stopped.py" >"$T/gdb.log" 2>&1
    kill -INT $CAPTURE
    wait $CAPTURE
    cat "$T/gdb" >>"$T/all"
}

agree() {
    "$ROOT/tests/e2e/stopped_compare.py" "$T/gdb" "$T/s.json" >"$T/compared"
    local status=$?
    cp "$T/compared" "$B/check/gdb_agrees.$1" 2>/dev/null
    tail -n 1 "$T/compared"
    return $status
}

# stack by stack for STACKS TITLE WHAT…
agrees_on() {
    local stacks=$1 title=$2
    shift 2
    if program_up "$@"; then
        stopped "$stacks"
        check "$title: gdb's backtraces and ours agree in every frame" agree "$1"
        head -n 1 "$T/compared" | sed "s/^/# $title: /"
    else
        skip "$title: gdb's backtraces and ours agree in every frame" "$WHY"
    fi
    program_down
}

: >"$T/all"
agrees_on 420 "C++, threads and signals" omit
agrees_on 60 redis redis
agrees_on 30 python python
check "gdb was asked for 500 stacks" [ "$(wc -l <"$T/all")" -ge 500 ]
