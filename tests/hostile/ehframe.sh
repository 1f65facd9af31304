#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
#
# Row F15: unwind tables that loop, point backwards or lie otherwise. The capture ends as it should,
# the stacks are marked, and nobody else's suffer.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc jq python3
[ "$(uname -m)" = x86_64 ] || skip_all "stacks are walked by tables on x86-64 only"

A=pht$$-a
HONEST=pht$$-h
start_agent
victim_root "$A"
on_exit "runc_stop $A; rm -rf --one-file-system '$T/$A'"
victim "$HONEST" /bin/omit-static-pie tree deep main
let_run "$(runc_pid "$HONEST")"

# Where the kernel complains of us.
complaints() {
    dmesg 2>/dev/null | grep -cE 'BUG:|WARNING:|Oops|general protection|soft lockup|RCU.*stall'
}

complained=$(complaints)
agent=$AGENT_PID

# captured COMMAND…: both containers at the same time; $T/a.json and $T/h.json.
captured() {
    rm -f "$T"/[ah].json
    runc_start "$A" "$T/$A" "$@" || return 1
    "$B/porthole" cpu "$HONEST" -d 2 -F 499 -o "$T/h.json" 2>"$T/h.err" &
    local other=$! status
    timeout -k 1 30 "$B/porthole" cpu "$A" -d 2 -F 499 -o "$T/a.json" 2>"$T/err"
    status=$?
    wait "$other" || status=$?
    runc_stop "$A"
    [ $status = 0 ] || { tail -n 1 "$T/err" "$T/h.err" && return 1; }
    jq -es 'map(select(.type == "end"))[0].status == "done"' "$T/a.json" >/dev/null
}

# At most so many percent of the samples may be called whole.
marked() {
    jq -s -e --argjson p "$1" 'map(select(.type == "quality"))[0]
        | .shown >= 20 and .stacks.whole * 100 <= .shown * $p
        and .stacks.whole + .stacks.broken + .stacks.truncated == .shown' "$T/a.json" >/dev/null ||
        { quality "$T/a.json" '[.shown, .stacks] | tostring' && return 1; }
}

bounded() {
    jq -es '[.[] | select(.type == "stack") | .frames | length] | max <= 254' "$T/a.json" >/dev/null
}

# Samples from before the tables were there are walked by frame pointers, and count as that.
others_whole() {
    jq -s -e 'map(select(.type == "quality"))[0].stacks | .by_tables >= 50 and .whole * 100 >= .by_tables * 99' \
        "$T/h.json" >/dev/null || { quality "$T/h.json" '[.shown, .stacks] | tostring' && return 1; }
}

# The user's part of stacks by name, without the thread's.
user_parts() {
    folded "$1" | sed -E 's/(;[^;]*_\[k\])*( [0-9]+)$/\2/; s/^[^;]*;//'
}

# Tables that cannot be read at all leave the code itself to make rules from. What is called whole then
# must be the truth: as often as that, the callers are those that the honest program has.
true_callers() {
    local whole same
    whole=$(quality "$T/a.json" '.stacks.whole')
    user_parts "$T/h.json" | sed 's/ [0-9]*$//' | sort -u >"$T/honest"
    same=$(user_parts "$T/a.json" | awk -v file="$T/honest" '
        BEGIN { while ((getline line < file) > 0) honest[line] = 1 }
        { n = $NF; sub(/ [0-9]+$/, ""); if ($0 in honest) sum += n }
        END { print sum + 0 }')
    [ "$((same * 100))" -ge "$((whole * 95))" ] || { echo "$whole called whole, $same with true callers" && return 1; }
}

healthy() {
    [ "$AGENT_PID" = "$agent" ] && ! gone "$agent" && "$B/porthole" status >/dev/null
}

# lies TITLE PERCENT COMMAND…
lies() {
    local title=$1 percent=$2
    shift 2
    check "$title: the capture ends as it should" captured "$@"
    check "$title: its stacks are not called whole" marked "$percent"
    check "$title: no stack is longer than it may be" bounded
    check "$title: nothing is lost in silence" conserved "$T/a.json"
    check "$title: the other container's stacks stay whole" others_whole
    check "$title: the agent goes on" healthy
}

for kind in zero backwards word rbp near far endless long short circle noise empty; do
    "$ROOT/tests/hostile/ehframe.py" "$kind" "$W/omit-static-pie" "$T/$A/rootfs/bin/app" ||
        { not_ok "tables of the kind '$kind'" "cannot be made" && continue; }
    chmod 755 "$T/$A/rootfs/bin/app"
    case $kind in
    short) # all but the last entry are sound
        check "$kind: the capture ends as it should" captured /bin/app tree deep
        check "$kind: nothing is lost in silence" conserved "$T/a.json"
        check "$kind: the agent goes on" healthy
        ;;
    word) # a zero among the words looks like the end of a thread, which is no harm
        lies "$kind" 100 /bin/app tree deep
        ;;
    long | circle | noise | empty)
        lies "$kind" 100 /bin/app tree deep
        check "$kind: what is called whole has its true callers" true_callers
        ;;
    *) lies "$kind" 2 /bin/app tree deep ;;
    esac
done
# Their frame pointers are sound, and lead to the start until the tables are there.
for lie in signal climb chain; do
    lies "liar $lie" 15 /bin/liar "$lie"
done
check "no BPF program is left" wait_for 10 agent_rests
check "the kernel has nothing to complain of" [ "$(complaints)" = "$complained" ]
