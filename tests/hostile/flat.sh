#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
#
# Row A5, the short version: captures and containers come and go, fds and memory of the agent stay.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc

A=pht$$-a
start_agent
victim_root "$A"
on_exit "runc_stop $A"

memory_kb() {
    local pid
    for pid in $(family "$AGENT_PID"); do
        sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status" 2>/dev/null
    done | awk '{ n += $1 } END { print n }'
}

one_capture() {
    local status=0
    { runc_start "$A" "$T/$A" "$@" && "$B/porthole" cpu "$A" -d 0.2 -F 499 -f folded >"$T/out"; } || status=1
    runc_stop "$A"
    return $status
}

for ((i = 0; i < 10; i++)); do
    one_capture /bin/forker 1000
    one_capture /bin/spin
done
wait_for 5 agent_rests
fds=$(agent_fds)
memory=$(memory_kb)
processes=$(family "$AGENT_PID" | wc -l)
failed=0
for ((i = 0; i < 25; i++)); do
    one_capture /bin/forker 1000 || failed=$((failed + 1))
    one_capture /bin/spin || failed=$((failed + 1))
done
back() {
    [ "$(agent_fds)" -le "$fds" ]
}
check "50 captures of containers that come and go all end well" [ $failed = 0 ]
check "the last one has names" grep -q spin_burn "$T/out"
check "50 captures leave no BPF program" wait_for 5 agent_rests
check "50 captures leave no fd ($fds before, $(agent_fds) after)" wait_for 5 back
check "50 captures leave no process" [ "$(family "$AGENT_PID" | wc -l)" -le "$processes" ]
check "memory stays within 4 MB ($memory kB before, $(memory_kb) kB after)" \
    [ $(($(memory_kb) - memory)) -le 4096 ]
