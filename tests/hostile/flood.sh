#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# Rows P4 and A3: more processes a second than can be followed, and every one of a flood of events:
# memory stays bounded, and what is taken is shown or counted as lost, exactly.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc jq

A=pht$$-a
P=pht$$-p
start_agent

# Peak memory of all our processes together, in kB; a process that is gone counts as it was.
peak_kb() {
    local pid
    for pid in $(family "$AGENT_PID"); do
        sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status" 2>/dev/null
    done | awk '{ n += $1 } END { print n + 0 }'
}

forks() {
    sed -n 's/^processes //p' /proc/stat
}

# ---- processes: execs of forker, and forks that never exec, four at a time ----
victim "$A" /bin/sh -c 'for i in 1 2; do /bin/forker 1 & /bin/tool loop 0 /bin/missing & done; wait'
before=$(forks)
"$B/porthole" cpu "$A" -d 3 -F 99 -o "$T/one.json" 2>/dev/null || not_ok "P4: a capture of a storm of processes" "exit $?"
rate=$((($(forks) - before) / 3))
first=$(peak_kb)
check "P4: nothing is lost in silence among $rate processes a second" conserved "$T/one.json"
check "P4: lost records are counted" [ "$(quality "$T/one.json" '.sideband_lost | type')" = number ]
check "P4: there are samples" [ "$(quality "$T/one.json" .shown)" -gt 50 ]
"$B/porthole" cpu "$A" -d 12 -F 99 -o "$T/two.json" 2>/dev/null || not_ok "P4: a longer one" "exit $?"
second=$(peak_kb)
# The dead of a second or two are there at any time, 10 MB each; those of nine more would be 80 MB and more.
check "P4: a capture of four times the length needs about the same memory ($first kB, then $second kB)" \
    [ "$second" -le $((first + 49152)) ]
check "P4: nothing is lost in silence in the longer one" conserved "$T/two.json"
cost=$(quality "$T/two.json" '(.cost.agent_cpu_us + .cost.children_cpu_us) / 120000')
check "P4: the agent's work for it is bounded ($cost % of the time)" between 0 "$cost" 60
check "P4: the agent answers" "$B/porthole" status
check "P4: and rests" wait_for 10 agent_rests
runc_stop "$A"

# ---- events: every context switch of processes that do little else ----
# On one CPU: on all of them the kernel's scheduler leaves everybody else without one, for minutes.
victim "$P" /bin/sh -c 'for i in 1 2 3; do /bin/busybox taskset 1 /bin/pingpong >/dev/null & done; wait'
"$B/porthole" cpu "$P" -d 1 -e context-switches -c 1 --per-thread -o "$T/each.json" 2>"$T/flood.err" ||
    not_ok "A3: a flood of events" "$(tail -n 1 "$T/flood.err")"
"$B/porthole" cpu "$P" -d 1 -e sched:sched_switch -o "$T/tracepoint.json" 2>"$T/flood.err" ||
    not_ok "A3: a flood from a tracepoint" "$(tail -n 1 "$T/flood.err")"
runc_stop "$P" # nothing else gets to run beside it
for name in each tracepoint; do
    taken=$(quality "$T/$name.json" .taken)
    check "A3: what is taken is shown or lost, exactly ($name: $taken switches)" conserved "$T/$name.json"
    check "A3: there are events ($name)" [ "${taken:-0}" -gt 1000 ]
done
