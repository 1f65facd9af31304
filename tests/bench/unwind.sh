#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Whole stacks: ours by tables, beside perf by frame pointers and by copies of the stack
# (--call-graph dwarf), for well-known programs in containers. Called by bench.sh, which says what
# it prints and where it goes; TIME (5 s a capture), PROGRAMS_WANTED and PEERS (yes) may be set.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../programs.sh"
[ "$(id -u)" = 0 ] || { echo "needs root" >&2 && exit 1; }

TIME=${TIME:-5}
RATE=499
PATIENCE=${PATIENCE:-60} # seconds that perf may take to read what it wrote

# ours: percent whole, mean user depth, ns a sample, and ns of the walk by tables for each user frame.
# Runs for other tasks only look at their cgroup; what that costs was measured with an idle container
# ($IDLE_NS). The tables are made before: how long that takes is what first() is for.
ours() {
    "$B/porthole" cpu "$P" -d 1 -F $RATE -o "$T/o.json" 2>"$T/err" || return
    "$B/porthole" cpu "$P" -d "$TIME" -F $RATE -o "$T/o.json" 2>"$T/err" || return
    jq -rs --argjson idle "$IDLE_NS" '
        (map(select(.type == "frame" and .kind == "kernel") | {("\(.id)"): 1}) | add // {}) as $kernel
        | map(select(.type == "quality"))[0] as $q
        | (map(select(.type == "stack") | .value * ([.frames[] | select($kernel["\(.)"] | not)] | length))
           | add // 0) as $frames
        | ($q.cost.bpf_run_us * 1000 - $idle * ($q.cost.bpf_runs - $q.taken)) as $ns
        | if $q.shown == 0 then "- - - -" else
          "\(100 * $q.stacks.whole / $q.shown) \($frames / $q.shown) \($ns / $q.taken) \(
            $q.cost.unwind_us * 1000 / $frames)" end' \
        "$T/o.json"
}

idle_ns() {
    program_up omit none
    "$B/porthole" cpu "$P" -d 3 -F $RATE -o "$T/o.json" 2>"$T/err"
    quality "$T/o.json" 'if .cost.bpf_runs > 0 then .cost.bpf_run_us * 1000 / .cost.bpf_runs else 0 end'
    program_down
}

# theirs HOW: percent whole, mean user depth, KB written a second. Whole as with us: the outermost
# function is one of those that start a process or a thread.
theirs() {
    { [ "${PEERS:-yes}" = yes ] && command -v perf >/dev/null; } || { echo "- - -" && return; }
    perf record -q -e cpu-clock -F $RATE -a --call-graph "$1" -G "$P" -o "$T/p.data" -- sleep "$TIME" \
        >"$T/err" 2>&1 || { echo "- - -" && return; }
    timeout -s KILL "$PATIENCE" perf script -i "$T/p.data" --no-inline -F comm,ip,sym 2>/dev/null >"$T/p.txt" ||
        { echo "slow slow $(($(stat -c %s "$T/p.data") / 1024 / TIME))" && return; }
    awk -v kb=$(($(stat -c %s "$T/p.data") / 1024)) -v time="$TIME" '
        function done() {
            if (!frames)
                return
            samples++
            user += depth
            whole += outermost ~ /^(_start|__libc_start_(main|call_main).*|start_thread|_*clone3?)$/
            frames = depth = 0
            outermost = ""
        }
        /^[^ \t]/ || /^$/ { done(); next }
        {
            frames++
            if ($1 !~ /^ffffffff/) {
                depth++
                # frame pointers lead on beyond the start into what is none
                if (outermost !~ /^(_start|__libc_start_|start_thread|_*clone3?$)/ || $2 ~ /^(_start|_*clone3?)$/)
                    outermost = $2
            }
        }
        END {
            done()
            if (samples)
                printf "%f %f %f\n", 100 * whole / samples, user / samples, kb / time
            else
                print "- - -"
        }' "$T/p.txt"
}

row() {
    local title=$1
    shift
    if ! program_up "$@"; then
        printf '%-10s %s\n' "$title" "missing here: $WHY"
        program_down
        return
    fi
    wait_for 10 test -e "/proc/$(runc_pid "$P")/exe"
    printf '%s %s %s %s\n' "$title" "$(ours)" "$(theirs fp)" "$(theirs dwarf)" | awk '
        function n(v, format) { return v ~ /^[0-9]/ ? sprintf(format, v) : v }
        { printf "%-10s %7s %6s %8s %7s %8s %6s %8s %6s %9s\n", $1, n($2, "%.1f"), n($3, "%.1f"),
            n($4, "%.0f"), n($5, "%.0f"), n($6, "%.1f"), n($7, "%.1f"), n($9, "%.1f"), n($10, "%.1f"),
            n($11, "%.0f") }'
    program_down
}

# What one more frame costs: a deep stack beside a shallow one, both of them all user code.
marginal() {
    local case
    for case in deep last; do
        program_up omit $case
        ours
        program_down
    done | awk '
        { depth[NR] = $2; ns[NR] = $3 }
        END { printf "each further frame: %.0f ns (%.1f frames beside %.1f)\n",
            (ns[1] - ns[2]) / (depth[1] - depth[2]), depth[1], depth[2] }'
}

# first WHAT…: milliseconds from the request to the first stack that tables led to its thread's start,
# with an agent that has never seen the program, and with one that has; median of five each.
first() {
    local round i
    : >"$T/first.1" && : >"$T/first.2"
    program_up "$@" || { printf '%-10s %s\n' "$1" "missing here: $WHY" && program_down && return; }
    for ((round = 0; round < 5; round++)); do
        stop_agent
        start_agent
        for i in 1 2; do
            "$B/porthole" cpu "$P" -d 2 -F 997 -o "$T/o.json" 2>"$T/err"
            quality "$T/o.json" '.first_whole_us / 1000' >>"$T/first.$i"
        done
    done
    program_down
    printf '%-10s %8s ms %8s ms\n' "$1" "$(sort -n "$T/first.1" | sed -n 3p | cut -d . -f 1)" \
        "$(sort -n "$T/first.2" | sed -n 3p | cut -d . -f 1)"
}

start_agent
IDLE_NS=$(idle_ns)
echo "share of whole stacks (%), mean user frames; $TIME s at $RATE Hz a capture"
echo "porthole: ns of a whole sample, kernel frames and counting included; ns of the walk a user frame"
printf '%-10s %31s %15s %25s\n' '' 'porthole' 'perf fp' 'perf dwarf'
printf '%-10s %7s %6s %8s %7s %8s %6s %8s %6s %9s\n' program whole depth ns/smpl ns/frame whole depth \
    whole depth KB/s
for program in ${PROGRAMS_WANTED:-redis nginx postgres node python bash}; do
    row "$program" "$program"
done
row C++ omit
row musl omit-musl tree realigned callback plt deep last
if command -v javac >/dev/null && javac -d "$T" "$ROOT/tests/workloads/Shares.java"; then
    row java java "$T/Shares.class"
    row java+fp java "$T/Shares.class" -XX:+PreserveFramePointer
fi
marginal
printf '\nfrom the request to the first whole stack: files never seen before, and later\n'
first redis
first node
