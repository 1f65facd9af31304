#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 180
#
# The views of threads' time at their bounds: thousands of threads, a flood of switches, more stacks
# than there is room for, targets that are stopped, frozen or idle, and every kind of target.
. "$(dirname "$0")/../lib.sh"
need_root
need_bpf
need_commands runc jq

# capture VIEW TARGET [OPTION…]: leaves $T/o.json; is delivered.
capture() {
    timeout 60 "$B/porthole" "$@" -o "$T/o.json" 2>"$T/err" || { tail -n 1 "$T/err" && return 1; }
    jq -c 'select(.type == "record")' "$T/o.json" >"$T/rows"
}

# All threads' time is what they did, within a hundredth; every wait is shown or counted as lost.
adds_up() {
    jq -es '.[0] | (.taken == .shown + ([.lost[]] | add // 0)) and (.times | .threads > 0 and .no_room == 0
        and (.wall_us - .on_cpu_us - .runnable_us - .throttled_us - .blocked_us | fabs) <= 100 + .wall_us / 100)' \
        <(jq -c 'select(.type == "quality")' "$T/o.json") >/dev/null ||
        { quality "$T/o.json" '[.taken, .shown, .lost, .times] | tostring' && return 1; }
}

# stacks_add_up: of a view of stacks.
stacks_add_up() {
    adds_up && conserved "$T/o.json"
}

# times EXPRESSION: of the report's sums.
times() {
    jq -es ".[0].times | $1" <(jq -c 'select(.type == "quality")' "$T/o.json") >/dev/null ||
        { quality "$T/o.json" '.times | tostring' && return 1; }
}

# Kilobytes of the agent and its children together, at most so far.
memory() {
    local pid
    for pid in $(family "$AGENT_PID"); do
        awk '/^VmHWM/ { print $2 }' "/proc/$pid/status"
    done | awk '{ n += $1 } END { print n }'
}

has_threads() {
    [ "$(find "/proc/$1/task" -mindepth 1 -maxdepth 1 | wc -l)" -gt "$2" ]
}

all_sleep() {
    jq -es 'length > 5 and all(.sleep_us >= .wall_us * 0.99)' "$T/rows" >/dev/null || { head -n 3 "$T/rows" && return 1; }
}

crowd() {
    victim "$C" /bin/crowd 5000
    wait_for 30 has_threads "$(runc_pid "$C")" 5000
    capture states "$C" -d 1 --per-thread
    check "5,000 threads: each has a row" test "$(wc -l <"$T/rows")" = 5001
    check "5,000 threads: their time adds up" adds_up
    capture offcpu "$C" -d 1
    check "5,000 threads: their waits add up" stacks_add_up
    capture runq "$C" -d 1
    check "5,000 threads: each wake-up waits for a CPU" adds_up
    runc_stop "$C"
}

# Two processes that only wake each other, on one CPU: on all of them they would starve everything else,
# traced or not.
flood() {
    victim "$C" /bin/busybox taskset 1 /bin/pingpong
    for view in offwake switches; do
        capture "$view" "$C" -d 4
        check "a flood of switches: $view loses none in silence" stacks_add_up
        check "a flood of switches: $view: each thread's time adds up" adds_up
    done
    check "a flood of switches: there were hundreds of thousands" times '.voluntary + .involuntary > 200000'
    quality "$T/o.json" '"# \((.times.voluntary + .times.involuntary) / 4 | floor) switches a second"'
    runc_stop "$C"
    victim "$C" /bin/crowd 4 maze
    for view in offcpu chain; do
        capture "$view" "$C" -d 2 --max-overhead 100
        check "more stacks than there is room for: $view says what it has lost" stacks_add_up
    done
    check "more stacks than there is room for: there were" jq -es 'any(.type == "quality" and ([.lost[]] | add) > 0)' "$T/o.json"
    runc_stop "$C"
}

# freeze 1|0
freeze() {
    case $FREEZER in
    */freezer.state) if [ "$1" = 1 ]; then echo FROZEN; else echo THAWED; fi ;;
    *) echo "$1" ;;
    esac >"$FREEZER"
}

is_frozen() {
    grep -q FROZEN "$FREEZER" 2>/dev/null || grep -q 'frozen 1' "$(dirname "$FREEZER")/cgroup.events" 2>/dev/null
}

frozen() {
    FREEZER=/sys/fs/cgroup/freezer/$C/freezer.state
    [ -w "$FREEZER" ] || FREEZER=/sys/fs/cgroup/$C/cgroup.freeze
    [ -w "$FREEZER" ] || { skip "a frozen target" "no freezer of this container's" && return; }
    freeze 1
    wait_for 10 is_frozen
    capture states "$C" -d 1 --per-thread
    check "frozen: nobody runs" jq -es 'length > 5 and all(.blocked_us >= .wall_us * 0.99)' "$T/rows"
    check "frozen: who would run sleeps" jq -es 'any(.comm == "spinner" and .sleep_us >= .wall_us * 0.99)' "$T/rows"
    check "frozen: their time adds up" adds_up
    freeze 0
}

is_stopped() {
    grep -q '^State:.T' "/proc/$1/status"
}

stopped() {
    local pid capture
    victim "$C" /bin/waits
    pid=$(runc_pid "$C")
    let_run "$pid"
    "$B/porthole" states "$C" -d 2 --per-thread -o "$T/o.json" 2>"$T/err" &
    capture=$!
    wait_for 10 agent_captures
    kill -STOP "$pid"
    wait "$capture"
    check "stopped in mid-capture: their time adds up" adds_up
    check "stopped in mid-capture: who spins is blocked from there on" times '.blocked_us > .wall_us / 4'
    wait_for 10 is_stopped "$pid"
    capture states "$C" -d 1 --per-thread
    check "stopped: all threads sleep all the time" all_sleep
    check "stopped: their time adds up" adds_up
    capture offcpu "$C" -d 1
    check "stopped: their waits add up" stacks_add_up
    folded "$T/o.json" >"$T/f"
    check "stopped: where they were stands before why they wait" grep -qE '^spinner;.*;spin_ms;.*do_signal_stop_\[k\]' "$T/f"
    kill -CONT "$pid"
    frozen
}

idle() {
    victim "$I" /bin/busybox sleep 1000
    capture offcpu "$I" -d 1
    check "idle: one thread that is blocked" times '.threads == 1 and .blocked_us == .wall_us'
    check "idle: its wait is shown" stacks_add_up
    capture runq "$I" -d 1
    check "idle: nobody waits for a CPU" adds_up
}

# The container of stopped() goes on.
targets() {
    local pid
    pid=$(runc_pid "$C")
    capture states "pid:$pid" -d 1 --per-thread
    check "pid: the process alone" jq -es 'length >= 8 and any(.comm == "spinner") and all(.host_pid == '"$pid"' or .pid == 1)' "$T/rows"
    check "pid: its time adds up" adds_up
    capture offcpu "$C" -p 1 -d 1
    check "-p: its waits add up" stacks_add_up
    check "-p: its threads are there" times '.threads >= 8'
    capture states "cgroup:/$C" -d 1 --per-thread
    check "cgroup: its time adds up" adds_up
    check "cgroup: its threads are there" jq -es 'any(.comm == "spinner") and any(.comm == "never")' "$T/rows"
    capture states all -d 1 --per-thread
    check "all: the time of every thread of the host adds up" adds_up
    check "all: containers are told apart" jq -es "any(.container == \"$C\" and .comm == \"spinner\") and any(.container == \"$I\")" "$T/rows"
    check "all: the idle task is nobody's" jq -es 'all(.comm | startswith("swapper") | not)' "$T/rows"
    capture offcpu all -d 1
    check "all: the waits of every thread of the host add up" stacks_add_up
}

start_agent
C=bound$$
crowd
flood
stopped
I=idle$$
idle
targets
check "the agent and its children stay below 100 MB" between 1 "$(memory)" 100000
