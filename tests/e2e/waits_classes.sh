#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What a thread waits for: one process for each kind of wait, in a real container, and nearly all of
# its blocked time is in the class that its name begins with.
. "$(dirname "$0")/../lib.sh"
need_root
need_bpf
need_commands runc jq

C=classes$$
KINDS="disk_direct disk_read disk_fsync fault_file network_tcp network_accept network_connect
    network_send network_unix network_udp lock_futex lock_flock lock_fcntl
    lock_semaphore lock_mappings pipe_read pipe_write pipe_open pipe_eventfd poll_poll poll_select
    poll_epoll poll_uring child_wait child_vfork sleep_nano sleep_pause sleep_timer sleep_signal
    sleep_stopped"

# The names of the container's processes.
names() {
    local pid
    for pid in $(family "$(runc_pid "$C")"); do
        cat "/proc/$pid/comm"
    done 2>/dev/null
}

all_there() {
    local kind there
    there=$(names)
    for kind in $KINDS; do
        [ "$kind" = poll_uring ] || grep -qx "$kind" <<<"$there" || return 1
    done
}

# States of the container's processes by name, to $T/rows.
states() {
    porthole states "$C" --max-overhead 100 -d "$1" -o "$T/s.json" 2>"$T/err" || return 1
    jq -c 'select(.type == "record") | .classed_us = ([.disk_us, .network_us, .lock_us, .sleep_us,
        .fault_us, .poll_us, .pipe_us, .child_us, .other_us] | add)' "$T/s.json" >"$T/rows"
}

# of KIND FIELD
of() {
    jq -r "select(.comm == \"$1\") | .$2" "$T/rows"
}

# mostly KIND: at least a tenth of its time it waits, and 99 % of that are in its class.
mostly() {
    if between 100000 "$(of "$1" classed_us)" 1e9 &&
        between 99 "$(of "$1" "${1%%_*}_us * 100 / .classed_us")" 100; then
        return 0
    fi
    jq -c "select(.comm == \"$1\")" "$T/rows" | cut -c 1-400
    return 1
}

start_agent
victim "$C" /bin/classes
wait_for 30 all_there || { not_ok "all kinds of waits are there" "$(names | sort | tr '\n' ' ')" && exit 1; }
states 4 || { not_ok "states works" "$(tail -n 1 "$T/err")" && exit 1; }

for kind in $KINDS; do
    if [ "$kind" = poll_uring ] && grep -q 'no io_uring' "$T/$C/log"; then
        skip "$kind waits for that" "this kernel has no io_uring for containers"
    else
        check "$kind waits for that" mostly "$kind"
    fi
done
echo "unclassed: $(jq -s '([.[].other_us] | add) as $o | ([.[].classed_us] | add) as $a
    | $o * 100 / $a * 1000 | round / 1000' "$T/rows") % of all waits"
check "no more than 1 % of all waits has no class" jq -es \
    '([.[].other_us] | add) * 100 < ([.[].classed_us] | add)' "$T/rows"

# Now and then the faulting thread has another name for a while; and runc gives up where threads wait
# for the disk for long.
paused() {
    runc pause "$C" && grep -qx fault_file <<<"$(names)" && return
    runc resume "$C"
    return 1
}
on_exit "runc resume $C 2>/dev/null"
wait_for 20 paused || not_ok "a container is paused"
states 2 || not_ok "states works on a paused container" "$(tail -n 1 "$T/err")"
# The kernel leaves some waits as they are, such as those for a futex.
check "a paused container is blocked, all of it" jq -es 'all((.wall_us - .blocked_us | fabs) <= 1000)' "$T/rows"
check "nearly all of that is sleep, and all of it has a class" jq -es '([.[].blocked_us] | add) as $b
    | ([.[].sleep_us] | add) > $b * 0.7 and ([.[].other_us] | add) < $b * 0.001' "$T/rows"
check "a process that was stopped on its way back from a page fault sleeps" \
    between 99 "$(of fault_file 'sleep_us * 100 / .wall_us')" 101
runc resume "$C" 2>/dev/null
