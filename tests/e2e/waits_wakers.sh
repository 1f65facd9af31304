#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Who ends waits: threads of the container by name, others by container, the host's processes, kernel
# threads, interrupts; and never whoever an interrupt hit, however busy.
. "$(dirname "$0")/../lib.sh"
need_root
need_bpf
need_commands runc jq

C=wakers$$ OTHER=pokers$$
mkdir "$T/share"
export RUNC_MOUNTS=",{\"destination\": \"/tmp\", \"type\": \"none\", \"source\": \"$T/share\", \"options\": [\"rbind\"]}"

# woken WHO BY LOW: percent of the waits of the thread of which a waker is known.
woken() {
    between "$3" "$(awk -v who="^$1;" -v by="$2 [0-9]+\$" '
        $0 !~ who || $0 !~ /;--;/ { next } { all += $NF } $0 ~ by { some += $NF }
        END { if (all) print some * 100 / all }' "$T/f")" 100
}

# no_waker WHO BY
no_waker() {
    grep -qE "^$1;.*;--;" "$T/f" && lacks "$T/f" "^$1;.*;--;.*;$2 [0-9]+$"
}

start_agent
victim "$C" /bin/wakers
wait_for 20 test -S "$T/share/socket"
victim "$OTHER" /bin/wakers poke /tmp
"$W/wakers" poke "$T/share" &
on_exit "kill $! 2>/dev/null"
let_run "$(runc_pid "$C")"

porthole offwake "$C" -d 4 --max-overhead 100 -f folded >"$T/raw" 2>"$T/err" || not_ok "offwake works" "$(tail -n 1 "$T/err")"
sed 's/_\[k\]//g' "$T/raw" >"$T/f"
check "a timer wakes sleepers" woken sleeper ';\[timer interrupt\]' 90
check "beside a spinner on the same CPU no wait's end is blamed on it" no_waker '[a-z]+' spinner
check "an end in the same container goes by the thread's name" woken faulter '(catcher|\[timer interrupt\]|reaper)' 99
if grep -q 'no userfaultfd' "$T/$C/log"; then
    skip "who wakes in a page fault is no interrupt" "no userfaultfd for user mode here"
else
    check "who wakes in a page fault is no interrupt" woken catcher ';exc_page_fault;[^;]*;faulter' 95
fi
check "who is killed while it computes, and wakes its parent, is no interrupt" woken reaper ';do_exit;.*;doomed' 90
check "no wait for a child is ended by an interrupt" no_waker reaper '\[[a-z ]*interrupt\]'
check "another container goes by its name: a shared FIFO" grep -qE "^listener;.*;$OTHER: poker [0-9]+$" "$T/f"
check "another container goes by its name: a shared socket" grep -qE "^ear;.*;$OTHER: poker [0-9]+$" "$T/f"
check "the host's processes go by theirs" grep -qE "^listener;.*;host: poker [0-9]+$" "$T/f"
check "nobody else writes to the FIFO" woken listener ";($OTHER|host): poker" 97
check "of others' programs only the kernel's part is shown" lacks "$T/f" ';_start;poker|;main;[^;]*: poker'
check "the disk's interrupts, or the kernel's own threads, end waits for the disk" woken reader \
    ';(\[block interrupt\]|kernel: [^;]*|reaper)' 99
check "the disk's interrupts are told" grep -qE '^reader;.*;\[block interrupt\] ' "$T/f"

# The same, right way up.
porthole wakeup "$C" -d 2 --max-overhead 100 -f folded 2>"$T/err" | sed 's/_\[k\]//g' >"$T/f"
check "wakeup: interrupts come first, and by name" grep -qE '^sleeper;\[timer interrupt\];asm_[^;]*;' "$T/f"
check "wakeup: another container's process comes first" grep -qE "^listener;$OTHER: poker;" "$T/f"
check "wakeup: the spinner wakes nobody" lacks "$T/f" '^[a-z]+;spinner;'

# A container that is new.
(
    wait_for 20 agent_captures
    victim_root "late$$"
    runc_start "late$$" "$T/late$$" /bin/wakers poke /tmp
) >/dev/null 2>&1 &
LATE=$!
on_exit "runc_stop late$$"
porthole offwake "$C" -d 4 --max-overhead 100 -f folded 2>"$T/err" | sed 's/_\[k\]//g' >"$T/f"
wait $LATE
check "a container that began after the capture has its name, too" grep -qE "^listener;.*;late$$: poker [0-9]+$" "$T/f"
