#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Block I/O that the kernel does for containers or for itself: a file system with a journal on a loop
# device, whose worker reads and writes on behalf of whoever uses it; a device that fails.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/captures.sh
. "$ROOT/tests/captures.sh"
need_root
need_bpf
need_commands runc jq losetup mkfs.ext4 fsfreeze
[ "$(stat -f -c %T "$T")" != tmpfs ] || skip_all "scratch space is no disk: set TMPDIR to a directory on one"
MIB=$((1 << 20))
A=blk-loop$$

losetup -f >/dev/null 2>&1 || skip_all "there are no loop devices here"

# loop_device FILE [OPTION]: sets $LOOP.
loop_device() {
    # shellcheck disable=SC2086 # an option, or none
    LOOP=$(losetup -f --show ${2-} "$1") || skip_all "no loop device can be set up"
    on_exit "losetup -d $LOOP"
}

start_agent
truncate -s 128M "$T/disk"
mkfs.ext4 -q -b 4096 -O has_journal -E lazy_itable_init=0 "$T/disk" || skip_all "mkfs.ext4 makes no file system here"
loop_device "$T/disk" --direct-io=on
JOURNAL=${LOOP#/dev/}
victim_root "$A"
mkdir "$T/$A/rootfs/mnt"
mount -o commit=1 "$LOOP" "$T/$A/rootfs/mnt" || skip_all "no ext4 can be mounted here"
mkdir -p "$T/tree" "$T/$A/rootfs/tree"
(cd "$T/tree" && mkdir $(seq 200))
mkfs.ext4 -q -b 4096 -d "$T/tree" "$T/disk2" 32M || skip_all "mkfs.ext4 fills no file system here"
loop_device "$T/disk2"
TREE=${LOOP#/dev/}
mount "$LOOP" "$T/$A/rootfs/tree"
truncate -s 96M "$T/disk3"
mkfs.ext4 -q "$T/disk3" || skip_all "mkfs.ext4 makes no second file system here"
loop_device "$T/disk3"
mkdir "$T/outer" "$T/$A/rootfs/slow"
mount "$LOOP" "$T/outer"
on_exit "umount '$T/outer'"
truncate -s 64M "$T/outer/disk"
mkfs.ext4 -q -O has_journal "$T/outer/disk"
loop_device "$T/outer/disk"
SLOW=${LOOP#/dev/}
mount -o commit=1 "$LOOP" "$T/$A/rootfs/slow"
victim "$A" /bin/busybox sleep 1000
on_exit "umount '$T/$A/rootfs/slow'"
on_exit "fsfreeze -u '$T/outer' 2>/dev/null"
on_exit "umount '$T/$A/rootfs/tree'"
on_exit "umount '$T/$A/rootfs/mnt'"

start_beside block one "$A"
start_beside block all all
runc exec "$A" /bin/disk fsync-each /mnt/file $((8 * MIB)) $MIB >"$T/w1"
end_beside "${!CAPTURES[@]}"
check "a file on a loop device is charged to who writes it" \
    between $((8 * MIB)) "$(block_sum one ".charged and .op == \"write\" and .device == \"$JOURNAL\"" bytes)" $((8 * MIB * 101 / 100))
check "the loop device's worker writes on its behalf" \
    between $((8 * MIB)) "$(block_sum one ".charged and .op == \"write\" and .device != \"$JOURNAL\"" bytes)" $((10 * MIB))
check "the journal is the kernel's, and names who waits for it" jq -es --arg d "$JOURNAL" --arg a "$A" '
    any(.record == "block" and .device == $d and .waits and .kernel and .comm == "disk" and .container == $a and
        .owner == "kernel" and (.charged | not) and .host_pid > 0)' "$T/all.json"
check "who waits for it sees it, too" jq -es --arg d "$JOURNAL" '
    any(.record == "block" and .device == $d and .waits and .comm == "disk" and .owner == "kernel")' "$T/one.json"
check "but it is not charged to it" jq -es '
    all(.[] | select(.waits); .charged | not) and (map(select(.type == "quality"))[0].block.kernel_bytes > 0)' "$T/one.json"
check "of all, each row names its owner" \
    jq -es --arg a "$A" 'any(.record == "block" and .owner == $a) and all(.[] | select(.record == "block" and .type == "aggregate"); .owner != "")' \
    "$T/all.json"

# ---- who waits for it only after it has begun ----

# What a disk has that lies in a frozen file system stays under way until that is thawed.
stays_under_way() {
    [ "$(awk '{ print $1 + $2 }' "/sys/block/$SLOW/inflight")" -gt 0 ]
}
sleeps_at() {
    grep -q "$1" /proc/"$SYNCER"/stack
}
late_is_named() {
    jq -es --arg d "$SLOW" --arg a "$A" '
        any(.device == $d and .waits and .comm == "disk" and .container == $a and .owner == "kernel" and (.charged | not)
            and .latency_us > 400000)' "$T/late.json"
}
for _ in 1 2 3; do # the kernel may keep an end from us
    start_beside block late "$A" --events
    fsfreeze -f "$T/outer"
    runc exec "$A" /bin/disk write /slow/file 0 >"$T/w2"
    wait_for 20 stays_under_way || not_ok "a journal is written of itself"
    runc exec --detach --pid-file "$T/syncer" "$A" /bin/disk fsync-write /slow/file 0 </dev/null >"$T/w3" 2>&1
    SYNCER=$(cat "$T/syncer")
    wait_for 20 sleeps_at jbd2_log_wait_commit || not_ok "who syncs waits for it"
    sleep 0.5
    fsfreeze -u "$T/outer"
    wait_for 20 gone "$SYNCER"
    end_beside "${!CAPTURES[@]}"
    ! late_is_named >/dev/null || break
done
check "who waits is named though its wait began after the request" late_is_named
check "nor is any lost in silence" jq -es '
    map(select(.type == "quality"))[0] | .taken == .shown + ([.lost[]] | add // 0) and .shown > 0' "$T/late.json"

# ---- what is under way at either end of a capture ----

# Without a file system of its own, which might wait for its journal first.
truncate -s 1M "$T/outer/raw"
loop_device "$T/outer/raw"
RAW=${LOOP#/dev/}
raw_is_under_way() {
    [ "$(awk '{ print $2 }' "/sys/block/$RAW/inflight")" -gt 0 ] # writes
}
fsfreeze -f "$T/outer"
start_beside block before all
dd if=/dev/zero of="$LOOP" bs=4k count=1 oflag=direct 2>/dev/null &
WRITER=$!
check "a request stays under way" wait_for 20 raw_is_under_way
end_beside "${!CAPTURES[@]}"
start_beside block after all
fsfreeze -u "$T/outer"
wait_for 20 gone $WRITER
end_beside "${!CAPTURES[@]}"
own_writes() {
    block_sum "$1" ".device == \"$RAW\" and .op == \"write\" and .comm == \"dd\"" count
}
check "what has not ended counts where it began" [ "$(own_writes before)" = 1 ]
check "and says so" jq -es --arg d "$RAW" 'any(.device == $d and .in_flight == 1 and .comm == "dd" and .bytes == 4096) and
    (map(select(.type == "quality"))[0].block.in_flight_at_end >= 1)' "$T/before.json"
check "nothing of that is lost" block_balanced before
check "it counts in no later one" [ "$(own_writes after)" = 0 ]

# ---- what nobody waits for; metadata that is read ----

# How many times the journal was written.
transactions() {
    cut -d ' ' -f 1 "/proc/fs/jbd2/$JOURNAL-8/info" | head -n 1
}
written_since() {
    [ "$(transactions)" -gt "$1" ]
}
sync -f "$T/$A/rootfs/mnt"
start_beside block alone all
before=$(transactions)
runc exec "$A" /bin/busybox mkdir /mnt/directory
check "a journal is written some time later" wait_for 20 written_since "$before"
end_beside "${!CAPTURES[@]}"
check "what nobody waits for is the journal's thread's" jq -es --arg d "$JOURNAL" '
    any(.record == "block" and .device == $d and .kernel and (.waits | not) and (.comm | startswith("jbd2/")) and
        .owner == "kernel")' "$T/alone.json"
start_beside block metadata "$A"
runc exec "$A" /bin/busybox find /tree >"$T/found"
end_beside "${!CAPTURES[@]}"
check "a directory that is read is the kernel's" \
    between 1 "$(block_sum metadata ".op == \"read\" and .device == \"$TREE\" and .owner == \"kernel\" and (.charged | not)" count)" 10000
check "… and names the process that waits for it" jq -es --arg d "$TREE" --arg a "$A" '
    all(.[] | select(.record == "block" and .device == $d); .comm == "busybox" and .container == $a and (.kernel | not))' \
    "$T/metadata.json"

# ---- a device that has no room for what it promised ----

mkdir "$T/small"
mount -t tmpfs -o size=2m tmpfs "$T/small"
on_exit "umount '$T/small'"
truncate -s 16M "$T/small/disk"
loop_device "$T/small/disk"
FULL=${LOOP#/dev/}
start_beside block bad all --events
dd if=/dev/zero of="$LOOP" bs=1M count=8 oflag=direct 2>/dev/null # it ends at the first that fails
for at in 8 10 12 14; do
    dd if=/dev/zero of="$LOOP" bs=1M seek=$at count=1 oflag=direct 2>/dev/null
done
end_beside "${!CAPTURES[@]}"
check "requests that fail are rows with the error" \
    [ "$(block_sum bad ".device == \"$FULL\" and .error != null" count)" -ge 1 ]
check "those that do not fail have none" \
    [ "$(block_sum bad ".device == \"$FULL\" and .op == \"write\" and .error == null" count)" -ge 1 ]
check "the report counts them" \
    test "$(quality "$T/bad.json" .block.errors)" -ge 1

# ---- a device whose cache is to be flushed after each write ----

truncate -s 16M "$T/synced"
loop_device "$T/synced"
SYNCED=${LOOP#/dev/}
start_beside block synced all --events
begin=${EPOCHREALTIME/[.,]/}
dd if=/dev/zero of="$LOOP" bs=4k count=200 oflag=direct,dsync 2>/dev/null
took=$((${EPOCHREALTIME/[.,]/} - begin))
end_beside "${!CAPTURES[@]}"
check "such a request takes as long as who asks for it waits, its flush with it" between $((took / 3)) \
    "$(block_sum synced ".device == \"$SYNCED\" and .op == \"write\" and .comm == \"dd\"" latency_us)" $((took + 200))
check "and counts once" \
    [ "$(block_sum synced ".device == \"$SYNCED\" and .op == \"write\" and .comm == \"dd\"" count)" = 200 ]
