#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# Block I/O of containers: who asked, who is charged, how much, how long. Real files on the disk that
# the machine has, known amounts, and what the workload itself measured.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/captures.sh
. "$ROOT/tests/captures.sh"
need_root
need_bpf
need_commands runc jq
MIB=$((1 << 20))
A=blk-a$$ B1=blk-b$$ C=blk-c$$

disk() {
    runc exec "$@"
}

# charged NAME BYTES: what was charged for writing is within a hundredth of that.
charged() {
    between $(($2 * 99 / 100)) "$(block_sum "$1" '.charged and .op == "write"' bytes)" $(($2 * 101 / 100))
}

on_disk() {
    [ "$(stat -f -c %T "$T")" != tmpfs ] || skip_all "scratch space is no disk: set TMPDIR to a directory on one"
}

on_disk
start_agent
for container in $A $B1 $C; do
    victim "$container" /bin/busybox sleep 1000
done

# ---- two containers at once, and a third one that syncs ----

sync
start_beside block a "$A"
start_beside block b "$B1"
start_beside block c "$C"
disk "$A" /bin/disk write /buffered $((48 * MIB)) >"$T/a1" &
disk "$B1" /bin/disk write /buffered $((32 * MIB)) >"$T/b1" &
disk "$A" /bin/disk direct-write /direct $((16 * MIB)) >"$T/a2" &
disk "$B1" /bin/disk direct-write /direct $((8 * MIB)) >"$T/b2" &
wait_for 60 [ -s "$T/a1" ] && wait_for 60 [ -s "$T/b1" ] && wait_for 60 [ -s "$T/a2" ] && wait_for 60 [ -s "$T/b2" ]
disk "$C" /bin/disk sync / 0 >"$T/c1"
end_beside a
end_beside b
end_beside c
check "what a container writes is charged to it, to the hundredth, whoever writes it back" charged a $((64 * MIB))
check "and to no other" charged b $((40 * MIB))
check "who syncs is charged for nothing of that" [ "$(block_sum c '.charged and .op == "write"' bytes)" = 0 ]
check "direct I/O is its own" [ "$(block_sum a '.charged and .comm == "disk" and .op == "write"' bytes)" -ge $((16 * MIB)) ]
for name in a b c; do
    check "$name: requests taken are shown or lost, and rows add up" block_balanced "$name"
done
unattributed() {
    quality "$T/a.json" '.block.unattributed_bytes == 0 and .block.charged_bytes > 0' | grep -qx true
}
check "the report says how much could not be attributed" unattributed

start_beside block o "$A"
disk "$A" /bin/disk write /buffered $((4 * MIB)) >"$T/o1"
sync -d "$T/$A/rootfs/buffered"
end_beside o
check "what the host syncs is charged to who wrote it" \
    [ "$(block_sum o '.charged and .comm == "sync" and .op == "write"' bytes)" = $((4 * MIB)) ]
check "with both of them in the row" \
    jq -es --arg c "$A" 'any(.comm == "sync" and .container == null and .owner == $c)' "$T/o.json"

# ---- reads, by whoever asks ----

start_beside block r "$A"
disk "$A" /bin/disk direct-read /direct $((8 * MIB)) >"$T/r1"
disk "$A" /bin/disk read /buffered $((8 * MIB)) >"$T/r2"
disk "$A" /bin/disk fault /buffered $((4 * MIB)) >"$T/r3"
end_beside r
check "direct reads, read-ahead and page faults are charged to who reads" \
    between $((19 * MIB)) "$(block_sum r '.charged and .op == "read"' bytes)" $((60 * MIB))
check "a row has who asked, as the container numbers it" \
    jq -es --arg c "$A" 'any(.record == "block" and .op == "read" and .comm == "disk" and .pid > 1 and .host_pid > .pid
        and .container == $c and .owner == $c and .device != "")' "$T/r.json"

# More processes than there are rows of which each CPU has sums of its own.
start_beside block p "$A" --per-process
disk "$A" /bin/busybox sh -c 'for i in $(seq 100); do /bin/disk direct-read /direct 65536 4096 >/dev/null; done'
end_beside p
check "each of many processes has a row, with all that it did" jq -es 'map(select(.op == "read" and .comm == "disk"))
    | length == 100 and all(.count == 16 and .bytes == 65536)' "$T/p.json"
# An interrupt is not told of where the kernel keeps programs from the process that it interrupts: what
# ends then has no latency, which may be all that one process did.
check "nearly each with its latencies" jq -es 'map(select(.op == "read" and .comm == "disk" and .max_us >= .p50_us and .p50_us > 0))
    | length >= 75' "$T/p.json"
check "many rows: requests taken are shown or lost, and rows add up" block_balanced p
check "slices of time add up to the whole" jq -es 'map(select(.type == "histogram" and .state == "latency"))
    | (map(select(.from_ms == null).count) | add) as $all
    | $all > 0 and (map(select(.from_ms != null).count) | add) == $all' "$T/p.json"
check "the whole is all requests but those that nobody saw end" jq -es '(map(select(.block).block) | last) as $b
    | (map(select(.type == "histogram" and .state == "latency" and .from_ms == null).count) | add) + $b.end_unseen + $b.in_flight_at_end
        == (map(select(.type == "quality").shown) | last)' "$T/p.json"

# ---- single requests, and how long they took ----

start_beside block e "$A" --events
disk "$A" /bin/disk direct-write /direct $((4 * MIB)) 65536 >"$T/e1"
end_beside e
own() {
    awk -v n="$1" '{ print $n }' "$T/e1"
}
check "events: each request is one row" [ "$(block_sum e '.op == "write" and .comm == "disk"' count)" = "$(own 1)" ]
check "events: with its bytes" [ "$(block_sum e '.op == "write" and .comm == "disk"' bytes)" = "$(own 2)" ]
check "events: each row is an event and nothing is aggregated" \
    jq -es '[.[] | select(.record and .type != "started")] | all(.type == "event") and any(.sector > 0 and .time_us > 0)' "$T/e.json"
check "events: latency is time in the queue and in the device" \
    jq -es 'all(.[] | select(.latency_us); (.latency_us - .queue_us - .device_us | fabs) <= 2)' "$T/e.json"
# The kernel wakes who waits before it says that a request has ended: one by one they may be longer.
median() {
    jq -s 'map(select(.op == "write" and .comm == "disk").latency_us // empty) | sort | .[length / 2 | floor]' "$1"
}
check "events: their histograms, in all and over time, have each that was seen to end" jq -es '
    (map(select(.record == "block-event" and .count == 1 and .latency_us)) | length) as $ended
    | map(select(.type == "histogram" and .state == "latency")) | $ended > 0 and
        (map(select(.from_ms == null).count) | add) == $ended and (map(select(.from_ms != null).count) | add) == $ended' "$T/e.json"
porthole render "$T/e.json" -o "$T/e.svg"
check "events: a picture of them is drawn" grep -q 'class="panel latency"' "$T/e.svg"
check "events: half of them are no longer than half of what the program itself saw" \
    between 1 "$(median "$T/e.json")" $(($(own 4) + 1))
check "events: nothing is lost in silence" block_balanced e

# Of the program's own median most is the request's: the rest is the way there and back, which is longer
# now and then where others want the CPU, too. Buckets are half an octave wide.
halves_agree() {
    local own p50
    for _ in 1 2 3; do
        start_beside block h "$A"
        disk "$A" /bin/disk direct-write /direct $((16 * MIB)) 65536 >"$T/h1"
        end_beside h
        own=$(awk '{ print $4 }' "$T/h1")
        p50=$(jq 'select(.record == "block" and .charged and .op == "write" and .comm == "disk").p50_us' "$T/h.json")
        between $((own / 2)) "$p50" $((own * 3 / 2 + 1)) && return
    done
    return 1
}
check "half of a row's requests are as fast as the program saw them" halves_agree

# Operations that are larger than what a device takes at once.
start_beside block l "$A" --per-process
disk "$A" /bin/disk direct-write /large $((64 * MIB)) $((4 * MIB)) >"$T/l1"
end_beside l
check "split operations are several requests" between 17 "$(block_sum l '.charged and .comm == "disk" and .op == "write"' count)" 4096
check "with all their bytes, once" [ "$(block_sum l '.charged and .comm == "disk" and .op == "write"' bytes)" = $((64 * MIB)) ]
check "nothing of them is lost" block_balanced l

# ---- beside libbpf-tools ----

# biosnoop wants fentry, which this kernel and others refuse; biolatency does with tracepoints.
peer_looks() {
    bpftool prog list | grep -q 'name block_rq_issue'
}
peer_counts() {
    awk '$2 == "->" && $5 > 0 { n += $5 } END { exit !(n >= 1000) }' "$T/biolatency"
}
# Of the device's latencies, beside the octave where biolatency has its own.
medians_agree() {
    local octave
    octave=$(awk '$2 == "->" { low[NR] = $1; high[NR] = $3; n[NR] = $5; all += $5 }
        END { for (i = 1; i <= NR; i++) { sum += n[i]; if (sum * 2 >= all) { print low[i] / 2, high[i] * 2 + 2; exit } } }' "$T/biolatency")
    between "${octave% *}" "$(jq 'select(.type == "histogram" and .state == "device" and .from_ms == null).p50' "$T/peer.json")" "${octave#* }"
}
if command -v biolatency >/dev/null; then
    sync # so that nearly all requests are those that both look at
    start_beside block peer "$A"
    # shellcheck disable=SC2016 # the inner shell's
    unshare -m sh -c 'mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null; exec env --default-signal=INT biolatency' \
        >"$T/biolatency" 2>&1 &
    PEER=$!
    wait_for 20 peer_looks
    disk "$A" /bin/disk direct-write /direct $((32 * MIB)) 4096 >"$T/peer1"
    kill -INT $PEER
    wait_for 20 gone $PEER
    end_beside peer
    if peer_counts; then
        check "half of all requests are as fast as biolatency says" medians_agree
    else
        skip "latencies beside biolatency" "it counts nothing here: $(head -n 1 "$T/biolatency" | cut -c 1-100)"
    fi
fi

# ---- one process of the container ----

# one_writes MODE: a process writes a MiB and another one of the container, too, with -p for the first.
one_writes() {
    local writer files=$T/$A/rootfs
    rm -f "$files/go" "$files/pid"
    # shellcheck disable=SC2016 # the inner shell's
    runc exec "$A" /bin/busybox sh -c 'echo $$ >/new; mv /new /pid; while [ ! -e /go ]; do sleep 0.1; done
        exec /bin/disk "$0" /own 1048576 65536' "$1" >"$T/p1" &
    writer=$!
    wait_for 10 [ -s "$files/pid" ]
    start_beside block p "$A" -p "$(cat "$files/pid")"
    disk "$A" /bin/disk "$1" /other 1048576 65536 >"$T/p2"
    touch "$files/go"
    wait_for 30 gone $writer
    end_beside p
}
one_writes direct-write
check "-p: only what that process asks for" [ "$(block_sum p '.op == "write"' bytes)" = 1048576 ]
one_writes fsync-write
check "-p: with what it syncs it is charged, and with nobody else's" \
    [ "$(block_sum p '.charged and .op == "write"' bytes)" = 1048576 ]

# ---- as stacks ----

for weight in calls bytes time; do
    start_beside block s "$A" --stacks --weight "$weight"
    disk "$A" /bin/disk direct-write /direct $((8 * MIB)) 65536 >"$T/s1"
    disk "$A" /bin/disk direct-write /direct $((8 * MIB)) 65536 >"$T/s1"
    end_beside s
    folded "$T/s.json" >"$T/s.folded"
    check "stacks by $weight: nothing is lost in silence" conserved "$T/s.json"
    check "stacks by $weight: who asked, below what was asked for" \
        grep -qE '^disk;write;(.*;)?write;.*_\[k\];.*submit_bio' "$T/s.folded"
    [ $weight != calls ] || check "stacks by calls are requests" \
        [ "$(grep '^disk;write;' "$T/s.folded" | samples /dev/stdin)" -ge 256 ]
    [ $weight != bytes ] || check "stacks by bytes are bytes" \
        between $((16 * MIB)) "$(grep '^disk;write;' "$T/s.folded" | samples /dev/stdin)" $((17 * MIB))
done

# Each request from callers of its own: more stacks than there is room for when each may be so deep.
for weight in calls bytes time; do
    start_beside block many "$A" --stacks --weight "$weight" --max-stack 1023
    disk "$A" /bin/disk paths /direct $((6000 * 4096)) 4096 >"$T/many1"
    end_beside many
    check "more stacks than fit, by $weight: what has none is lost once" conserved "$T/many.json"
    check "… and there are such" [ "$(quality "$T/many.json" '.lost["stack-map-full"]')" -gt 0 ]
done

# ---- more requests than anybody takes out ----

# Files of their own: requests for neighbours on the disk become one.
for i in 1 2 3 4; do
    disk "$A" /bin/disk fsync-write "/flood$i" $((16 * MIB)) >"$T/f0"
done
start_beside block f "$A" --events
for i in 1 2 3 4; do
    disk "$A" /bin/disk direct-read "/flood$i" $((16 * MIB)) 4096 >"$T/f$i" &
done
all_read() {
    [ "$(cat "$T"/f[1-4] 2>/dev/null | wc -l)" = 4 ]
}
wait_for 100 all_read
end_beside f
check "a flood: requests taken are shown or lost" block_balanced f
flood_is_counted() {
    local want
    want=$(cat "$T"/f[1-4] | awk '{ n += $1 } END { print n }')
    between $((want * 999 / 1000)) "$(quality "$T/f.json" .taken)" $((want + 100))
}
check "a flood: each request was taken" flood_is_counted

# ---- nothing at all; one process; live rows ----

porthole block "$C" -d 0.5 >"$T/idle" 2>"$T/idle.err"
check "an idle container has an empty result, exit 0, with the reason" \
    sh -c "[ $? = 0 ] && grep -qi 'no block I/O' '$T/idle.err'"
live_row() {
    grep -q '"record":"block-event"' "$T/live"
}
env --default-signal=INT "$B/porthole" block "$A" -d 0 --events --json >"$T/live" 2>"$T/live.err" &
LIVE=$!
wait_for 20 captures_run 1
disk "$A" /bin/disk direct-write /direct $((1 * MIB)) 65536 >"$T/l1"
check "-d 0: rows appear while the capture goes on" wait_for 20 live_row
check "-d 0: it goes on" [ -e "/proc/$LIVE" ]
kill -INT $LIVE
wait_for 20 gone $LIVE
wait $LIVE
check "-d 0: an interrupt ends it, exit 0" [ $? = 0 ]
check "-d 0: --json is one object a line" jq -e .type "$T/live"
