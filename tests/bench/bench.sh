#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What Porthole costs, beside its peers, in one run on one machine: make bench, or
# tests/bench/bench.sh [SECTION…] with sections idle cost latency throughput symbols render many
# unwind waits block tcp.
#
# Rounds are interleaved and medians are shown. A peer that is missing says so in its row. The table
# is also left in build/bench/SECTION.txt. ROUNDS (3), TIME (10 s a capture) and PATIENCE may be
# set.
. "$(dirname "$0")/../lib.sh"

BENCH=$ROOT/tests/bench
OUT=$B/bench
ROUNDS=${ROUNDS:-3}
TIME=${TIME:-10}
PATIENCE=${PATIENCE:-30} # seconds that a peer may take after the capture before it is given up
REDIS=bench-redis WEB=bench-web PIPE=bench-pipe
GROUP=porthole-bench

[ "$(id -u)" = 0 ] || { echo "needs root" >&2 && exit 1; }
mkdir -p "$OUT"

# shellcheck source=tests/bench/peers.sh
. "$BENCH/peers.sh"
# shellcheck source=tests/bench/waits.sh
. "$BENCH/waits.sh"
# shellcheck source=tests/bench/hooks.sh
. "$BENCH/hooks.sh"
# shellcheck source=tests/bench/block.sh
. "$BENCH/block.sh"
# shellcheck source=tests/bench/tcp.sh
. "$BENCH/tcp.sh"

median() {
    sort -n | awk '{ v[NR] = $1 } END { if (NR) print (NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2) }'
}

# column N FILE: median of a column.
column() {
    awk -v n="$1" '{ print $n }' "$2" | median
}

# milliseconds BEGIN END, both as EPOCHREALTIME gives them.
milliseconds() {
    awk -v a="$1" -v b="$2" 'BEGIN { printf "%.0f\n", (b - a) * 1000 }'
}

measure() {
    "$BENCH/measure.py" "$@"
}

bench_agent() {
    [ -z "$AGENT_PID" ] || return 0
    start_agent
    # shellcheck disable=SC2046 # a list of pids
    measure $GROUP --join $(family "$AGENT_PID")
    on_exit "measure $GROUP --remove"
    # The cgroup can only go after the agent: what was added last runs first.
    on_exit stop_agent
}

# The containers: a redis under load, a web shop on node with a perf map, and an idle one.
redis_up() {
    [ -d "$T/$REDIS" ] && return
    command -v redis-server >/dev/null && command -v redis-benchmark >/dev/null || return 1
    root_new "$T/$REDIS/rootfs"
    root_add "$T/$REDIS/rootfs" "$(command -v redis-server)" "$(command -v redis-benchmark)"
    on_exit "runc_stop $REDIS"
    runc_start $REDIS "$T/$REDIS" "$(command -v redis-server)" --save "" --appendonly no
    wait_for 20 redis_answers
}

redis_answers() {
    redis_rate 10 | grep -q '[0-9]'
}

# Requests a second over that many requests.
redis_rate() {
    runc exec $REDIS "$(command -v redis-benchmark)" --csv -t get -n "$1" -P 4 -c 20 2>/dev/null |
        sed -n 's/^"GET","\([0-9.]*\)".*/\1/p'
}

# A steady load in the background.
redis_load() {
    (while redis_rate 200000 >/dev/null; do :; done) &
    LOAD=$!
}

redis_rest() {
    stop_process "$LOAD"
}

web_up() {
    [ -d "$T/$WEB" ] && return
    command -v node >/dev/null || return 1
    root_new "$T/$WEB/rootfs"
    root_add "$T/$WEB/rootfs" "$(command -v node)"
    cp "$ROOT/tests/workloads/web.js" "$T/$WEB/rootfs/"
    on_exit "runc_stop $WEB"
    runc_start $WEB "$T/$WEB" "$(command -v node)" --perf-basic-prof /web.js
    wait_for 30 grep -q ready "$T/$WEB/log"
}

pipe_up() {
    [ -d "$T/$PIPE" ] && return
    victim $PIPE /bin/busybox sleep 100000
}

# Round trips a second, both ends on one CPU.
pipe_rate() {
    runc exec $PIPE /bin/busybox taskset 1 /bin/pingpong "$1" | median
}

section_idle() {
    local before after
    switches() {
        local pid
        for pid in $(family "$AGENT_PID"); do
            grep -h ctxt_switches "/proc/$pid/status"
        done | awk '{ n += $2 } END { print n }'
    }
    bench_agent
    before=$(switches)
    sleep 10 # what happens when nobody asks is what is measured
    after=$(switches)
    printf 'agent idle: %s wake-ups in 10 s, %s MB resident in all its processes\n' \
        $((after - before)) "$(measure $GROUP true | awk '{ print $2 }')"
}

# cost_of NAME TITLE: the same container, tool after tool, round after round.
cost_of() {
    local round tool
    for ((round = 0; round < ROUNDS; round++)); do
        for tool in ours perf bpftrace; do
            have_$tool || continue
            [ -e "$T/slow.$1.$tool" ] && continue
            measure "$GROUP$([ $tool = ours ] || echo -$tool)" timeout -s KILL $((TIME + PATIENCE)) \
                bash "$BENCH/peers.sh" ${tool}_profile "$1" "$TIME" "$T/$tool" \
                >"$T/cost" 2>"$T/err" && cat "$T/cost" >>"$T/cost.$1.$tool" && continue
            echo "over $(awk '{ printf "%.0f", $1 }' "$T/cost") CPU s, given up" >"$T/slow.$1.$tool"
        done
    done
    measure $GROUP-perf --remove
    measure $GROUP-bpftrace --remove
    printf '%s\n' "$2"
    for tool in ours perf bpftrace; do
        if [ -s "$T/slow.$1.$tool" ]; then
            printf '  %-44s %s\n' "$(title_of $tool)" "$(cat "$T/slow.$1.$tool")"
        elif [ -s "$T/cost.$1.$tool" ]; then
            printf '  %-44s %8.3f CPU s %8.1f MB\n' "$(title_of $tool)" \
                "$(column 1 "$T/cost.$1.$tool")" "$(column 2 "$T/cost.$1.$tool")"
        else
            printf '  %-44s missing here\n' "$(title_of $tool)"
        fi
    done
}

section_cost() {
    bench_agent
    printf 'CPU time and peak memory of %s s at 99 Hz, median of %s rounds\n' "$TIME" "$ROUNDS"
    if redis_up; then
        redis_load
        cost_of $REDIS "redis under load (stripped, no frame pointers)"
        redis_rest
    else
        echo "redis: missing here"
    fi
    if web_up; then
        cost_of $WEB "web shop on node (perf map)"
        runc_stop $WEB
    else
        echo "node: missing here"
    fi
}

section_latency() {
    local round tool begin
    bench_agent
    redis_up || { echo "redis: missing here" && return; }
    redis_load
    for ((round = 0; round < ROUNDS * 2; round++)); do
        "$BENCH/latency.py" "$PORTHOLE_SOCKET" $REDIS 2 "$T/l.json" >"$T/l" || return
        begin=$EPOCHREALTIME
        "$B/porthole" render "$T/l.json" -o "$T/l.svg"
        awk -v r="$(milliseconds "$begin" "$EPOCHREALTIME")" '{ print $1, $2 + r }' "$T/l" >>"$T/latency.ours"
        for tool in perf bpftrace; do
            have_$tool && ${tool}_latency $REDIS 2 "$T/$tool" >>"$T/latency.$tool"
        done
    done
    redis_rest
    printf 'request to sampling, end of capture to the result (ours: SVG; peers: folded), median of %s\n' \
        $((ROUNDS * 2))
    for tool in ours perf bpftrace; do
        if [ -s "$T/latency.$tool" ]; then
            printf '  %-44s %8.0f ms %8.0f ms\n' "$(title_of $tool)" \
                "$(column 1 "$T/latency.$tool")" "$(column 2 "$T/latency.$tool")"
        else
            printf '  %-44s missing here\n' "$(title_of $tool)"
        fi
    done
}

# throughput_of KIND NAME ARGUMENT: a rate with each tool, as the ratio to the rates with nothing
# right before and right after, so that a machine that drifts does not count.
throughput_of() {
    local round tool before after rate
    before=$("$1_rate" "$3")
    for ((round = 0; round < ROUNDS + 2; round++)); do
        for tool in ours perf bpftrace; do
            have_$tool || continue
            ${tool}_start "$2" "$T/$tool"
            rate=$("$1_rate" "$3")
            ${tool}_stop
            after=$("$1_rate" "$3")
            echo "$after" >>"$T/rate.$1"
            awk -v r="$rate" -v b="$before" -v a="$after" 'BEGIN { print 2 * r / (b + a) }' \
                >>"$T/ratio.$1.$tool"
            before=$after
        done
    done
    printf '%s: %.0f a second with nothing\n' "$4" "$(median <"$T/rate.$1")"
    for tool in ours perf bpftrace; do
        if [ -s "$T/ratio.$1.$tool" ]; then
            printf '  %-44s %8.3f of that\n' "$(title_of $tool)" "$(median <"$T/ratio.$1.$tool")"
        else
            printf '  %-44s missing here\n' "$(title_of $tool)"
        fi
    done
}

section_throughput() {
    bench_agent
    runc_stop $WEB
    redis_up && throughput_of redis $REDIS 400000 "redis GET"
    pipe_up && throughput_of pipe $PIPE 3 "pipe ping-pong on one CPU"
}

section_symbols() {
    local files=() f
    for f in "$(readlink -f "$(command -v node)")" /usr/lib/*/libnode.so.* /usr/lib/*/libLLVM-*.so* \
        /usr/lib/llvm-*/lib/libLLVM-*.so*; do
        [ -f "$f" ] && files+=("$(readlink -f "$f")")
    done
    echo "symbol tables, cold and cached"
    if [ ${#files[@]} -gt 0 ]; then
        mapfile -t files < <(printf '%s\n' "${files[@]}" | sort -u)
        "$B/tests/bench/symtab_cold" "${files[@]}"
    else
        echo "neither node nor libLLVM here"
    fi
}

section_render() {
    local lines peer
    peer=$(command -v flamegraph.pl || command -v flamegraph || true)
    echo "folded stacks of 1 KB a line to SVG"
    for lines in 10000 100000 1000000; do
        "$B/tests/bench/folded_gen" $lines >"$T/big.folded"
        measure $GROUP-render "$B/porthole" render "$T/big.folded" -o "$T/big.svg" >"$T/r" || break
        printf '  %8d lines, porthole render    %8.2f CPU s %8.1f MB %8.2f s, SVG of %d kB\n' $lines \
            "$(cut -d ' ' -f 1 "$T/r")" "$(cut -d ' ' -f 2 "$T/r")" "$(cut -d ' ' -f 3 "$T/r")" \
            $(($(stat -c %s "$T/big.svg") / 1024))
        if [ -n "$peer" ] && [ $lines -le "${PEER_LINES:-100000}" ]; then
            measure $GROUP-render "$peer" "$T/big.folded" >"$T/r" 2>/dev/null
            tail -n 1 "$T/r" | awk -v n=$lines '{ printf "  %8d lines, FlameGraph          %8.2f CPU s %8.1f MB %8.2f s\n", n, $1, $2, $3 }'
        fi
    done
    measure $GROUP-render --remove
    [ -n "$peer" ] || echo "  FlameGraph: missing here (not a Debian package; flamegraph.pl is looked for in PATH)"
    rm -f "$T"/big.*
}

section_many() {
    "$BENCH/many.sh"
}

section_unwind() {
    "$BENCH/unwind.sh"
}

[ $# -gt 0 ] || set -- idle cost latency throughput symbols render many unwind waits block tcp
for section in "$@"; do
    [ "$(type -t "section_$section")" = function ] || { echo "no section '$section'" >&2 && exit 2; }
    printf '\n== %s\n' "$section"
    "section_$section" >"$OUT/$section.txt"
    cat "$OUT/$section.txt"
done
