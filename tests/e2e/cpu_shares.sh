#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# A CPU capture by name tells what a program with a known profile does, in every format.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc jq

A=pht$$-a
start_agent
victim "$A" /bin/spin

"$B/porthole" cpu "$A" -d 3 -F 499 -o "$T/a.json" 2>"$T/err" ||
    not_ok "a container is profiled by its name" "$(tail -n 1 "$T/err")"
folded "$T/a.json" >"$T/a.folded"

check "a function's share of the samples is its share of the CPU time (50 %)" \
    share_is "$T/a.folded" spin_parse 50 8
check "a second function's share is right (30 %)" share_is "$T/a.folded" spin_render 30 8
check "a leaf's share is right (20 %)" share_is "$T/a.folded" spin_checksum 20 8
check "the caller of them all has all of it" share_is "$T/a.folded" spin_serve 100 4
check "stacks read from the outside in, behind the command's name" \
    grep -qE '^spin;.*main;spin_serve;spin_parse;spin_burn [0-9]+$' "$T/a.folded"
check "samples taken are samples shown plus samples lost" conserved "$T/a.json"
check "the stream ends as done" \
    jq -es 'map(select(.type == "end"))[0].status == "done"' "$T/a.json"
check "the stream says which container it is" \
    jq -es --arg n "$A" 'map(select(.type == "started"))[0].container.name == $n' "$T/a.json"
check "the quality report counts frames by their source" \
    jq -es 'map(select(.type == "quality"))[0].frames.by_source.symtab > 0' "$T/a.json"
check "the agent's own cost is in the quality report" \
    jq -es 'map(select(.type == "quality"))[0].cost.agent_cpu_us > 0' "$T/a.json"

exits_with 0 "a capture in a pipe is folded lines" "$B/porthole" cpu "$A" -d 1 -F 199
check "they are folded lines and nothing else" lacks "$T/out" '^$|[^0-9]$|^[^;]+$'
exits_with 0 "a capture becomes an SVG by its suffix" "$B/porthole" cpu "$A" -d 1 -F 199 -o "$T/a.svg"
check "the SVG is well-formed XML" \
    python3 -c 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])' "$T/a.svg"
check "the SVG names the functions and the container" \
    sh -c "grep -q spin_burn '$T/a.svg' && grep -q $A '$T/a.svg'"
exits_with 0 "a capture becomes a tree by its format" "$B/porthole" cpu "$A" -d 1 -F 199 -f tree
check "the tree names the functions" grep -q spin_parse "$T/out"
exits_with 0 "a capture becomes a pprof profile" \
    "$B/porthole" cpu "$A" -d 1 -F 199 --per-thread -o "$T/a.pb.gz"
if command -v go >/dev/null; then
    export PPROF_TMPDIR=$T
    go tool pprof -top "$T/a.pb.gz" >"$T/top" 2>&1
    check "go tool pprof reads it" grep -qE '% +spin_burn$' "$T/top"
    go tool pprof -raw "$T/a.pb.gz" >"$T/raw" 2>&1
    id=$(readelf -n "$W/spin" | sed -n 's/.*Build ID: //p')
    check "its mappings carry the build ID" grep -q "$id" "$T/raw"
    check "its samples carry the container's label" grep -q "$A" "$T/raw"
else
    skip "go tool pprof reads it" "no go"
fi
pid=$(runc_pid "$A")
exits_with 0 "a target may be a process" "$B/porthole" cpu "pid:$pid" -d 1 -F 199 -f folded
check "its functions are named too" grep -q spin_burn "$T/out"
exits_with 0 "a target may be a cgroup's path" "$B/porthole" cpu "cgroup:/$A" -d 1 -F 199 -f folded
check "that cgroup's functions are named" grep -q spin_burn "$T/out"
exits_with 0 "a target may name its runtime" "$B/porthole" cpu "runc:$A" -d 1 -F 199 -f folded
exits_with 0 "the whole host may be the target" "$B/porthole" cpu all -d 1 -F 199 -f folded
check "the container's functions are among the host's" grep -q spin_burn "$T/out"
