#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 120
#
# A stack that does not reach its thread's start is never called whole, and the report says why it
# does not: for programs that break theirs in one known way each.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc jq
[ "$(uname -m)" = x86_64 ] || skip_all "stacks are walked by tables on x86-64 only"
start_agent
"$B/porthole" doctor 2>/dev/null | grep -qi 'bpf_loop.*missing' && skip_all "this kernel has no bpf_loop()"

# Nearly all for that cause, but for those that were taken before the tables were there; none whole,
# and the causes add up.
broken_by() {
    jq -s -e --arg c "$1" 'map(select(.type == "quality"))[0] | .stacks
        | (.broken - (.broken_by["no-table-yet"] // 0)) as $broken
        | .whole == 0 and $broken > 100 and .broken_by[$c] * 100 >= $broken * 95
            and .broken == ([.broken_by[]] | add)' "$T/b.json" >/dev/null ||
        { quality "$T/b.json" '.stacks | tostring' && return 1; }
}

# The second capture of a program finds its tables ready.
breaks() {
    local name=pht$$-$1
    victim "$name" /bin/broken "$1"
    "$B/porthole" cpu "$name" -d 1 -F 499 -o "$T/first.json" 2>"$T/err"
    "$B/porthole" cpu "$name" -d 1 -F 997 -o "$T/b.json" 2>"$T/err"
    check "$3" broken_by "$2"
    runc_stop "$name"
}

breaks ended ended-early "a return address of zero is no thread's start"
check "the summary for people says the cause, too" grep -qE '^stacks: .*lost on the way: .*ended-early [0-9]+' "$T/err"
breaks unreadable unreadable "a stack in memory that is not there is said to be unreadable"
breaks astray astray "a caller where no code is does not count as one"
breaks backwards backwards "a rule that leads back down the stack is not followed"
breaks norule no-rule "code of a file without rules for it is said to have none"
breaks unsupported unsupported-rule "a rule that is too special is said to be so"
breaks jit jit-without-frame-pointers "code made at run time without frame pointers is said to be that"
