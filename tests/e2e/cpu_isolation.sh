#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A capture shows its own container and nothing of its neighbours, even where two containers have
# different programs at the same path and at the same addresses.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../tools.sh"
need_bpf
need_commands runc jq gcc

A=pht$$-a
BB=pht$$-b
start_agent

# The same path, the same addresses; only the names differ.
victim_root "$A"
victim_root "$BB"
cp "$W/spin" "$T/$A/rootfs/bin/app"
cp "$W/twin" "$T/$BB/rootfs/bin/app"
check "both programs have their functions at the same addresses" \
    [ "$(nm "$W/spin" | sed -n 's/ T spin_burn//p')" = "$(nm "$W/twin" | sed -n 's/ T twin_burn//p')" ]
victim "$A" /bin/app
victim "$BB" /bin/app

for name in "$A" "$BB"; do
    "$B/porthole" cpu $name -d 2 -F 499 -o "$T/$name.json" || not_ok "a capture of $name" "exit $?"
    folded "$T/$name.json" >"$T/$name.folded"
done
check "the first container's functions have their names" share_is "$T/$A.folded" spin_serve 100 4
check "the first container has no sample or name of the second" lacks "$T/$A.folded" ';twin_'
check "the second container's functions have their names" share_is "$T/$BB.folded" twin_serve 100 4
check "the second container has no sample or name of the first" lacks "$T/$BB.folded" ';spin_'

# Several captures at once, of the same and of different containers.
pids=()
for i in 1 2 3; do
    "$B/porthole" cpu "$A" -d 3 -F 399 -o "$T/par$i.json" 2>"$T/par$i.err" &
    pids+=($!)
done
"$B/porthole" cpu "$BB" -d 3 -F 499 -o "$T/par4.json" 2>"$T/par4.err" &
pids+=($!)
for pid in "${pids[@]}"; do
    wait "$pid" || not_ok "a capture beside others ends well" "exit $?"
done
for i in 1 2 3; do
    folded "$T/par$i.json" >"$T/par$i.folded"
    check "capture $i of three at once has the right shares" share_is "$T/par$i.folded" spin_parse 50 15
    check "capture $i of three at once loses nothing in silence" conserved "$T/par$i.json"
    check "capture $i of three at once has nothing of the neighbour" lacks "$T/par$i.folded" ';twin_'
done
folded "$T/par4.json" >"$T/par4.folded"
check "a fourth one of another container is whole as well" share_is "$T/par4.folded" twin_parse 50 8

# Processes of both that live for milliseconds, in one capture of the whole host.
runc_stop "$A"
runc_stop "$BB"
tool_new "$T" green rouge
cp "$T/green" "$T/$A/rootfs/bin/app"
cp "$T/rouge" "$T/$BB/rootfs/bin/app"
victim "$A" /bin/tool loop 2000 /bin/app
victim "$BB" /bin/tool loop 2000 /bin/app
"$B/porthole" cpu all -d 3 -F 499 -o "$T/all.json" 2>/dev/null || not_ok "a capture of all" "exit $?"
check "in a capture of all, short-lived processes of one path and address keep their own names" \
    [ -z "$(astray "$T/all.json")" ]
folded "$T/all.json" >"$T/all.folded"
for function in green_work rouge_work tool_forked; do
    check "$function is in it" between 1 "$(share "$T/all.folded" $function)" 100
done

# An idle container: nothing, and no error about it.
C=pht$$-c
victim "$C" /bin/busybox sleep 1000
exits_with 0 "an idle container's profile is empty, not an error" \
    "$B/porthole" cpu "$C" -d 1 -f folded
check "an idle container shows nobody else's work" lacks "$T/out" ';spin_|;twin_'
