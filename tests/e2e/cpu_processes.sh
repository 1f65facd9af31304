#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Processes that come and go during a capture, and processes and threads kept apart.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc jq

A=pht$$-a
F=pht$$-f
M=pht$$-m
TH=pht$$-t
start_agent

# ---- descendants and latecomers ----
victim "$A" /bin/busybox sleep 1000
start_capture "$T/late.json" "$A" -d 4 -F 199
runc exec --detach "$A" /bin/twin
check "a process that joins the container by exec runs" wait_for 10 runc exec "$A" /bin/busybox pidof twin

# A child cgroup made during the capture, in every hierarchy that has one for the container.
runc exec --detach --pid-file "$T/child.pid" "$A" /bin/spin
made=0
for dir in "/sys/fs/cgroup/$A" /sys/fs/cgroup/*/"$A"; do
    case $dir in */cpuset/*) continue ;; esac
    [ -d "$dir" ] || continue
    mkdir "$dir/child" && cat "$T/child.pid" >"$dir/child/cgroup.procs" && made=$((made + 1))
done
on_exit "runc_stop $A; rmdir /sys/fs/cgroup/$A/child /sys/fs/cgroup/*/$A/child 2>/dev/null"
check "a child cgroup takes a process" [ $made -gt 0 ]
end_capture || not_ok "the capture ends well" "$(tail -n 1 "$T/late.json.log")"
folded "$T/late.json" >"$T/late.folded"
check "a process that came by exec during the capture is in it, with names" grep -q twin_burn "$T/late.folded"
check "a process of a child cgroup made during the capture is in it, with names" \
    grep -q spin_burn "$T/late.folded"
check "nothing is lost in silence while processes come" conserved "$T/late.json"
runc_stop "$A"

# ---- short-lived processes ----
victim "$F" /bin/forker 3000
"$B/porthole" cpu "$F" -d 3 -F 499 -o "$T/fork.json" || not_ok "a capture of short-lived processes" "exit $?"
# Of the samples with a user frame: how many have their innermost user frame in a known file?
known=$(jq -s '(map(select(.type == "frame")) | map({key: (.id | tostring), value: .}) | from_entries) as $f
    | map(select(.type == "stack") | {v: .value, u: ([.frames[] | $f[tostring] | select(.kind == "user")] | last)})
    | map(select(.u)) | (map(.v) | add) as $all
    | 100 * (map(select(.u.file or .u.named).v) | add) / $all' "$T/fork.json")
check "at least 99 % of short-lived processes' samples have their binary's name (here $known %)" \
    between 99 "$known" 100
folded "$T/fork.json" >"$T/fork.folded"
check "their work has its function's name" between 40 "$(share "$T/fork.folded" short_work)" 100
check "nothing is lost in silence among short-lived processes" conserved "$T/fork.json"
runc_stop "$F"

# ---- kept apart ----
victim "$M" /bin/sh -c '/bin/spin & /bin/twin & wait'
spin=$(runc exec "$M" /bin/busybox pidof spin)
twin=$(runc exec "$M" /bin/busybox pidof twin)
"$B/porthole" cpu "$M" -d 2 -F 199 --per-process -o "$T/per.json"
check "processes are kept apart by the container's own pids" jq -es --argjson s "$spin" --argjson t "$twin" \
    '[.[] | select(.type == "stack") | {comm, pid}] | unique | contains([{comm: "spin", pid: $s}, {comm: "twin", pid: $t}])' \
    "$T/per.json"
exits_with 0 "one process is chosen by the container's own pid" \
    "$B/porthole" cpu "$M" -d 2 -F 199 -p "$twin" -f folded
check "just that process shows" sh -c "grep -q ';twin_' '$T/out' && ! grep -q ';spin_' '$T/out'"
runc_stop "$M"

victim "$TH" /bin/threads
"$B/porthole" cpu "$TH" -d 2 -F 199 --per-thread -o "$T/thr.json"
tids=$(runc exec "$TH" /bin/sh -c 'for t in /proc/1/task/*; do echo "$(cat $t/comm) ${t##*/}"; done')
kneader=$(echo "$tids" | sed -n 's/kneader //p')
check "threads are kept apart by the container's own tids" jq -es --argjson k "$kneader" \
    '[.[] | select(.type == "stack") | {comm, tid}] | unique | contains([{comm: "kneader", tid: $k}])' \
    "$T/thr.json"
folded "$T/thr.json" >"$T/thr.folded"
check "each thread shows its own function" \
    sh -c "grep -q 'kneader.*;knead ' '$T/thr.folded' && ! grep -q 'kneader.*;bake ' '$T/thr.folded'"
