#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
#
# jitdump files of a real producer, node --perf-prof, and of one that lies: wherever the file is, it
# is found by its mapping, read by the parser alone, and believed only of the process's own user.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc jq

A=pht$$-a
N=pht$$-n
start_agent

if command -v node >/dev/null; then
    on_exit "runc_stop $N; rm -rf --one-file-system '$T/$N'"
    root_new "$T/$N/rootfs"
    root_add "$T/$N/rootfs" "$(command -v node)"
    cp "$ROOT/tests/workloads/web.js" "$T/$N/rootfs/web.js"
    runc_start "$N" "$T/$N" "$(command -v node)" --perf-prof --no-turbo-inlining /web.js
    check "a web server on node answers" wait_for 30 grep -q ready "$T/$N/log"
    check "it writes a jitdump file" test -s "$T/$N/rootfs/jit-1.dump"
    sampled 150 3 "$T/n.json" "$N" -F 199
    folded "$T/n.json" >"$T/n.folded"
    check "its JavaScript functions have names" \
        grep -qE ';(JS|LazyCompile|Function):[*~^]?handleRequest' "$T/n.folded"
    check "they come from the jitdump file" [ "$(quality "$T/n.json" '.frames.by_source.jitdump')" -gt 100 ]
    check "nothing is lost in silence with node" conserved "$T/n.json"
    # Removed from its directory, it is still what the process has mapped.
    rm "$T/$N/rootfs/jit-1.dump"
    sampled 30 1 "$T/r.json" "$N" -F 199
    check "a jitdump file that was removed is read through its mapping" \
        [ "$(quality "$T/r.json" '.frames.by_source.jitdump')" -gt 10 ]
    runc_stop "$N"
else
    skip "its JavaScript functions have names" "no node"
fi

# ---- lies ----
victim "$A" /bin/jitmove dump 100
DUMP=$T/$A/rootfs/jit-1.dump
wait_for 10 grep -q even_cool "$DUMP" # the last that it tells of at first
cp "$DUMP" "$T/good"

chown 1234 "$DUMP"
"$B/porthole" cpu "$A" -d 1 -F 499 -o "$T/foreign.json"
check "F11: a jitdump file of a third user is refused with the reason" jq -es \
    'map(select(.type == "quality"))[0] | .frames.by_source.jitdump == 0 and
     any(.unnamed[]; .reason == "jit-map-refused" and .frames > 0 and (.detail | length) > 0)' \
    "$T/foreign.json"
chown 0 "$DUMP"

# lied SENTENCE NAMED: one more capture beside the file as it is now.
lied() {
    check "F10: a capture beside $1 ends" \
        sampled 150 1 "$T/lie.json" "$A" -F 499
    check "F10: $1: taken is shown plus lost" conserved "$T/lie.json"
    check "F10: $1: $2" jq -es "map(select(.type == \"quality\"))[0] | $3" "$T/lie.json"
}

head -c 100 /dev/urandom >"$DUMP"
lied "random bytes for a jitdump file" "the report says so" \
    '.frames.by_source.jitdump == 0 and any(.unnamed[]; .reason == "jit-map-refused")'
cat "$T/good" >"$DUMP"
truncate -s 1T "$DUMP"
lied "a sparse jitdump file of 1 TiB" "what stands at its beginning counts" '.frames.by_source.jitdump > 100'
{ cat "$T/good" && printf '\2\0\0\0\377\377\377\377%0100d' 0; } >"$DUMP"
lied "a record that is longer than its file" "those before it count" '.frames.by_source.jitdump > 100'

while :; do
    cat "$T/good" >"$DUMP"
    head -c 300 "$T/good" >"$DUMP"
    cat "$T/good" /dev/urandom 2>/dev/null | head -c 100000 >"$DUMP"
done &
WRITER=$!
on_exit "kill $WRITER 2>/dev/null"
lied "a jitdump file that is rewritten while it is read" "samples are shown" '.shown > 0'
kill "$WRITER"
wait "$WRITER" 2>/dev/null
timeout 8 cat /dev/zero 2>/dev/null | head -c 2000000000 >>"$DUMP" &
WRITER=$!
lied "a jitdump file that grows without end" "samples are shown" '.shown > 0'
kill "$WRITER" 2>/dev/null
wait "$WRITER" 2>/dev/null
check "the agent lives" kill -0 "$AGENT_PID"
