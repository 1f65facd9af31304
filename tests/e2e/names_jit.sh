#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Code without a file: perf maps of a small compiler of our own and of node, under the pid that the
# process has in its own namespace.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc jq

A=pht$$-a
N=pht$$-n
start_agent

victim "$A" /bin/jit
wait_for 10 test -s "$T/$A/rootfs/tmp/perf-1.map"
"$B/porthole" cpu "$A" -d 2 -F 499 -o "$T/j.json" || not_ok "a capture of compiled code" "exit $?"
folded "$T/j.json" >"$T/j.folded"
check "compiled code has the names of the perf map, in the right shares" \
    share_is "$T/j.folded" jit_quarter 25 10
check "of several lines for one address the last one wins" \
    share_is "$T/j.folded" 'jit three: quarters' 75 10
check "a name that was overwritten never shows" lacks "$T/j.folded" before_recompilation
check "compiled frames carry their mark" grep -q 'jit_quarter_\[j\]' "$T/j.folded"
check "a semicolon in a name cannot forge a frame" lacks "$T/j.folded" ';[^;]*jit three;'
check "the stream has the name as it was written, and its kind" jq -es \
    'any(.type == "frame" and .kind == "jit" and .name == "jit three; quarters")' "$T/j.json"
check "the quality report counts the perf map" \
    [ "$(quality "$T/j.json" '.frames.by_source["perf-map"]')" -gt 0 ]

# A million lines come before those that count, in both styles of numbers.
MAP=$T/$A/rootfs/tmp/perf-1.map
cp "$MAP" "$T/map"
awk 'BEGIN { for (i = 0; i < 1000000; i++)
    printf "%s7e%08x00 %s100 LazyCompile:*code number %d /app/x.js\n", i % 2 ? "0x" : "", i, i % 2 ? "0x" : "", i }' \
    >"$T/huge"
cat "$T/huge" "$T/map" >"$MAP"
"$B/porthole" cpu "$A" -d 1 -F 499 -f folded >"$T/h.folded"
check "a map of a million lines names code all the same" share_is "$T/h.folded" jit_quarter 25 10
rm "$T/huge"

# Without its map the same code has no name, and the report says why.
rm "$MAP"
"$B/porthole" cpu "$A" -d 1 -F 499 -o "$T/u.json"
folded "$T/u.json" >"$T/u.folded"
check "without a perf map compiled code is [unknown], not guessed" \
    sh -c "grep -q '\[unknown\]' '$T/u.folded' && ! grep -q jit_quarter '$T/u.folded'"
check "the report says what is missing" jq -es \
    'map(select(.type == "quality"))[0].unnamed | any(.frames > 0 and (.reason | length) > 0)' "$T/u.json"
runc_stop "$A"

if command -v node >/dev/null; then
    on_exit "runc_stop $N; rm -rf --one-file-system '$T/$N'"
    root_new "$T/$N/rootfs"
    root_add "$T/$N/rootfs" "$(command -v node)"
    cp "$ROOT/tests/workloads/web.js" "$T/$N/rootfs/web.js"
    runc_start "$N" "$T/$N" "$(command -v node)" --perf-basic-prof --no-turbo-inlining /web.js
    check "a web server on node answers" wait_for 30 grep -q ready "$T/$N/log"
    "$B/porthole" cpu "$N" -d 3 -F 199 -o "$T/n.json"
    folded "$T/n.json" >"$T/n.folded"
    # Node 20 writes JS:…, node 18 LazyCompile:… and Function:….
    check "its JavaScript functions have names" \
        grep -qE ';(JS|LazyCompile|Function):[*~^]?handleRequest' "$T/n.folded"
    check "most of its samples show JavaScript" between 50 \
        "$(awk '/;(JS|LazyCompile|Function):/ { n += $NF } { all += $NF } END { print 100 * n / all }' "$T/n.folded")" 100
    check "nothing is lost in silence with node" conserved "$T/n.json"
else
    skip "its JavaScript functions have names" "no node"
fi
