#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Row F13: a process with 60,000 executable mappings that change all the time, and one that maps
# file after file: named right, at a bounded cost, and not at the expense of others.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc jq

A=pht$$-a
F=pht$$-f
BB=pht$$-b
start_agent

# CPU time of ours that a capture took, in percent of its duration.
cost_of() {
    quality "$1" "(.cost.agent_cpu_us + .cost.children_cpu_us) / $2 / 10000"
}

has_mapped() {
    [ "$(wc -l <"/proc/$1/maps")" -ge "$2" ]
}

captured() {
    "$B/porthole" cpu "$1" -d 4 -F 199 -o "$T/$1.json" 2>"$T/$1.err" &&
        folded "$T/$1.json" >"$T/$1.folded"
}

victim "$A" /bin/scatter
pid=$(runc_pid "$A")
wait_for 30 has_mapped "$pid" 60000 || skip_all "no process may have 60,000 mappings here"
check "F13: a process with 60,000 mappings is profiled" captured "$A"
check "F13: its function has its name" between 20 "$(share "$T/$A.folded" scatter_work)" 100
check "F13: nothing of it is given another name" lacks "$T/$A.folded" ';(spin|twin|calls)_'
check "F13: nothing is lost in silence" conserved "$T/$A.json"
cost=$(cost_of "$T/$A.json" 4)
check "F13: the agent's work for it is bounded ($cost % of the time)" between 0 "$cost" 60

# The agent is asked for all, with a process in it that takes whatever files it can get.
victim "$F" /bin/scatter 20000
victim "$BB" /bin/spin
"$B/porthole" cpu all -d 4 -F 199 -o "$T/all.json" 2>"$T/all.err" || not_ok "a capture of all" "exit $?"
folded "$T/all.json" >"$T/all.folded"
check "F13: others have their names beside it" grep -q ';spin_serve;spin_parse;' "$T/all.folded"
check "F13: nothing is lost in silence beside it" conserved "$T/all.json"
check "F13: the agent answers" "$B/porthole" status
