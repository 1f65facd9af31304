#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What the number of containers costs: starts MANY (500) idle runc containers from one root file
# system beside one that is busy while it is captured, and measures without and with them: the time of
# "porthole list", the time from a capture's request to its "started" line, and the BPF program's time
# for a sample. Medians of ROUNDS (10).
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc jq python3

MANY=${MANY:-500}
ROUNDS=${ROUNDS:-10}
NAME=ph-many$$
BUSY=$NAME-busy

median() {
    sort -n | awk '{ v[NR] = $1 } END { if (NR) print (NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2) }'
}

# Bundle N: a configuration of its own, the root that all share.
bundle() {
    mkdir -p "$T/$1"
    runc_config "$NAME-$1" /bin/busybox sleep 100000 |
        sed "s|\"path\": \"rootfs\"|\"path\": \"$T/shared/rootfs\"|" >"$T/$1/config.json"
}

start_one() {
    runc run --detach --bundle "$T/$1" "$NAME-$1" </dev/null >"$T/$1/log" 2>&1 ||
        { echo "container $1: $(tail -n 1 "$T/$1/log")" >&2 && return 1; }
}

stop_one() {
    runc_stop "$NAME-$1"
}

stop_all() {
    seq "$MANY" | xargs -P 4 -I N bash -c 'stop_one N'
}

start_all() {
    local i
    for ((i = 1; i <= MANY; i++)); do
        bundle "$i"
    done
    seq "$MANY" | xargs -P 4 -I N bash -c 'start_one N'
}

# Prints milliseconds, one line a round.
list_times() {
    local round begin
    for ((round = 0; round < ROUNDS; round++)); do
        begin=$EPOCHREALTIME
        porthole list >"$T/list"
        awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f\n", (b - a) * 1000 }'
    done
}

# Prints "milliseconds to started, ns of the BPF program per run", one line a round.
capture_times() {
    local round
    for ((round = 0; round < ROUNDS; round++)); do
        "$ROOT/tests/bench/latency.py" "$PORTHOLE_SOCKET" $BUSY 0.5 "$T/capture.json" >"$T/latency" ||
            return 1
        echo "$(cut -d ' ' -f 1 "$T/latency") $(quality "$T/capture.json" \
            '.cost | if .bpf_runs > 0 then 1000 * .bpf_run_us / .bpf_runs else 0 end')"
    done
}

row() {
    local count
    kill -STOP "$(runc_pid $BUSY)"
    list_times >"$T/lists"
    kill -CONT "$(runc_pid $BUSY)"
    count=$(grep -c "^$NAME-" "$T/list")
    capture_times >"$T/captures" || exit 1
    printf '  %5d %18.1f ms %18.1f ms %15.0f ns\n' "$count" "$(median <"$T/lists")" \
        "$(cut -d ' ' -f 1 "$T/captures" | median)" "$(cut -d ' ' -f 2 "$T/captures" | median)"
}

export -f start_one stop_one runc_stop
export NAME T

root_new "$T/shared/rootfs"
start_agent
victim $BUSY /bin/spin
printf '%s\n' "many containers, medians of $ROUNDS" \
    '  there  list                 request to started   a sample in the kernel'
row
on_exit stop_all
start_all || exit 1
row
