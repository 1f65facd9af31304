#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
#
# Stripped Go programs: every function has its name, and stacks reach the goroutine's start.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc jq
[ "$(uname -m)" = x86_64 ] || skip_all "stacks are walked by tables on x86-64 only"
[ -x "$W/gobusy" ] || skip_all "no go"

A=pht$$-a
start_agent
"$B/porthole" doctor 2>/dev/null | grep -qi 'bpf_loop.*missing' && skip_all "this kernel has no bpf_loop()"
on_exit "runc_stop $A; rm -rf --one-file-system '$T/$A'"
victim_root "$A"

# captured COMMAND OPTION…: a fresh container, its stacks in $T/n.json and $T/n.folded. The first
# capture is for its tables alone.
captured() {
    local command=$1
    shift
    rm -f "$T/n.json" "$T/n.folded"
    runc_start "$A" "$T/$A" "$command" || return 1
    "$B/porthole" cpu "$A" -d 0.5 -o "$T/first.json" 2>"$T/err" &&
        sampled 500 3 "$T/n.json" "$A" -F 997 "$@" 2>"$T/err" &&
        folded "$T/n.json" >"$T/n.folded"
    runc_stop "$A"
}

# whole PERCENT: so many samples reach the start.
# Samples from before the tables were there are walked by frame pointers, and count as that.
whole() {
    jq -s -e --argjson p "$1" 'map(select(.type == "quality"))[0]
        | (.shown - (.stacks.broken_by["no-table-yet"] // 0)) as $n
        | $n >= 100 and .stacks.whole * 100 >= $n * $p' "$T/n.json" >/dev/null ||
        { quality "$T/n.json" '[.shown, .stacks] | tostring' && return 1; }
}

all_named() {
    jq -s -e 'map(select(.type == "quality"))[0].frames
        | .by_source.pclntab > 0 and .by_source.symtab == 0 and .unnamed * 1000 < .total' "$T/n.json" >/dev/null
}

# Heavy does three times what Light does.
three_to_one() {
    local heavy light
    heavy=$(share "$T/n.folded" 'inner.(*Worker).Heavy')
    light=$(share "$T/n.folded" 'inner.(*Worker).Light')
    awk -v h="$heavy" -v l="$light" 'BEGIN { exit !(l > 0 && h / (h + l) > 0.67 && h / (h + l) < 0.83) }' ||
        { echo "$heavy to $light" && return 1; }
}

captured /bin/gobusy
check "every frame of a stripped Go program has its name, from Go's own table" all_named
check "its functions have their share of the CPU time (3 to 1)" three_to_one
check "at least 99 % of its stacks reach the start" whole 99
check "nothing is lost in silence" conserved "$T/n.json"
check "a goroutine's stack begins where goroutines do" \
    grep -qE '^gobusy;runtime\.goexit;[^ ]*;inner\.Run;inner\.\(\*Worker\)\.Heavy;inner\.churn[; ]' "$T/n.folded"
check "what the runtime does on a thread's own stack has its goroutine above" \
    grep -qE ';inner\.[^ ]*;runtime\.systemstack;' "$T/n.folded"
check "a stack that grows has the function above that needs it" \
    grep -qE ';inner\.Deep;runtime\.(morestack|newstack)' "$T/n.folded"
check "packages are shown without the path to them" lacks "$T/n.folded" 'porthole\.test/'
check "Go's frames say their language" jq -es 'any(.type == "frame" and .language == "go"
    and .name == "inner.churn")' "$T/n.json"

captured /bin/gobusy --full-names
check "with --full-names they are shown with it" \
    grep -q ';porthole.test/deep/gobusy/inner.(\*Worker).Heavy;' "$T/n.folded"

# Without section headers nothing says where the table is.
bare=$T/$A/rootfs/bin/bare
cp "$W/gobusy" "$bare"
for place in "40 8" "60 4"; do
    dd if=/dev/zero of="$bare" bs=1 seek="${place% *}" count="${place#* }" conv=notrunc 2>/dev/null
done
captured /bin/bare
check "without section headers its functions have their names too" all_named
check "and its stacks are whole" whole 99

if [ -x "$W/gobusy-cgo" ]; then
    root_add "$T/$A/rootfs" "$W/gobusy-cgo"
    captured "$W/gobusy-cgo"
    check "C that Go calls has the goroutine above" \
        grep -qE ';main\.callC;[^ ]*;runtime\.cgocall;[^ ]*runtime\.asmcgocall;[^ ]*\[?gobusy-cgo' "$T/n.folded"
    check "at least 95 % of the stacks of a program of Go and C are whole" whole 95
else
    skip "C that Go calls has the goroutine above" "no go"
fi
