#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
#
# How captures end: by time, by interrupt, by the client's death, by the container's death.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc jq

A=pht$$-a
start_agent
victim "$A" /bin/spin
pid=$(runc_pid "$A")

end_of() {
    jq -r 'select(.type == "end") | .status' "$1"
}

# ---- interrupt ----
start_capture "$T/int.json" "$A" -d 600 -F 199
let_run "$pid"
kill -INT "$CAPTURE"
end_capture
check "an interrupted capture exits 0" [ $? = 0 ]
check "an interrupted capture delivers what there is" conserved "$T/int.json"
folded "$T/int.json" >"$T/int.folded"
check "an interrupted capture has samples with names" grep -q spin_burn "$T/int.folded"
check "its stream says that it was interrupted" [ "$(end_of "$T/int.json")" = interrupted ]
check "nothing of it stays in the kernel" wait_for 5 agent_rests

# ---- the client goes ----
fds=$(agent_fds)
start_capture "$T/kill.json" "$A" -d 600
let_run "$pid"
programs=$(agent_programs)
kill -KILL "$CAPTURE"
wait "$CAPTURE" 2>/dev/null
check "a killed client's capture is cancelled" wait_for 5 agent_rests
# The kernel frees some of them a little later.
gone_from_kernel() {
    local status=0
    bpftool prog show id "$1" >/dev/null 2>&1 || status=$?
    [ $status = 255 ]
}
for id in $programs; do
    check "its BPF program $id is gone from the kernel" wait_for 5 gone_from_kernel "$id"
done
check "a killed client leaves no output file" [ ! -e "$T/kill.json" ]
check "a killed client leaves no temporary file" sh -c "! ls -A '$T' | grep -v log | grep kill"
fds_are_back() {
    [ "$(agent_fds)" -le "$fds" ]
}
check "a killed client leaves no fd in the agent" wait_for 5 fds_are_back

start_capture "$T/stop.json" "$A" -d 600
kill -STOP "$CAPTURE"
exits_with 0 "a client that stands still disturbs nobody" "$B/porthole" cpu "$A" -d 1 -f folded
kill -CONT "$CAPTURE"
kill -INT "$CAPTURE"
end_capture
check "it goes on when it is woken" [ "$(end_of "$T/stop.json")" = interrupted ]

# ---- the container goes ----
start_capture "$T/gone.json" "$A" -d 600 -F 499
let_run "$pid"
runc_stop "$A"
end_capture
check "a capture ends with its container, and well" [ $? = 0 ]
check "its stream says that the target is gone" [ "$(end_of "$T/gone.json")" = target-gone ]
folded "$T/gone.json" >"$T/gone.folded"
check "what a container did before it went has its names" share_is "$T/gone.folded" spin_parse 50 15
check "nothing is lost in silence when a container goes" conserved "$T/gone.json"

# ---- and another one of the same name comes ----
runc_start "$A" "$T/$A" /bin/spin
pid=$(runc_pid "$A")
start_capture "$T/same.json" "$A" -d 8 -F 499
let_run "$pid"
runc_stop "$A"
cp "$W/twin" "$T/$A/rootfs/bin/spin.new"
mv "$T/$A/rootfs/bin/spin.new" "$T/$A/rootfs/bin/spin"
runc_start "$A" "$T/$A" /bin/spin
let_run "$(runc_pid "$A")"
end_capture || not_ok "a capture whose container is replaced ends well" "$(tail -n 1 "$T/same.json.log")"
folded "$T/same.json" >"$T/same.folded"
check "the first of two containers of one name is delivered" grep -q spin_burn "$T/same.folded"
check "the second of two containers of one name is never mixed in" lacks "$T/same.folded" ';twin_'
check "its names come from its own program, though the path now has another one" \
    share_is "$T/same.folded" spin_parse 50 15
exits_with 0 "a new capture by that name has the new container" "$B/porthole" cpu "$A" -d 1 -F 199 -f folded
check "the new capture has the new container's names only" \
    sh -c "grep -q twin_burn '$T/out' && ! grep -q ';spin_' '$T/out'"
