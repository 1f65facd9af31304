#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The same job done by Porthole and by its peers. Sourced by bench.sh; called as
# "peers.sh FUNCTION ARGUMENT…" where a whole pipeline is measured from the outside.
#
#   T_profile NAME SECONDS OUT    a whole profile: sample, resolve, fold (ours: draw, too)
#   T_latency NAME SECONDS OUT    prints "ms to the first sample, ms from the end to the result"
#   T_start NAME OUT, T_stop      sampling in the background
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PEER=

title_of() {
    case $1 in
    ours) echo "porthole (agent, names, SVG)" ;;
    perf) echo "perf record -a -g -G, script, collapse" ;;
    bpftrace) echo "bpftrace by cgroup" ;;
    esac
}

# EPOCHREALTIME as BEGIN and END, to milliseconds.
peer_ms() {
    awk -v a="$1" -v b="$2" 'BEGIN { printf "%.0f", (b - a) * 1000 }'
}

# ---- ours ----

have_ours() {
    [ -x "$B/porthole" ]
}

ours_profile() {
    "$B/porthole" cpu "$1" -d "$2" -F 99 -o "$3.svg"
}

ours_start() {
    start_capture "$2.json" "$1" -d 600 -F 99
}

ours_stop() {
    kill -INT "$CAPTURE"
    end_capture
    wait_for 10 agent_rests
}

# ---- perf ----

have_perf() {
    command -v perf >/dev/null
}

# Background jobs of a script ignore interrupts unless told otherwise.
perf_record() {
    exec env --default-signal=INT perf record -q -k CLOCK_REALTIME -e cpu-clock -F 99 -a -g -G "$1" -o "$2.data" "${@:3}"
}

perf_fold() {
    perf script -i "$1.data" 2>/dev/null | awk -f "$HERE/collapse.awk" >"$1.folded"
}

perf_profile() {
    (perf_record "$1" "$3" -- sleep "$2") && perf_fold "$3"
}

perf_latency() {
    local begin=$EPOCHREALTIME folded end first
    end=$(perf_record "$1" "$3" -- bash -c 'sleep "$1" && echo "$EPOCHREALTIME"' bash "$2")
    perf_fold "$3"
    folded=$EPOCHREALTIME
    first=$(perf script -i "$3.data" -F time 2>/dev/null | sed -n '1s/[ :]//gp')
    echo "$(peer_ms "$begin" "$first") $(peer_ms "$end" "$folded")"
}

perf_start() {
    rm -f "$2.data"
    perf_record "$1" "$2" -- sleep 600 &
    PEER=$!
    wait_for 10 test -s "$2.data"
}

perf_stop() {
    kill -INT "$PEER"
    wait "$PEER" 2>/dev/null
}

# ---- bpftrace ----

have_bpftrace() {
    command -v bpftrace >/dev/null
}

bpftrace_program() {
    local group=/sys/fs/cgroup/$1
    [ -d /sys/fs/cgroup/unified ] && group=/sys/fs/cgroup/unified/$1
    printf '%s' 'profile:hz:99 /cgroup == cgroupid("' "$group" '")/ {
            if (@first == 0) { printf("first\n"); @first = 1 }
            @[kstack, ustack, comm] = count() }
        interval:s:' "$2" ' { printf("end\n"); exit() }'
}

bpftrace_profile() {
    bpftrace -e "$(bpftrace_program "$1" "$2")" >"$3.txt" 2>/dev/null && grep -q '^@\[' "$3.txt"
}

bpftrace_latency() {
    local begin=$EPOCHREALTIME first='' end='' line
    while IFS= read -r line; do
        case $line in
        first) first=$EPOCHREALTIME ;;
        end) end=$EPOCHREALTIME ;;
        esac
    done < <(exec stdbuf -oL bpftrace -e "$(bpftrace_program "$1" "$2")" 2>/dev/null)
    echo "$(peer_ms "$begin" "$first") $(peer_ms "$end" "$EPOCHREALTIME")"
}

bpftrace_start() {
    env --default-signal=INT bpftrace -e "$(bpftrace_program "$1" 600)" >"$2.txt" 2>/dev/null &
    PEER=$!
    wait_for 20 grep -q Attaching "$2.txt"
}

bpftrace_stop() {
    kill -INT "$PEER"
    wait "$PEER" 2>/dev/null
}

# Called by name, in a process of its own.
if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    : "${B:=$(cd "$HERE/../.." && pwd)/build}"
    "$@"
fi
