# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What it costs to follow threads' waits: nanoseconds of CPU added to each switch of a ping-pong
# through pipes, in the target and beside it, and what is left of a redis' rate; beside offcputime,
# wakeuptime (Debian's libbpf-tools) and bpftrace. Sourced by bench.sh.
#
# Rounds are interleaved. CPU time is taken, not the clock's: on a machine that does other things,
# too, it varies less, but it does vary. The peers follow all tasks of the host, since they cannot
# tell containers apart; beside the target there is nobody for them.
WAITS_VIEWS="offcpu wakeup offwake chain runq states switches hotcold"
WAITS_IDLE=bench-idle

# shellcheck disable=SC2016 # bpftrace's variables
WAITS_SCRIPT='tracepoint:sched:sched_switch {
    if (args->prev_state != 0) { @since[args->prev_pid] = nsecs; @kernel[args->prev_pid] = kstack; @user[args->prev_pid] = ustack; }
    if (@since[args->next_pid]) {
        @us[@kernel[args->next_pid], @user[args->next_pid]] = sum((nsecs - @since[args->next_pid]) / 1000);
        delete(@since[args->next_pid]); delete(@kernel[args->next_pid]); delete(@user[args->next_pid]);
    }
}'

# Nanoseconds of CPU that a switch takes: the least of three seconds.
waits_ns() {
    runc exec "$PIPE" /bin/busybox taskset 1 /bin/pingpong 3 | awk '{ print $2 }' | sort -n | head -n 1
}

# waits_ours VIEW TARGET PERCENT COMMAND…: the command's answer while a capture runs.
waits_ours() {
    env --default-signal=INT "$B/porthole" "$1" "$2" -d 600 --max-overhead "$3" -o "$T/w.json" >"$T/w.log" 2>&1 &
    CAPTURE=$!
    wait_for 10 agent_captures || return
    "${@:4}"
    kill -INT $CAPTURE
    end_capture
    wait_for 10 agent_rests
}

# The same by an agent that walks stacks as the peers do, by frame pointers.
waits_plain() {
    # shellcheck disable=SC2034 # agent_captures() looks there
    local AGENT_PID=$WAITS_PLAIN
    local -x PORTHOLE_SOCKET=$T/plain.sock
    waits_ours "$@"
}

waits_plain_agent() {
    echo 'unwind-tables = no' >"$T/plain.conf"
    "$B/portholed" --socket "$T/plain.sock" --config "$T/plain.conf" 2>"$T/plain.log" &
    WAITS_PLAIN=$!
    on_exit "stop_process $WAITS_PLAIN"
    wait_for 20 porthole --socket "$T/plain.sock" status
}

waits_attached() {
    bpftool prog list | grep -q "$1"
}

# waits_peer TOOL COMMAND…: the same while a peer runs; nothing when it is missing. bpftrace wants
# tracefs, which it gets in a mount namespace of its own.
waits_peer() {
    local tool=$1 peer
    shift
    [[ $tool = empty.* ]] || command -v "$tool" >/dev/null || return
    case $tool in
    empty.*) peer=("$B/tests/bench/empty_hooks" "${tool#empty.}" sched_switch sched_waking) ;;
    bpftrace)
        # shellcheck disable=SC2016 # the inner shell's
        peer=(unshare -m sh -c 'mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
            mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null; exec bpftrace -e "$1"' sh "$WAITS_SCRIPT") ;;
    *) peer=("$tool" 600) ;;
    esac
    env --default-signal=INT "${peer[@]}" >"$T/w.peer" 2>&1 < <(exec sleep 600) &
    PEER=$!
    if wait_for 10 waits_attached 'name sched_'; then
        "$@"
    fi
    kill -INT $PEER
    wait_for 30 gone $PEER || kill -KILL $PEER
    wait $PEER
}

# waits_note NAME NS: what it added to the last bare one.
waits_note() {
    [ -n "$2" ] && echo $(($2 - WAITS_BARE)) >>"$T/waits.$1"
}

waits_round() {
    local view peer
    for peer in empty.raw_tp empty.tp_btf offcputime wakeuptime bpftrace; do
        WAITS_BARE=$(waits_ns)
        echo "$WAITS_BARE" >>"$T/waits.bare"
        waits_note $peer "$(waits_peer $peer waits_ns)"
    done
    for view in $WAITS_VIEWS; do
        WAITS_BARE=$(waits_ns)
        echo "$WAITS_BARE" >>"$T/waits.bare"
        waits_note "$view.in" "$(waits_ours "$view" "$PIPE" 100 waits_ns)"
        waits_note "$view.thin" "$(waits_ours "$view" "$PIPE" 2 waits_ns)"
        waits_note "$view.out" "$(waits_ours "$view" $WAITS_IDLE 100 waits_ns)"
        [ "$view" != offcpu ] || waits_note offcpu.plain "$(waits_plain offcpu "$PIPE" 100 waits_ns)"
    done
}

# The median and the least of a file.
waits_cell() {
    [ -s "$T/waits.$1" ] || { echo "missing here" && return; }
    printf '%6.0f (%.0f)' "$(median <"$T/waits.$1")" "$(sort -n "$T/waits.$1" | head -n 1)"
}

waits_table() {
    local name view
    printf 'ns of CPU a switch, median of %s rounds (least): %s with nothing\n' "$ROUNDS" "$(waits_cell bare)"
    printf 'added by\n'
    for name in empty.raw_tp empty.tp_btf offcputime wakeuptime bpftrace; do
        printf '  %-12s %18s\n' $name "$(waits_cell $name)"
    done
    printf '  %-12s %18s %18s %18s\n' porthole 'all stacks' 'within 2 %' 'outside of target'
    for view in $WAITS_VIEWS; do
        printf '  %-12s %18s %18s %18s\n' "$view" "$(waits_cell "$view.in")" \
            "$(waits_cell "$view.thin")" "$(waits_cell "$view.out")"
    done
    printf '  %-12s %18s\n' 'by fp' "$(waits_cell offcpu.plain)"
    printf 'offcpu by frame pointers / offcputime: %s (bar: 0.5), by tables %s; outside less the empty programs: %s ns (bar: 50)\n' \
        "$(waits_ratio offcpu.plain offcputime)" "$(waits_ratio offcpu.in offcputime)" "$(waits_difference offcpu.out empty.tp_btf)"
}

waits_ratio() {
    if [ ! -s "$T/waits.$1" ] || [ ! -s "$T/waits.$2" ]; then
        echo '-' && return
    fi
    awk -v a="$(median <"$T/waits.$1")" -v b="$(median <"$T/waits.$2")" 'BEGIN { printf("%.2f", a / b) }'
}

waits_difference() {
    if [ ! -s "$T/waits.$1" ] || [ ! -s "$T/waits.$2" ]; then
        echo '-' && return
    fi
    awk -v a="$(median <"$T/waits.$1")" -v b="$(median <"$T/waits.$2")" 'BEGIN { printf("%.0f", a - b) }'
}

# Three seconds of ping-pong; how many switches that were is left in $T/waits.switches.
waits_switches() {
    runc exec "$PIPE" /bin/busybox taskset 1 /bin/pingpong 3 | awk '{ n += 2 * $1 } END { print n }' >"$T/waits.switches"
}

# waits_counted NAME COMMAND…: nanoseconds of its programs for each switch, by the kernel's count.
waits_counted() {
    : >"$T/hooks.counted"
    hooks_measure counted 1 waits_switches "${@:2}"
    awk -v n="$(cat "$T/waits.switches")" 'n > 0 && $1 { print $1 / n }' "$T/hooks.counted" >>"$T/waits.counted.$1"
}

# The same question put to the kernel, whose count varies less than a task's CPU time does.
waits_counts() {
    local round name
    # shellcheck disable=SC2034 # hooks.sh's
    HOOKS="sched_|waking|wakeup|empty_hook"
    kernel_counts
    for ((round = 0; round < ROUNDS; round++)); do
        waits_counted offcpu "$B/porthole" offcpu "$PIPE" -d 600 --max-overhead 100 -o "$T/w.json"
        PORTHOLE_SOCKET=$T/plain.sock waits_counted fp "$B/porthole" offcpu "$PIPE" -d 600 --max-overhead 100 -o "$T/w.json"
        waits_counted outside "$B/porthole" offcpu $WAITS_IDLE -d 600 --max-overhead 100 -o "$T/w.json"
        ! command -v offcputime >/dev/null || waits_counted offcputime offcputime 600
        ! command -v wakeuptime >/dev/null || waits_counted wakeuptime wakeuptime 600
    done
    echo "ns a switch in the programs, by the kernel's count, which adds some 35 to each of their runs:"
    for name in offcpu fp outside offcputime wakeuptime; do
        printf '  %-12s %18s\n' $name "$(waits_cell counted.$name)"
    done
    printf 'offcpu by frame pointers / offcputime: %s (bar: 0.5)\n' "$(waits_ratio counted.fp counted.offcputime)"
}

# What is left of redis' rate.
waits_redis() {
    local round name rate before
    redis_up || { echo "redis: missing here" && return; }
    for ((round = 0; round < ROUNDS; round++)); do
        for name in offcpu offwake offcputime wakeuptime; do
            before=$(redis_rate 300000)
            case $name in
            off*time | wakeuptime) rate=$(waits_peer $name redis_rate 300000) ;;
            *) rate=$(waits_ours $name "$REDIS" 100 redis_rate 300000) ;;
            esac
            [ -n "$rate" ] && awk -v r="$rate" -v b="$before" 'BEGIN { print r / b }' >>"$T/waits.redis.$name"
        done
    done
    for name in offcpu offwake offcputime wakeuptime; do
        printf 'redis with %-12s %s of its rate\n' $name \
            "$(if [ -s "$T/waits.redis.$name" ]; then median <"$T/waits.redis.$name"; else echo missing; fi)"
    done
}

# Some ping-pongs at once, all stacks taken: what is lost, of how many a second.
waits_flood() {
    local count
    for count in 1 2 4; do
        rm -f "$T/w.json"
        waits_ours switches "$PIPE" 100 runc exec "$PIPE" /bin/sh -c \
            "for i in \$(seq $count); do /bin/pingpong 4 >/dev/null & done; wait"
        jq -rs --argjson n $count '
            (map(select(.type == "end"))[0].elapsed_ms) as $ms | map(select(.type == "quality"))[0]
            | "\($n) ping-pongs: \((.taken * 1000 / $ms) | floor) switches a second, lost \(.taken - .shown) = \([.lost[]] | add // 0) by cause"' \
            "$T/w.json" 2>/dev/null || echo "$count ping-pongs: no capture"
    done
}

section_waits() {
    local round
    bench_agent
    waits_plain_agent || return
    pipe_up
    victim $WAITS_IDLE /bin/busybox sleep 100000
    for ((round = 0; round < ROUNDS; round++)); do
        waits_round
    done
    waits_table
    waits_flood
    waits_redis
    waits_counts
}
