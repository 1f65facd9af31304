# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What BPF programs at some hooks take for a unit of work, by the kernel's own count of their run time.
# That adds two looks at the clock to each run of a program: to whoever has more of them the more. For
# sections of bench.sh, which set HOOKS to what the names of the programs that count have in them.

# The kernel counts for the rest of the run; what another section measured is forgotten.
kernel_counts() {
    local stats
    rm -f "$T"/hooks.* "$T/silence"
    mkfifo "$T/silence"
    exec {SILENCE}<>"$T/silence" # what reads it waits
    stats=$(cat /proc/sys/kernel/bpf_stats_enabled)
    on_exit "echo $stats >/proc/sys/kernel/bpf_stats_enabled"
    echo 1 >/proc/sys/kernel/bpf_stats_enabled
}

# Ids, times and runs of such programs that were not there before.
hooks_programs() {
    bpftool prog show -j | jq -r --arg hooks "$HOOKS" '.[] | select((.name // "") | test($hooks)) | "\(.id) \(.run_time_ns // 0) \(.run_cnt // 0)"' |
        awk '!now { old[$1] = 1; next } !old[$1]' "$T/hooks.old" now=1 -
}

hooks_attached() {
    [ -n "$(hooks_programs)" ]
}

# hooks_measure NAME UNITS WORK COMMAND…: while the command runs in the background, the nanoseconds and runs of
# its programs for each of so many units of the work; and its own CPU time, in microseconds.
hooks_measure() {
    local name=$1 units=$2 work=$3 pid before
    shift 3
    bpftool prog show -j | jq -r '.[].id' >"$T/hooks.old"
    env --default-signal=INT "$@" >"$T/hooks.out" 2>&1 <&"$SILENCE" &
    pid=$!
    if wait_for 60 hooks_attached; then
        wait_for 5 false # bpftrace and porthole have looked around by then
        before=$(hooks_cpu "$pid")
        hooks_programs >"$T/hooks.before"
        $work
        hooks_programs | awk -v n="$units" -v cpu=$(($(hooks_cpu "$pid") - before)) '
            !now { ns -= $2; runs -= $3; next } { ns += $2; runs += $3 }
            END { print ns / n, runs / n, cpu * 10000 / n }' "$T/hooks.before" now=1 - >>"$T/hooks.$name"
    else
        echo "$name: $(tr "\r" "\n" <"$T/hooks.out" | tail -n 2)" >&2
    fi
    kill -INT $pid 2>/dev/null
    wait_for 30 gone $pid || kill -KILL $pid
    wait $pid
}

# Ticks of the peer, or of the client and the agent.
hooks_cpu() {
    local pid sum=0
    for pid in $(family "$1") $(family "$AGENT_PID"); do
        sum=$((sum + $(ticks "$pid")))
    done
    echo $sum
}

# hooks_peer NAME UNITS WORK COMMAND…: one that needs tracefs where it is looked for.
hooks_peer() {
    # shellcheck disable=SC2016 # the inner shell's
    hooks_measure "$1" "$2" "$3" unshare -m sh -c '
        mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
        mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null; exec "$@"' sh "${@:4}"
}

hooks_cell() {
    [ -s "$T/hooks.$1" ] || { echo "missing here" && return; }
    printf '%8.0f ns in %5.2f runs, %6.1f us of CPU beside them' "$(column 1 "$T/hooks.$1")" \
        "$(column 2 "$T/hooks.$1")" "$(column 3 "$T/hooks.$1")"
}

hooks_ratio() {
    if [ ! -s "$T/hooks.$1" ] || [ ! -s "$T/hooks.$2" ]; then
        echo '-' && return
    fi
    awk -v a="$(column 1 "$T/hooks.$1")" -v b="$(column 1 "$T/hooks.$2")" 'BEGIN { printf "%.2f", a / b }'
}

# hooks_net NAME PEER EMPTY: the ratio, less what the count itself takes of each: that of a program that does
# nothing, for each run.
hooks_net() {
    if [ ! -s "$T/hooks.$1" ] || [ ! -s "$T/hooks.$2" ] || [ ! -s "$T/hooks.$3" ]; then
        echo '-' && return
    fi
    awk -v a="$(column 1 "$T/hooks.$1")" -v ra="$(column 2 "$T/hooks.$1")" -v b="$(column 1 "$T/hooks.$2")" \
        -v rb="$(column 2 "$T/hooks.$2")" -v e="$(column 1 "$T/hooks.$3")" -v re="$(column 2 "$T/hooks.$3")" \
        'BEGIN { e /= re; printf "%.2f", (a - ra * e) / (b - rb * e) }'
}
