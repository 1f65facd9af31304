# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What it costs to follow block I/O: nanoseconds in BPF programs for each request, in the target and
# beside it; beside biolatency, which only has a histogram, biosnoop, which tells of each request, and
# bpftrace with a histogram by process. Sourced by bench.sh.
BLOCK_BENCH=bench-block BLOCK_IDLE=bench-block-idle
BLOCK_REQUESTS=${BLOCK_REQUESTS:-20000}

# shellcheck disable=SC2016 # bpftrace's variables
BLOCK_SCRIPT='tracepoint:block:block_rq_issue { @start[args->dev, args->sector] = nsecs; @comm[args->dev, args->sector] = comm; }
tracepoint:block:block_rq_complete /@start[args->dev, args->sector]/ {
    @us[@comm[args->dev, args->sector]] = hist((nsecs - @start[args->dev, args->sector]) / 1000);
    @bytes[@comm[args->dev, args->sector]] = sum(args->nr_sector * 512);
    delete(@start[args->dev, args->sector]); delete(@comm[args->dev, args->sector]);
}'

block_reads() {
    runc exec "$BLOCK_BENCH" /bin/disk direct-read /data $((BLOCK_REQUESTS * 4096)) 4096 >/dev/null
}

# Each written through the page cache and synced, as databases do it: that takes the owner of a page to be found,
# and a journal's thread writes, too.
BLOCK_SYNCS=$((BLOCK_REQUESTS / 10))
block_syncs() {
    runc exec "$BLOCK_BENCH" /bin/disk fsync-each /synced $((BLOCK_SYNCS * 4096)) 4096 >/dev/null
}

block_ours() {
    hooks_measure "$1" "$BLOCK_REQUESTS" block_reads "$B/porthole" block -d 600 -o "$T/block.json" "${@:2}"
}

block_peer() {
    hooks_peer "$1" "$BLOCK_REQUESTS" block_reads "${@:2}"
}

block_ours_syncs() {
    hooks_measure "$1" "$BLOCK_SYNCS" block_syncs "$B/porthole" block -d 600 -o "$T/block.json" "${@:2}"
}

block_peer_syncs() {
    hooks_peer "$1" "$BLOCK_SYNCS" block_syncs "${@:2}"
}

# Requests a second while each is told of, and what became of them.
block_rate() {
    local i readers
    env --default-signal=INT "$B/porthole" block "$BLOCK_BENCH" -d 0 --events -o "$T/block.json" >"$T/hooks.out" 2>&1 &
    CAPTURE=$!
    wait_for 20 agent_captures
    SECONDS=0
    readers=()
    for i in 1 2 3 4; do
        block_reads &
        readers+=("$!")
    done
    wait "${readers[@]}"
    i=$SECONDS
    kill -INT $CAPTURE
    end_capture
    jq -r --argjson s "$i" 'select(.type == "quality") |
        "\(.taken / $s | floor) requests a second, each told of: \(.taken) taken, \(.shown) shown, lost: \(.lost), not seen to end: \(.block.end_unseen)"' "$T/block.json"
}

section_block() {
    local round name
    bench_agent
    for name in $BLOCK_BENCH $BLOCK_IDLE; do
        victim "$name" /bin/sh -c 'while :; do sleep 1000; done'
    done
    runc exec "$BLOCK_BENCH" /bin/disk fsync-write /data $((BLOCK_REQUESTS * 4096)) >/dev/null
    block_syncs # the file is there from here on
    block_rate
    # shellcheck disable=SC2034 # hooks.sh's
    HOOKS="blk|block|rq_|io_start|io_done|req|empty_hook"
    kernel_counts
    for ((round = 0; round < ROUNDS; round++)); do
        block_ours inside "$BLOCK_BENCH"
        ! command -v biolatency >/dev/null || block_peer biolatency biolatency
        block_ours outside "$BLOCK_IDLE"
        block_ours_syncs syncs "$BLOCK_BENCH"
        ! command -v biolatency >/dev/null || block_peer_syncs biolatency-syncs biolatency
        block_ours_syncs outside-syncs "$BLOCK_IDLE"
        ! command -v biosnoop >/dev/null || block_peer biosnoop biosnoop
        block_ours events --events "$BLOCK_BENCH"
        ! command -v bpftrace >/dev/null || block_peer bpftrace bpftrace -e "$BLOCK_SCRIPT"
        block_ours stacks --stacks "$BLOCK_BENCH"
        block_peer empty "$B/tests/bench/empty_hooks" tp_btf block_io_start block_rq_issue block_io_done
    done
    echo "a request; medians of $ROUNDS rounds of $BLOCK_REQUESTS reads of 4 KiB"
    for name in inside events stacks outside empty biolatency biosnoop bpftrace; do
        printf '  %-10s %s\n' $name "$(hooks_cell $name)"
    done
    printf 'inside / biolatency: %s, less the empty programs %s; / bpftrace: %s; events / biosnoop: %s (bar: 1.0); outside: %s ns an event, the clock included (bar: 100)\n' \
        "$(hooks_ratio inside biolatency)" "$(hooks_net inside biolatency empty)" "$(hooks_ratio inside bpftrace)" "$(hooks_ratio events biosnoop)" \
        "$(block_event outside)"
    echo "a block that is written and synced; medians of $ROUNDS rounds of $BLOCK_SYNCS"
    for name in syncs biolatency-syncs outside-syncs; do
        printf '  %-16s %s\n' $name "$(hooks_cell $name)"
    done
    printf 'syncs / biolatency-syncs: %s, less the empty programs %s; outside-syncs: %s ns an event\n' \
        "$(hooks_ratio syncs biolatency-syncs)" "$(hooks_net syncs biolatency-syncs empty)" "$(block_event outside-syncs)"
}

block_event() {
    awk '{ print $1 / $2 }' "$T/hooks.$1" | median
}
