#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Block I/O that the kernel does for containers or for itself: a file system with a journal on a loop
# device, whose worker reads and writes on behalf of whoever uses it; a device that fails.
. "$(dirname "$0")/../lib.sh"
need_root
need_bpf
need_commands runc jq losetup mkfs.ext4
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

begun() {
    porthole status --json | jq -es --arg t "$1" 'any(.. | objects; .target? == $t and .phase? == "running")'
}

# start_block NAME TARGET ARGUMENTS…
start_block() {
    local name=$1 target=$2
    shift 2
    env --default-signal=INT "$B/porthole" block "$target" "$@" -o "$T/$name.json" 2>"$T/$name.err" &
    PIDS+=("$!")
    wait_for 20 begun "$target" || not_ok "a capture of $target begins" "$(tail -n 1 "$T/$name.err")"
}

end_all() {
    local pid
    for pid in "${PIDS[@]}"; do
        kill -INT "$pid"
        wait_for 30 gone "$pid"
        wait "$pid"
    done
    PIDS=()
}
PIDS=()

sum() {
    jq -s --arg f "$3" "[.[] | select((.record == \"block\" or .record == \"block-event\") and ($2)) | .[\$f]] | add // 0" \
        "$T/$1.json"
}

start_agent
truncate -s 128M "$T/disk"
mkfs.ext4 -q -b 4096 -O has_journal "$T/disk" || skip_all "mkfs.ext4 makes no file system here"
loop_device "$T/disk" --direct-io=on
JOURNAL=${LOOP#/dev/}
victim_root "$A"
mkdir "$T/$A/rootfs/mnt"
mount "$LOOP" "$T/$A/rootfs/mnt" || skip_all "no ext4 can be mounted here"
victim "$A" /bin/busybox sleep 1000
on_exit "umount '$T/$A/rootfs/mnt'"

start_block one "$A"
start_block all all
runc exec "$A" /bin/disk fsync-write /mnt/file $((8 * MIB)) >"$T/w1"
sync
end_all
check "a file on a loop device is charged to who writes it" \
    between $((8 * MIB)) "$(sum one ".charged and .op == \"write\" and .device == \"$JOURNAL\"" bytes)" $((8 * MIB * 101 / 100))
check "the loop device's worker writes on its behalf" \
    between $((8 * MIB)) "$(sum one ".charged and .op == \"write\" and .device != \"$JOURNAL\"" bytes)" $((10 * MIB))
check "the journal is the kernel's" \
    jq -es --arg d "$JOURNAL" 'any(.record == "block" and .device == $d and (.comm | startswith("jbd2")) and .owner == "kernel")' \
    "$T/all.json"
check "and is in no container's sum" [ "$(sum one '.charged and (.comm | startswith("jbd2"))' bytes)" = 0 ]
check "of all, each row names its owner" \
    jq -es --arg a "$A" 'any(.record == "block" and .owner == $a) and all(.[] | select(.record == "block" and .type == "aggregate"); .owner != "")' \
    "$T/all.json"

# ---- a device that has no room for what it promised ----

mkdir "$T/small"
mount -t tmpfs -o size=2m tmpfs "$T/small"
on_exit "umount '$T/small'"
truncate -s 16M "$T/small/disk"
loop_device "$T/small/disk"
FULL=${LOOP#/dev/}
start_block bad all --events
dd if=/dev/zero of="$LOOP" bs=1M count=8 oflag=direct 2>/dev/null
end_all
check "requests that fail are rows with the error" \
    [ "$(sum bad ".device == \"$FULL\" and .error != null" count)" -ge 1 ]
check "those that do not fail have none" \
    [ "$(sum bad ".device == \"$FULL\" and .op == \"write\" and .error == null" count)" -ge 1 ]
check "the report counts them" \
    test "$(quality "$T/bad.json" .block.errors)" -ge 1
