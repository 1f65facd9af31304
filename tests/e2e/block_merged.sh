#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 200
#
# Block I/O of several containers in one request: files that are neighbours on the disk are written back
# together, whoever wrote them, and each is charged to its own.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/captures.sh
. "$ROOT/tests/captures.sh"
need_root
need_bpf
need_commands runc jq
[ "$(stat -f -c %T "$T")" != tmpfs ] || skip_all "scratch space is no disk: set TMPDIR to a directory on one"
KIB=1024
ROUNDS=20
EACH=$((64 * KIB)) # dozens of them in a request
WANT=$((ROUNDS * EACH))
NAMES=()
for i in 1 2 3 4 5 6; do
    NAMES+=("blk-m$i-$$")
done

start_agent
mkdir "$T/shared"
for name in "${NAMES[@]}"; do
    victim_root "$name"
    mkdir "$T/$name/rootfs/shared"
    mount --bind "$T/shared" "$T/$name/rootfs/shared"
    victim "$name" /bin/busybox sleep 1000
    on_exit "umount '$T/$name/rootfs/shared'"
done

# The host first, so that most requests begin as its own.
write_in_turn() {
    local i name
    rm -f "$T/shared/"*
    sync
    for i in $(seq $ROUNDS); do
        "$W/disk" write "$T/shared/host$i" $EACH >"$T/out"
        for name in "${NAMES[@]}"; do
            runc exec "$name" /bin/disk write "/shared/$name-$i" $EACH >"$T/out"
        done
    done
    sync
}

# bytes CAPTURE CONDITION
bytes() {
    block_sum "$1" ".op == \"write\" and ($2)" bytes
}
its_own() {
    between $((WANT * 99 / 100)) "$1" $((WANT * 101 / 100))
}
start_beside block rows "${NAMES[0]}"
start_beside block events "${NAMES[3]}" --events
start_beside block stacks "${NAMES[5]}" --stacks --weight bytes
start_beside block all all
write_in_turn
end_beside "${!CAPTURES[@]}"

# Where a file system puts them apart there is nothing to tell apart.
if [ "$(jq -s '[.[] | select(.record == "block-event" and .op == "write" and .charged and .count == 1)] | length' "$T/events.json")" -ge $ROUNDS ]; then
    skip_all "this file system puts files far from each other: no request is several owners'"
fi
check "one container's bytes in requests of many are charged to it, to the hundredth" its_own "$(bytes rows .charged)"
check "the requests are counted with them" \
    jq -es 'any(.record == "block" and .charged and .op == "write" and .kernel and .count > 0 and .max_us > 0)' "$T/rows.json"
check "as events, too" its_own "$(bytes events .charged)"
check "the others' bytes of these requests are nobody's of the target" \
    eval '[ "$(bytes events "(.charged | not) and .count == 0")" -ge $EACH ]'
folded "$T/stacks.json" >"$T/stacks.folded"
check "as stacks: only its own bytes" its_own "$(samples "$T/stacks.folded")"
check "as stacks: nothing is lost in silence" conserved "$T/stacks.json"
# Of more owners than a request has places for, some are not told apart.
each_is_known() {
    local name
    for name in "${NAMES[@]}"; do
        between 0 "$(bytes all ".owner == \"$name\"")" $((WANT * 101 / 100)) || return 1
    done
    [ "$(bytes all '.owner == "unknown" or (.owner | startswith("blk-m"))')" -ge $((6 * WANT * 99 / 100)) ]
}
check "of the whole host: no container has more than its own, and what is not known is said" each_is_known
for name in rows events all; do
    check "$name: requests taken are shown or lost, and rows add up" block_balanced $name
done
