#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
#
# Row A6: hosts that withhold something. The feature that needs it is refused with exit 6 and the
# reason, or says in its report what it lacks; the rest works.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc jq setpriv

A=pht$$-a
victim "$A" /bin/spin
pid=$(runc_pid "$A")

# agent_without CAPABILITY: an agent whose processes can never have it. Not in a subshell.
agent_without() {
    stop_agent
    rm -f "$T/agent.log"
    setpriv --bounding-set="-$1" --inh-caps="-$1" \
        "$B/portholed" --socket "$PORTHOLE_SOCKET" >>"$T/agent.log" 2>&1 &
    # shellcheck disable=SC2034 # for stop_agent
    AGENT_PID=$!
    if wait_for 20 "$B/porthole" status; then
        ok "A6: without CAP_${1^^} the agent starts"
    else
        not_ok "A6: without CAP_${1^^} the agent starts" "$(tail -n 1 "$T/agent.log")"
    fi
}
on_exit stop_agent

captured() {
    rm -f "$T/c.json" "$T/c.folded"
    "$B/porthole" cpu "$1" -d 1 -F 499 -o "$T/c.json" 2>"$T/c.err" && folded "$T/c.json" >"$T/c.folded"
}

says_lack() {
    grep -q "lacks.* $1" "$T/agent.log" || { echo "the log does not" && return 1; }
    "$B/porthole" status --json | jq -e --arg c "$1" '.agent.lacking | contains($c)' >/dev/null ||
        { echo "the status does not" && return 1; }
}

report_says_lack() {
    quality "$T/c.json" '.remarks[]' | grep -q "lacks.* $1" || { cat "$T/c.err" && return 1; }
}

# ---- capabilities, one by one ----
for cap in dac_read_search checkpoint_restore; do
    name=CAP_${cap^^}
    agent_without $cap
    check "A6: and says what it lacks" says_lack "$name"
    check "A6: without $name a container's processes are profiled" captured "pid:$pid"
    check "A6: with their names" share_is "$T/c.folded" spin_parse 50 15
    check "A6: and the report says what is lacking" report_says_lack "$name"
    exits_with 0 "A6: without $name containers are listed" "$B/porthole" list
done

agent_without sys_ptrace
check "A6: and says what it lacks" says_lack CAP_SYS_PTRACE
start_kernel_work
check "A6: without CAP_SYS_PTRACE there are samples" captured all
end_kernel_work
check "A6: kernel functions have names" grep -q '_\[k\]' "$T/c.folded"
check "A6: what has no name is counted" conserved "$T/c.json"
check "A6: and the report says what is lacking" report_says_lack CAP_SYS_PTRACE

for cap in bpf perfmon; do
    name=CAP_${cap^^}
    agent_without $cap
    check "A6: and says what it lacks" says_lack "$name"
    exits_with 6 "A6: without $name a capture is refused with exit 6" "$B/porthole" cpu "$A" -d 1
    check "A6: with the reason and a remedy" grep -q "$name" "$T/err"
    exits_with 0 "A6: without $name containers are listed" "$B/porthole" list
    check "A6: the container is among them" grep -q "^$A " "$T/out"
done

for cap in syslog ipc_lock chown; do
    agent_without $cap
    check "A6: without CAP_${cap^^} a container is profiled" captured "$A"
    check "A6: with its names" share_is "$T/c.folded" spin_parse 50 15
done

for cap in setuid setgid setpcap kill; do
    stop_agent
    exits_with 5 "A6: without CAP_${cap^^} the agent does not start half" \
        setpriv --bounding-set="-$cap" --inh-caps="-$cap" "$B/portholed" --socket "$T/never.sock"
    check "A6: and says why" grep -q "CAP_${cap^^}" "$T/err"
done

# ---- settings ----
# set_to FILE VALUE: until the test ends. 1 where this host does not let us.
set_to() {
    local old
    old=$(cat "$1") && { echo "$old" >"$1"; } 2>/dev/null || return 1
    on_exit "echo $old >$1"
    echo "$2" >"$1"
}

fresh_agent() {
    stop_agent
    start_agent
}

kptr=/proc/sys/kernel/kptr_restrict
if set_to $kptr 2; then
    fresh_agent
    check "A6: with kptr_restrict 2 a container is profiled" captured "$A"
    check "A6: with its own names" share_is "$T/c.folded" spin_parse 50 15
    check "A6: no kernel function gets a name" lacks "$T/c.folded" ';[a-z_0-9]+_\[k\]'
    check "A6: and the report says why, where there are some" jq -es 'map(select(.type == "frame" and
        .kind == "kernel")) | all(.named | not) and all(.reason == "kernel-hidden")' "$T/c.json"
else
    skip "A6: kptr_restrict 2" "it cannot be set here"
fi
if set_to /proc/sys/kernel/perf_event_paranoid 2; then
    fresh_agent
    check "A6: with perf_event_paranoid 2 a container is profiled" captured "$A"
    check "A6: with its names, too" share_is "$T/c.folded" spin_parse 50 15
else
    skip "A6: perf_event_paranoid 2" "it cannot be set here"
fi
