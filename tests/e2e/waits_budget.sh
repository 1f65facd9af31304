#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A container that switches some hundred thousand times a second: where all stacks would cost more
# than --max-overhead, some waits stand for the others, and the sums stay true.
. "$(dirname "$0")/../lib.sh"
need_root
need_bpf
need_commands runc jq

P=often$$

# capture VIEW PERCENT
capture() {
    porthole "$1" "$P" -d 2 --max-overhead "$2" -o "$T/o.json" 2>"$T/err" || not_ok "$1 works" "$(tail -n 1 "$T/err")"
    porthole render "$T/o.json" -f folded >"$T/f" 2>/dev/null
}

thinned() {
    quality "$T/o.json" '.overhead | .drawn < .waits and .drawn > 0' | grep -qx true
}

# The values of all stacks, beside what was counted without any stack.
sum_is() {
    between "$(quality "$T/o.json" "$1 * 0.99")" "$(samples "$T/f")" "$(quality "$T/o.json" "$1 * 1.01")"
}

remark() {
    quality "$T/o.json" '.remarks[]' | grep -q 'to stay within --max-overhead'
}

no_remark() {
    ! quality "$T/o.json" '.remarks[]' | grep -e --max-overhead
}

start_agent
victim "$P" /bin/busybox taskset 1 /bin/pingpong
let_run "$(runc_pid "$P")"

for view in offcpu offwake chain wakeup hotcold; do
    capture $view 1
    check "$view: beyond its budget it takes the stacks of some waits" thinned
    check "$view: what is taken is shown or counted as lost" conserved "$T/o.json"
    case $view in
    hotcold) check "$view: the sum is all of threads' time" sum_is .times.wall_us ;;
    *) check "$view: the sum is all blocked time" sum_is .times.blocked_us ;;
    esac
    check "$view: the report says so" remark
done
capture offcpu 1
check "both ends of the pipe have stacks" sh -c "grep -q ';ping;.*read' '$T/f' && grep -q ';pong;.*read' '$T/f'"
capture switches 1
check "switches: some stand for the others" thinned
check "switches: each counts once" sum_is '(.times.voluntary + .times.involuntary)'
capture offcpu 100
check "with a budget that suffices each wait has its stack" \
    [ "$(quality "$T/o.json" '.overhead | .waits - .drawn')" = 0 ]
check "and nothing is said of it" no_remark
exits_with 2 "a budget beyond 100 percent is refused" porthole offcpu "$P" --max-overhead 101
exits_with 2 "cpu has no such budget" porthole cpu "$P" --max-overhead 5
