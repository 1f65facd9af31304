#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The quality report against what a program is known to do: how much of its time is spent where,
# under which kind of name or without one, on what kind of stack. Every share may differ from the
# program's own account by five standard deviations of the sampling, and no more.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc jq gcc objcopy

A=pht$$-a
start_agent
victim_root "$A"

# A library with a dynamic symbol and, once it is stripped, a function without any.
cat >"$T/library.c" <<'C'
__attribute__((noinline)) unsigned long truth_exported(unsigned long n)
{
    volatile unsigned long x = n;
    for (unsigned long i = 0; i < n; i++)
        x = x * 2862933555777941757ul + 3037000493ul;
    return x;
}
__attribute__((noinline, visibility("hidden"))) unsigned long truth_hidden(unsigned long n)
{
    volatile unsigned long x = n;
    for (unsigned long i = 0; i < n; i++)
        x = x * 2862933555777941757ul + 3037000494ul;
    return x;
}
C
gcc -O1 -fno-omit-frame-pointer -fPIC -shared -nostdlib -Wl,--build-id -o "$T/library" "$T/library.c" ||
    { not_ok "a library is built" "gcc fails" && exit 1; }
offset() {
    nm "$T/library" | sed -n "s/^\([0-9a-f]*\) [Tt] $1$/\1/p"
}
objcopy --strip-all "$T/library" "$T/$A/rootfs/bin/libtruth.so"
id=$(readelf -n "$T/library" | sed -n 's/.*Build ID: //p')
victim "$A" /bin/truth /bin/libtruth.so "$(offset truth_exported)" "$(offset truth_hidden)"
check "the program tells what it does" wait_for 20 test -s "$T/$A/rootfs/tmp/truth"
let_run "$(runc_pid "$A")"

account() {
    cat "$T/$A/rootfs/tmp/truth"
}

# Longer where a busy machine leaves the program less of its CPUs.
for seconds in 5 15 45; do
    account >"$T/before"
    "$B/porthole" cpu "$A" -d $seconds -F 999 -o "$T/t.json" 2>"$T/t.err" ||
        not_ok "the program is profiled" "$(tail -n 1 "$T/t.err")"
    account >"$T/after"
    shown=$(quality "$T/t.json" .shown)
    [ "${shown:-0}" -lt 500 ] || break
done
folded "$T/t.json" >"$T/t.folded"
check "there are samples enough to tell ($shown)" [ "${shown:-0}" -ge 500 ]

# truth PHASE…: the share of the CPU time that these had, of 1.
truth() {
    awk -v wanted=" $* " 'NR == FNR { before[$1] = $2; next }
        { all += $2 - before[$1] } index(wanted, " " $1 " ") { some += $2 - before[$1] }
        END { printf "%.6f\n", all ? some / all : 0 }' "$T/before" "$T/after"
}

# is_truth COUNT PHASE…: that many of the samples are what these phases' share makes likely.
is_truth() {
    local count=$1
    shift
    awk -v n="$shown" -v k="$count" -v p="$(truth "$@")" 'BEGIN {
        sigma = sqrt(n * p * (1 - p))
        low = n * p - 5 * sigma
        high = n * p + 5 * sigma
        if (p > 0 && k != "" && low <= k && k <= high)
            exit 0
        printf "%s of %d samples, where %.1f to %.1f were likely\n", k, n, low, high
        exit 1
    }'
}

# The sum of the samples that have this function.
with() {
    awk -v f="$1" '{ n = $NF; sub(/ [0-9]+$/, ""); k = split($0, a, ";")
        for (i = 2; i <= k; i++) { sub(/_\[[kij]\]$/, "", a[i]); if (a[i] == f) { sum += n; break } } }
        END { print sum + 0 }' "$T/t.folded"
}

check "a function's samples are its share of the time" is_truth "$(with truth_named)" named
check "a dynamic symbol's are" is_truth "$(with truth_exported)" exported
check "JIT code's are" is_truth "$(with truth_listed)" listed
check "a recursion's are" is_truth "$(with truth_deep)" deep
check "those of code without rules are" is_truth "$(with truth_lost)" lost
check "a frame without a name has its file's" is_truth "$(with '[libtruth.so]')" hidden

# Each of these phases has one such frame on its stacks.
check "as many frames are named by dynamic symbols as there were" \
    is_truth "$(quality "$T/t.json" '.frames.by_source.dynsym')" exported
check "as many frames are named by the perf map as there were" \
    is_truth "$(quality "$T/t.json" '.frames.by_source["perf-map"]')" listed
check "as many frames have no name as there were" \
    is_truth "$(quality "$T/t.json" '.frames.unnamed')" hidden unlisted
check "as many of them for want of symbols, in the right file, with its build ID and a remedy" \
    is_truth "$(quality "$T/t.json" "[.unnamed[] | select(.reason == \"stripped\"
        and .file == \"/bin/libtruth.so\" and .build_id == \"$id\" and (.remedy | test(\"debug symbols\")))
        .frames] | add // 0")" hidden
check "as many of them for want of a line in the perf map, with a remedy" \
    is_truth "$(quality "$T/t.json" '[.unnamed[] | select(.reason == "jit-not-in-map"
        and (.remedy | length) > 0).frames] | add // 0')" unlisted
check "no other cause is told" [ "$(quality "$T/t.json" '[.unnamed[].reason] | unique | length')" = 2 ]

check "as many stacks are whole as there were" is_truth "$(quality "$T/t.json" .stacks.whole)" \
    named exported hidden listed unlisted
check "as many are cut for their depth as there were" is_truth "$(quality "$T/t.json" .stacks.truncated)" deep
check "as many are broken as there were" is_truth "$(quality "$T/t.json" .stacks.broken)" lost

# What must be so to the last sample.
check "samples taken are samples shown and lost" conserved "$T/t.json"
check "every stack is whole, cut or broken" [ "$(quality "$T/t.json" \
    '.stacks.whole + .stacks.truncated + .stacks.broken - .shown')" = 0 ]
check "every frame has one source or no name" [ "$(quality "$T/t.json" \
    '([.frames.by_source[]] | add) + .frames.unnamed - .frames.total')" = 0 ]
check "the causes add up to the frames without a name" [ "$(quality "$T/t.json" \
    '([.unnamed[].frames] | add // 0) - .frames.unnamed')" = 0 ]
check "the stream's frames are the report's" jq -es '
    (map(select(.type == "frame")) | map({key: (.id | tostring), value: .named}) | from_entries) as $named
    | (map(select(.type == "stack") | .value * (.frames | length)) | add) as $total
    | (map(select(.type == "stack") | .value * ([.frames[] | select($named[tostring] | not)] | length)) | add) as $un
    | map(select(.type == "quality"))[0].frames | .total == $total and .unnamed == $un' "$T/t.json"
