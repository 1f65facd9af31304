#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# Row A1: the agent's first process, the one that holds the BPF programs, or all of its processes are
# killed at random moments of a capture.
# The kernel must be clean at once, the client must end with a clear line, the next start must work.
# ROUNDS=1000 for the long version.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc

A=pht$$-a
ROUNDS=${ROUNDS:-100}
late=0 stayed=0 hung=0 unclear=0 unstarted=0 orphans=0 caught=0
victim "$A" /bin/spin

start_quietly() {
    "$B/portholed" --socket "$PORTHOLE_SOCKET" >>"$T/agent.log" 2>&1 &
    AGENT_PID=$!
    wait_for 20 "$B/porthole" status
}

# In the kernel still? Asks for each id that the agent held.
left_in_kernel() {
    local id
    for id in $1; do
        bpftool prog show id "$id" >/dev/null 2>&1 && return 0
    done
    return 1
}

# The process that holds them; the first one while nobody does.
holder_of_programs() {
    local pid
    for pid in $(family "$AGENT_PID"); do
        if grep -qs '^prog_id:' /proc/"$pid"/fdinfo/*; then
            echo "$pid"
            return
        fi
    done
    echo "$AGENT_PID"
}

all_gone() {
    local pid
    for pid in $1; do
        gone "$pid" || return 1
    done
}

# A moment that is different each time: before, within and after the set-up of the capture.
a_moment() {
    sleep "0.$(printf '%03d' $((RANDOM % 400)))"
}

one_round() {
    local programs pids victims begin
    "$B/porthole" cpu "$A" -d 1 -F 499 -f folded >"$T/client.out" 2>"$T/client.err" &
    # shellcheck disable=SC2034 # end_capture waits for it
    CAPTURE=$!
    a_moment
    pids=$(family "$AGENT_PID")
    programs=$(agent_programs)
    [ -z "$programs" ] || caught=$((caught + 1))
    case $((RANDOM % 3)) in
    0) victims=$AGENT_PID ;;
    1) victims=$(holder_of_programs) ;;
    *) victims=$pids ;;
    esac
    # shellcheck disable=SC2086 # a list of pids
    kill -KILL $victims 2>/dev/null
    begin=$(date +%s%N)
    while left_in_kernel "$programs"; do
        [ $(($(date +%s%N) - begin)) -lt 2000000000 ] || { stayed=$((stayed + 1)) && break; }
    done
    [ $(($(date +%s%N) - begin)) -lt 100000000 ] || late=$((late + 1))
    wait_for 5 all_gone "$pids" || { orphans=$((orphans + 1)) && stop_process "$AGENT_PID"; }
    wait "$AGENT_PID" 2>/dev/null
    end_capture 10 >"$T/hang"
    case $? in
    0 | 1 | 3) ;;
    *) unclear=$((unclear + 1)) && cat "$T/client.err" ;;
    esac
    [ ! -s "$T/hang" ] || hung=$((hung + 1))
    [ "$(wc -l <"$T/client.err")" -le 3 ] || unclear=$((unclear + 1))
}

on_exit stop_agent
for ((round = 0; round < ROUNDS; round++)); do
    start_quietly || { unstarted=$((unstarted + 1)) && break; }
    one_round
done
check "after $ROUNDS kills the agent always started again" [ $unstarted = 0 ]
check "at least every fourth kill hit a running capture ($caught of $ROUNDS)" [ $((caught * 4)) -ge "$ROUNDS" ]
check "no BPF program of a killed agent stayed in the kernel" [ $stayed = 0 ]
check "they were gone within 100 ms ($late of $ROUNDS were later)" [ $((late * 20)) -le "$ROUNDS" ]
check "no process of a killed agent stayed" [ $orphans = 0 ]
check "no client hung" [ $hung = 0 ]
check "every client ended with a clear line and status" [ $unclear = 0 ]
start_quietly
exits_with 0 "the next capture works" "$B/porthole" cpu "$A" -d 1 -F 199 -f folded
check "it has names" grep -q spin_burn "$T/out"
