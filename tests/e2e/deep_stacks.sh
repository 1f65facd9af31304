#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 120
#
# Deep stacks come in full when they are asked for, and what is deeper still is counted as such.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc jq
[ "$(uname -m)" = x86_64 ] || skip_all "stacks are walked by tables on x86-64 only"
start_agent
"$B/porthole" doctor 2>/dev/null | grep -qi 'bpf_loop.*missing' && skip_all "this kernel has no bpf_loop()"

# capture NAME DEPTH: the second one, whose tables are ready; leaves $T/d.json and $T/d.folded.
capture() {
    "$B/porthole" cpu "$1" -d 0.5 -F 499 -o "$T/d.json" 2>"$T/err"
    # Where the machine stands still before the tables are there, many samples come too early; not each time.
    for _ in 1 2 3; do
        "$B/porthole" cpu "$1" -d 2 -F 499 ${2:+--max-stack "$2"} -o "$T/d.json" 2>"$T/err" || { cat "$T/err" && return 1; }
        [ "$(quality "$T/d.json" '.stacks.by_tables * 50 >= .shown * 49')" != true ] || break
    done
    folded "$T/d.json" >"$T/d.folded"
}

# calls N: so many frames of recurse_fall() in each stack, but for the first few, which may have been
# taken before the tables were there.
calls() {
    awk -v n="$1" '{ all += $NF; if (gsub(/recurse_fall/, "&") == n) right += $NF; else other = NR ": " $0 }
        END { if (!all || right < all * 0.95) { print right "/" all " " other; exit 1 } }' "$T/d.folded" |
        cut -c 1-200
    return "${PIPESTATUS[0]}"
}

# shapes EXPRESSION: of the report's .stacks and .shown, for at least 50 samples.
shapes() {
    jq -s -e "map(select(.type == \"quality\"))[0] | .shown >= 50 and (.shown as \$n | .stacks | $1)" "$T/d.json" >/dev/null ||
        { quality "$T/d.json" '[.shown, .stacks] | tostring' && return 1; }
}

D=pht$$-533
victim "$D" /bin/recurse 533
capture "$D" 1024
check "533 calls deep, --max-stack 1024: every frame is there" calls 533
check "and the stacks are whole" shapes '.whole * 100 >= $n * 95'
capture "$D" 540
check "a depth that is just enough is enough" shapes '.whole * 100 >= $n * 95'
capture "$D" ''
check "127 frames are walked when nothing is said, and the rest is counted as truncated" \
    shapes '.truncated * 100 >= $n * 99 and .whole == 0'
check "of them all but the leaf are calls" calls 126
capture "$D" 5
check "--max-stack 5 walks five" calls 4
runc_stop "$D"

D=pht$$-1500
victim "$D" /bin/recurse 1500
capture "$D" 1024
check "1,500 calls deep: 1,024 frames are there" calls 1023
check "and all are counted as truncated, none as whole" shapes '.truncated * 100 >= $n * 99 and .whole == 0'
check "nothing is lost in silence" conserved "$T/d.json"
check "the picture of it is drawn" "$B/porthole" render "$T/d.json" -o "$T/d.svg"
runc_stop "$D"

exits_with 2 "a depth of zero is refused" "$B/porthole" cpu x --max-stack 0
exits_with 2 "a depth beyond 1,024 is refused" "$B/porthole" cpu x --max-stack 1025
