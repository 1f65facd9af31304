#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Events other than the clock: what the kernel offers is taken, what it does not offer is refused
# with the reason, and a flood of events is counted to the last one.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc jq

F=pht$$-f
P=pht$$-p
start_agent

victim "$F" /bin/calls faults
exits_with 0 "page faults are an event" "$B/porthole" cpu "$F" -d 2 -e page-faults -o "$T/f.json"
folded "$T/f.json" >"$T/f.folded"
check "page faults land in the function that touches the pages" share_is "$T/f.folded" touch_pages 100 10
check "page faults: nothing lost in silence" conserved "$T/f.json"
runc_stop "$F"

victim "$P" /bin/pingpong
exits_with 0 "context switches are an event" \
    "$B/porthole" cpu "$P" -d 2 -e context-switches -F 10000 -o "$T/p.json"
folded "$T/p.json" >"$T/p.folded"
check "context switches show the kernel's side" grep -qE ';[a-z_]*(read|schedule)[a-z_]*_\[k\]' "$T/p.folded"
check "a flood of events is counted exactly: taken is shown plus lost" conserved "$T/p.json"
check "a flood of events has samples" between 100 "$(samples "$T/p.folded")" 1000000

if [ -e /sys/bus/event_source/devices/cpu ]; then
    exits_with 0 "hardware events work where there is a PMU" "$B/porthole" cpu "$P" -d 1 -e cycles -f folded
else
    exits_with 6 "a hardware event without a PMU is refused as unsupported" \
        "$B/porthole" cpu "$P" -d 1 -e cycles
    check "the refusal names the event and the reason" \
        sh -c "grep -q cycles '$T/err' && [ \$(wc -l <'$T/err') -le 3 ]"
fi
exits_with 2 "an unknown event is a usage error" "$B/porthole" cpu "$P" -d 1 -e no-such-event
check "the message quotes the unknown event" grep -q "no-such-event" "$T/err"
exits_with 2 "a frequency beyond the limit is a usage error" "$B/porthole" cpu "$P" -d 1 -F 1000000000
