#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Code that is moved and replaced while it is sampled has the name that it had then, or none. The
# rounds of the compiler are functions of its binary, so each stack says itself what was right.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc jq

A=pht$$-a
start_agent

# names_of FILE: the checks that hold for a perf map and for a jitdump file alike.
names_of() {
    folded "$T/$1.json" >"$T/$1.folded"
    check "$2: no sample has a name of another round" \
        lacks "$T/$1.folded" 'odd_round;even_|even_round;odd_'
    check "$2: both rounds were seen" sh -c "grep -q 'even_round;even_hot' '$T/$1.folded' &&
        grep -q 'odd_round;odd_hot' '$T/$1.folded'"
    check "$2: code that nobody touched keeps its share" share_is "$T/$1.folded" stays 20 5
    check "$2: code that moves keeps its name" share_is "$T/$1.folded" wanders 16 "$3"
    check "$2: what could not be told is marked, and little" between 0 \
        "$(jq -s 'map(select(.type == "quality"))[0] | 100 * .frames.jit_versions_missed / .taken' \
            "$T/$1.json")" 35
    check "$2: the marks add up" jq -es 'map(select(.type == "quality"))[0] |
        .frames.jit_versions_missed ==
        ([.unnamed[] | select(.reason == "jit-code-moved").frames] | add // 0)' "$T/$1.json"
    check "$2: nothing is lost in silence" conserved "$T/$1.json"
}

victim "$A" /bin/jitmove map 2.2
wait_for 10 test -s "$T/$A/rootfs/tmp/perf-1.map"
"$B/porthole" cpu "$A" -d 7 -F 499 -o "$T/map.json"
names_of map "perf map" 6
check "the names are the perf map's" [ "$(quality "$T/map.json" '.frames.by_source["perf-map"]')" -gt 0 ]
runc_stop "$A"

# The same with a jitdump file, which is preferred where both exist.
victim "$A" /bin/jitmove both 2.2
wait_for 10 test -s "$T/$A/rootfs/jit-1.dump"
sed -i 's/stays/wrong_name_of_the_map/' "$T/$A/rootfs/tmp/perf-1.map"
"$B/porthole" cpu "$A" -d 7 -F 499 -o "$T/dump.json"
names_of dump jitdump 3
check "where both exist, the jitdump file counts" lacks "$T/dump.folded" wrong_name_of_the_map
check "the report counts the jitdump file's names" \
    [ "$(quality "$T/dump.json" '.frames.by_source.jitdump')" -gt 0 ]
runc_stop "$A"
